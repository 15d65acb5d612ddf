"""AP or PA: a small classifier of chest radiographs on histograms of oriented gradients.

Some hundred images teach no filters of edges. So the first stage is fixed: the local mean and contrast are removed, edges are
sorted by their direction, pooled, and divided by their local energy, as Dalal and Triggs do. What is left has neither grey
levels, gain, offset nor processing in it, and what is learnt on top is small: three levels of 3x3 convolutions, which know
where in the image they are, and a gate that has learnt where the thorax is and closes outside of it.

Several networks make one: they share the fixed stage, their features lie side by side, and the head gives the mean of their
logits. As the head is linear and pooled, the class activation map of that mean is exact.

References
----------
* Dalal, N. and Triggs, B. (2005). Histograms of oriented gradients for human detection. CVPR, 886-893.
* Liu, R. et al. (2018). An intriguing failing of convolutional neural networks and the CoordConv solution. NeurIPS.
* Lakshminarayanan, B. et al. (2017). Simple and scalable predictive uncertainty estimation using deep ensembles. NeurIPS.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import Residual, convolution

__all__ = ["CLASSES", "OrientedGradients", "RadiographEnsemble", "RadiographNet", "inside", "standardised"]

CLASSES = ("AP", "PA")
_DIRECTIONS = 8
_REACH = 17  # px over which mean and contrast are taken: a quarter of the image
_ENERGY_REACH = 5  # cells
_LEAST_SPREAD = 0.05  # of the variance of the whole image
_LARGEST = 3.0  # standard deviations; metal and letters end there
_BORDER = 0.05  # of the image's mean: rows and columns below are padding or collimation
_LEAST = 1e-8
_LEAST_ENERGY = 1e-3
_COORDINATES = 32  # cells: the working grid at the level where positions come in


def inside(image: Tensor) -> Tensor:
    """Return 1 where the image is, 0 in rows and columns that are black throughout, (n, 1, h, w)."""
    mean = image.mean((2, 3), keepdim=True) + _LEAST
    rows = image.mean(3, keepdim=True) / mean
    columns = image.mean(2, keepdim=True) / mean
    return _above(rows) * _above(columns)


def standardised(image: Tensor, mask: Tensor) -> Tensor:
    """Return the image without its local mean and contrast; gain and offset make no difference.

    Parameters
    ----------
    image, mask : Tensor, shape (n, 1, h, w), float32
        Grey values, and 1 where there is an image.

    Returns
    -------
    Tensor, same shape
        In local standard deviations, 0 outside of the mask.
    """
    share = _smooth(mask, _REACH) + _LEAST_ENERGY
    whole = mask.mean((2, 3), keepdim=True) + _LEAST_ENERGY
    # The graph works in single precision: variances of large grey values would drown in their means.
    image = image * mask / ((image * mask).mean((2, 3), keepdim=True) / whole + _LEAST)
    offset = (image - _smooth(image, _REACH) / share) * mask
    square = offset * offset
    spread = _smooth(square, _REACH) / share + _LEAST_SPREAD * square.mean((2, 3), keepdim=True) / whole
    return (offset / (spread + _LEAST).sqrt()).clamp(-_LARGEST, _LARGEST)


class OrientedGradients(nn.Module):
    """Edges by direction, pooled in cells of 2 px and divided by their local energy; nothing is learnt.

    Maps (n, 1, h, w) to (n, 8, h / 2, w / 2), values of 0 to about 3.
    """

    def __init__(self) -> None:
        super().__init__()
        angles = torch.arange(_DIRECTIONS) * (2 * math.pi / _DIRECTIONS)
        across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
        kernels = torch.cos(angles)[:, None, None] * across + torch.sin(angles)[:, None, None] * across.T
        self.register_buffer("kernels", kernels[:, None])

    def forward(self, image: Tensor) -> Tensor:
        """Return the cells of an image."""
        mask = inside(image)
        clear = -functional.max_pool2d(-mask, 3, 1, 1)  # the image's own border is no edge
        edges = functional.relu(functional.conv2d(standardised(image, mask), cast(Tensor, self.kernels), padding=1))
        cells = functional.avg_pool2d(edges * clear, 4, 2, 1)
        energy = _smooth((cells * cells).mean(1, keepdim=True) * _DIRECTIONS, _ENERGY_REACH)
        return cells / (energy + _LEAST_ENERGY).sqrt()


class RadiographNet(nn.Module):
    """One network of the ensemble: from oriented gradients to features of the thorax.

    Parameters
    ----------
    widths : tuple of int
        Channels at a half, a quarter and again a quarter of the image's side.
    dropout : float
        Share of features that training leaves out.

    Examples
    --------
    >>> net = RadiographNet().eval()
    >>> net.features(torch.rand(2, 1, 64, 64)).shape, net(torch.rand(2, 1, 64, 64)).shape
    (torch.Size([2, 32, 16, 16]), torch.Size([2, 2, 1, 1]))
    """

    def __init__(self, widths: tuple[int, int, int] = (16, 32, 32), dropout: float = 0.3) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.gradients = OrientedGradients()
        self.stem = nn.Sequential(convolution(_DIRECTIONS, fine), Residual(fine))
        self.middle = nn.Sequential(convolution(fine + 2, middle, stride=2), Residual(middle))
        self.top = convolution(middle + 2, coarse)
        self.gate = nn.Conv2d(middle + 2, 1, 3, 1, 1)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Conv2d(coarse, len(CLASSES), 1)

    def gated(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (n, d, h', w') and the logit of the thorax (n, 1, h', w') for oriented gradients."""
        position = _positions(cells)
        hidden = self.middle(torch.cat([self.stem(cells), position], 1))
        hidden = torch.cat([hidden, functional.avg_pool2d(position, 2)], 1)
        thorax = self.gate(hidden)
        return self.top(hidden) * torch.sigmoid(thorax), thorax

    def features(self, image: Tensor) -> Tensor:
        """Return what is pooled, (n, d, h / 4, w / 4)."""
        return self.gated(self.gradients(image))[0]

    def head(self, features: Tensor) -> Tensor:
        """Return the logits of AP and PA, (n, 2, 1, 1)."""
        logits: Tensor = self.linear(self.dropout(features.mean((2, 3), keepdim=True)))
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, (n, 2, 1, 1)."""
        return self.head(self.features(image))


class RadiographEnsemble(nn.Module):
    """Networks side by side, in evaluation mode; logits are the mean of theirs.

    Parameters
    ----------
    nets : sequence of RadiographNet
        All of the same widths.

    Examples
    --------
    >>> nets = [RadiographNet().eval() for _ in range(3)]
    >>> image = torch.rand(2, 1, 64, 64)
    >>> mean = torch.stack([net(image) for net in nets]).mean(0)
    >>> bool(torch.allclose(RadiographEnsemble(nets)(image), mean, atol=1e-6))
    True
    """

    def __init__(self, nets: Sequence[RadiographNet]) -> None:
        super().__init__()
        self.gradients = OrientedGradients()
        self.nets = nn.ModuleList(nets)
        weights = torch.cat([net.linear.weight.detach() for net in nets], 1) / len(nets)
        self.linear = nn.Conv2d(weights.shape[1], len(CLASSES), 1)
        self.linear.weight.data.copy_(weights)
        biases = [cast(Tensor, net.linear.bias).detach() for net in nets]
        cast(Tensor, self.linear.bias).data.copy_(torch.stack(biases).mean(0))
        self.eval()

    def features(self, image: Tensor) -> Tensor:
        """Return the features of all networks, (n, networks * d, h / 4, w / 4)."""
        cells = self.gradients(image)
        return torch.cat([cast(RadiographNet, net).gated(cells)[0] for net in self.nets], 1)

    def head(self, features: Tensor) -> Tensor:
        """Return the mean of the networks' logits, (n, 2, 1, 1)."""
        logits: Tensor = self.linear(features.mean((2, 3), keepdim=True))
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, (n, 2, 1, 1)."""
        return self.head(self.features(image))


def _above(share: Tensor) -> Tensor:
    """Return 1 above the border's share, 0 below, with a short ramp between."""
    return ((share - _BORDER) * 100).clamp(0, 1)


def _smooth(values: Tensor, width: int) -> Tensor:
    """Return the mean over a square twice, 0 beyond the image."""
    for _ in range(2):
        values = functional.avg_pool2d(values, (1, width), 1, (0, width // 2))
        values = functional.avg_pool2d(values, (width, 1), 1, (width // 2, 0))
    return values


def _positions(cells: Tensor) -> Tensor:
    """Return height above the middle and distance from the midline, each from -1 to 1, (n, 2, h, w).

    Ramps come from sums over padded ones, as operators that ask for the size of an image are foreign to some runtimes.
    """
    ones = cells.mean(1, keepdim=True) * 0 + 1
    size = _COORDINATES
    down = functional.avg_pool2d(functional.pad(ones, (0, 0, size - 1, 0)), (size, 1), 1)
    across = functional.avg_pool2d(functional.pad(ones, (size - 1, 0, 0, 0)), (1, size), 1)
    centre = (size + 1) / size
    return torch.cat([2 * down - centre, (2 * across - centre).abs()], 1)
