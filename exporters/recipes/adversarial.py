"""The second half of SRGAN: a generator learns to please a discriminator and a feature network.

The features are those of a classifier trained here, without labels: it tells by how much a noise-free image was blurred and how
much noise was added, hence looks at what makes images seem sharp or grainy.

References
----------
* Ledig et al., Photo-realistic single image super-resolution using a generative adversarial network, CVPR (2017).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..architectures.srresnet import Discriminator
from .catalogue import Recipe
from .dataset import Source

BLURS_PX = (0.0, 0.7, 1.2, 2.0)
NOISES = (0.0, 0.1)  # of the square root of the image
_TAPS = 7


@dataclass(frozen=True)
class Schedule:
    """How the generator is refined.

    Parameters
    ----------
    steps : int
        Steps of generator and discriminator.
    feature_steps : int
        Steps of the feature network before.
    learning_rate : float
        Of generator and discriminator.
    pixels, features, adversary : float
        Weights of the absolute error, of the squared error of features, and of the discriminator's verdict.
    width : int
        Features of the discriminator's first layer.
    """

    steps: int = 1500
    feature_steps: int = 400
    learning_rate: float = 2e-4
    pixels: float = 0.2
    features: float = 1.0
    adversary: float = 5e-3
    width: int = 16


class FeatureNet(nn.Module):
    """Classifier of blur and noise whose inner layers serve as features.

    Examples
    --------
    >>> FeatureNet()(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 8])
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU())
        self.classify = nn.Linear(64, len(BLURS_PX) * len(NOISES))

    def features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return features at half and at a quarter of the image's sides."""
        half = self.first(image)
        return half, self.second(half)

    def forward(self, image: Tensor) -> Tensor:
        """Return a logit for every kind of degradation, shape (n, 8)."""
        logits: Tensor = self.classify(self.features(image)[1].mean((2, 3)))
        return logits


def train_features(pool: Source, recipe: Recipe, steps: int, seed: int = 0) -> FeatureNet:
    """Return a feature network, trained on the noise-free images of a pool.

    Parameters
    ----------
    pool : Source
        Studies.
    recipe : Recipe
        Patch and batch size.
    steps : int
        Optimiser steps.
    seed : int
        Decides weights, patches and degradations.
    """
    torch.manual_seed(seed)
    net, rng = FeatureNet(), np.random.default_rng([71, seed])
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    for batch in islice(pool.batches(recipe, seed + 1), steps):
        classes = rng.integers(len(BLURS_PX) * len(NOISES), size=len(batch.target))
        images = torch.stack(
            [degraded(torch.from_numpy(t), int(k)) for t, k in zip(batch.target, classes, strict=True)]
        )
        _descend(optimiser, functional.cross_entropy(net(images), torch.from_numpy(classes)))
    return net.eval().requires_grad_(False)


def degraded(image: Tensor, kind: int) -> Tensor:
    """Return an image, shape (1, h, w), blurred and with noise as the class `kind` has it."""
    width, noise = BLURS_PX[kind // len(NOISES)], NOISES[kind % len(NOISES)]
    if width:
        at = torch.arange(-_TAPS, _TAPS + 1.0)
        kernel = torch.exp(-0.5 * (at / width).square())
        kernel = (kernel / kernel.sum()).reshape(1, 1, -1, 1)
        image = functional.conv2d(image[None], kernel, padding=(_TAPS, 0))
        image = functional.conv2d(image, kernel.transpose(2, 3), padding=(0, _TAPS))[0]
    return image + noise * functional.relu(image).sqrt() * torch.randn(image.shape) if noise else image


def refine(
    net: nn.Module,
    pool: Source,
    recipe: Recipe,
    schedule: Schedule,
    seed: int = 0,
    report: Callable[[int, float], None] = lambda step, share: None,
) -> nn.Module:
    """Return the generator after the adversarial half of its training; `net` itself is changed.

    Parameters
    ----------
    net : nn.Module
        Generator that was trained for small errors.
    pool : Source
        Studies.
    recipe : Recipe
        Patch and batch size.
    schedule : Schedule
        Steps and weights.
    seed : int
        Decides the weights of the two other networks, and the patches.
    report : callable
        Told the step and the share of generated patches that the discriminator takes for real.
    """
    judge = train_features(pool, recipe, schedule.feature_steps, seed)
    critic = Discriminator(schedule.width)
    net.train()
    makers = torch.optim.Adam(net.parameters(), lr=schedule.learning_rate, betas=(0.9, 0.99))
    critics = torch.optim.Adam(critic.parameters(), lr=schedule.learning_rate, betas=(0.9, 0.99))
    for step, batch in enumerate(islice(pool.batches(recipe, seed + 2), schedule.steps), start=1):
        real = torch.from_numpy(batch.target)
        with torch.autocast("cpu", torch.bfloat16):
            made = net(torch.from_numpy(batch.counts)).float()
            fakes, reals = critic(made.detach()).float(), critic(real).float()
        _descend(critics, (functional.softplus(-reals) + functional.softplus(fakes)).mean())
        with torch.autocast("cpu", torch.bfloat16):
            verdict = critic(made).float()
            seen, wanted = judge.features(made), judge.features(real)
        content = sum(functional.mse_loss(a.float(), b.float()) for a, b in zip(seen, wanted, strict=True))
        _descend(
            makers,
            schedule.pixels * functional.l1_loss(made, real)
            + schedule.features * content
            + schedule.adversary * functional.softplus(-verdict).mean(),
        )
        if step % 50 == 0:
            report(step, float((verdict > 0).float().mean()))
    return net.eval()


def _descend(optimiser: torch.optim.Optimizer, value: Tensor) -> None:
    """Take one step."""
    optimiser.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
