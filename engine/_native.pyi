from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

Pair: TypeAlias = tuple[int, int]

class Layout:
    def __init__(
        self,
        matrix: Pair,
        tile: Pair,
        starts: tuple[list[int], list[int]],
        weights: tuple[list[float], list[float]],
        scale: int,
        /,
    ) -> None: ...

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
def stage(
    pixels: NDArray[Any],
    layout: Layout,
    slope: object,
    intercept: object,
    low: object,
    high: object,
    tile: int | None,
    out: Floats | None,
    threads: int,
    device: str,
    /,
) -> Floats: ...
def finish(
    tiles: Floats,
    layout: Layout,
    target: object,
    keep: str,
    gain: object,
    out: Floats | None,
    threads: int,
    device: str,
    /,
) -> tuple[Floats, NDArray[np.float64], NDArray[np.float64]]: ...
def robust_scale(frames: Floats, quantile: float, threads: int, device: str, /) -> tuple[Floats, Floats]: ...
def statistics(frames: Floats, threads: int, device: str, /) -> NDArray[np.void]: ...
def texture(frames: Floats, threads: int, /) -> tuple[NDArray[np.void], Floats, Floats]: ...
def admit(frames: Floats, threads: int, /) -> tuple[NDArray[np.float64], float, int]: ...

class DeviceQueue:
    def __init__(self, device: str, index: int, /) -> None: ...
    @property
    def handle(self) -> int: ...
    def copy(self, source: int, target: int, size: int, /) -> None: ...
    def wait(self) -> None: ...

class DevicePipeline:
    def __init__(self, queue: DeviceQueue, layout: Layout, frames: int, keep: str, /) -> None: ...
    @property
    def input(self) -> int: ...
    @property
    def output(self) -> int: ...
    def fill(
        self,
        pixels: NDArray[Any],
        slope: object,
        intercept: object,
        low: object,
        high: object,
        target: object,
        gain: object,
        threads: int,
        /,
    ) -> bool: ...
    def upload(self) -> None: ...
    def stage(self, tile: int, /) -> None: ...
    def collect(self, tile: int, /) -> None: ...
    def finish(self) -> None: ...
    def download(self) -> None: ...
    def wait(self) -> None: ...
    def take(self, out: Floats | None, threads: int, /) -> tuple[Floats, NDArray[np.float64], NDArray[np.float64]]: ...

def cuda_error_name(code: int, /) -> str: ...
