"""The kernels of a smooth curve: cubic splines on equidistant knots, their penalised normal matrices of four diagonals."""

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined

__all__ = ["LEAST", "MOST", "STEP", "basis", "evaluate", "fit", "noise_variance", "prior_variance"]

Floats = NDArray[np.float64]

STEP = 0.25
"""Distance between knots [pixels]."""

LEAST, MOST = -12.0, 6.0
"""Powers of ten of the penalty, relative to the data."""

_REACH = 2.0  # widths within which all curves are as rough


@inlined
def basis(position: float) -> tuple[int, float, float, float, float, float]:
    """Return the first of four basis functions that are not 0 at a position (in knots), and their values there."""
    first = int(np.floor(position))
    t = position - first
    s = 1.0 - t
    return first - 1, t, s * s * s / 6.0, (4.0 - 3.0 * t * t * (2.0 - t)) / 6.0, (4.0 - 3.0 * s * s * (2.0 - s)) / 6.0, t * t * t / 6.0  # fmt: skip


@inlined
def _accumulate(
    distance: Floats, amplitude: Floats, value: Floats, weight: Floats, start: float, data: Floats, sums: Floats
) -> float:
    """Add up the normal matrix and right-hand side; return the weighted sum of squares."""
    squares = 0.0
    for i in range(distance.size):
        k, _, b0, b1, b2, b3 = basis((distance[i] - start) / STEP)
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
def evaluate(distance: Floats, start: float, coefficients: Floats, out: Floats) -> None:
    """Fill the rows of `out` with values and slopes; beyond its ends the curve stays as it is there."""
    last = coefficients.size - 2.0 - 1e-9
    for i in range(distance.size):
        position = min(max((distance[i] - start) / STEP, 1.0), last)
        k, t, b0, b1, b2, b3 = basis(position)
        c0, c1, c2, c3 = coefficients[k], coefficients[k + 1], coefficients[k + 2], coefficients[k + 3]
        s = 1.0 - t
        out[0, i] = b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3
        slope = 0.5 * s * s * (c1 - c0) + (0.5 + s * t) * (c2 - c1) + 0.5 * t * t * (c3 - c2)
        out[1, i] = slope / STEP


@inlined
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
def forward(factor: Floats, values: Floats) -> None:
    """Solve L x = values in place."""
    count = values.size
    for k in range(count):
        values[k] *= factor[k, 0]
        for m in range(1, min(4, count - k)):
            values[k + m] -= factor[k, m] * values[k]


@inlined
def backward(factor: Floats, values: Floats) -> None:
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


@inlined
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
    forward(factor, coefficients)
    backward(factor, coefficients)
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


@inlined
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
            order = min(max(centre + turn * step, LEAST), MOST)
            if turn != 0:
                score, _, _ = _solve_for(data, sums, rough, unit * 10.0**order, squares, number, work, trial, caution)
                if score < lowest:
                    lowest, best = score, order
        centre = best
        step *= 0.5
        reach = step
    return best


@compiled(
    "(float64[:, ::1], float64, float64, float64[::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[::1],"
    " float64[::1])"
)
def fit(
    samples: Floats, start: float, scale: float, search: Floats, data: Floats, factor: Floats, doubtful: Floats,
    coefficients: Floats, facts: Floats,
) -> None:  # fmt: skip
    """Fill the parts of a curve through samples, and the facts: penalty, degrees of freedom and residual squares.

    The rows of `samples` are distances, values, amplitudes and weights. The search for the penalty is given by its middle
    and reach, the smallest step, how many a degree of freedom counts for, and how much less the doubtful penalty is.
    """
    centre, reach, finest, caution, doubt = search
    number, count = float(samples.shape[1]), data.shape[0]
    sums, work = np.zeros(count), np.zeros((6, count, 4))
    data[:] = 0.0
    squares = _accumulate(samples[0], samples[2], samples[1], samples[3], start, data, sums)
    rough = work[0]
    _roughness(start, scale, rough)
    unit = data[:, 0].sum() / count
    penalty = _choose(data, sums, rough, unit, squares, number, work, centre, reach, finest, caution)
    facts[0] = penalty
    _, facts[1], facts[2] = _solve_for(
        data, sums, rough, unit * 10.0**penalty, squares, number, work, coefficients, caution
    )
    factor[:] = work[1]
    _factorise(data, rough, unit * 10.0 ** (penalty - doubt), unit, doubtful)


@inlined
def prior_variance(factor: Floats, functional: Floats) -> float:
    """Return the variance of a linear functional with the prior, per unit variance; it is used up."""
    forward(factor, functional)
    return float((functional * functional).sum())


@inlined
def noise_variance(factor: Floats, data: Floats, functional: Floats) -> float:
    """Return the variance of a linear functional from noise alone, per unit variance; it is used up."""
    count = factor.shape[0]
    forward(factor, functional)
    backward(factor, functional)
    total = 0.0
    for k in range(count):
        row = 0.5 * data[k, 0] * functional[k]
        for m in range(1, min(4, count - k)):
            row += data[k, m] * functional[k + m]
        total += 2.0 * functional[k] * row
    return total
