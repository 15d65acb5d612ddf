"""An edge profile as a sum of blurred steps with weights that are not negative: what most blurs are, of any shape.

Widths run over a ladder from a quarter of a pixel up, so that cores, scatter and penetration tails of any decay are sums
of few steps; steps beside the middle make lopsided and flat-topped spreads; steps of negative weight make overshoot.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined
from .banded import factor, multiply, solve
from .oversample import MOMENTS, STEP, normal_equations

__all__ = ["WIDTHS", "Ladder", "dot", "families", "ladder", "nonnegative"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Widths of the steps [pixel]; every second one also comes beside the middle, by these multiples of its width.
WIDTHS = 0.25 * 1.14 ** np.arange(42)
_COARSE = WIDTHS[::2].size
_APART = 1.2
_PLACES = np.array([0.0, -2.0, -1.0, 1.0, 2.0])

_MOST = 24
# How much the first and the second moment of a spread may outgrow those of its part in the mixture.
_BROADER = 2.5
# Places and weights of Gauss and Legendre's three values in an interval.
_NODES = np.array([[-math.sqrt(0.15), 5 / 18], [0.0, 8 / 18], [math.sqrt(0.15), 5 / 18]])


class Ladder(NamedTuple):
    """Blurred steps as splines on a grid about the edge.

    Parameters
    ----------
    steps : ndarray, shape (n, atoms), float64
        Spline coefficients of steps from 0 to 1; the row ``n // 2`` is that of the knot in the middle.
    envelopes : ndarray, shape (n, atoms), float64
        How large deviations from each may be, relative to its weight.
    widths, offsets : ndarray, shape (atoms,), float64
        What they are [pixel].
    leans : ndarray, shape (atoms,), float64
        1 for a step beside the middle, 0 for a pair of half steps on either side of it.
    """

    steps: Floats
    envelopes: Floats
    widths: Floats
    offsets: Floats
    leans: Floats


@lru_cache(maxsize=4)
def _ladder(length: int) -> Ladder:
    coarse = WIDTHS[::2]
    # A symmetric pair goes with every second width, before the next one.
    even = np.stack([coarse, coarse, WIDTHS[1::2]], 1).ravel()
    widths = np.concatenate([even, np.repeat(coarse, _PLACES.size), coarse])
    places = np.concatenate([np.tile([0.0, _APART, 0.0], coarse.size), np.tile(_PLACES, coarse.size), 0.0 * coarse])
    leans = np.where(np.arange(widths.size) < even.size, 0.0, 1.0)
    steps, envelopes = np.empty((2, length, widths.size))
    _tabulate(widths, places * widths, leans, steps, envelopes)
    return Ladder(steps, envelopes, widths, places * widths, leans)


@inlined
def families(width: float, reach: float) -> NDArray[np.int64]:
    """Return which atoms suit an edge of a width in a region that reaches so far to either side [pixel].

    Returns
    -------
    ndarray, shape (3, 3), int64
        First atom, end, and whether weights may be negative, of symmetric, lopsided and overshooting mixtures.
    """
    end = np.searchsorted(WIDTHS, reach / 3.5)
    core = min(np.searchsorted(WIDTHS, 0.4 * width), end - 2) // 2
    lopsided = 3 * _COARSE
    overshooting = lopsided + _PLACES.size * _COARSE
    found = np.zeros((3, 3), np.int64)
    found[0, 1] = 3 * (end // 2) + end % 2
    found[1, 0] = lopsided + _PLACES.size * core
    found[1, 1] = lopsided + _PLACES.size * ((end + 1) // 2)
    found[2, 0] = overshooting + core
    found[2, 1] = overshooting + max((end + 1) // 2 - 3, core + 1)
    found[2, 2] = 1
    return found


def ladder(knots: int) -> Ladder:
    """Return blurred steps that reach at least `knots` knots to either side."""
    return _ladder(1 << max(math.ceil(math.log2(2 * knots + 8)), 9))


@compiled("(float64[::1], float64[::1], float64[::1], float64[:, ::1], float64[:, ::1])")
def _tabulate(widths: Floats, offsets: Floats, leans: Floats, steps: Floats, envelopes: Floats) -> None:
    """Fill the tables of a ladder by least squares: a spline through values would be too low near Nyquist."""
    length = steps.shape[0]
    moments, right = np.zeros((length - 3, MOMENTS)), np.empty(length)
    band, lower = np.empty((length, 4)), np.empty((length, 4))
    for atom in range(widths.size):
        moments[:] = 0.0
        for k in range(length - 3):
            for node in range(3):
                t = _NODES[node, 0]
                x = (k + 1.5 + t - length // 2) * STEP
                value = _step((x - offsets[atom]) / widths[atom])
                if leans[atom] == 0.0:
                    value = 0.5 * (value + _step((x + offsets[atom]) / widths[atom]))
                for p in range(7):
                    power = _NODES[node, 1] * t**p
                    moments[k, p] += power
                    if p < 4:
                        moments[k, 7 + p] += power * value
        normal_equations(moments, np.ones(length - 3), band, right)
        factor(band, lower)
        solve(lower, right, right)
        steps[:, atom] = right
        for k in range(length):
            x = ((k - length // 2) * STEP - (offsets[atom] if leans[atom] else 0.0)) / widths[atom]
            envelopes[k, atom] = math.exp(-0.5 * (x / _BROADER) ** 2) / math.sqrt(2.0 * math.pi)


@inlined
def _step(x: float) -> float:
    """Return the integral of the normal density up to `x`."""
    if abs(x) > 8.5:
        return 1.0 if x > 0.0 else 0.0
    return 0.5 * math.erfc(-x * math.sqrt(0.5))


@inlined
def nonnegative(
    steps: Floats, start: int, first: int, end: int, signed: bool, band: Floats, right: Floats, tolerance: float
) -> tuple[Integers, Floats, Floats]:
    """Return the chosen atoms, their weights and the right side that is left: Lawson and Hanson's active set.

    The first chosen, -1, is a constant of either sign. Atoms join until half the sum of squares is within `tolerance` of
    the least there is; `start` is the row of the tables that the first spline coefficient takes.
    """
    n = right.size
    chosen = np.full(_MOST, -1, np.int64)
    weights, trial, target = np.zeros(_MOST), np.zeros(_MOST), np.zeros(_MOST)
    signs = np.ones(_MOST)
    columns, rows = np.empty((_MOST, n)), np.empty((_MOST, n))
    gram = np.zeros((_MOST, _MOST))
    rows[0] = 1.0
    diagonals = np.ascontiguousarray(band.T)
    multiply(diagonals, rows[0], columns[0])
    gram[0, 0] = dot(rows[0], columns[0])
    target[0] = dot(rows[0], right)
    weights[0] = target[0] / gram[0, 0]
    count = 1
    left = np.empty(n)
    size = end - first
    # Neighbours in memory, since they are read for every atom that joins.
    table = np.ascontiguousarray(steps[start : start + n, first:end])
    slopes = np.empty(size)
    free = np.ones(size, np.bool_)
    for _ in range(3 * _MOST):
        left[:] = right
        for i in range(count):
            weight = weights[i]
            for k in range(n):
                left[k] -= weight * columns[i, k]
        _correlate(table, left, slopes)
        # The weights sum to about 1, so that no steeper slope means: no more than the tolerance to be gained.
        best, gain = -1, tolerance
        for j in range(size):
            slope = abs(slopes[j]) if signed else slopes[j]
            if free[j] and slope > gain:
                best, gain = j, slope
        if best < 0 or count == _MOST:
            break
        free[best] = False
        chosen[count], signs[count], weights[count] = best, math.copysign(1.0, slopes[best]), 0.0
        for k in range(n):
            rows[count, k] = signs[count] * table[k, best]
        multiply(diagonals, rows[count], columns[count])
        target[count] = dot(rows[count], right)
        for i in range(count + 1):
            gram[count, i] = gram[i, count] = dot(rows[i], columns[count])
        count += 1
        while True:
            if not _solve_small(gram, target, count, trial):
                # The newcomer is a copy of what is there already: it stays out.
                count -= 1
                break
            share, worst = 1.0, -1
            for i in range(1, count):
                if trial[i] <= 0.0:
                    part = weights[i] / max(weights[i] - trial[i], 1e-300)
                    if part < share or worst < 0:
                        share, worst = part, i
            for i in range(count):
                weights[i] += share * (trial[i] - weights[i])
            if worst < 0:
                break
            # The one that reached 0 leaves; it may come back later, but the newcomer not.
            free[chosen[worst]] = worst != count - 1
            count -= 1
            for i in range(worst, count):
                chosen[i], weights[i] = chosen[i + 1], weights[i + 1]
                signs[i], target[i] = signs[i + 1], target[i + 1]
                rows[i] = rows[i + 1]
                columns[i] = columns[i + 1]
                gram[i, : count + 1] = gram[i + 1, : count + 1]
            for i in range(worst, count):
                gram[: count + 1, i] = gram[: count + 1, i + 1]
    for i in range(1, count):
        chosen[i] += first
        weights[i] *= signs[i]
    return chosen[:count].copy(), weights[:count].copy(), left


@inlined
def _correlate(atoms: Floats, values: Floats, sums: Floats) -> None:
    """Fill the sums of the values times each column; several rows at once, so that sums are seldom fetched and stored."""
    n, size = atoms.shape
    sums[:] = 0.0
    for k in range(0, n - 3, 4):
        a, b, c, d = values[k], values[k + 1], values[k + 2], values[k + 3]
        for j in range(size):
            sums[j] += (a * atoms[k, j] + b * atoms[k + 1, j]) + (c * atoms[k + 2, j] + d * atoms[k + 3, j])
    for k in range(n - n % 4, n):
        for j in range(size):
            sums[j] += values[k] * atoms[k, j]


@inlined
def dot(first: Floats, second: Floats) -> float:
    """Return the sum of products."""
    n = first.size
    # Four sums that do not wait for each other.
    a = b = c = d = 0.0
    for k in range(0, n - 3, 4):
        a += first[k] * second[k]
        b += first[k + 1] * second[k + 1]
        c += first[k + 2] * second[k + 2]
        d += first[k + 3] * second[k + 3]
    for k in range(n - n % 4, n):
        a += first[k] * second[k]
    return (a + b) + (c + d)


@inlined
def _solve_small(gram: Floats, target: Floats, count: int, solution: Floats) -> bool:
    """Solve a small positive system by Cholesky; False if it is singular to the last digits."""
    lower = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1):
            value = gram[i, j]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            if i == j:
                if value <= 1e-13 * gram[i, i]:
                    return False
                lower[i, i] = math.sqrt(value)
            else:
                lower[i, j] = value / lower[j, j]
        value = target[i]
        for k in range(i):
            value -= lower[i, k] * solution[k]
        solution[i] = value / lower[i, i]
    for i in range(count - 1, -1, -1):
        value = solution[i]
        for k in range(i + 1, count):
            value -= lower[k, i] * solution[k]
        solution[i] = value / lower[i, i]
    return True
