"""Straight things in an image: slanted edges and line sources."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .components import Component, box_mean, components
from .regions import Roi

__all__ = ["edge_regions", "line_regions"]

Floats = NDArray[np.float64]

_DIRECTIONS = 24
_STEEP = 0.3  # gradient of an edge, relative to the steepest
_SLANTS = (1.5, 45.0)  # degrees
_SHORTEST = 16.0  # edge [pixels]
_LONGEST = 128.0  # region along an edge or line [pixels]
_SIDES = (24.0, 18.0, 14.0, 10.0, 7.0)  # pixels beside an edge, tried in turn
_UNEVEN = 0.25  # share of the contrast by which the pixels of a side may differ
_BENT = 0.6  # pixels that an edge may stray from straight
_BRIGHT = 0.25  # of a line, relative to the brightest pixels
_SLENDER = 4.0  # length of a line, relative to its width
_ENDS = 1.5  # widths that are cut off at both ends of a line


class _Bar(NamedTuple):
    """A straight, slender component: middle, half its length along its main axis, slope across, and the axis."""

    along: float
    across: float
    half: float
    slope: float
    upright: bool
    width: float

    def roi(self, middle: float, half: float, sides: float, shape: tuple[int, ...]) -> Roi | None:
        """Return the region around a part of the bar, or None if it leaves the image."""
        centre = self.across + self.slope * (middle - self.along)
        reach = sides + abs(self.slope) * half
        limits = shape if self.upright else shape[::-1]
        first = round(middle - half), round(middle + half) + 1
        second = round(centre - reach), round(centre + reach) + 1
        if first[0] < 0 or second[0] < 0 or first[1] > limits[0] or second[1] > limits[1]:
            return None
        return (first, second) if self.upright else (second, first)

    def continues(self, other: "_Bar") -> bool:
        """Return whether two bars lie on one straight line."""
        if self.upright != other.upright or abs(self.slope - other.slope) > 0.1:
            return False
        return abs(other.across + other.slope * (self.along - other.along) - self.across) < 4


def _bar(part: Component) -> _Bar:
    """Return a slender component as a bar."""
    long, short = part.axes
    if upright := part.rows >= part.columns:
        along, across, slope = part.row, part.column, part.mixed / part.rows
    else:
        along, across, slope = part.column, part.row, part.mixed / part.columns
    half = 0.5 * long * np.sqrt(12) / np.hypot(1, slope)
    return _Bar(along, across, float(half), slope, upright, float(short * np.sqrt(12)))


def edge_regions(image: Floats) -> list[Roi]:
    """Return regions with one slanted edge, those of the most contrast first."""
    smooth = box_mean(box_mean(image, 1), 1)
    down, right = np.gradient(smooth)
    steepness = np.hypot(down, right)
    steep = steepness > _STEEP * np.quantile(steepness, 0.9995)
    angle = np.arctan2(down, right)
    found: list[tuple[float, Roi, _Bar]] = []
    for turn in range(_DIRECTIONS):
        apart = np.abs((angle - 2 * np.pi * turn / _DIRECTIONS + np.pi) % (2 * np.pi) - np.pi)
        for part in components(steep & (apart < 1.2 * np.pi / _DIRECTIONS), int(_SHORTEST)):
            bar = _bar(part)
            slant = float(np.degrees(np.arctan(abs(bar.slope))))
            if 2 * bar.half >= _SHORTEST and 2 * bar.half > 1.5 * bar.width and _SLANTS[0] <= slant <= _SLANTS[1]:
                found.extend(_even_region(image, bar))
    chosen: list[tuple[_Bar, Roi]] = []
    for _, roi, bar in sorted(found, key=lambda item: -item[0]):
        if not any(_overlap(roi, other) > 0.4 or bar.continues(second) for second, other in chosen):
            chosen.append((bar, roi))
    return [roi for _, roi in chosen]


def _even_region(image: Floats, bar: _Bar) -> list[tuple[float, Roi, _Bar]]:
    """Return the widest region around an edge whose sides are even, with its merit."""
    half = min(bar.half - 1.0, _LONGEST / 2)
    for sides in _SIDES:
        roi = bar.roi(bar.along, half, sides, image.shape)
        if roi is None:
            continue
        (row0, row1), (column0, column1) = roi
        pixels = image[row0:row1, column0:column1]
        pixels = pixels if bar.upright else pixels.T
        first = column0 if bar.upright else row0
        start = row0 if bar.upright else column0
        along, across = np.arange(pixels.shape[0])[:, None] + start, np.arange(pixels.shape[1]) + first
        distance = across - bar.across - bar.slope * (along - bar.along)
        near = min(4.0, 0.5 * sides)
        left, right = pixels[distance < -near], pixels[distance > near]
        contrast = abs(float(np.median(left) - np.median(right)))
        uneven = max(_tilt(pixels, distance, sign * near) for sign in (-1.0, 1.0))
        noise = max(float(left.std()), float(right.std()))
        if uneven < _UNEVEN * contrast and noise < contrast and _bend(pixels, distance, sides) < _BENT:
            return [(contrast / (noise + 0.01 * contrast) * np.sqrt(half), roi, bar)]
    return []


def _tilt(pixels: Floats, distance: Floats, near: float) -> float:
    """Return how far the means of four parts of a side lie apart."""
    side = distance < near if near < 0 else distance > near
    rows = np.array_split(np.arange(len(pixels)), 2)
    middle = np.median(distance[side])
    parts = [
        pixels[rows_of][part]
        for rows_of in rows
        for part in (side[rows_of] & (distance[rows_of] < middle), side[rows_of] & (distance[rows_of] >= middle))
    ]
    means = [float(part.mean()) for part in parts if part.size]
    return max(means) - min(means)


def _bend(pixels: Floats, distance: Floats, sides: float) -> float:
    """Return how far the middle of an edge strays from the straight line between its ends [pixels]."""
    steps = np.diff(box_mean(pixels, 2), axis=1)
    near = (np.abs(distance[:, 1:]) < 0.7 * sides) * steps
    place = (near * distance[:, 1:]).sum(axis=1) / np.where(near.sum(axis=1) == 0, 1.0, near.sum(axis=1))
    ends, middle = (
        np.r_[place[: len(place) // 4], place[-(len(place) // 4) :]],
        place[len(place) // 3 : -(len(place) // 3)],
    )
    return abs(float(np.median(middle) - np.median(ends)))


def _overlap(one: Roi, other: Roi) -> float:
    """Return the share of the smaller region that two have in common."""
    common = 1.0
    areas = [1.0, 1.0]
    for (a0, a1), (b0, b1) in zip(one, other, strict=True):
        common *= max(0, min(a1, b1) - max(a0, b0))
        areas[0] *= a1 - a0
        areas[1] *= b1 - b0
    return common / min(areas)


def line_regions(image: Floats) -> list[Roi]:
    """Return regions with one line source each, without its ends, those of the longest lines first."""
    smooth = box_mean(image, 1)
    floor = float(np.median(smooth))
    mask = smooth - floor > _BRIGHT * (np.quantile(smooth, 0.998) - floor)
    bars = []
    for part in components(mask, 12):
        long, short = part.axes
        if long > _SLENDER * short:
            bars.append(_bar(part))
    bars.sort(key=lambda bar: -bar.half)
    return [roi for bar in bars for roi in _pieces(bar, bars, image.shape)]


def _pieces(bar: _Bar, bars: list[_Bar], shape: tuple[int, ...]) -> list[Roi]:
    """Return regions that cover a line without its ends, none much longer than wide where the line is oblique."""
    length = 2 * (bar.half - _ENDS * bar.width)
    sides = max(12.0, 4 * bar.width)
    for other in bars:
        if other is not bar and other.upright == bar.upright and abs(other.along - bar.along) < other.half + bar.half:
            apart = abs(other.across + other.slope * (bar.along - other.along) - bar.across)
            sides = min(sides, 0.55 * apart)
    ends = bar.across + bar.slope * 0.5 * length, bar.across - bar.slope * 0.5 * length
    sides = min(sides, min(ends) - 1, shape[1 if bar.upright else 0] - 2 - max(ends))
    if length < 10 or sides < 5:
        return []
    longest = min(_LONGEST, 4 * sides / max(abs(bar.slope), 0.01))
    count = int(np.ceil(length / longest))
    half = 0.5 * length / count
    middles = bar.along - 0.5 * length + half * (2 * np.arange(count) + 1)
    rois = (bar.roi(float(middle), half - 0.5, sides, shape) for middle in middles)
    return [roi for roi in rois if roi is not None]
