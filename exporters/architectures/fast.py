"""A network for twice the matrix that is quick on every provider.

All work happens at half and at a quarter of the input's sides, where a 3x3 convolution sees far and costs little; widths are
multiples of 16; the graph consists of convolutions and element-wise operations alone.

What it computes is a change to the bicubic image and to a sum of linear filters of 11x11 pixels, whose shares come from the spectrum
of the slice (see :mod:`.smoothness`) and, pixel by pixel, from the features: the best filter depends on scanner and counts.

In training every 3x3 convolution is a sum of branches, which makes it learn better, and the linear filter is one more branch of
the interpolation; the kernels of branches are added before the image is touched, so that this costs as little as the plain
convolution that is exported.

References
----------
* Ding et al., RepVGG: making VGG-style ConvNets great again, CVPR (2021): branches that become one kernel.
* Bhardwaj et al., Collapsible linear blocks for super-efficient super resolution, MLSys (2022): 1x1 and 3x3 in a row, trained
  as one kernel.
* Li et al., LAPAR: linearly-assembled pixel-adaptive regression network for single image super-resolution, NeurIPS (2020): a bank of
  linear filters with learned shares.
* R. G. Keys, Cubic convolution interpolation for digital image processing, IEEE Trans. Acoust. 29 (1981) 1153: a = -1/2.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .smoothness import Smoothness

_INPUT_SCALE = 0.125
_OFFSET = 0.375
_REACH = 3  # pixels to either side that the linear filter of all slices sees
_BANK_REACH = 5  # those that have shares
_HIDDEN = 64
# Keys' kernel a quarter of a pixel before a pixel; a quarter after it, it is mirrored.
_QUARTER_BEFORE = (-3 / 128, 29 / 128, 111 / 128, -9 / 128, 0.0)


class BranchedConv(nn.Module):
    """3x3 convolution whose kernel is the sum of a 3x3, a 1x1, a 1x1 followed by a 3x3, and the identity.

    Parameters
    ----------
    channels : int
        In and out.

    Examples
    --------
    >>> BranchedConv(16)(torch.zeros(1, 16, 5, 5)).shape
    torch.Size([1, 16, 5, 5])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.square = nn.Conv2d(channels, channels, 3, 1, 1)
        self.point = nn.Conv2d(channels, channels, 1, bias=False)
        self.wide = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.after = nn.Conv2d(2 * channels, channels, 3, 1, 1, bias=False)
        with torch.no_grad():  # starts close to the identity
            for part in (self.square, self.point, self.after):
                part.weight *= 0.3

    def kernel(self) -> Tensor:
        """Return the one kernel that does what all branches do, shape (channels, channels, 3, 3)."""
        chained = torch.einsum("omyx,mi->oiyx", self.after.weight, self.wide.weight[:, :, 0, 0])
        identity = torch.eye(len(chained), dtype=chained.dtype, device=chained.device)[:, :, None, None]
        return self.square.weight + chained + functional.pad(self.point.weight + identity, (1, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved features."""
        with torch.autocast(x.device.type, enabled=False):
            kernel = self.kernel()
        return functional.conv2d(x, kernel, self.square.bias, padding=1)

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """Return the plain convolution that computes the same."""
        kernel, bias = self.kernel(), self.square.bias
        plain = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, 1, 1)
        plain.weight.copy_(kernel)
        if bias is not None and plain.bias is not None:
            plain.bias.copy_(bias)
        return plain


class LinearDoubling(nn.Module):
    """Bicubic interpolation to twice the matrix plus a linear filter that is learned, as one convolution.

    Examples
    --------
    >>> LinearDoubling()(torch.zeros(1, 1, 9, 9)).shape
    torch.Size([1, 4, 9, 9])
    """

    bicubic: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bicubic", bicubic_kernel(), persistent=False)
        self.learned = nn.Parameter(torch.zeros_like(self.bicubic))

    def forward(self, image: Tensor) -> Tensor:
        """Return the four pixels in the place of each, shape (n, 4, h, w), for ``pixel_shuffle``."""
        # Rounded to the 8 bits of bfloat16, many counts would be as noisy as few.
        with torch.autocast(image.device.type, enabled=False):
            return functional.conv2d(image, self.bicubic + self.learned, padding=_REACH)

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """Return the plain convolution that computes the same."""
        plain = nn.Conv2d(1, 4, 2 * _REACH + 1, 1, _REACH, bias=False)
        plain.weight.copy_(self.bicubic + self.learned)
        return plain


def bicubic_kernel() -> Tensor:
    """Return the kernel of bicubic interpolation to twice the matrix, shape (4, 1, 7, 7); beyond the border there is 0."""
    before = functional.pad(torch.tensor(_QUARTER_BEFORE), (_REACH - 2, _REACH - 2))
    phases = torch.stack((before, before.flip(0)))
    side = 2 * _REACH + 1
    return torch.einsum("ay,bx->abyx", phases, phases).reshape(4, 1, side, side)


class FilterBank(nn.Module):
    """Linear filters to twice the matrix, each pixel with shares of its own.

    Parameters
    ----------
    filters : int
        How many.

    Examples
    --------
    >>> FilterBank(4)(torch.zeros(1, 1, 9, 9), torch.zeros(1, 4, 9, 9)).shape
    torch.Size([1, 4, 9, 9])
    """

    spread: Tensor
    total: Tensor

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, 4 * filters, 2 * _BANK_REACH + 1, 1, _BANK_REACH, bias=False)
        nn.init.normal_(self.filters.weight, std=1e-2)
        spread = torch.kron(torch.eye(filters), torch.ones(4, 1))
        self.register_buffer("spread", spread[:, :, None, None], persistent=False)
        total = torch.kron(torch.ones(1, filters), torch.eye(4))
        self.register_buffer("total", total[:, :, None, None], persistent=False)

    def forward(self, image: Tensor, shares: Tensor) -> Tensor:
        """Return the four pixels in the place of each, shape (n, 4, h, w), for ``pixel_shuffle``."""
        return functional.conv2d(self.filters(image) * functional.conv2d(shares, self.spread), self.total)


class FastNet(nn.Module):
    """Network from concentrations or counts to the expected image on twice the matrix.

    Parameters
    ----------
    channels : tuple of int
        At half and at a quarter of the input's sides, and the number of linear filters.
    blocks : tuple of int
        Convolutions before going down, at the bottom, and after coming up.
    gain : float
        See ``CountNet``.
    branched : bool
        Whether the 3x3 convolutions are sums of branches, as in training, or plain ones.

    Examples
    --------
    >>> FastNet((16, 16, 4), (1, 1, 1))(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 1, 16, 16])
    """

    def __init__(
        self, channels: tuple[int, int, int], blocks: tuple[int, int, int], gain: float = 1.0, *, branched: bool = True
    ) -> None:
        super().__init__()
        fine, coarse, filters = channels
        before, bottom, after = blocks
        self.channels, self.blocks, self.gain = channels, blocks, gain
        self.smoothness = Smoothness()
        self.guide = nn.Sequential(
            nn.Conv2d(self.smoothness.features, _HIDDEN, 1), nn.ReLU(), nn.Conv2d(_HIDDEN, _HIDDEN, 1), nn.ReLU()
        )
        self.to_fine, self.to_coarse = nn.Conv2d(_HIDDEN, fine, 1), nn.Conv2d(_HIDDEN, coarse, 1)
        self.stem = nn.Conv2d(1, fine, 4, 2, 1)
        self.before = _chain(fine, before, branched)
        self.down = nn.Conv2d(fine, coarse, 2, 2)
        self.bottom = _chain(coarse, bottom, branched)
        self.up = nn.Conv2d(coarse, 4 * fine, 1)
        self.after = _chain(fine, after, branched)
        self.head = nn.Conv2d(fine, 16, 3, 1, 1)
        self.linear = LinearDoubling() if branched else nn.Conv2d(1, 4, 2 * _REACH + 1, 1, _REACH, bias=False)
        self.bank = FilterBank(filters)
        self.shares, self.local = nn.Conv2d(_HIDDEN, filters, 1), nn.Conv2d(fine, 4 * filters, 1)
        nn.init.normal_(self.head.weight, std=1e-3)
        for part in (self.to_fine, self.to_coarse, self.shares, self.local):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]

    def forward(self, counts: Tensor) -> Tensor:
        """Return the expected image, shape (n, 1, 2 * h, 2 * w), never negative."""
        given = functional.relu(counts)
        with torch.autocast(given.device.type, enabled=False):
            guide = self.guide(self.smoothness(given))
            to_fine, to_coarse = _larger(self.to_fine(guide), 4), _larger(self.to_coarse(guide), 2)
            shares = _larger(self.shares(guide), 8)
        root = torch.sqrt(given * self.gain + _OFFSET)  # noise that is even, as Anscombe showed
        fine = self.before(functional.relu(self.stem(root * (2 * _INPUT_SCALE)) + to_fine))
        coarse = self.bottom(functional.relu(self.down(fine) + to_coarse))
        fine = self.after(functional.relu(fine + functional.pixel_shuffle(self.up(coarse), 2)))
        change = functional.pixel_shuffle(self.head(fine), 2)
        local = functional.pixel_shuffle(self.local(fine), 2)
        with torch.autocast(given.device.type, enabled=False):
            filtered = self.linear(given) + self.bank(given, local.to(given.dtype) + shares)
            start = torch.sqrt(functional.relu(filtered) * self.gain + _OFFSET)
        half = functional.pixel_shuffle(change + start, 2)
        return functional.relu(half * half - _OFFSET) * (1 / self.gain)

    def deployed(self) -> "FastNet":
        """Return the network with one plain kernel for each sum of branches."""
        plain = FastNet(self.channels, self.blocks, self.gain, branched=False)
        for name, part in self.named_children():
            fused = _fused(part)
            getattr(plain, name).load_state_dict(fused.state_dict())
        return plain.eval()


def _larger(features: Tensor, times: int) -> Tensor:
    """Interpolate features of blocks."""
    return functional.interpolate(features, scale_factor=float(times), mode="bilinear", align_corners=False)


def _chain(channels: int, number: int, branched: bool) -> nn.Sequential:
    """Return convolutions with rectifiers, one after another."""
    make = BranchedConv if branched else lambda width: nn.Conv2d(width, width, 3, 1, 1)
    return nn.Sequential(*(part for _ in range(number) for part in (make(channels), nn.ReLU())))


def _fused(part: nn.Module) -> nn.Module:
    """Return the part with plain convolutions."""
    if isinstance(part, nn.Sequential):
        return nn.Sequential(*map(_fused, part))
    return part.fused() if isinstance(part, BranchedConv | LinearDoubling) else part
