"""Small errors of a geometry, found from landmarks that several views show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .adjustments import Fault, Parameter, adjusted, parameters
from .bundle_adjustment import adjust_bundle
from .geometry import Geometry

__all__ = ["Calibration", "Change", "calibrate_landmarks", "corrected_geometry", "triangulate"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """What was found about one number of one view.

    Parameters
    ----------
    view : int
        From 1; the first view is the reference.
    parameter : Parameter
        Which number.
    value : float
        How far it was off, in the parameter's unit.
    error : float
        Standard error of the value; infinite where the data do not say.
    """

    view: int
    parameter: Parameter
    value: float
    error: float

    @property
    def determined(self) -> bool:
        """Whether the data decide it."""
        return bool(np.isfinite(self.error))

    def __str__(self) -> str:
        what = f"view {self.view}, {self.parameter.name}"
        if not self.determined:
            return f"{what}: not adjusted, the data do not determine it"
        return f"{what}: {self.value:+.3g} {self.parameter.unit} (standard error {self.error:.2g})"


@dataclass(frozen=True, eq=False)
class Calibration:
    """A geometry with its small errors taken out.

    Parameters
    ----------
    geometry : Geometry
        The corrected one; the grid and the first view are as before.
    changes : tuple of Change
        What was adjusted, and what could not be.
    before, after : float
        Residual of the data [`unit`].
    unit : str
        ``pixels``: root mean square between where landmarks are seen and where they should be, along rows and columns;
        ``%``: how much of what common planes hold differs.
    after_mm : float
        `after` where the object is [mm]; NaN for ``%``.
    points_mm : ndarray, shape (n, 3), float64
        Where the landmarks are, NaN for those that fewer than two views see; empty if there are none.
    """

    geometry: Geometry
    changes: tuple[Change, ...]
    before: float
    after: float
    unit: str
    after_mm: float
    points_mm: Array

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Names and values, for a report."""
        size = "" if np.isnan(self.after_mm) else f" ({self.after_mm:.2g} mm)"
        told = [("Residual before and after calibration", f"{self.before:.3g} and {self.after:.3g} {self.unit}{size}")]
        return (*told, *((f"Calibration {number}", str(one)) for number, one in enumerate(self.changes, start=1)))


def calibrate_landmarks(
    geometry: Geometry,
    landmarks: Sequence[NDArray[np.float64]],
    *,
    adjust: Sequence[Fault] = ("table",),
    error_px: float = 0.5,
) -> Calibration:
    """Return a geometry in which landmarks seen in several views meet in points.

    Bundle adjustment: landmarks and errors of the views are fitted together to where landmarks are seen, by Gauss-Newton
    steps in which the landmarks are eliminated. The first view stays as it is, which fixes the coordinates. Combinations of
    errors that the landmarks determine worse than errors usually are (see
    :data:`photopeak.kernels.reconstruction.adjustments.PARAMETERS`) are left alone and reported.

    Parameters
    ----------
    geometry : Geometry
        Two or more views.
    landmarks : sequence of ndarray, shape (n, 2), float64
        For each view the row and column of each landmark [pixels], NaN where it is not seen; whole numbers are centres of
        pixels.
    adjust : sequence of {"table", "rotation", "shift", "magnification"}, default ("table",)
        What may be wrong with views: where the patient lies, how the detector is turned about the middle of the volume,
        where it lies in its plane, how large it shows things.
    error_px : float, default 0.5
        Standard error of a landmark's place, along rows and columns [pixels].

    Returns
    -------
    Calibration
        With residuals in pixels.

    Raises
    ------
    UsageError
        If there are not as many arrays as views, or nothing known is to be adjusted.
    InputError
        If an array has another shape, too few landmarks are seen in two views, or they determine nothing.

    References
    ----------
    * Triggs, McLauchlan, Hartley, Fitzgibbon: Bundle adjustment - a modern synthesis. Vision Algorithms, 2000.
    * Golub, Pereyra: The differentiation of pseudo-inverses and nonlinear least squares problems whose variables separate.
      SIAM Journal on Numerical Analysis 10, 1973.

    Examples
    --------
    >>> from photopeak.kernels import Geometry, Grid
    >>> geometry = Geometry.around(Grid((64, 64, 64), (4.0, 4.0, 4.0)), (0, 90))
    >>> points = np.random.default_rng(0).uniform(-100, 100, (6, 3))
    >>> first, second = (view.project(points) for view in geometry.views)
    >>> found = calibrate_landmarks(geometry, [first, second + [-2, 0]])  # two rows higher: nearer to the head
    >>> print(found.changes[2])
    view 2, table to the head: +8 mm (standard error 1.2)
    """
    if not 0 < error_px < np.inf:
        raise UsageError(f"landmarks cannot be known to {error_px} pixels; give a number above 0.")
    seen = _checked(geometry, landmarks)
    chosen = parameters(adjust)
    fit = adjust_bundle(geometry, seen, chosen, triangulate(geometry, seen), error_px)
    if fit.rank == 0:
        raise InputError("the landmarks determine none of what may be adjusted; give more, further apart.")
    corrected = corrected_geometry(geometry, fit.values)
    pixel = np.mean([view.pixel_at(geometry.grid.center_mm) for view in corrected.views])
    return Calibration(
        corrected,
        tuple(
            Change(view + 1, one, float(fit.values[view, one.index]), float(fit.errors[view, one.index]))
            for view in range(1, len(geometry.views))
            for one in chosen
        ),
        fit.before_px,
        fit.after_px,
        "pixels",
        fit.after_px * float(pixel),
        fit.points_mm,
    )


def corrected_geometry(geometry: Geometry, values: Array) -> Geometry:
    """Return a geometry whose views are adjusted by the nine values of each, shape (views, 9)."""
    views = tuple(
        adjusted(view, geometry.grid.center_mm, one) if one.any() else view
        for view, one in zip(geometry.views, values, strict=True)
    )
    return replace(geometry, views=views)


def triangulate(geometry: Geometry, landmarks: Sequence[NDArray[np.float64]]) -> Array:
    """Return the points nearest to the rays on which landmarks are seen.

    Parameters
    ----------
    geometry : Geometry
        Two or more views.
    landmarks : sequence of ndarray, shape (n, 2), float64
        For each view row and column [pixels], NaN where a landmark is not seen.

    Returns
    -------
    ndarray, shape (n, 3), float64
        x, y and z [mm]; NaN for landmarks that fewer than two views see, or only along one line.

    Examples
    --------
    >>> from photopeak.kernels import Geometry, Grid
    >>> geometry = Geometry.around(Grid((8, 8, 8), (4.0, 4.0, 4.0)), (0, 90))
    >>> seen = [view.project(np.array([[3.0, 5.0, -7.0]])) for view in geometry.views]
    >>> triangulate(geometry, seen).round(9).tolist()
    [[3.0, 5.0, -7.0]]
    """
    count = len(landmarks[0])
    total, pulled = np.zeros((count, 3, 3)), np.zeros((count, 3))
    for view, seen in zip(geometry.views, landmarks, strict=True):
        there = np.isfinite(seen).all(axis=1)
        offset = (seen[there] - (np.array(view.shape) - 1) / 2) * view.spacing_mm
        at = view.center_mm + offset[:, :1] * np.array(view.down) + offset[:, 1:] * np.array(view.right)
        along = np.broadcast_to(view.looking, at.shape) if view.source_mm is None else view.source_mm - at
        along = along / np.linalg.norm(along, axis=1, keepdims=True)
        across = np.eye(3) - along[:, :, None] * along[:, None, :]
        total[there] += across
        pulled[there] += (across @ at[:, :, None])[:, :, 0]
    points = np.full((count, 3), np.nan)
    solvable = np.linalg.eigvalsh(total)[:, 0] > 1e-6
    points[solvable] = np.linalg.solve(total[solvable], pulled[solvable][:, :, None])[:, :, 0]
    return points


def _checked(geometry: Geometry, landmarks: Sequence[NDArray[np.float64]]) -> list[Array]:
    """Return landmarks as arrays of one length; those that only one view sees are taken out of it."""
    if len(geometry.views) < 2:
        raise UsageError("one view alone cannot be calibrated; give two or more.")
    if len(landmarks) != len(geometry.views):
        raise UsageError(f"there are landmarks of {len(landmarks)} views for {len(geometry.views)} views; give each.")
    arrays = [np.array(one, np.float64) for one in landmarks]
    for number, one in enumerate(arrays, start=1):
        if one.ndim != 2 or one.shape[1] != 2 or len(one) != len(arrays[0]):
            raise InputError(
                f"view {number}: landmarks of shape {one.shape} are not {len(arrays[0])} rows and columns; give one line for "
                "each landmark, NaN where it is not seen."
            )
        one[~np.isfinite(one).all(axis=1)] = np.nan
    lonely = np.isnan(triangulate(geometry, arrays)).any(axis=1)
    for one in arrays:
        one[lonely] = np.nan
    used = int((~lonely).sum())
    if used < 2:
        raise InputError(f"{used} landmark(s) are seen in two views or more; give two at least, better six.")
    return arrays
