"""Modulation transfer function of the edge of a disk: the task transfer function of a cylindrical insert."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Mtf, QualityWarning
from .disk_fit import Annulus, Disk, first_guess, fit_disk, half_width, reach_of
from .fourier import FREQUENCIES, spectrum
from .regions import Region, Roi, clipping, measure_regions
from .residuals import noise_correlation
from .smoothing import Curve, Samples, fit_curve
from .splines import STEP

__all__ = ["disk_mtf"]

Floats = NDArray[np.float64]

_SMALLEST = 12
_FLOOR = 0.005  # least variance of one side, relative to that of the other
_LEAST_CNR = 6.0  # of a disk of radius 1; a radius of 16 makes do with a quarter
_NORMAL = 1.959964


def disk_mtf(
    frames: NDArray[Any],
    *,
    pixel_spacing_mm: float | Sequence[float] | None = None,
    rois: Roi | Sequence[Roi] | None = None,
    threads: int = 1,
) -> Mtf | tuple[Mtf, ...]:
    """Return the modulation transfer function of the edge of a disk, averaged over all directions.

    The disk may be brighter or darker than its surroundings, which may have a slope. Centre, slope and the profile of the
    edge are fitted together to the pixels as they are, without bins and without a model of the blur. The profile's
    derivative is corrected for the curvature of the edge by ``sqrt(r / R)`` before it is transformed.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm]. Where they differ, a pixel is meant that is square and has the same area.
    rois : tuple or sequence of tuples, optional
        Regions ``((row0, row1), (column0, column1))``, half-open, each with one disk and some of its surroundings on all
        sides; the whole frame unless given.
    threads : int
        Most regions to work on side by side.

    Returns
    -------
    Mtf or tuple of Mtf
        One curve for one region of an image; a tuple for a stack or for several regions. The 95 % band supposes noise that
        is as it is in other parts of the edge. Details: ``centre`` (row, column in the frame [pixels]), ``radius``
        [pixels], ``radius_mm``, ``contrast``, ``background``, ``slope`` (per pixel along rows and columns), ``noise``
        (standard deviations inside and outside), ``cnr``, ``distances_px`` with ``edge_spread`` (values) and
        ``line_spread`` (its slope per pixel).

    Raises
    ------
    InputError
        If the frames are not images, hold values that are not finite, or show no disk in a region.
    UsageError
        If an argument makes no sense.

    References
    ----------
    * AAPM Report 233, Performance evaluation of computed tomography systems (2019), task transfer function.
    * S. Richard et al., Towards task-based assessment of CT performance: system and object MTF across different
      reconstruction algorithms, Med. Phys. 39 (2012) 4115.

    Examples
    --------
    >>> row, column = np.mgrid[:64, :64]
    >>> distance = np.hypot(row - 31.2, column - 32.1)
    >>> mtf = disk_mtf(100 / (1 + np.exp((distance - 18) / 0.8)), pixel_spacing_mm=2.0)
    >>> round(mtf.details["radius_mm"], 1), round(mtf.mtf50, 3)
    (36.0, 0.138)
    """
    return measure_regions(
        frames, _measure, pixel_spacing_mm=pixel_spacing_mm, rois=rois, threads=threads, smallest=_SMALLEST
    )


@dataclass(frozen=True)
class _Levels:
    """Values and standard deviations well inside and well outside of the edge."""

    inside: float
    outside: float
    noise_inside: float
    noise_outside: float

    @property
    def cnr(self) -> float:
        """Contrast, relative to the noise of one pixel."""
        noise = np.sqrt(0.5 * (self.noise_inside**2 + self.noise_outside**2))
        return float(abs(self.inside - self.outside) / max(noise, 1e-300))


def _measure(region: Region) -> Mtf:
    """Return the curve of one region."""
    disk, others = first_guess(region)
    disk, annulus, curve = fit_disk(region, disk)
    width = half_width(curve)
    fitted, _ = curve.at(annulus.distance)
    levels = _levels(annulus, fitted, width)
    curve = _fit_weighted(annulus, curve, fitted, levels, width)
    taper = np.sqrt(np.maximum(disk.radius + curve.knots[:-1] + STEP / 2, 0.0) / disk.radius)
    modulation, error = spectrum(curve, taper=taper)
    details = _details(region, disk, curve, levels)
    return Mtf(
        "disk",
        FREQUENCIES,
        modulation,
        np.maximum(modulation - _NORMAL * error, 0.0),
        modulation + _NORMAL * error,
        region.unit_mm,
        (*clipping(region, peaked=False), *_warnings(region, disk, curve, levels, width, others)),
        details,
    )


def _levels(annulus: Annulus, fitted: Floats, width: float) -> _Levels:
    """Return values and noise on both sides, at least three widths from the edge where there is that much room."""
    residual = annulus.value - fitted
    low, high = annulus.span
    far = min(3 * width, -0.5 * low), min(3 * width, 0.5 * high)
    inside, outside = annulus.distance < -far[0], annulus.distance > far[1]
    return _Levels(
        float(fitted[inside].mean()),
        float(fitted[outside].mean()),
        float(residual[inside].std()),
        float(residual[outside].std()),
    )


def _fit_weighted(annulus: Annulus, curve: Curve, fitted: Floats, levels: _Levels, width: float) -> Curve:
    """Return the profile fitted with the weight that each pixel's noise deserves, which follows its value."""
    share = np.clip((fitted - levels.outside) / (levels.inside - levels.outside or 1.0), 0.0, 1.0)
    variance = share * levels.noise_inside**2 + (1 - share) * levels.noise_outside**2
    unit = max(levels.noise_inside, levels.noise_outside) ** 2 * _FLOOR or 1.0
    variance = np.maximum(variance, unit)
    residual = np.zeros(annulus.within.shape)
    residual[annulus.within] = (annulus.value - fitted) / np.sqrt(variance)
    shared = noise_correlation(residual, 1 / levels.cnr)
    samples = Samples(annulus.distance, annulus.value, np.ones_like(variance), unit / variance)
    fit = fit_curve(samples, annulus.span, width, curve.penalty if shared == 1 else None, correlation=shared)
    return replace(fit, variance=unit * shared)


def _details(region: Region, disk: Disk, curve: Curve, levels: _Levels) -> dict[str, Any]:
    """Return what was found on the way."""
    rows, columns = region.aspect
    at = np.arange(curve.knots[1], curve.knots[-2] + 1e-9, STEP)
    edge, line = curve.at(at)
    unit = region.unit_mm
    return {
        "centre": (disk.y / rows + region.origin[0], disk.x / columns + region.origin[1]),
        "radius": disk.radius,
        "radius_mm": None if unit is None else disk.radius * unit,
        "contrast": levels.inside - levels.outside,
        "background": levels.outside,
        "slope": (disk.slope_y * rows, disk.slope_x * columns),
        "noise": (levels.noise_inside, levels.noise_outside),
        "cnr": levels.cnr,
        "distances_px": at,
        "edge_spread": edge,
        "line_spread": line,
    }


def _warnings(
    region: Region, disk: Disk, curve: Curve, levels: _Levels, width: float, others: int
) -> list[QualityWarning]:
    """Return what makes the curve doubtful."""
    found = []
    reach = reach_of(region, disk)
    margin = reach - disk.radius
    if levels.cnr * np.sqrt(disk.radius) < _LEAST_CNR:
        sentence = f"the contrast is {levels.cnr:.1f} times the noise of a pixel: average frames or use a larger disk."
        found.append(QualityWarning("low-snr", sentence))
    if margin < 3 * width or disk.radius < 3 * width:
        sentence = (
            f"the edge is {2 * width:.1f} pixels wide, and there are {margin:.1f} outside and {disk.radius:.1f} inside of it: "
            "its tails are cut off, which raises the curve; use a larger region or disk."
        )
        found.append(QualityWarning("truncated-tails", sentence))
    rows, columns = region.aspect
    height, width_px = region.pixels.shape
    offset = float(np.hypot(disk.x - 0.5 * (width_px - 1) * columns, disk.y - 0.5 * (height - 1) * rows))
    if offset > 0.25 * disk.radius + margin:
        sentence = f"the disk lies {offset:.1f} pixels from the centre of the region: centre the region on it."
        found.append(QualityWarning("off-centre", sentence))
    if others:
        sentence = f"{others} other structures of at least half of its contrast lie in the region: make it smaller."
        found.append(QualityWarning("several-sources", sentence))
    return found
