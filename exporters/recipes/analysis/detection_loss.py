"""Training of heat and boxes: targets of known lesions, and the losses against them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ...architectures.analysis.detector import STRIDE

Floats = NDArray[np.float32]

_FOCUS, _FORGIVENESS = 2, 4  # alpha and beta of Law and Deng
_NARROWEST, _PER_DIAMETER = 0.6, 0.25  # standard deviation of the bumps [cells], and per diameter
_REACH = 1.0  # cells around a centre whose boxes are taught as well: a peak may come out beside it
BOX_WEIGHT = 0.5


@dataclass(frozen=True)
class Targets:
    """What the network should give for one image.

    Parameters
    ----------
    heat : ndarray, shape (1, h/4, w/4), float32
        1 in the cells that hold a lesion's centre, less around it.
    box : ndarray, shape (4, h/4, w/4), float32
        dy and dx from the middle of each cell to the nearest lesion [cells], logarithms of its height and width [/ 4 px].
    weight : ndarray, shape (1, h/4, w/4), float32
        How much each cell's box counts.
    """

    heat: Floats
    box: Floats
    weight: Floats


def targets(lesions: NDArray[np.float64], shape: tuple[int, int]) -> Targets:
    """Return the targets of an image.

    Parameters
    ----------
    lesions : ndarray, shape (k, 4), float64
        Row and column of each lesion's centre, from the outer edge of the first pixel, its height and width [px].
    shape : tuple of int
        Rows and columns of the image, multiples of 4.

    Returns
    -------
    Targets
        Lesions whose centre lies outside of the image are left out.

    References
    ----------
    * Law, H. and Deng, J. (2018). CornerNet: detecting objects as paired keypoints. ECCV.

    Examples
    --------
    >>> found = targets(np.array([[10.0, 6.0, 8.0, 4.0]]), (16, 16))
    >>> int(found.heat.argmax()), np.exp(found.box[2:, 2, 1]).round().tolist()  # height and width in cells
    (9, [2.0, 1.0])
    """
    rows, columns = shape[0] // STRIDE, shape[1] // STRIDE
    y, x = np.arange(rows)[:, None] + 0.5, np.arange(columns)[None, :] + 0.5
    heat, nearest = np.zeros((rows, columns)), np.full((rows, columns), np.inf)
    box = np.zeros((4, rows, columns))
    for row, column, height, width in lesions / STRIDE:
        if not (0 <= row < rows and 0 <= column < columns):
            continue
        dy, dx = np.broadcast_arrays(row - y, column - x)
        squares = dy**2 + dx**2
        spread = max(_NARROWEST, _PER_DIAMETER * max(height, width))
        heat = np.maximum(heat, np.minimum(np.exp(-squares / (2 * spread**2)), 0.99))
        own = squares < nearest
        log_height, log_width = np.full_like(dy, np.log(height)), np.full_like(dx, np.log(width))
        box = np.where(own, np.stack([dy, dx, log_height, log_width]), box)
        nearest = np.minimum(nearest, squares)
    for row, column in lesions[:, :2] / STRIDE:
        if 0 <= row < rows and 0 <= column < columns:
            heat[int(row), int(column)] = 1.0
    weight = np.where(nearest < _REACH**2, heat, 0.0)
    return Targets(*(part.astype(np.float32) for part in (heat[None], box, weight[None])))


def focal_loss(heat: Tensor, target: Tensor) -> Tensor:
    """Return the focal loss of centres with bumps around them.

    Parameters
    ----------
    heat, target : Tensor, shape (n, 1, rows, columns)
        Logits, and what ``targets`` wants: 1 in cells with a centre.

    Returns
    -------
    Tensor, scalar
        Sum over all cells for each centre; a batch without centres counts as one with a single centre.

    References
    ----------
    * Lin, T.-Y. et al. (2017). Focal loss for dense object detection. ICCV.
    * Law, H. and Deng, J. (2018). CornerNet: detecting objects as paired keypoints. ECCV. (Equation 1.)

    Examples
    --------
    >>> round(float(focal_loss(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))), 4)  # (1/2)^2 log 2
    0.1733
    """
    is_centre = (target == 1).to(heat.dtype)
    probability = torch.sigmoid(heat)
    found = (1 - probability) ** _FOCUS * functional.logsigmoid(heat)
    avoided = (1 - target) ** _FORGIVENESS * probability**_FOCUS * functional.logsigmoid(-heat)
    return -(is_centre * found + (1 - is_centre) * avoided).sum() / is_centre.sum().clamp(min=1)


def box_loss(box: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the mean absolute error of boxes, summed over their four numbers.

    Parameters
    ----------
    box, target : Tensor, shape (n, 4, rows, columns)
        What the network gives and should give.
    weight : Tensor, shape (n, 1, rows, columns)
        How much each cell counts.

    Returns
    -------
    Tensor, scalar
        0 where no cell counts.

    Examples
    --------
    >>> one = torch.ones(1, 4, 1, 1)
    >>> float(box_loss(one, 0 * one, one[:, :1]))
    4.0
    """
    return (weight * (box - target).abs()).sum() / weight.sum().clamp(min=1)


def detection_loss(heat: Tensor, box: Tensor, wanted: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return what a training lowers: the focal loss of the heat and the weighted error of the boxes.

    Parameters
    ----------
    heat, box : Tensor, shape (n, 1, rows, columns) and (n, 4, rows, columns)
        What the network gives.
    wanted : tuple of Tensor
        Heat, box and weight of ``Targets``, stacked.
    """
    heat_target, box_target, weight = wanted
    return focal_loss(heat, heat_target) + BOX_WEIGHT * box_loss(box, box_target, weight)
