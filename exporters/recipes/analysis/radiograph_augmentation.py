"""Changes to radiographs that must not change what is read from them.

Collections betray the projection by things that are not the patient: the shape of the detector, letters in the corners, the
sharpness of what was scaled down, the curve of grey values. Each is drawn anew for every image of every batch.
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["augment", "counterexamples"]

_TURN = 0.14  # rad
_ZOOM = (-0.22, 0.18)  # logarithm of the scale
_STRETCH = 0.12
_SHIFT = 0.14  # of half a side
_CROP = (-0.10, 0.14)  # of a side, from each edge; negative draws crop nothing
_GAMMA = 0.5  # logarithm
_BLUR_PX = 0.9
_NOISE = 0.03
_LETTERS = 3
_LEAST = 1e-4
_TILES = 4


def augment(images: Tensor, thoraxes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return changed images and where the thorax lies in them.

    Parameters
    ----------
    images : Tensor, shape (n, 1, side, side), float32
        On the model's grid, 0 beyond the image.
    thoraxes : Tensor, same shape
        1 in the thorax.
    generator : torch.Generator
        Draws everything.

    Returns
    -------
    tuple of Tensor
        Of the same shapes: turned, scaled, stretched, shifted and mirrored; cropped on each side, so that the detector's shape
        says nothing; with other contrast, blurred, noisy and with bright or dark boxes in place of letters.
    """
    draw = _Draw(len(images), generator)
    moved = functional.grid_sample(torch.cat([images, thoraxes], 1), _grid(images, draw), align_corners=False)
    changed, thorax = moved[:, :1], moved[:, 1:]
    window = _window(images.shape[-1], draw)
    peak = changed.amax((2, 3), keepdim=True).clamp_min(_LEAST)
    changed = (changed / peak).clamp_min(_LEAST) ** torch.exp(draw(-_GAMMA, _GAMMA)).view(-1, 1, 1, 1)
    changed = _blurred(changed, draw(0, _BLUR_PX))
    noise = torch.randn(changed.shape, generator=generator)
    changed = changed + noise * draw(0, _NOISE).view(-1, 1, 1, 1)
    for _ in range(_LETTERS):
        box = _box(images.shape[-1], draw)
        changed = torch.where(box, draw(0, 1.2).view(-1, 1, 1, 1), changed)
    return changed.clamp_min(_LEAST) * window, thorax * window


def counterexamples(images: Tensor, laterals: Tensor, generator: torch.Generator) -> Tensor:
    """Return what is no frontal radiograph, so that the gate learns to stay closed.

    Parameters
    ----------
    images : Tensor, shape (n, 1, side, side), float32
        Frontal radiographs, changed or not.
    laterals : Tensor, shape (m, 1, side, side), float32
        Lateral ones, which are drawn from.
    generator : torch.Generator
        Draws everything.

    Returns
    -------
    Tensor, same shape as `images`
        In turn: lying on a side, upside down, with black and white exchanged, cut in tiles that are shuffled, clouds of
        random structure, and lateral.

    References
    ----------
    * Hendrycks, D. et al. (2019). Deep anomaly detection with outlier exposure. ICLR.
    """
    made = [_COUNTER[index % len(_COUNTER)](image, laterals, generator) for index, image in enumerate(images)]
    return torch.stack(made)


def _on_a_side(image: Tensor, laterals: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rot90(image, 1 + 2 * _number(2, generator), (1, 2))


def _upside_down(image: Tensor, laterals: Tensor, generator: torch.Generator) -> Tensor:
    return image.flip(1)


def _negative(image: Tensor, laterals: Tensor, generator: torch.Generator) -> Tensor:
    return (image.amax() - image) * (image > 0)


def _shuffled(image: Tensor, laterals: Tensor, generator: torch.Generator) -> Tensor:
    side = image.shape[-1] // _TILES
    tiles = image.unfold(1, side, side).unfold(2, side, side).reshape(-1, side, side)
    tiles = tiles[torch.randperm(len(tiles), generator=generator)]
    return tiles.view(_TILES, _TILES, side, side).permute(0, 2, 1, 3).reshape(image.shape)


def _cloud(image: Tensor, laterals: Tensor, generator: torch.Generator) -> Tensor:
    total = torch.zeros_like(image)
    for octave in range(2, 7):
        grain = torch.rand(1, 1, 2**octave, 2**octave, generator=generator)
        weight = 2.0 ** (-octave * 2 * float(torch.rand(1, generator=generator)))
        total += weight * functional.interpolate(grain, size=image.shape[1:], mode="bilinear")[0]
    return total


def _lateral(image: Tensor, laterals: Tensor, generator: torch.Generator) -> Tensor:
    return laterals[_number(len(laterals), generator)]


_COUNTER = (_on_a_side, _lateral, _upside_down, _negative, _cloud, _shuffled)


def _number(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (1,), generator=generator))


class _Draw:
    """Uniform numbers for each image of a batch."""

    def __init__(self, number: int, generator: torch.Generator) -> None:
        self._number, self._generator = number, generator

    def __call__(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self._number, generator=self._generator)


def _grid(images: Tensor, draw: _Draw) -> Tensor:
    """Return where each pixel comes from."""
    turn = draw(-_TURN, _TURN)
    across = torch.exp(draw(*_ZOOM))
    down = across * torch.exp(draw(-_STRETCH, _STRETCH))
    mirror = 1 - 2 * (draw(0, 1) < 0.5).float()
    matrix = torch.zeros(len(images), 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = torch.cos(turn) * across * mirror, -torch.sin(turn) * down
    matrix[:, 1, 0], matrix[:, 1, 1] = torch.sin(turn) * across * mirror, torch.cos(turn) * down
    matrix[:, 0, 2], matrix[:, 1, 2] = draw(-_SHIFT, _SHIFT), draw(-_SHIFT, _SHIFT)
    return functional.affine_grid(matrix, list(images.shape), align_corners=False)


def _window(side: int, draw: _Draw) -> Tensor:
    """Return 1 in a rectangle whose four edges are drawn independently."""
    place = torch.arange(side)[None]
    axes = []
    for _ in range(2):
        first, last = ((draw(*_CROP).clamp_min(0) * side).round()[:, None] for _ in range(2))
        axes.append(((place >= first) & (place < side - last)).float())
    return axes[0][:, None, :, None] * axes[1][:, None, None, :]


def _box(side: int, draw: _Draw) -> Tensor:
    """Return a rectangle of the size of a few letters."""
    place = torch.arange(side)[None]
    down = (place - draw(0, side)[:, None]).abs() < draw(1, 5)[:, None]
    across = (place - draw(0, side)[:, None]).abs() < draw(2, 10)[:, None]
    return down[:, None, :, None] & across[:, None, None, :]


def _blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Return each image blurred by a Gaussian of its own."""
    side = torch.exp(-1 / (2 * sigma**2 + 1e-3))
    kernel = torch.stack([side, torch.ones_like(side), side], 1)
    kernel = kernel / kernel.sum(1, keepdim=True)
    both = (kernel[:, :, None] * kernel[:, None, :])[:, None]
    return functional.conv2d(images.transpose(0, 1), both, padding=1, groups=len(images)).transpose(0, 1)
