"""Radiographs from which a shortcut was taken away: what is left of the score did not come from it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ..architectures.analysis.radiograph import RadiographEnsemble
from ..recipes.analysis.radiograph_images import Pool
from ..recipes.analysis.radiograph_training import CrossValidation, logits_of, margins

__all__ = ["CHANGES", "covered_corners", "held_out_margins", "square"]

_CORNER = 0.2  # of a side: burned-in words lie there


def square(pool: Pool) -> Pool:
    """Return the middle square of every image, so that all detectors have one shape.

    Examples
    --------
    >>> image = np.zeros((1, 64, 64), np.float32)
    >>> image[0, 16:48] = 1.0
    >>> none, words = np.zeros(1, int), np.array(["a"])
    >>> bool((square(Pool(image, image > 0, none, words, words)).images > 0.9).all())
    True
    """
    return replace(pool, images=np.stack([_square(image) for image in pool.images]))


def covered_corners(pool: Pool) -> Pool:
    """Return the images with their corners at the median of the image, which hides words and markers there."""
    images = pool.images.copy()
    for image in images:
        (top, bottom), (left, right) = _extent(image)
        reach = round(_CORNER * max(bottom - top, right - left))
        grey = np.median(image[image > 0])
        for rows in (slice(top, top + reach), slice(bottom - reach, bottom)):
            for columns in (slice(left, left + reach), slice(right - reach, right)):
                image[rows, columns] = grey
    return replace(pool, images=images)


CHANGES: tuple[tuple[str, Callable[[Pool], Pool]], ...] = (
    ("network, images cropped to squares", square),
    ("network, corners covered", covered_corners),
)
"""Name of the method in a report, and what is done to the images."""


def held_out_margins(pool: Pool, found: CrossValidation) -> NDArray[np.float32]:
    """Return the log odds of AP by the networks that did not see an image's patient, for images that were changed.

    Parameters
    ----------
    pool : Pool
        The images of the cross-validation, changed, in the same order.
    found : CrossValidation
        Networks and folds.

    Returns
    -------
    ndarray, shape (n,), float32
        Above 0 where AP is likelier.
    """
    scores = np.zeros(len(pool), np.float32)
    for index, members in enumerate(found.nets):
        own = np.flatnonzero(found.folds == index)
        scores[own] = margins(logits_of(RadiographEnsemble(members), pool.images[own]))
    return scores


def _extent(image: NDArray[np.float32]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return first and last row and column of what is not padding."""
    rows, columns = np.flatnonzero((image > 0).any(1)), np.flatnonzero((image > 0).any(0))
    return (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)


def _square(image: NDArray[np.float32]) -> NDArray[np.float32]:
    (top, bottom), (left, right) = _extent(image)
    side = min(bottom - top, right - left)
    down, across = top + (bottom - top - side) // 2, left + (right - left - side) // 2
    part = torch.from_numpy(image[down : down + side, across : across + side].copy())[None, None]
    return np.asarray(functional.interpolate(part, size=image.shape, mode="bilinear")[0, 0].numpy())
