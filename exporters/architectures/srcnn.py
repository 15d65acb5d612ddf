"""The first super-resolution network, for comparison.

References
----------
* Dong, Loy, He, Tang, Image super-resolution using deep convolutional networks, IEEE Trans. Pattern Anal. Mach. Intell. 38
  (2016) 295: three layers of 9x9, 1x1 and 5x5 on the bicubic image, 64 and 32 features.
"""

from torch import Tensor, nn
from torch.nn import functional


class Srcnn(nn.Module):
    """SRCNN 9-1-5 with the bicubic interpolation in front of it.

    Parameters
    ----------
    channels : tuple of int
        Features after the first and the second layer.

    Examples
    --------
    >>> import torch
    >>> Srcnn((64, 32))(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 1, 16, 16])
    """

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        first, second = channels
        self.extract = nn.Conv2d(1, first, 9, 1, 4)
        self.map = nn.Conv2d(first, second, 1)
        self.head = nn.Conv2d(second, 1, 5, 1, 2)

    def forward(self, counts: Tensor) -> Tensor:
        """Return the image, shape (n, 1, 2 * h, 2 * w)."""
        large = functional.interpolate(counts, scale_factor=2.0, mode="bicubic", align_corners=False)
        features = functional.relu(self.map(functional.relu(self.extract(large))))
        image: Tensor = self.head(features)
        return image
