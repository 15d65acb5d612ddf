"""Networks, in plain PyTorch.

Every network maps (n, 1, h, w) to (n, 1, scale * h, scale * w), float32. One that trains in another shape than it runs in has
a method ``deployed``, which returns a network that computes the same with less.
"""

from collections.abc import Callable
from typing import cast

from torch import nn

from ..recipes.catalogue import Recipe
from .count_net import CountNet
from .fast import FastNet
from .hounsfield_net import HounsfieldNet
from .srcnn import Srcnn
from .srresnet import SrResNet

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
    return CountNet(
        (fine, middle, coarse), (before, after, between, bottom), recipe.scale, recipe.gain, bicubic=recipe.bicubic
    )


def _fast_net(recipe: Recipe) -> FastNet:
    fine, coarse, filters = recipe.channels
    before, bottom, after = recipe.blocks
    return FastNet((fine, coarse, filters), (before, bottom, after), recipe.gain)


def _hounsfield_net(recipe: Recipe) -> HounsfieldNet:
    return HounsfieldNet(recipe.channels[0], recipe.blocks[0])


def _srcnn(recipe: Recipe) -> Srcnn:
    first, second = recipe.channels
    return Srcnn((first, second))


def _srresnet(recipe: Recipe) -> SrResNet:
    return SrResNet(recipe.channels[0], recipe.blocks[0])


_BUILDERS: dict[str, Callable[[Recipe], nn.Module]] = {
    "count-net": _count_net,
    "fast": _fast_net,
    "hounsfield-net": _hounsfield_net,
    "srcnn": _srcnn,
    "srresnet": _srresnet,
}
