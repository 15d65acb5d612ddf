"""From the heads of a detector to lesions: peaks of the heat map, their sizes, and one box for each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..manifest import CELL
from .prepare import Placement
from .result import Box, Detection

__all__ = ["Peak", "class_probabilities", "detections", "peaks", "probability"]

MOST_PEAKS = 100
_LARGEST_LOGARITHM = 8.0  # of a size in cells: far more than any field
_NEXT = 1.5 * CELL  # px: neighbours of equal height, across corners too, are one peak
_APART = 0.5  # of the stronger one's size: nearer centres belong to one lesion


@dataclass(frozen=True, slots=True)
class Peak:
    """A lesion on the working grid.

    Parameters
    ----------
    score : float
        Calibrated probability [1].
    row, column : float
        Its centre [px of the grid], of edges: the first pixel's centre is 0.5.
    height, width : float
        Its size [px of the grid].
    """

    score: float
    row: float
    column: float
    height: float
    width: float

    @property
    def size(self) -> float:
        """Geometric mean of height and width [px of the grid]."""
        return float(np.sqrt(self.height * self.width))


def probability(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Return the calibrated probability of each logit of a heat map.

    References
    ----------
    * Guo, C. et al. (2017). On calibration of modern neural networks. ICML. (One temperature for all logits.)
    """
    scaled = np.asarray(logits, np.float64) / temperature
    # Both forms are the logistic function; each is exact where the other overflows.
    small = np.exp(-np.abs(scaled))
    return np.where(scaled >= 0, 1 / (1 + small), small / (1 + small))


def class_probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Return the calibrated probability of each class.

    Parameters
    ----------
    logits : ndarray, shape (n, k, 1, 1), float32
        What the graph gave.
    temperature : float
        What they are divided by.

    Returns
    -------
    ndarray, shape (n, k), float64
        Each frame's sum to 1.

    Examples
    --------
    >>> class_probabilities(np.array([[[[0.0]], [[2.0]]]], np.float32), 2.0).round(3)
    array([[0.269, 0.731]])
    """
    scaled = logits[:, :, 0, 0].astype(np.float64) / temperature
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares


def peaks(
    heat: NDArray[np.float32], box: NDArray[np.float32], *, temperature: float = 1.0, threshold: float = 0.5
) -> tuple[Peak, ...]:
    """Return the lesions that the heads of one image show, the most probable first.

    Parameters
    ----------
    heat : ndarray, shape (rows, columns) or (1, rows, columns), float32
        Logit of a lesion's centre in each cell of 4 x 4 px.
    box : ndarray, shape (4, rows, columns), float32
        Rows and columns from the cell's centre to the lesion's [cells], logarithms of its height and width [cells].
    temperature : float
        What the logits are divided by.
    threshold : float
        Least probability [1].

    Returns
    -------
    tuple of Peak
        Highest cells of their 3 x 3 neighbourhoods, without those whose centre is nearer to a more probable one's than half
        its size; at most 100.

    References
    ----------
    * Zhou, X., Wang, D. and Kraehenbuehl, P. (2019). Objects as points. arXiv:1904.07850.

    Examples
    --------
    >>> heat, box = np.full((1, 8, 8), -9.0, np.float32), np.zeros((4, 8, 8), np.float32)
    >>> heat[0, 2, 5], box[0, 2, 5] = 3.0, 0.25
    >>> [(round(peak.score, 2), peak.row, peak.column, peak.height) for peak in peaks(heat, box)]
    [(0.95, 11.0, 22.0, 4.0)]
    """
    chances = probability(heat.reshape(box.shape[1:]), temperature)
    around = np.pad(chances, 1, constant_values=-1.0)
    highest = np.lib.stride_tricks.sliding_window_view(around, (3, 3)).max(axis=(2, 3))
    rows, columns = np.nonzero((chances >= threshold) & (chances == highest))
    order = np.argsort(-chances[rows, columns], kind="stable")
    kept: list[Peak] = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        peak = _peak(float(chances[row, column]), row, column, box[:, row, column])
        if all(_distance(peak, other) > max(_APART * other.size, _NEXT) for other in kept):
            kept.append(peak)
        if len(kept) == MOST_PEAKS:
            break
    return tuple(kept)


def detections(
    found: Sequence[Peak], placement: Placement, label: str, spacing: tuple[float, float] | None
) -> tuple[Detection, ...]:
    """Return peaks as lesions of the image; those whose centre lies beyond its edges are dropped.

    Parameters
    ----------
    found : sequence of Peak
        On the working grid.
    placement : Placement
        Where that lies.
    label : str
        What they are.
    spacing : tuple of float or None
        Row and column spacing of the image [mm].
    """
    lesions = (_detection(peak, placement, label, spacing) for peak in found)
    return tuple(lesion for lesion in lesions if lesion is not None)


def _peak(score: float, row: int, column: int, box: NDArray[np.float32]) -> Peak:
    down, across, height, width = box.astype(np.float64).tolist()
    sizes = np.exp(np.clip([height, width], -_LARGEST_LOGARITHM, _LARGEST_LOGARITHM)) * CELL
    return Peak(score, (row + 0.5 + down) * CELL, (column + 0.5 + across) * CELL, float(sizes[0]), float(sizes[1]))


def _distance(one: Peak, other: Peak) -> float:
    return float(np.hypot(one.row - other.row, one.column - other.column))


def _detection(peak: Peak, placement: Placement, label: str, spacing: tuple[float, float] | None) -> Detection | None:
    half = np.array([peak.height, peak.width]) / 2
    centre = np.array([peak.row, peak.column])
    size = np.array(placement.source)
    middle = placement.to_source(centre)
    if (middle < 0).any() or (middle > size).any():
        return None
    corners = np.clip(placement.to_source([centre - half, centre + half]), 0, size)
    box = _box(corners)
    if spacing is None:
        return Detection(label, peak.score, box)
    height, width = 2 * half * placement.step * spacing
    row, column = (corners.mean(axis=0) * spacing).tolist()
    return Detection(label, peak.score, box, _box(corners * spacing), (row, column), float(np.sqrt(height * width)))


def _box(corners: NDArray[np.float64]) -> Box:
    row0, column0, row1, column1 = corners.ravel().tolist()
    return row0, column0, row1, column1
