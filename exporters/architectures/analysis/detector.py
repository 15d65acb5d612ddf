"""An anchor-free detector for two phases of counts: where lesions lie, and how large they are.

Counts are seen through Anscombe's transform, which gives their noise the same variance everywhere, and relative to the image's
own level. What the phases have in common is taken out where both are there: late minus early counts, scaled by their regression.
A phase that is absent is all zeros, and the network sees that it is. All sums run inside the graph, so that any runtime can run it.
"""

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4
_LEAST = 1e-3
_RARE = -4.0  # heat of an untrained network: a lesion is in few cells
_WINDOW = 3  # pixels that smooth features are summed over, below the resolution of any collimator
_MAPS, _FACTS = 10, 6
_RELU_GAIN = (2 / (1 - 1 / torch.pi)) ** 0.5
_NOTHING = 2 * 0.375**0.5  # the stabilised value of no counts


class Detector(nn.Module):
    """Convolutional network from early and late counts to heat and boxes in cells of 4 x 4 pixels.

    Parameters
    ----------
    channels : tuple of int
        Width at half and at a quarter of the matrix.
    dilations : tuple of int
        Of the residual blocks at a quarter of the matrix.

    References
    ----------
    * Anscombe, F. J. (1948). The transformation of Poisson, binomial and negative-binomial data. Biometrika 35.
    * Yu, F. and Koltun, V. (2016). Multi-scale context aggregation by dilated convolutions. ICLR.
    * Brock, A., De, S. and Smith, S. L. (2021). Characterizing signal propagation to close the performance gap in unnormalized
      ResNets. ICLR. (Standardised weights.)
    * Zhou, X., Wang, D. and Kraehenbuehl, P. (2019). Objects as points. arXiv:1904.07850.

    Examples
    --------
    >>> heat, box = Detector((8, 8), (1, 2))(torch.zeros(1, 2, 32, 48))
    >>> heat.shape, box.shape
    (torch.Size([1, 1, 8, 12]), torch.Size([1, 4, 8, 12]))
    """

    def __init__(self, channels: tuple[int, int] = (32, 64), dilations: tuple[int, ...] = (1, 2, 4, 1)) -> None:
        super().__init__()
        fine, coarse = channels
        self.stem = _Standardised(_MAPS, fine, 5, stride=2)
        self.facts = nn.Conv2d(_FACTS, fine, 1)
        self.fine = _Block(fine, 1)
        self.down = _Standardised(fine, coarse, 3, stride=2)
        self.blocks = nn.Sequential(*(_Block(coarse, dilation) for dilation in dilations))
        self.hidden = _Standardised(coarse, coarse, 3)
        self.heat = nn.Conv2d(coarse, 1, 1)
        self.box = nn.Conv2d(coarse, 4, 1)
        nn.init.normal_(self.heat.weight, std=1e-2)
        nn.init.normal_(self.box.weight, std=1e-2)
        with torch.no_grad():
            for head, start in ((self.heat, _RARE), (self.box, 0.0)):
                cast(Tensor, head.bias).fill_(start)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return heat (n, 1, h/4, w/4), logits, and boxes (n, 4, h/4, w/4): dy, dx [cells], log height, log width [/ 4 px]."""
        return self.head(self.features(image))

    def features(self, image: Tensor) -> Tensor:
        """Return the last block's activations, shape (n, d, h/4, w/4), from counts (n, 2, h, w)."""
        with torch.autocast(image.device.type, enabled=False):  # 8 bits cannot hold counts
            maps, facts = seen(image)
        fine = functional.relu(self.stem(maps) + self.facts(facts))
        features: Tensor = self.blocks(functional.relu(self.down(self.fine(fine))))
        return features

    def deployed(self) -> "Detector":
        """Return a network that computes the same with plain convolutions."""
        plain = deepcopy(self)
        for parent in list(plain.modules()):
            for name, part in list(parent.named_children()):
                if isinstance(part, _Standardised):
                    setattr(parent, name, part.plain())
        return plain

    def head(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return heat and boxes of features."""
        hidden = functional.relu(self.hidden(features))
        return self.heat(hidden), self.box(hidden)


def seen(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the network sees of early and late counts.

    Parameters
    ----------
    image : Tensor, shape (n, 2, h, w), float32
        Early and late counts [counts per pixel]; all zeros where a phase is absent.

    Returns
    -------
    maps : Tensor, shape (n, 10, h, w)
        Of each phase the stabilised counts of a pixel and of 3 x 3 pixels, and the root of the counts over their level; of
        both together, the difference of late counts and early counts scaled by the regression and by the ratio of sums, each
        in units of the difference's noise, of a pixel and of 3 x 3 pixels.
    facts : Tensor, shape (n, 6, 1, 1)
        Which phases are there, the logarithms of their levels and of the two scales. The level is the mean weighted by
        the counts themselves, which does not change with the empty margin around a body.
    """
    counts = functional.relu(image)
    around = functional.avg_pool2d(counts, _WINDOW, 1, _WINDOW // 2) * float(_WINDOW * _WINDOW)
    there = torch.sign(counts.amax((2, 3), keepdim=True))
    mean = counts.mean((2, 3), keepdim=True)
    level = (counts * around).mean((2, 3), keepdim=True) / (mean * float(_WINDOW * _WINDOW) + _LEAST) + _LEAST
    early, late = _phase(counts, 0), _phase(counts, 1)
    early_around, late_around = _phase(around, 0), _phase(around, 1)
    both = _phase(there, 0) * _phase(there, 1)
    regression = (early * late_around).mean((2, 3), keepdim=True) / (
        (early * early_around).mean((2, 3), keepdim=True) + _LEAST
    )
    ratio = _phase(mean, 1) / (_phase(mean, 0) + _LEAST)
    maps = (
        0.125 * (_stabilised(counts) - _NOTHING),
        (0.125 / _WINDOW) * (_stabilised(around) - _NOTHING),
        torch.sqrt(around / (level * float(_WINDOW * _WINDOW))),
        0.25 * both * _difference(early, late, regression),
        0.25 * both * _difference(early_around, late_around, regression),
        0.25 * both * _difference(early, late, ratio),
        0.25 * both * _difference(early_around, late_around, ratio),
    )
    facts = (
        there,
        0.25 * there * torch.log(level),
        both * torch.log(regression + _LEAST),
        both * torch.log(ratio + _LEAST),
    )
    return torch.cat(maps, 1), torch.cat(facts, 1)


class _Standardised(nn.Conv2d):
    """Convolution whose weights of each filter have mean 0 and the variance that keeps the variance of what a ReLU gives.

    What batch normalisation does for the training, without statistics of a batch: fields of all sizes may follow each other.
    """

    def __init__(self, channels: int, wanted: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(channels, wanted, kernel, stride, dilation * (kernel // 2), dilation)
        self.gain = nn.Parameter(torch.ones(wanted, 1, 1, 1))

    def standardised(self) -> Tensor:
        """Return the weights that are used."""
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), keepdim=True)
        scale = torch.rsqrt(variance * self.weight[0].numel() + 1e-6)
        found: Tensor = (self.weight - mean) * scale * (_RELU_GAIN * self.gain)
        return found

    @torch.no_grad()
    def plain(self) -> nn.Conv2d:
        """Return a convolution with the weights that are used."""
        wanted, channels = self.weight.shape[:2]
        found = nn.Conv2d(channels, wanted, self.kernel_size, self.stride, self.padding, self.dilation)  # type: ignore[arg-type]
        found.weight.copy_(self.standardised())
        found.bias = self.bias
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Return filtered features."""
        return self._conv_forward(x, self.standardised(), self.bias)


class _Block(nn.Module):
    """Two convolutions beside a shortcut; does nothing before training."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.first = _Standardised(channels, channels, 3, dilation=dilation)
        self.second = _Standardised(channels, channels, 3, dilation=dilation)
        nn.init.zeros_(self.second.gain)

    def forward(self, x: Tensor) -> Tensor:
        """Return refined features, nothing negative."""
        found: Tensor = functional.relu(x + self.second(functional.relu(self.first(x))))
        return found


def _phase(values: Tensor, number: int) -> Tensor:
    """Return one channel, shape (n, 1, ...); a sum over a masked pair is exact, and every runtime has it."""
    mask = torch.tensor([1.0 - number, float(number)], device=values.device).view(1, 2, 1, 1)
    return (values * mask).sum(1, keepdim=True)


def _stabilised(counts: Tensor) -> Tensor:
    """Anscombe's transform: Poisson counts get unit variance."""
    return torch.sqrt(counts + 0.375) * 2.0


def _difference(early: Tensor, late: Tensor, scale: Tensor) -> Tensor:
    """Late counts minus scaled early ones, both stabilised, in units of the noise of that difference."""
    return (_stabilised(late) - _stabilised(scale * early)) / torch.sqrt(1.0 + scale)
