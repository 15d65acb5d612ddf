"""What image quality metrics say about PET slices of longer and longer acquisitions, on several matrices, with and without a model.

Without a reference a metric can only be trusted where it puts in order what is known to be in order. A longer acquisition
is better, and a better image has a lower PIQE, NIQE and BRISQUE and a higher PSNR; whether it has, is measured here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from ...engine.session import Session
from ...kernels import brisque, fit_niqe, niqe, piqe
from ...kernels.iqa.models import NiqeModel
from ..phantoms.slices import OBJECTS
from ..phantoms.tomography import Reconstruction, Scanner, Sinogram, acquire, measure, reconstruct
from .metrics import Interval, bootstrap, peak, psnr
from .slices import CLINICAL

Pixels = NDArray[np.float32]
Tell = Callable[[str], None]

CLINICAL_S = 120.0  # time in which a slice collects CLINICAL true coincidences
TIMES_S = (7.5, 15.0, 30.0, 60.0, 120.0, 240.0)
MATRICES = (128, 192, 256)
FILTERS_MM = (0.0, 4.0)  # of the reconstruction
SUBJECTS = ("brain", "torso")
NUMBER = 8  # of each
SEED = 61
FITTED = 12  # of each, other ones, that a model of good PET slices is made from
BLOCK, SHARP = 32, 0.2  # as for scintigraphy, see niqe_ranking
Metric = Callable[[Pixels, Pixels, NiqeModel], float]
# Each metric of an image, the truth and a model of good slices, and +1 where more of it is better.
METRICS: dict[str, tuple[Metric, int]] = {
    "PSNR [dB]": (lambda image, truth, good: psnr(image, truth), 1),
    "PIQE": (lambda image, truth, good: float(piqe(image, window=_window(truth))), -1),
    "NIQE, photographs": (lambda image, truth, good: float(niqe(image, window=_window(truth))), -1),
    "NIQE, scintigraphy": (lambda image, truth, good: float(niqe(image, model="nm", window=_window(truth))), -1),
    "NIQE, PET": (lambda image, truth, good: float(niqe(image, model=good, window=_window(truth))), -1),
    "BRISQUE": (lambda image, truth, good: float(brisque(image, window=_window(truth))), -1),
}
PROCESSING = ("as reconstructed", "processed")


@dataclass(frozen=True)
class Trend:
    """How one metric goes with acquisition time.

    Parameters
    ----------
    metric, processing : str
        Keys of ``METRICS`` and ``PROCESSING``.
    matrix : int
        Rows and columns.
    filter_mm : float
        Full width at half maximum of the Gaussian filter after reconstruction; 0 is none [mm].
    tau : Interval
        Kendall's rank correlation between time and score, counted positive where longer is better; mean over slices. It is
        0 where a metric says the same about all times.
    ordered : float
        Share of the slices whose scores are all in the right order.
    scores : tuple of Interval
        Mean over slices at each of ``TIMES_S``.
    """

    metric: str
    processing: str
    matrix: int
    filter_mm: float
    tau: Interval
    ordered: float
    scores: tuple[Interval, ...]


@dataclass(frozen=True)
class TimeReport:
    """The study of one model.

    Parameters
    ----------
    model : str
        Name of the bundle that processed.
    slices : int
        How many there were.
    trends : tuple of Trend
        One entry per metric, processing, matrix and filter.
    """

    model: str
    slices: int
    trends: tuple[Trend, ...]


def study(session: Session, tell: Tell = lambda name: None) -> TimeReport:
    """Score held-out slices at all times and on all matrices, before and after a model.

    Parameters
    ----------
    session : Session
        Of a denoiser for PET.
    tell : callable
        Told what is being measured.

    Returns
    -------
    TimeReport
        The same for the same model.
    """
    scores: dict[tuple[str, str, int, float], list[list[float]]] = {}
    for matrix, filter_mm in product(MATRICES, FILTERS_MM):
        tell(f"{matrix} x {matrix}, filter of {filter_mm:g} mm")
        good = fit_pet(matrix, filter_mm)
        for subject, number in product(SUBJECTS, range(NUMBER)):
            images, truth = series(subject, number, matrix, filter_mm)
            for key, found in _scores(images, truth, good, session):
                scores.setdefault((*key, matrix, filter_mm), []).append(found)
    trends = tuple(_trend(*key, np.array(found)) for key, found in scores.items())
    return TimeReport(session.bundle.name, len(SUBJECTS) * NUMBER, trends)


def series(subject: str, number: int, matrix: int, filter_mm: float) -> tuple[list[Pixels], Pixels]:
    """Return one slice at each of ``TIMES_S``, and without noise.

    Parameters
    ----------
    subject : str
        One of ``SUBJECTS``.
    number : int
        Number of the anatomy; the same one on every matrix.
    matrix : int
        Rows and columns.
    filter_mm : float
        See :class:`Trend`.
    """
    expected, scanner, how = _acquisition(subject, number, matrix, filter_mm)
    rng = np.random.default_rng([SEED + 1, SUBJECTS.index(subject), number, matrix])
    images = [reconstruct(acquire(expected, time / CLINICAL_S, rng), scanner, how) for time in TIMES_S]
    return images, reconstruct(expected, scanner, how)


def fit_pet(matrix: int, filter_mm: float) -> NiqeModel:
    """Return a NIQE model of slices without noise, of other anatomies and the same protocol; arguments as for :func:`series`."""
    numbers = range(NUMBER, NUMBER + FITTED)
    truths = [
        reconstruct(*_acquisition(subject, number, matrix, filter_mm)) for subject, number in product(SUBJECTS, numbers)
    ]
    shown = [truth / np.float32(peak(truth)) for truth in truths]
    return fit_niqe(shown, name=f"pet-{matrix}-{filter_mm:g}", block=BLOCK, sharp=SHARP, window=(0.0, 1.0))


def _acquisition(subject: str, number: int, matrix: int, filter_mm: float) -> tuple[Sinogram, Scanner, Reconstruction]:
    """Return expected projections of a clinical acquisition, and what reconstructs them."""
    plane = OBJECTS[subject](np.random.default_rng([SEED, SUBJECTS.index(subject), number]), 2 * matrix)
    scanner = Scanner(plane.field_mm, angles=200, fwhm_mm=4.5)
    how = Reconstruction(side=matrix, iterations=3, subsets=10, filter_fwhm_mm=filter_mm)
    return measure(plane.activity, plane.attenuation, scanner, CLINICAL), scanner, how


def _scores(
    images: list[Pixels], truth: Pixels, good: NiqeModel, session: Session
) -> Iterator[tuple[tuple[str, str], list[float]]]:
    """Yield metric and processing, with the scores at all times."""
    processed = list(session.run(np.stack(images)).frames.pixels)
    for processing, shown in zip(PROCESSING, (images, processed), strict=True):
        for metric, (score, _) in METRICS.items():
            yield (metric, processing), [score(image, truth, good) for image in shown]


def _window(truth: Pixels) -> tuple[float, float]:
    """Return the grey scale that all images of a slice are seen through."""
    return 0.0, peak(truth)


def _trend(metric: str, processing: str, matrix: int, filter_mm: float, scores: NDArray[np.float64]) -> Trend:
    """Summarise scores, shape (slices, times)."""
    sign = METRICS[metric][1]
    taus = np.array([sign * kendalltau(TIMES_S, row).statistic if np.ptp(row) else 0.0 for row in scores])
    return Trend(
        metric,
        processing,
        matrix,
        filter_mm,
        bootstrap(taus),
        float((taus > 1 - 1e-9).mean()),
        tuple(bootstrap(column) for column in scores.T),
    )
