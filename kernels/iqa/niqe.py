"""NIQE: how far the statistics of an image's blocks are from those of good images.

References
----------
* A. Mittal, R. Soundararajan, A. C. Bovik, Making a "completely blind" image quality analyzer, IEEE Signal Process.
  Lett. 20 (2013) 209.
"""

import math
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..compilation import borrowing, compiled, inlined
from ..errors import UsageError
from .aggd import CENTRE, SHAPE, SPREAD, aggd, tables
from .frames import Definition, Outcome, Planes, half_size, measure
from .intensity import Window
from .models import FEATURES, NiqeModel, resolve
from .mscn import MAPS, PRECISIONS, SUMS, Buffers, buffers, constants, region_sums
from .resize import halved
from .score import Scores

__all__ = ["block_features", "niqe"]

_HALF = FEATURES // 2  # of the features belong to each scale
_FEATURES = tuple(
    f"({kind}[:, :, ::1], boolean[:, :, ::1], int64, {kind}[::1], float64[:, ::1], float64[:, :, :, ::1], {kind}[::1])"
    for kind in ("float64", "float32")
)


def niqe(
    frames: NDArray[Any],
    *,
    model: str | PathLike[str] | NiqeModel = "live",
    window: Window = "auto",
    mask: NDArray[Any] | None = None,
    precision: Literal["double", "single"] = "double",
    threads: int = 1,
) -> Scores:
    """Return the Natural Image Quality Evaluator of an image or of each frame of a stack; less is better.

    The image is cut into blocks from its first pixel on; rows and columns that fill no block are left out, as published.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    model : str, path or NiqeModel
        ``live`` for the published parameters (natural photographs), or one's own; see
        :func:`~photopeak.kernels.iqa.fitting.fit_niqe`.
    window : str or tuple of float
        How pixel values become grey values; see :func:`~photopeak.kernels.iqa.intensity.window_of`.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        Blocks count that lie wholly where it is True (or not 0).
    precision : str
        ``double``, or ``single`` in less time: within 0.001 where grey values are whole numbers, as for uint8.
    threads : int
        Most frames to work on side by side; the scores do not depend on it.

    Returns
    -------
    Scores
        With the number of blocks as detail ``blocks``. NaN and a reason where an image is smaller than a block
        (``too-small``), is ``constant``, holds values that are ``not-finite``, where no block is inside of the mask
        (``mask-too-small``), or none has both darker and brighter detail (``no-active-block``).

    Raises
    ------
    InputError
        If the arrays are not images, or the mask has another shape.
    ModelError
        If there is no such model, or its file is damaged.
    UsageError
        If the window or the precision makes no sense, or there is no thread.

    References
    ----------
    * A. Mittal, R. Soundararajan, A. C. Bovik, Making a "completely blind" image quality analyzer, IEEE Signal Process.
      Lett. 20 (2013) 209.

    Examples
    --------
    >>> counts = np.random.default_rng(1).poisson(50.0, (128, 128)).astype(np.uint16)
    >>> score = niqe(counts)
    >>> score.model, score.rule, score.intensity.name
    ('live', 'canonical', 'counts')
    >>> niqe(np.zeros((64, 64))).reasons
    ('constant',)
    """
    parameters, label = resolve(model, NiqeModel)
    if precision not in PRECISIONS:
        raise UsageError(f"there is no precision {precision!r}; use double or single.")

    def kernel(run: Planes) -> list[Outcome]:
        return _outcomes(run, parameters, precision)

    rule = "canonical" if precision == "double" else "canonical, single precision"
    return measure(
        frames,
        kernel,
        Definition("niqe", label, rule),
        window=window,
        mask=mask,
        dtype=PRECISIONS[precision][0],
        threads=threads,
    )


def block_features(
    plane: NDArray[Any], inside: NDArray[np.bool_], block: int, precision: str = "double"
) -> NDArray[np.float64]:
    """Return the features of blocks.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64 or float32
        Grey values.
    inside : ndarray, shape (rows // block, columns // block), bool
        Which blocks to look at.
    block : int
        Edge of a block, even.
    precision : str
        ``double`` or ``single`` arithmetic.

    Returns
    -------
    ndarray, shape (n, 36), float64
        Row by row of blocks; NaN where a block has no samples on one side.
    """
    kind = PRECISIONS[precision][0]
    planes, wanted = np.require(plane, kind, ("C", "W"))[np.newaxis], np.require(inside, requirements=("C", "W"))
    spare = np.empty(half_size(plane.shape), kind)
    return np.asarray(_features_of(planes, wanted[np.newaxis], block, precision, spare)[0, inside.ravel()])


def _features_of(
    planes: NDArray[Any], inside: NDArray[np.bool_], block: int, precision: str, spare: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the features of all blocks of several planes, shape (n, blocks, 36); NaN for those not inside."""
    found = np.full((*inside.shape, FEATURES), np.nan)
    _run_features(planes, inside, block, constants(precision), tables(), found, spare)
    return found.reshape(len(planes), -1, FEATURES)


def _outcomes(run: Planes, model: NiqeModel, precision: str) -> list[Outcome]:
    block = model.block
    count, *shape = run.grey.shape
    rows, columns = (length // block for length in shape)
    if not (rows and columns):
        return [Outcome(reason="too-small")] * count
    inside = np.ones((count, rows, columns), np.bool_)
    if run.masks is not None:
        whole = run.masks[:, : rows * block, : columns * block].reshape(count, rows, block, columns, block)
        inside = np.logical_and.reduce(whole, axis=(2, 4))
    features = _features_of(run.grey, inside, block, precision, run.spare)
    found = []
    for value, blocks in zip(_distances(features, model), inside.sum(axis=(1, 2)).tolist(), strict=True):
        if not blocks:
            found.append(Outcome(reason="mask-too-small"))
        elif np.isnan(value):
            found.append(Outcome(reason="no-active-block", details={"blocks": blocks}))
        else:
            found.append(Outcome(value, details={"blocks": blocks}))
    return found


def _distances(features: NDArray[np.float64], model: NiqeModel) -> list[float]:
    """Return the distances between the distributions of features; NaN where a feature has no value in any block."""
    distances, covariances = np.empty(len(features)), np.empty((len(features), FEATURES, FEATURES))
    apart = np.empty((len(features), FEATURES))
    # The published pseudo-inverse drops directions below this share of the trace; where there are none, it is the inverse.
    relative = FEATURES * np.finfo(np.float64).eps
    mean, covariance = np.array(model.mean), np.array(model.covariance, order="C")
    _measure(features, mean, covariance, model.least / 2 / relative, apart, covariances, distances)
    for index in np.flatnonzero(distances < 0).tolist():
        solved = np.linalg.pinv(covariances[index], rcond=relative, hermitian=True) @ apart[index]
        distances[index] = np.sqrt(apart[index] @ solved)
    return distances.tolist()


@compiled(*_FEATURES)
def _run_features(
    images: NDArray[Any], inside: NDArray[np.bool_], block: int, use: NDArray[Any], table: NDArray[np.float64],
    found: NDArray[np.float64], spare: NDArray[Any],
) -> None:  # fmt: skip
    """Fill `found` with both scales' features of the blocks of each image that count."""
    room, sums = buffers(use, block), np.empty((MAPS, SUMS))
    for index in range(images.shape[0]):
        _block_features(images[index], inside[index], block, table, found[index], spare, room, sums)


@inlined
def _block_features(
    image: NDArray[Any], inside: NDArray[np.bool_], block: int, table: NDArray[np.float64], found: NDArray[np.float64],
    spare: NDArray[Any], room: Buffers, sums: NDArray[np.float64],
) -> None:  # fmt: skip
    """Fill `found` with both scales' features of the blocks of one image."""
    no_mask = np.empty((0, 0), np.bool_)
    height, width, edge = inside.shape[0] * block, inside.shape[1] * block, block
    for scale in range(2):
        for row in range(inside.shape[0]):
            for column in range(inside.shape[1]):
                if inside[row, column]:
                    region = row * edge, column * edge, edge, edge
                    region_sums(image, (height, width), no_mask, region, True, room, sums)
                    _features(sums, edge * edge, table, found[row, column, scale * _HALF :])
        if scale == 0:
            image = halved(image, height, width, spare)
            height, width, edge = height // 2, width // 2, edge // 2


@compiled(
    "(float64[:, :, ::1], float64[::1], float64[:, ::1], float64, float64[:, ::1], float64[:, :, ::1], float64[::1])"
)
def _measure(
    features: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64], regular: float,
    apart: NDArray[np.float64], covariances: NDArray[np.float64], distances: NDArray[np.float64],
) -> None:  # fmt: skip
    """Fill in differences of means, mean covariances and distances: NaN if a feature has no value, -1 if not `regular`.

    Regular are mean covariances with a trace below that.
    """
    for index in range(features.shape[0]):
        difference, mixed = apart[index], covariances[index]
        distances[index] = np.nan
        if _moments_of(features[index], difference, mixed):
            trace = 0.0
            for item in range(mean.size):
                difference[item] = mean[item] - difference[item]
                for other in range(mean.size):
                    mixed[item, other] = (mixed[item, other] + covariance[item, other]) / 2
                trace += mixed[item, item]
            distances[index] = _distance(mixed.copy(), difference.copy()) if trace < regular else -1.0


@borrowing
def _distance(matrix: NDArray[np.float64], vector: NDArray[np.float64]) -> float:
    """Return the length of a vector, divided by a square root of a positive matrix; -1 if it is not positive.

    Cholesky's factor, row by row, takes the place of the matrix, and the solution that of the vector.
    """
    total = 0.0
    for row in range(vector.size):
        line = matrix[row]
        if not line[row] > 0.0:
            return -1.0
        scale = 1.0 / math.sqrt(line[row])
        for column in range(row, vector.size):
            line[column] *= scale
        value = vector[row] * scale
        total += value * value
        for below in range(row + 1, vector.size):
            factor, rest = line[below], matrix[below]
            vector[below] -= factor * value
            for column in range(below, vector.size):
                rest[column] -= factor * line[column]
    return math.sqrt(total)


@inlined
def _moments_of(features: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> bool:
    """Write the mean of what is there and the covariance of complete rows; return whether each feature has a value."""
    blocks, count = features.shape
    for item in range(count):
        total, there = 0.0, 0
        for block in range(blocks):
            value = features[block, item]
            if not np.isnan(value):
                total, there = total + value, there + 1
        mean[item] = total / there
    whole = np.empty((blocks, count))
    rows = 0
    for block in range(blocks):
        if not np.isnan(features[block]).any():
            whole[rows] = features[block]
            rows += 1
    # One complete row has no spread, as published.
    middle = np.zeros(count)
    for row in range(rows):
        middle += whole[row] / rows
    covariance[:] = 0
    share = float(max(rows - 1, 1))
    for row in range(rows):
        line = whole[row]
        for item in range(count):
            line[item] -= middle[item]
        for item in range(count):
            value, sums = line[item], covariance[item]
            for other in range(count):
                sums[other] += value * line[other] / share
    return not np.isnan(mean).any()


@borrowing
def _features(sums: NDArray[np.float64], count: float, table: NDArray[np.float64], found: NDArray[np.float64]) -> None:
    """Write the 18 features of one scale of a block."""
    index, left, right = aggd(sums[0], count, table)
    found[0], found[1] = table[index, SHAPE], (left + right) * table[index, SPREAD] / 2
    for pair in range(1, MAPS):
        index, left, right = aggd(sums[pair], count, table)
        left, right = left * table[index, SPREAD], right * table[index, SPREAD]
        at = 4 * pair - 2
        found[at], found[at + 1] = table[index, SHAPE], (right - left) * table[index, CENTRE]
        found[at + 2], found[at + 3] = left, right
