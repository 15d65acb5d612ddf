"""Mean-subtracted contrast-normalised (MSCN) coefficients, and the sums that generalised Gaussians are fitted to.

The coefficients are ``(x - mu) / (sigma + 1)`` with the mean and deviation under a 7 x 7 Gaussian window. In a window of
constant value the numerator is nothing but rounding noise, whose sign would decide the score; it therefore counts as
zero where it is below a limit (the rule named ``canonical``).

A strip of a few rows of a tile at a time goes through buffers that stay in the first-level cache; nothing of the size of
the image is written. The loops are such that a compiler may use vector instructions without reordering a sum: each lane
of the accumulators belongs to fixed columns, so that the same image gives the same bits everywhere.

References
----------
* A. Mittal, A. K. Moorthy, A. C. Bovik, No-reference image quality assessment in the spatial domain, IEEE Trans. Image
  Process. 21 (2012) 4695, section III.
"""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import borrowing, inlined

__all__ = ["LANES", "MAPS", "PRECISIONS", "SUMS", "Buffers", "buffers", "constants", "deviation_sum", "region_sums"]

MAPS = 5  # the coefficients, and their products with the neighbours left, above, above left and above right
SUMS = 5  # of each: squares below zero, squares above zero, magnitudes, count below zero, count above zero
_HELD = 4  # as accumulated: both counts are in one number
LANES = 96
REACH = 3
TILE = 96  # columns that are filtered at once
STRIP = 8  # rows
_AT_ONCE = 4  # rows of a strip that are added up before the accumulators
# Rows of the buffers end on whole vectors.
STRIDE = TILE + 16
_NOISE = 1e-9
# Types, and the units that positive counts are held in: above any count of one lane, exact times that count.
PRECISIONS = {"double": (np.float64, 2.0**26), "single": (np.float32, 2.0**12)}
_LIMIT, _UNIT, _ONE, _ZERO = 4, 5, 6, 7


class Buffers(NamedTuple):
    """What the kernels work in, one set per thread, in the precision of the work.

    Parameters
    ----------
    use : ndarray, shape (8,)
        Half of the window from its middle; the limit under which a numerator is zero; the unit of positive counts
        (negative ones are counted in 1, so that one number holds both exactly); 1 and 0.
    patch : ndarray, shape (STRIP + 6, STRIDE)
        Pixels of the strip with what surrounds them.
    mean, square : ndarray, shape (STRIP, STRIDE)
        These and their squares, filtered down the columns.
    rows : ndarray, shape (STRIP + 1, columns + 16)
        The coefficients of the row above and of the strip; the first and the last stand for each other's neighbours.
    lanes : ndarray, shape (MAPS * _HELD * LANES,)
        The accumulators.
    """

    use: NDArray[Any]
    patch: NDArray[Any]
    mean: NDArray[Any]
    square: NDArray[Any]
    rows: NDArray[Any]
    lanes: NDArray[Any]


@cache
def constants(precision: str = "double") -> NDArray[Any]:
    """Return the constants of the kernels, in the precision that they shall work in; see :class:`Buffers`."""
    half = np.exp(-0.5 * (np.arange(REACH + 1) * 6 / 7) ** 2)
    window = half / (half[0] + 2 * half[1:].sum())
    kind, unit = PRECISIONS[precision]
    return np.array([*window, _NOISE, unit, 1, 0], kind)


@inlined
def buffers(use: NDArray[Any], columns: int) -> Buffers:
    """Return buffers for regions of up to so many columns."""
    tall = STRIP + 2 * REACH
    return Buffers(
        use,
        np.zeros((tall, STRIDE), use.dtype),
        np.zeros((STRIP, STRIDE), use.dtype),
        np.zeros((STRIP, STRIDE), use.dtype),
        np.zeros((STRIP + 1, columns + 16), use.dtype),
        np.zeros(MAPS * _HELD * LANES, use.dtype),
    )


@borrowing
def region_sums(
    image: NDArray[Any], size: tuple[int, int], mask: NDArray[np.bool_], region: tuple[int, int, int, int],
    replicate: bool, buffers: Buffers, sums: NDArray[np.float64],
) -> None:  # fmt: skip
    """Write the SUMS of each of the MAPS over a region, whose edges are neighbours of the edges opposite.

    `region` is its first row and column and its height and width. The image ends after `size` rows and columns; beyond
    are the values of its border (`replicate`) or 0. Where `mask` is False the coefficients count as 0; an empty mask is
    none.
    """
    row, column, height, width = region
    rows, lanes = buffers.rows, buffers.lanes
    lanes[:] = 0
    _coefficients(image, size, mask, row + height - 1, 1, column, width, replicate, buffers)
    _copy(rows, 1, width + 2)
    for start in range(0, height, STRIP):
        count = min(STRIP, height - start)
        _coefficients(image, size, mask, row + start, count, column, width, replicate, buffers)
        rows[count + 1 :] = 0
        for here in range(1, count + 1, _AT_ONCE):
            for at in range(0, width, LANES):
                r0, r1, r2 = rows[here - 1, at:], rows[here, at:], rows[here + 1, at:]
                r3, r4 = rows[here + 2, at:], rows[here + 3, at:]
                _add_maps(r0, r1, r2, r3, r4, min(LANES, width - at), buffers.use, lanes)
        _copy(rows, count, width + 2)
    _total(lanes, min(LANES, width), float(buffers.use[_UNIT]), sums)


@borrowing
def _copy(rows: NDArray[Any], row: int, columns: int) -> None:
    """Make a row the one above the next strip."""
    for at in range(columns):
        rows[0, at] = rows[row, at]


@borrowing
def _total(lanes: NDArray[Any], used: int, unit: float, sums: NDArray[np.float64]) -> None:
    """Add up the first lanes, and take the counts apart."""
    share = 1 / unit
    for index in range(MAPS):
        here = index * _HELD * LANES
        below, above, size = 0.0, 0.0, 0.0
        for lane in range(here, here + used):
            below += lanes[lane]
            above += lanes[lane + LANES]
            size += lanes[lane + 2 * LANES]
        sums[index, 0], sums[index, 1], sums[index, 2] = below, above, size
        # A loop of its own: whole numbers may be added several at once.
        counts, positive = 0, 0
        for lane in range(here + 3 * LANES, here + 3 * LANES + used):
            counts += int(lanes[lane])
            positive += int(lanes[lane] * share)
        sums[index, 3], sums[index, 4] = counts - positive * int(unit), positive


@borrowing
def deviation_sum(
    image: NDArray[Any], size: tuple[int, int], region: tuple[int, int, int, int], buffers: Buffers
) -> float:
    """Return the sum of the deviations under the window over a region; borders are replicated."""
    row, column, height, width = region
    total = 0.0
    for start in range(0, height, STRIP):
        for at in range(0, width, TILE):
            rows, columns = min(STRIP, height - start), min(TILE, width - at)
            _cut(image, size, row + start, rows, column + at, columns, True, buffers.patch)
            line = buffers.rows[0]
            for here in range(rows):
                _filter_down(here, columns, buffers)
                _filter_across(here, columns, buffers, line, True)
                for index in range(columns):
                    total += line[index]
    return total


@borrowing
def _coefficients(
    image: NDArray[Any], size: tuple[int, int], mask: NDArray[np.bool_], row: int, rows: int, column: int,
    columns: int, replicate: bool, buffers: Buffers,
) -> None:  # fmt: skip
    """Fill ``buffers.rows[1:]`` with the coefficients of a strip, from the second element on."""
    out = buffers.rows
    for start in range(0, columns, TILE):
        width = min(TILE, columns - start)
        _cut(image, size, row, rows, column + start, width, replicate, buffers.patch)
        # Stage after stage for all rows: what is read again at other offsets must have left the store queue.
        for here in range(rows):
            _filter_down(here, width, buffers)
        for here in range(rows):
            _filter_across(here, width, buffers, out[here + 1, start + 1 :], False)
    for here in range(1, rows + 1):
        if mask.size:
            for at in range(columns):
                out[here, at + 1] = out[here, at + 1] if mask[row + here - 1, column + at] else buffers.use[_ZERO]
        out[here, 0] = out[here, columns]
        out[here, columns + 1] = out[here, 1]


@borrowing
def _cut(
    image: NDArray[Any], size: tuple[int, int], row: int, rows: int, column: int, columns: int, replicate: bool,
    patch: NDArray[Any],
) -> None:  # fmt: skip
    """Copy pixels and the REACH around them, with what stands for those outside of the image."""
    height, width = size
    first, last = max(column - REACH, 0), min(column + columns + REACH, width)
    shift = first - (column - REACH)
    end = shift + last - first
    for index in range(rows + 2 * REACH):
        source = min(max(row - REACH + index, 0), height - 1)
        target, pixels = patch[index, shift:], image[source, first:]
        if replicate or source == row - REACH + index:
            for at in range(last - first):
                target[at] = pixels[at]
        else:
            target[:] = 0
    if end - shift < columns + 2 * REACH:
        for index in range(rows + 2 * REACH):
            target = patch[index]
            left, right = target[shift], target[end - 1]
            target[:shift] = left if replicate else target.dtype.type(0)
            target[end:] = right if replicate else target.dtype.type(0)


@borrowing
def _filter_down(here: int, columns: int, buffers: Buffers) -> None:
    """Filter one row of the strip, and its squares, along the columns of the patch, less the values of the row itself."""
    patch, mean, square = buffers.patch, buffers.mean[here], buffers.square[here]
    w1, w2, w3 = buffers.use[1], buffers.use[2], buffers.use[3]
    r0, r1, r2, r3 = patch[here + 3], patch[here + 2], patch[here + 1], patch[here]
    r4, r5, r6 = patch[here + 4], patch[here + 5], patch[here + 6]
    for at in range(_whole(columns + 2 * REACH, buffers.use)):
        x = r0[at]
        a, b, c, d, e, f = r1[at] - x, r4[at] - x, r2[at] - x, r5[at] - x, r3[at] - x, r6[at] - x
        mean[at] = w1 * (a + b) + w2 * (c + d) + w3 * (e + f)
        square[at] = w1 * (a * a + b * b) + w2 * (c * c + d * d) + w3 * (e * e + f * f)


@borrowing
def _filter_across(here: int, columns: int, buffers: Buffers, out: NDArray[Any], deviations: bool) -> None:
    """Write the coefficients of one row of the strip, or the deviations, and something beyond to the end of a vector."""
    pixels, mean, square, use = buffers.patch[here + 3], buffers.mean[here], buffers.square[here], buffers.use
    w0, w1, w2, w3 = use[0], use[1], use[2], use[3]
    limit, one, zero = use[_LIMIT], use[_ONE], use[_ZERO]
    for at in range(_whole(columns, use)):
        x = pixels[at + 3]
        m1, s1 = _pair(
            pixels[at + 2] - x, pixels[at + 4] - x, mean[at + 2], mean[at + 4], square[at + 2], square[at + 4]
        )
        m2, s2 = _pair(
            pixels[at + 1] - x, pixels[at + 5] - x, mean[at + 1], mean[at + 5], square[at + 1], square[at + 5]
        )
        m3, s3 = _pair(pixels[at] - x, pixels[at + 6] - x, mean[at], mean[at + 6], square[at], square[at + 6])
        shift = w0 * mean[at + 3] + w1 * m1 + w2 * m2 + w3 * m3
        variance = w0 * square[at + 3] + w1 * s1 + w2 * s2 + w3 * s3 - shift * shift
        sigma = math.sqrt(abs(variance))
        value = -shift / (sigma + one) if abs(shift) >= limit else zero
        out[at] = sigma if deviations else value


@borrowing
def _pair(left: Any, right: Any, m0: Any, m1: Any, s0: Any, s1: Any) -> tuple[Any, Any]:
    """Return the sums of the means and of the mean squares of two columns, less one value.

    `left` and `right` are what was taken from the columns before, less that value.
    """
    first, second = m0 + left, m1 + right
    return first + second, (s0 + left * (m0 + first)) + (s1 + right * (m1 + second))


@borrowing
def _whole(columns: int, use: NDArray[Any]) -> int:
    """Return a number of columns rounded up, so that loops over vectors of 64 bytes leave no remainder."""
    vector = 64 // use.itemsize
    return (columns + vector - 1) // vector * vector


@borrowing
def _add_maps(
    r0: NDArray[Any], r1: NDArray[Any], r2: NDArray[Any], r3: NDArray[Any], r4: NDArray[Any], columns: int,
    use: NDArray[Any], lanes: NDArray[Any],
) -> None:  # fmt: skip
    """Add the coefficients of all rows but the first, and their products with neighbours, to the sums."""
    signs, step = (use[_ZERO], use[_ONE], use[_UNIT]), _HELD * LANES
    for lane in range(columns):
        a, b, c, d = r1[lane + 1], r2[lane + 1], r3[lane + 1], r4[lane + 1]
        _add(a, b, c, d, lane, signs, lanes)
        _add(a * r1[lane], b * r2[lane], c * r3[lane], d * r4[lane], lane + step, signs, lanes)
        _add(a * r0[lane + 1], b * a, c * b, d * c, lane + 2 * step, signs, lanes)
        _add(a * r0[lane], b * r1[lane], c * r2[lane], d * r3[lane], lane + 3 * step, signs, lanes)
        _add(a * r0[lane + 2], b * r1[lane + 2], c * r2[lane + 2], d * r3[lane + 2], lane + 4 * step, signs, lanes)


@borrowing
def _add(a: Any, b: Any, c: Any, d: Any, lane: int, signs: tuple[Any, Any, Any], lanes: NDArray[Any]) -> None:
    """Add four values to their lane of the SUMS."""
    zero = signs[0]
    below, above, size, count = zero, zero, zero, zero
    for value in (a, b, c, d):
        negative, positive = min(value, zero), max(value, zero)
        below += negative * negative
        above += positive * positive
        size += positive - negative
        count += signs[1] if value < zero else (signs[2] if value > zero else zero)
    lanes[lane] += below
    lanes[lane + LANES] += above
    lanes[lane + 2 * LANES] += size
    lanes[lane + 3 * LANES] += count
