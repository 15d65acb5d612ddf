"""Going on with the training of a denoiser on noisy images alone.

Each image is split into an input and a target whose noises are uncorrelated. Then the squared error against the target is, on
average, that against the unknown noise-free image plus a constant: what makes it small is the same (Noise2Noise). Counts are split exactly,
by thinning. A reconstructed slice is recorrupted: noise as it has itself is added to the input and, the more strongly the less was added,
taken from the target.

References
----------
* Lehtinen et al., Noise2Noise: learning image restoration without clean data, ICML (2018).
* Pang et al., Recorrupted-to-Recorrupted: unsupervised deep learning for image denoising, CVPR (2021).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...engine import postprocess
from ...engine.errors import InputError, ModelError
from ..phantoms.camera import thin
from .catalogue import Recipe
from .dataset import Batch
from .losses import LOSSES
from .noise import Noise

Floats = NDArray[np.float32]
Tell = Callable[[int, float], None]
LEAST_SIDE = 64
HELD_OUT_BATCHES = 12
LARGEST_BIAS = 0.01  # of the mean, which the engine restores; what is further off has lost more than the mean
_KEPT = (0.5, 0.9)  # of the counts, for the input
_STRENGTH = 0.5  # of the noise that is added, over the image's own
_ACTIVE = 0.05  # of the brightest pixels
_LEAST_MEAN = 0.1  # counts per pixel, so that empty patches do not decide
_LOSS = "variance"  # quadratic, as targets with noise need it
_DECAY = 0.97


@dataclass(frozen=True)
class Settings:
    """How far an adaptation goes.

    Parameters
    ----------
    steps : int
        Optimiser steps at most.
    minutes : float or None
        Wall time at most.
    learning_rate : float
        Peak of the schedule; a fifth of what a training has.
    batch : int
        Patches per step, even.
    patch : int
        Side of a patch at most [px].
    every : int
        Steps from one look at the held-out images to the next.
    patience : int
        Looks without a smaller error before it ends.
    seed : int
        Seed of patches and splits.
    """

    steps: int = 240
    minutes: float | None = None
    learning_rate: float = 2e-4
    batch: int = 8
    patch: int = 64
    every: int = 30
    patience: int = 3
    seed: int = 0


class Views(Protocol):
    """Noisy images that can be split."""

    @property
    def images(self) -> Sequence[Floats]:
        """The images as they are."""

    def inputs(self, rng: np.random.Generator) -> list[Floats]:
        """Return one input split from each whole image."""

    def batch(self, size: int, side: int, rng: np.random.Generator) -> Batch:
        """Return so many patches of at most so many pixels along a side, with their targets."""

    def judged(self, size: int, side: int, rng: np.random.Generator) -> Batch:
        """Return patches with targets whose independence rests on nothing that was measured."""


@dataclass(frozen=True)
class Thinned:
    """Images of counts: a share of the counts, drawn one by one, predicts what the others tell.

    Parameters
    ----------
    images : sequence of ndarray, shape (rows, columns), float32
        Whole counts.
    """

    images: Sequence[Floats]

    def inputs(self, rng: np.random.Generator) -> list[Floats]:
        """Return a thinned image for each."""
        return [thin(image, float(rng.uniform(*_KEPT)), rng)[0] for image in self.images]

    def batch(self, size: int, side: int, rng: np.random.Generator) -> Batch:
        """Return split patches; the share differs from patch to patch."""
        inputs, targets = [], []
        for _ in range(size):
            fraction = float(rng.uniform(*_KEPT))
            kept, rest = thin(_crop(self.images, side, rng)[0], fraction, rng)
            inputs.append(kept)
            targets.append(rest * np.float32(fraction / (1 - fraction)))
        return Batch(np.stack(inputs)[:, None], np.stack(targets)[:, None])

    def judged(self, size: int, side: int, rng: np.random.Generator) -> Batch:
        """Return split patches: thinning is exact."""
        return self.batch(size, side, rng)


@dataclass(frozen=True)
class Recorrupted:
    """Reconstructed slices with noise that is known: each patch comes twice, with the same noise added and subtracted.

    Parameters
    ----------
    images : sequence of ndarray, shape (rows, columns), float32
        Concentrations.
    noises : sequence of Noise
        That of each image.
    beside : sequence of ndarray or None
        Mean of two slices of the same series, one on each side, so far away that they share no noise with the image; None where
        there are none.
    """

    images: Sequence[Floats]
    noises: Sequence[Noise]
    beside: Sequence[Floats | None] = ()

    def inputs(self, rng: np.random.Generator) -> list[Floats]:
        """Return a noisier image for each, in its own units."""
        found = []
        for image, noise in zip(self.images, self.noises, strict=True):
            drawn = noise.draw((image.shape[0], image.shape[1]), rng)
            found.append(image + np.float32(_STRENGTH) * noise.deviation(image) * drawn)
        return found

    def batch(self, size: int, side: int, rng: np.random.Generator) -> Batch:
        """Return split patches, divided by the robust maximum of their slice as the engine does."""
        inputs, targets = [], []
        for _ in range(size // 2):
            patch, which = _crop(self.images, side, rng)
            noise = self.noises[which]
            drawn = noise.deviation(patch) * noise.draw((patch.shape[0], patch.shape[1]), rng)
            peak = postprocess.peaks(self.images[which][None], 1)[0]
            for sign in (_STRENGTH, -_STRENGTH):
                inputs.append((patch + np.float32(sign) * drawn) / peak)
                targets.append((patch - drawn / np.float32(sign)) / peak)
        return Batch(np.stack(inputs)[:, None], np.stack(targets)[:, None])

    def judged(self, size: int, side: int, rng: np.random.Generator) -> Batch:
        """Return patches as they are, with the slices on both sides as targets: where these differ is the same for any network."""
        known = [k for k, other in enumerate(self.beside) if other is not None]
        if not known:
            raise InputError("no held-out slice has others far enough on both sides; give series of more slices.")
        inputs, targets = [], []
        for _ in range(size):
            k = known[int(rng.integers(len(known)))]
            pair = (
                np.stack([self.images[k], np.asarray(self.beside[k])]) / postprocess.peaks(self.images[k][None], 1)[0]
            )
            patch = pair[(slice(None), *_window(pair[0], side, rng))]
            inputs.append(patch[0])
            targets.append(patch[1])
        return Batch(np.stack(inputs)[:, None], np.stack(targets)[:, None])


@dataclass(frozen=True)
class Adapted:
    """What an adaptation came to.

    Parameters
    ----------
    net : nn.Module
        With the weights that did best on the held-out images.
    steps : int
        Optimiser steps to these weights.
    seconds : float
        Wall time [s].
    before, after : float
        Error on the held-out images, of which a constant is the noise of the targets, and for slices what differs beside them.
    deviation : float
        Standard error of the difference of the two.
    bias : float
        Mean of the output over that of the input, minus 1, on held-out images.
    """

    net: nn.Module
    steps: int
    seconds: float
    before: float
    after: float
    deviation: float
    bias: float


def adapt(net: nn.Module, recipe: Recipe, images: Views, held_out: Views, settings: Settings, tell: Tell) -> Adapted:
    """Adapt a network in place.

    Parameters
    ----------
    net : nn.Module
        A trained denoiser.
    recipe : Recipe
        What it was trained as.
    images, held_out : Views
        What to learn from, and what to judge by.
    settings : Settings
        Steps, time and step width.
    tell : callable
        Told the step and the held-out error in units of that at the beginning.

    Returns
    -------
    Adapted
        The best weights that were seen.

    Raises
    ------
    ModelError
        If no weights did better than those at the beginning, by more than twice the standard error.
    """
    torch.manual_seed(settings.seed)
    judge = _Judge(recipe, held_out, settings)
    average = _copy(net.state_dict())
    first, _ = judge(net)
    best = _Best(0.0, 0, _copy(net.state_dict()))
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.learning_rate)
    rng, begun, worse = np.random.default_rng([settings.seed, 1]), monotonic(), 0
    for step in count(1):
        done = max(step / settings.steps, (monotonic() - begun) / (60 * settings.minutes) if settings.minutes else 0.0)
        _advance(net, optimiser, images.batch(settings.batch, settings.patch, rng), recipe, settings, done)
        for name, value in net.state_dict().items():
            average[name].lerp_(value, 1 - min(_DECAY, step / (step + 10)))
        if step % settings.every == 0 or done >= 1:
            errors, bias = judge(net, average)
            change = float((errors - first).mean())
            tell(step, float(errors.mean() / first.mean()))
            if change < best.change and abs(bias) <= LARGEST_BIAS:
                best, worse = _Best(change, step, _copy(average)), 0
            else:
                worse += 1
            if worse >= settings.patience or done >= 1:
                break
    net.load_state_dict(best.weights)
    errors, bias = judge(net)
    deviation = float((errors - first).std(ddof=1) / np.sqrt(len(errors)))
    found = Adapted(net, best.step, monotonic() - begun, float(first.mean()), float(errors.mean()), deviation, bias)
    if not found.before - found.after > 2 * deviation:
        raise ModelError(
            f"{recipe.name} did no better on held-out images after {step} steps than before; use it as it is, or give more images."
        )
    return found


@dataclass(frozen=True)
class _Best:
    """The best weights so far, and by how much they changed the held-out error."""

    change: float
    step: int
    weights: dict[str, Tensor]


def _copy(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in weights.items()}


class _Judge:
    """The error of a network on patches of held-out images, always the same ones; what is bright counts as in PSNR."""

    def __init__(self, recipe: Recipe, held_out: Views, settings: Settings) -> None:
        rng = np.random.default_rng([settings.seed, 2])
        self._batches = [held_out.judged(settings.batch, settings.patch, rng) for _ in range(HELD_OUT_BATCHES)]
        self._recipe = recipe

    @torch.no_grad()
    def __call__(self, net: nn.Module, weights: dict[str, Tensor] | None = None) -> tuple[NDArray[np.float64], float]:
        """Return the error of each batch, and the bias of the mean."""
        errors, sums = [], np.zeros(2)
        for batch in self._batches:
            counts, target = torch.from_numpy(batch.counts), torch.from_numpy(batch.target)
            output = torch.func.functional_call(net, weights, (counts,)) if weights else net(counts)
            squares = (output - target).square().mean((1, 2, 3)) / (
                counts.mean((1, 2, 3)) + _LEAST_MEAN / self._recipe.gain
            )
            errors.append(self._recipe.gain * float(squares.mean()))
            sums += float(output.sum()), float(counts.sum())
        return np.array(errors), float(sums[0] / sums[1] - 1)


def _advance(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    recipe: Recipe,
    settings: Settings,
    done: float,
) -> None:
    """Take one step, at a rate that rises over the first twentieth and falls to nothing."""
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate * min(20 * done, 1.0) * 0.5 * (1 + np.cos(np.pi * min(done, 1.0)))
    counts = torch.from_numpy(batch.counts)
    with torch.autocast("cpu", torch.bfloat16):
        output = net(counts)
    optimiser.zero_grad(set_to_none=True)
    _loss(recipe, output.float(), torch.from_numpy(batch.target), counts).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()


def _loss(recipe: Recipe, output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    return LOSSES[_LOSS](recipe.gain * output, recipe.gain * target, recipe.gain * counts)


def _crop(images: Sequence[Floats], side: int, rng: np.random.Generator) -> tuple[Floats, int]:
    """Cut a patch around activity, turned and mirrored, and say from which image; its sides are multiples of 8."""
    which = int(rng.integers(len(images)))
    patch = np.rot90(images[which][_window(images[which], side, rng)], int(rng.integers(4)))
    return np.ascontiguousarray(patch[:, ::-1] if rng.random() < 0.5 else patch), which


def _window(image: Floats, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return a square around activity; its sides are multiples of 8."""
    at = np.argwhere(image > _ACTIVE * np.quantile(image, 0.995))
    middle = at[int(rng.integers(len(at)))] if len(at) else np.array(image.shape) // 2
    side = min(side, *(n // 8 * 8 for n in image.shape))
    top, left = (int(np.clip(m - side // 2, 0, n - side)) for m, n in zip(middle, image.shape, strict=True))
    return slice(top, top + side), slice(left, left + side)
