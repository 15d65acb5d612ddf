"""Observers that need no training data to speak of: a threshold, and templates matched to the whitened washout.

Both are told where glands lie in an image at all (a rectangle about its middle), since neither knows a salivary gland from a lesion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product, starmap

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, shift

from ...engine.analysis.prepare import Placement, pitch_placement, resample
from ...engine.matrix import MatrixSize
from ..phantoms.camera import FWHM_PER_SIGMA
from ..phantoms.parathyroid_cohort import Acquisition, Phase

PITCH_MM = 2.4
APART_MM = 12.0
MOST = 12
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Marks:
    """What an observer marks in one image.

    Parameters
    ----------
    at : ndarray, shape (m, 2)
        Rows and columns; the centre of the first pixel is 0 [px].
    scores : ndarray, shape (m,)
        The more, the surer.
    """

    at: Floats
    scores: Floats


@dataclass(frozen=True)
class Region:
    """Where to look: rows from `top` to `bottom` and columns up to `aside`, all from the middle of the image [mm]."""

    top: float
    bottom: float
    aside: float

    def on(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return the pixels of a grid of ``PITCH_MM`` that belong to it."""
        rows, columns = ((np.arange(n) - (n - 1) / 2) * PITCH_MM for n in shape)
        return ((rows >= self.top) & (rows <= self.bottom))[:, None] & (np.abs(columns) <= self.aside)[None]


@dataclass(frozen=True)
class Threshold:
    """Marks what is brighter than the region's median by some factor.

    Parameters
    ----------
    region : Region
        Where to look.
    blur_mm : float
        Standard deviation of the smoothing before [mm].

    Examples
    --------
    >>> Threshold(Region(-60.0, 60.0, 40.0), 3.0).name
    'threshold'
    """

    region: Region
    blur_mm: float
    name = "threshold"

    def __call__(self, images: Acquisition, phases: tuple[Phase, ...]) -> Marks:
        """Return the marks in the late image, or in the only one."""
        grid, placement = on_grid(images, phases[-1])
        smooth = gaussian_filter(grid, self.blur_mm / PITCH_MM)
        region = self.region.on(smooth.shape)
        level = float(np.median(smooth[region])) if region.any() else 0.0
        return _peaks(smooth / max(level, 1e-6), region, placement)


@dataclass(frozen=True)
class Template:
    """Gaussian blobs of several widths, matched to what stays of the late image once the early one is subtracted.

    The early image is shifted onto the late one and scaled by what the brightest tissue of the region kept, which is the thyroid.
    The difference is divided by its standard deviation. Of one phase alone, the image is taken less its own local mean.

    Parameters
    ----------
    region : Region
        Where to look.
    widths_mm : tuple of float
        FWHM of the blobs [mm].
    share : float
        Of the thyroid that is subtracted.

    References
    ----------
    * Barrett and Myers, Foundations of Image Science (2004), chapter 13: prewhitening matched filter.
    """

    region: Region
    widths_mm: tuple[float, ...]
    share: float = 1.0
    name = "template"

    def __call__(self, images: Acquisition, phases: tuple[Phase, ...]) -> Marks:
        """Return the marks, on the late image where it is there."""
        grid, placement = on_grid(images, phases[-1])
        region = self.region.on(grid.shape)
        if len(phases) == 2:
            early = _registered(on_grid(images, "early")[0], grid)
            kept = self.share * _kept(early, grid, region)
            rest, variance = grid - kept * early, _smooth(grid) + kept**2 * _smooth(early)
        else:
            rest, variance = grid - _smooth(grid, 25.0), _smooth(grid)
        white = rest / np.sqrt(np.maximum(variance, 0.05))
        return _peaks(np.max([_response(white, width) for width in self.widths_mm], axis=0), region, placement)


Observer = Threshold | Template


def candidates(regions: Sequence[Region], phases: tuple[Phase, ...]) -> dict[str, tuple[Observer, ...]]:
    """Return what tuning chooses among, by the name of the observer.

    Parameters
    ----------
    regions : sequence of Region
        Where to look: small ones miss ectopic glands, large ones hold salivary glands.
    phases : tuple of str
        What there is to look at.
    """
    widths = ((10.0,), (8.0, 14.0))
    if len(phases) == 2:  # the threshold sees one image only
        return {Template.name: tuple(starmap(Template, product(regions, widths, (0.8, 1.0))))}
    return {
        Threshold.name: tuple(starmap(Threshold, product(regions, (2.0, 4.0)))),
        Template.name: tuple(starmap(Template, product(regions, widths))),
    }


def on_grid(images: Acquisition, phase: Phase) -> tuple[Floats, Placement]:
    """Return one phase on pixels of ``PITCH_MM``, and where that grid lies.

    Parameters
    ----------
    images : Acquisition
        Both phases.
    phase : {"early", "late"}
        Which one.

    Returns
    -------
    image : ndarray, shape (rows, columns), float64
        Counts, of which none are lost.
    placement : Placement
        From the grid to the pixels of the acquisition and back.
    """
    image = images.early if phase == "early" else images.late
    placement = pitch_placement(MatrixSize(*image.shape), (images.pixel_mm, images.pixel_mm), PITCH_MM)
    return resample(image, placement).astype(np.float64), placement


def _smooth(image: Floats, blur_mm: float = 5.0) -> Floats:
    return np.asarray(gaussian_filter(image, blur_mm / PITCH_MM), np.float64)


def _response(white: Floats, width_mm: float) -> Floats:
    """Return the response to a blob on a level, in standard deviations of white noise."""
    sigma = width_mm / FWHM_PER_SIGMA / PITCH_MM
    near, far = 1 / (4 * np.pi * sigma**2), 1 / (4 * np.pi * (2.5 * sigma) ** 2)
    cross = 1 / (2 * np.pi * sigma**2 * (1 + 2.5**2))
    found = gaussian_filter(white, sigma) - gaussian_filter(white, 2.5 * sigma)
    return np.asarray(found / np.sqrt(near + far - 2 * cross), np.float64)


def _registered(early: Floats, late: Floats) -> Floats:
    """Return the early image shifted to where it correlates best with the late one."""
    one, other = (np.sqrt(_smooth(image)) for image in (early, late))
    one, other = one - one.mean(), other - other.mean()
    correlation = np.fft.irfft2(np.fft.rfft2(other) * np.conj(np.fft.rfft2(one)), s=one.shape)
    reach = round(30 / PITCH_MM)
    near = np.roll(correlation, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    best = np.subtract(np.unravel_index(near.argmax(), near.shape), reach)
    return np.asarray(shift(early, best, order=1), np.float64)


def _kept(early: Floats, late: Floats, region: NDArray[np.bool_]) -> float:
    """Return what the brightest tissue of the early image kept, soft tissue taken off both."""
    one, other = (_smooth(image) for image in (early, late))
    if not region.any():
        return 0.0
    bright = region & (one >= np.quantile(one[region], 0.95))
    levels = [float(np.median(image[region])) for image in (one, other)]
    a, b = one[bright] - levels[0], other[bright] - levels[1]
    return float(np.clip((a * b).sum() / max((a * a).sum(), 1e-9), 0.05, 1.5))


def _peaks(score: Floats, region: NDArray[np.bool_], placement: Placement) -> Marks:
    """Return the highest local maxima in a region, apart from each other."""
    rows, columns = np.nonzero(region & (score == maximum_filter(score, 3)))
    order = np.argsort(-score[rows, columns], kind="stable")
    kept: list[tuple[int, int]] = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if all(np.hypot(row - r, column - c) * PITCH_MM > APART_MM for r, c in kept):
            kept.append((row, column))
        if len(kept) == MOST:
            break
    at = np.array(kept, np.float64).reshape(-1, 2)
    scores = np.array([score[row, column] for row, column in kept], np.float64)
    return Marks(placement.to_source(at + 0.5) - 0.5, scores)
