"""The real bone scan on twice the matrix, judged through the matrix that it was acquired on.

No camera gives the truth on a finer matrix, but binning leads back to counts that were measured. A thinned scan is either binned
first, so that a method has to return to the matrix of the scan, or enlarged beyond it, and what the method made is binned
back. Both are compared with the counts that thinning left out, which are independent of the input.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from scipy.ndimage import gaussian_filter

from ...engine.errors import UsageError
from ..card import FRACTIONS as NAMES
from ..inference import Runner
from ..markdown import markdown
from ..phantoms.camera import bin2, thin
from .baselines import ENLARGERS, GAUSSIAN_SIGMAS, Method, Methods, Pixels, enlarge
from .metrics import psnr_of_error
from .real import BODY, FRACTIONS, SCAN, corrected_error

__all__ = ["BEYOND", "TO_THE_MATRIX", "Enlarged", "as_markdown", "enlarge_scan", "read_scan"]

REPEATS = 4
TO_THE_MATRIX, BEYOND = "128 to 256", "256 to 512, binned back"
TUNED = "Gaussian, tuned + bicubic"


@dataclass(frozen=True)
class Enlarged:
    """What a method made of one thinned scan.

    Parameters
    ----------
    test : str
        Columns of the input and of the output.
    fraction : float
        Share of the counts in the input.
    repeat : int
        Number of the thinning.
    method : str
        Name of the method or model.
    psnr : float
        Against the unknown truth, see :func:`~.real.corrected_error`; the sum is restored [dB].
    bias : float
        Sum of the image over the sum of the input, minus 1, before it is restored [1].
    """

    test: str
    fraction: float
    repeat: int
    method: str
    psnr: float
    bias: float


def read_scan(data: Path | None) -> Pixels:
    """Return the rows of the whole-body scan that hold the body, shape (800, 256) [counts].

    Raises
    ------
    UsageError
        If the folder does not hold the scan.
    """
    if data is None or not (data / SCAN).exists():
        raise UsageError(f"{SCAN} is not in {data}, give the folder that holds it with --data.")
    return np.asarray(pydicom.dcmread(data / SCAN).pixel_array[BODY], np.float32)


def enlarge_scan(
    scan: Pixels, models: dict[str, bytes], tell: Callable[[str], None] = lambda name: None
) -> tuple[Enlarged, ...]:
    """Double the matrix of a thinned scan by models and by interpolation.

    Parameters
    ----------
    scan : ndarray, shape (rows, columns), float32
        Whole counts; sides are multiples of 4.
    models : dict of str to bytes
        ONNX graphs that double the matrix, by name.
    tell : callable
        Told what is being measured.

    Returns
    -------
    tuple of Enlarged
        The same for the same arguments. Tuned methods are tuned against the reference.

    References
    ----------
    * Batson, J. and Royer, L. (2019). Noise2Self: blind denoising by self-supervision. ICML. (An independent noisy image ranks
      estimates as the truth would.)
    """
    runs = tuple((name, _network(Runner(model))) for name, model in models.items())
    beyond = (*runs, *((name, _filtered if name == TUNED else method) for name, method in ENLARGERS))
    found: list[Enlarged] = []
    for fraction in FRACTIONS:
        tell(f"{NAMES[fraction]} of the counts")
        for repeat in range(REPEATS):
            split = thin(scan, fraction, np.random.default_rng([5, repeat]))
            found += _measured(TO_THE_MATRIX, (*runs, *ENLARGERS), split, fraction, repeat)
            found += _measured(BEYOND, beyond, split, fraction, repeat)
    return tuple(found)


def _measured(
    test: str, methods: Methods, split: tuple[Pixels, Pixels], fraction: float, repeat: int
) -> Iterator[Enlarged]:
    """Yield the figures of all methods on one thinning."""
    kept, rest = split
    reference = rest * np.float32(fraction / (1 - fraction))
    truth = (kept + rest) * np.float32(fraction)
    for name, method in methods:
        image = method(bin2(kept), reference) if test == TO_THE_MATRIX else bin2(method(kept, reference))
        bias = float(image.sum(dtype=np.float64) / kept.sum(dtype=np.float64) - 1)
        error = corrected_error(image / np.float32(1 + bias), rest, fraction)
        yield Enlarged(test, fraction, repeat, name, psnr_of_error(error, truth), bias)


def _network(run: Runner) -> Method:
    """Return a model as a method."""
    return lambda counts, reference: run(counts[None, None])[0, 0]


def _filtered(counts: Pixels, reference: Pixels) -> Pixels:
    """Return the Gaussian-filtered counts enlarged by bicubic interpolation, of least error once they are binned back."""
    bicubic = enlarge(Image.Resampling.BICUBIC)
    smooth = [bicubic(gaussian_filter(counts, sigma), reference) for sigma in GAUSSIAN_SIGMAS]
    return min(smooth, key=lambda image: float(np.mean((bin2(image) - reference) ** 2)))


def as_markdown(found: tuple[Enlarged, ...]) -> str:
    """Return the PSNR of each method, and the greatest bias of each model before the sum is restored."""
    rows = []
    for test in (TO_THE_MATRIX, BEYOND):
        for method in dict.fromkeys(entry.method for entry in found):
            own = [entry for entry in found if (entry.test, entry.method) == (test, method)]
            cells = (np.mean([e.psnr for e in own if e.fraction == fraction]) for fraction in FRACTIONS)
            bias = 100 * max((entry.bias for entry in own), key=abs)
            rows.append((test, method, *(f"{cell:.2f}" for cell in cells), f"{bias:+.2f}"))
    header = ("columns", "method", *(NAMES[fraction] for fraction in FRACTIONS), "greatest bias [%]")
    return markdown(header, rows)
