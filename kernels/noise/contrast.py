"""Contrast recovery, background variability and contrast-to-noise ratio of hot and cold spheres, as NEMA NU 2 has them.

The phantom has six spheres whose centres lie in one slice. In that slice, and in those nearest to 10 mm and 20 mm on
either side of it, twelve circles of the size of a sphere are placed in the background: sixty regions for each sphere.
"""

from collections.abc import Sequence
from math import copysign, inf, nan, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, UsageError
from ..iqa.intensity import check_frames
from ..parallel import over
from .discs import Disc, Region, Roi, region_of

__all__ = ["SPHERE_DIAMETERS_MM", "Disc", "background_slices", "background_variability", "cnr", "contrast_recovery"]

SPHERE_DIAMETERS_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
_OFFSETS_MM = (-20.0, -10.0, 0.0, 10.0, 20.0)

Spacing = float | Sequence[float] | None


def contrast_recovery(
    frames: NDArray[Any],
    *,
    sphere: Roi,
    background: Sequence[Roi],
    activity_ratio: float,
    sphere_frame: int | None = None,
    pixel_spacing_mm: Spacing = None,
    threads: int = 1,
) -> float:
    """Return the percentage of a sphere's contrast that the image shows: (C/C_B - 1) / (a/a_B - 1) * 100 %.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        The slice through the centres of the spheres, or all slices that background regions are placed in.
    sphere : Disc or ndarray, shape (rows, columns)
        The region of the sphere: a disc of its inner diameter, or a mask.
    background : sequence of Disc or ndarray
        The regions of the background, of the same size; each is taken in every slice.
    activity_ratio : float
        Activity concentration in the sphere over that in the background; 0 for a cold sphere, which makes the formula
        (1 - C/C_B) * 100 %.
    sphere_frame : int, optional
        The slice through the centre of the sphere; the middle one if not given.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm]; needed by discs.
    threads : int
        Most frames to work on side by side.

    Raises
    ------
    InputError
        If the arrays are not images, a region does not fit them, or the background has a mean of 0.
    UsageError
        If the ratio is 1 or negative, there is no background, or discs lack a pixel spacing.

    References
    ----------
    * NEMA NU 2-2018 and NEMA NU 2-2012, section 7 (image quality).

    Examples
    --------
    >>> image = np.ones((64, 64))
    >>> image[30:35, 30:35] = 3
    >>> regions = {"sphere": Disc((64, 64), 6.0), "background": [Disc((20, 20), 6.0), Disc((20, 100), 6.0)]}
    >>> round(contrast_recovery(image, **regions, activity_ratio=4, pixel_spacing_mm=2), 6)
    66.666667
    """
    if not 0 <= activity_ratio < np.inf or activity_ratio == 1:
        raise UsageError(f"activity_ratio is {activity_ratio}; give a number above 0 other than 1, or 0 for cold.")
    stack = check_frames(frames)
    inside = _sphere_mean(stack, sphere, sphere_frame, pixel_spacing_mm)
    outside = _nonzero(_background_means(stack, background, pixel_spacing_mm, threads).mean())
    return float((inside / outside - 1) / (activity_ratio - 1) * 100)


def background_variability(
    frames: NDArray[Any], *, background: Sequence[Roi], pixel_spacing_mm: Spacing = None, threads: int = 1
) -> float:
    """Return the deviation of the means of background regions as a percentage of their mean: SD / C_B * 100 %.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        The slices that the regions are placed in; see :func:`background_slices`.
    background : sequence of Disc or ndarray, shape (rows, columns)
        The regions: discs of the diameter of a sphere, or masks. Each is taken in every slice; the standard has twelve
        in each of five slices.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm]; needed by discs.
    threads : int
        Most frames to work on side by side.

    Raises
    ------
    InputError
        If the arrays are not images, a region does not fit them, or the background has a mean of 0.
    UsageError
        If there are not at least two means, or discs lack a pixel spacing.

    References
    ----------
    * NEMA NU 2-2018 and NEMA NU 2-2012, section 7 (image quality).

    Examples
    --------
    >>> image = np.repeat([[9.0], [11.0]], 8, axis=0).repeat(16, axis=1)
    >>> upper = np.arange(16)[:, np.newaxis] < np.full(16, 8)
    >>> round(background_variability(image, background=[upper, ~upper]), 6)
    14.142136
    """
    means = _background_means(check_frames(frames), background, pixel_spacing_mm, threads)
    return float(_deviation(means) / _nonzero(means.mean()) * 100)


def cnr(
    frames: NDArray[Any],
    *,
    sphere: Roi,
    background: Sequence[Roi],
    noise: Literal["regions", "pixels"] = "regions",
    sphere_frame: int | None = None,
    pixel_spacing_mm: Spacing = None,
    threads: int = 1,
) -> float:
    """Return the contrast-to-noise ratio of a sphere: (C - C_B) / SD, negative if it is cold.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        The slice through the centres of the spheres, or all slices that background regions are placed in.
    sphere : Disc or ndarray, shape (rows, columns)
        The region of the sphere.
    background : sequence of Disc or ndarray
        The regions of the background; each is taken in every slice.
    noise : str
        What the deviation is that of: the means of the background ``regions``, as in the variability of NEMA NU 2, so
        that noise counts at the scale of the sphere; or all background ``pixels``.
    sphere_frame : int, optional
        The slice through the centre of the sphere; the middle one if not given.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm]; needed by discs.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    float
        Infinite, or NaN if there is no contrast either, where the background does not vary.

    Raises
    ------
    InputError
        If the arrays are not images, or a region does not fit them.
    UsageError
        If there is no background, or with ``regions`` just one mean, or discs lack a pixel spacing.

    Examples
    --------
    >>> image = np.repeat([[9.0], [11.0]], 8, axis=0).repeat(16, axis=1)
    >>> image[6:10, 6:10] = 20
    >>> hot, left = image == 20, np.arange(16) < np.full((16, 1), 4)
    >>> cnr(image, sphere=hot, background=[left], noise="pixels")
    10.0
    """
    if noise not in ("regions", "pixels"):
        raise UsageError(f"there is no noise {noise!r}; use regions or pixels.")
    stack = check_frames(frames)
    means = _background_means(stack, background, pixel_spacing_mm, threads)
    contrast = _sphere_mean(stack, sphere, sphere_frame, pixel_spacing_mm) - means.mean()
    if noise == "regions":
        deviation = _deviation(means)
    else:
        deviation = _pixel_deviation(stack, _regions(stack, background, pixel_spacing_mm))
    if deviation == 0:
        return copysign(inf, contrast) if contrast else nan
    return float(contrast / deviation)


def background_slices(positions_mm: ArrayLike, center_mm: float) -> tuple[int, ...]:
    """Return the slices nearest to the centre of the spheres, and to 10 mm and 20 mm on either side of it.

    Parameters
    ----------
    positions_mm : array_like, shape (n,)
        Where the slices lie along the axis [mm].
    center_mm : float
        Where the centres of the spheres lie [mm].

    Raises
    ------
    InputError
        If the slices do not reach 20 mm to either side.

    Examples
    --------
    >>> background_slices(np.arange(0, 60, 3.0), 30)
    (3, 7, 10, 13, 17)
    """
    positions = np.asarray(positions_mm, np.float64)
    if positions.ndim != 1 or not positions.size or not np.isfinite(positions).all():
        raise InputError(
            f"the positions {positions_mm!r} are no list of places along the axis; give one per slice [mm]."
        )
    step = np.ptp(positions) / max(len(positions) - 1, 1)
    wanted = np.add(_OFFSETS_MM, center_mm)
    if wanted[0] < positions.min() - step / 2 or wanted[-1] > positions.max() + step / 2:
        raise InputError(
            f"slices from {positions.min():g} mm to {positions.max():g} mm do not reach 20 mm on either side of "
            f"{center_mm:g} mm; give those around the spheres."
        )
    return tuple(int(abs(positions - position).argmin()) for position in wanted)


def _sphere_mean(stack: NDArray[Any], sphere: Roi, index: int | None, spacing: Spacing) -> float:
    """Return the mean of the sphere in its slice."""
    index = len(stack) // 2 if index is None else index
    if not 0 <= index < len(stack):
        raise UsageError(f"sphere_frame is {index}, but there are frames 0 to {len(stack) - 1}; choose one of these.")
    return _finite(np.float64(region_of(sphere, stack.shape[1:], spacing).mean(stack[index])))


def _regions(stack: NDArray[Any], background: Sequence[Roi], spacing: Spacing) -> list[Region]:
    if isinstance(background, Disc) or background is None or not len(background):
        raise UsageError("there is no list of background regions; give at least one in a list.")
    return [region_of(roi, stack.shape[1:], spacing) for roi in background]


def _background_means(
    stack: NDArray[Any], background: Sequence[Roi], spacing: Spacing, threads: int
) -> NDArray[np.float64]:
    """Return the mean of each region in each slice."""
    regions = _regions(stack, background, spacing)
    means = np.array(over(lambda frame: [region.mean(frame) for region in regions], stack, threads))
    _finite(means.sum())
    return means.ravel()


def _deviation(means: NDArray[np.float64]) -> float:
    if means.size < 2:
        raise UsageError("one background region in one slice does not vary; give more.")
    return float(means.std(ddof=1))


def _pixel_deviation(stack: NDArray[Any], regions: list[Region]) -> float:
    """Return the standard deviation of all pixels of the regions, each by its weight."""
    weights = np.concatenate([region.weights.ravel() for _ in stack for region in regions])
    pixels = np.concatenate([region.pixels(frame).ravel() for frame in stack for region in regions])
    mean = (weights * pixels).sum() / weights.sum()
    return sqrt((weights * (pixels - mean) ** 2).sum() / weights.sum())


def _finite(value: Any) -> float:
    if not np.isfinite(value):
        raise InputError("a region holds pixels that are not finite; choose regions without them.")
    return float(value)


def _nonzero(mean: Any) -> float:
    if mean == 0:
        raise InputError("the background has a mean of 0, which nothing can be compared with; move its regions.")
    return float(mean)
