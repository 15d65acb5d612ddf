"""Modulation transfer function of a line source, with its widths as NEMA NU 1 prescribes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .components import box_mean, components
from .curve import Mtf, QualityWarning
from .fourier import FREQUENCIES, spectrum
from .regions import Region, Roi, clipping, measure_regions
from .residuals import noise_correlation, solve_normal, straight_line
from .smoothing import Curve, Samples, fit_curve
from .splines import STEP
from .widths import Strip, strips_of, width_at

__all__ = ["line_mtf"]

Floats = NDArray[np.float64]

_SMALLEST = 10
_ROUNDS = 8
_CLOSE = 1e-4  # pixels that the ends of the line move by when it is found
_FIRST_WIDTH = 2.0
_TAIL = 0.1  # share of the profile at each end that the baseline goes through
_BESIDE = 0.05  # share of the maximum below which a pixel is beside the line
_FLOOR = 0.002  # least variance beside the line, relative to that of its maximum
_NEAR = 6.0  # half widths around the line that tell where it is
_EVEN = 0.003  # relative differences in intensity that the sampling of a sharp line makes by itself
_SAME = 1.5  # mean squared difference in intensity, relative to its noise, that is no difference
_GAP = 0.4  # pixels between samples beyond which frequencies near Nyquist are not separated
_LEAST_SNR = 30.0
_UNEVEN = 0.5  # relative standard deviation of the intensity
_SECOND = 0.2  # share of the maximum that another line has
_BENT = 0.15  # pixels that the line strays from straight
_NORMAL = 1.959964


def line_mtf(
    frames: NDArray[Any],
    *,
    pixel_spacing_mm: float | Sequence[float] | None = None,
    rois: Roi | Sequence[Roi] | None = None,
    threads: int = 1,
) -> Mtf | tuple[Mtf, ...]:
    """Return the modulation transfer function across a line source, and the widths of its profile.

    Position and angle of the line, its intensity in each row and the profile across it are fitted together to the pixels
    as they are, so that a slanted line is sampled finer than the pixels are; nothing is assumed of the blur.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm].
    rois : tuple or sequence of tuples, optional
        Regions ``((row0, row1), (column0, column1))``, half-open, each crossed from side to side by one line with some
        background on both sides; the whole frame unless given.
    threads : int
        Most regions to work on side by side.

    Returns
    -------
    Mtf or tuple of Mtf
        One curve for one region of an image; a tuple for a stack or for several regions. Frequencies are in cycles per
        pixel of the image axis that lies nearest to the direction across the line. Details: ``angle_deg`` (between the line
        and the nearest image axis), ``along`` (``rows`` if the line goes from row to row, else ``columns``), ``position``
        (of its middle: row, column in the frame), ``fwhm_px``, ``fwtm_px``, ``fwhm_mm``, ``fwtm_mm`` (means over strips),
        ``strips`` (each a :class:`~photopeak.kernels.mtf.widths.Strip`), ``intensity`` (along the line), ``unevenness``
        (its standard deviation, relative), ``distances_px`` with ``line_spread`` (largest value 1).

    Raises
    ------
    InputError
        If the frames are not images, hold values that are not finite, or show no line in a region.
    UsageError
        If an argument makes no sense.

    References
    ----------
    * NEMA NU 1-2018, Performance measurements of gamma cameras: spatial resolution. The profile of a strip, at most 30 mm
      of the line, is summed along the line. Its maximum is that of a parabola through the highest value and its two
      neighbours; half and tenth of it are found on straight lines between neighbouring values. No background is taken off.

    Examples
    --------
    >>> row, column = np.mgrid[:64, :64]
    >>> distance = (column - 31 - 0.05 * row) / np.hypot(1, 0.05)
    >>> mtf = line_mtf(1000 * np.exp(-(distance**2) / 8), pixel_spacing_mm=1.5)
    >>> round(mtf.details["fwhm_mm"], 2), round(mtf.mtf50, 4)
    (7.12, 0.0937)
    """
    return measure_regions(
        frames, _measure, pixel_spacing_mm=pixel_spacing_mm, rois=rois, threads=threads, smallest=_SMALLEST
    )


@dataclass(frozen=True)
class _Line:
    """Where a line is: ``x = x0 + slope * y``; y counts from the middle of the region. Unit: spacing of columns."""

    x0: float
    slope: float

    @property
    def cosine(self) -> float:
        return float(1 / np.hypot(1, self.slope))


@dataclass(frozen=True)
class _Image:
    """Pixels, turned so that the line goes from row to row, less a background that is a plane."""

    pixels: Floats
    x: Floats
    y: Floats

    def distances(self, line: _Line) -> Floats:
        """Return the distance of every pixel from a line."""
        return np.asarray((self.x - line.x0 - line.slope * self.y) * line.cosine)


def _measure(region: Region) -> Mtf:
    """Return the curve of one region."""
    upright = _direction(region)
    pixels = region.pixels if upright else np.ascontiguousarray(region.pixels.T)
    spacing = region.spacing if upright or region.spacing is None else region.spacing[::-1]
    ratio = 1.0 if spacing is None else spacing[0] / spacing[1]
    height, width = pixels.shape
    image = _Image(
        pixels, np.arange(width, dtype=np.float64), (np.arange(height) - 0.5 * (height - 1))[:, None] * ratio
    )
    guess = _first_guess(image)
    fit = None if guess is None else _fit(image := _without_background(image, guess), guess)
    if fit is None:
        raise _no_line(region)
    modulation, error = spectrum(fit.curve, tails=max(2, int(_TAIL * len(fit.curve.coefficients))))
    strips = strips_of(pixels, fit.line.x0 + fit.line.slope * image.y[:, 0], fit.line.cosine, spacing)
    details = _details(region, upright, image, fit, strips)
    found = _warnings(image, fit)
    return Mtf(
        "line",
        FREQUENCIES,
        modulation,
        np.maximum(modulation - _NORMAL * error, 0.0),
        modulation + _NORMAL * error,
        None if spacing is None else spacing[1],
        (*clipping(region, peaked=True), *found),
        details,
    )


def _direction(region: Region) -> bool:
    """Return whether the line goes from row to row."""
    smooth = box_mean(region.pixels, 1)
    floor = np.median(smooth)
    parts = components(smooth - floor > 0.5 * (np.quantile(smooth, 0.995) - floor), 5)
    if not parts:
        raise _no_line(region)
    # An uneven line falls into pieces; they lie on one line, and other sources do not.
    total = sum(part.area for part in parts)
    row = sum(part.area * part.row for part in parts) / total
    column = sum(part.area * part.column for part in parts) / total
    rows = sum(part.area * (part.rows + (part.row - row) ** 2) for part in parts)
    columns = sum(part.area * (part.columns + (part.column - column) ** 2) for part in parts)
    return rows >= columns


def _no_line(region: Region) -> InputError:
    (row, column), (height, width) = region.origin, region.pixels.shape
    return InputError(
        f"no line source was found in the region {row}:{row + height},{column}:{column + width}; "
        "give a region that one bright line crosses from side to side."
    )


def _first_guess(image: _Image) -> _Line | None:
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
    return _Line(x0, slope)


def _without_background(image: _Image, line: _Line) -> _Image:
    """Return the image less the plane through the outer parts of both sides."""
    distance = image.distances(line)
    low, high = _span(distance)
    outer = (distance < (1 - _TAIL) * low) | (distance > (1 - _TAIL) * high)
    if not (low < 0 < high and outer.any()):
        return image
    along = np.broadcast_to(image.y, distance.shape)[outer]
    plane = np.stack((np.ones(along.size), distance[outer], along))
    height, across, slope = solve_normal(plane, image.pixels[outer])
    return replace(image, pixels=image.pixels - height - across * distance - slope * image.y)


def _span(distance: Floats) -> tuple[float, float]:
    """Return the distances that every row reaches on both sides."""
    return float(distance[:, 0].max()), float(distance[:, -1].min())


@dataclass(frozen=True)
class _Fit:
    """What was found: line, intensity of each row (mean 1), profile, and the noise beside and on the line."""

    line: _Line
    intensity: Floats
    curve: Curve
    span: tuple[float, float]
    noise: float
    peak_noise: float


def _fit(image: _Image, line: _Line) -> _Fit | None:
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
        curve, profile, slope = _profile(
            part, line, intensity, np.ones(part.pixels.shape), width, near=near, finest=1.0
        )
        near = curve.penalty if turn else None
        residual = part.pixels - intensity[:, None] * profile
        columns = -(intensity[:, None] * slope * line.cosine)
        columns = np.stack((columns, columns * part.y)).reshape(2, -1)
        moves = solve_normal(columns, residual.ravel())
        line = _Line(line.x0 + float(np.clip(moves[0], -1, 1)), line.slope + float(moves[1]))
        width = _half_width(curve)
        noise = _noise(residual, intensity[:, None] * profile)
        intensity = _intensity(part.pixels, profile, noise[0] ** 2, width)
        if turn > 0 and np.abs(moves[0]) + np.abs(moves[1] * image.y[-1, 0]) < _CLOSE:
            break
    return _fit_all(image, line, intensity / intensity.mean(), curve)


def _around(image: _Image, line: _Line, reach: float) -> _Image:
    """Return the pixels around a line, as many in each row; the image itself if the line is not inside."""
    width = image.pixels.shape[1]
    centre = line.x0 + line.slope * image.y[:, 0]
    if centre.min() < 1 or centre.max() > width - 2:
        return image
    count = min(2 * int(reach + 1) + 1, width)
    first = np.clip(np.rint(centre).astype(np.int64) - count // 2, 0, width - count)
    columns = first[:, None] + np.arange(count)
    return _Image(np.take_along_axis(image.pixels, columns, axis=1), columns.astype(np.float64), image.y)


def _profile(
    image: _Image,
    line: _Line,
    intensity: Floats,
    weight: Floats,
    width: float,
    *,
    near: float | None = None,
    finest: float = 0.3,
    shared: float = 1.0,
) -> tuple[Curve, Floats, Floats]:
    """Return the profile across a line, and its value and slope at every pixel (0 beyond what all rows reach)."""
    distance = image.distances(line)
    low, high = _span(distance)
    within = (distance >= low) & (distance <= high)
    amplitude = np.broadcast_to(intensity[:, None], distance.shape)[within]
    samples = Samples(distance[within], image.pixels[within], amplitude, weight[within])
    curve = fit_curve(samples, (low, high), width, near, finest, shared)
    value, slope = curve.at(samples.distance)
    everywhere = np.zeros((2, *distance.shape))
    everywhere[0][within], everywhere[1][within] = value, slope
    return curve, everywhere[0], everywhere[1]


def _fit_all(image: _Image, line: _Line, intensity: Floats, curve: Curve) -> _Fit | None:
    """Return the profile that all pixels give, each weighted by the noise that its expected value has."""
    distance = image.distances(line)
    span = _span(distance)
    if span[0] >= 0 or span[1] <= 0:
        return None
    width = _half_width(curve)
    expected = curve.at(distance.ravel())[0].reshape(distance.shape)
    # The first profile ends near the line and stays there as it was; beyond it there is background alone.
    expected *= intensity[:, None] * ((distance > curve.knots[1]) & (distance < curve.knots[-2]))
    noise, added = _noise(image.pixels - expected, expected)
    unit = max(noise**2, _FLOOR * added**2) or 1.0
    weight = unit / (unit + np.maximum(expected / expected.max(), 0.0) * added**2)
    shared = noise_correlation(
        (image.pixels - expected) * np.sqrt(weight / unit), np.hypot(noise, added) / expected.max()
    )
    curve, _, _ = _profile(image, line, intensity, weight, width, shared=shared)
    return _Fit(line, intensity, replace(curve, variance=unit * shared), span, noise, added)


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


def _half_width(curve: Curve) -> float:
    """Return half of the full width at half maximum of the profile [pixels]."""
    at = np.arange(curve.knots[1], curve.knots[-2] + 1e-9, STEP / 2)
    value, _ = curve.at(at)
    width, _ = width_at(value, 0.5)
    return float(np.clip(0.5 * width * STEP / 2, 0.4, 20.0)) if np.isfinite(width) else _FIRST_WIDTH


def _details(region: Region, upright: bool, image: _Image, fit: _Fit, strips: tuple[Strip, ...]) -> dict[str, Any]:
    """Return what was found on the way."""
    at = np.arange(fit.curve.knots[1], fit.curve.knots[-2] + 1e-9, STEP / 8)
    profile, _ = fit.curve.at(at)
    # The profile need not be centred on the line that its distances count from.
    above = at[profile > 0.5 * profile.max()]
    middle = 0.5 * (image.pixels.shape[0] - 1), fit.line.x0 + float(above[0] + above[-1]) / 2 / fit.line.cosine
    row, column = middle if upright else middle[::-1]
    known = strips[0].fwhm_mm is not None
    return {
        "angle_deg": float(np.degrees(np.arctan(fit.line.slope))),
        "along": "rows" if upright else "columns",
        "position": (row + region.origin[0], column + region.origin[1]),
        "fwhm_px": float(np.mean([strip.fwhm_px for strip in strips])),
        "fwtm_px": float(np.mean([strip.fwtm_px for strip in strips])),
        "fwhm_mm": float(np.mean([strip.fwhm_mm for strip in strips])) if known else None,
        "fwtm_mm": float(np.mean([strip.fwtm_mm for strip in strips])) if known else None,
        "strips": strips,
        "intensity": fit.intensity,
        "unevenness": float(fit.intensity.std()),
        "distances_px": at[::8],
        "line_spread": profile[::8] / profile.max(),
    }


def _warnings(image: _Image, fit: _Fit) -> list[QualityWarning]:
    """Return what makes the curve doubtful."""
    found = []
    distance = image.distances(fit.line)
    at = np.arange(fit.span[0], fit.span[1], STEP / 2)
    value, _ = fit.curve.at(at)
    half, tenth = (width_at(value, share)[0] * STEP / 2 for share in (0.5, 0.1))
    counts = float(value.max() / max(np.hypot(fit.noise, fit.peak_noise), 1e-300) * np.sqrt(len(distance)))
    gap = _largest_gap(image, fit.line)
    if gap > _GAP:
        sentence = (
            f"the line is {np.degrees(np.arctan(fit.line.slope)):.2f} degrees off the pixels' rows or columns, so that it is "
            f"sampled every {gap:.2f} pixels only: tilt it by 2 to 20 degrees, or use a longer region."
        )
        found.append(QualityWarning("angle", sentence))
    if counts < _LEAST_SNR:
        sentence = f"the line's maximum is {counts:.0f} times its noise over the whole length: acquire more counts."
        found.append(QualityWarning("low-snr", sentence))
    room = min(-fit.span[0], fit.span[1])
    if not room > (1.5 * tenth if np.isfinite(tenth) else np.inf):
        sentence = (
            f"there are {room:.1f} pixels beside a line whose full width at half maximum is {half:.1f}: "
            "its tails are cut off, which raises the curve; use a wider region."
        )
        found.append(QualityWarning("truncated-tails", sentence))
    if room < 0.4 * 0.5 * (fit.span[1] - fit.span[0]):
        sentence = f"the line lies {room:.1f} pixels from the side of the region: centre the region on it."
        found.append(QualityWarning("off-centre", sentence))
    if fit.intensity.std() > _UNEVEN:
        sentence = (
            f"the intensity along the line varies by {100 * fit.intensity.std():.0f} %: it was taken into account, "
            "but the region may reach beyond the line's end."
        )
        found.append(QualityWarning("uneven", sentence))
    return [*found, *_shape_warnings(image, fit, distance)]


def _largest_gap(image: _Image, line: _Line) -> float:
    """Return the largest distance between neighbouring samples, when all rows are put together [pixels]."""
    phases = np.sort((line.x0 + line.slope * image.y[:, 0]) % 1.0)
    return float(np.diff(phases, append=phases[0] + 1.0).max()) * line.cosine


def _shape_warnings(image: _Image, fit: _Fit, distance: Floats) -> list[QualityWarning]:
    """Return warnings about other lines, and about one that is not straight."""
    found = []
    at = np.arange(fit.span[0], fit.span[1], STEP / 2)
    value, slope = fit.curve.at(at)
    turns = np.flatnonzero((slope[:-1] > 0) & (slope[1:] <= 0))
    half = 2 * _half_width(fit.curve)
    others = [at[turn] for turn in turns if value[turn] > _SECOND * value.max() and abs(at[turn]) > 1.5 * half]
    if others:
        sentence = f"another line lies {abs(others[0]):.1f} pixels beside the first: make the region narrower."
        found.append(QualityWarning("several-sources", sentence))
    profile, slope = (part.reshape(distance.shape) for part in fit.curve.at(distance.ravel()))
    near = (np.abs(distance) < 1.5 * half) * fit.intensity[:, None]
    push = -(near * slope * (image.pixels - fit.intensity[:, None] * profile)).sum(axis=1)
    power = (near * slope) ** 2
    parts = [part for part in np.array_split(np.arange(len(push)), 6) if power[part].sum() > 0]
    strays = np.array([push[part].sum() / power[part].sum() for part in parts])
    noise = np.hypot(fit.noise, fit.peak_noise) / np.sqrt(power.sum() / 6)
    if np.sqrt(np.mean(strays**2)) > max(_BENT, 3 * noise):
        sentence = (
            f"the line strays by up to {np.abs(strays).max():.2f} pixels from straight, which lowers the curve: "
            "use a shorter region."
        )
        found.append(QualityWarning("bent", sentence))
    return found
