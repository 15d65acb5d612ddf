"""How many quanta an ideal detector would need to see as well: resolution and noise in one figure."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..mtf.curve import Mtf, QualityWarning
from .power import NoisePowerSpectrum

__all__ = ["NoiseEquivalentQuanta", "noise_equivalent_quanta"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NoiseEquivalentQuanta:
    """Noise-equivalent quanta against spatial frequency.

    Parameters
    ----------
    frequencies : ndarray, shape (n,), float64
        Those of the noise power spectrum that the MTF reaches [cycles/pixel].
    quanta : ndarray, shape (n,), float64
        [1/pixel^2], that is per pixel of the noise images.
    lower, upper : ndarray, shape (n,), float64
        The 95 % band of `quanta`, from those of the MTF and the noise.
    signal : float
        The mean that the noise belongs to [value].
    pixel_size_mm : float or None
        Side of a square pixel of the area of those of the noise images [mm].
    warnings : tuple of QualityWarning
        Those of the MTF and of the noise power spectrum.
    """

    frequencies: Floats
    quanta: Floats
    lower: Floats
    upper: Floats
    signal: float
    pixel_size_mm: float | None = None
    warnings: tuple[QualityWarning, ...] = field(default=())

    @property
    def frequencies_per_mm(self) -> Floats:
        """Spatial frequencies [cycles/mm]."""
        return self.frequencies / self._pixel()

    @property
    def quanta_per_mm2(self) -> Floats:
        """Noise-equivalent quanta [1/mm^2]."""
        return self.quanta / self._pixel() ** 2

    def efficiency(self, *, quanta_per_pixel: float | None = None, quanta_per_mm2: float | None = None) -> Floats:
        """Return the detective quantum efficiency: the fraction of the arriving quanta that the image is worth.

        Parameters
        ----------
        quanta_per_pixel, quanta_per_mm2 : float
            Quanta that arrived; give one of the two.

        Returns
        -------
        ndarray, shape (n,), float64
            [1]

        Raises
        ------
        UsageError
            If not exactly one is given, or it is not above 0.
        InputError
            If quanta per mm^2 are given and the pixel spacing is not known.

        References
        ----------
        * IEC 62220-1, 6.3: determination of the detective quantum efficiency.
        """
        if (quanta_per_pixel is None) == (quanta_per_mm2 is None):
            raise UsageError("give either quanta_per_pixel or quanta_per_mm2.")
        arrived = quanta_per_pixel if quanta_per_mm2 is None else quanta_per_mm2 * self._pixel() ** 2
        if arrived is None or not 0 < arrived < np.inf:
            raise UsageError(f"{arrived} arriving quanta make no sense; give a number above 0.")
        return self.quanta / arrived

    def _pixel(self) -> float:
        if self.pixel_size_mm is None:
            raise InputError("the pixel spacing is not known; give pixel_spacing_mm to noise_power_spectrum.")
        return self.pixel_size_mm


def noise_equivalent_quanta(mtf: Mtf, nps: NoisePowerSpectrum, *, signal: float | None = None) -> NoiseEquivalentQuanta:
    """Return signal^2 MTF^2 / NPS: the quanta that an ideal counting detector would need for the same image.

    The system must be linear, with 0 where there is nothing. Where both spacings are known, frequencies are compared in
    cycles/mm, so that the MTF may have been measured with other pixels; else in cycles/pixel.

    Parameters
    ----------
    mtf : Mtf
        The modulation transfer function.
    nps : NoisePowerSpectrum
        The noise of uniform images.
    signal : float, optional
        The mean that the noise belongs to [value]; that of the images if not given.

    Raises
    ------
    InputError
        If only one of the two has a pixel spacing, the noise is 0 somewhere, the signal is 0, or the curves share no
        frequency.

    References
    ----------
    * ICRU Report 54, Medical imaging: the assessment of image quality (1996).
    * IEC 62220-1, Determination of the detective quantum efficiency.

    Examples
    --------
    Counts with a mean of 9 and no blur are worth 9 quanta per pixel at every frequency.

    >>> from photopeak.kernels import noise_power_spectrum
    >>> counts = np.random.default_rng(0).poisson(9, (512, 512))
    >>> flat, ends = np.ones(2), np.array([0.0, 0.5])
    >>> found = noise_equivalent_quanta(Mtf("edge", ends, flat, flat, flat), noise_power_spectrum(counts))
    >>> float(found.quanta.mean().round(1))
    9.0
    """
    if (mtf.pixel_spacing_mm is None) != (nps.pixel_spacing_mm is None):
        known, other = ("noise", "MTF") if mtf.pixel_spacing_mm is None else ("MTF", "noise")
        raise InputError(f"the {known} has a pixel spacing and the {other} has none; give pixel_spacing_mm for both.")
    size = None if nps.pixel_spacing_mm is None else nps.pixel_size_mm
    level = nps.mean if signal is None else float(signal)
    if not (np.isfinite(level) and level != 0):
        raise InputError(
            f"a signal of {level} has no noise-equivalent quanta; give the mean that the noise belongs to."
        )
    # Cycles per pixel of the noise images become cycles per pixel of the MTF's.
    places = nps.frequencies if size is None else nps.frequencies_per_mm * (mtf.pixel_spacing_mm or 1.0)
    shared = (places >= mtf.frequencies[0]) & (places <= mtf.frequencies[-1])
    if not shared.any():
        raise InputError("the MTF and the noise share no frequency; measure both up to the Nyquist frequency.")
    power = nps.power[shared]
    if not (power > 0).all():
        raise InputError("the noise is 0 at some frequency; give images that have noise.")
    modulation, low, high = (
        np.maximum(np.interp(places[shared], mtf.frequencies, curve), 0)
        for curve in (mtf.modulation, mtf.lower, mtf.upper)
    )
    quanta = level**2 * modulation**2 / power
    lower, upper = _band(quanta, (modulation, low, high), (power, nps.lower[shared], nps.upper[shared]))
    # Where no modulation was found, there may be some all the same.
    upper = np.maximum(upper, level**2 * high**2 / power)
    return NoiseEquivalentQuanta(
        nps.frequencies[shared], quanta, lower, upper, level, size, (*mtf.warnings, *nps.warnings)
    )


def _band(
    quanta: Floats, mtf: tuple[Floats, Floats, Floats], nps: tuple[Floats, Floats, Floats]
) -> tuple[Floats, Floats]:
    """Return a 95 % band: distances on a logarithmic scale, of MTF^2 and of the noise, add as squares."""
    tiny = np.finfo(np.float64).tiny
    modulation, low, high = (np.log(np.maximum(curve, tiny)) for curve in mtf)
    power, least, most = (np.log(np.maximum(curve, tiny)) for curve in nps)
    down = np.hypot(2 * (modulation - low), most - power)
    up = np.hypot(2 * (high - modulation), power - least)
    return quanta * np.exp(-down), quanta * np.exp(np.minimum(up, 700))
