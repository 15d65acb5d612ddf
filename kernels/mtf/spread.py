"""The profile of an edge from its pixels: how smooth it is, what they say; nothing about its shape is assumed.

The profile is a mixture of blurred steps plus a smooth deviation from it. The deviation has a Gaussian prior whose size
and smoothness follow from the evidence: where the mixture explains the pixels to their noise it vanishes, and where the
noise vanishes it becomes whatever the pixels show, over the whole width of the region.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..compilation import inlined
from .banded import factor, multiply, solve
from .mixture import nonnegative
from .oversample import MOMENTS, STEP, accumulate, normal_equations, squares

__all__ = ["collect", "estimate", "prior_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_THIRD = np.array([-1.0, 3.0, -3.0, 1.0])
# Sizes of the deviation relative to the mixture, and its correlation lengths in widths of the edge.
_SIZES = 10.0 ** np.arange(-2.25, 4.1, 0.75)
_LENGTHS = (0.6, 1.5)
# Deviations may also lie where the mixture is nothing.
_ELSEWHERE = 1e-3
# Where even one of this size would be found with less than this share of its variance, a deviation is not looked for.
_LARGE = 0.2
_NOTHING = 1e-2
# Improvements of the log likelihood that an atom must bring, and of the evidence that make other mixtures worth a look.
_WORTH = 0.5
_DOUBT = 1.0


@inlined
def collect(plane: Floats, line: Floats, low: float, gain: float, before: int, after: int) -> Floats:
    """Return the moments of all pixels in intervals from `before` knots left of the edge to `after` knots right of it."""
    rows, columns = plane.shape
    moments, work = np.zeros((before + after, MOMENTS)), np.empty((2, columns))
    for row in range(rows):
        t = row - 0.5 * (rows - 1)
        edge = line[0] + t * (line[1] + t * line[2])
        slope = line[1] + 2.0 * t * line[2]
        pace = 1.0 / (math.sqrt(1.0 + slope * slope) * STEP)
        accumulate(moments, plane[row], 0, columns, (pace, float(before), edge), low, gain, work)
    return moments


@inlined
def _pilot(band: Floats, right: Floats, lower: Floats, spline: Floats) -> None:
    """Solve for the spline with so little stiffness that it only bridges gaps."""
    n = right.size
    stiff = band.copy()
    stiffness = 1e-6 * band[:, 0].sum() / n
    for k in range(n - 3):
        for i in range(4):
            for m in range(i + 1):
                stiff[k + i, m] += stiffness * _THIRD[i] * _THIRD[i - m]
    factor(stiff, lower)
    solve(lower, right, spline)


@inlined
def _noise(moments: Floats, spline: Floats, weights: Floats) -> tuple[float, float]:
    """Fill the weights, and return the noise variances at levels 0 and 1.

    The variance goes with the level, as that of counts does, if the residuals say so.
    """
    intervals = moments.shape[0]
    total = np.zeros(5)
    pixels = used = 0.0
    residuals = np.empty(intervals)
    for k in range(intervals):
        residuals[k] = squares(moments, spline, k)
        pixels += moments[k, 0]
        used += moments[k, 0] > 0.0
    share = max(pixels - used, 1.0) / pixels
    for k in range(intervals):
        count = moments[k, 0]
        if count > 0.0:
            level = min(max(moments[k, 7] / count, 0.0), 1.0)
            total[0] += count
            total[1] += count * level
            total[2] += count * level * level
            total[3] += residuals[k] / share
            total[4] += residuals[k] / share * level
    mean = max(total[3] / total[0], 1e-26)
    determinant = total[0] * total[2] - total[1] * total[1]
    dark = (total[2] * total[3] - total[1] * total[4]) / determinant
    bright = dark + (total[0] * total[4] - total[1] * total[3]) / determinant
    doubt = mean * math.sqrt(2.0 * total[0] / determinant)
    if abs(bright - dark) < 4.0 * doubt:
        dark = bright = mean
    floor = 1e-2 * max(dark, bright)
    dark, bright = max(dark, floor), max(bright, floor)
    for k in range(intervals):
        count = max(moments[k, 0], 1.0)
        level = min(max(moments[k, 7] / count, 0.0), 1.0)
        weights[k] = 1.0 / (dark + level * (bright - dark))
    return dark, bright


@inlined
def prior_of(envelope: Floats, length: float, prior: Floats) -> None:
    """Fill the precision of a deviation of size 1 with a correlation length in knots."""
    n = envelope.size
    prior[:] = 0.0
    for k in range(n):
        prior[k, 0] = 1.0 / (length * envelope[k] * envelope[k])
    for k in range(n - 3):
        mean = 0.25 * (envelope[k] + envelope[k + 1] + envelope[k + 2] + envelope[k + 3])
        stiffness = length**5 / (mean * mean)
        for i in range(4):
            for m in range(i + 1):
                prior[k + i, m] += stiffness * _THIRD[i] * _THIRD[i - m]


@inlined
def _deviation(band: Floats, left: Floats, envelope: Floats, width: float, mean: Floats) -> tuple[float, float, float]:
    """Fill the deviation, averaged over its possible sizes; return the evidence for it, its root mean square size, and length."""
    n = left.size
    prior, joint, lower = np.empty((n, 4)), np.zeros((n, 4)), np.empty((n, 4))
    trial = np.empty(n)
    mean[:] = 0.0
    # No deviation at all is one of the possibilities.
    best, total, extent, best_length = 0.0, 1.0, 0.0, width / STEP
    count = 1
    for length in _LENGTHS:
        knots = length * width / STEP
        prior_of(envelope, knots, prior)
        unit = factor(prior, lower)
        index, step, peak = 1, 1, -np.inf
        while 0 <= index < _SIZES.size:
            inverse = 1.0 / _SIZES[index] ** 2
            for k in range(n):
                for m in range(min(k, 3) + 1):
                    joint[k, m] = band[k, m] + inverse * prior[k, m]
            determinant = factor(joint, lower)
            solve(lower, left, trial)
            evidence = 0.0
            for k in range(n):
                evidence += trial[k] * left[k]
            evidence = 0.5 * (evidence + unit + n * math.log(inverse) - determinant)
            count += 1
            if evidence > best:
                shrink = math.exp(best - evidence)
                total *= shrink
                extent *= shrink
                mean *= shrink
                best, best_length = evidence, knots
            weight = math.exp(evidence - best)
            if weight > 1e-4:
                total += weight
                extent += weight / inverse
                for k in range(n):
                    mean[k] += weight * trial[k]
            if evidence > peak:
                peak = evidence
                index += step
            elif step > 0 and index == 2:
                # The first step up was a step down.
                index, step = 0, -1
            else:
                break
    mean /= total
    return best + math.log(total / count), math.sqrt(extent / total), best_length


@inlined
def _open(band: Floats, envelope: Floats, width: float) -> tuple[int, int]:
    """Return where a deviation may begin and end: elsewhere the pixels are too noisy to tell it from nothing.

    Without noise that is nowhere.
    """
    n = envelope.size
    # As many pixels as on average, wherever: at the ends of the region there are few, but the level is found from all.
    scale = _LARGE**2 * width / STEP * band[:, 0].sum() / n
    low, high = 0, n
    while low < n - 16 and scale * envelope[low] ** 2 < _NOTHING:
        low += 1
    while high > low + 16 and scale * envelope[high - 1] ** 2 < _NOTHING:
        high -= 1
    return low, high


@inlined
def _shift(band: Floats, left: Floats, spline: Floats) -> float:
    """Take the best small shift out of the right side that is left, and apply it to the spline; return it [knot]."""
    n = spline.size
    rate, product = np.zeros(n), np.empty(n)
    for k in range(2, n - 2):
        rate[k] = (8.0 * (spline[k + 1] - spline[k - 1]) - (spline[k + 2] - spline[k - 2])) / 12.0
    multiply(np.ascontiguousarray(band.T), rate, product)
    slope = curvature = 0.0
    for k in range(n):
        slope += rate[k] * left[k]
        curvature += rate[k] * product[k]
    shift = min(max(slope / curvature, -1.0), 1.0)
    for k in range(n):
        left[k] -= shift * product[k]
        spline[k] += shift * rate[k]
    return shift


@inlined
def estimate(
    moments: Floats, width: float, start: int, steps: Floats, envelopes: Floats, families: Integers, facts: Floats
) -> tuple[Integers, Floats, Floats, Floats, Floats, Floats]:
    """Return atoms, weights, deviation, profile, envelope and the weighted matrix of least squares; fill `facts`.

    The facts are the noise variances at levels 0 and 1, the shift of the mixture [knot], the size and length [knot] of
    the deviation's prior, the evidence for it, and the first coefficient of the deviation and the end of them.
    """
    n = moments.shape[0] + 3
    band, lower, right = np.empty((n, 4)), np.empty((n, 4)), np.empty(n)
    profile, spline, deviation, trial = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    outline, envelope = np.empty(n), np.empty(n)
    weights = np.ones(moments.shape[0])
    normal_equations(moments, weights, band, right)
    _pilot(band, right, lower, spline)
    facts[0], facts[1] = _noise(moments, spline, weights)
    if facts[0] == facts[1]:
        band *= weights[0]
        right *= weights[0]
    else:
        normal_equations(moments, weights, band, right)
    best = -np.inf
    atoms, amounts = np.empty(0, np.int64), np.empty(0)
    for model in range(families.shape[0]):
        first, end, signed = families[model]
        chosen, found, left = nonnegative(steps, start, first, end, signed != 0, band, right, _WORTH)
        spline[:] = found[0]
        size = 0.0
        for i in range(1, chosen.size):
            size += abs(found[i])
        for k in range(n):
            x = (k - 0.5 * n) * STEP / width
            envelope[k] = _ELSEWHERE / (1.0 + x * x)
        for i in range(1, chosen.size):
            for k in range(n):
                spline[k] += found[i] * steps[start + k, chosen[i]]
                envelope[k] += abs(found[i]) / size * envelopes[start + k, chosen[i]]
        shift = _shift(band, left, spline) if model == 0 else 0.0
        low, high = _open(band, envelope, width)
        trial[:] = 0.0
        evidence, extent, length = _deviation(
            band[low:high], left[low:high], envelope[low:high], width, trial[low:high]
        )
        # The squares of the pixels themselves are the same for all mixtures.
        explained = 0.0
        for k in range(n):
            explained += spline[k] * (right[k] + left[k])
        score = evidence + 0.5 * explained - 2.0 * chosen.size
        if score > best:
            best = score
            atoms, amounts = chosen, found
            deviation[:] = trial
            profile[:] = spline
            outline[:] = envelope
            facts[2], facts[3], facts[4], facts[5] = shift, extent, length, evidence
            facts[6], facts[7] = low, high
        if model == 0 and evidence < _DOUBT:
            break
    profile += deviation
    return atoms, amounts, deviation, profile, outline, band
