"""How smooth and how noisy a slice is from place to place, as numbers for a network: what it needs to choose a filter.

Which linear filter is best depends on the resolution of the detectors, on the filter after the reconstruction and on the counts, and
the spectrum of the slice tells them: noise has the shape of the filter, and is everywhere, where edges are rare.

References
----------
* Daugman, Uncertainty relation for resolution in space, spatial frequency, and orientation optimized by two-dimensional visual cortical
  filters, JOSA A 2 (1985): Gabor filters.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_ALONG_AXES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95)  # of the Nyquist frequency
_ALONG_DIAGONALS = (0.25, 0.45, 0.65, 0.85)  # the same, on either axis
_REACH, _SIGMA = 6, 2.2  # of a filter [px]
_BLOCK, _BLOCKS = 8, 9  # pixels along a block, and blocks along what a mean is taken over
_LARGER = 32.0  # squares of faint details stay within what 16 bits hold
_LEAST, _LEAST_POWER = 1e-3, 1e-5


class Smoothness(nn.Module):
    """Magnitude and power in ten bands around each block of 8x8 pixels, relative to the slice's own there, as logarithms.

    The mean is taken over 72x72 pixels, fewer at the border: with less, edges pass for noise; with more, that of the brain would
    pass for that of the body around it, and tiles would not fit each other.

    Examples
    --------
    >>> Smoothness()(torch.rand(3, 1, 32, 48)).shape
    torch.Size([3, 20, 4, 6])
    """

    filters: Tensor
    pairs: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", _LARGER * gabor_filters(), persistent=False)
        bands = len(self.filters) // 2
        pairs = torch.kron(torch.eye(bands), torch.full((1, 2), 0.5))
        self.register_buffer("pairs", pairs[:, :, None, None], persistent=False)
        self.features = 2 * bands

    def forward(self, image: Tensor) -> Tensor:
        """Return the features, shape (n, 20, h / 8, w / 8); nothing may be negative, and the brightest pixels are about 1."""
        unbroken = functional.pad(image, (_REACH,) * 4, mode="replicate")  # the border of a patch is no edge
        found = functional.conv2d(unbroken, self.filters, stride=2)
        magnitude = functional.conv2d(_around(found.abs(), _BLOCK // 2), self.pairs)
        power = functional.conv2d(_around(found * found, _BLOCK // 2), self.pairs)
        first = torch.log(magnitude + _LEAST) - torch.log(_around(image, _BLOCK) + _LEAST)
        second = torch.log(power + _LEAST_POWER) - torch.log(_around(image * image, _BLOCK) + _LEAST_POWER)
        return torch.cat((first, 0.5 * second), 1)


def gabor_filters() -> Tensor:
    """Return even Gabor filters that give nothing for a constant, two directions of each band, shape (20, 1, 13, 13)."""
    at = torch.arange(-_REACH, _REACH + 1, dtype=torch.float64)
    window = torch.exp(-(at[:, None].square() + at[None].square()) / (2 * _SIGMA**2))
    waves = [(f * x, f * y) for f in _ALONG_AXES for x, y in ((1, 0), (0, 1))]
    waves += [(f, sign * f) for f in _ALONG_DIAGONALS for sign in (1, -1)]
    found = []
    for x, y in waves:
        kernel = window * torch.cos(math.pi * (x * at[None] + y * at[:, None]))
        kernel = kernel - window * (kernel.sum() / window.sum())
        found.append(kernel / torch.fft.fft2(kernel, s=(64, 64)).abs().max())
    return torch.stack(found)[:, None].float()


def _around(images: Tensor, block: int) -> Tensor:
    """Return the mean over the blocks around each block of so many pixels."""
    blocks = functional.avg_pool2d(images, block)
    return functional.avg_pool2d(blocks, _BLOCKS, 1, _BLOCKS // 2, count_include_pad=False)
