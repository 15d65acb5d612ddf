"""The types of the compiled module."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_Vector: TypeAlias = tuple[float, float, float]

class VolumeGrid:
    """Voxels along x, y and z."""

    def __init__(self, size: tuple[int, int, int], spacing: _Vector, first: _Vector) -> None: ...

class Detector:
    """Pixels, the first and the steps between them, and the focal spot or the direction of rays."""

    def __init__(
        self, rows: int, columns: int, pixels: Sequence[Sequence[float]], cone: bool, origin: _Vector
    ) -> None: ...

class Projector:
    """Joseph's projector; the transpose has the same bits for any number of threads."""

    def __init__(self, grid: VolumeGrid, detectors: Sequence[Detector], device: str) -> None: ...
    def forward(self, volume: NDArray[np.float32], threads: int) -> tuple[NDArray[np.float32], ...]: ...
    def adjoint(self, images: Sequence[NDArray[np.float32]], threads: int) -> NDArray[np.float32]: ...
