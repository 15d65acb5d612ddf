"""The training loop: Adam, cosine schedule, averaged weights, checkpoints."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from ...engine.errors import UsageError
from ...engine.files import atomic_write
from ..architectures import build
from ..architectures.count_net import CountNet
from .catalogue import Recipe
from .dataset import Batch, Source
from .losses import LOSSES

WARM_UP = 300  # steps, or a twentieth of a short training
AVERAGE_DECAY = 0.999
SAVE_EVERY_S = 120.0


@dataclass(frozen=True)
class Limits:
    """When to stop.

    Parameters
    ----------
    steps : int
        Optimiser steps of the whole schedule.
    minutes : float or None
        Wall time of this run; the schedule follows whichever limit comes first.
    """

    steps: int
    minutes: float | None = None


@dataclass(frozen=True)
class Start:
    """Where a training begins.

    Parameters
    ----------
    checkpoint : Path
        Written every few minutes and at the end; read first where it exists.
    seed : int
        Seed of weights and batches.
    parent : nn.Module or None
        Network of scale 2 whose levels a fresh network of scale 1 takes over; both are ``CountNet``.
    sources : tuple of str
        What the studies come from; the checkpoint adds what earlier runs were trained on.
    """

    checkpoint: Path
    seed: int = 0
    parent: nn.Module | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Parameters
    ----------
    net : nn.Module
        Network with averaged weights.
    steps : int
        Optimiser steps taken over all runs.
    seconds : float
        Wall time over all runs [s].
    losses : list of float
        Mean loss of each hundred steps, or of what a resumed run did of them.
    sources : tuple of str
        What the studies of all runs come from.
    """

    net: nn.Module
    steps: int
    seconds: float
    losses: list[float]
    sources: tuple[str, ...]


@dataclass
class _State:
    """Everything that a checkpoint holds."""

    net: nn.Module
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    sources: tuple[str, ...] = ()

    @classmethod
    def fresh(cls, recipe: Recipe, begin: Start) -> "_State":
        """Begin with new weights, those of a parent, or those of the checkpoint."""
        torch.manual_seed(begin.seed)
        net = build(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if begin.parent is not None:
            _take_over(net, begin.parent, recipe)
        optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=1e-4)
        state = cls(
            net, {name: value.clone() for name, value in net.state_dict().items()}, optimiser, sources=begin.sources
        )
        if begin.checkpoint.exists():
            with _checkpoint(recipe, begin.checkpoint) as stored:
                state.load(stored)
        return state

    def set_rate(self, rate: float) -> None:
        """Set the learning rate."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def advance(self) -> None:
        """Count a step and move the averaged weights towards the current ones."""
        self.step += 1
        follow(self.average, self.net, min(AVERAGE_DECAY, self.step / (self.step + 50)))

    def save(self, path: Path) -> None:
        """Write a checkpoint under a temporary name, then rename."""
        tensors = {"net": self.net.state_dict(), "average": self.average, "optimiser": self.optimiser.state_dict()}
        history = {"step": self.step, "seconds": self.seconds, "losses": self.losses, "sources": list(self.sources)}
        with atomic_write(path) as file:
            torch.save(tensors | history, file)

    def load(self, stored: dict[str, Any]) -> None:
        """Take over what a checkpoint holds."""
        self.net.load_state_dict(stored["net"])
        self.average.update(stored["average"])
        self.optimiser.load_state_dict(stored["optimiser"])
        self.step, self.seconds, self.losses = int(stored["step"]), float(stored["seconds"]), list(stored["losses"])
        self.sources = tuple(dict.fromkeys((*stored.get("sources", ()), *self.sources)))


@torch.no_grad()
def follow(average: dict[str, Tensor], net: nn.Module, kept: float) -> None:
    """Move averaged weights towards those of a network, in place; counters are taken as they are.

    Parameters
    ----------
    average : dict of str to Tensor
        As the network's ``state_dict``.
    net : nn.Module
        What is trained.
    kept : float
        Share of the average that stays [1].
    """
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - kept)
        else:
            average[name].copy_(value)


def fit(recipe: Recipe, pool: Source, limits: Limits, begin: Start, report: Callable[[int, float], None]) -> Trained:
    """Train a network, resuming from the checkpoint where there is one.

    Parameters
    ----------
    recipe : Recipe
        What to train.
    pool : Source
        Studies.
    limits : Limits
        Steps and minutes.
    begin : Start
        Checkpoint, seed and parent.
    report : callable
        Told the step and the running loss.

    Returns
    -------
    Trained
        Averaged weights and the history.
    """
    state = _State.fresh(recipe, begin)
    start = saved = time.monotonic()
    before, first = state.seconds, state.step
    recent: list[float] = []
    stream = pool.batches(recipe, begin.seed, first)
    while (done := progress(state.step, first, time.monotonic() - start, limits)) < 1:
        state.set_rate(recipe.learning_rate * rate(done, state.step, limits))
        recent.append(_step(state, next(stream), recipe))
        state.advance()
        if state.step % 100 == 0:
            state.losses.append(fmean(recent))
            report(state.step, state.losses[-1])
            recent.clear()
        if time.monotonic() - saved > SAVE_EVERY_S:
            saved = time.monotonic()
            state.seconds = before + saved - start
            state.save(begin.checkpoint)
    state.seconds = before + time.monotonic() - start
    state.save(begin.checkpoint)
    return load_trained(recipe, begin.checkpoint)


def load_trained(recipe: Recipe, checkpoint: Path) -> Trained:
    """Return what a checkpoint holds: the network with averaged weights, ready for inference, and its history.

    Parameters
    ----------
    recipe : Recipe
        What was trained.
    checkpoint : Path
        Written by ``fit``.

    Returns
    -------
    Trained
        As ``fit`` returned it.

    Raises
    ------
    UsageError
        If the file is missing, damaged or holds another network.
    """
    if not checkpoint.is_file():
        raise UsageError(f"there is no checkpoint {checkpoint}, train {recipe.name} first.")
    net = build(recipe)
    with _checkpoint(recipe, checkpoint) as stored:
        net.load_state_dict(stored["average"])
        return Trained(
            net.eval(),
            int(stored["step"]),
            float(stored["seconds"]),
            list(stored["losses"]),
            tuple(stored.get("sources", ())),
        )


@contextmanager
def _checkpoint(recipe: Recipe, path: Path) -> Iterator[dict[str, Any]]:
    """Read a checkpoint; whatever does not fit while it is used makes one sentence."""
    try:
        yield torch.load(path, weights_only=True)
    except (RuntimeError, KeyError, ValueError, EOFError, UnpicklingError) as error:
        raise UsageError(f"{path} is no checkpoint of {recipe.name}, remove it or name another.") from error


def _take_over(net: nn.Module, parent: nn.Module, recipe: Recipe) -> None:
    """Start a network from another one of the same kind."""
    if not (isinstance(net, CountNet) and isinstance(parent, CountNet)):
        raise UsageError(f"a {recipe.architecture} cannot start from another network, leave --start-from out.")
    net.start_from(parent)


def _step(state: _State, batch: Batch, recipe: Recipe) -> float:
    """Take one optimiser step and return the loss."""
    counts = torch.from_numpy(batch.counts).contiguous(memory_format=torch.channels_last)
    target = torch.from_numpy(batch.target)
    with torch.autocast("cpu", torch.bfloat16):
        output = state.net(counts)
    value = LOSSES[recipe.loss](recipe.gain * output.float(), recipe.gain * target, recipe.gain * counts)
    state.optimiser.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
    state.optimiser.step()
    return float(value.detach())


def progress(step: int, first: int, spent_s: float, limits: Limits) -> float:
    """Return the share of the schedule that is done.

    Parameters
    ----------
    step, first : int
        Steps taken over all runs, and before this one.
    spent_s : float
        Wall time of this run [s].
    limits : Limits
        When to stop; whichever limit comes first counts.
    """
    by_steps = step / limits.steps
    if limits.minutes is None:
        return by_steps
    start = first / limits.steps
    return max(by_steps, start + (1 - start) * spent_s / (60 * limits.minutes))


def rate(done: float, step: int, limits: Limits) -> float:
    """Return the learning rate relative to its peak: warm-up, then half a cosine down to one per cent.

    Parameters
    ----------
    done : float
        See :func:`progress`.
    step : int
        Steps taken over all runs.
    limits : Limits
        Of the training.
    """
    warm = step / min(WARM_UP, max(limits.steps // 20, 1))
    cosine = float(torch.cos(torch.tensor(min(done, 1.0) * torch.pi)))
    return min(1.0, 0.01 + warm) * (0.505 + 0.495 * cosine)
