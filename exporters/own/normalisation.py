"""Group normalisation in operators that every provider runs: what torch exports of it takes sizes apart at run time."""

import copy

import torch
from torch import Tensor, nn

__all__ = ["without_group_norm"]


def without_group_norm(net: nn.Module) -> nn.Module:
    """Return a network whose group normalisations are means and convolutions; the same one where it has none.

    Parameters
    ----------
    net : nn.Module
        It is copied, not changed.

    References
    ----------
    * Wu, Y. and He, K. (2018). Group normalization. ECCV.

    Examples
    --------
    >>> norm = nn.GroupNorm(2, 6)
    >>> image = torch.randn(3, 6, 8, 8)
    >>> bool(torch.allclose(without_group_norm(norm)(image), norm(image), atol=1e-5))
    True
    """
    if not any(isinstance(part, nn.GroupNorm) for part in net.modules()):
        return net
    if isinstance(net, nn.GroupNorm):
        return _Grouped(net)
    made = copy.deepcopy(net)
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.GroupNorm):
                setattr(parent, name, _Grouped(child))
    return made


class _Grouped(nn.Module):
    """Group normalisation of images: means over positions, then over the channels of a group by a 1x1 convolution."""

    share: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        channels, groups = norm.num_channels, norm.num_groups
        group = torch.arange(channels) // (channels // groups)
        share = (group[:, None] == group[None]).float() * (groups / channels)
        self.register_buffer("share", share[:, :, None, None])
        ones = torch.ones(channels)
        self.register_buffer("weight", (ones if norm.weight is None else norm.weight.detach())[None, :, None, None])
        self.register_buffer("bias", (0 * ones if norm.bias is None else norm.bias.detach())[None, :, None, None])
        self.eps = norm.eps

    def forward(self, features: Tensor) -> Tensor:
        centred = features - self._mean(features)
        return centred / torch.sqrt(self._mean(centred * centred) + self.eps) * self.weight + self.bias

    def _mean(self, values: Tensor) -> Tensor:
        """Return the mean of each channel's group, (n, channels, 1, 1)."""
        return nn.functional.conv2d(values.mean((2, 3), keepdim=True), self.share)
