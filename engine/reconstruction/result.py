"""A reconstruction: how it was asked for, what was found, and what follows from it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...kernels.reconstruction.geometry import Grid
from ...kernels.reconstruction.solution import CurveSolution, ShapeSolution, VolumeSolution
from ..errors import InputError
from .curve_files import filled
from .gamma import Physics
from .measured import Measured
from .meshes import Mesh, isosurface, joined, tube

__all__ = ["Method", "Reconstruction", "Settings", "Solution"]

Method = Literal["shape", "volume", "curve"]
Solution = ShapeSolution | VolumeSolution | CurveSolution
# Where a volume ends, for its surface and its volume in ml: half of its peak, as is usual for uptake.
_OF_PEAK = 0.5
_HALF = 0.5
_SEEN = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reconstruct.

    Parameters
    ----------
    method : str or None
        ``shape``, ``volume`` or ``curve``; None for a shape from a gamma camera and a curve from X-rays.
    physics : Physics
        Attenuation and blur of a gamma camera.
    background : bool
        Whether the body round a shape has uniform activity too, which is fitted.
    iterations : int or None
        Steps of a shape or volume, at most; None for the solver's own number.
    radius_mm : float or None
        Of wires [mm]; a curve needs it.
    wires : int or None
        How many there are; None for as many as the images need.
    threads : int
        For the solver.
    device : str
        ``cpu`` or ``cuda``, for projections; wires are searched on the processor.
    bootstrap : int
        Repetitions with new Poisson noise, for the uncertainty of the volume; 0 for none.
    start : Path or None
        An earlier result to start from: what -o, or for a curve --curve, wrote.
    """

    method: Method | None = None
    physics: Physics = field(default_factory=Physics)
    background: bool = False
    iterations: int | None = None
    radius_mm: float | None = None
    wires: int | None = 1
    threads: int = 1
    device: str = "cpu"
    bootstrap: int = 0
    start: Path | None = None

    def method_for(self, measured: Measured) -> Method:
        """Return the method: the one asked for, or the one that fits the views."""
        return self.method or ("curve" if measured.kind == "xa" else "shape")


@dataclass(frozen=True)
class Reconstruction:
    """A reconstruction and what it came from.

    Parameters
    ----------
    measured : Measured
        The views.
    settings : Settings
        How it was made.
    method : str
        Which solver.
    solution : ShapeSolution, VolumeSolution or CurveSolution
        What it found.
    seconds : float
        How long it took [s].
    warnings : tuple of str
        Sentences of views and solver.
    volumes_ml : ndarray, shape (n,), float64
        Volumes of the repetitions with new noise [ml]; none without.
    """

    measured: Measured
    settings: Settings
    method: Method
    solution: Solution
    seconds: float
    warnings: tuple[str, ...] = ()
    volumes_ml: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def grid(self) -> Grid:
        """The voxels."""
        return self.measured.geometry.grid if isinstance(self.solution, CurveSolution) else self.solution.grid

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """What -o writes: values of a volume, shares of voxels inside a shape or a wire; (slices, rows, columns)."""
        if isinstance(self.solution, VolumeSolution):
            return self.solution.values
        if isinstance(self.solution, ShapeSolution):
            return self.solution.occupancy
        return filled(self.solution.curves, self.grid)

    @property
    def interrupted(self) -> bool:
        """Whether the fit, or its repetitions, ended early."""
        return self.solution.interrupted or self.volumes_ml.size < self.settings.bootstrap

    @property
    def steps(self) -> int:
        """How many steps the solver made; it may tell of some only."""
        return max((step.done for step in self.solution.history), default=0)

    @property
    def level(self) -> float:
        """Where the surface is, in `values`."""
        if isinstance(self.solution, VolumeSolution):
            return _OF_PEAK * float(self.solution.values.max())
        return _HALF

    @property
    def volume_ml(self) -> float:
        """Volume of the shape, of the wires, or of the voxels at or above half of the peak [ml]."""
        if isinstance(self.solution, ShapeSolution):
            return self.solution.volume_ml
        if isinstance(self.solution, CurveSolution):
            return sum(np.pi * curve.radius_mm**2 * curve.length_mm for curve in self.solution.curves) / 1000
        inside = self.values >= self.level if self.level > 0 else np.zeros(1, bool)
        return float(inside.sum()) * self.grid.voxel_ml

    @property
    def interval_ml(self) -> tuple[float, float] | None:
        """Where counting noise leaves the volume with 95 % [ml]; None without repetitions.

        The spread of the repetitions is laid around the fit: that they may differ from it by the same amount in one direction is
        an error of the method, see :attr:`shift_ml`, not of noise.
        """
        if not self.volumes_ml.size:
            return None
        low, high = np.percentile(self.volumes_ml - self.volumes_ml.mean(), (2.5, 97.5)) + self.volume_ml
        return float(low), float(high)

    @property
    def shift_ml(self) -> float | None:
        """How far the repetitions lie from the fit that they repeat, on average [ml]; None without them."""
        return float(self.volumes_ml.mean()) - self.volume_ml if self.volumes_ml.size else None

    @cached_property
    def mesh(self) -> Mesh:
        """The surface.

        Raises
        ------
        UsageError
            If it needs scikit-image, which is not installed.
        InputError
            If there is none.
        """
        found = self.solution
        if isinstance(found, ShapeSolution):
            return isosurface(found.distance_mm, self.grid, 0.0, inside="below", volume_ml=found.volume_ml or None)
        if isinstance(found, VolumeSolution):
            if self.level <= 0:
                raise InputError("the volume is empty, so that there is no surface; check the views.")
            return isosurface(found.values, self.grid, self.level, inside="above")
        if not found.curves:
            raise InputError("no wire was found, so that there is no surface; check the views.")
        return joined(tuple(tube(curve) for curve in found.curves))

    def seen(self, index: int) -> NDArray[np.bool_]:
        """Return where a view shows something: pixels with at least a twentieth of the projection's peak."""
        projection = self.solution.projections[index]
        return np.asarray(projection > _SEEN * max(float(projection.max()), 0.0))

    @cached_property
    def chi2_per_pixel(self) -> tuple[float, ...]:
        """Mean square of the residuals of each view where it shows something; 1 where only noise is left, NaN if nothing."""
        found = [view[self.seen(i)] for i, view in enumerate(self.solution.residuals)]
        return tuple(float(np.mean(np.square(part, dtype=np.float64))) if part.size else np.nan for part in found)
