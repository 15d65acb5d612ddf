"""PIQE: how much of what draws the eye is damaged, block by block, without a reference or a model."""

from math import exp, sqrt
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import borrowing, compiled
from ..errors import UsageError
from .frames import Definition, Outcome, Planes, measure
from .intensity import Window
from .score import Scores

__all__ = ["Convention", "piqe"]

Convention = Literal["canonical", "published"]

_BLOCK = 16
_ACTIVE = 0.1  # least variance of a block that draws the eye
_FLAT = 0.1**2  # variance under which a piece of a block's border is damaged
_PIECE = 6
_RADIUS = 3
_SIGMA = 7 / 6
_TAPS = [exp(-(t**2) / (2 * _SIGMA**2)) for t in range(_RADIUS + 1)]
_W0, _W1, _W2, _W3 = (tap / (_TAPS[0] + 2 * sum(_TAPS[1:])) for tap in _TAPS)
# Columns are worked on in tiles that stay in the first-level cache. The distance between the rows of a tile is a
# constant: only then does the compiler see that rows do not overlap, and work on several pixels at once.
_TILE = 8 * _BLOCK
_STRIDE = _TILE + 8


def piqe(
    frames: NDArray[Any],
    *,
    window: Window = "auto",
    mask: NDArray[Any] | None = None,
    convention: Convention = "canonical",
    maps: bool = False,
    threads: int = 1,
) -> Scores:
    """Return the perception-based image quality score of each frame: 0 is best, 100 is worst.

    The image is cut into blocks of 16 x 16 pixels. Those with enough contrast are active; an active block is distorted
    if a piece of its border is flat, and noisy if its middle varies as its surround does. The score is the mean
    distortion of the active blocks. Where few blocks are active, as in a bone scan, it tends to 100 whatever the image
    is like: look at ``activity_fraction`` beside it. Without any active block it is 100.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    window : str or tuple of float
        How pixels become grey values; see :func:`~photopeak.kernels.iqa.intensity.window_of`.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        True (or not 0) where pixels count: the blocks that lie wholly inside, and the maximum there.
    convention : str
        Publications differ in two points that come before the first step:

        * ``canonical``: grey values are scaled until their maximum is 255, and the image is mirrored at its end until
          16 divides its size; so do the ports to Python;
        * ``published``: grey values are taken as they are, and the last row and column are repeated; so does
          MATLAB.

        Both round grey values to integers.
    maps : bool
        Whether to return where blocks are active, distorted and noisy.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    Scores
        Its ``details`` hold ``activity_fraction`` (part of the blocks that are active, for each frame) and, with
        `maps`, ``activity_map``, ``distortion_map`` and ``noise_map``: arrays of bool in the shape of the frame.
        A frame under 16 pixels in one direction has no score, for the reason ``too-small``.

    Raises
    ------
    InputError
        If the arrays are not images, or the mask has another shape.
    UsageError
        If an option makes no sense.

    References
    ----------
    * N. Venkatanath, D. Praneeth, M. Chandrasekhar, S. S. Channappayya, S. S. Medasani: Blind image quality evaluation
      using perception based features, National Conference on Communications, 2015. As in MATLAB, the
      middle of a block is columns 8 and 9, and its surround is all but columns 8 and 10.

    Examples
    --------
    >>> stripes = np.add.outer(np.arange(64), np.arange(64)) % 7 * 40
    >>> scores = piqe(stripes.astype(np.uint8))
    >>> round(float(scores), 4), scores.details["activity_fraction"]
    (43.5323, [1.0])
    """
    if convention not in ("canonical", "published"):
        raise UsageError(f"there is no convention {convention!r}; use canonical or published.")

    def kernel(run: Planes) -> list[Outcome]:
        return _outcomes(run, convention == "canonical", maps)

    definition = Definition("piqe", "", convention)
    return measure(frames, kernel, definition, window=window, mask=mask, threads=threads)


def _outcomes(run: Planes, canonical: bool, maps: bool) -> list[Outcome]:
    """Return the scores of some planes."""
    count, rows, columns = run.grey.shape
    if min(rows, columns) < _BLOCK:
        return [Outcome(reason="too-small")] * count
    counted = _counted(run.masks, run.grey.shape)
    peaks = _peaks(run) if canonical else np.full(count, 255.0)
    found, distortions = np.zeros((count, 3, *counted.shape[1:]), np.bool_), np.empty(count)
    _judge(run.grey, peaks, canonical, counted, found, distortions)
    active, blocks = found[:, 0].sum(axis=(1, 2)).tolist(), counted.sum(axis=(1, 2)).tolist()
    return [
        Outcome(
            100 * (distortion + 1) / (active[index] + 1),
            details={"activity_fraction": active[index] / blocks[index]}
            | (_maps(found[index], rows, columns) if maps else {}),
        )
        if blocks[index]
        else Outcome(reason="mask-too-small")
        for index, distortion in enumerate(distortions.tolist())
    ]


def _maps(found: NDArray[np.bool_], rows: int, columns: int) -> dict[str, Any]:
    """Return for each pixel what its block is."""
    names = ("activity_map", "distortion_map", "noise_map")
    pixels = found.repeat(_BLOCK, axis=1).repeat(_BLOCK, axis=2)[:, :rows, :columns]
    return {name: np.ascontiguousarray(pixel) for name, pixel in zip(names, pixels, strict=True)}


def _peaks(run: Planes) -> NDArray[np.float64]:
    """Return the greatest grey value that counts in each plane."""
    if run.masks is None:
        return np.asarray(run.grey.max(axis=(1, 2)))
    return np.asarray(run.grey.max(axis=(1, 2), where=run.masks, initial=0.0))


def _counted(masks: NDArray[np.bool_] | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which blocks lie wholly inside of the masks."""
    count, *sides = shape
    rows, columns = (-(-side // _BLOCK) for side in sides)
    if masks is None:
        return np.ones((count, rows, columns), np.bool_)
    whole = np.ones((count, rows * _BLOCK, columns * _BLOCK), np.bool_)
    whole[:, : sides[0], : sides[1]] = masks
    return np.ascontiguousarray(whole.reshape(count, rows, _BLOCK, columns, _BLOCK).all(axis=(2, 4)))


@compiled("(float64[:, :, ::1], float64[::1], bool, bool[:, :, ::1], bool[:, :, :, ::1], float64[::1])")
def _judge(
    planes: NDArray[np.float64], peaks: NDArray[np.float64], mirrored: bool, counted: NDArray[np.bool_],
    found: NDArray[np.bool_], distortions: NDArray[np.float64],
) -> None:  # fmt: skip
    """Fill the summed distortions, and `found` with which blocks are active, distorted and noisy."""
    room = _Room(
        np.empty((_BLOCK + 2 * _RADIUS) * _STRIDE),
        np.empty(2 * _STRIDE),
        np.empty(_BLOCK * _STRIDE),
        np.empty(2 * _STRIDE),
    )
    for index in range(planes.shape[0]):
        distortions[index] = _sum_up(planes[index], peaks[index], mirrored, counted[index], found[index], room)


class _Room(NamedTuple):
    """What the kernel works in: a tile of pixels, a row of it filtered, its contrast, and sums of that down columns."""

    tile: NDArray[np.float64]
    filtered: NDArray[np.float64]
    contrast: NDArray[np.float64]
    sums: NDArray[np.float64]


@borrowing
def _sum_up(
    grey: NDArray[np.float64], peak: float, mirrored: bool, counted: NDArray[np.bool_], found: NDArray[np.bool_],
    room: _Room,
) -> float:  # fmt: skip
    """Judge tile after tile."""
    tile, filtered, contrast, sums = room
    total = 0.0
    for i in range(counted.shape[0]):
        for first in range(0, counted.shape[1], _TILE // _BLOCK):
            last = min(first + _TILE // _BLOCK, counted.shape[1])
            for k in range(_BLOCK + 2 * _RADIUS):
                row = _source(i * _BLOCK + k - _RADIUS, grey.shape[0], mirrored)
                _quantise(
                    grey[row], peak, mirrored, first * _BLOCK - _RADIUS, last * _BLOCK + _RADIUS, tile[k * _STRIDE :]
                )
            sums[:] = 0.0
            for k in range(_BLOCK):
                _normalise(tile[k * _STRIDE :], (last - first) * _BLOCK, filtered, contrast[k * _STRIDE :], sums)
            for block in range(first, last):
                if counted[i, block]:
                    total += _block(contrast, sums, (block - first) * _BLOCK, found[:, i, block])
    return total


@borrowing
def _quantise(
    source: NDArray[np.float64], peak: float, mirrored: bool, start: int, stop: int, target: NDArray[np.float64]
) -> None:
    """Fill a row of the tile with integers 0 to 255, where need be from beyond the end of the image."""
    inner, end = max(start, 0), min(stop, source.size)
    pixels, inside = source[inner:], target[inner - start :]
    for j in range(end - inner):
        inside[j] = np.floor(255.0 * (pixels[j] / peak) + 0.5)
    for j in range(start, inner):
        target[j - start] = inside[0]
    for j in range(end, stop):
        target[j - start] = np.floor(255.0 * (source[_source(j, source.size, mirrored)] / peak) + 0.5)


@borrowing
def _source(index: int, size: int, mirrored: bool) -> int:
    """Return which row (or column) of the image stands for one of the completed image, or of the border around it."""
    completed = -(-size // _BLOCK) * _BLOCK
    at = min(max(index, 0), completed - 1)
    if at < size:
        return at
    return 2 * size - 1 - at if mirrored else size - 1


@borrowing
def _normalise(
    rows: NDArray[np.float64],
    width: int,
    filtered: NDArray[np.float64],
    contrast: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Fill the first row of `contrast` with what a pixel is above its surround, and add it and its square to `sums`."""
    for j in range(width + 2 * _RADIUS):
        a, b, c = rows[j], rows[j + _STRIDE], rows[j + 2 * _STRIDE]
        d = rows[j + 3 * _STRIDE]
        e, f, g = rows[j + 4 * _STRIDE], rows[j + 5 * _STRIDE], rows[j + 6 * _STRIDE]
        filtered[j] = _W0 * d + _W1 * (c + e) + _W2 * (b + f) + _W3 * (a + g)
        filtered[_STRIDE + j] = _W0 * (d * d) + _W1 * (c * c + e * e) + _W2 * (b * b + f * f) + _W3 * (a * a + g * g)
    for j in range(width):
        mean = (
            _W0 * filtered[j + 3]
            + _W1 * (filtered[j + 2] + filtered[j + 4])
            + _W2 * (filtered[j + 1] + filtered[j + 5])
            + _W3 * (filtered[j] + filtered[j + 6])
        )
        at = _STRIDE + j
        square = (
            _W0 * filtered[at + 3]
            + _W1 * (filtered[at + 2] + filtered[at + 4])
            + _W2 * (filtered[at + 1] + filtered[at + 5])
            + _W3 * (filtered[at] + filtered[at + 6])
        )
        value = (rows[_RADIUS * _STRIDE + j + _RADIUS] - mean) / (sqrt(abs(square - mean * mean)) + 1.0)
        contrast[j] = value
        sums[j] += value
        sums[_STRIDE + j] += value * value


@borrowing
def _block(contrast: NDArray[np.float64], sums: NDArray[np.float64], start: int, found: NDArray[np.bool_]) -> float:
    """Return the distortion of the block that starts at column `start`, and say in `found` what it consists of."""
    plain = squares = 0.0
    for j in range(start, start + _BLOCK):
        plain += sums[j]
        squares += sums[_STRIDE + j]
    variance = _variance(plain, squares, _BLOCK * _BLOCK)
    if not variance > _ACTIVE:
        return 0.0
    found[0] = True
    found[1] = (
        _flat(contrast, start, 1)
        or _flat(contrast, start + (_BLOCK - 1) * _STRIDE, 1)
        or _flat(contrast, start, _STRIDE)
        or _flat(contrast, start + _BLOCK - 1, _STRIDE)
    )
    c, d, e = start + 7, start + 8, start + 9
    middle = _variance(sums[c] + sums[d], sums[_STRIDE + c] + sums[_STRIDE + d], 2 * _BLOCK)
    around = _variance(
        plain - sums[c] - sums[e], squares - sums[_STRIDE + c] - sums[_STRIDE + e], (_BLOCK - 2) * _BLOCK
    )
    deviation = sqrt(variance)
    ratio = sqrt(middle / around) if middle > 0 else 0.0
    found[2] = deviation > 2 * abs(deviation - ratio) / max(deviation, ratio)
    distortion: float = found[1] * (1.0 - variance) + found[2] * variance
    return distortion


@borrowing
def _flat(contrast: NDArray[np.float64], start: int, step: int) -> bool:
    """Tell whether any six neighbours along one side of a block hardly vary."""
    for first in range(_BLOCK - _PIECE + 1):
        plain = squares = 0.0
        for k in range(_PIECE):
            value = contrast[start + (first + k) * step]
            plain += value
            squares += value * value
        if _variance(plain, squares, _PIECE) < _FLAT:
            return True
    return False


@borrowing
def _variance(plain: float, squares: float, n: int) -> float:
    """Return the unbiased variance from a sum and a sum of squares."""
    return max(squares - plain * plain / n, 0.0) / (n - 1)
