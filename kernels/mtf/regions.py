"""Regions of interest of an image or stack, pixel spacings, and one curve for each region."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..parallel import over
from .curve import Mtf, QualityWarning

__all__ = ["LARGEST", "Region", "Roi", "Spacing", "clipping", "measure_regions", "rois_of", "spacing_of"]

Roi = tuple[tuple[int, int], tuple[int, int]]
Spacing = tuple[float, float]

_CLIPPED = 0.01  # fraction of the pixels that share the greatest value where noise is cut off
_SCATTERED = 0.15  # fraction of those whose neighbour does not share it
LARGEST = 1e60
"""Beyond it, squares and their products overflow."""

_COARSE = 64  # a range of integers in which values repeat by chance


class Region(NamedTuple):
    """One region of one frame.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns), float64
        Its pixels, finite.
    origin : tuple of int
        Row and column of its first pixel in the frame.
    spacing : tuple of float or None
        Row and column spacing [mm].
    integers : bool
        Whether the frame holds integers.
    """

    pixels: NDArray[np.float64]
    origin: tuple[int, int]
    spacing: Spacing | None
    integers: bool

    @property
    def aspect(self) -> Spacing:
        """Row and column spacing in units of :attr:`unit_mm`; 1 and 1 for square pixels."""
        if self.spacing is None:
            return 1.0, 1.0
        unit = self.unit_mm
        assert unit is not None
        return self.spacing[0] / unit, self.spacing[1] / unit

    @property
    def unit_mm(self) -> float | None:
        """Spacing of square pixels of the same area [mm]."""
        return None if self.spacing is None else float(np.sqrt(self.spacing[0] * self.spacing[1]))


def spacing_of(pixel_spacing_mm: float | Sequence[float] | None) -> Spacing | None:
    """Return row and column spacing [mm].

    Raises
    ------
    UsageError
        If it is not one or two positive numbers.
    """
    if pixel_spacing_mm is None:
        return None
    try:
        values = np.atleast_1d(np.asarray(pixel_spacing_mm, np.float64))
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.ndim != 1 or values.size not in (1, 2) or not (np.isfinite(values).all() and (values > 0).all()):
        raise UsageError(f"the pixel spacing is {pixel_spacing_mm}; give one or two positive numbers [mm].")
    return float(values[0]), float(values[-1])


def measure_regions(
    frames: NDArray[Any],
    measure: Callable[[Region], Mtf],
    *,
    pixel_spacing_mm: float | Sequence[float] | None,
    rois: Roi | Sequence[Roi] | None,
    threads: int,
    smallest: int,
) -> Mtf | tuple[Mtf, ...]:
    """Return the curve of one region, or a tuple of them for a stack or a sequence of regions.

    Every region of the first frame comes first, then those of the second.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    measure : callable
        Returns the curve of one region.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm].
    rois : tuple or sequence of tuples, optional
        ``((row0, row1), (column0, column1))``, half-open; the whole frame unless given.
    threads : int
        Most regions to work on side by side.
    smallest : int
        Fewest rows and columns of a region.

    Raises
    ------
    InputError
        If the frames are not images, a region lies outside, is too small or holds values that are not finite.
    UsageError
        If the spacing or the regions make no sense.
    """
    array = np.asarray(frames)
    if array.ndim not in (2, 3) or array.size == 0 or array.dtype.kind not in "uif":
        raise InputError(
            f"an array of shape {array.shape} and type {array.dtype} is no image; "
            "give (rows, columns) or (n, rows, columns) of integers or floats."
        )
    stack = array.reshape(-1, *array.shape[-2:])
    spacing = spacing_of(pixel_spacing_mm)
    one_roi, wanted = rois_of(rois, stack.shape[1:])
    work = [_region(frame, roi, spacing, smallest) for frame in stack for roi in wanted]
    curves = over(measure, work, threads)
    return curves[0] if array.ndim == 2 and one_roi else tuple(curves)


def clipping(region: Region, *, peaked: bool) -> tuple[QualityWarning, ...]:
    """Return a warning if the pixels seem cut off at their greatest value.

    On a plateau, noise that is cut off leaves pixels of exactly the greatest value scattered among others; a peak that is
    cut off has several of them side by side.

    Parameters
    ----------
    region : Region
        What was measured.
    peaked : bool
        Whether the source is a line or point rather than a plateau.
    """
    pixels = region.pixels
    top = pixels == pixels.max()
    if region.integers and np.ptp(pixels) < _COARSE:
        return ()
    if peaked:
        cut = top.sum() > 4 and min(top.sum(axis=0).max(), top.sum(axis=1).max()) > 2
    else:
        alone = top[:, :-1] & ~top[:, 1:]
        cut = top.mean() > _CLIPPED and alone.sum() > _SCATTERED * top.sum()
    if not cut:
        return ()
    sentence = (
        f"{top.sum()} pixels share the greatest value {pixels.max():g}: the image seems clipped, which distorts the curve; "
        "use pixels that were not windowed or saturated."
    )
    return (QualityWarning("clipping", sentence),)


def rois_of(rois: Roi | Sequence[Roi] | None, shape: tuple[int, ...]) -> tuple[bool, list[Roi]]:
    """Return whether one region was asked for, and the regions; the whole frame of a shape unless any are given.

    Raises
    ------
    UsageError
        If they are no pairs of whole numbers.
    """
    if rois is None:
        return True, [((0, shape[0]), (0, shape[1]))]
    try:
        values = np.asarray(rois, np.float64) if len(rois) else np.zeros((0, 2, 2))
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape[-2:] != (2, 2) or values.ndim not in (2, 3) or (np.abs(values) > 1e9).any() or (values % 1).any():
        raise UsageError(
            f"the regions {rois} make no sense; give ((row0, row1), (column0, column1)) in whole pixels, or several of them."
        )
    whole = values.astype(np.int64).reshape(-1, 2, 2).tolist()
    found: list[Roi] = [((r[0], r[1]), (c[0], c[1])) for r, c in whole]
    return values.ndim == 2, found


def _region(frame: NDArray[Any], roi: Roi, spacing: Spacing | None, smallest: int) -> Region:
    (row0, row1), (column0, column1) = roi
    named = f"the region {row0}:{row1},{column0}:{column1}"
    rows, columns = frame.shape
    if row0 < 0 or column0 < 0 or row1 > rows or column1 > columns:
        raise InputError(f"{named} lies outside of the image of {rows} x {columns} pixels; keep it inside.")
    if row1 - row0 < smallest or column1 - column0 < smallest:
        raise InputError(f"{named} is too small; give at least {smallest} x {smallest} pixels.")
    pixels = frame[row0:row1, column0:column1].astype(np.float64, order="C")  # as kernels take them
    if not np.isfinite(pixels).all():
        raise InputError(f"{named} holds values that are not finite; choose another or repair the image.")
    largest = float(np.abs(pixels).max())
    if largest > LARGEST or 0 < largest < 1 / LARGEST:
        raise InputError(f"{named} holds values up to {largest:g}, whose squares cannot be computed; scale them.")
    return Region(pixels, (row0, column0), spacing, frame.dtype.kind in "ui")
