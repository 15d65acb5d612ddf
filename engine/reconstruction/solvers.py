"""The solvers, with what an earlier result and the options of a command say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.reconstruction.progress import Watch
from ...kernels.reconstruction.solution import CurveSolution, ShapeSolution, VolumeSolution
from ..errors import UsageError
from .curve_files import read_curves
from .gamma import values_on
from .measured import Measured
from .result import Method, Settings, Solution

__all__ = ["repeated_volumes", "solve"]


def solve(measured: Measured, settings: Settings, method: Method, watch: Watch | None) -> Solution:
    """Return what the solver of a method finds.

    Raises
    ------
    UsageError
        If the earlier result is of another kind.
    InputError
        If the views or the earlier result cannot be used.
    """
    solvers: dict[Method, Callable[[Measured, Settings, Watch | None], Solution]] = {
        "shape": _shape,
        "volume": _volume,
        "curve": _curve,
    }
    return solvers[method](measured, settings, watch)


def _volume(measured: Measured, settings: Settings, watch: Watch | None) -> Solution:
    from ...kernels.reconstruction.volume import reconstruct_volume

    grid = measured.geometry.grid
    start = None
    if settings.start:
        values = values_on(_volume_path(settings.start), grid)
        start = VolumeSolution(grid=grid, values=values, history=(), interrupted=False, projections=(), residuals=())
    return reconstruct_volume(
        measured.images,
        measured.geometry,
        camera=settings.physics.camera(grid),
        iterations=settings.iterations,
        threads=settings.threads,
        device=settings.device,
        start=start,
        watch=watch,
    )


def _volume_path(path: Path) -> Path:
    if path.suffix.lower() == ".json":
        raise UsageError(f"{path}: holds wires; start from the volume that -o wrote.")
    return path


def _shape(measured: Measured, settings: Settings, watch: Watch | None) -> Solution:
    from ...kernels.reconstruction.shape import reconstruct_shape

    grid = measured.geometry.grid
    start = values_on(_volume_path(settings.start), grid) if settings.start else None
    return reconstruct_shape(
        measured.images, measured.geometry, start=start, watch=watch, **_shape_options(measured, settings)
    )


def repeated_volumes(
    measured: Measured, settings: Settings, solution: ShapeSolution, watch: Watch | None
) -> NDArray[np.float64]:
    """Return the volumes that a shape has with other counting noise [ml]; fewer than asked for if `watch` stops them."""
    from ...kernels.reconstruction.shape_uncertainty import volume_uncertainty

    found = volume_uncertainty(
        solution, measured.geometry, repeats=settings.bootstrap, watch=watch, **_shape_options(measured, settings)
    )
    return np.array(found.volumes_ml, np.float64)


def _shape_options(measured: Measured, settings: Settings) -> dict[str, Any]:
    return {
        "camera": settings.physics.camera(measured.geometry.grid),
        "background": settings.background,
        "iterations": settings.iterations,
        "threads": settings.threads,
        "device": settings.device,
    }


def _curve(measured: Measured, settings: Settings, watch: Watch | None) -> Solution:
    from ...kernels.reconstruction.curve import reconstruct_curve

    if settings.radius_mm is None:
        raise UsageError("a curve needs the radius of its wires; give radius_mm.")
    return reconstruct_curve(
        measured.images,
        measured.geometry,
        radius_mm=settings.radius_mm,
        wires=settings.wires,
        threads=settings.threads,
        device=settings.device,
        start=_wires(settings.start) if settings.start else None,
        watch=watch,
    )


def _wires(path: Path) -> CurveSolution:
    if path.suffix.lower() != ".json":
        raise UsageError(f"{path}: a curve starts from the JSON file that --curve wrote; give that.")
    return read_curves(path)
