"""A smooth curve through scattered samples, and its Fourier transform with an uncertainty.

Pixels lie at all distances from an edge or line. Sorting them into bins displaces them; here a cubic spline with four
knots per pixel goes through them as they are. How smooth it must be is decided by generalised cross-validation, so that
it follows noise-free data to rounding error and noisy data no further than they bear. The penalty on roughness grows with
the distance from the core: a tail may be long, but it is smoother than the core. Nothing else is assumed of the shape.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined

__all__ = [
    "FREQUENCIES",
    "STEP",
    "Curve",
    "Samples",
    "fit_curve",
    "noise_correlation",
    "solve_normal",
    "spectrum",
    "straight_line",
]

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

STEP = 0.25
"""Distance between knots [pixels]."""

FREQUENCIES: Floats = np.linspace(0.0, 0.5, 129)
"""Where curves are given [cycles/pixel]."""

_SPARSE = 8  # the uncertainty is computed at every eighth frequency
_LEAST, _MOST = -12.0, 6.0  # powers of ten of the penalty, relative to the data
_REACH = 2.0  # widths within which all curves are as rough
_DOUBT = 1.0  # powers of ten by which the penalty may be too great, for the uncertainty
_BLOCK = 5  # rows and columns of the blocks that tell whether noise is shared
_ROUNDING = 1e-5  # noise, relative to the signal, that is not looked at
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
        _evaluate(_ready(distance), self.start, self.coefficients, values)
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
    data, sums, work = np.zeros((count, 4)), np.zeros(count), np.zeros((6, count, 4))
    squares = _accumulate(
        _ready(samples.distance), _ready(samples.amplitude), _ready(samples.value), _ready(samples.weight),
        start, data, sums,
    )  # fmt: skip
    rough = work[0]
    _roughness(start, float(scale), rough)
    number = len(samples.value)
    unit = data[:, 0].sum() / count
    caution = _CAUTION * correlation
    centre, reach = (0.5 * (_LEAST + _MOST), 0.5 * (_MOST - _LEAST)) if near is None else (near, 1.5)
    penalty = _choose(data, sums, rough, unit, squares, float(number), work, centre, reach, finest, caution)
    coefficients = np.empty(count)
    _, freedom, residual = _solve_for(
        data, sums, rough, unit * 10.0**penalty, squares, float(number), work, coefficients, caution
    )
    variance = residual / max(number - freedom, 1.0) * correlation
    factor = work[1].copy()
    less = unit * 10.0 ** (penalty - _DOUBT)
    _solve_for(data, sums, rough, less, squares, float(number), work, work[3, :, 0].copy(), caution)
    return Curve(float(start), coefficients, data, factor, work[1].copy(), penalty, variance, freedom)


def spectrum(curve: Curve, *, taper: Floats | None = None, tails: int = 0) -> tuple[Floats, Floats]:
    """Return the modulation of a curve, and its standard error.

    Parameters
    ----------
    curve : Curve
        The profile of an edge or of a line.
    taper : ndarray, shape (k - 1,), float64, optional
        For an edge: its derivative, times these factors between the knots, is transformed.
    tails : int
        For a line: the number of coefficients at each end through whose means the baseline goes.

    Returns
    -------
    modulation, error : ndarray, shape (129,), float64
        At :data:`FREQUENCIES`: modulation, 1 at frequency 0, not below 0; standard error of noise and smoothing.
    """
    coefficients = curve.coefficients
    if taper is not None:
        parts, order = taper * np.diff(coefficients), 3
    else:
        parts, order = coefficients - _baseline(coefficients, tails), 4
    transform = np.empty(FREQUENCIES.size, np.complex128)
    _transform(_ready(parts), order, FREQUENCIES, transform)
    total = transform[0].real
    raw = np.abs(transform) / abs(total)
    # What a change of the coefficients does to the modulation: along the transform it lengthens it, across it turns it.
    some = transform[::_SPARSE]
    linear = _onto_coefficients(_waves(len(parts), order), taper, tails)
    kernel = (np.conj(some) / np.maximum(np.abs(some), 1e-300))[:, None] * linear
    kernel -= raw[::_SPARSE, None] * np.sign(total) * linear[0].real
    along, across = _ready(kernel.real), _ready(kernel.imag)
    scale = curve.variance / total**2
    error = np.sqrt(_between(_variances(curve.doubtful, curve.data, along)[0]) * scale)
    noise = _variances(curve.factor, curve.data, along)[1] + _variances(curve.factor, curve.data, across)[1]
    # Noise adds to the power at every frequency; what it adds on average is taken off.
    return np.sqrt(np.maximum(raw**2 - _between(noise) * scale, 0.0)), error


def _baseline(coefficients: Floats, tails: int) -> Floats:
    """Return the straight line through the means of both tails, in their middles."""
    if tails == 0:
        return np.zeros_like(coefficients)
    share = (np.arange(len(coefficients)) - 0.5 * (tails - 1)) / (len(coefficients) - tails)
    first, last = coefficients[:tails].mean(), coefficients[-tails:].mean()
    return np.asarray(first + (last - first) * share)


def _onto_coefficients(linear: Complex, taper: Floats | None, tails: int) -> Complex:
    """Return what acts on tapered differences, or on what is left above a baseline, as acting on the coefficients."""
    if taper is not None:
        return np.asarray(-np.diff(linear * taper, axis=1, prepend=0, append=0), np.complex128)
    if tails == 0:
        return linear
    count = linear.shape[1]
    share = (np.arange(count) - 0.5 * (tails - 1)) / (count - tails)
    changed: Complex = linear.copy()
    last = (linear * share).sum(axis=1, keepdims=True)
    changed[:, :tails] -= (linear.sum(axis=1, keepdims=True) - last) / tails
    changed[:, -tails:] -= last / tails
    return changed


def _between(values: Floats) -> Floats:
    """Return at all frequencies what was computed at a few."""
    return np.interp(FREQUENCIES, FREQUENCIES[::_SPARSE], values)


@lru_cache(maxsize=64)
def _waves(count: int, order: int) -> Complex:
    """Return the transform of basis functions of an order, centred at multiples of the step, at a few frequencies."""
    some = FREQUENCIES[::_SPARSE]
    waves: Complex = np.exp(-2j * np.pi * STEP * np.outer(some, np.arange(count) - count // 2))
    waves *= np.sinc(some * STEP)[:, None] ** order
    waves.setflags(write=False)
    return waves


def straight_line(x: Floats, y: Floats, weight: Floats | float = 1.0) -> tuple[float, float]:
    """Return height at 0 and slope of the straight line through points."""
    weight = np.broadcast_to(np.asarray(weight, np.float64), x.shape)
    total = weight.sum()
    middle, height = (weight * x).sum() / total, (weight * y).sum() / total
    spread = (weight * (x - middle) ** 2).sum()
    slope = float((weight * (x - middle) * (y - height)).sum() / spread) if spread > 0 else 0.0
    return float(height - slope * middle), slope


def noise_correlation(residual: Floats, noise: float) -> float:
    """Return how many pixels share their noise: the variance of sums over blocks, relative to that of as many pixels.

    Parameters
    ----------
    residual : ndarray, shape (rows, columns), float64
        What a fit leaves, in units of each pixel's noise; 0 where nothing was fitted.
    noise : float
        Noise, relative to the signal; where it is rounding error alone there is nothing to be shared.

    Returns
    -------
    float
        From 1, for independent pixels.
    """
    rows, columns = (size // _BLOCK * _BLOCK for size in residual.shape)
    blocks = residual[:rows, :columns].reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    power = float((blocks**2).sum())
    if noise < _ROUNDING or power == 0:
        return 1.0
    sums = blocks.sum(axis=(1, 3))
    share = float((sums**2).sum()) / power
    # The estimate itself is uncertain; pixels are independent unless it is clear that they are not.
    return share if share > 1 + 3 * np.sqrt(2 / max(int(np.count_nonzero(sums)), 1)) else 1.0


def solve_normal(columns: Floats, values: Floats) -> Floats:
    """Return the least-squares factors of a few columns, shape (k, n), of values; no library threads are woken."""
    matrix = np.einsum("in,jn->ij", columns, columns)
    right = np.einsum("in,n->i", columns, values)
    try:
        return np.asarray(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError:
        # A column that says nothing new keeps its factor at the least.
        return np.asarray(np.linalg.lstsq(matrix, right, rcond=None)[0])


def _ready(values: Floats) -> Floats:
    return np.require(values, np.float64, ("C", "W", "A"))


@inlined
def _basis(position: float) -> tuple[int, float, float, float, float, float]:
    """Return the first of four basis functions that are not 0 at a position (in knots), and their values there."""
    first = int(np.floor(position))
    t = position - first
    s = 1.0 - t
    return first - 1, t, s * s * s / 6.0, (4.0 - 3.0 * t * t * (2.0 - t)) / 6.0, (4.0 - 3.0 * s * s * (2.0 - s)) / 6.0, t * t * t / 6.0  # fmt: skip


@compiled("(float64[::1], float64[::1], float64[::1], float64[::1], float64, float64[:, ::1], float64[::1])")
def _accumulate(
    distance: Floats, amplitude: Floats, value: Floats, weight: Floats, start: float, data: Floats, sums: Floats
) -> float:
    """Add up the normal matrix and right-hand side; return the weighted sum of squares."""
    squares = 0.0
    for i in range(distance.size):
        k, _, b0, b1, b2, b3 = _basis((distance[i] - start) / STEP)
        f = weight[i] * amplitude[i]
        g = f * amplitude[i]
        v = f * value[i]
        data[k, 0] += g * b0 * b0
        data[k, 1] += g * b0 * b1
        data[k, 2] += g * b0 * b2
        data[k, 3] += g * b0 * b3
        data[k + 1, 0] += g * b1 * b1
        data[k + 1, 1] += g * b1 * b2
        data[k + 1, 2] += g * b1 * b3
        data[k + 2, 0] += g * b2 * b2
        data[k + 2, 1] += g * b2 * b3
        data[k + 3, 0] += g * b3 * b3
        sums[k] += v * b0
        sums[k + 1] += v * b1
        sums[k + 2] += v * b2
        sums[k + 3] += v * b3
        squares += weight[i] * value[i] * value[i]
    return squares


@compiled("(float64[::1], float64, float64[::1], float64[:, ::1])")
def _evaluate(distance: Floats, start: float, coefficients: Floats, out: Floats) -> None:
    """Fill the rows of `out` with values and slopes; beyond its ends the curve stays as it is there."""
    last = coefficients.size - 2.0 - 1e-9
    for i in range(distance.size):
        position = min(max((distance[i] - start) / STEP, 1.0), last)
        k, t, b0, b1, b2, b3 = _basis(position)
        c0, c1, c2, c3 = coefficients[k], coefficients[k + 1], coefficients[k + 2], coefficients[k + 3]
        s = 1.0 - t
        out[0, i] = b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3
        slope = 0.5 * s * s * (c1 - c0) + (0.5 + s * t) * (c2 - c1) + 0.5 * t * t * (c3 - c2)
        out[1, i] = slope / STEP


@compiled("(float64, float64, float64[:, ::1])")
def _roughness(start: float, scale: float, rough: Floats) -> None:
    """Fill the diagonals of the penalty: squared third differences, which weigh more beyond the core."""
    rough[:, :] = 0.0
    for k in range(rough.shape[0] - 3):
        x = (start + STEP * (k + 1.5)) / (_REACH * scale)
        w = min((1.0 + x * x) ** 4, 1e9)
        rough[k, 0] += w
        rough[k, 1] -= 3.0 * w
        rough[k, 2] += 3.0 * w
        rough[k, 3] -= w
        rough[k + 1, 0] += 9.0 * w
        rough[k + 1, 1] -= 9.0 * w
        rough[k + 1, 2] += 3.0 * w
        rough[k + 2, 0] += 9.0 * w
        rough[k + 2, 1] -= 3.0 * w
        rough[k + 3, 0] += w


@inlined
def _factorise(data: Floats, rough: Floats, weight: float, unit: float, factor: Floats) -> None:
    """Fill the Cholesky factor (row k holds 1 / L[k, k] and L[k+1..k+3, k]) of the penalised normal matrix."""
    count = data.shape[0]
    for k in range(count):
        for m in range(4):
            factor[k, m] = data[k, m] + weight * rough[k, m]
    for k in range(count):
        pivot = np.sqrt(max(factor[k, 0], 1e-14 * unit))
        # The diagonal holds the inverse, because a product is faster than a quotient.
        factor[k, 0] = 1.0 / pivot
        for m in range(1, 4):
            factor[k, m] *= factor[k, 0]
        for m in range(1, min(4, count - k)):
            for n in range(m, min(4, count - k)):
                factor[k + m, n - m] -= factor[k, m] * factor[k, n]


@inlined
def _forward(factor: Floats, values: Floats) -> None:
    """Solve L x = values in place."""
    count = values.size
    for k in range(count):
        values[k] *= factor[k, 0]
        for m in range(1, min(4, count - k)):
            values[k + m] -= factor[k, m] * values[k]


@inlined
def _backward(factor: Floats, values: Floats) -> None:
    """Solve L^T x = values in place."""
    count = values.size
    for k in range(count - 1, -1, -1):
        for m in range(1, min(4, count - k)):
            values[k] -= factor[k, m] * values[k + m]
        values[k] *= factor[k, 0]


@inlined
def _inverse(factor: Floats, inverse: Floats) -> None:
    """Fill the diagonals of the inverse of L L^T (Hutchinson and de Hoog)."""
    count = factor.shape[0]
    for k in range(count - 1, -1, -1):
        reach = min(4, count - k)
        for m in range(reach - 1, -1, -1):
            total = factor[k, 0] if m == 0 else 0.0
            for n in range(1, reach):
                low, high = min(m, n), max(m, n)
                total -= factor[k, n] * inverse[k + low, high - low]
            inverse[k, m] = total * factor[k, 0]


@compiled(
    "(float64[:, ::1], float64[::1], float64[:, ::1], float64, float64, float64, float64[:, :, ::1], float64[::1], float64)"
)
def _solve_for(
    data: Floats, sums: Floats, rough: Floats, weight: float, squares: float, number: float, work: Floats,
    coefficients: Floats, caution: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Fill the coefficients; return the cross-validation score, the degrees of freedom and the residual squares."""
    factor, inverse = work[1], work[2]
    count = data.shape[0]
    unit = data[:, 0].sum() / count
    _factorise(data, rough, weight, unit, factor)
    coefficients[:] = sums
    _forward(factor, coefficients)
    _backward(factor, coefficients)
    _inverse(factor, inverse)
    freedom, residual = 0.0, squares
    for k in range(count):
        row = 0.5 * data[k, 0] * coefficients[k]
        trace = data[k, 0] * inverse[k, 0]
        for m in range(1, min(4, count - k)):
            row += data[k, m] * coefficients[k + m]
            trace += 2.0 * data[k, m] * inverse[k, m]
        freedom += trace
        residual += 2.0 * coefficients[k] * (row - sums[k])
    residual = max(residual, 1e-16 * squares)
    left = max(number - caution * freedom, 0.01 * number)
    return number * residual / (left * left), freedom, residual


@compiled(
    "(float64[:, ::1], float64[::1], float64[:, ::1], float64, float64, float64, float64[:, :, ::1], float64, float64, float64, float64)"
)
def _choose(
    data: Floats, sums: Floats, rough: Floats, unit: float, squares: float, number: float, work: Floats,
    centre: float, reach: float, finest: float, caution: float,
) -> float:  # fmt: skip
    """Return the power of ten of the penalty with the best cross-validation score, in ever finer steps."""
    trial = work[3, :, 0].copy()
    step = min(reach, 3.0)
    best = centre
    lowest, _, _ = _solve_for(data, sums, rough, unit * 10.0**best, squares, number, work, trial, caution)
    while step > finest:
        turns = int(reach / step + 0.5)
        for turn in range(-turns, turns + 1):
            order = min(max(centre + turn * step, _LEAST), _MOST)
            if turn != 0:
                score, _, _ = _solve_for(data, sums, rough, unit * 10.0**order, squares, number, work, trial, caution)
                if score < lowest:
                    lowest, best = score, order
        centre = best
        step *= 0.5
        reach = step
    return best


@compiled("(float64[::1], int64, float64[::1], complex128[::1])")
def _transform(parts: Floats, order: int, frequencies: Floats, out: Complex) -> None:
    """Fill the transform of basis functions times `parts`, centred around 0."""
    count = parts.size
    for i in range(frequencies.size):
        angle = 2.0 * np.pi * STEP * frequencies[i]
        turn_r, turn_i = np.cos(angle), -np.sin(angle)
        wave_r, wave_i = np.cos(angle * (count // 2)), np.sin(angle * (count // 2))
        total_r = total_i = 0.0
        for k in range(count):
            total_r += parts[k] * wave_r
            total_i += parts[k] * wave_i
            wave_r, wave_i = wave_r * turn_r - wave_i * turn_i, wave_r * turn_i + wave_i * turn_r
        half = 0.5 * angle
        shape = 1.0 if half == 0.0 else (np.sin(half) / half) ** order
        out[i] = complex(total_r * shape, total_i * shape)


@compiled("(float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def _variances(factor: Floats, data: Floats, kernels: Floats) -> Floats:
    """Return, per linear functional, the variance with prior (row 0) and from noise alone (row 1), per unit variance."""
    count = factor.shape[0]
    out = np.empty((2, kernels.shape[0]))
    for i in range(kernels.shape[0]):
        x = kernels[i].copy()
        _forward(factor, x)
        out[0, i] = (x * x).sum()
        _backward(factor, x)
        total = 0.0
        for k in range(count):
            row = 0.5 * data[k, 0] * x[k]
            for m in range(1, min(4, count - k)):
                row += data[k, m] * x[k + m]
            total += 2.0 * x[k] * row
        out[1, i] = total
    return out
