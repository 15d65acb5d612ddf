"""What the models are compared with, each tuned on every single image against the truth (an oracle)."""

from collections.abc import Callable, Iterable
from functools import lru_cache

import bm3d
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import poisson
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

Pixels = NDArray[np.float32]
Method = Callable[[Pixels, Pixels], Pixels]
Methods = tuple[tuple[str, Method], ...]

# What one unit of a PET slice counts for before the square root.
PET_GAIN = 60.0
GAUSSIAN_SIGMAS = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0)
BM3D_SIGMAS = (0.8, 1.0, 1.2, 1.5)
NLM_STRENGTHS = (0.5, 0.7, 0.9, 1.2)
# So far apart that "tuned" is true also where there is next to nothing but noise, and curves reach the smoothest images.
PET_STRENGTHS = {
    "Gaussian": (*GAUSSIAN_SIGMAS, 6.0, 8.0),
    "NLM": (0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.3, 0.5, 0.8),
    "TV": (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2),
    "BM3D + Anscombe": (0.03, 0.06, 0.1, 0.16, 0.25, 0.4, 0.6),
}
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


def smooth_slice(name: str, image: Pixels, strength: float) -> Pixels:
    """Return what a classical method makes of a PET slice.

    Parameters
    ----------
    name : {"Gaussian", "NLM", "TV", "BM3D + Anscombe"}
        Which method.
    image : ndarray, shape (rows, columns), float32
        Concentrations.
    strength : float
        One of ``PET_STRENGTHS``: width in pixels, or noise in units of the image's robust maximum.
    """
    if name == "Gaussian":
        return np.asarray(gaussian_filter(image, strength), np.float32)
    peak = np.float32(max(float(np.quantile(image, 0.995)), 1e-9))
    unit = np.asarray(image / peak, np.float32)
    if name == "NLM":
        return np.asarray(peak * denoise_nl_means(unit, 5, 8, strength, True), np.float32)
    if name == "TV":
        return np.asarray(peak * denoise_tv_chambolle(unit, strength), np.float32)
    z = anscombe(np.float32(PET_GAIN) * np.maximum(unit, 0))
    top = float(z.max())
    return peak / np.float32(PET_GAIN) * inverse_anscombe(bm3d.bm3d(z / top, strength) * top)


def tuned(name: str) -> Method:
    """Return a classical method for PET slices whose strength is the best of a few for every image."""
    strengths = PET_STRENGTHS[name]

    def method(image: Pixels, truth: Pixels) -> Pixels:
        tried: dict[int, Pixels] = {}

        def error(at: int) -> float:
            if not 0 <= at < len(strengths):
                return float("inf")
            if at not in tried:
                tried[at] = smooth_slice(name, image, strengths[at])
            return _squared_error(tried[at], truth)

        best = len(strengths) // 2  # the error has one minimum in the strength: walk down to it
        while (step := min((best - 1, best + 1), key=error)) and error(step) < error(best):
            best = step
        return tried[min(tried, key=error)]

    return method


def enlarge(resample: Image.Resampling) -> Method:
    """Return a method that doubles the matrix and keeps counts per area."""

    def method(counts: Pixels, truth: Pixels) -> Pixels:
        return _double(counts, resample)

    return method


def gaussian_bicubic(counts: Pixels, truth: Pixels) -> Pixels:
    """Return the Gaussian-filtered counts enlarged by bicubic interpolation, width tuned."""
    smooth = (gaussian_filter(counts, sigma) for sigma in GAUSSIAN_SIGMAS)
    return _best((_double(image, Image.Resampling.BICUBIC) for image in smooth), truth)


def _of_concentrations(method: Method) -> Method:
    """Return an enlarging method for concentrations, which do not spread over new pixels as counts do."""
    return lambda image, truth: np.float32(4) * method(image, truth / np.float32(4))


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
PET_SWEPT = ("Gaussian", "NLM", "TV", "BM3D + Anscombe")
PET_DENOISERS: Methods = (
    ("none", lambda image, truth: image),
    *((f"{name}, tuned", tuned(name)) for name in PET_SWEPT),
)
PET_ENLARGERS: Methods = tuple((name, _of_concentrations(method)) for name, method in ENLARGERS)
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
