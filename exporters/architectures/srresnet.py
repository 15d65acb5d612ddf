"""Generator and discriminator of SRGAN, for comparison, smaller than in the paper.

References
----------
* Ledig et al., Photo-realistic single image super-resolution using a generative adversarial network, CVPR (2017).
* Lim et al., Enhanced deep residual networks for single image super-resolution, CVPR workshops (2017): without batch
  normalisation, which blurs the scale of intensities.
"""

from torch import Tensor, nn
from torch.nn import functional

from .residual import Residual


class SrResNet(nn.Module):
    """Residual network with a sub-pixel convolution; no batch normalisation, plain rectifiers.

    Parameters
    ----------
    channels : int
        Features.
    blocks : int
        Residual blocks of two 3x3 convolutions.

    Examples
    --------
    >>> import torch
    >>> SrResNet(16, 2)(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 1, 16, 16])
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 9, 1, 4)
        self.body = nn.ModuleList(Residual(channels) for _ in range(blocks))
        self.merge = nn.Conv2d(channels, channels, 3, 1, 1)
        self.enlarge = nn.Conv2d(channels, 4 * channels, 3, 1, 1)
        self.head = nn.Conv2d(channels, 1, 9, 1, 4)

    def forward(self, counts: Tensor) -> Tensor:
        """Return the image, shape (n, 1, 2 * h, 2 * w)."""
        features = start = functional.relu(self.stem(counts))
        for block in self.body:
            features = block(features)
        features = start + self.merge(features)
        image: Tensor = self.head(functional.relu(functional.pixel_shuffle(self.enlarge(features), 2)))
        return image


class Discriminator(nn.Module):
    """Tells images from generated ones, patch by patch.

    Parameters
    ----------
    channels : int
        Features of the first layer; they double at each of three halvings.

    Examples
    --------
    >>> import torch
    >>> Discriminator(16)(torch.zeros(2, 1, 64, 64)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, channels, 3, 1, 1), nn.LeakyReLU(0.2)]
        for level in range(3):
            width = channels << level
            layers += [nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * channels, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, shape (n, 1, h / 8, w / 8); positive where the image looks real."""
        logits: Tensor = self.layers(image)
        return logits
