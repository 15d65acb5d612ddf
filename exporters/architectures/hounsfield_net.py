"""A small network for CT: Hounsfield units in, Hounsfield units out, on a matrix of twice the side.

Values are taken relative to water, and the network sees how each pixel differs from its neighbourhood: what is uniform comes out
as it went in, and rounding to few digits, as accelerators do, costs a share of the local contrast and not of the whole value.
What it computes is added to an interpolation that is fixed.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..interpolation import beyond_bilinear
from .residual import Residual

LOWEST_HU = 1024.0  # below zero; what scanners write outside of their field is lower still
_UNIT_HU = 1000.0
_NEIGHBOURS = 5
_SKIP = 13


class HounsfieldNet(nn.Module):
    """Residual network that doubles the matrix.

    Parameters
    ----------
    channels : int
        Width.
    blocks : int
        Residual blocks of two 3x3 convolutions.

    Examples
    --------
    >>> HounsfieldNet(8, 1)(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 1, 16, 16])
    """

    skip: Tensor

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, channels, 3, 1, 1)
        self.body = nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        self.head = nn.Conv2d(channels, 4, 3, 1, 1)
        nn.init.normal_(self.head.weight, std=1e-3)
        self.register_buffer("skip", torch.from_numpy(beyond_bilinear(_NEIGHBOURS, _SKIP)))

    def forward(self, hu: Tensor) -> Tensor:
        """Return the image, shape (n, 1, 2 * h, 2 * w) [HU]."""
        value = functional.relu(hu + LOWEST_HU) * (1 / _UNIT_HU)
        around = functional.avg_pool2d(value, _NEIGHBOURS, 1, _NEIGHBOURS // 2, count_include_pad=False)
        detail = value - around
        features = self.body(functional.relu(self.stem(torch.cat((around - 1, detail), 1))))
        finer = functional.conv2d(detail, self.skip, padding=_SKIP // 2)
        added = functional.pixel_shuffle(self.head(features) + finer, 2)
        smooth = functional.interpolate(value, scale_factor=2.0, mode="bilinear", align_corners=False)
        return (smooth + added) * _UNIT_HU - LOWEST_HU
