"""Bodies of uniform activity from two or more views of a gamma camera."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .camera import GammaCamera
from .checks import check_views
from .geometry import Geometry
from .progress import Watch
from .projection import Projector
from .shape_prior import Smoothness
from .shape_solver import ShapeTask, solve_shape
from .solution import ShapeSolution

__all__ = ["Smoothness", "reconstruct_shape"]

Image = NDArray[np.float32]


def reconstruct_shape(
    images: Sequence[NDArray[Any]],
    geometry: Geometry,
    *,
    camera: GammaCamera | None = None,
    background: bool | NDArray[np.bool_] = False,
    smoothness: Smoothness | None = None,
    attenuation_error: float = 0.1,
    iterations: int | None = None,
    tolerance: float = 0.5,
    threads: int = 1,
    device: str = "cpu",
    start: ShapeSolution | NDArray[np.float32] | None = None,
    watch: Watch | None = None,
) -> ShapeSolution:
    """Return the body of uniform activity that explains measured views.

    The most probable body is sought: Poisson's likelihood of the counts times a prior of smooth surfaces. Its activity, and
    that of the background, are those that explain the counts best, at each step. Most steps are made on coarse voxels, all of
    them in the box that the shadows of the body leave.

    Parameters
    ----------
    images : sequence of ndarray, shape (rows, columns), any real type
        Counts, one image for each view.
    geometry : Geometry
        The volume and two or more views with parallel rays. Voxels should be about as large as pixels.
    camera : GammaCamera, optional
        Attenuation and blur; without it, rays are sums.
    background : bool or ndarray of bool, shape (slices, rows, columns)
        Where uniform activity of unknown height surrounds the body: an array, or True for the camera's body.
    smoothness : Smoothness, optional
        Of the surface.
    attenuation_error : float, default 0.1
        Relative standard deviation of the camera's attenuation, which is fitted too, as a factor; 0 takes it as known.
    iterations : int, optional
        At most, on coarse and fine voxels together; None: 200.
    tolerance : float, default 0.5
        End of a level when three steps raise the log-likelihood by less.
    threads : int, default 1
        Processor threads.
    device : str, default "cpu"
        "cpu" or "cuda", for projections.
    start : ShapeSolution or ndarray, shape (slices, rows, columns), float32, optional
        An earlier solution on the same grid, or its occupancy, such as that of the frame before; then all steps are made on
        fine voxels.
    watch : callable, optional
        Told of each step; if it returns True the solver stops.

    Returns
    -------
    ShapeSolution
        The objective in its history is minus the logarithm of the posterior, without constants.

    Raises
    ------
    UsageError
        If arguments make no sense together, or views are fewer than two, of cone beams, or of one direction.
    InputError
        If images cannot be used, see :func:`~photopeak.kernels.reconstruction.checks.check_views`.

    References
    ----------
    * M. A. Iglesias, Y. Lu, A. M. Stuart, A Bayesian level set method for geometric inverse problems, Interfaces Free Bound.
      18 (2016) 181-217.
    * D. C. Liu, J. Nocedal, On the limited memory BFGS method for large scale optimization, Math. Programming 45 (1989).

    Examples
    --------
    >>> from photopeak.kernels import Geometry, Grid, project
    >>> geometry = Geometry.around(Grid((24, 24, 24), (6.0, 6.0, 6.0)), (0, 90))
    >>> z, y, x = np.meshgrid(*geometry.grid.axes(), indexing="ij")
    >>> ball = (x**2 + y**2 + z**2 < 45**2).astype(np.float32)
    >>> views = [np.random.default_rng(0).poisson(view) for view in project(ball, geometry)]
    >>> solution = reconstruct_shape(views, geometry)
    >>> bool(abs(solution.volume_ml / (4 / 3 * np.pi * 4.5**3) - 1) < 0.05)
    True
    """
    if geometry.cone_beam:
        raise UsageError("a shape is found from counts of parallel rays; for cone beams use a volume or curves.")
    if iterations is not None and (not isinstance(iterations, Integral) or iterations < 1):
        raise UsageError(f"iterations is {iterations}; use a whole number from 1 up.")
    if not 0 < tolerance < np.inf:
        raise UsageError(f"tolerance is {tolerance}; give a number above 0.")
    if not 0 <= attenuation_error < 1:
        raise UsageError(f"attenuation_error is {attenuation_error}; give a number from 0 to below 1.")
    known = None if start is None else _occupancy_of(start, geometry)
    counts = check_views(images, geometry)
    outline = _outline(background, camera, geometry)
    projector = Projector(geometry, camera=camera, threads=threads, device=device)
    veil = tuple(np.zeros(image.shape, np.float32) for image in counts)
    if outline is not None:
        veil = projector.forward(outline.astype(np.float32))
    task = ShapeTask(
        counts, veil, outline is not None, projector, smoothness or Smoothness(), attenuation_error, tolerance
    )
    return solve_shape(task, known, iterations, watch)


def _outline(
    background: bool | NDArray[np.bool_], camera: GammaCamera | None, geometry: Geometry
) -> NDArray[np.bool_] | None:
    """Return where background lies; None if none is fitted."""
    if isinstance(background, bool):
        if not background:
            return None
        if camera is None or camera.body is None:
            raise UsageError(
                "background=True means the camera's body, and there is none; give an array of bool, or a camera."
            )
        background = np.asarray(camera.body)
    outline = np.asarray(background)
    if outline.shape != geometry.grid.shape or outline.dtype != bool:
        raise InputError(
            f"where background lies is {outline.dtype} of shape {outline.shape}; give bool of the grid's {geometry.grid.shape}."
        )
    if not outline.any():
        raise InputError("background lies nowhere; give an array with voxels that are True, or background=False.")
    return outline


def _occupancy_of(start: ShapeSolution | NDArray[np.float32], geometry: Geometry) -> Image:
    """Return the occupancy to start from."""
    if isinstance(start, ShapeSolution) and start.grid != geometry.grid:
        raise UsageError(
            f"the solution to start from lies on {start.grid} and the geometry on {geometry.grid}; use one grid."
        )
    known = np.asarray(start.occupancy if isinstance(start, ShapeSolution) else start, np.float32)
    if known.shape != geometry.grid.shape:
        raise UsageError(
            f"the occupancy to start from has shape {known.shape} and the grid {geometry.grid.shape}; give one that fits."
        )
    if not (np.isfinite(known).all() and (known > 0.5).any() and (known < 0.5).any()):
        raise InputError("the occupancy to start from holds no surface at 0.5; give shares of voxels from 0 to 1.")
    return known
