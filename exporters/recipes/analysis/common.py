"""What trainings of detectors and classifiers share: the loop, calibration, and the domains that a bundle carries."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from statistics import fmean
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from ....engine import domain, postprocess
from ....engine.errors import UsageError
from ....engine.files import atomic_write
from ....engine.manifest import Domain, EmbeddingDomain, Input
from ...evaluation.score_statistics import Curve
from ..training import Limits, follow, progress, rate

__all__ = [
    "AT_THE_BORDER",
    "Fitted",
    "Limits",
    "Optimiser",
    "embedding_domain",
    "fit",
    "fit_embedding_domain",
    "fit_pixel_domain",
    "fit_temperature",
    "network_input",
    "operating_points",
    "youden",
]

Floats = NDArray[np.float32]
Batch = TypeVar("Batch")

_SAVE_EVERY_S = 120.0
_REPORT_EVERY = 50
_HOTTEST = 20.0  # temperature
AT_THE_BORDER, _OUTSIDE = 0.05, 1.5  # as for pixels, see engine.domain.fit_domain
_DIGITS = 9  # of what a manifest holds


@dataclass(frozen=True)
class Optimiser:
    """AdamW with warm-up and half a cosine, and averaged weights.

    Parameters
    ----------
    learning_rate : float
        Peak of the schedule.
    weight_decay : float
        Of weights that are not decayed by the gradient.
    average_decay : float
        Share that the averaged weights keep in a step, once the training is under way.
    clip : float
        Largest norm of the gradient.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    average_decay: float = 0.998
    clip: float = 5.0


@dataclass(frozen=True)
class Fitted:
    """A finished training.

    Parameters
    ----------
    net : nn.Module
        With averaged weights, in evaluation mode.
    steps : int
        Optimiser steps over all runs.
    seconds : float
        Wall time over all runs [s].
    losses : list of float
        Mean loss of every fifty steps.
    """

    net: nn.Module
    steps: int
    seconds: float
    losses: list[float]


@dataclass
class _State:
    """Everything that a checkpoint holds."""

    net: nn.Module
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    def advance(self, decay: float) -> None:
        """Count a step and move the averaged weights towards the current ones."""
        self.step += 1
        follow(self.average, self.net, min(decay, self.step / (self.step + 20)))

    def save(self, path: Path) -> None:
        tensors = {"net": self.net.state_dict(), "average": self.average, "optimiser": self.optimiser.state_dict()}
        with atomic_write(path) as file:
            torch.save(tensors | {"step": self.step, "seconds": self.seconds, "losses": self.losses}, file)

    def load(self, path: Path) -> None:
        try:
            stored: dict[str, Any] = torch.load(path, weights_only=True)
            self.net.load_state_dict(stored["net"])
            self.average.update(stored["average"])
            self.optimiser.load_state_dict(stored["optimiser"])
            self.step, self.seconds, self.losses = stored["step"], stored["seconds"], list(stored["losses"])
        except (RuntimeError, KeyError, ValueError, EOFError, UnpicklingError) as error:
            raise UsageError(f"{path} is no checkpoint of this network, remove it or name another.") from error


def fit(
    net: nn.Module,
    batches: Callable[[int], Iterator[Batch]],
    loss: Callable[[nn.Module, Batch], Tensor],
    limits: Limits,
    *,
    checkpoint: Path,
    optimiser: Optimiser = Optimiser(),
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Fitted:
    """Train a network, resuming from the checkpoint where there is one.

    Parameters
    ----------
    net : nn.Module
        With its first weights, drawn after ``torch.manual_seed``; it is changed.
    batches : callable
        Takes the number of the first step and yields a batch for every step without end; the same ones for the same number.
    loss : callable
        Takes the network and a batch, gives a scalar.
    limits : Limits
        Steps, and minutes of this run; the schedule follows whichever comes first.
    checkpoint : Path
        Written every two minutes and at the end, read first where it exists. Outside of the repository.
    optimiser : Optimiser
        How weights are changed.
    report : callable
        Told the step and the mean of the last losses.

    Returns
    -------
    Fitted
        Averaged weights and the history.

    Raises
    ------
    UsageError
        If the checkpoint is damaged or of another network.
    ValueError
        If the loss is not finite.

    References
    ----------
    * Loshchilov, I. and Hutter, F. (2017). SGDR: stochastic gradient descent with warm restarts. ICLR. (2019). Decoupled
      weight decay regularization. ICLR.
    """
    chosen = torch.optim.AdamW(net.parameters(), lr=optimiser.learning_rate, weight_decay=optimiser.weight_decay)
    state = _State(net.train(), {name: value.clone() for name, value in net.state_dict().items()}, chosen)
    if checkpoint.exists():
        state.load(checkpoint)
    start = saved = time.monotonic()
    before, first, recent = state.seconds, state.step, list[float]()
    stream = batches(first)
    while (done := progress(state.step, first, time.monotonic() - start, limits)) < 1:
        for group in chosen.param_groups:
            group["lr"] = optimiser.learning_rate * rate(done, state.step, limits)
        recent.append(_step(state, loss(net, next(stream)), optimiser))
        if state.step % _REPORT_EVERY == 0:
            state.losses.append(fmean(recent))
            report(state.step, state.losses[-1])
            recent.clear()
        if time.monotonic() - saved > _SAVE_EVERY_S:
            saved = time.monotonic()
            state.seconds = before + saved - start
            state.save(checkpoint)
    state.seconds = before + time.monotonic() - start
    state.save(checkpoint)
    net.load_state_dict(state.average)
    return Fitted(net.eval(), state.step, state.seconds, state.losses)


def fit_temperature(logits: ArrayLike, truth: ArrayLike) -> float:
    """Return what logits must be divided by to make their probabilities as likely as they can be.

    Parameters
    ----------
    logits : array, shape (n, k) or (n,)
        Of k classes, or of one event; of cases that the network was not trained on.
    truth : array, shape (n,)
        Number of the class, or whether the event was there.

    Returns
    -------
    float
        Between 1/20 and 20.

    References
    ----------
    * Guo, C. et al. (2017). On calibration of modern neural networks. ICML.

    Examples
    --------
    >>> round(fit_temperature([4.0] * 10, [True] * 8 + [False] * 2) * np.log(4), 3)
    np.float64(4.0)
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    given, right = np.asarray(logits, np.float64), np.asarray(truth)
    if given.ndim == 1:
        given, right = np.stack([np.zeros_like(given), given], axis=1), right.astype(bool)
    if len(given) != len(right) or not len(given):
        raise ValueError(f"{len(given)} logits of {len(right)} cases fit no temperature.")
    own = np.take_along_axis(given, right.astype(np.intp)[:, None], axis=1)[:, 0]

    def surprise(logarithm: float) -> float:
        factor = np.exp(-logarithm)
        return float(np.mean(logsumexp(factor * given, axis=1) - factor * own))

    reach = np.log(_HOTTEST)
    found: Any = minimize_scalar(surprise, bounds=(-reach, reach), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def youden(curve: Curve) -> float:
    """Return the threshold of an ROC curve at which sensitivity and specificity add up to most.

    References
    ----------
    * Youden, W. J. (1950). Index for rating diagnostic tests. Cancer 3.
    """
    best = int(np.argmax((curve.sensitivity - curve.false_positives)[1:])) + 1
    return float(curve.thresholds[best])


def operating_points(curve: Curve, most: int = 64) -> tuple[tuple[float, float, float], ...]:
    """Return threshold, sensitivity and false positives of a curve as a manifest holds them.

    Parameters
    ----------
    curve : Curve
        Of probabilities.
    most : int
        Largest number of points; of more, those at even steps of sensitivity are kept.
    """
    steps = np.searchsorted(curve.sensitivity, np.linspace(0, curve.sensitivity[-1], most))
    chosen = sorted({max(int(step), 1) for step in steps if len(curve.thresholds) > 1})
    return tuple(
        (
            round(float(curve.thresholds[k]), 6),
            round(float(curve.sensitivity[k]), 6),
            round(float(curve.false_positives[k]), 6),
        )
        for k in chosen
    )


def network_input(working: Floats, scaling: Literal["none", "robust"], threads: int = 1) -> Floats:
    """Return what the graph takes for images on the working grid, as the engine makes it.

    Parameters
    ----------
    working : ndarray, shape (n, channels, rows, columns), float32
        On the working grid, all zeros where a channel is absent.
    scaling : {"none", "robust"}
        Of the manifest's input.
    threads : int
        Threads to use.
    """
    made = [
        postprocess.scale_in(np.ascontiguousarray(channel), scaling, threads).pixels
        for channel in working.swapaxes(0, 1)
    ]
    return np.ascontiguousarray(np.stack(made, axis=1), np.float32)


def fit_pixel_domain(training: Sequence[Floats], held_out: Sequence[Floats], taken: Input) -> Domain:
    """Return the domain of images on the working grid.

    Parameters
    ----------
    training, held_out : sequence of ndarray, shape (n, channels, rows, columns), float32
        Images that the network was trained on, and others of the same kind, before scaling; arrays may differ in size.
        Channels are judged one by one, and one that is absent (all zeros) not at all.
    taken : Input
        Of the manifest.
    """
    return domain.fit_domain(_features(training, taken), _features(held_out, taken))


def fit_embedding_domain(training: Floats, held_out: Floats) -> EmbeddingDomain:
    """Return the domain of embeddings.

    Parameters
    ----------
    training, held_out : ndarray, shape (n, d) or (n, d, 1, 1), float32
        What the graph's head ``embedding`` gives for the images of training, and for others of the same kind.

    Returns
    -------
    EmbeddingDomain
        ``border`` begins where 5 % of the held-out ones lie, ``outside`` at 1.5 times that distance.

    References
    ----------
    * Ledoit, O. and Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance matrices. J. Multivar.
      Anal. 88. (How much the covariance is shrunk.)
    * Lee, K. et al. (2018). A simple unified framework for detecting out-of-distribution samples and adversarial attacks.
      NeurIPS.
    """
    rows = training.reshape(len(training), -1).astype(np.float64)
    return embedding_domain(_plain(rows.mean(axis=0)), np.linalg.inv(_shrunk_covariance(rows)), held_out)


def embedding_domain(mean: tuple[float, ...], precision: NDArray[np.floating], held_out: Floats) -> EmbeddingDomain:
    """Return a domain of embeddings with limits that held-out ones set.

    Parameters
    ----------
    mean : tuple of float
        Of the training.
    precision : ndarray, shape (d, d)
        What distances are measured by.
    held_out : ndarray, shape (n, d) or (n, d, 1, 1), float32
        Embeddings of other images of the same kind.
    """
    rows = tuple(map(_plain, ((precision + precision.T) / 2).astype(np.float64)))
    found = EmbeddingDomain(mean=mean, precision=rows, limits=(1.0, _OUTSIDE))
    border = float(np.quantile(found.distances(held_out), 1 - AT_THE_BORDER))
    return found.model_copy(update={"limits": (border, _OUTSIDE * border)})


def _step(state: _State, value: Tensor, optimiser: Optimiser) -> float:
    """Take one optimiser step and return the loss."""
    found = float(value.detach())
    if not np.isfinite(found):
        raise ValueError(f"the loss is {found} at step {state.step}, lower the learning rate.")
    state.optimiser.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), optimiser.clip)
    state.optimiser.step()
    state.advance(optimiser.average_decay)
    return found


def _features(images: Sequence[Floats], taken: Input) -> NDArray[np.float64]:
    """Return the domain features of every channel that is there."""
    rows = []
    for part in images:
        frames = part.reshape(-1, *part.shape[2:])
        there = np.ascontiguousarray(frames[frames.any(axis=(1, 2))], np.float32)
        if len(there):
            rows.append(domain.features(there, scaling=taken.scaling, units=taken.units))
    return np.concatenate(rows)


def _shrunk_covariance(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance, drawn towards equal variances as far as its own uncertainty asks for."""
    n, d = rows.shape
    offset = rows - rows.mean(axis=0)
    sample = offset.T @ offset / n
    even = np.trace(sample) / d * np.eye(d)
    distance = np.square(sample - even).sum()
    if distance == 0:
        return even
    squares = np.square(offset)
    uncertainty = (squares.T @ squares / n - np.square(sample)).sum() / n
    share = min(max(uncertainty / distance, 0.0), 1.0)
    found: NDArray[np.float64] = share * even + (1 - share) * sample
    return found


def _plain(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Return numbers as a manifest holds them."""
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values.tolist())
