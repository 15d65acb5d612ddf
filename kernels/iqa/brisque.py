"""BRISQUE: the statistics of a whole image, turned into a score by a regression on what people said.

References
----------
* A. Mittal, A. K. Moorthy, A. C. Bovik, No-reference image quality assessment in the spatial domain, IEEE Trans. Image
  Process. 21 (2012) 4695.
"""

from math import exp
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..compilation import borrowing, compiled, inlined
from ..errors import UsageError
from .aggd import CENTRE, SHAPE, SPREAD, aggd, symmetric, tables
from .frames import Definition, Outcome, Planes, half_size, measure
from .intensity import Window
from .models import FEATURES, BrisqueModel, resolve
from .mscn import MAPS, SUMS, buffers, constants, region_sums
from .resize import halved
from .score import Reason, Scores

__all__ = ["CONVENTIONS", "brisque", "image_features"]

Convention = Literal["canonical", "live-quantised", "scaled-quantised"]

# Which numbers the text files of the published programs cut short: features to 6 decimals, scaled ones to 6 digits.
CONVENTIONS = {"canonical": (False, False), "live-quantised": (True, True), "scaled-quantised": (False, True)}

# At half the size, a side still holds one window.
SMALLEST = 14


def brisque(
    frames: NDArray[Any],
    *,
    model: str | PathLike[str] | BrisqueModel = "live",
    convention: Convention = "canonical",
    window: Window = "auto",
    mask: NDArray[Any] | None = None,
    threads: int = 1,
) -> Scores:
    """Return the Blind/Referenceless Image Spatial Quality Evaluator of an image or each frame of a stack; less is better.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    model : str, path or BrisqueModel
        ``live`` for the published parameters (natural photographs), or one's own; see
        :func:`~photopeak.kernels.iqa.fitting.fit_brisque`.
    convention : str
        ``canonical`` computes with all digits. The published programs hand numbers on as text: ``live-quantised`` cuts
        features to six decimals and scaled features to six digits as they do, ``scaled-quantised`` the latter only.
    window : str or tuple of float
        How pixel values become grey values; see :func:`~photopeak.kernels.iqa.intensity.window_of`.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        Pixels count where it is True (or not 0), at half the size where it is so for all they are made of. What lies
        outside still is the neighbourhood of pixels inside.
    threads : int
        Most frames to work on side by side; the scores do not depend on it.

    Returns
    -------
    Scores
        Not limited to 0 to 100. NaN and a reason where a side has less than 14 pixels (``too-small``), an image is
        ``constant``, holds values that are ``not-finite``, or has no detail darker or none brighter than its
        surroundings (``singular``; ``mask-too-small`` if that is so because of the mask).

    Raises
    ------
    InputError
        If the arrays are not images, or the mask has another shape.
    ModelError
        If there is no such model, or its file is damaged.
    UsageError
        If the window or the convention makes no sense, or there is no thread.

    References
    ----------
    * A. Mittal, A. K. Moorthy, A. C. Bovik, No-reference image quality assessment in the spatial domain, IEEE Trans.
      Image Process. 21 (2012) 4695.

    Examples
    --------
    >>> counts = np.random.default_rng(1).poisson(50.0, (2, 64, 64)).astype(np.uint16)
    >>> scores = brisque(counts)
    >>> len(scores), scores.model, scores.rule
    (2, 'live', 'canonical')
    """
    parameters, label = resolve(model, BrisqueModel)
    if convention not in CONVENTIONS:
        raise UsageError(f"there is no convention {convention!r}; use {', '.join(CONVENTIONS)}.")

    def kernel(run: Planes) -> list[Outcome]:
        return _outcomes(run, parameters, convention)

    return measure(frames, kernel, Definition("brisque", label, convention), window=window, mask=mask, threads=threads)


def image_features(plane: NDArray[np.float64], mask: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Return the features of an image.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Grey values.
    mask : ndarray, shape (rows, columns), bool, optional
        Pixels that count.

    Returns
    -------
    ndarray, shape (36,), float64
        NaN where there are no samples on one side of zero.
    """
    image = np.require(plane, requirements=("C", "W"))[np.newaxis]
    masks = None if mask is None else mask[np.newaxis]
    return np.asarray(_features_of(Planes(image, masks, np.empty(half_size(plane.shape))))[0])


def _features_of(run: Planes) -> NDArray[np.float64]:
    found = np.empty((len(run.grey), FEATURES))
    masks = np.empty((len(run.grey), 0, 0), np.bool_) if run.masks is None else np.require(run.masks, None, ("C", "W"))
    _run_features(run.grey, masks, constants(), tables(), found, run.spare)
    return found


def _outcomes(run: Planes, model: BrisqueModel, convention: Convention) -> list[Outcome]:
    if min(run.grey.shape[1:]) < SMALLEST:
        return [Outcome(reason="too-small")] * len(run.grey)
    features = _features_of(run)
    cut_features, cut_scaled = CONVENTIONS[convention]
    if cut_features:
        features = _as_text(features, "f")
    scaled = 2 * (features - model.low) / (model.high - model.low) - 1
    if cut_scaled:
        scaled = _as_text(scaled, "g")
    values = np.empty(len(features))
    _regress(scaled, model.columns, model.weights, model.gamma, values)
    reason: Reason = "singular" if run.masks is None else "mask-too-small"
    return [
        Outcome(value + model.intercept, details={"features": row}) if finite else Outcome(reason=reason)
        for value, row, finite in zip(values.tolist(), features, np.isfinite(features.sum(axis=1)), strict=True)
    ]


def _as_text(values: NDArray[np.float64], digits: str) -> NDArray[np.float64]:
    """Return what is left of numbers written with few digits."""
    return np.array([[float(f"{value:{digits}}") for value in row] for row in values.tolist()])


@compiled(
    "(float64[:, ::1], Array(float64, 2, 'C', readonly=True), Array(float64, 1, 'C', readonly=True), float64, float64[::1])"
)
def _regress(
    scaled: NDArray[np.float64], columns: NDArray[np.float64], weights: NDArray[np.float64], gamma: float,
    values: NDArray[np.float64],
) -> None:  # fmt: skip
    """Fill in the weighted sum, over the model's vectors (columns), of a Gaussian of the distance of each row of features."""
    distances = np.empty(weights.size)
    for index in range(scaled.shape[0]):
        distances[:] = 0.0
        for item in range(scaled.shape[1]):
            feature = scaled[index, item]
            for vector in range(weights.size):
                distances[vector] += (columns[item, vector] - feature) ** 2
        total = 0.0
        for vector in range(weights.size):
            total += weights[vector] * exp(-gamma * distances[vector])
        values[index] = total


@compiled("(float64[:, :, ::1], boolean[:, :, ::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[::1])")
def _run_features(
    images: NDArray[np.float64], masks: NDArray[np.bool_], use: NDArray[np.float64], table: NDArray[np.float64],
    found: NDArray[np.float64], spare: NDArray[np.float64],
) -> None:  # fmt: skip
    """Fill `found` with the features of each image; empty masks are none."""
    for index in range(images.shape[0]):
        _image_features(images[index], masks[index], use, table, found[index], spare)


@inlined
def _image_features(
    image: NDArray[np.float64], mask: NDArray[np.bool_], use: NDArray[np.float64], table: NDArray[np.float64],
    found: NDArray[np.float64], spare: NDArray[np.float64],
) -> None:  # fmt: skip
    """Fill `found` with both scales' features of one image."""
    room, sums = buffers(use, image.shape[1]), np.empty((MAPS, SUMS))
    for scale in range(2):
        height, width = image.shape
        region_sums(image, (height, width), mask, (0, 0, height, width), False, room, sums)
        _features(sums, _samples(mask, height * width), table, found[scale * FEATURES // 2 :])
        if scale == 0:
            image, mask = halved(image, height, width, spare), _halved_mask(mask)


@borrowing
def _features(
    sums: NDArray[np.float64], samples: NDArray[np.float64], table: NDArray[np.float64], found: NDArray[np.float64]
) -> None:
    """Write the 18 features of one scale."""
    square, magnitude = (sums[0, 0] + sums[0, 1]) / samples[0], sums[0, 2] / samples[0]
    found[0], found[1] = table[symmetric(square, magnitude, table), SHAPE], square
    for pair in range(1, MAPS):
        index, left, right = aggd(sums[pair], samples[pair], table)
        at = 4 * pair - 2
        found[at] = table[index, SHAPE]
        found[at + 1] = (right - left) * table[index, CENTRE] * table[index, SPREAD]
        found[at + 2], found[at + 3] = left * left, right * right


@inlined
def _samples(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.float64]:
    """Return how many samples each of the maps has: pixels, or pairs of which both are inside of the mask."""
    counted = np.full(MAPS, float(pixels))
    if mask.size:
        counted[:] = 0
        height, width = mask.shape
        for row in range(height):
            for column in range(width):
                if mask[row, column]:
                    # Index -1 is the row or column at the other end, as the maps have it.
                    counted[0] += 1
                    counted[1] += mask[row, column - 1]
                    counted[2] += mask[row - 1, column]
                    counted[3] += mask[row - 1, column - 1]
                    counted[4] += mask[row - 1, (column + 1) % width]
    return counted


@inlined
def _halved_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where all that makes one pixel of half the size is inside."""
    height, width = mask.shape
    small = np.empty(((height + 1) // 2, (width + 1) // 2), np.bool_)
    for row in range(small.shape[0]):
        below = min(2 * row + 1, height - 1)
        for column in range(small.shape[1]):
            right = min(2 * column + 1, width - 1)
            top = mask[2 * row, 2 * column] and mask[2 * row, right]
            small[row, column] = top and mask[below, 2 * column] and mask[below, right]
    return small
