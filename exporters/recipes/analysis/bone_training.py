"""Training of ``bone-classify``: which label the ribs have, and that the evidence for it lies in the lesions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ...architectures.analysis.classifier import BoneNet
from .bone_images import Pool
from .common import Fitted, Limits, Optimiser, fit

__all__ = ["BoneRecipe", "centre", "fit_bones", "inferred"]

_LEAST = 1e-6
_BATCH_OF_INFERENCE = 64
_OCTAVES = ((4, 0.25), (16, 0.12), (32, 0.08))  # cells across the image, largest standard deviation of the logarithm


@dataclass(frozen=True)
class BoneRecipe:
    """Everything that decides the weights.

    Parameters
    ----------
    widths, features : tuple of int, int
        See :class:`~photopeak.exporters.architectures.analysis.classifier.BoneNet`.
    batch : int
        Rib regions per step.
    steps : int
        Optimiser steps.
    optimiser : Optimiser
        How weights are changed.
    outline : float
        Weight of the loss that asks each position for its lesion, which the bundle does without.
    astray : float
        Weight of the share of the evidence that lies outside of the lesions.
    patients, tuning : int
        Simulated patients, each with normal ribs, fractures and metastases: of the training, and for temperature, threshold
        and domains.
    """

    widths: tuple[int, int, int] = (12, 24, 40)
    features: int = 16
    batch: int = 18
    steps: int = 4500
    optimiser: Optimiser = field(default_factory=lambda: Optimiser(learning_rate=3e-3, average_decay=0.995))
    outline: float = 1.0
    astray: float = 1.0
    patients: int = 1000
    tuning: int = 130


class _Taught(nn.Module):
    """The network with a second head that is there for the training alone: which lesion lies at each position."""

    def __init__(self, recipe: BoneRecipe) -> None:
        super().__init__()
        self.net = BoneNet(recipe.widths, recipe.features)
        self.outline = nn.Conv2d(recipe.features, 2, 1)
        nn.init.constant_(cast(Tensor, self.outline.bias), -3.0)
        # Features are scaled for the mean over all positions; here each stands for itself.
        nn.init.normal_(self.outline.weight, std=2e-3)


def fit_bones(
    pool: Pool,
    recipe: BoneRecipe,
    limits: Limits,
    checkpoint: Path,
    seed: int,
    *,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Fitted:
    """Train the network.

    Parameters
    ----------
    pool : Pool
        Rib regions of the training.
    recipe : BoneRecipe
        How.
    limits : Limits
        Steps and minutes.
    checkpoint : Path
        Where a run that was stopped goes on.
    seed : int
        Of weights and batches.
    report : callable
        Told the step and the loss.

    Returns
    -------
    Fitted
        Its network is a :class:`~photopeak.exporters.architectures.analysis.classifier.BoneNet`.
    """
    torch.manual_seed(seed)
    taught = _Taught(recipe)

    def loss(net: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return _loss(cast(_Taught, net), batch, recipe)

    fitted = fit(
        taught,
        lambda first: _batches(pool, recipe.batch, seed, first),
        loss,
        limits,
        checkpoint=checkpoint,
        optimiser=recipe.optimiser,
        report=report,
    )
    net = cast(_Taught, fitted.net).net.eval()
    centre(net)
    return Fitted(net, fitted.steps, fitted.seconds, fitted.losses)


@torch.no_grad()
def centre(net: BoneNet) -> None:
    """Take from every logit what all of them share, which changes no probability but decides what counts as evidence.

    Evidence for a label is then what speaks for it rather than for the others, as the training saw it.
    """
    for part in (net.linear.weight, cast(Tensor, net.linear.bias)):
        part.sub_(part.mean(0, keepdim=True))


def inferred(net: nn.Module, counts: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Return what a network gives for rib regions.

    Parameters
    ----------
    net : nn.Module
        In evaluation mode.
    counts : ndarray, shape (n, side, side), float32
        Counts per pixel of the working grid.

    Returns
    -------
    tuple of ndarray
        One for each output, the first axis n.
    """
    parts = []
    with torch.inference_mode():
        for start in range(0, len(counts), _BATCH_OF_INFERENCE):
            given = net(torch.from_numpy(counts[start : start + _BATCH_OF_INFERENCE, None]))
            parts.append(given if isinstance(given, tuple) else (given,))
    return tuple(torch.cat(each).numpy() for each in zip(*parts, strict=True))


def _loss(taught: _Taught, batch: tuple[Tensor, Tensor, Tensor], recipe: BoneRecipe) -> Tensor:
    counts, labels, lesions = batch
    features = taught.net.features(counts).float()
    right = functional.cross_entropy(taught.net.head(features).float().flatten(1), labels, label_smoothing=0.02)
    truth = torch.cat([lesions * (labels == k).view(-1, 1, 1, 1) for k in (1, 2)], 1)
    logits = taught.outline(features).float()
    # Few positions hold a lesion: those count more.
    where = functional.binary_cross_entropy_with_logits(logits, truth, weight=1 + 9 * truth)
    weights = taught.net.linear.weight
    own = (weights - weights.mean(0))[labels]
    evidence = functional.relu((features * own.flatten(2)[..., None]).sum(1, keepdim=True))
    # No evidence at all is as bad as evidence elsewhere.
    outside = 1 - (evidence * lesions).sum((1, 2, 3)) / (evidence.sum((1, 2, 3)) + _LEAST)
    has = (labels > 0).float()
    astray = (outside * has).sum() / (has.sum() + _LEAST)
    return right + recipe.outline * 10 * where + recipe.astray * astray


def _batches(pool: Pool, batch: int, seed: int, first: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield batches without end, each label as often as the others."""
    rows = [np.flatnonzero(pool.labels == label) for label in np.unique(pool.labels)]
    step = first
    while True:
        rng = np.random.default_rng([seed, step])
        chosen = np.concatenate([rng.choice(own, -(-batch // len(rows))) for own in rows])[:batch]
        counts, lesions = _changed(pool.counts[chosen], pool.lesions[chosen], rng)
        yield counts, torch.from_numpy(pool.labels[chosen]), lesions
        step += 1


def _changed(
    counts: NDArray[np.float32], lesions: NDArray[np.float32], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return rib regions of other counts, mirrored, moved, turned and stretched."""
    n = len(counts)
    kept = np.where(rng.random(n) < 0.5, 1.0, np.exp(rng.uniform(np.log(0.25), 0, n)))[:, None, None]
    noise = np.sqrt(counts * kept * (1 - kept)) * rng.normal(size=counts.shape)  # what binomial thinning adds
    fewer = np.maximum(counts * kept + noise, 0).astype(np.float32)
    angle, stretch = rng.normal(0, 0.05, n), np.exp(rng.normal(0, 0.06, n))
    mirror = rng.choice([-1.0, 1.0], n)
    moved = rng.normal(0, 0.07, (n, 2))
    theta = np.zeros((n, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = stretch * mirror * np.cos(angle), -stretch * np.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = stretch * mirror * np.sin(angle), stretch * np.cos(angle)
    theta[:, :, 2] = moved
    as_is = rng.random(n) < 0.3  # interpolation smooths: some keep the noise that they have
    theta[as_is] = 0
    theta[as_is, 0, 0], theta[as_is, 1, 1] = mirror[as_is], 1
    images, masks = torch.from_numpy(fewer[:, None]), torch.from_numpy(lesions[:, None])
    return _warped(images * _unevenness(images, rng), theta), _warped(masks, theta)


def _unevenness(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Return factors that vary smoothly over each image: no simulated tissue is as uneven as a real one."""
    total = torch.zeros_like(images)
    for cells, strength in _OCTAVES:
        field = rng.normal(0, rng.uniform(0, strength, (len(images), 1, 1, 1)), (len(images), 1, cells, cells))
        small = torch.from_numpy(field.astype(np.float32))
        total += functional.interpolate(small, images.shape[-2:], mode="bicubic", align_corners=False)
    return torch.exp(total)


def _warped(images: Tensor, theta: NDArray[np.float32]) -> Tensor:
    grid = functional.affine_grid(torch.from_numpy(theta), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
