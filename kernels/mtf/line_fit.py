"""Where a line source is, how intense it is along its length, and the profile across it: fitted together to its pixels."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .components import box_mean
from .residuals import noise_correlation, solve_normal, straight_line
from .smoothing import Curve, Samples, fit_curve
from .splines import STEP
from .widths import width_at

__all__ = ["TAIL", "Line", "LineFit", "LineImage", "first_guess", "fit_line", "half_width", "without_background"]

Floats = NDArray[np.float64]

TAIL = 0.1
"""Share of the profile at each end that the baseline goes through."""

_ROUNDS = 8
_CLOSE = 1e-4  # pixels that the ends of the line move by when it is found
_SURE = 0.1  # or by less than this share of what its noise does
_FIRST_WIDTH = 2.0
_BESIDE = 0.05  # share of the maximum below which a pixel is beside the line
_FLOOR = 0.002  # least variance beside the line, relative to that of its maximum
_NEAR = 6.0  # half widths around the line that tell where it is
_EVEN = 0.003  # relative differences in intensity that the sampling of a sharp line makes by itself
_SAME = 1.5  # mean squared difference in intensity, relative to its noise, that is no difference


@dataclass(frozen=True)
class Line:
    """Where a line is: ``x = x0 + slope * y``; y counts from the middle of the region. Unit: spacing of columns."""

    x0: float
    slope: float

    @property
    def cosine(self) -> float:
        """Distance across the line for each column."""
        return float(1 / np.hypot(1, self.slope))


@dataclass(frozen=True)
class LineImage:
    """Pixels, turned so that the line goes from row to row, less a background that is a plane."""

    pixels: Floats
    x: Floats
    y: Floats

    def distances(self, line: Line) -> Floats:
        """Return the distance of every pixel from a line."""
        return np.asarray((self.x - line.x0 - line.slope * self.y) * line.cosine)


@dataclass(frozen=True)
class LineFit:
    """What was found: line, intensity of each row (mean 1), profile, and the noise beside and on the line."""

    line: Line
    intensity: Floats
    curve: Curve
    span: tuple[float, float]
    noise: float
    peak_noise: float


def first_guess(image: LineImage) -> Line | None:
    """Return the straight line through the brightest places of the rows, or None if they do not lie on one."""
    smooth = box_mean(image.pixels, 1)
    place = smooth.argmax(axis=1)
    height = smooth.max(axis=1) - smooth.mean(axis=1)
    # Rows beyond an end of the line have no say; the median of slopes between halves resists a few others.
    seen = height > 0.1 * height.max()
    if seen.sum() < 0.4 * len(seen):
        return None
    y, x, height = image.y[seen, 0], image.x[place[seen]], height[seen]
    half = len(y) // 2
    slope = float(np.median((x[-half:] - x[:half]) / (y[-half:] - y[:half])))
    x0 = float(np.median(x - slope * y))
    for reach in (4.0, 3.0):
        near = np.abs(x - x0 - slope * y) < reach
        weight = np.maximum(height[near], 0.0)
        if near.sum() < 0.5 * len(y) or weight.sum() <= 0:
            return None
        x0, slope = straight_line(y[near], x[near], weight)
    return Line(x0, slope)


def without_background(image: LineImage, line: Line) -> LineImage:
    """Return the image less the plane through the outer parts of both sides."""
    distance = image.distances(line)
    low, high = _span(distance)
    outer = (distance < (1 - TAIL) * low) | (distance > (1 - TAIL) * high)
    if not (low < 0 < high and outer.any()):
        return image
    along = np.broadcast_to(image.y, distance.shape)[outer]
    plane = np.stack((np.ones(along.size), distance[outer], along))
    height, across, slope = solve_normal(plane, image.pixels[outer])
    return replace(image, pixels=image.pixels - height - across * distance - slope * image.y)


def _span(distance: Floats) -> tuple[float, float]:
    """Return the distances that every row reaches on both sides."""
    return float(distance[:, 0].max()), float(distance[:, -1].min())


def fit_line(image: LineImage, line: Line) -> LineFit | None:
    """Return line, intensity and profile, or None if the line leaves the region or has no counts.

    Each round fits the profile to the pixels around the line, then moves the line and sets the intensities to what is
    left; then all pixels count, each as its noise deserves.
    """
    width, near, intensity = _FIRST_WIDTH, None, np.ones(len(image.pixels))
    for turn in range(_ROUNDS):
        part = _around(image, line, _NEAR * width)
        if turn == 0:
            intensity = part.pixels.sum(axis=1)
        if part is image or not intensity.mean() > 0:
            return None
        intensity = intensity / intensity.mean()
        samples, within, span = _samples(part, line, intensity, np.ones(part.pixels.shape))
        curve = fit_curve(samples, span, width, near, finest=1.0)
        profile, slope = _at_pixels(curve, samples.distance, within)
        near = curve.penalty if turn else None
        residual = part.pixels - intensity[:, None] * profile
        columns = -(intensity[:, None] * slope * line.cosine)
        columns = np.stack((columns, columns * part.y)).reshape(2, -1)
        moves = solve_normal(columns, residual.ravel())
        line = Line(line.x0 + float(np.clip(moves[0], -1, 1)), line.slope + float(moves[1]))
        width = half_width(curve)
        noise = _noise(residual, intensity[:, None] * profile)
        intensity = _intensity(part.pixels, profile, noise[0] ** 2, width)
        # Noise makes the line unsure by so much; to find it better is to no avail.
        doubt = np.sqrt(np.mean(residual**2) / max(np.einsum("n,n->", columns[0], columns[0]), 1e-300))
        if turn > 0 and np.abs(moves[0]) + np.abs(moves[1] * image.y[-1, 0]) < max(_CLOSE, _SURE * doubt):
            break
    return _fit_all(image, line, intensity / intensity.mean(), curve, width)


def _around(image: LineImage, line: Line, reach: float) -> LineImage:
    """Return the pixels around a line, as many in each row; the image itself if the line is not inside."""
    width = image.pixels.shape[1]
    centre = line.x0 + line.slope * image.y[:, 0]
    if centre.min() < 1 or centre.max() > width - 2:
        return image
    count = min(2 * int(reach + 1) + 1, width)
    first = np.clip(np.rint(centre).astype(np.int64) - count // 2, 0, width - count)
    columns = first[:, None] + np.arange(count)
    return LineImage(np.take_along_axis(image.pixels, columns, axis=1), columns.astype(np.float64), image.y)


def _samples(
    image: LineImage, line: Line, intensity: Floats, weight: Floats
) -> tuple[Samples, NDArray[np.bool_], tuple[float, float]]:
    """Return the pixels at distances that all rows reach, which they are, and how far that is."""
    distance = image.distances(line)
    low, high = _span(distance)
    within = (distance >= low) & (distance <= high)
    amplitude = np.broadcast_to(intensity[:, None], distance.shape)[within]
    return Samples(distance[within], image.pixels[within], amplitude, weight[within]), within, (low, high)


def _at_pixels(curve: Curve, distance: Floats, within: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the profile and its slope at every pixel, 0 beyond what all rows reach."""
    value, slope = curve.at(distance)
    everywhere = np.zeros((2, *within.shape))
    everywhere[0][within], everywhere[1][within] = value, slope
    return everywhere[0], everywhere[1]


def _fit_all(image: LineImage, line: Line, intensity: Floats, curve: Curve, width: float) -> LineFit | None:
    """Return the profile that all pixels give, each weighted by the noise that its expected value has."""
    distance = image.distances(line)
    span = _span(distance)
    if span[0] >= 0 or span[1] <= 0:
        return None
    expected = curve.at(distance.ravel())[0].reshape(distance.shape)
    # The first profile ends near the line and stays there as it was; beyond it there is background alone.
    expected *= intensity[:, None] * ((distance > curve.knots[1]) & (distance < curve.knots[-2]))
    noise, added = _noise(image.pixels - expected, expected)
    unit = max(noise**2, _FLOOR * added**2) or 1.0
    weight = unit / (unit + np.maximum(expected / expected.max(), 0.0) * added**2)
    shared = noise_correlation(
        (image.pixels - expected) * np.sqrt(weight / unit), np.hypot(noise, added) / expected.max()
    )
    curve = fit_curve(_samples(image, line, intensity, weight)[0], span, width, correlation=shared)
    return LineFit(line, intensity, replace(curve, variance=unit * shared), span, noise, added)


def _intensity(pixels: Floats, profile: Floats, noise: float, width: float) -> Floats:
    """Return the intensity of each row; the same for all if they differ by no more than their noise."""
    power = (profile**2).sum(axis=1)
    found = (pixels * profile).sum(axis=1) / power
    mean = found.mean()
    residual = pixels - mean * profile
    # Counts on the line are noisier than the background beside it.
    variance = max(noise, float((residual**2 * profile**2).sum() / (profile**2).sum())) / power
    if np.mean((found - mean) ** 2 / np.maximum(variance, (_EVEN * mean) ** 2)) < _SAME:
        return np.full(len(found), mean)
    return _smooth(found, int(width / 2 + 0.5))


def _noise(residual: Floats, expected: Floats) -> tuple[float, float]:
    """Return the noise beside the line, and what the line's maximum adds to it."""
    top = max(float(expected.max()), 1e-300)
    beside = expected < _BESIDE * top
    floor = float(np.mean(residual[beside] ** 2)) if beside.any() else 0.0
    added = float(np.sum(residual[~beside] ** 2 - floor) / max(np.sum(expected[~beside]), 1e-300)) * top
    return float(np.sqrt(floor)), float(np.sqrt(max(added, 0.0)))


def _smooth(values: Floats, half: int) -> Floats:
    """Return means over neighbours; what the blur makes smooth anyway loses noise only."""
    size = 2 * half + 1
    return np.convolve(np.pad(values, half, mode="edge"), np.full(size, 1 / size), mode="valid")


def half_width(curve: Curve) -> float:
    """Return half of the full width at half maximum of the profile [pixels]."""
    at = np.arange(curve.knots[1], curve.knots[-2] + 1e-9, STEP / 2)
    value, _ = curve.at(at)
    width, _ = width_at(value, 0.5)
    return float(np.clip(0.5 * width * STEP / 2, 0.4, 20.0)) if np.isfinite(width) else _FIRST_WIDTH
