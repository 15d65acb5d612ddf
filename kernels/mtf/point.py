"""Modulation transfer function of a point source: along rows, along columns and averaged over all directions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .bessel import hankel
from .components import box_mean, components
from .curve import Mtf, QualityWarning
from .fourier import FREQUENCIES
from .gravity import Balance, balance
from .point_pixels import BORDER, Plane, around, noise_of_counts
from .regions import Region, Roi, clipping, measure_regions
from .widths import width_at

__all__ = ["point_mtf"]

Floats = NDArray[np.float64]
Direction = Literal["radial", "rows", "columns"]

_SMALLEST = 9
_NORMAL = 1.959964
_LEAST_SNR = 20.0
_ALIASED = 0.05  # modulation at the Nyquist frequency beyond which sampling hides the answer
_SECOND = 0.25  # share of the maximum that another source has
_ROUNDS = 20
_CLOSE = 1e-9  # pixels: a centre that moves less is found
_SURE = 0.15  # so is one that moves by less than this share of what its noise does
_SEEN = 5 / 3  # least height of the mean of nine pixels, relative to the noise of one


def point_mtf(
    frames: NDArray[Any],
    *,
    pixel_spacing_mm: float | Sequence[float] | None = None,
    rois: Roi | Sequence[Roi] | None = None,
    direction: Direction = "radial",
    threads: int = 1,
) -> Mtf | tuple[Mtf, ...]:
    """Return the modulation transfer function of a point source.

    The background is a plane through the outermost pixels; position is the centre of gravity of what rises above it. What is left is transformed
    as it is: there is no model of the blur, and no profile through a single row. A source is sampled only as fine as the
    pixels are, so that the blur must be wide enough: see the warning ``aliased``.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm].
    rois : tuple or sequence of tuples, optional
        Regions ``((row0, row1), (column0, column1))``, half-open, each with one source near its centre and background all
        around; the whole frame unless given.
    direction : str
        * ``radial``: the Hankel transform around the source, which is the mean over all directions; where the spacings
          differ, a pixel is meant that is square and has the same area;
        * ``rows``: frequencies from row to row (the source is summed along its rows);
        * ``columns``: frequencies from column to column.
    threads : int
        Most regions to work on side by side.

    Returns
    -------
    Mtf or tuple of Mtf
        One curve for one region of an image; a tuple for a stack or for several regions. The 95 % band is that of noise
        that grows with the value of a pixel. Details: ``position`` (row, column in the frame), ``total`` (sum above the
        background), ``peak``, ``background``, ``noise`` (standard
        deviation of a pixel of it), ``fwhm_px`` and ``fwtm_px`` (from row to row, from column to column; of the
        profiles through the source that NEMA NU 2 describes) with ``fwhm_mm`` and ``fwtm_mm``, ``sigma_px`` (square roots
        of the second moments). Widths are those of the source less its background.

    Raises
    ------
    InputError
        If the frames are not images, hold values that are not finite, or show no source in a region.
    UsageError
        If an argument makes no sense.

    References
    ----------
    * NEMA NU 2-2018, section 3, spatial resolution: the profiles within about twice the full width at half maximum of the
      direction across are summed; maximum by a parabola, half and tenth of it by straight lines.

    Examples
    --------
    >>> row, column = np.mgrid[:48, :48]
    >>> source = 900 * np.exp(-((row - 23.2) ** 2 + (column - 24.4) ** 2) / (2 * 2.0**2)) + 7
    >>> mtf = point_mtf(source, pixel_spacing_mm=2.0)
    >>> [round(place, 3) for place in mtf.details["position"]], round(mtf.mtf50, 4)
    ([23.2, 24.4], 0.0937)
    """
    if direction not in ("radial", "rows", "columns"):
        raise UsageError(f"there is no direction {direction!r}; use radial, rows or columns.")

    def measure(region: Region) -> Mtf:
        return _measure(region, direction)

    return measure_regions(
        frames, measure, pixel_spacing_mm=pixel_spacing_mm, rois=rois, threads=threads, smallest=_SMALLEST
    )


@dataclass(frozen=True)
class _Source:
    """A point source: the pixels of a circle around it, less their background.

    x and y count from the source in pixels of equal sides; `unsure` is the variance of the background's height.
    """

    row: float
    column: float
    x: Floats
    y: Floats
    value: Floats
    variance: Floats
    room: float
    background: float
    noise: float
    unsure: float
    image: Floats

    @property
    def total(self) -> float:
        return float(self.value.sum())


def _measure(region: Region, direction: Direction) -> Mtf:
    """Return the curve of one region."""
    source, others = _find(region)
    if direction == "radial":
        modulation, variance = _radial(source)
        unit = region.unit_mm
    else:
        place = source.y / region.aspect[0] if direction == "rows" else source.x / region.aspect[1]
        modulation, variance = _along(source, place)
        unit = None if region.spacing is None else region.spacing[0 if direction == "rows" else 1]
    error = _NORMAL * np.sqrt(variance)
    # Noise alone has a modulation too; it is below this in 95 % of cases.
    lower = np.where(modulation > np.sqrt(-2 * np.log(0.05) * variance), modulation - error, 0.0)
    details = _details(region, source)
    return Mtf(
        "point",
        FREQUENCIES,
        modulation,
        np.maximum(lower, 0.0),
        modulation + error,
        unit,
        (*clipping(region, peaked=True), *_warnings(region, source, modulation, details, others)),
        details,
    )


def _find(region: Region) -> tuple[_Source, int]:
    """Return the brightest source of a region, and how many others there are."""
    pixels, (high, wide) = region.pixels, region.aspect
    border = np.concatenate((pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]))
    smooth = box_mean(pixels, 1) - np.median(border)
    top = int(smooth.argmax())
    row, column = (float(at) for at in divmod(top, pixels.shape[1]))
    reach = np.inf
    for turn in range(_ROUNDS):
        if not (room := _room(region, row, column)) >= 0.5 * (_SMALLEST - 1) * min(high, wide):
            raise _no_source(region)
        found = balance(pixels, (row, column), region.aspect, (min(room, reach), BORDER * room, room + 1))
        if turn == 0 and np.isfinite(found.level):
            # Beyond the source there is noise alone, whose weight grows with the distance.
            reach = around(pixels, _plane(region, (row, column), found), room).extent
            continue
        if not 0 < found.total < np.inf:
            raise _no_source(region)
        if max(abs(found.y), abs(found.x)) < max(_CLOSE, _SURE * found.doubt):
            break
        row, column = row + found.y / high, column + found.x / wide
    plane = _plane(region, (row, column), found)
    above, x, y, value, noise, ring, _ = around(pixels, plane, room)
    if smooth.flat[top] < _SEEN * noise:
        raise _no_source(region)
    added = noise_of_counts(above, plane, noise)
    variance = noise**2 + added * np.maximum(value, 0.0)
    others = len(components(smooth > _SECOND * smooth.flat[top], 3)) - 1
    unsure = noise**2 / ring
    return _Source(row, column, x, y, value, variance, room, found.level, noise, unsure, above), others


def _plane(region: Region, place: tuple[float, float], found: Balance) -> Plane:
    return Plane(*place, *region.aspect, found.level, found.down, found.along)


def _room(region: Region, row: float, column: float) -> float:
    """Return the radius of the largest circle around a place that lies in the region."""
    (height, width), (high, wide) = region.pixels.shape, region.aspect
    return float(min(row * high, column * wide, (height - 1 - row) * high, (width - 1 - column) * wide))


def _no_source(region: Region) -> InputError:
    (row, column), (height, width) = region.origin, region.pixels.shape
    return InputError(
        f"no point source was found in the region {row}:{row + height},{column}:{column + width}; "
        "give a region with one bright source near its centre and background all around."
    )


def _radial(source: _Source) -> tuple[Floats, Floats]:
    """Return modulation and its variance, averaged over directions."""
    radius = np.sqrt(source.x**2 + source.y**2)
    transform = hankel(radius, source.value, FREQUENCIES) / source.total
    window = hankel(radius, np.ones_like(radius), FREQUENCIES)
    # The variance of a sum of (J0 - M) times pixels.
    cross = hankel(radius, source.variance, FREQUENCIES)
    variance = hankel(radius, source.variance, FREQUENCIES, power=2)
    variance += transform**2 * source.variance.sum() - 2 * transform * cross
    variance += source.unsure * (window - transform * len(radius)) ** 2
    variance = np.maximum(variance, 0.0) / source.total**2
    return np.abs(transform), variance


def _along(source: _Source, place: Floats) -> tuple[Floats, Floats]:
    """Return modulation and its variance in one direction, from the sums across it."""
    first = place.min()
    index = np.rint(place - first).astype(np.int64)
    value, spread, count = (np.bincount(index, part) for part in (source.value, source.variance, None))
    angles = 2 * np.pi * np.outer(FREQUENCIES, np.arange(len(value)) + first)
    cosine, sine = np.cos(angles), np.sin(angles)
    real, imaginary = (cosine * value).sum(axis=1, keepdims=True), (sine * value).sum(axis=1, keepdims=True)
    raw = np.hypot(real, imaginary)
    along = (cosine * real + sine * imaginary) / np.maximum(raw, 1e-300) - raw / source.total
    variance = (along**2 * spread).sum(axis=1) + source.unsure * (along * count).sum(axis=1) ** 2
    return raw[:, 0] / source.total, variance / source.total**2


def _details(region: Region, source: _Source) -> dict[str, Any]:
    """Return what was found on the way."""
    rows, columns = region.aspect
    value, total = source.value, source.total
    moments = [float(np.sqrt(max((value * at**2).sum() / total, 0.0))) for at in (source.y / rows, source.x / columns)]
    widths = [_widths(source, axis) for axis in (0, 1)]
    spacing = region.spacing

    def in_mm(which: int) -> tuple[float, float] | None:
        return None if spacing is None else (widths[0][which] * spacing[0], widths[1][which] * spacing[1])

    return {
        "position": (source.row + region.origin[0], source.column + region.origin[1]),
        "total": total,
        "peak": float(value.max()),
        "background": source.background,
        "noise": source.noise,
        "fwhm_px": (widths[0][0], widths[1][0]),
        "fwtm_px": (widths[0][1], widths[1][1]),
        "fwhm_mm": in_mm(0),
        "fwtm_mm": in_mm(1),
        "sigma_px": tuple(moments),
    }


def _widths(source: _Source, axis: int) -> tuple[float, float]:
    """Return the widths at half and tenth of the profile along an axis, summed over two widths across it [pixels]."""
    image = source.image if axis == 0 else source.image.T
    place, centre = (round(at) for at in ((source.row, source.column), (source.column, source.row))[axis])
    across, _ = width_at(image[place], 0.5)
    half = max(1, round(across)) if np.isfinite(across) else 1
    profile = image[:, max(centre - half, 0) : centre + half + 1].sum(axis=1)
    return width_at(profile, 0.5)[0], width_at(profile, 0.1)[0]


def _warnings(
    region: Region, source: _Source, modulation: Floats, details: dict[str, Any], others: int
) -> list[QualityWarning]:
    """Return what makes the curve doubtful."""
    found = []
    snr = source.total / np.sqrt(source.variance.sum() + 1e-300)
    if snr < _LEAST_SNR:
        sentence = (
            f"the source is {snr:.0f} times the noise of its sum: acquire more counts or make the region smaller."
        )
        found.append(QualityWarning("low-snr", sentence))
    if modulation[-1] > _ALIASED:
        sentence = (
            f"{100 * modulation[-1]:.0f} % of the modulation is left at the Nyquist frequency: the pixels are too large for "
            "this blur, and the curve is uncertain near it; use smaller pixels or a slanted line."
        )
        found.append(QualityWarning("aliased", sentence))
    tenth = float(np.max(details["fwtm_px"]))
    if not source.room > 1.2 * tenth:
        sentence = (
            f"there are {source.room:.1f} pixels around a source whose full width at tenth maximum is {tenth:.1f}: "
            "its tails are cut off, which raises the curve; use a larger region."
        )
        found.append(QualityWarning("truncated-tails", sentence))
    height, width = region.pixels.shape
    if source.room < 0.6 * 0.5 * min(height - 1, width - 1) * min(region.aspect):
        sentence = f"the source lies {source.room:.1f} pixels from the side of the region: centre the region on it."
        found.append(QualityWarning("off-centre", sentence))
    if others:
        found.append(QualityWarning("several-sources", f"{others} other bright places: make the region smaller."))
    return found
