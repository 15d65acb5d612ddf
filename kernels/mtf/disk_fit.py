"""Where a disk is, and the profile of its edge: fitted together to its pixels."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled
from ..errors import InputError
from .components import Component, box_mean, components
from .regions import Region
from .residuals import solve_symmetric
from .smoothing import Curve, Samples, fit_curve
from .splines import STEP, basis

__all__ = ["Annulus", "Disk", "first_guess", "fit_disk", "half_width", "reach_of"]

Floats = NDArray[np.float64]

_ROUNDS = 6
_CLOSE = 2e-4  # pixels: a centre that moves less than this is found
_SURE = 0.1  # so is one that moves by less than this share of what its noise does
_FIRST_WIDTH = 1.5
_ROUND, _FILLED = 0.6, 0.15  # least ratio of the axes, most deviation from a filled ellipse


@dataclass(frozen=True)
class Disk:
    """Centre and radius in pixels of equal sides, and the slope of the surroundings."""

    x: float
    y: float
    radius: float
    slope_x: float = 0.0
    slope_y: float = 0.0


@dataclass(frozen=True)
class Annulus:
    """The pixels around an edge: directions from the centre, distances from the edge, values less the slope, and which they are."""

    cosine: Floats
    sine: Floats
    distance: Floats
    value: Floats
    within: NDArray[np.bool_]

    @property
    def span(self) -> tuple[float, float]:
        """Least and greatest distance."""
        return float(self.distance.min()), float(self.distance.max())


def first_guess(region: Region) -> tuple[Disk, int]:
    """Return the disk that the pixels beyond half of the contrast form, and how many other things are as bright."""
    pixels = region.pixels
    border = np.concatenate((pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]))
    smooth = box_mean(pixels, max(1, min(pixels.shape) // 40)) - np.median(border)
    peak = smooth.flat[np.argmax(np.abs(smooth))]
    if peak:
        # The brightest pixel of a noisy disk lies above its plateau.
        bright = smooth * (1 / peak) > 0.5
        peak = smooth[bright].mean()
    parts = components(smooth * (1 / peak) > 0.5, 12) if peak else []
    rows, columns = region.aspect
    if not parts or not _is_round(part := parts[0], region):
        raise _no_disk(region)
    radius = float(np.sqrt(part.area * rows * columns / np.pi))
    return Disk(part.column * columns, part.row * rows, radius), len(parts) - 1


def _no_disk(region: Region) -> InputError:
    (row, column), (height, width) = region.origin, region.pixels.shape
    return InputError(
        f"no disk was found in the region {row}:{row + height},{column}:{column + width}; "
        "give a region that holds one disk and some of its surroundings on all sides."
    )


def _is_round(part: Component, region: Region) -> bool:
    """Return whether a component may be a disk whose edge lies in the region on all sides."""
    long, short = part.scaled(region.aspect).axes
    (row0, row1), (column0, column1) = part.box
    height, width = region.pixels.shape
    inside = row0 > 0 and column0 > 0 and row1 < height and column1 < width
    return inside and short > _ROUND * long and abs(part.filling - 1) < _FILLED


def _annulus(region: Region, disk: Disk) -> Annulus:
    """Return the pixels of the largest circle around the disk that lies in the region."""
    rows, columns = region.aspect
    gathered, within = np.empty((4, region.pixels.size)), np.zeros(region.pixels.shape, np.bool_)
    where = np.array([disk.x, disk.y, disk.radius, disk.slope_x, disk.slope_y, columns, rows])
    count = _gather(region.pixels, where, reach_of(region, disk), gathered, within)
    cosine, sine, distance, value = gathered[:, :count]
    return Annulus(cosine, sine, distance, value, within)


@compiled("(float64[:, ::1], float64[::1], float64, float64[:, ::1], boolean[:, ::1])")
def _gather(pixels: Floats, where: Floats, reach: float, out: Floats, within: NDArray[np.bool_]) -> int:
    """Fill directions, distances and values of the pixels within reach; return how many there are."""
    count = 0
    for row in range(pixels.shape[0]):
        y = row * where[6] - where[1]
        for column in range(pixels.shape[1]):
            x = column * where[5] - where[0]
            radius = np.sqrt(x * x + y * y)
            if radius <= reach:
                within[row, column] = True
                safe = max(radius, 1e-9)
                out[0, count], out[1, count] = x / safe, y / safe
                out[2, count] = radius - where[2]
                out[3, count] = pixels[row, column] - where[3] * x - where[4] * y
                count += 1
    return count


def reach_of(region: Region, disk: Disk) -> float:
    """Return the radius of the largest circle around the disk that lies in the region."""
    rows, columns = region.aspect
    height, width = region.pixels.shape
    return float(min(disk.x, disk.y, (width - 1) * columns - disk.x, (height - 1) * rows - disk.y))


def fit_disk(region: Region, disk: Disk) -> tuple[Disk, Annulus, Curve]:
    """Return centre, slope and profile: each round fits the profile, then moves centre and slope to what is left."""
    width, near = _FIRST_WIDTH, None
    for turn in range(_ROUNDS):
        annulus = _annulus(region, disk)
        ones = np.ones_like(annulus.value)
        curve = fit_curve(Samples(annulus.distance, annulus.value, ones, ones), annulus.span, width, near, finest=1.0)
        if turn == 0:
            disk, width = replace(disk, radius=disk.radius + _middle(curve)), half_width(curve)
        else:
            near = curve.penalty
        moves, doubt = _moves(annulus, curve, disk.radius)
        if turn and np.abs(moves[:2]).max() < max(_CLOSE, _SURE * doubt):
            break
        x, y = disk.x + np.clip(moves[0], -2.0, 2.0), disk.y + np.clip(moves[1], -2.0, 2.0)
        disk = replace(disk, x=x, y=y, slope_x=disk.slope_x + moves[2], slope_y=disk.slope_y + moves[3])
        if not (disk.radius > 1 and reach_of(region, disk) > disk.radius + 1):
            raise _no_disk(region)
    return disk, annulus, curve


def _moves(annulus: Annulus, curve: Curve, radius: float) -> tuple[Floats, float]:
    """Return how centre and slope must change to explain what the profile leaves, and how unsure noise makes the centre."""
    sums = np.zeros((5, 5))
    _normal(
        annulus.cosine, annulus.sine, annulus.distance, annulus.value, curve.start, curve.coefficients, radius, sums
    )
    noise = np.sqrt(sums[4, 4] / len(annulus.value))
    return solve_symmetric(sums[:4, :4], sums[4, :4]), float(noise / np.sqrt(max(sums[0, 0], 1e-300)))


@compiled("(float64[::1], float64[::1], float64[::1], float64[::1], float64, float64[::1], float64, float64[:, ::1])")
def _normal(
    cosine: Floats, sine: Floats, distance: Floats, value: Floats, start: float, coefficients: Floats, radius: float,
    sums: Floats,
) -> None:  # fmt: skip
    """Fill the products of the columns of centre and slope, and of what is left, with each other."""
    last = coefficients.size - 2.0 - 1e-9
    xx = xy = yy = rx = ry = sx = sy = ss = left = 0.0
    g_x = g_y = r_x = r_y = r_xy = 0.0
    for i in range(distance.size):
        position = min(max((distance[i] - start) / STEP, 1.0), last)
        k, t, b0, b1, b2, b3 = basis(position)
        c0, c1, c2, c3 = coefficients[k], coefficients[k + 1], coefficients[k + 2], coefficients[k + 3]
        s = 1.0 - t
        rest = value[i] - (b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3)
        slope = -(0.5 * s * s * (c1 - c0) + (0.5 + s * t) * (c2 - c1) + 0.5 * t * t * (c3 - c2)) / STEP
        far = distance[i] + radius
        x, y = cosine[i], sine[i]
        xx += slope * slope * x * x
        xy += slope * slope * x * y
        yy += slope * slope * y * y
        rx += slope * far * x * x
        ry += slope * far * y * y
        r_xy += slope * far * x * y
        sx += far * far * x * x
        sy += far * far * y * y
        ss += far * far * x * y
        g_x += rest * slope * x
        g_y += rest * slope * y
        r_x += rest * far * x
        r_y += rest * far * y
        left += rest * rest
    sums[0, 0], sums[0, 1], sums[0, 2], sums[0, 3] = xx, xy, rx, r_xy
    sums[1, 0], sums[1, 1], sums[1, 2], sums[1, 3] = xy, yy, r_xy, ry
    sums[2, 0], sums[2, 1], sums[2, 2], sums[2, 3] = rx, r_xy, sx, ss
    sums[3, 0], sums[3, 1], sums[3, 2], sums[3, 3] = r_xy, ry, ss, sy
    sums[4, 0], sums[4, 1], sums[4, 2], sums[4, 3], sums[4, 4] = g_x, g_y, r_x, r_y, left


def _crossings(curve: Curve, shares: Floats) -> Floats:
    """Return where the profile has gone these shares of the way from its first to its last value [pixels]."""
    at = np.arange(curve.knots[1], curve.knots[-2] + 1e-9, STEP / 4)
    value, _ = curve.at(at)
    count = max(1, len(at) // 10)
    first, last = value[:count].mean(), value[-count:].mean()
    # Ripples of the plateaus do not count.
    share = np.maximum.accumulate((value - first) / (last - first or 1.0))
    return np.interp(shares, share, at)


def _middle(curve: Curve) -> float:
    """Return where the profile is half way [pixels]."""
    return float(_crossings(curve, np.array([0.5]))[0])


def half_width(curve: Curve) -> float:
    """Return half of the distance in which the profile goes from a tenth to nine tenths of its way [pixels]."""
    low, high = _crossings(curve, np.array([0.1, 0.9]))
    return float(np.clip(0.5 * (high - low), 0.4, 20.0))
