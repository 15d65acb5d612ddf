"""Regions that hold something whose MTF can be measured: slanted edges, disks, line sources and point sources."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .components import Component, box_mean, components
from .curve import Mtf
from .disk import disk_mtf
from .line import line_mtf
from .point import point_mtf
from .regions import LARGEST, Region, Roi, spacing_of
from .straight import edge_regions, line_regions

__all__ = ["find_rois"]

Floats = NDArray[np.float64]
Method = Literal["edge", "disk", "line", "point"]

_SMALLEST = 24  # rows and columns of an image that is searched
_LEVELS = 16
_ROUND, _FILLED = 0.8, 0.12
_LEAST_RADIUS = 4.0
_MARGINS = (6.0, 24.0)  # least and most surroundings of a disk that are looked for [pixels]
_UNLIKE = 0.3  # share of the contrast by which a sector of the surroundings may differ
_UNSURE = {"low-snr", "several-sources", "off-centre"}
_FAINTEST = 0.2  # of a point source, relative to the brightest


def find_rois(
    frame: NDArray[Any], method: Method, *, pixel_spacing_mm: float | Sequence[float] | None = None, most: int = 32
) -> tuple[Roi, ...]:
    """Return regions of an image that an MTF can be measured in.

    Parameters
    ----------
    frame : ndarray, shape (rows, columns)
        Integers or floats.
    method : str
        What to look for:

        * ``edge``: straight edges between two even areas, slanted by 1.5 to 45 degrees against the pixels;
        * ``disk``: disks brighter or darker than their surroundings (inserts, cylinders, dishes) of a radius of at least
          4 pixels;
        * ``line``: line sources, each cut into pieces without its ends;
        * ``point``: round sources that are small beside the image.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm]: what is round in mm is a disk or a point. Pixels are taken as square if not given.
    most : int
        Most regions to return.

    Returns
    -------
    tuple of Roi
        ``((row0, row1), (column0, column1))``, half-open, the clearest first; empty if nothing was found. They suit the
        `rois` of ``edge_mtf``, ``disk_mtf``, ``line_mtf`` and ``point_mtf``.

    Raises
    ------
    InputError
        If the frame is no image, is too small or holds values that are not finite.
    UsageError
        If there is no such method, the spacing makes no sense, or no region may be returned.

    Examples
    --------
    >>> row, column = np.mgrid[:96, :96]
    >>> find_rois(100.0 * (np.hypot(row - 40, column - 50) < 15), "disk")
    (((8, 73), (18, 83)),)
    """
    finders: dict[str, Callable[[Region], Iterable[Roi]]] = {
        "edge": _edges,
        "disk": _disks,
        "line": _lines,
        "point": _points,
    }
    if not isinstance(method, str) or method not in finders:
        raise UsageError(f"there is no method {method!r}; use edge, disk, line or point.")
    if not isinstance(most, int | np.integer) or most < 1:
        raise UsageError(f"most is {most}; use a whole number from 1.")
    spacing = spacing_of(pixel_spacing_mm)
    pixels = np.asarray(frame)
    if pixels.ndim != 2 or pixels.dtype.kind not in "uif":
        raise InputError(f"an array of shape {pixels.shape} and type {pixels.dtype} is no image; give (rows, columns).")
    if min(pixels.shape) < _SMALLEST:
        raise InputError(
            f"an image of {pixels.shape[0]} x {pixels.shape[1]} pixels is too small; {_SMALLEST} are needed."
        )
    image = pixels.astype(np.float64)
    if not np.isfinite(image).all():
        raise InputError("the image holds values that are not finite; repair it or cut them off.")
    if (largest := float(np.abs(image).max())) > LARGEST:
        raise InputError(f"the image holds values up to {largest:g}, whose squares cannot be computed; scale them.")
    return tuple(finders[method](Region(image, (0, 0), spacing, pixels.dtype.kind in "ui")))[:most]


def _edges(scene: Region) -> list[Roi]:
    """Return the regions of slanted edges; it is the slant against the pixels that counts, whatever their shape."""
    return edge_regions(scene.pixels)


class _Disk(NamedTuple):
    """A disk that was measured: how clear it is, where it lies, how large it is, and its region."""

    merit: float
    row: float
    column: float
    radius: float
    roi: Roi

    def is_same(self, other: "_Disk") -> bool:
        """Return whether two are one disk seen at two levels."""
        apart = np.hypot(self.row - other.row, self.column - other.column)
        return bool(apart < 0.5 * self.radius and 0.6 < self.radius / other.radius < 1.7)


def _disks(scene: Region) -> list[Roi]:
    """Return regions around disks, those of the greatest contrast to noise first."""
    tried: set[Roi] = set()
    found: list[_Disk] = []
    smooth = box_mean(scene.pixels, 1)
    for mask in _slices(smooth):
        for part in components(mask, int(np.pi * _LEAST_RADIUS**2)):
            roi = _with_surroundings(smooth, part, scene.aspect) if _is_disk(part, scene) else None
            if roi is not None and roi not in tried:
                tried.add(roi)
                found.extend(_measured(scene, roi))
    chosen: list[_Disk] = []
    for disk in sorted(found, key=lambda disk: -disk.merit):
        if not any(disk.is_same(other) for other in chosen):
            chosen.append(disk)
    return [disk.roi for disk in chosen]


def _measured(scene: Region, roi: Roi) -> list[_Disk]:
    """Return the disk in a region if it can be measured without doubt."""
    try:
        mtf = disk_mtf(scene.pixels, rois=roi, pixel_spacing_mm=scene.spacing)
    except InputError:
        return []
    assert isinstance(mtf, Mtf)
    codes = {warning.code for warning in mtf.warnings}
    merit = mtf.details["cnr"] * np.sqrt(mtf.details["radius"]) * (0.5 if "truncated-tails" in codes else 1.0)
    # The noise of what hardly differs from its surroundings looks like a disk at some level.
    row, column = mtf.details["centre"]
    return [] if codes & _UNSURE else [_Disk(float(merit), row, column, mtf.details["radius"], roi)]


def _slices(smooth: Floats) -> Iterable[NDArray[np.bool_]]:
    """Yield what lies above, and what lies below, levels that are even in value or in number of pixels."""
    low, high = np.quantile(smooth, (0.0005, 0.9995))
    steps = (np.arange(_LEVELS) + 0.5) / _LEVELS
    for level in np.concatenate((low + (high - low) * steps[::-1], np.quantile(smooth, steps))):
        yield smooth > level
        yield smooth < level


def _is_disk(part: Component, scene: Region) -> bool:
    """Return whether a component is round, filled and away from the border."""
    long, short = part.scaled(scene.aspect).axes
    (row0, row1), (column0, column1) = part.box
    shape = scene.pixels.shape
    free = row0 > 1 and column0 > 1 and row1 < shape[0] - 1 and column1 < shape[1] - 1
    return free and short > _ROUND * long and abs(part.filling - 1) < _FILLED


def _with_surroundings(smooth: Floats, part: Component, aspect: tuple[float, float]) -> Roi | None:
    """Return the square around a disk with as much of its surroundings as are alike all around."""
    (high, wide), (height, width) = aspect, smooth.shape
    radius = float(np.sqrt(part.area * high * wide / np.pi))
    rows, columns = min(part.row, height - 1 - part.row), min(part.column, width - 1 - part.column)
    room = min(rows * high, columns * wide) - radius
    margin = min(max(radius, _MARGINS[0]), _MARGINS[1], room)
    angles = np.linspace(0, 2 * np.pi, 8 * max(8, int(radius)), endpoint=False)

    def ring(at: float) -> Floats:
        rows = np.rint(part.row + at / high * np.sin(angles))
        columns = np.rint(part.column + at / wide * np.cos(angles))
        return np.asarray(smooth[rows.astype(int), columns.astype(int)].reshape(8, -1).mean(axis=1), np.float64)

    clear = min(3.0, margin)
    inside, outside = np.median(ring(0.5 * radius)), np.median(ring(radius + clear))
    contrast = abs(inside - outside)
    while clear + 1 <= margin and np.abs((sectors := ring(radius + clear + 1)) - np.median(sectors)).max() < (
        _UNLIKE * contrast
    ):
        clear += 1
    if clear < 0.5 * _MARGINS[0]:
        return None
    return _square((part.row, part.column), radius + clear, smooth.shape, aspect)


def _square(place: tuple[float, float], half: float, shape: tuple[int, ...], aspect: tuple[float, float]) -> Roi:
    """Return the square of a half side around a place, as far as it lies in the image."""
    (row, column), (down, along) = place, (half / side for side in aspect)
    rows = max(0, round(row - down)), min(shape[0], round(row + down) + 1)
    columns = max(0, round(column - along)), min(shape[1], round(column + along) + 1)
    return rows, columns


def _lines(scene: Region) -> list[Roi]:
    """Return the regions of line sources that can be measured, the longest lines first."""
    return [roi for roi in line_regions(scene.pixels) if _is_clear(line_mtf, scene, roi)]


def _is_clear(measure: Callable[..., Mtf | tuple[Mtf, ...]], scene: Region, roi: Roi) -> bool:
    """Return whether a region can be measured without doubt."""
    try:
        mtf = measure(scene.pixels, rois=roi, pixel_spacing_mm=scene.spacing)
    except InputError:
        return False
    assert isinstance(mtf, Mtf)
    return not {warning.code for warning in mtf.warnings} & _UNSURE


def _points(scene: Region) -> list[Roi]:
    """Return regions around small round sources, the brightest first."""
    image, (high, wide) = scene.pixels, scene.aspect
    smooth = box_mean(image, 1)
    floor = float(np.median(smooth))
    left = smooth - floor
    brightest = float(left.max())
    places: list[tuple[float, float, float]] = []
    for _ in range(64):
        top = int(left.argmax())
        peak = float(left.flat[top])
        if peak <= _FAINTEST * brightest or peak <= 0:
            break
        part = _around(components(left > 0.5 * peak), divmod(top, image.shape[1]))
        (row0, row1), (column0, column1) = part.box
        left[max(0, row0 - 2) : row1 + 2, max(0, column0 - 2) : column1 + 2] = 0
        long, short = part.scaled(scene.aspect).axes
        width = 2 * float(np.sqrt(part.area * high * wide / np.pi))
        smallest = min(image.shape[0] * high, image.shape[1] * wide)
        if short > 0.6 * long and abs(part.filling - 1) < 0.25 and width < smallest / 8:
            places.append((part.row * high, part.column * wide, width))
    rois = [
        _square((place[0] / high, place[1] / wide), _room(place, places), image.shape, scene.aspect) for place in places
    ]
    return [roi for roi in rois if _is_clear(point_mtf, scene, roi)]


def _around(parts: list[Component], place: tuple[int, int]) -> Component:
    """Return the component whose box holds a place; the smallest if several do."""

    def holds(part: Component) -> bool:
        return all(low <= at < high for at, (low, high) in zip(place, part.box, strict=True))

    return [part for part in parts if holds(part)][-1]


def _room(place: tuple[float, float, float], places: list[tuple[float, float, float]]) -> float:
    """Return half the side of the region around a source: wide enough for its tails, but without the next source."""
    row, column, width = place
    others = [np.hypot(row - r, column - c) for r, c, _ in places if (r, c) != (row, column)]
    return float(min([max(8.0, np.ceil(3.5 * width)), *(0.6 * apart for apart in others)]))
