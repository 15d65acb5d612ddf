from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

def build() -> tuple[str, bool, bool]: ...
def check_device(device: str, /) -> None: ...
def to_float(
    stored: NDArray[Any], slope: object, intercept: object, out: Floats | None, threads: int, device: str, /
) -> Floats: ...
def to_stored(
    frames: Floats,
    slope: object,
    intercept: object,
    dtype: np.dtype[Any],
    keep_sum: bool,
    out: NDArray[Any] | None,
    threads: int,
    device: str,
    /,
) -> NDArray[Any]: ...
def pad_reflect(frames: Floats, multiple: int, out: Floats | None, threads: int, device: str, /) -> Floats: ...
def crop(frames: Floats, rows: int, columns: int, out: Floats | None, threads: int, device: str, /) -> Floats: ...
def split(
    frames: Floats,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    tile_rows: int,
    tile_columns: int,
    out: Floats | None,
    threads: int,
    device: str,
    /,
) -> Floats: ...
def blend(
    tiles: Floats,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    row_weights: Floats,
    column_weights: Floats,
    frame_rows: int,
    frame_columns: int,
    out: Floats | None,
    threads: int,
    device: str,
    /,
) -> Floats: ...
def robust_scale(frames: Floats, quantile: float, threads: int, device: str, /) -> tuple[Floats, Floats]: ...
def normalise(
    frames: Floats, low: object, high: object, out: Floats | None, threads: int, device: str, /
) -> Floats: ...
def statistics(frames: Floats, threads: int, device: str, /) -> NDArray[np.void]: ...
def conserve(
    frames: Floats, target: object, mean: bool, out: Floats | None, threads: int, device: str, /
) -> tuple[Floats, NDArray[np.float64], NDArray[np.float64]]: ...
