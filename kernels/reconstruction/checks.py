"""What is asked of views before anything is reconstructed from them."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import asin, degrees, radians, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .consistency import Agreement, compare_views
from .geometry import Geometry, View

__all__ = [
    "InconsistentViewsWarning",
    "NearlyParallelWarning",
    "TruncatedViewWarning",
    "check_views",
    "widest_angle",
]

Image = NDArray[np.float32]

_MOST_COUNTS = 1e9  # in one pixel; a sum of squares of more would leave single precision
_SAME_LINE = 1.0  # [degrees]
_NEARLY_PARALLEL = 30.0  # [degrees], where depth is half as certain as between views at right angles
_TRUNCATED = 0.25  # of the peak, after smoothing
_STRIP = 3  # rows or columns at a border, averaged [pixels]
_ALONG = 5  # and pixels along it
_MANY = 8  # views, above which not all pairs are compared


class NearlyParallelWarning(UserWarning):
    """The views differ so little in direction that depth is uncertain."""


class TruncatedViewWarning(UserWarning):
    """Something reaches over the edge of a view, so that the views do not show the same object."""


class InconsistentViewsWarning(UserWarning):
    """What the views show can hardly be one object in this geometry."""


def check_views(
    images: Sequence[NDArray[Any]], geometry: Geometry, *, least: int = 2, attenuated: bool = True
) -> tuple[Image, ...]:
    """Return images that a solver can trust, or say what is wrong with them.

    Parameters
    ----------
    images : sequence of ndarray, shape (rows, columns), any real type
        One for each view: counts of a gamma camera (parallel rays), line integrals (cone beam).
    geometry : Geometry
        The volume and the views.
    least : int, default 2
        How many views the solver needs.
    attenuated : bool, default True
        Whether a gamma camera's photons were attenuated on their way: then views may differ in brightness by a factor that
        changes slowly from slice to slice. False holds every slice to the same counts.

    Returns
    -------
    tuple of ndarray, shape (rows, columns), float32, C-contiguous
        The images; those that fit already are not copied.

    Raises
    ------
    UsageError
        If there are too few views, not one image for each, or all look along one line.
    InputError
        If an image has another shape than its view, is not finite, has counts below zero or above a billion, shows nothing,
        or cannot show the same object as another one.

    Warns
    -----
    NearlyParallelWarning
        If no two views are at least 30 degrees apart; it gives the expected error in depth, the pixel at the middle of the
        volume divided by the sine of the angle.
    TruncatedViewWarning
        If something brighter than a quarter of the peak reaches over an edge. Parallel views of one upright axis may be cut
        above and below: each slice is seen by itself.
    InconsistentViewsWarning
        If views disagree by more than their noise and what attenuation explains, but not beyond doubt. Of more than eight
        views each is compared with two others.

    Examples
    --------
    >>> from photopeak.kernels import Geometry, Grid
    >>> geometry = Geometry.around(Grid((8, 16, 16), (4.0, 4.0, 4.0)), (0, 90))
    >>> view = np.zeros((8, 16), int)
    >>> view[2:6, 6:10] = 100
    >>> [image.dtype.name for image in check_views([view, view], geometry)]
    ['float32', 'float32']
    """
    count = len(geometry.views)
    if count < least:
        raise UsageError(f"the geometry has {count} view(s); give {least} or more.")
    if len(images) != count:
        raise UsageError(f"there are {len(images)} images for {count} view(s); give one image for each view.")
    checked = tuple(
        _checked(image, view, number, counts=not geometry.cone_beam)
        for number, (image, view) in enumerate(zip(images, geometry.views, strict=True), start=1)
    )
    if count > 1:
        _check_directions(geometry)
    whole = not _warn_of_truncation(checked, geometry)
    for one, two in _pairs(count):
        agreement = compare_views(
            checked[one], geometry.views[one], checked[two], geometry.views[two], attenuated=attenuated
        )
        if agreement and (whole or not geometry.cone_beam):
            _check_agreement(agreement, one + 1, two + 1)
    return checked


def widest_angle(geometry: Geometry) -> tuple[float, int, int]:
    """Return the largest angle between the lines along which two views look at the volume, and which views these are.

    Returns
    -------
    tuple of float, int, int
        Angle [degrees], at most 90: views from opposite sides look along one line; the views' numbers, from 1.

    Raises
    ------
    UsageError
        If there is one view only.

    Examples
    --------
    >>> from photopeak.kernels import Geometry, Grid
    >>> widest_angle(Geometry.around(Grid((8, 8, 8), (4.0, 4.0, 4.0)), (0, 20, 180)))[1:]
    (1, 2)
    """
    if len(geometry.views) < 2:
        raise UsageError("one view has no angle to another; give two or more.")
    lines = [_line(view, geometry) for view in geometry.views]
    angles = [
        (degrees(asin(min(1.0, float(np.linalg.norm(np.cross(first, second)))))), one + 1, two + 1)
        for (one, first), (two, second) in combinations(enumerate(lines), 2)
    ]
    return max(angles, key=lambda found: found[0])


def _line(view: View, geometry: Geometry) -> NDArray[np.float64]:
    """Return the direction of the ray through the middle of the volume."""
    if view.source_mm is None:
        return np.array(view.looking)
    along = np.subtract(geometry.grid.center_mm, view.source_mm)
    length = float(np.linalg.norm(along))
    if length == 0:
        raise UsageError("the focal spot lies in the middle of the volume; correct the geometry.")
    return np.asarray(along / length)


def _checked(image: NDArray[Any], view: View, number: int, *, counts: bool) -> Image:
    found = np.asarray(image)
    if found.dtype.kind not in "biuf":
        raise InputError(f"view {number} holds {found.dtype} values; give real numbers.")
    if found.shape != view.shape:
        raise InputError(
            f"view {number} is an image of {_by(found.shape)} pixels but its geometry has {_by(view.shape)}; "
            "give the image that belongs to it, or correct the geometry."
        )
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(found, np.float32)
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        raise InputError(f"view {number} has {bad} pixel(s) that are no finite number; repair or mask them.")
    lowest = float(values.min())
    if counts and lowest < 0:
        negative = int(np.count_nonzero(values < 0))
        raise InputError(
            f"view {number} has {negative} pixel(s) below zero, the lowest {lowest:g}, which counts cannot be; "
            "give counts before any background was subtracted."
        )
    if counts and float(values.max()) > _MOST_COUNTS:
        raise InputError(
            f"view {number} has a pixel of {values.max():g} counts, more than the {_MOST_COUNTS:g} that any camera collects; "
            "give counts."
        )
    if float(values.max()) <= max(lowest, 0.0):
        raise InputError(f"view {number} shows nothing: its largest value is {values.max():g}; give another image.")
    return values


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "no"


def _pairs(count: int) -> list[tuple[int, int]]:
    """Return which views are compared: all with all, or of many each with two, a quarter of them before and after it."""
    if count <= _MANY:
        return list(combinations(range(count), 2))
    return [(first, (first + count // 4) % count) for first in range(count)]


def _check_directions(geometry: Geometry) -> None:
    angle, one, two = widest_angle(geometry)
    if angle < _SAME_LINE:
        which = f"views {one} and {two}" if len(geometry.views) == 2 else f"all {len(geometry.views)} views"
        raise UsageError(
            f"{which} look along the same line (within {angle:.2f} degrees, or from opposite sides), which leaves depth "
            "unknown; give views from different directions, at best at right angles."
        )
    if angle < _NEARLY_PARALLEL:
        pixel = max(geometry.views[index - 1].pixel_at(geometry.grid.center_mm) for index in (one, two))
        warnings.warn(
            f"views {one} and {two} are only {angle:.1f} degrees apart: expect an error in depth of about "
            f"{pixel / sin(radians(angle)):.2g} mm for one pixel.",
            NearlyParallelWarning,
            stacklevel=3,
        )


def _warn_of_truncation(images: Sequence[Image], geometry: Geometry) -> bool:
    """Warn of each view with something bright at its edge, and return whether there was one."""
    downs = np.array([view.down for view in geometry.views])
    upright = not geometry.cone_beam and bool(np.abs(downs - downs[0]).max() < 1e-6)
    found = False
    for number, image in enumerate(images, start=1):
        cut = {side: share for side, share in _edges(image) if not (upright and side in ("upper", "lower"))}
        if cut and max(cut.values()) > _TRUNCATED:
            side = max(cut, key=lambda name: cut[name])
            warnings.warn(
                f"view {number} is cut off: at its {side} edge something reaches {cut[side]:.0%} of the peak; what lies "
                "outside is missing from the reconstruction, so give a wider view.",
                TruncatedViewWarning,
                stacklevel=3,
            )
            found = True
    return found


def _edges(image: Image) -> Iterator[tuple[str, float]]:
    """Yield each side and its largest value as a share of the image's, both smoothed alike."""
    if min(image.shape) < 4 * _STRIP:
        return
    strips = {
        "upper": image[:_STRIP],
        "lower": image[-_STRIP:],
        "left": image[:, :_STRIP].T,
        "right": image[:, -_STRIP:].T,
    }
    peak = max(float(_smoothed(image[row : row + _STRIP]).max()) for row in range(0, len(image) - _STRIP + 1, _STRIP))
    for side, strip in strips.items():
        yield side, float(_smoothed(strip).max()) / peak if peak > 0 else 0.0


def _smoothed(strip: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.convolve(strip.mean(axis=0, dtype=np.float64), np.full(_ALONG, 1 / _ALONG), mode="valid")


def _check_agreement(agreement: Agreement, one: int, two: int) -> None:
    if not agreement.significant:
        return
    told = (
        f"views {one} and {two} do not show one object: {agreement.measure} (z = {agreement.z_score:.0f}); "
        "check that they belong together, their directions and the table's position"
    )
    if agreement.beyond_doubt:
        raise InputError(f"{told}.")
    warnings.warn(f"{told}, or calibrate them.", InconsistentViewsWarning, stacklevel=3)
