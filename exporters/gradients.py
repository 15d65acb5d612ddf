"""Gradients of the layers of a head, written with forward operators that every runtime has.

A rule takes what a layer saw and gave, and the gradient of the score at its output, and returns that at each of its inputs.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from ..engine.errors import ModelError

__all__ = ["AveragedConvolution", "Rule", "Step", "ones", "positions", "rule_of"]


@dataclass(frozen=True, eq=False)
class Step:
    """One layer at work.

    Parameters
    ----------
    module : nn.Module or None
        The layer, where it is a module.
    inputs : tuple of Tensor
        What it saw.
    output : Tensor
        What it gave.
    """

    module: nn.Module | None
    inputs: tuple[Tensor, ...]
    output: Tensor


Rule = Callable[[Step, Tensor], tuple[Tensor, ...]]
"""Returns the gradient at each input of a step from that at its output."""


def rule_of(node: fx.Node, module: nn.Module | None) -> Rule:
    """Return the rule for a traced layer.

    Parameters
    ----------
    node : fx.Node
        The layer in its graph.
    module : nn.Module or None
        What it calls, if it is a module.

    Raises
    ------
    ModelError
        If there is none.
    """
    target = type(module) if module is not None else node.target
    rule = _RULES.get(target)
    problem = "" if rule else "is not known"
    if isinstance(module, nn.Conv2d) and not _is_plain(module):
        problem = "is known only for strides of 1 and padding with so many zeros"
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size not in (1, (1, 1)):
        problem = "is known only for pooling to 1 x 1"
    if target in (torch.mean, "mean") and not _pools_all(node):
        problem = "is known only for a mean over axes 2 and 3 that keeps them"
    if problem or rule is None:
        name = getattr(target, "__name__", str(target))
        raise ModelError(
            f"the gradient of {name} in the head {problem}; build the head of convolutions, ReLU, SiLU and mean pooling."
        )
    return rule


def ones(values: Tensor) -> Tensor:
    """Return ones in the shape of values; no runtime has to know that shape."""
    return torch.clamp(values, 1.0, 1.0)


def positions(values: Tensor) -> Tensor:
    """Return the number of positions of maps, shape (n, 1, 1, 1)."""
    return ones(values.mean(1, keepdim=True)).sum((2, 3), keepdim=True)


class AveragedConvolution(nn.Module):
    """The mean over positions of a convolution's gradient at its input, without that gradient.

    A tap of the kernel hands on what lies at the outputs for which it is inside of the image: one mean for each tap instead of
    a transposed convolution.

    Parameters
    ----------
    convolution : nn.Conv2d
        Of one group.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        weight = convolution.weight.detach()
        wanted, taken, rows, columns = weight.shape
        taps = torch.eye(rows * columns, dtype=weight.dtype).reshape(-1, 1, rows, columns)
        self.register_buffer("mixing", weight.permute(1, 2, 3, 0).reshape(taken, rows * columns * wanted, 1, 1).clone())
        for tap, kernel in enumerate(taps):
            self.register_buffer(f"tap{tap}", kernel[None])
        self._taps = len(taps)
        self._shape = {
            name: getattr(convolution, name)
            for name in ("stride", "padding", "dilation")
            if math.prod((rows, columns)) > 1
        }

    def forward(self, given: Tensor, features: Tensor) -> Tensor:
        """Return the mean, (n, d, 1, 1), from the gradient at the output and what the convolution saw."""
        inside = ones(features.mean(1, keepdim=True))
        seen = [functional.conv2d(inside, getattr(self, f"tap{tap}"), **self._shape) for tap in range(self._taps)]
        sums = [(given * mask).sum((2, 3), keepdim=True) for mask in seen]
        return functional.conv2d(torch.cat(sums, 1), self.mixing) / positions(features)  # type: ignore[arg-type]


def _convolution(step: Step, given: Tensor) -> tuple[Tensor, ...]:
    layer: Any = step.module
    return (
        functional.conv_transpose2d(
            given, layer.weight, None, 1, layer.padding, groups=layer.groups, dilation=layer.dilation
        ),
    )


def _normalisation(step: Step, given: Tensor) -> tuple[Tensor, ...]:
    layer = step.module
    assert isinstance(layer, nn.BatchNorm2d)
    assert layer.running_var is not None
    slope = torch.rsqrt(layer.running_var + layer.eps) * layer.weight
    return (given * slope.detach()[None, :, None, None],)


def _relu(step: Step, given: Tensor) -> tuple[Tensor, ...]:
    return (given * torch.sign(step.output),)


def _silu(step: Step, given: Tensor) -> tuple[Tensor, ...]:
    gate = torch.sigmoid(step.inputs[0])
    return (given * gate * (1.0 + step.inputs[0] * (1.0 - gate)),)


def _sigmoid(step: Step, given: Tensor) -> tuple[Tensor, ...]:
    return (given * step.output * (1.0 - step.output),)


def _mean(step: Step, given: Tensor) -> tuple[Tensor, ...]:
    return (ones(step.inputs[0]) * given / positions(step.inputs[0]),)


def _same(step: Step, given: Tensor) -> tuple[Tensor, ...]:
    for value in step.inputs:
        if value.shape != step.output.shape:
            raise ModelError("the head adds maps of different sizes, whose gradient is not known; add equal ones.")
    return (given,) * len(step.inputs)


def _is_plain(layer: nn.Conv2d) -> bool:
    return layer.padding_mode == "zeros" and not isinstance(layer.padding, str) and set(layer.stride) == {1}


def _pools_all(node: fx.Node) -> bool:
    axes: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    kept: Any = node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False)
    return bool(kept) and sorted(axes if isinstance(axes, tuple | list) else ()) in ([2, 3], [-2, -1])


_RULES: dict[Any, Rule] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _normalisation,
    nn.AdaptiveAvgPool2d: _mean,
    torch.mean: _mean,
    "mean": _mean,
    **dict.fromkeys((nn.ReLU, functional.relu, torch.relu, "relu"), _relu),
    **dict.fromkeys((nn.SiLU, functional.silu), _silu),
    **dict.fromkeys((nn.Sigmoid, torch.sigmoid, "sigmoid"), _sigmoid),
    **dict.fromkeys((nn.Identity, nn.Dropout, nn.Dropout2d, operator.add, torch.add), _same),
}
