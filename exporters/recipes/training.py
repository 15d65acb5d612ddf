"""The training loop: Adam, cosine schedule, averaged weights, checkpoints."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..architectures.count_net import CountNet
from .catalogue import Recipe
from .dataset import Batch, Pool, batches

WARM_UP = 300  # steps, or a twentieth of a short training
AVERAGE_DECAY = 0.999
FLOOR = 0.1


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
    parent : CountNet or None
        Network of scale 2 whose levels a fresh network of scale 1 takes over.
    """

    checkpoint: Path
    seed: int = 0
    parent: CountNet | None = None


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Parameters
    ----------
    net : CountNet
        Network with averaged weights.
    steps : int
        Optimiser steps taken over all runs.
    seconds : float
        Wall time over all runs [s].
    losses : list of float
        Mean loss of each hundred steps.
    """

    net: CountNet
    steps: int
    seconds: float
    losses: list[float]


def make_net(recipe: Recipe) -> CountNet:
    """Return the untrained network of a recipe."""
    return CountNet(recipe.channels, recipe.blocks, recipe.scale)


def fit(recipe: Recipe, pool: Pool, limits: Limits, begin: Start, report: Callable[[int, float], None]) -> Trained:
    """Train a network, resuming from the checkpoint where there is one.

    Parameters
    ----------
    recipe : Recipe
        What to train.
    pool : Pool
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
    torch.manual_seed(begin.seed)
    net = make_net(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if begin.parent is not None:
        net.start_from(begin.parent)
    average = {name: value.clone() for name, value in net.state_dict().items()}
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=1e-4)
    step, before, losses = _restore(begin.checkpoint, net, average, optimiser)
    start = saved = time.monotonic()
    running, stream = 0.0, batches(pool, recipe, begin.seed, step)
    first = step
    while step < limits.steps:
        spent = time.monotonic() - start
        done = _progress(step, first, spent, limits)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(done, step / min(WARM_UP, max(limits.steps // 20, 1)))
        running += _step(net, next(stream), optimiser)
        step += 1
        _follow(average, net, min(AVERAGE_DECAY, step / (step + 50)))
        if step % 100 == 0:
            losses.append(running / 100)
            report(step, running / 100)
            running = 0.0
        if time.monotonic() - saved > 120:
            _save(begin.checkpoint, net, average, optimiser, step, before + time.monotonic() - start, losses)
            saved = time.monotonic()
    seconds = before + time.monotonic() - start
    _save(begin.checkpoint, net, average, optimiser, step, seconds, losses)
    return Trained(load_average(recipe, begin.checkpoint), step, seconds, losses)


def load_average(recipe: Recipe, checkpoint: Path) -> CountNet:
    """Return the network with the averaged weights of a checkpoint, ready for inference."""
    net = make_net(recipe)
    net.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    return net.eval()


def loss(output: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Return the mean squared error in units of the expected Poisson variance.

    Weights are computed from the noisy input only, so the minimiser stays the conditional mean of the counts and neither
    totals nor lesions are biased. Half of the weight is local, half per image (the latter is what PSNR sees).
    """
    scale = output.shape[-1] // counts.shape[-1]
    local = functional.avg_pool2d(counts, 5, 1, 2, count_include_pad=False) / (scale * scale)
    whole = (local.square().mean((2, 3), keepdim=True) / (local.mean((2, 3), keepdim=True) + FLOOR)) + FLOOR
    weight = 0.5 / (local + FLOOR) + 0.5 / whole
    if scale > 1:
        weight = functional.interpolate(weight, scale_factor=float(scale), mode="nearest")
    return ((output - target).square() * weight).mean()


def _step(net: CountNet, batch: Batch, optimiser: torch.optim.Optimizer) -> float:
    """Take one optimiser step and return the loss."""
    counts = torch.from_numpy(batch.counts).contiguous(memory_format=torch.channels_last)
    target = torch.from_numpy(batch.target)
    with torch.autocast("cpu", torch.bfloat16):
        output = net(counts)
    value = loss(output.float(), target, counts)
    optimiser.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()
    return float(value.detach())


def _progress(step: int, first: int, spent_s: float, limits: Limits) -> float:
    """Share of the schedule that is done."""
    by_steps = step / limits.steps
    if limits.minutes is None:
        return by_steps
    start = first / limits.steps
    return max(by_steps, start + (1 - start) * spent_s / (60 * limits.minutes))


def _schedule(done: float, warm: float) -> float:
    """Warm-up, then half a cosine down to one per cent."""
    cosine = float(torch.cos(torch.tensor(min(done, 1.0) * torch.pi)))
    return min(1.0, 0.01 + warm) * (0.505 + 0.495 * cosine)


@torch.no_grad()
def _follow(average: dict[str, Tensor], net: CountNet, decay: float) -> None:
    """Move the averaged weights towards the current ones."""
    for name, value in net.state_dict().items():
        average[name].lerp_(value, 1 - decay)


def _save(
    path: Path,
    net: CountNet,
    average: dict[str, Tensor],
    optimiser: Any,
    step: int,
    seconds: float,
    losses: list[float],
) -> None:
    """Write the state of the training under a temporary name, then rename."""
    partial = path.with_name(path.name + ".partial")
    state = {"net": net.state_dict(), "average": average, "optimiser": optimiser.state_dict()}
    torch.save(state | {"step": step, "seconds": seconds, "losses": losses}, partial)
    partial.replace(path)


def _restore(
    path: Path, net: CountNet, average: dict[str, Tensor], optimiser: torch.optim.Optimizer
) -> tuple[int, float, list[float]]:
    """Load a checkpoint in place; a fresh start where there is none."""
    if not path.exists():
        return 0, 0.0, []
    state = torch.load(path, weights_only=True)
    net.load_state_dict(state["net"])
    average.update(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"]), float(state["seconds"]), list(state["losses"])
