"""A small classifier of rib regions on bone scans whose map of evidence is as fine as what it was shown.

Whether hot spots lie in line on neighbouring ribs is seen from afar, and how long one is from near. So the network goes down
to an eighth of the matrix and comes back: the last block lies at half the matrix, its features are not negative, and the head is a
mean over positions and one linear layer, for which Grad-CAM is the class activation map itself, and exact.

References
----------
* Ronneberger, O. et al. (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI.
* Zhou, B. et al. (2016). Learning deep features for discriminative localization. CVPR.
* Selvaraju, R. R. et al. (2017). Grad-CAM: visual explanations from deep networks via gradient-based localization. ICCV.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import Residual, convolution

__all__ = ["BoneNet", "seen"]

_LEAST = 1e-3
_WIDE = 21  # px over which the surroundings of a hot spot are averaged
_POOLED_GAIN = 64.0  # lesions cover little of the region: pooled features would be too small to learn from
_MAPS = 4


class BoneNet(nn.Module):
    """Convolutional network from counts to logits of normal, trauma and metastasis.

    Parameters
    ----------
    widths : tuple of int
        Channels at a half, a quarter and an eighth of the matrix.
    features : int
        Channels of the last block.
    classes : int
        Labels.

    Examples
    --------
    >>> net = BoneNet((8, 8, 8), 8).eval()
    >>> image = torch.rand(2, 1, 64, 64)
    >>> net.features(image).shape, net(image).shape
    (torch.Size([2, 8, 32, 32]), torch.Size([2, 3, 1, 1]))
    """

    def __init__(self, widths: tuple[int, int, int] = (12, 24, 40), features: int = 16, classes: int = 3) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stem = nn.Sequential(convolution(_MAPS, fine, 5, stride=2), convolution(fine, fine))
        self.middle = nn.Sequential(convolution(fine, middle, stride=2), Residual(middle, 1))
        self.coarse = nn.Sequential(convolution(middle, coarse, stride=2), Residual(coarse, 1), Residual(coarse, 2))
        self.to_middle = nn.ConvTranspose2d(coarse, middle, 2, 2)
        self.join = convolution(middle, middle)
        self.to_fine = nn.ConvTranspose2d(middle, fine, 2, 2)
        self.last = convolution(fine, features)
        self.linear = nn.Conv2d(features, classes, 1)
        nn.init.normal_(self.linear.weight, std=0.02)

    def features(self, image: Tensor) -> Tensor:
        """Return the last block's activations, shape (n, d, h / 2, w / 2), from counts (n, 1, h, w)."""
        with torch.autocast(image.device.type, enabled=False):  # 8 bits cannot hold counts
            maps = seen(image)
        fine = self.stem(maps)
        middle = self.middle(fine)
        back = self.join(functional.relu(middle + self.to_middle(self.coarse(middle))))
        found: Tensor = self.last(functional.relu(fine + self.to_fine(back))) * _POOLED_GAIN
        return found

    def head(self, features: Tensor) -> Tensor:
        """Return logits, shape (n, classes, 1, 1)."""
        logits: Tensor = self.linear(features.mean((2, 3), keepdim=True))
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, shape (n, classes, 1, 1)."""
        return self.head(self.features(image))


def seen(image: Tensor) -> Tensor:
    """Return what the network sees of counts, whatever their level.

    Parameters
    ----------
    image : Tensor, shape (n, 1, h, w), float32
        Counts per pixel.

    Returns
    -------
    Tensor, shape (n, 4, h, w)
        The root of the counts over the mean of the body; the logarithm of 3 x 3 and of 7 x 7 pixels over their surroundings;
        and how far 3 x 3 pixels rise above their surroundings in units of the noise.

    Examples
    --------
    >>> counts = torch.full((1, 1, 32, 32), 9.0)
    >>> bool(torch.allclose(seen(counts)[:, :, 12:20, 12:20], seen(4 * counts)[:, :, 12:20, 12:20], atol=1e-3))
    True
    """
    counts = functional.relu(image)
    mean = counts.mean((2, 3), keepdim=True) + _LEAST
    near, wide = _mean(counts, 3), _mean(counts, _WIDE)
    body = (10 * (near / mean) - 3).clamp(0, 1)
    level = (counts * body).mean((2, 3), keepdim=True) / (body.mean((2, 3), keepdim=True) + _LEAST) + _LEAST
    floor = wide + 0.05 * level
    return torch.cat(
        [
            torch.sqrt(counts / level).clamp(0, 4) - 1,
            torch.log((near + 0.05 * level) / floor).clamp(-2, 2),
            torch.log((_mean(counts, 7) + 0.05 * level) / floor).clamp(-2, 2),
            (0.3 * (near - wide) / torch.sqrt(floor + 0.1)).clamp(-3, 6) * 0.5,
        ],
        1,
    )


def _mean(counts: Tensor, width: int) -> Tensor:
    """Return the mean over a square, zeros beyond the image."""
    rows = functional.avg_pool2d(counts, (width, 1), 1, (width // 2, 0))
    return functional.avg_pool2d(rows, (1, width), 1, (0, width // 2))
