"""A smooth curve through scattered samples.

Pixels lie at all distances from an edge or line. Sorting them into bins displaces them; here a cubic spline with four
knots per pixel goes through them as they are. How smooth it must be is decided by generalised cross-validation, so that
it follows noise-free data to rounding error and noisy data no further than they bear. The penalty on roughness grows with
the distance from the core: a tail may be long, but it is smoother than the core. Nothing else is assumed of the shape.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .splines import LEAST, MOST, STEP, evaluate, fit

__all__ = ["Curve", "Samples", "fit_curve"]

Floats = NDArray[np.float64]

_DOUBT = 1.0  # powers of ten by which the penalty may be too great, for the uncertainty
_CAUTION = 1.4  # counts a degree of freedom for more than one: plain cross-validation now and then follows noise


@dataclass(frozen=True)
class Samples:
    """Values at distances, each the curve times an amplitude.

    Parameters
    ----------
    distance, value, amplitude, weight : ndarray, shape (n,), float64
        Where [pixels], what, how many times the curve, and how much it counts (inverse variance, in any unit).
    """

    distance: Floats
    value: Floats
    amplitude: Floats
    weight: Floats


@dataclass(frozen=True)
class Curve:
    """A fitted cubic spline.

    Parameters
    ----------
    start : float
        Where the first coefficient's basis function is centred [pixels].
    coefficients : ndarray, shape (k,), float64
        One per knot.
    data : ndarray, shape (k, 4), float64
        Diagonals of the normal matrix.
    factor : ndarray, shape (k, 4), float64
        Diagonals of the Cholesky factor of the penalised normal matrix.
    doubtful : ndarray, shape (k, 4), float64
        The same for a smaller penalty: what smoothing may have hidden.
    penalty : float
        The penalty chosen, as a power of ten.
    variance : float
        Residual variance of a sample of weight 1.
    freedom : float
        Effective number of parameters.
    """

    start: float
    coefficients: Floats
    data: Floats
    factor: Floats
    doubtful: Floats
    penalty: float
    variance: float
    freedom: float

    @property
    def knots(self) -> Floats:
        """Where the basis functions are centred [pixels]."""
        return np.asarray(self.start + STEP * np.arange(len(self.coefficients)), np.float64)

    def at(self, distance: Floats) -> tuple[Floats, Floats]:
        """Return the curve and its slope."""
        values = np.empty((2, len(distance)))
        evaluate(_ready(distance), self.start, self.coefficients, values)
        return values[0], values[1]


def fit_curve(
    samples: Samples,
    span: tuple[float, float],
    scale: float,
    near: float | None = None,
    finest: float = 0.3,
    correlation: float = 1.0,
) -> Curve:
    """Return the curve through the samples.

    Parameters
    ----------
    samples : Samples
        All distances lie within `span`.
    span : tuple of float
        First and last distance that the curve covers [pixels].
    scale : float
        Half the width of the core [pixels]: the penalty on roughness grows beyond it.
    near : float, optional
        Power of ten of the penalty that another fit of about the same samples found: only its surroundings are searched.
    finest : float
        Smallest step of the search for the penalty, in powers of ten.
    correlation : float
        How many pixels share their noise, see :func:`noise_correlation`.
    """
    start = np.floor(span[0] / STEP) * STEP - STEP
    count = int(np.ceil((span[1] - start) / STEP)) + 3
    centre, reach = (0.5 * (LEAST + MOST), 0.5 * (MOST - LEAST)) if near is None else (near, 1.5)
    search = np.array([centre, reach, finest, _CAUTION * correlation, _DOUBT])
    (data, factor, doubtful), coefficients, facts = np.empty((3, count, 4)), np.empty(count), np.empty(3)
    given = np.array([samples.distance, samples.value, samples.amplitude, samples.weight], np.float64)
    fit(given, float(start), float(scale), search, data, factor, doubtful, coefficients, facts)
    penalty, freedom, residual = facts.tolist()
    variance = residual / max(given.shape[1] - freedom, 1.0) * correlation
    return Curve(float(start), coefficients, data, factor, doubtful, penalty, variance, freedom)


def _ready(values: Floats) -> Floats:
    return np.require(values, np.float64, ("C", "W", "A"))
