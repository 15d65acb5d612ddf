"""Networks, in plain PyTorch.

Every network maps (n, 1, h, w) to (n, 1, scale * h, scale * w), float32. One that trains in another shape than it runs in has
a method ``deployed``, which returns a network that computes the same with less.
"""

from collections.abc import Callable
from typing import cast

from torch import nn

from ..recipes.catalogue import Recipe
from .count_net import CountNet

__all__ = ["build", "deployed"]


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe."""
    return _BUILDERS[recipe.architecture](recipe)


def deployed(net: nn.Module) -> nn.Module:
    """Return the network as it is exported."""
    convert = getattr(net, "deployed", None)
    return net if convert is None else cast(nn.Module, convert())


def _count_net(recipe: Recipe) -> CountNet:
    fine, middle, coarse = recipe.channels
    before, after, between, bottom = recipe.blocks
    return CountNet((fine, middle, coarse), (before, after, between, bottom), recipe.scale, recipe.gain)


_BUILDERS: dict[str, Callable[[Recipe], nn.Module]] = {"count-net": _count_net}
