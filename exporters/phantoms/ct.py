"""Computed tomography of a plane: transfer function and noise power of a reconstruction kernel, imposed exactly.

An object is drawn on a grid finer than any image of it. In its Fourier transform the aperture of the drawing is divided out and
the transfer function of the kernel multiplied in; what comes back is sampled at the centres of the pixels. Noise takes the same
way. So the transfer function and the noise power of an image are those that were asked for, aliasing included.
"""

from dataclasses import dataclass, field, replace
from math import gamma, log, pi
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float32]
Field = NDArray[np.float64]
Frequencies = TypeVar("Frequencies", Floats, Field)
AIR_HU = -1000.0


@dataclass(frozen=True)
class Point:
    """Something much smaller than a pixel, such as a wire across the plane.

    Parameters
    ----------
    x_mm, y_mm : float
        Place from the centre, right and down [mm].
    weight : float
        Integral of what it adds to its surroundings [HU mm^2].
    """

    x_mm: float
    y_mm: float
    weight: float


@dataclass(frozen=True)
class Plane:
    """A transverse plane in Hounsfield units.

    Parameters
    ----------
    name : str
        What it is.
    hu : ndarray, shape (side, side), float32
        Means over the pixels of a grid finer than any image [HU]; air at the border.
    field_mm : float
        Side of the square [mm].
    points : tuple of Point
        Added to it.
    """

    name: str
    hu: Floats
    field_mm: float
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Kernel:
    """A reconstruction kernel: how sharp images are, and how their noise is correlated.

    The transfer function of the whole system is ``2 ** -(f / f50) ** steepness``. Filtered back-projection weights noise with
    the ramp besides, so that its power is proportional to ``f`` times the square of that.

    Parameters
    ----------
    name : str
        What it is called.
    f50_per_mm : float
        Frequency where half of the modulation is left [1/mm].
    steepness : float
        2 is a Gaussian; edges overshoot by 2.0 % at 2.6 and by 3.2 % at 3.

    References
    ----------
    * S. J. Riederer, N. J. Pelc, D. A. Chesler: The noise power spectrum in computed X-ray tomography.
      Phys. Med. Biol. 23 (1978) 446.

    Examples
    --------
    >>> float(SOFT.mtf(np.array(SOFT.f50_per_mm)))
    0.5
    """

    name: str
    f50_per_mm: float
    steepness: float

    def mtf(self, per_mm: Frequencies) -> Frequencies:
        """Return the modulation at radial frequencies [1/mm]."""
        return np.asarray(np.exp2(-((per_mm / self.f50_per_mm) ** self.steepness)), per_mm.dtype)

    def nps(self, per_mm: Frequencies, noise_hu: float = 1.0) -> Frequencies:
        """Return the noise power at radial frequencies [HU^2 mm^2]; its integral over the plane is ``noise_hu ** 2``."""
        power = 3 / self.steepness
        volume = 2 * pi * self.f50_per_mm**3 * (2 * log(2)) ** -power * gamma(power) / self.steepness
        return np.asarray(noise_hu**2 / volume * per_mm * self.mtf(per_mm) ** 2, per_mm.dtype)

    def wider(self, factor: float) -> "Kernel":
        """Return the kernel whose transfer function reaches so many times farther."""
        return replace(self, f50_per_mm=factor * self.f50_per_mm)


SOFT = Kernel("soft", 0.35, 2.0)
STANDARD = Kernel("standard", 0.45, 2.2)
SHARP = Kernel("sharp", 0.65, 2.6)
KERNELS = (SOFT, STANDARD, SHARP)


@dataclass(frozen=True)
class Spectrum:
    """The Fourier transform of what is scanned, ready to be seen through kernels on matrices.

    Parameters
    ----------
    values : ndarray, shape (side, side // 2 + 1), complex
        As :func:`scipy.fft.rfft2` gives it.
    field_mm : float
        Side of the square [mm].
    """

    values: NDArray[np.complex64]
    field_mm: float
    _radial: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        down, along = _frequencies(len(self.values), self.field_mm)
        object.__setattr__(self, "_radial", np.hypot(down, along, dtype=np.float32))

    def image(self, kernel: Kernel, side: int) -> Floats:
        """Return the image of an object, shape (side, side) [HU]."""
        return self._sampled(kernel.mtf(self._radial), side) + np.float32(AIR_HU)

    def noise(self, kernel: Kernel, side: int, noise_hu: float) -> Floats:
        """Return the noise of a scan, shape (side, side) [HU], where this is the spectrum of :func:`white`."""
        pixel_mm = self.field_mm / len(self.values)
        gain = np.sqrt(kernel.nps(self._radial, noise_hu)) / pixel_mm
        return self._sampled(np.asarray(gain, np.float32), side)

    def _sampled(self, gain: Floats, side: int) -> Floats:
        """Return the values at the centres of the pixels of a coarser grid."""
        fine = len(self.values)
        if side < 1 or fine % side:
            raise ValueError(f"pixels of a matrix of {side} are no whole multiples of those of {fine}")
        every = fine // side
        to_centre = (np.exp(1j * pi * (every - 1) * f).astype(np.complex64) for f in _frequencies(fine, float(fine)))
        filtered = self.values * gain
        for turn in to_centre:
            filtered *= turn
        if not every % 2:  # the highest frequency has no sine, so that it cannot be shifted by half a pixel
            filtered[fine // 2], filtered[:, -1] = 0, 0
        return np.ascontiguousarray(fft.irfft2(filtered, s=(fine, fine))[::every, ::every], np.float32)


def spectrum(plane: Plane) -> Spectrum:
    """Return the Fourier transform of an object, the aperture of its drawing divided out.

    Parameters
    ----------
    plane : Plane
        The object.

    Examples
    --------
    A transfer function does not change what is uniform:

    >>> water = Plane("water", np.zeros((64, 64), np.float32), 64.0)
    >>> bool(np.allclose(spectrum(water).image(SOFT, 32), 0, atol=1e-3))
    True
    """
    side, pixel_mm = len(plane.hu), plane.field_mm / len(plane.hu)
    down, along = _frequencies(side, plane.field_mm)
    values = fft.rfft2(plane.hu - np.float32(AIR_HU)) / np.sinc(np.hypot(down, along) * pixel_mm)
    middle = (side - 1) / 2 * pixel_mm
    for point in plane.points:
        place = down * (point.y_mm + middle), along * (point.x_mm + middle)
        values += point.weight / pixel_mm**2 * (np.exp(-2j * pi * place[0]) * np.exp(-2j * pi * place[1]))
    return Spectrum(values.astype(np.complex64), plane.field_mm)


def white(side: int, field_mm: float, rng: np.random.Generator) -> Spectrum:
    """Return the spectrum of white noise of unit variance on a grid of ``side`` by ``side``."""
    return Spectrum(fft.rfft2(rng.standard_normal((side, side), np.float32)), field_mm)


def _frequencies(side: int, length: float) -> tuple[Field, Field]:
    """Return frequencies down the rows (a column) and along them (a row, not negative), per unit of length."""
    return fft.fftfreq(side, length / side)[:, None], fft.rfftfreq(side, length / side)[None]
