"""A small network for images of counts, used for denoising and for doubling the matrix.

The noise of counts depends on the counts. The square root of Anscombe makes it uniform, so the network works on
z = 2 sqrt(x + 3/8) and reads the count level off z itself. Every level of the U also receives the transform of the counts
summed over its larger pixels: at a count per pixel or less the square root of single pixels loses information, that of sums does not.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .residual import Residual

_INPUT_SCALE = 0.125
_NOTHING = 0.375**0.5  # the root of no counts
_KEYS = -0.5  # bicubic interpolation as Keys (1981) has it


class CountNet(nn.Module):
    """U-shaped network from counts to expected counts.

    Parameters
    ----------
    channels : tuple of int
        Channels of the three levels, finest first.
    blocks : tuple of int
        Residual blocks before going down and after coming up on the finest level, on the middle level (each way), and at the bottom.
    scale : int
        1 keeps the matrix (the finest level works on half of it); 2 doubles it (the finest level works on the input matrix).
    gain : float
        Counts that one unit of the image stands for. 1 for counts; for concentrations, which have no counts of their own,
        it sets where the square root bends from straight to even.
    bicubic : bool
        For concentrations on twice the matrix: an untrained network interpolates the square roots bicubically. Otherwise it
        repeats them and spreads the counts of a pixel over the four new ones.

    Examples
    --------
    >>> CountNet((16, 16, 16), (0, 1, 1, 1), scale=2)(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 1, 16, 16])
    """

    interpolation: Tensor

    def __init__(
        self,
        channels: tuple[int, int, int],
        blocks: tuple[int, int, int, int],
        scale: int,
        gain: float = 1.0,
        *,
        bicubic: bool = False,
    ) -> None:
        super().__init__()
        fine, middle, coarse = channels
        before, after, between, bottom = blocks
        self.scale = scale
        self.gain = gain
        self.bicubic = bicubic
        self.register_buffer("interpolation", _bicubic(), persistent=False)
        self.stem = nn.Conv2d(1, fine, 4, 2, 1) if scale == 1 else nn.Conv2d(1, fine, 3, 1, 1)
        self.sums = nn.ModuleList(nn.Conv2d(1, width, 3, 1, 1, bias=False) for width in channels)
        self.fine_before = _chain(fine, before)
        self.down_middle = nn.Conv2d(fine, middle, 2, 2)
        self.middle_before = _chain(middle, between)
        self.down_coarse = nn.Conv2d(middle, coarse, 2, 2)
        self.bottom = _chain(coarse, bottom)
        self.up_middle = nn.Conv2d(coarse, middle, 1)
        self.middle_after = _chain(middle, between)
        self.up_fine = nn.Conv2d(middle, fine, 1)
        self.fine_after = _chain(fine, after)
        self.head = nn.Conv2d(fine, 4, 3, 1, 1)
        nn.init.normal_(self.head.weight, std=1e-3)

    def forward(self, counts: Tensor) -> Tensor:
        """Return the expected image, shape (n, 1, scale * h, scale * w), never negative."""
        if self.gain == 1:
            return self._expected(counts)
        return self._expected(functional.relu(counts) * self.gain) * (
            1 / self.gain
        )  # filtered back-projection goes below 0

    def _expected(self, counts: Tensor) -> Tensor:
        z = _stabilise(counts)
        fine_sums = functional.avg_pool2d(counts, 2) if self.scale == 1 else counts
        root = _stabilise(fine_sums * 4.0) * 0.5 if self.scale == 1 else z * 0.5  # of a quarter of a fine pixel
        with torch.autocast(z.device.type, enabled=False):  # rounded to 8 bits, many counts would look noisy
            level = self._level(0, fine_sums, 2 if self.scale == 1 else 1)
            fine = functional.relu(self.stem(z * _INPUT_SCALE) + level)
        fine = self.fine_before(fine)
        middle_sums = functional.avg_pool2d(fine_sums, 2)
        width = 4 if self.scale == 1 else 2
        middle = self.middle_before(functional.relu(self.down_middle(fine) + self._level(1, middle_sums, width)))
        coarse_sums = functional.avg_pool2d(middle_sums, 2)
        coarse = self.bottom(functional.relu(self.down_coarse(middle) + self._level(2, coarse_sums, 2 * width)))
        middle = self.middle_after(middle + _double(self.up_middle(coarse)))
        fine = self.fine_after(fine + _double(self.up_fine(middle)))
        base = 2.0 * self._interpolated(root) if self.bicubic else root
        half = functional.pixel_shuffle(self.head(fine) + base, 2) * 0.5
        return half * half

    def _interpolated(self, root: Tensor) -> Tensor:
        """Return the four pixels that bicubic interpolation puts into each, as channels; nothing lies outside of the image."""
        with torch.autocast(root.device.type, enabled=False):
            return functional.conv2d(root - _NOTHING, self.interpolation, padding=2) + _NOTHING

    @torch.no_grad()
    def start_from(self, finer: "CountNet") -> None:
        """Take over the levels of a network of scale 2, so that this one of scale 1 starts as that one on binned counts.

        Both have the same channels and blocks, but for the blocks before going down, which start as the identity.
        """
        state = {name: value.clone() for name, value in finer.state_dict().items() if not name.startswith("stem")}
        for level in range(3):  # sums come in the units of pixels half as large here
            state[f"sums.{level}.weight"] *= 2
        state["sums.0.weight"] += 2 * finer.stem.weight
        state["stem.bias"] = finer.state_dict()["stem.bias"]
        self.load_state_dict(state, strict=False)
        self.stem.weight *= 0.05
        for name, value in self.fine_before.named_parameters():
            if "second" in name:
                value.zero_()

    def _level(self, level: int, means: Tensor, width: int) -> Tensor:
        """Features of the counts summed over width x width pixels, in the units of a single pixel."""
        root = _stabilise(means * float(width * width)) * (_INPUT_SCALE / width)
        features: Tensor = self.sums[level](root)
        return features


class _Block(Residual):
    """A block that gives nothing negative."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined features."""
        return functional.relu(super().forward(x))


def _chain(channels: int, number: int) -> nn.Sequential:
    """Blocks one after another."""
    return nn.Sequential(*(_Block(channels) for _ in range(number)))


def _bicubic() -> Tensor:
    """Return kernels that interpolate at the middles of the four quarters of a pixel, shape (4, 1, 5, 5)."""
    taps = torch.zeros(2, 5)
    for row, shift in enumerate((-0.25, 0.25)):
        for column in range(5):
            x = abs(column - 2 - shift)
            near = (_KEYS + 2) * x**3 - (_KEYS + 3) * x**2 + 1
            taps[row, column] = near if x <= 1 else _KEYS * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0
    return torch.einsum("ai,bj->abij", taps, taps).reshape(4, 1, 5, 5)


def _stabilise(counts: Tensor) -> Tensor:
    """Anscombe transform: Poisson counts get unit variance."""
    return torch.sqrt(counts + 0.375) * 2.0


def _double(x: Tensor) -> Tensor:
    """Repeat every pixel 2x2."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
