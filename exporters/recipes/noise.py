"""How noisy the slices of a PET series are, measured in the series itself.

The noise of a reconstructed slice is correlated: what leaves one pixel to be guessed from its neighbours guesses the noise too. It
can be measured, because the object changes little from slice to slice while most of the noise does: the second difference of
three slices is blind to everything that changes linearly along the axis.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, minimum_filter

from ...engine.errors import InputError

Floats = NDArray[np.float32]
Rows = NDArray[np.float64]
LEAST_SLICES = 6
WINDOW = 32
_STRIDE = 8
_MOST_PATCHES = 1000
_CORRELATED = 0.06
_FARTHEST = 6
_SMOOTH_PX = 3.0
_HIGH_PASS_PX = 2.0
_INSIDE = 0.1  # of the brightest pixels; what is darker lies outside of the patient
_EXPONENTS = (0.0, 2.0)
_QUIET = 0.2  # of the patches have the least variance: structure, which the differences do not cancel altogether, only adds to it
_LEAST_SPREAD = 0.1  # of the logarithm of the concentration, to tell how the variance depends on it
_GROUPS = 12
_BRIGHTEST = 0.995
_CANDIDATES = np.linspace(0.0, 0.9, 181)


@dataclass(frozen=True)
class Noise:
    """Gaussian noise whose variance is a power of the concentration, with the same correlation everywhere.

    Parameters
    ----------
    scale : float
        Variance at a concentration of 1 [units of the image, squared].
    exponent : float
        0 for noise that is even, 1 for a variance that grows with the concentration, 2 for a deviation that does.
    correlation : ndarray, shape (WINDOW, WINDOW), float64
        Autocorrelation at whole pixels of distance; lag 0 comes first and is 1, negative lags come from behind.
    axial : float
        Correlation of the noise of neighbouring slices [1].
    """

    scale: float
    exponent: float
    correlation: Rows
    axial: float

    @property
    def apart(self) -> int:
        """How many slices further the noise is another one."""
        return next(k for k in range(1, _FARTHEST + 1) if self.axial ** (k * k) < _CORRELATED or k == _FARTHEST)

    def deviation(self, image: Floats) -> Floats:
        """Return the standard deviation in each pixel of an image, of any shape (..., rows, columns)."""
        return np.asarray(np.sqrt(self.scale) * _smooth(image) ** (self.exponent / 2), np.float32)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
        """Return noise of unit variance with this correlation, periodic along both axes."""
        padded = np.zeros(shape)
        reach = min(*shape, WINDOW) // 2
        lags = np.ix_(*[np.arange(-reach + 1, reach)] * 2)
        padded[lags] = self.correlation[lags]
        power = np.maximum(np.fft.fft2(padded).real, 0)
        white = np.fft.fft2(rng.standard_normal(shape))
        return np.asarray(np.fft.ifft2(white * np.sqrt(power / power.mean())).real, np.float32)


def measure(slices: Floats, name: str = "series") -> Noise:
    """Return the noise of a series.

    Parameters
    ----------
    slices : ndarray, shape (n, rows, columns), float32
        Neighbouring slices in order, evenly spaced.
    name : str
        What to call the series in a message.

    Returns
    -------
    Noise
        Of the whole series.

    Raises
    ------
    InputError
        If the slices are too few, too small, or show nothing.

    References
    ----------
    * Barrett, Wilson and Tsui, Noise properties of the EM algorithm, Phys. Med. Biol. 39 (1994). (The deviation of a
      reconstruction by EM follows the image.)

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> slices = 100 + gaussian_filter(rng.standard_normal((12, 96, 96)), (0, 1.5, 1.5)).astype(np.float32)
    >>> found = measure(slices)
    >>> round(float(found.correlation[0, 1]), 1), round(found.axial, 1)
    (0.9, 0.0)
    """
    if len(slices) < LEAST_SLICES or min(slices.shape[1:]) < WINDOW:
        raise InputError(
            f"{name}: {len(slices)} slices of {slices.shape[1]}x{slices.shape[2]} are too few or too small to measure noise in; "
            f"give a series of at least {LEAST_SLICES} slices of {WINDOW}x{WINDOW}."
        )
    means = _smooth((slices[:-2] + slices[1:-1] + slices[2:]) / np.float32(3))
    places = _places(means, _INSIDE * float(np.quantile(means, _BRIGHTEST)))
    if len(places) < LEAST_SLICES:
        raise InputError(f"{name}: shows too little activity to measure noise in; leave the series out.")
    axial = _axial(slices)
    second = slices[1:-1] - (slices[:-2] + slices[2:]) / np.float32(2)
    second /= np.float32(np.sqrt(_gain(np.asarray(axial), 0)))
    differences, concentrations = (np.asarray([part[at] for at in places], np.float64) for part in (second, means))
    exponent, scale = _power_law(differences, concentrations)
    relative = differences / concentrations ** (exponent / 2)
    variance = relative.var(axis=(1, 2))
    return Noise(scale, exponent, _correlation(relative[variance <= np.median(variance)]), axial)


def _correlation(patches: Rows) -> Rows:
    """Return the autocorrelation of noise in patches, freed of the window's and let run out."""
    window = np.outer(*[np.hanning(WINDOW + 2)[1:-1]] * 2)
    wide = (2 * WINDOW, 2 * WINDOW)
    found, own = (np.fft.ifft2(np.abs(np.fft.fft2(part, wide)) ** 2).real for part in (patches * window, window[None]))
    lags = np.fft.fftfreq(WINDOW, 1 / WINDOW).astype(int)
    end = np.cos(np.pi * np.clip(np.hypot(lags[:, None], lags) / WINDOW, 0, 0.5)) ** 2
    kept = found.mean(axis=0)[np.ix_(lags, lags)] / own[0][np.ix_(lags, lags)] * end
    return np.asarray(kept / kept[0, 0], np.float64)


def _axial(slices: Floats) -> float:
    """Return the correlation of neighbouring slices of a Gaussian filter that explains that of second differences."""
    fine = slices - np.asarray(gaussian_filter(slices, (0, _HIGH_PASS_PX, _HIGH_PASS_PX)), np.float32)
    second = fine[1:-1] - (fine[:-2] + fine[2:]) / np.float32(2)
    ratio = float(np.median(_sums(second[1:] * second[:-1])) / np.median(_sums(second * second)))
    expected = _gain(_CANDIDATES, 1) / _gain(_CANDIDATES, 0)
    return float(_CANDIDATES[np.argmin(np.abs(expected - ratio))])


def _gain(axial: Rows, lag: int) -> Rows:
    """Return the covariance of second differences so many slices apart, of noise with unit variance."""
    kernel = (0.25, -1.0, 1.5, -1.0, 0.25)  # that of (-1/2, 1, -1/2) with itself
    return np.asarray(
        sum(w * axial ** float((lag + k) ** 2) for k, w in zip(range(-2, 3), kernel, strict=True)), np.float64
    )


def _sums(products: Floats) -> Rows:
    return np.asarray(products.sum(axis=(1, 2), dtype=np.float64))


def _power_law(differences: Rows, concentrations: Rows) -> tuple[float, float]:
    """Return exponent and scale of the variance as a function of the concentration, from where it is least."""
    level = np.log(concentrations.mean(axis=(1, 2)))
    variance = np.log(np.maximum((differences**2).mean(axis=(1, 2)), 1e-30))
    exponent = 1.0
    if level.std() > _LEAST_SPREAD:
        groups = np.array_split(np.argsort(level), min(_GROUPS, len(level) // 3))
        at = [float(level[group].mean()) for group in groups]
        height = [float(np.quantile(variance[group], _QUIET)) for group in groups]
        exponent = float(np.clip(np.polyfit(at, height, 1)[0], *_EXPONENTS))
    return exponent, float(np.exp(np.quantile(variance - exponent * level, _QUIET)))


def _places(means: Floats, inside: float) -> list[tuple[int, slice, slice]]:
    """Return where squares lie that hold activity throughout: overlapping, or of many some that are evenly spread."""
    lowest = minimum_filter(means, (1, WINDOW, WINDOW), origin=(0, -(WINDOW // 2), -(WINDOW // 2)))
    rows, columns = (n - WINDOW + 1 for n in means.shape[1:])
    found = np.argwhere(lowest[:, :rows:_STRIDE, :columns:_STRIDE] > inside) * (1, _STRIDE, _STRIDE)
    chosen = found[:: -(-len(found) // _MOST_PATCHES) or 1].tolist()
    return [(k, slice(top, top + WINDOW), slice(left, left + WINDOW)) for k, top, left in chosen]


def _smooth(image: Floats) -> Floats:
    """Return an image nearly without noise, never negative."""
    sigma = (*(0.0 for _ in image.shape[:-2]), _SMOOTH_PX, _SMOOTH_PX)
    return np.asarray(np.maximum(gaussian_filter(image, sigma), 0), np.float32)
