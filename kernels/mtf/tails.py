"""What of an edge's tails lies outside of the region, as far as the pixels at its ends tell.

Scatter and septal penetration fall off exponentially. Where a profile that goes on rising at an end of the region rises as
an exponential does, and clearly so, what is missing is the rest of a geometric series.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..compilation import inlined
from .oversample import STEP

__all__ = ["add_tail", "tail_at"]

Floats = NDArray[np.float64]

# Width of the four bands at an end, as a share of the reach.
_BAND = 0.15
# The rise from band to band is clear if it is so many times its noise, and that of an exponential if it falls by factors
# that differ by no more than this share.
_CLEAR = 10.0
_ALIKE = 0.1
# A profile that falls off more slowly, or is more unfinished, than this has no tail but another shape.
_SLOWEST = 0.8
_MOST = 0.03


@inlined
def tail_at(
    spline: Floats, moments: Floats, variance: float, end: int, inwards: int, reach: float
) -> tuple[float, float]:
    """Return how much a profile goes on to rise beyond its last knot, and the length of that [knot]; 0 if it is not clear.

    Parameters
    ----------
    spline : ndarray, shape (n + 3,), float64
        Coefficients of the profile.
    moments : ndarray, shape (n, 12), float64
        Of the pixels in its intervals.
    variance : float
        Noise of the pixels.
    end, inwards : int
        The outermost interval that every row reaches, and 1 or -1, whichever leads to the edge.
    reach : float
        From the edge to that end [knot].
    """
    width = int(_BAND * reach)
    if width < 4:
        return 0.0, 0.0
    means, pixels = np.zeros(4), np.zeros(4)
    for band in range(4):
        for step in range(width):
            k = end + inwards * (band * width + step)
            # The mean of the spline over an interval.
            means[band] += (spline[k] + spline[k + 3] + 11.0 * (spline[k + 1] + spline[k + 2])) / (24.0 * width)
            pixels[band] += moments[k, 0]
    outer, middle, inner = means[0] - means[1], means[1] - means[2], means[2] - means[3]
    noise = math.sqrt(variance * (1.0 / max(pixels[0], 1.0) + 1.0 / max(pixels[1], 1.0)))
    if not abs(outer) > _CLEAR * noise or not (outer / middle > 0.0 and middle / inner > 0.0):
        return 0.0, 0.0
    factor = math.sqrt(outer / inner)
    if factor > _SLOWEST or abs(outer / middle - middle / inner) > _ALIKE * factor:
        return 0.0, 0.0
    last = end if inwards > 0 else moments.shape[0] - 1 - end
    # The series is that of the means of bands; an exponential at the end of a band is less than its mean there.
    decay = -math.log(factor)
    rest = outer * decay * (factor / (1.0 - factor)) ** 2 * factor ** (last / width)
    return (rest, width / decay) if abs(rest) < _MOST else (0.0, 0.0)


@inlined
def add_tail(frequencies: Floats, spectrum: Floats, share: float, place: float, length: float) -> None:
    """Add the spectrum of an exponential tail of a share that begins at a place [knot]; a negative length leads left."""
    for i in range(frequencies.size):
        turn = 2.0 * math.pi * frequencies[i] * STEP
        cosine, sine, lag = math.cos(turn * place), -math.sin(turn * place), turn * length
        size = share / (1.0 + lag * lag)
        spectrum[0, i] += size * (cosine + lag * sine)
        spectrum[1, i] += size * (sine - lag * cosine)
    for i in range(frequencies.size):
        spectrum[2, i] = math.hypot(spectrum[0, i], spectrum[1, i]) / abs(spectrum[0, 0])
