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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..compilation import inlined

__all__ = ["LANES", "MAPS", "SUMS", "Buffers", "buffers", "constants", "deviation_sum", "region_sums"]

MAPS = 5  # the coefficients, and their products with the neighbours left, above, above left and above right
SUMS = 5  # of each: squares below zero, squares above zero, magnitudes, count below zero, count above zero
_HELD = 4  # as accumulated: both counts are in one number
LANES = 48
REACH = 3
TILE = 96  # columns that are filtered at once
STRIP = 8  # rows
# Rows of the buffers end on a multiple of eight, so that no loop over columns has a remainder.
STRIDE = TILE + 8
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


def constants(dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Return the constants of the kernels in the precision that they shall work in; see :class:`Buffers`."""
    single = np.dtype(dtype) == np.float32
    half = np.exp(-0.5 * (np.arange(REACH + 1) * 6 / 7) ** 2)
    window = half / (half[0] + 2 * half[1:].sum())
    # Grey values up to 255 carry rounding errors of 1e-13 in double and of 1e-4 in single precision.
    limit, unit = (1e-3, 2.0**12) if single else (1e-9, 2.0**26)
    return np.array([*window, limit, unit, 1, 0], dtype)


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


@inlined
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
    rows[0] = rows[1]
    for start in range(0, height, STRIP):
        count = min(STRIP, height - start)
        _coefficients(image, size, mask, row + start, count, column, width, replicate, buffers)
        for here in range(1, count + 1):
            for at in range(0, width, LANES):
                _add_maps(rows[here, at:], rows[here - 1, at:], min(LANES, width - at), buffers.use, lanes)
        rows[0] = rows[count]
    _total(lanes, float(buffers.use[_UNIT]), sums)


@inlined
def _total(lanes: NDArray[Any], unit: float, sums: NDArray[np.float64]) -> None:
    """Add up the lanes, and take the counts apart."""
    sums[:] = 0
    for index in range(MAPS):
        for lane in range(LANES):
            at = index * _HELD * LANES + lane
            sums[index, 0] += lanes[at]
            sums[index, 1] += lanes[at + LANES]
            sums[index, 2] += lanes[at + 2 * LANES]
            positive = lanes[at + 3 * LANES] // unit
            sums[index, 3] += lanes[at + 3 * LANES] - positive * unit
            sums[index, 4] += positive


@inlined
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
            for here in range(rows):
                _filter_down(here, columns, buffers)
                for index in range(columns):
                    mean = _across(buffers.mean[here], index, buffers.use)
                    square = _across(buffers.square[here], index, buffers.use)
                    total += math.sqrt(abs(square - mean * mean))
    return total


@inlined
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
            _filter_across(here, width, buffers, out[here + 1, start + 1 :])
    for here in range(1, rows + 1):
        if mask.size:
            for at in range(columns):
                out[here, at + 1] = out[here, at + 1] if mask[row + here - 1, column + at] else buffers.use[_ZERO]
        out[here, 0] = out[here, columns]
        out[here, columns + 1] = out[here, 1]


@inlined
def _cut(
    image: NDArray[Any], size: tuple[int, int], row: int, rows: int, column: int, columns: int, replicate: bool,
    patch: NDArray[Any],
) -> None:  # fmt: skip
    """Copy pixels and the REACH around them, with what stands for those outside of the image."""
    height, width = size
    first, last = max(column - REACH, 0), min(column + columns + REACH, width)
    shift = first - (column - REACH)
    for index in range(rows + 2 * REACH):
        source = min(max(row - REACH + index, 0), height - 1)
        inside = replicate or source == row - REACH + index
        target, pixels = patch[index], image[source, first:last]
        if inside:
            for at in range(last - first):
                target[shift + at] = pixels[at]
        else:
            target[:] = 0
        keep = 1 if replicate else 0
        for at in range(shift):
            target[at] = target[shift] * keep
        for at in range(shift + last - first, columns + 2 * REACH):
            target[at] = target[shift + last - first - 1] * keep


@inlined
def _filter_down(here: int, columns: int, buffers: Buffers) -> None:
    """Filter one row of the strip, and its squares, along the columns of the patch."""
    patch, mean, square = buffers.patch, buffers.mean[here], buffers.square[here]
    w0, w1, w2, w3 = buffers.use[0], buffers.use[1], buffers.use[2], buffers.use[3]
    r0, r1, r2, r3 = patch[here + 3], patch[here + 2], patch[here + 1], patch[here]
    r4, r5, r6 = patch[here + 4], patch[here + 5], patch[here + 6]
    for at in range((columns + 2 * REACH + 7) // 8 * 8):
        a, b, c, d, e, f, g = r0[at], r1[at], r4[at], r2[at], r5[at], r3[at], r6[at]
        mean[at] = w0 * a + w1 * (b + c) + w2 * (d + e) + w3 * (f + g)
        square[at] = w0 * (a * a) + w1 * (b * b + c * c) + w2 * (d * d + e * e) + w3 * (f * f + g * g)


@inlined
def _across(line: NDArray[Any], at: int, use: NDArray[Any]) -> Any:
    """Return the window's mean along a row."""
    near, far = line[at + 2] + line[at + 4], line[at + 1] + line[at + 5]
    return use[0] * line[at + 3] + use[1] * near + use[2] * far + use[3] * (line[at] + line[at + 6])


@inlined
def _filter_across(here: int, columns: int, buffers: Buffers, out: NDArray[Any]) -> None:
    """Write the coefficients of one row of the strip, and something beyond them up to a multiple of eight."""
    pixels, mean, square, use = buffers.patch[here + 3], buffers.mean[here], buffers.square[here], buffers.use
    limit, one, zero = use[_LIMIT], use[_ONE], use[_ZERO]
    for at in range((columns + 7) // 8 * 8):
        mu = _across(mean, at, use)
        numerator = pixels[at + 3] - mu
        value = numerator / (math.sqrt(abs(_across(square, at, use) - mu * mu)) + one)
        out[at] = value if abs(numerator) >= limit else zero


@inlined
def _add_maps(row: NDArray[Any], above: NDArray[Any], columns: int, use: NDArray[Any], lanes: NDArray[Any]) -> None:
    """Add coefficients, and their products with neighbours, to the sums."""
    for lane in range(columns):
        value = row[lane + 1]
        _add(value, lane, use, lanes)
        _add(value * row[lane], lane + _HELD * LANES, use, lanes)
        _add(value * above[lane + 1], lane + 2 * _HELD * LANES, use, lanes)
        _add(value * above[lane], lane + 3 * _HELD * LANES, use, lanes)
        _add(value * above[lane + 2], lane + 4 * _HELD * LANES, use, lanes)


@inlined
def _add(value: Any, lane: int, use: NDArray[Any], lanes: NDArray[Any]) -> None:
    """Add one value to its lane of the SUMS."""
    one, zero = use[_ONE], use[_ZERO]
    negative, positive = min(value, zero), max(value, zero)
    lanes[lane] += negative * negative
    lanes[lane + LANES] += positive * positive
    lanes[lane + 2 * LANES] += positive - negative
    lanes[lane + 3 * LANES] += one if value < zero else (use[_UNIT] if value > zero else zero)
