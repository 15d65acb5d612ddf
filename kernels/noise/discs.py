"""Circular regions in millimetres, which count a pixel by the part of it that they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, UsageError
from ..mtf.regions import spacing_of

__all__ = ["Disc", "Region", "Roi", "coverage", "region_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Disc:
    """A circular region of a frame.

    Parameters
    ----------
    center_mm : tuple of float
        Row and column of its centre, from the centre of the first pixel [mm]: index times pixel spacing.
    diameter_mm : float
        Diameter [mm].
    """

    center_mm: tuple[float, float]
    diameter_mm: float

    def __post_init__(self) -> None:
        if (
            not 0 < self.diameter_mm < np.inf
            or np.shape(self.center_mm) != (2,)
            or not np.isfinite(self.center_mm).all()
        ):
            raise UsageError(
                f"a disc of {self.diameter_mm} mm at {self.center_mm} mm is no region; give row and column of its centre, and a diameter above 0."
            )


Roi = Disc | NDArray[Any]


class Region(NamedTuple):
    """The pixels of a region: where its box starts, and how much of each pixel in the box counts, 0 to 1."""

    rows: slice
    columns: slice
    weights: Floats

    def pixels(self, frame: NDArray[Any]) -> Floats:
        """Return the pixels of the box; 0 where they do not count."""
        return np.where(self.weights > 0, frame[self.rows, self.columns], 0.0)

    def mean(self, frame: NDArray[Any]) -> float:
        """Return the mean of the pixels that count, each by its weight."""
        return float((self.weights * self.pixels(frame)).sum() / self.weights.sum())


def region_of(roi: Roi, shape: tuple[int, int], pixel_spacing_mm: float | Sequence[float] | None) -> Region:
    """Return a region of frames of a shape.

    Parameters
    ----------
    roi : Disc or ndarray, shape (rows, columns)
        A circle, or how much each pixel counts: a mask, or weights from 0 to 1.
    shape : tuple of int
        Rows and columns of the frames.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm]; discs need it.

    Raises
    ------
    InputError
        If a mask does not fit the frames or is empty, or a disc reaches beyond them.
    UsageError
        If there is a disc but no spacing.
    """
    if isinstance(roi, Disc):
        return _box_of(roi, shape, _spacing(pixel_spacing_mm))
    if (given := np.asarray(roi)).dtype.kind not in "buif":
        raise InputError(f"a mask of type {given.dtype} is none; give one of booleans or numbers.")
    weights = given.astype(np.float64)
    if weights.shape != shape:
        raise InputError(
            f"a mask of shape {weights.shape} does not fit frames of shape {shape}; give one of their shape."
        )
    if not (weights.min() >= 0 and 0 < weights.max() <= 1):
        raise InputError("a mask holds no pixel, or weights outside of 0 to 1; give at least one pixel.")
    return Region(slice(None), slice(None), weights)


def coverage(disc: Disc, edges_mm: Sequence[ArrayLike]) -> Floats:
    """Return which part of each pixel a disc covers, exactly.

    Parameters
    ----------
    disc : Disc
        The circle.
    edges_mm : tuple of array_like, shapes (rows + 1,) and (columns + 1,)
        Where the pixels begin and the last one ends, along rows and columns [mm].

    Returns
    -------
    ndarray, shape (rows, columns), float64
        From 0 to 1.

    Examples
    --------
    >>> edges = np.arange(-2, 3)
    >>> float(coverage(Disc((0, 0), 4), (edges, edges)).sum().round(12)), round(np.pi * 4, 12)
    (12.566370614359, 12.566370614359)
    """
    radius = disc.diameter_mm / 2
    down, along = (
        np.asarray(edges, np.float64) - center for edges, center in zip(edges_mm, disc.center_mm, strict=True)
    )
    corner = _area_before(along[np.newaxis, :], down[:, np.newaxis], radius)
    pixels = np.multiply.outer(np.diff(down), np.diff(along))
    return np.asarray(np.clip(np.diff(np.diff(corner, axis=0), axis=1) / pixels, 0, 1))


def _area_before(x: Floats, y: Floats, radius: float) -> Floats:
    """Return the area of the part of a disc around 0 that lies left of `x` and below `y`."""
    x, y = np.clip(x, -radius, radius), np.clip(y, -radius, radius)
    # Between -turn and turn the line at y crosses the disc; the chord is cut there.
    turn = np.sqrt(radius**2 - y**2)
    ends = _under_arc(np.minimum(x, -turn), radius) + _under_arc(np.maximum(x, turn), radius)
    ends += _under_arc(np.full_like(turn, radius), radius) - _under_arc(turn, radius)
    cut = ends + abs(y) * (np.clip(x, -turn, turn) + turn)
    half = _under_arc(x, radius) + _under_arc(np.full_like(x, radius), radius)
    return np.asarray(half + np.sign(y) * cut)


def _under_arc(x: Floats, radius: float) -> Floats:
    """Return the area between the upper half of a circle and its diameter, from 0 to `x`."""
    return np.asarray((x * np.sqrt(np.maximum(radius**2 - x**2, 0)) + radius**2 * np.arcsin(x / radius)) / 2)


def _box_of(disc: Disc, shape: tuple[int, int], spacing: tuple[float, float]) -> Region:
    """Return the disc on the pixels that it touches."""
    radius = disc.diameter_mm / 2
    boxes, edges = [], []
    for center, size, step in zip(disc.center_mm, shape, spacing, strict=True):
        low, high = (center - radius) / step, (center + radius) / step
        if low < -0.5 - 1e-9 or high > size - 0.5 + 1e-9:
            raise InputError(
                f"a disc of {disc.diameter_mm} mm at {disc.center_mm} mm reaches beyond frames of shape {shape}; "
                "move it inside."
            )
        box = slice(max(int(np.floor(low + 0.5)), 0), min(int(np.floor(high + 0.5)) + 1, size))
        boxes.append(box)
        edges.append((np.arange(box.start, box.stop + 1) - 0.5) * step)
    return Region(boxes[0], boxes[1], coverage(disc, edges))


def _spacing(given: float | Sequence[float] | None) -> tuple[float, float]:
    if (spacing := spacing_of(given)) is None:
        raise UsageError("discs are in millimetres; give pixel_spacing_mm, or regions as masks.")
    return spacing
