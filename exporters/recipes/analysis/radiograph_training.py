"""Training of ``cxr-view``: networks for each fold, whose own images judge them, and all of them together in the bundle."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ....engine.errors import UsageError
from ....engine.files import atomic_write
from ...architectures.analysis.radiograph import RadiographEnsemble, RadiographNet
from .radiograph_augmentation import augment, counterexamples
from .radiograph_images import SIDE, Pool, folds, simulated_laterals

__all__ = [
    "CrossValidation",
    "RadiographRecipe",
    "cross_validate",
    "fit_radiographs",
    "load_or_cross_validate",
    "logits_of",
    "margins",
    "scaled_down",
]

Tell = Callable[[str], None]
_BATCH_OF_INFERENCE = 64
_LEAST = 1e-6
_LATERALS = 48


@dataclass(frozen=True)
class RadiographRecipe:
    """Everything that decides the weights.

    Parameters
    ----------
    side : int
        Rows and columns of the grid.
    widths : tuple of int
        See ``RadiographNet``.
    folds, members : int
        Folds, and networks for each of them.
    epochs : int
        Times that as many images are drawn as there are.
    batch : int
        Images per step.
    counterexamples : int
        Images per step that are no frontal radiographs.
    learning_rate : float
        Peak of the cosine schedule.
    weight_decay : float
        Of AdamW.
    smoothing : float
        Of the labels.
    gate : float
        Weight of the loss that teaches the gate where the thorax is.
    outside : float
        Weight of the share of the class activation that lies outside of the thorax.
    """

    side: int = SIDE
    widths: tuple[int, int, int] = (16, 32, 16)
    folds: int = 5
    members: int = 2
    epochs: int = 50
    batch: int = 32
    counterexamples: int = 12
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    smoothing: float = 0.05
    gate: float = 0.5
    outside: float = 0.1


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Networks and what each said about the images that it was not trained on.

    Parameters
    ----------
    nets : tuple of tuple of RadiographNet
        Members, for each fold.
    folds : ndarray, shape (n,), int
        Fold of each image.
    logits : ndarray, shape (n, 2), float32
        Of each image, mean of the networks that did not see its patient.
    steps : int
        Optimiser steps of all networks.
    seconds : float
        Wall time of the training [s].
    """

    nets: tuple[tuple[RadiographNet, ...], ...]
    folds: NDArray[np.intp]
    logits: NDArray[np.float32]
    steps: int
    seconds: float

    @property
    def ensemble(self) -> RadiographEnsemble:
        """All networks as one."""
        return RadiographEnsemble([net for members in self.nets for net in members])


def scaled_down(recipe: RadiographRecipe, steps: int | None) -> RadiographRecipe:
    """Return a recipe of at most so many steps for each network, if any are given; less than an epoch is one.

    Parameters
    ----------
    recipe : RadiographRecipe
        The whole training.
    steps : int or None
        Optimiser steps of each network; ten are taken as an epoch.

    Examples
    --------
    >>> scaled_down(RadiographRecipe(), 20).epochs
    2
    """
    return recipe if steps is None else replace(recipe, epochs=max(1, min(recipe.epochs, steps // 10)))


def cross_validate(pool: Pool, recipe: RadiographRecipe, seed: int, tell: Tell) -> CrossValidation:
    """Train networks without each fold.

    Parameters
    ----------
    pool : Pool
        All images.
    recipe : RadiographRecipe
        How to train.
    seed : int
        Of folds, weights and batches.
    tell : callable
        Told what goes on.

    Returns
    -------
    CrossValidation
        Networks, and logits of every image by those that did not see it.
    """
    begun, fold = time.monotonic(), folds(pool, recipe.folds, seed)
    logits = np.zeros((len(pool), 2), np.float32)
    nets, steps = [], 0
    for index in range(recipe.folds):
        rows, held_out = np.flatnonzero(fold != index), np.flatnonzero(fold == index)
        seeds = (np.arange(recipe.members) + recipe.members * (index + recipe.folds * seed)).tolist()
        tell(f"fold {index + 1} of {recipe.folds}")
        members = tuple(fit_radiographs(pool, rows, recipe, each) for each in seeds)
        logits[held_out] = logits_of(RadiographEnsemble(members), pool.images[held_out])
        nets.append(members)
        steps += recipe.members * _steps(len(rows), recipe)
    return CrossValidation(tuple(nets), fold, logits, steps, time.monotonic() - begun)


def load_or_cross_validate(path: Path, pool: Pool, recipe: RadiographRecipe, seed: int, tell: Tell) -> CrossValidation:
    """Return what an earlier training left in a file, or train and leave it there.

    Parameters
    ----------
    path : Path
        Checkpoint.
    pool, recipe, seed, tell
        See :func:`cross_validate`.

    Raises
    ------
    UsageError
        If the file is no checkpoint of this recipe, seed and pool.
    """
    identity = {"recipe": repr(recipe), "seed": seed, "patients": pool.patients.tolist()}
    if path.exists():
        return _load(path, recipe, identity)
    found = cross_validate(pool, recipe, seed, tell)
    nets = [[net.state_dict() for net in members] for members in found.nets]
    rest = {"folds": found.folds, "logits": found.logits}
    tensors = {name: torch.from_numpy(values) for name, values in rest.items()}
    with atomic_write(path) as file:
        torch.save({"nets": nets, "steps": found.steps, "seconds": found.seconds} | tensors | identity, file)
    return found


def _load(path: Path, recipe: RadiographRecipe, identity: dict[str, object]) -> CrossValidation:
    """Read a checkpoint."""
    try:
        stored = torch.load(path, weights_only=True)
        if any(stored[name] != value for name, value in identity.items()):
            raise ValueError("another recipe, seed or set of images")
        nets = []
        for members in stored["nets"]:
            made = tuple(RadiographNet(recipe.widths).eval() for _ in members)
            for net, weights in zip(made, members, strict=True):
                net.load_state_dict(weights)
            nets.append(made)
        arrays = stored["folds"].numpy(), stored["logits"].numpy()
        return CrossValidation(tuple(nets), *arrays, int(stored["steps"]), float(stored["seconds"]))
    except (RuntimeError, KeyError, ValueError, EOFError, UnpicklingError, AttributeError) as error:
        raise UsageError(f"{path} is no checkpoint of this training ({error}); remove it.") from error


def fit_radiographs(pool: Pool, rows: NDArray[np.intp], recipe: RadiographRecipe, seed: int) -> RadiographNet:
    """Train one network.

    Both classes are drawn equally often, and within each class a stratum as often as the square root of its size says, so that
    no collection drowns the others.

    Parameters
    ----------
    pool : Pool
        Images.
    rows : ndarray of int
        Which of them to train on.
    recipe : RadiographRecipe
        How.
    seed : int
        Of weights and batches.

    Returns
    -------
    RadiographNet
        In evaluation mode.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = RadiographNet(recipe.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    images, thoraxes = _tensor(pool.images[rows]), _tensor(pool.thoraxes[rows])
    classes, odds = torch.from_numpy(pool.classes[rows]), _odds(pool, rows)
    laterals = _tensor(simulated_laterals(_LATERALS, side=recipe.side))
    steps = _steps(len(rows), recipe)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, steps)
        batch = torch.multinomial(odds, recipe.batch, replacement=True, generator=generator)
        changed, thorax = augment(images[batch], thoraxes[batch], generator)
        others = counterexamples(changed[: recipe.counterexamples], laterals, generator)
        loss = _loss(net, changed, thorax, classes[batch], others, recipe)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return net.to(memory_format=torch.contiguous_format).eval()


def logits_of(net: torch.nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits of AP and PA.

    Parameters
    ----------
    net : torch.nn.Module
        In evaluation mode.
    images : ndarray, shape (n, side, side)
        On the model's grid.

    Returns
    -------
    ndarray, shape (n, 2), float32
    """
    with torch.inference_mode():
        parts = [net(_tensor(images[i : i + _BATCH_OF_INFERENCE])) for i in range(0, len(images), _BATCH_OF_INFERENCE)]
    return np.asarray(torch.cat(parts).flatten(1).numpy())


def margins(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the log odds of AP, shape (n,)."""
    return np.asarray(logits[:, 0] - logits[:, 1])


def _loss(
    net: RadiographNet, images: Tensor, thorax: Tensor, classes: Tensor, others: Tensor, recipe: RadiographRecipe
) -> Tensor:
    """Return the loss of the classes, of the gate, of evidence outside of the thorax and of features where there is none."""
    number = len(images)
    features, gate = net.gated(net.gradients(torch.cat([images, others])))
    target = functional.avg_pool2d(thorax, images.shape[-1] // gate.shape[-1])
    own = features[:number]
    right = functional.cross_entropy(net.head(own).flatten(1), classes, label_smoothing=recipe.smoothing)
    nowhere = torch.zeros_like(gate[number:])
    found = functional.binary_cross_entropy_with_logits(gate, torch.cat([target, nowhere]))
    cam = functional.relu(functional.conv2d(own, net.linear.weight))
    astray = (cam * (1 - target)).sum((2, 3)) / (cam.sum((2, 3)) + _LEAST)
    return right + recipe.gate * (found + features[number:].mean()) + recipe.outside * astray.mean()


def _odds(pool: Pool, rows: NDArray[np.intp]) -> Tensor:
    """Return how often each image is drawn."""
    _, stratum, sizes = np.unique(pool.strata[rows], return_inverse=True, return_counts=True)
    odds = 1 / np.sqrt(sizes[stratum])
    for kind in np.unique(pool.classes[rows]):
        own = pool.classes[rows] == kind
        odds[own] /= odds[own].sum()
    return torch.from_numpy(odds)


def _schedule(step: int, steps: int) -> float:
    """Return a cosine after a tenth of warming up."""
    return min(1.0, (step + 1) / (0.1 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _steps(images: int, recipe: RadiographRecipe) -> int:
    return max(1, recipe.epochs * images // recipe.batch)


def _tensor(stack: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.asarray(stack, np.float32))[:, None]
