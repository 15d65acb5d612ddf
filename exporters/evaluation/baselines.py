"""What the models are compared with, each tuned on every single image against the truth (an oracle)."""

from collections.abc import Callable, Iterable
from functools import lru_cache

import bm3d
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import poisson
from skimage.restoration import denoise_nl_means

Pixels = NDArray[np.float32]
Method = Callable[[Pixels, Pixels], Pixels]
Methods = tuple[tuple[str, Method], ...]

GAUSSIAN_SIGMAS = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0)
BM3D_SIGMAS = (0.8, 1.0, 1.2, 1.5)
NLM_STRENGTHS = (0.5, 0.7, 0.9, 1.2)
_TABLE_END = 200.0


def gaussian(counts: Pixels, truth: Pixels) -> Pixels:
    """Return the Gaussian-filtered counts of least squared error."""
    return _best((gaussian_filter(counts, sigma) for sigma in GAUSSIAN_SIGMAS), truth)


def bm3d_anscombe(counts: Pixels, truth: Pixels) -> Pixels:
    """Return BM3D in the Anscombe domain with exact unbiased inverse, strength tuned.

    References
    ----------
    * Dabov et al., IEEE Trans. Image Process. 16 (2007) 2080.
    * Makitalo & Foi, IEEE Trans. Image Process. 20 (2011) 99.
    """
    z = anscombe(counts)
    top = float(z.max())
    tried: dict[float, Pixels] = {}

    def error(sigma: float) -> float:
        if sigma not in tried:
            tried[sigma] = inverse_anscombe(bm3d.bm3d(z / top, sigma / top) * top)
        return _squared_error(tried[sigma], truth)

    low, middle, high, highest = BM3D_SIGMAS  # the error has one minimum in sigma: three trials find it
    best = min((middle, low) if error(middle) <= error(high) else (high, highest), key=error)
    return tried[best]


def nlm_anscombe(counts: Pixels, truth: Pixels) -> Pixels:
    """Return non-local means in the Anscombe domain with exact unbiased inverse, strength tuned."""
    z = anscombe(counts)
    smooth = (denoise_nl_means(z, 5, 8, h, True, 1.0) for h in NLM_STRENGTHS)
    return _best((inverse_anscombe(image) for image in smooth), truth)


def enlarge(resample: Image.Resampling) -> Method:
    """Return a method that doubles the matrix and keeps counts per area."""

    def method(counts: Pixels, truth: Pixels) -> Pixels:
        return _double(counts, resample)

    return method


def gaussian_bicubic(counts: Pixels, truth: Pixels) -> Pixels:
    """Return the Gaussian-filtered counts enlarged by bicubic interpolation, width tuned."""
    smooth = (gaussian_filter(counts, sigma) for sigma in GAUSSIAN_SIGMAS)
    return _best((_double(image, Image.Resampling.BICUBIC) for image in smooth), truth)


DENOISERS: Methods = (
    ("none", lambda counts, truth: counts),
    ("Gaussian, tuned", gaussian),
    ("NLM + Anscombe, tuned", nlm_anscombe),
    ("BM3D + Anscombe, tuned", bm3d_anscombe),
)
ENLARGERS: Methods = (
    ("nearest", enlarge(Image.Resampling.NEAREST)),
    ("bilinear", enlarge(Image.Resampling.BILINEAR)),
    ("bicubic", enlarge(Image.Resampling.BICUBIC)),
    ("Lanczos", enlarge(Image.Resampling.LANCZOS)),
    ("Gaussian, tuned + bicubic", gaussian_bicubic),
)
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "Lanczos")


def anscombe(counts: Pixels) -> Pixels:
    """Return 2 sqrt(x + 3/8), whose noise has unit variance for Poisson counts."""
    return np.asarray(2 * np.sqrt(np.maximum(counts, 0) + 0.375), np.float32)


def inverse_anscombe(z: NDArray[np.floating]) -> Pixels:
    """Return the expectation whose Anscombe transform has the given mean (exact unbiased inverse).

    Parameters
    ----------
    z : ndarray
        Denoised transform.

    Returns
    -------
    ndarray, same shape, float32
        Expected counts.

    References
    ----------
    * Makitalo & Foi, IEEE Trans. Image Process. 20 (2011) 99.

    Examples
    --------
    >>> bool(abs(inverse_anscombe(np.array([2 * np.sqrt(1000.375)]))[0] - 1000.25) < 0.3)
    True
    """
    expected, means = _inverse_table()
    inside = np.interp(z, means, expected)
    beyond = z * z / 4 - 1 / 8  # the asymptotic inverse, exact to 1e-3 past the table
    return np.asarray(np.where(z > means[-1], beyond, inside), np.float32)


@lru_cache(maxsize=1)
def _inverse_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tabulate expectations and the mean of the transform of Poisson counts that have them."""
    expected = np.concatenate([np.linspace(0, 5, 501), np.linspace(5, _TABLE_END, 1000)[1:]])
    whole = np.arange(0, int(_TABLE_END + 12 * np.sqrt(_TABLE_END)))
    means = poisson.pmf(whole[None], expected[:, None]) @ (2 * np.sqrt(whole + 0.375))
    return expected, np.asarray(means, np.float64)


def _double(counts: Pixels, resample: Image.Resampling) -> Pixels:
    """Enlarge twofold; a quarter of the counts falls on each new pixel."""
    rows, columns = counts.shape
    enlarged = np.asarray(Image.fromarray(counts).resize((2 * columns, 2 * rows), resample), np.float32)
    return np.asarray(np.maximum(enlarged, 0) / 4, np.float32)


def _best(candidates: Iterable[NDArray[np.floating]], truth: Pixels) -> Pixels:
    """Return the candidate of least squared error."""
    return np.asarray(min(candidates, key=lambda image: _squared_error(image, truth)), np.float32)


def _squared_error(image: NDArray[np.floating], truth: Pixels) -> float:
    """Return the mean squared error."""
    return float(np.mean((image - truth) ** 2))
