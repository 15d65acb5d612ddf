"""A modulation transfer function, however it was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

__all__ = ["Mtf", "QualityWarning"]

Floats = NDArray[np.float64]


class QualityWarning(NamedTuple):
    """Why a curve deserves less trust.

    Parameters
    ----------
    code : str
        For programs: ``angle``, ``clipping``, ``low-snr``, ``truncated-tails``, ...
    sentence : str
        For people: what was seen, its value, and what to do.
    """

    code: str
    sentence: str


@dataclass(frozen=True)
class Mtf:
    """Modulation against spatial frequency, with its uncertainty and where it comes from.

    Parameters
    ----------
    method : str
        ``edge``, ``disk``, ``line`` or ``point``.
    frequencies : ndarray, shape (n,), float64
        From 0, ascending [cycles/pixel]; the Nyquist frequency is 0.5. Disks, lines and points end there; a slanted edge,
        which is sampled finer than the pixels are, goes on to 1.
    modulation : ndarray, shape (n,), float64
        1 at frequency 0. That of the image as it is, the pixels' own aperture included: dividing by its sinc is left to
        who needs the modulation in front of the pixels.
    lower, upper : ndarray, shape (n,), float64
        The 95 % band of `modulation`.
    pixel_spacing_mm : float or None
        Distance between pixels along the measured direction [mm].
    warnings : tuple of QualityWarning
        What was wrong with the image, if anything.
    details : mapping of str to value
        What the method found on its way: angle, radius, widths, spread functions.
    """

    method: str
    frequencies: Floats
    modulation: Floats
    lower: Floats
    upper: Floats
    pixel_spacing_mm: float | None = None
    warnings: tuple[QualityWarning, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def frequencies_per_mm(self) -> Floats:
        """Spatial frequencies [cycles/mm].

        Raises
        ------
        InputError
            If the pixel spacing is not known.
        """
        if self.pixel_spacing_mm is None:
            raise InputError("the pixel spacing is not known; give pixel_spacing_mm to have frequencies in cycles/mm.")
        return self.frequencies / self.pixel_spacing_mm

    @property
    def mtf50(self) -> float:
        """The frequency at which half of the modulation is left [cycles/pixel]; NaN if that is beyond the last one."""
        return self.crossing(0.5)

    @property
    def mtf10(self) -> float:
        """The frequency at which a tenth of the modulation is left [cycles/pixel]; NaN if that is beyond the last one."""
        return self.crossing(0.1)

    def crossing(self, level: float) -> float:
        """Return the first frequency [cycles/pixel] at which the modulation falls to `level`; NaN if it never does.

        Between two samples the curve is taken as straight.
        """
        below = np.flatnonzero(self.modulation <= level)
        if not below.size:
            return float("nan")
        if (after := int(below[0])) == 0:
            return float(self.frequencies[0])
        span = slice(after - 1, after + 1)
        return float(np.interp(-level, -self.modulation[span], self.frequencies[span]))

    def at(self, frequencies: ArrayLike) -> Floats:
        """Return the modulation at frequencies in cycles/pixel, by straight lines between the samples; NaN beyond them.

        Examples
        --------
        >>> ends, curve = np.array([0.0, 0.5]), np.array([1.0, 0.2])
        >>> Mtf("edge", ends, curve, curve, curve).at([0.25, 0.6])
        array([0.6, nan])
        """
        wanted = np.asarray(frequencies, np.float64)
        return np.interp(wanted, self.frequencies, self.modulation, left=np.nan, right=np.nan)
