"""What a network takes and gives, found by running it."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...engine.errors import ModelError

__all__ = ["LARGEST_CONTEXT", "context_px", "frozen", "multiple_of", "require_apart", "run"]

Floats = NDArray[np.float32]
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
_LEAST_SIDE = 32  # sides for the trial: smaller ones may have no room for reflection
_REACHED = 1e-4  # of the summed magnitudes of the gradient, which the context may leave out
LARGEST_CONTEXT = 128
_TOLERANCE = 1e-4


def frozen(module: nn.Module) -> nn.Module:
    """Return a copy of a network for inference: on the CPU, in float32, in evaluation mode, without gradients of weights."""
    net = copy.deepcopy(module).to(device="cpu", dtype=torch.float32).eval()
    for weight in net.parameters():
        weight.requires_grad_(False)
    return net


def run(net: nn.Module, images: Floats) -> Any:
    """Return what a network gives for images of shape (n, channels, rows, columns).

    Raises
    ------
    ModelError
        If it fails; the message gives its own words.
    """
    try:
        with torch.no_grad():
            return net(torch.from_numpy(np.ascontiguousarray(images)))
    except Exception as error:  # a stranger's network may raise anything
        words = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the network fails on images of shape {images.shape} ({type(error).__name__}: {words})."
        ) from error


def multiple_of(net: nn.Module, channels: int, fits: Callable[[Any, tuple[int, ...]], bool]) -> int:
    """Return the smallest number of which rows and columns must be multiples.

    Parameters
    ----------
    net : nn.Module
        From :func:`frozen`.
    channels : int
        Of its input.
    fits : callable
        Takes what the network gave and the shape of its input; whether sizes are as they should be.

    Raises
    ------
    ModelError
        If it takes none of the sizes that were tried.
    """
    for multiple in MULTIPLES:
        steps = -(-_LEAST_SIDE // multiple)
        odd = steps + 1 - steps % 2  # odd numbers of steps: no multiple of twice the number by chance
        shape = (1, channels, odd * multiple, (odd + 2) * multiple)
        try:
            given = run(net, np.ones(shape, np.float32))
        except ModelError as error:
            last = str(error)
            continue
        if fits(given, shape):
            return multiple
        last = f"for {shape} it gave {_shapes(given)}"
    raise ModelError(f"the network takes no sides in multiples of up to {MULTIPLES[-1]}: {last.rstrip('.')}.")


def context_px(net: nn.Module, image: Floats) -> int:
    """Return how far around a pixel of the input its output reaches, in pixels of the input.

    Parameters
    ----------
    net : nn.Module
        Gives an image of (n, 1, s * rows, s * columns).
    image : ndarray, shape (1, 1, rows, columns), float32
        What the graph takes.

    Returns
    -------
    int
        Distance (larger of rows and columns) within which all but a ten-thousandth of the gradient of the middle pixels lies;
        at most 128, the largest context that a bundle has.

    References
    ----------
    * Luo, W. et al. (2016). Understanding the effective receptive field in deep convolutional neural networks. NeurIPS.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 1, 3, padding=1))
    >>> context_px(net, np.ones((1, 1, 33, 33), np.float32))
    3
    """
    given = torch.from_numpy(np.ascontiguousarray(image)).requires_grad_(True)
    output = net(given)
    rows, columns = image.shape[2:]
    scale = output.shape[2] // rows
    row, column = rows // 2, columns // 2
    middle = output[0, 0, scale * row : scale * (row + 1), scale * column : scale * (column + 1)]
    (gradient,) = torch.autograd.grad(middle.sum(), given)
    return min(_radius(gradient[0, 0].abs(), row, column), LARGEST_CONTEXT)


def _radius(weight: Tensor, row: int, column: int) -> int:
    """Return the smallest Chebyshev distance that holds all but the last bit of what is given for each pixel."""
    rows = torch.arange(weight.shape[0])[:, None] - row
    columns = torch.arange(weight.shape[1])[None] - column
    distance = torch.maximum(rows.abs(), columns.abs())
    within = torch.bincount(distance.flatten(), weights=weight.flatten().double()).cumsum(0)
    return int((within < (1 - _REACHED) * within[-1]).sum())


def require_apart(net: nn.Module, images: Floats) -> None:
    """Refuse a network for which a frame depends on those beside it: the engine puts any frames together.

    Parameters
    ----------
    net : nn.Module
        From :func:`frozen`; gives a tensor, or several.
    images : ndarray, shape (n, channels, rows, columns), float32
        Two images at least.

    Raises
    ------
    ModelError
        If a frame's output changes with its neighbours, or is not finite.
    """
    together, alone = _tensors(run(net, images)), _tensors(run(net, images[1:2]))
    for first, second in zip(together, alone, strict=True):
        if not bool(torch.isfinite(first).all()):
            raise ModelError("the network gives NaN or infinite values for an example; look at its scaling.")
        difference = float((first[1:2] - second).abs().max())
        if difference > _TOLERANCE * max(float(second.abs().max()), 1e-12):
            raise ModelError(
                f"what the network gives for a frame changes by {difference:.1e} with the frames beside it; take out what "
                "mixes a batch, such as normalisation in training mode."
            )


def _tensors(given: Any) -> list[Tensor]:
    """Return the tensors of a tensor, a sequence of them, or a dict."""
    if isinstance(given, Tensor):
        return [given]
    return [one for one in (given.values() if isinstance(given, dict) else given) if isinstance(one, Tensor)]


def _shapes(given: Any) -> str:
    if isinstance(given, Tensor):
        return str(tuple(given.shape))
    if isinstance(given, dict):
        return ", ".join(f"{name} {_shapes(one)}" for name, one in given.items())
    if isinstance(given, list | tuple):
        return ", ".join(map(_shapes, given))
    return type(given).__name__
