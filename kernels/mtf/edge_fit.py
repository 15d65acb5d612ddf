"""Where an edge runs: found from the steps of all rows, then refined by its own profile until phases agree."""

import math

import numpy as np
from numpy.typing import NDArray

from ..compilation import inlined
from .banded import factor, solve
from .oversample import MOMENTS, STEP, accumulate, normal_equations, pieces

__all__ = ["find_steps", "line_through", "refine"]

Floats = NDArray[np.float64]

_THIRD = np.array([-1.0, 3.0, -3.0, 1.0])


@inlined
def mean_of(values: Floats) -> float:
    """Return the mean; four sums do not wait for each other."""
    n = values.size
    a = b = c = d = 0.0
    for k in range(0, n - 3, 4):
        a += values[k]
        b += values[k + 1]
        c += values[k + 2]
        d += values[k + 3]
    for k in range(n - n % 4, n):
        a += values[k]
    return ((a + b) + (c + d)) / n


@inlined
def find_steps(plane: Floats) -> Floats:
    """Return, for each row, the position of its best step [pixel], and the means to the left and right of it."""
    rows, columns = plane.shape
    steps = np.empty((rows, 3))
    # A product is faster than a quotient at every pixel.
    share = np.empty(columns)
    for column in range(1, columns):
        share[column] = 1.0 / (column * (columns - column))
    for row in range(rows):
        mean = mean_of(plane[row])
        left = excess = best = 0.0
        position = 1
        for column in range(1, columns):
            excess += plane[row, column - 1] - mean
            gain = excess * excess * share[column]
            if gain > best:
                best, position, left = gain, column, excess
        steps[row, 0] = position - 0.5
        steps[row, 1] = mean + left / position
        steps[row, 2] = mean - left / (columns - position)
    return steps


@inlined
def line_through(steps: Floats) -> tuple[float, float, float, float, float]:
    """Return position, slope, and levels to the left and right of a line through the steps of most rows.

    Five values: the last is the typical distance of a step from the line; it is infinite if there is no edge.
    """
    rows = steps.shape[0]
    contrast = steps[:, 2] - steps[:, 1]
    typical = np.median(contrast)
    use = contrast * np.sign(typical) > 0.5 * abs(typical)
    count = use.sum()
    if typical == 0.0 or count < max(8, rows // 4):
        return 0.0, 0.0, 0.0, 0.0, np.inf
    t = np.arange(rows)[use] - 0.5 * (rows - 1)
    position = steps[:, 0][use]
    half = count // 2
    slope = np.median((position[half : 2 * half] - position[:half]) / (t[half : 2 * half] - t[:half]))
    centre = np.median(position - slope * t)
    typical_distance = 0.0
    for _ in range(3):
        away = np.abs(position - centre - slope * t)
        typical_distance = np.median(away)
        limit = max(1.0, 3.0 * typical_distance)
        n = st = sp = stt = stp = 0.0
        for i in range(count):
            if away[i] <= limit:
                n += 1.0
                st += t[i]
                sp += position[i]
                stt += t[i] * t[i]
                stp += t[i] * position[i]
        slope = (n * stp - st * sp) / (n * stt - st * st)
        centre = (sp - slope * st) / n
    low, high = np.median(steps[:, 1][use]), np.median(steps[:, 2][use])
    return centre, slope, low, high, typical_distance


@inlined
def _window(plane: Floats, line: Floats, low: float, gain: float, half: float, moments: Floats) -> None:
    """Collect the pixels at most `half` from the edge."""
    rows, columns = plane.shape
    moments[:] = 0.0
    work = np.empty((2, columns))
    for row in range(rows):
        t = row - 0.5 * (rows - 1)
        edge = line[0] + t * (line[1] + t * line[2])
        slope = line[1] + 2.0 * t * line[2]
        cosine = 1.0 / math.sqrt(1.0 + slope * slope)
        first = max(math.ceil(edge - half / cosine), 0)
        last = min(math.floor(edge + half / cosine), columns - 1)
        pace = cosine / STEP
        accumulate(moments, plane[row], first, last + 1, (pace, half / STEP, edge), low, gain, work)


@inlined
def _smooth(band: Floats, right: Floats, stiffness: float, lower: Floats, spline: Floats) -> None:
    """Solve for the spline with a penalty on its third differences."""
    for k in range(band.shape[0] - 3):
        for i in range(4):
            for m in range(i + 1):
                band[k + i, m] += stiffness * _THIRD[i] * _THIRD[i - m]
    factor(band, lower)
    solve(lower, right, spline)


@inlined
def _correction(
    plane: Floats, line: Floats, low: float, gain: float, half: float, spline: Floats, smooth: Floats, terms: int
) -> Floats:
    """Return the best changes of the line, their standard errors, and change and error of the curvature were it free.

    They follow from residuals along the edge.
    """
    rows, columns = plane.shape
    intervals = spline.size - 3
    values, rates = np.empty((intervals, 4)), np.empty((intervals, 4))
    pieces(spline, values)
    pieces(smooth, rates)
    powers, vector = np.zeros(5), np.zeros(3)
    squares = 0.0
    count = 0
    for row in range(rows):
        t = row - 0.5 * (rows - 1)
        edge = line[0] + t * (line[1] + t * line[2])
        slope = line[1] + 2.0 * t * line[2]
        cosine = 1.0 / math.sqrt(1.0 + slope * slope)
        first = max(math.ceil(edge - half / cosine), 0)
        last = min(math.floor(edge + half / cosine), columns - 1)
        pace = cosine / STEP
        along = across = 0.0
        for column in range(first, last + 1):
            u = ((column - edge) * cosine + half) / STEP
            k = min(int(u), intervals - 1)
            at = u - k - 0.5
            curve = values[k, 0] + at * (values[k, 1] + at * (values[k, 2] + at * values[k, 3]))
            residual = (plane[row, column] - low) * gain - curve
            rate = rates[k, 1] + at * (2.0 * rates[k, 2] + 3.0 * at * rates[k, 3])
            along += rate * rate
            across += rate * residual
            squares += residual * residual
        count += max(last + 1 - first, 0)
        along *= pace * pace
        across *= -pace
        for i in range(5):
            powers[i] += along
            if i < 3:
                vector[i] += across
            along *= t
            across *= t
    matrix = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            matrix[i, j] = powers[i + j]
    answer = np.zeros(8)
    variance = squares / max(count - intervals - 3, 1)
    inverse = _inverse(matrix, terms)
    for i in range(terms):
        for j in range(terms):
            answer[i] += inverse[i, j] * vector[j]
        answer[3 + i] = math.sqrt(max(variance * inverse[i, i], 0.0))
    inverse = _inverse(matrix, 3)
    for j in range(3):
        answer[6] += inverse[2, j] * vector[j]
    answer[7] = math.sqrt(max(variance * inverse[2, 2], 0.0))
    return answer


@inlined
def _inverse(matrix: Floats, size: int) -> Floats:
    """Return the inverse of the leading part of a small symmetric positive matrix; 0 where it is singular."""
    work = matrix.copy()
    inverse = np.eye(3)
    for i in range(size):
        pivot = work[i, i]
        if not pivot > 0.0:
            return np.zeros((3, 3))
        for j in range(3):
            work[i, j] /= pivot
            inverse[i, j] /= pivot
        for other in range(size):
            if other != i:
                factor_ = work[other, i]
                for j in range(3):
                    work[other, j] -= factor_ * work[i, j]
                    inverse[other, j] -= factor_ * inverse[i, j]
    return inverse


@inlined
def _width(spline: Floats, half: float) -> tuple[float, float]:
    """Return centre and width of a profile from 0 to 1: those of the Gaussian edge with the same areas."""
    area = overlap = 0.0
    n = spline.size
    for k in range(1, n - 1):
        value = (spline[k - 1] + 4.0 * spline[k] + spline[k + 1]) / 6.0
        share = 0.5 * STEP if k in (1, n - 2) else STEP
        area += share * value
        overlap += share * value * (1.0 - value)
    return half - area, math.sqrt(math.pi) * max(overlap, 0.1)


@inlined
def refine(plane: Floats, line: Floats, low: float, gain: float, reach: float, terms: int) -> Floats:
    """Refine a line in place, and return width [pixel], sag [pixel], its standard error, and that of the slope.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Pixels.
    line : ndarray, shape (3,), float64
        Column of the edge in powers of the distance from the middle row.
    low, gain : float
        What takes pixels to the range from 0 (left) to 1 (right).
    reach : float
        Greatest distance from the edge to look at [pixel].
    terms : int
        2 to refine the slope alone, 3 to refine the curvature too.
    """
    half = min(6.0, reach)
    middle = 0.5 * (plane.shape[0] - 1)
    answer = np.zeros(4)
    for attempt in range(12):
        half = STEP * math.floor(half / STEP)
        intervals = round(2.0 * half / STEP)
        moments = np.empty((intervals, MOMENTS))
        _window(plane, line, low, gain, half, moments)
        n = intervals + 3
        band, lower, right = np.empty((n, 4)), np.empty((n, 4)), np.empty(n)
        spline, smooth = np.empty(n), np.empty(n)
        normal_equations(moments, np.ones(intervals), band, right)
        density = moments[:, 0].sum() / intervals
        _smooth(band, right, 1e-6 * density, lower, spline)
        centre, width = _width(spline, half)
        stretch = math.sqrt(1.0 + line[1] * line[1])
        if half < min(2.5 * width, reach) or (abs(centre) > 0.3 * half and attempt < 4):
            half = min(2.0 * half, reach)
            line[0] += centre * stretch
            continue
        _smooth(band, right, density * (0.4 * width / STEP) ** 6, lower, smooth)
        change = _correction(plane, line, low, gain, half, spline, smooth, terms)
        step = max(abs(change[1]) * middle, abs(change[2]) * middle * middle)
        answer[0], answer[3] = width, change[4]
        # What is left after a step is a small part of it.
        settled = step < max(1e-3, 0.3 * change[4] * middle)
        if settled:
            answer[1], answer[2] = (line[2] + change[6]) * middle * middle, change[7] * middle * middle
        line[0] += centre * stretch
        line[1] += change[1]
        line[2] += change[2]
        half = min(max(4.0 * width + 1.0, 3.0), reach)
        if settled:
            break
    return answer
