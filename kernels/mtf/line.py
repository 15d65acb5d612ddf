"""Modulation transfer function of a line source, with its widths as NEMA NU 1 prescribes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .components import box_mean, components
from .curve import Mtf, QualityWarning
from .fourier import FREQUENCIES, spectrum
from .line_fit import TAIL, Line, LineFit, LineImage, first_guess, fit_line, half_width, without_background
from .regions import Region, Roi, clipping, measure_regions
from .splines import STEP
from .widths import Strip, strips_of, width_at

__all__ = ["line_mtf"]

Floats = NDArray[np.float64]

_SMALLEST = 10
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


def _measure(region: Region) -> Mtf:
    """Return the curve of one region."""
    upright = _direction(region)
    pixels = region.pixels if upright else np.ascontiguousarray(region.pixels.T)
    spacing = region.spacing if upright or region.spacing is None else region.spacing[::-1]
    ratio = 1.0 if spacing is None else spacing[0] / spacing[1]
    height, width = pixels.shape
    image = LineImage(
        pixels, np.arange(width, dtype=np.float64), (np.arange(height) - 0.5 * (height - 1))[:, None] * ratio
    )
    guess = first_guess(image)
    fit = None if guess is None else fit_line(image := without_background(image, guess), guess)
    if fit is None:
        raise _no_line(region)
    modulation, error = spectrum(fit.curve, tails=max(2, int(TAIL * len(fit.curve.coefficients))))
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
    floor, top = np.quantile(smooth, (0.5, 0.995))
    parts = components(smooth - floor > 0.5 * (top - floor), 5)
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


def _details(
    region: Region, upright: bool, image: LineImage, fit: LineFit, strips: tuple[Strip, ...]
) -> dict[str, Any]:
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


def _warnings(image: LineImage, fit: LineFit) -> list[QualityWarning]:
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


def _largest_gap(image: LineImage, line: Line) -> float:
    """Return the largest distance between neighbouring samples, when all rows are put together [pixels]."""
    phases = np.sort((line.x0 + line.slope * image.y[:, 0]) % 1.0)
    return float(np.diff(phases, append=phases[0] + 1.0).max()) * line.cosine


def _shape_warnings(image: LineImage, fit: LineFit, distance: Floats) -> list[QualityWarning]:
    """Return warnings about other lines, and about one that is not straight."""
    found = []
    at = np.arange(fit.span[0], fit.span[1], STEP / 2)
    value, slope = fit.curve.at(at)
    turns = np.flatnonzero((slope[:-1] > 0) & (slope[1:] <= 0))
    half = 2 * half_width(fit.curve)
    others = [at[turn] for turn in turns if value[turn] > _SECOND * value.max() and abs(at[turn]) > 1.5 * half]
    if others:
        sentence = f"another line lies {abs(others[0]):.1f} pixels beside the first: make the region narrower."
        found.append(QualityWarning("several-sources", sentence))
    near = np.abs(distance) < 1.5 * half
    row, strength = np.nonzero(near)[0], np.broadcast_to(fit.intensity[:, None], near.shape)[near]
    profile, slope = fit.curve.at(distance[near])
    slope *= strength
    push = -np.bincount(row, slope * (image.pixels[near] - strength * profile), len(near))
    power = np.bincount(row, slope**2, len(near))
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
