"""The real whole-body bone scan, thinned: short acquisitions are scored against the counts they left out.

The complement is independent of the thinned image, so its expected squared difference from an estimate is the error of the
estimate plus the variance of the complement, which Poisson statistics give: subtracting it leaves the error against the unknown truth.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pydicom

from ..phantoms.camera import bin2, thin
from ..recipes.catalogue import Recipe
from .baselines import Method, Methods, Pixels
from .metrics import psnr_of_error

SCAN = "nema_wg04/NM1_UNC.dcm"
BODY = np.s_[80:880, :]
FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
REPEATS = 2
Figure = Callable[[str, str, Callable[[], list[float]]], list[float]]


def real_scores(
    recipe: Recipe, methods: Methods, data: Path | None, figure: Figure
) -> Iterator[tuple[float, str, float]]:
    """Yield count fraction, method and noise-corrected PSNR on the real scan.

    Parameters
    ----------
    recipe : Recipe
        Task and scale of the model.
    methods : tuple of (name, method)
        What to compare; tuned methods are tuned against the complement.
    data : Path or None
        Folder with the scan; nothing is yielded where it is missing.
    figure : callable
        Given a method's name, a key and a function, returns the figures kept under the key or else those of the function.

    Yields
    ------
    tuple of float, str, float
        Fraction of the counts in the input, name, PSNR [dB].
    """
    if data is None or not (data / SCAN).exists():
        return
    scan = pydicom.dcmread(data / SCAN).pixel_array.astype(np.float32)[BODY]
    for fraction in FRACTIONS:
        for repeat in range(REPEATS):
            split = thin(scan, fraction, np.random.default_rng([5, repeat]))
            for name, method in methods:
                make = partial(_real_score, method, split, fraction, recipe.scale)
                yield fraction, name, figure(name, f"real|{fraction:.4f}|{repeat}|{name}|psnr", make)[0]


def _real_score(method: Method, split: tuple[Pixels, Pixels], fraction: float, scale: int) -> list[float]:
    """Return the PSNR of what a method makes of the kept counts, with the sum restored."""
    kept, rest = split
    counts = bin2(kept) if scale == 2 else kept
    image = method(counts, rest * np.float32(fraction / (1 - fraction)))
    image = image * (counts.sum() / image.sum())
    return [psnr_of_error(corrected_error(image, rest, fraction), (kept + rest) * np.float32(fraction))]


def corrected_error(image: Pixels, rest: Pixels, fraction: float) -> float:
    """Return an unbiased estimate of the squared error of an image against the unknown expectation.

    Parameters
    ----------
    image : ndarray
        Estimate from a share ``fraction`` of the counts, on that level.
    rest : ndarray, same shape
        The other counts, independent of the image.
    fraction : float
        Share of the counts that the image was made from.

    Returns
    -------
    float
        Mean squared error [counts^2]; small errors may come out negative by chance.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rest = rng.poisson(30.0, (400, 400)).astype(np.float32)
    >>> bool(abs(corrected_error(np.full_like(rest, 10.0), rest, 0.25)) < 0.1)
    True
    """
    ratio = fraction / (1 - fraction)
    apparent = np.mean((image.astype(np.float64) - ratio * rest) ** 2)
    return float(apparent - ratio**2 * rest.mean(dtype=np.float64))
