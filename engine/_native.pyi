from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

def instruction_set() -> str: ...
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
