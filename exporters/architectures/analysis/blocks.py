"""What the classifiers are built of."""

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Residual", "convolution"]


def convolution(given: int, made: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the size but for its stride, normalised over the batch and rectified.

    Parameters
    ----------
    given, made : int
        Channels in and out.
    kernel : int
        Rows and columns, odd.
    stride, dilation : int
        As of ``torch.nn.Conv2d``.

    Examples
    --------
    >>> import torch
    >>> convolution(1, 4, 5, stride=2)(torch.zeros(2, 1, 16, 24)).shape
    torch.Size([2, 4, 8, 12])
    """
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(given, made, kernel, stride, padding, dilation, bias=False), nn.BatchNorm2d(made), nn.ReLU()
    )


class Residual(nn.Module):
    """Two convolutions beside the identity.

    Parameters
    ----------
    width : int
        Channels.
    dilation : int
        Of both convolutions.

    References
    ----------
    * He, K. et al. (2016). Deep residual learning for image recognition. CVPR.
    """

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = convolution(width, width, dilation=dilation)
        self.second = convolution(width, width, dilation=dilation)[:2]

    def forward(self, values: Tensor) -> Tensor:
        """Return features of the same shape."""
        return functional.relu(values + self.second(self.first(values)))
