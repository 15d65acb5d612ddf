"""The types of the compiled module."""

from collections.abc import Sequence
from typing import TypeAlias, overload

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

class Camera:
    """Resolution [mm] and efficiency."""

    def __init__(self, intrinsic: float, at_face: float, slope: float, efficiency: float) -> None: ...

class Projector:
    """Joseph's projector, or a camera's; the transpose has the same bits for any number of threads."""

    @overload
    def __init__(self, grid: VolumeGrid, detectors: Sequence[Detector], device: str) -> None: ...
    @overload
    def __init__(
        self,
        grid: VolumeGrid,
        detectors: Sequence[Detector],
        device: str,
        camera: Camera,
        attenuation: NDArray[np.float32] | None,
    ) -> None: ...
    def forward(self, volume: NDArray[np.float32], threads: int) -> tuple[NDArray[np.float32], ...]: ...
    def adjoint(self, images: Sequence[NDArray[np.float32]], threads: int) -> NDArray[np.float32]: ...

class VariationSettings:
    """Step sizes, radius of the dual balls, height of the box and over-relaxation of one step."""

    def __init__(
        self,
        *,
        weight: tuple[float, float, float],
        ascent: float,
        descent: float,
        radius: float,
        upper: float,
        relaxation: float,
    ) -> None: ...

def variation_step(
    value: NDArray[np.float32],
    leading: NDArray[np.float32],
    flow: NDArray[np.float32],
    slope: NDArray[np.float32],
    settings: VariationSettings,
    *,
    moves: bool,
    threads: int,
    device: str = "cpu",
) -> tuple[float, float]:
    """Step in place; return the squares of the moves of volume and flow, 0 unless asked for."""

def measure_variation(
    value: NDArray[np.float32],
    flow: NDArray[np.float32],
    slope: NDArray[np.float32],
    *,
    weight: tuple[float, float, float],
    threads: int,
    device: str = "cpu",
) -> tuple[float, float]:
    """Return the total variation, and what the flow and the slope leave to gain inside a box of height 1."""

def poisson_step(
    q: NDArray[np.float32],
    mean: NDArray[np.float32],
    counts: NDArray[np.float32],
    inverse: NDArray[np.float32],
    *,
    step: float,
    relaxation: float,
    threads: int,
) -> None: ...
def gaussian_step(
    q: NDArray[np.float32],
    mean: NDArray[np.float32],
    measured: NDArray[np.float32],
    variance: NDArray[np.float32],
    inverse: NDArray[np.float32],
    *,
    step: float,
    relaxation: float,
    threads: int,
) -> None: ...
def multiply_by(
    value: NDArray[np.float32],
    ratio: NDArray[np.float32],
    inverse: NDArray[np.float32],
    *,
    upper: float,
    threads: int,
) -> None:
    """Multiply in place, up to `upper`; where `inverse` is 0 nothing changes."""

def variation_loops() -> str:
    """Return which instruction set the passes use here."""

class CurveLoss:
    """How far measured values are believed, and what shapes of a wire are expected."""

    def __init__(self, *, tolerance: float, reach: float, spacing: float, bend: float, twist: float) -> None: ...

class CurveSearch:
    """Effort of the search for a wire."""

    def __init__(
        self, *, seeds: int, beam: int, children: int, iterations: int, patience: int, longest: int, seed: int
    ) -> None: ...

class CurveModel:
    """What views see of a wire; images of all views lie one after the other in one array."""

    def __init__(
        self,
        *,
        views: Sequence[tuple[NDArray[np.float64], int, int]],
        measured: NDArray[np.float32],
        variance: NDArray[np.float32],
        kernel: NDArray[np.float32],
        slope: NDArray[np.float32],
        kernel_step: float,
        attenuation: float,
        center: _Vector,
        radius: float,
        samples: int,
    ) -> None: ...

    attenuation: float

    def render(self, controls: NDArray[np.float64]) -> NDArray[np.float32]: ...
    def fit(
        self, controls: NDArray[np.float64], base: NDArray[np.float32], loss: CurveLoss, iterations: int
    ) -> tuple[NDArray[np.float64], float]: ...
    def loss(self, image: NDArray[np.float32], loss: CurveLoss) -> float: ...
    def seeds(
        self, base: NDArray[np.float32], loss: CurveLoss, search: CurveSearch
    ) -> list[tuple[NDArray[np.float64], float]]: ...
    def grow(
        self,
        starts: Sequence[NDArray[np.float64]],
        base: NDArray[np.float32],
        loss: CurveLoss,
        search: CurveSearch,
        count: int,
        threads: int,
    ) -> list[list[tuple[NDArray[np.float64], float]]]: ...
    def covariance(
        self, controls: NDArray[np.float64], base: NDArray[np.float32], loss: CurveLoss
    ) -> NDArray[np.float64]:
        """Return the covariance of each control point, shape (n, 3, 3)."""

def spline_points(controls: NDArray[np.float64], samples: int) -> NDArray[np.float64]: ...
def signed_distance(level: NDArray[np.float32], spacing: tuple[float, float, float]) -> NDArray[np.float32]: ...
