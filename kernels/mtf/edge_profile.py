"""One edge: where it runs, its profile, and the modulation that follows; two kernels, with a table to look up between them."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined
from ..errors import InputError
from .edge_fit import find_steps, line_through, refine
from .mixture import families, ladder
from .oversample import STEP
from .spread import collect, estimate
from .tails import add_tail, tail_at
from .uncertainty import modulation_of, standard_errors

__all__ = ["Edge", "Profile", "find_edge", "profile_of"]

Floats = NDArray[np.float64]

# A bend is followed if it exceeds these many standard errors, and pixels over the length of the edge.
_BENT = (4.0, 0.01)
# Pixels that must lie on either side, and how far to look for the blur of an edge before its profile is known.
_MARGIN = 4.0
_FARTHEST = 24.0
# Errors change slowly: one in so many frequencies is enough.
_THINNED = 8
# Of the step that the rows show; less is something else than an edge, such as a disk or a line.
_LEAST_STEP = 0.5
# Where a region's outer part begins, as a share of its reach.
_OUTER = 0.85
_FOUND, _INFINITE = 1.0, -1.0
_NO_EDGE = "no edge was found in the region; choose one that a single edge crosses near its middle."


class Edge(NamedTuple):
    """An edge in a region whose rows it crosses.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Pixels.
    line : ndarray, shape (3,), float64
        Column of the edge in powers of the distance from the middle row.
    low, high : float
        Levels to the left and right, roughly.
    width, sag : float
        Blur of the edge, and how far it bends [pixel].
    left, right : float
        How far every row reaches [pixel].
    first, last : float
        The least and the greatest distance of a pixel from the edge [pixel].
    transposed : bool
        Whether rows and columns were exchanged.
    extremes : tuple of float
        The least value, how many pixels have it, the greatest value, and how many have that.
    """

    plane: Floats
    line: Floats
    low: float
    high: float
    width: float
    sag: float
    left: float
    right: float
    first: float
    last: float
    transposed: bool
    extremes: tuple[float, float, float, float]


class Profile(NamedTuple):
    """The profile across an edge and its modulation.

    Parameters
    ----------
    curves : ndarray, shape (2, frequencies), float64
        Modulation, and its posterior standard deviation.
    across : ndarray, shape (3, knots), float64
        Distances from the edge [pixel], the profile from 0 to 1, and its derivative [1/pixel].
    step : float
        Height of the whole step, relative to the rough levels.
    dark, bright : float
        Noise variances to the left and right, in units of the squared rough contrast.
    empty : float
        Share of the intervals next to the edge without a pixel.
    unfinished : float
        Share of the step in the outer seventh of the region.
    beyond : float
        Share of the step that was extrapolated to lie outside of the region.
    """

    curves: Floats
    across: Floats
    step: float
    dark: float
    bright: float
    empty: float
    unfinished: float
    beyond: float


def find_edge(plane: Floats) -> Edge:
    """Return the edge in a region, with rows and columns exchanged if it runs along the rows.

    Raises
    ------
    InputError
        If the pixels are not finite, or show no edge.
    """
    plane, line, found = _locate(plane)
    state, low, high, width, sag, left, right, first, last, transposed, *extremes = found.tolist()
    if state == _INFINITE:
        raise InputError("the region holds values that are not finite; replace them or choose another region.")
    if state != _FOUND:
        raise InputError(_NO_EDGE)
    least, those, greatest, others = extremes
    return Edge(
        plane, line, low, high, width, sag, left, right, first, last, bool(transposed), (least, those, greatest, others)
    )


def profile_of(edge: Edge, frequencies: Floats) -> Profile:
    """Return the profile across an edge, over the whole region, and the modulation at frequencies from 0 in equal steps.

    Raises
    ------
    InputError
        If the profile is not that of an edge.
    """
    before, after = math.ceil(-edge.first / STEP) + 1, math.ceil(edge.last / STEP) + 1
    table = ladder(max(before, after))
    curves, across, facts = _measure(
        edge.plane,
        edge.line,
        edge.low,
        1.0 / (edge.high - edge.low),
        edge.width,
        np.array([edge.left, edge.right]),
        before,
        after,
        table.steps,
        table.envelopes,
        table.widths,
        table.offsets,
        table.leans,
        frequencies,
    )
    step, *others = facts.tolist()
    if not step > _LEAST_STEP:
        raise InputError(_NO_EDGE)
    return Profile(curves, across, step, *others)


@inlined
def _borders(plane: Floats) -> tuple[float, float]:
    """Return the sums of the last three less the first three columns, and rows."""
    rows, columns = plane.shape
    across = down = 0.0
    for row in range(rows):
        for column in range(3):
            across += plane[row, columns - 3 + column] - plane[row, column]
    for row in range(3):
        for column in range(columns):
            down += plane[rows - 3 + row, column] - plane[row, column]
    return across, down


@inlined
def _survey(plane: Floats, found: Floats) -> bool:
    """Fill the extremes and how many pixels share them; False if a pixel is not finite."""
    rows, columns = plane.shape
    # Column by column, which need not wait for each other.
    lows, highs, sums = plane[0].copy(), plane[0].copy(), np.zeros(columns)
    for row in range(rows):
        for column in range(columns):
            value = plane[row, column]
            lows[column] = min(lows[column], value)
            highs[column] = max(highs[column], value)
            sums[column] += 0.0 * value
    least, greatest = lows.min(), highs.max()
    those = others = 0
    for row in range(rows):
        for column in range(columns):
            those += plane[row, column] == least
            others += plane[row, column] == greatest
    found[10], found[11], found[12], found[13] = least, those, greatest, others
    return float(sums.sum()) == 0.0


@compiled("(float64[:, ::1],)")
def _locate(plane: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the pixels, with the edge from row to row, its line, and the numbers of an :class:`Edge` after its state."""
    line, found = np.zeros(3), np.zeros(14)
    if not _survey(plane, found):
        found[0] = _INFINITE
        return plane, line, found
    # The sum of all gradients, which is the difference of opposite borders, points along the normal.
    across, down = _borders(plane)
    if abs(down) > abs(across):
        plane = np.ascontiguousarray(plane.T)
        found[9] = 1.0
    rows, columns = plane.shape
    line[0], line[1], low, high, distance = line_through(find_steps(plane))
    if not distance <= 0.05 * rows + 2.0:
        return plane, line, found
    reach = min(0.25 * columns, _FARTHEST)
    gain = 1.0 / (high - low)
    width, sag, sag_error, _ = refine(plane, line, low, gain, reach, 2)
    if abs(sag) > max(_BENT[0] * sag_error, _BENT[1]):
        width, sag, sag_error, _ = refine(plane, line, low, gain, reach, 3)
    if np.isfinite(line).all() and _MARGIN < line[0] < columns - 1 - _MARGIN and width < 0.5 * columns:
        found[0] = _FOUND
    cosine = 1.0 / math.sqrt(1.0 + line[1] * line[1])
    nearest, farthest = np.inf, -np.inf
    for row in range(rows):
        t = row - 0.5 * (rows - 1)
        path = line[0] + t * (line[1] + t * line[2])
        nearest, farthest = min(nearest, path), max(farthest, path)
    found[1], found[2], found[3], found[4] = low, high, width, sag
    found[5], found[6] = nearest * cosine, (columns - 1 - farthest) * cosine
    found[7], found[8] = -farthest * cosine, (columns - 1 - nearest) * cosine
    return plane, line, found


@compiled(
    "(float64[:, ::1], float64[::1], float64, float64, float64, float64[::1], int64, int64, float64[:, ::1], float64[:, ::1],"
    " float64[::1], float64[::1], float64[::1], float64[::1])"
)
def _measure(
    plane: Floats,
    line: Floats,
    low: float,
    gain: float,
    width: float,
    reach: Floats,
    before: int,
    after: int,
    steps: Floats,
    envelopes: Floats,
    widths: Floats,
    offsets: Floats,
    leans: Floats,
    frequencies: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return the arrays of a :class:`Profile`, and its numbers; a step of 0 if there is no profile."""
    moments = collect(plane, line, low, gain, before, after)
    start = steps.shape[0] // 2 - 1 - before
    facts, numbers = np.zeros(8), np.zeros(6)
    suited = families(width, min(before, after) * STEP)
    atoms, amounts, deviation, spline, envelope, band = estimate(moments, width, start, steps, envelopes, suited, facts)
    curves, across = np.empty((2, frequencies.size)), np.empty((3, spline.size - 2))
    if atoms.size < 2:
        return curves, across, numbers
    chosen = atoms[1:]
    wide, beside, lean = widths[chosen], offsets[chosen], leans[chosen]
    shift, size, length = facts[2], facts[3], facts[4]
    first, end = int(facts[6]), int(facts[7])
    # Beyond its range the deviation is 0.
    kept = max(first - 1, 0)
    spectrum = modulation_of(
        frequencies, wide, beside, lean, amounts[1:], shift, deviation[kept : end + 1], before - kept
    )
    base = amounts[0] + deviation[0]
    missing = _complete(spline, moments, facts, base, before, reach, frequencies, spectrum)
    base -= missing[0]
    rows = np.ones((atoms.size, spline.size))
    for i in range(chosen.size):
        rows[i + 1] = steps[start : start + spline.size, chosen[i]]
    few = np.ascontiguousarray(spectrum[:, ::_THINNED])
    errors = standard_errors(
        frequencies[::_THINNED].copy(),
        few,
        wide,
        beside,
        lean,
        rows,
        band,
        envelope[first:end],
        size,
        length,
        first,
        before,
    )
    step = spectrum[0, 0]
    curves[0] = spectrum[2]
    for i in range(frequencies.size):
        k, rest = i // _THINNED, i % _THINNED
        curves[1, i] = errors[k]
        if rest:
            curves[1, i] += (errors[k + 1] - errors[k]) * (rest / _THINNED)
    for k in range(spline.size - 2):
        across[0, k] = (k - before) * STEP
        across[1, k] = ((spline[k] + 4.0 * spline[k + 1] + spline[k + 2]) / 6.0 - base) / step
        across[2, k] = (spline[k + 2] - spline[k]) / (2.0 * STEP * step)
    empty = 0
    nearest = max(before - 8, 0)
    for k in range(nearest, before + 8):
        empty += moments[k, 0] == 0.0
    numbers[0], numbers[1], numbers[2], numbers[3] = step, facts[0], facts[1], empty / (before + 8 - nearest)
    numbers[4] = abs(_at(across[1], before - _OUTER * reach[0] / STEP) - _at(across[1], before - reach[0] / STEP))
    numbers[4] += abs(_at(across[1], before + reach[1] / STEP) - _at(across[1], before + _OUTER * reach[1] / STEP))
    numbers[5] = missing[2] / step
    return curves, across, numbers


@inlined
def _complete(
    spline: Floats, moments: Floats, facts: Floats, base: float, before: int, reach: Floats, frequencies: Floats,
    spectrum: Floats,
) -> Floats:  # fmt: skip
    """Add the spectra of tails beyond the region; return what was added on the left and right, and all that lies there."""
    n = moments.shape[0]
    missing, top = np.zeros(3), base + spectrum[0, 0]
    for side in range(2):
        knots = reach[side] / STEP
        end = before + int(knots) - 1 if side else before - int(knots)
        rest, length = tail_at(spline, moments, facts[side], end, 1 - 2 * side, knots)
        if length > 0.0:
            # The mixture, too, goes on beyond the region.
            at = n if side else 0
            value = (spline[at] + 4.0 * spline[at + 1] + spline[at + 2]) / 6.0
            missing[side] = rest - (top - value) if side else -rest - (value - base)
            missing[2] += abs(rest)
            place = float(at - before)
            add_tail(frequencies, spectrum, missing[side], place, length if side else -length)
    return missing


@inlined
def _at(values: Floats, place: float) -> float:
    """Return a value between two samples, or that at an end."""
    place = min(max(place, 0.0), values.size - 1.0)
    k = min(int(place), values.size - 2)
    return float(values[k] + (place - k) * (values[k + 1] - values[k]))
