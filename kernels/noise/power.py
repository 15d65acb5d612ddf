"""A noise power spectrum: in two dimensions, around circles and along the axes, with its uncertainty."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..mtf.curve import QualityWarning

__all__ = ["NoisePowerSpectrum", "RingWeights", "Rings", "chi_square_band", "ring_weights", "rings"]

Floats = NDArray[np.float64]

# The 97.5 % point of the normal distribution.
_TWO_SIDED = 1.959963984540054


@dataclass(frozen=True)
class NoisePowerSpectrum:
    """The variance of an image, by spatial frequency.

    Frequencies are in cycles/pixel and powers in value^2 pixel^2; with a pixel spacing, properties give cycles/mm and
    value^2 mm^2. Where pixels are not square, the pixel of these units is a square one of the same area.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        The spectrum [value^2 pixel^2]; frequency 0 is at ``[rows // 2, columns // 2]``. Its integral over all frequencies
        is `variance`.
    frequencies : ndarray, shape (n,), float64
        Of the radial spectrum, ascending up to the least Nyquist frequency [cycles/pixel]. There is none at 0: what
        detrending takes away is not known.
    power : ndarray, shape (n,), float64
        The radial spectrum [value^2 pixel^2].
    lower, upper : ndarray, shape (n,), float64
        The 95 % band of `power` from the number of independent samples in it.
    variance : float
        Mean square of the pixels of a region after detrending (and windowing) [value^2].
    mean : float
        Mean of the pixels before detrending [value].
    regions, independent : int, float
        How many regions were averaged, and how many without overlap would be as precise.
    pixel_spacing_mm : tuple of float or None
        Row and column spacing [mm].
    warnings : tuple of QualityWarning
        What was wrong with the images, if anything.
    """

    plane: Floats
    frequencies: Floats
    power: Floats
    lower: Floats
    upper: Floats
    variance: float
    mean: float
    regions: int
    independent: float
    pixel_spacing_mm: tuple[float, float] | None = None
    warnings: tuple[QualityWarning, ...] = field(default=())

    @property
    def pixel_size_mm(self) -> float:
        """Side of a square pixel of the same area [mm].

        Raises
        ------
        InputError
            If the pixel spacing is not known.
        """
        if self.pixel_spacing_mm is None:
            raise InputError("the pixel spacing is not known; give pixel_spacing_mm to have units of mm.")
        return float(np.sqrt(np.prod(self.pixel_spacing_mm)))

    @property
    def _sides(self) -> tuple[float, float]:
        """Row and column spacing in units of the side of a square pixel of the same area."""
        if self.pixel_spacing_mm is None:
            return 1.0, 1.0
        rows, columns = self.pixel_spacing_mm
        return rows / self.pixel_size_mm, columns / self.pixel_size_mm

    @property
    def frequencies_per_mm(self) -> Floats:
        """Frequencies of the radial spectrum [cycles/mm]."""
        return self.frequencies / self.pixel_size_mm

    @property
    def power_mm2(self) -> Floats:
        """The radial spectrum [value^2 mm^2]."""
        return self.power * self.pixel_size_mm**2

    @property
    def plane_mm2(self) -> Floats:
        """The spectrum in two dimensions [value^2 mm^2]."""
        return self.plane * self.pixel_size_mm**2

    @property
    def normalised(self) -> Floats:
        """The radial spectrum over the square of the mean [pixel^2].

        Raises
        ------
        InputError
            If the mean is 0.
        """
        if self.mean == 0:
            raise InputError("the images have a mean of 0, which no noise can be compared with; use power.")
        return self.power / self.mean**2

    @property
    def normalised_mm2(self) -> Floats:
        """The radial spectrum over the square of the mean [mm^2], as IEC 62220-1 and TG-233 normalise it."""
        return self.normalised * self.pixel_size_mm**2

    def cut(
        self, axis: Literal["rows", "columns"], *, lines: int = 7, half_width: float = 0.01
    ) -> tuple[Floats, Floats]:
        """Return the spectrum along an axis, as IEC 62220-1 reports it.

        Parameters
        ----------
        axis : str
            ``rows``: for frequencies down the rows; ``columns``: for frequencies along them.
        lines : int
            Lines on either side of the axis that are averaged; the axis itself, where detrending takes most, is left out.
        half_width : float
            Samples within this distance of a frequency are averaged [cycles/pixel].

        Returns
        -------
        frequencies : ndarray, shape (n,), float64
            Twice the half width apart up to the Nyquist frequency of the axis; those without a sample are left out
            [cycles/pixel].
        power : ndarray, shape (n,), float64
            [value^2 pixel^2]

        Raises
        ------
        UsageError
            If there is no such axis, no line or no width.

        References
        ----------
        * IEC 62220-1, 6.2: determination of the noise power spectrum.
        """
        if axis not in ("rows", "columns"):
            raise UsageError(f"there is no axis {axis!r}; use rows or columns.")
        if lines < 1 or not 0 < half_width <= 0.25:
            raise UsageError(
                f"{lines} lines of a half width of {half_width} average nothing; use at least 1, and a width up to 0.25."
            )
        plane, sides = (self.plane, self._sides) if axis == "rows" else (self.plane.T, self._sides[::-1])
        along, across = (np.arange(length) - length // 2 for length in plane.shape)
        radius = np.hypot(along[:, np.newaxis] / (plane.shape[0] * sides[0]), across / (plane.shape[1] * sides[1]))
        near = np.broadcast_to((across != 0) & (abs(across) <= lines), plane.shape)
        frequencies = np.arange(1, int(0.25 / (half_width * sides[0]) + 1e-9) + 1) * 2 * half_width
        inside = near & (abs(radius - frequencies[:, np.newaxis, np.newaxis]) <= half_width)
        counted = inside.sum(axis=(1, 2))
        found = counted > 0
        return frequencies[found], (inside * plane).sum(axis=(1, 2))[found] / counted[found]


@dataclass(frozen=True)
class Rings:
    """How samples of the plane make up a radial spectrum.

    Parameters
    ----------
    frequencies : ndarray, shape (n,), float64
        The mean frequency of each ring [cycles/pixel].
    power : ndarray, shape (n,), float64
        The mean of the plane.
    samples : ndarray, shape (n,), float64
        How many of the plane's real degrees of freedom each ring holds.
    """

    frequencies: Floats
    power: Floats
    samples: Floats


def rings(plane: Floats, kept: Floats, spacing: tuple[float, float] = (1.0, 1.0)) -> Rings:
    """Return the average of a plane around circles of constant frequency.

    Rings lie one frequency step apart. A sample counts for the ring that is nearest, and the frequency of a ring is the
    mean of its samples', so that a spectrum which is straight across a ring is averaged without bias. (To take the ring's
    nominal frequency, or to round down to a ring, errs by several per cent.) What detrending took away is made good as for
    white noise: by dividing by the fraction that it leaves.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        A spectrum with frequency 0 at ``[rows // 2, columns // 2]``.
    kept : ndarray, shape (rows, columns), float64
        The fraction of white noise that detrending and windowing leave at each frequency.
    spacing : tuple of float
        Row and column spacing, in units of the side of a square pixel of the same area.

    Examples
    --------
    >>> found = rings(np.full((8, 8), 3.0), np.ones((8, 8)))
    >>> found.power
    array([3., 3., 3., 3.])
    """
    return ring_weights(kept, spacing).means(plane)


@dataclass(frozen=True, eq=False)
class RingWeights:
    """What averages around circles share, whatever the plane.

    Parameters
    ----------
    ring : ndarray, shape (rows * columns,), int64
        Which ring each sample belongs to; those that count are 1 to n.
    frequencies, samples : ndarray, shape (n,), float64
        As in :class:`Rings`.
    """

    ring: NDArray[np.int64]
    frequencies: Floats
    samples: Floats

    def means(self, plane: Floats) -> Rings:
        """Return the averages of a plane."""
        return Rings(self.frequencies.copy(), _totals(self.ring, plane, self.samples.size) / self.samples, self.samples)


def ring_weights(kept: Floats, spacing: tuple[float, float] = (1.0, 1.0)) -> RingWeights:
    """Return what :func:`rings` needs of all planes of the same shape."""
    ring, place, step, size = _geometry(kept.shape, spacing)
    # A sample and its mirror image are one complex number: together two real degrees of freedom.
    whole = _totals(ring, kept, size)
    return RingWeights(ring, _totals(ring, kept.ravel() * place, size) / whole * step, whole)


def _totals(ring: NDArray[np.int64], values: Floats, size: int) -> Floats:
    return np.asarray(np.bincount(ring, values.ravel(), size + 1)[1 : size + 1], np.float64)


@lru_cache(maxsize=8)
def _geometry(shape: tuple[int, ...], spacing: tuple[float, float]) -> tuple[NDArray[np.int64], Floats, float, int]:
    """Return the ring of each sample of a plane, its distance from the middle in rings, their distance and number."""
    down, along = (
        (np.arange(length) - length // 2) / (length * side) for length, side in zip(shape, spacing, strict=True)
    )
    step = max(1 / (length * side) for length, side in zip(shape, spacing, strict=True))
    place = (np.hypot(down[:, np.newaxis], along) / step).ravel()
    size = int(0.5 / max(spacing) / step + 1e-9)
    # Ring 0, which nobody asks for, takes the mean, and with pixels that are not square maybe a neighbour of it.
    return np.rint(place).astype(np.int64), place, step, size


def chi_square_band(power: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """Return the 95 % band of mean powers, each of which is chi-square distributed.

    Parameters
    ----------
    power : ndarray
        Averages of squares of normal deviates.
    freedom : ndarray
        How many independent squares.

    References
    ----------
    * E. B. Wilson and M. M. Hilferty, The distribution of chi-square, PNAS 17 (1931) 684-688.

    Examples
    --------
    >>> [float(end[0].round(1)) for end in chi_square_band(np.array([1.0]), np.array([10.0]))]
    [0.5, 3.1]
    """
    spread = 2 / (9 * freedom)
    low, high = ((1 - spread + side * _TWO_SIDED * np.sqrt(spread)) ** 3 for side in (-1, 1))
    return power / high, power / np.maximum(low, 1e-12)
