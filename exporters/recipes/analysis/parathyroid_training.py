"""Training of ``parathyroid-detect``, and what its bundle says about certainty: calibration, operating points, domains."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ....engine.analysis.decode import peaks
from ....engine.errors import UsageError
from ...architectures.analysis.detector import Detector
from ...evaluation.detection_statistics import (
    MarkedImage,
    OperatingPoint,
    assign,
    calibration_error_of_marks,
    froc,
    operating_point,
    threshold_for,
)
from ...evaluation.parathyroid_study import HIT_MM
from .common import Fitted, Limits, Optimiser, fit, operating_points
from .detection_loss import detection_loss
from .parathyroid_studies import NUMBER, PITCH_MM, PIXELS, Batch, Example, Study, batches

__all__ = ["RECIPE", "Calibration", "DetectorRecipe", "calibrate", "fit_detector", "marked"]

Floats = NDArray[np.float32]

_FALSE_POSITIVES = 0.3  # per image, at the operating point
_LEAST_SCORE = 0.005  # of the peaks that a calibration is made with, before it


@dataclass(frozen=True)
class DetectorRecipe:
    """Everything that decides the weights.

    Parameters
    ----------
    channels, dilations : tuple of int
        See ``Detector``.
    studies, tuning : int
        Cases of the training pool, and of the one that the scores are calibrated with.
    steps : int
        Optimiser steps.
    pixels : int
        Of a batch, at most.
    optimiser : Optimiser
        How weights are changed.
    """

    channels: tuple[int, int] = (32, 64)
    dilations: tuple[int, ...] = (1, 2, 4, 1)
    studies: int = NUMBER
    tuning: int = 400
    steps: int = 6000
    pixels: int = PIXELS
    optimiser: Optimiser = field(default_factory=lambda: Optimiser(weight_decay=1e-4, clip=2.0))


RECIPE = DetectorRecipe()


@dataclass(frozen=True)
class Calibration:
    """How a detector's scores are to be read, measured on cases that it was not trained on.

    Parameters
    ----------
    temperature : float
        The heat is divided by it before it becomes a probability.
    threshold : float
        Probability at the operating point.
    point : OperatingPoint
        The detector there.
    operating_points : tuple of (float, float, float)
        Threshold, sensitivity, false positives per image.
    error_before, error : float
        Expected calibration error of the marks that score at least 0.05, before and after.
    """

    temperature: float
    threshold: float
    point: OperatingPoint
    operating_points: tuple[tuple[float, float, float], ...]
    error_before: float
    error: float


def fit_detector(
    pool: list[Study],
    limits: Limits,
    checkpoint: Path,
    *,
    recipe: DetectorRecipe = RECIPE,
    seed: int = 0,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Fitted:
    """Train the detector, resuming from the checkpoint where there is one.

    Parameters
    ----------
    pool : list of Study
        Training cases.
    limits : Limits
        Steps and minutes.
    checkpoint : Path
        See ``common.fit``.
    recipe : DetectorRecipe
        Network and optimiser.
    seed : int
        Of weights and batches.
    report : callable
        Told the step and the mean of the last losses.

    Returns
    -------
    Fitted
        Averaged weights and the history.
    """
    torch.manual_seed(seed)
    net = Detector(recipe.channels, recipe.dilations).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return fit(
        net,
        lambda first: batches(pool, seed, first, pixels=recipe.pixels),
        _loss,
        limits,
        checkpoint=checkpoint,
        optimiser=recipe.optimiser,
        report=report,
    )


@torch.no_grad()
def marked(net: nn.Module, examples: list[Example], temperature: float = 1.0) -> list[MarkedImage]:
    """Return what a detector marks in images whose lesions are known.

    Parameters
    ----------
    net : nn.Module
        In evaluation mode; gives heat and boxes first.
    examples : list of Example
        Images on the working grid.
    temperature : float
        See ``Calibration``.

    Returns
    -------
    list of MarkedImage
        Each example counts as a patient of its own. A mark lies on a lesion if it is no farther from its centre than half of the
        geometric mean of its sides or ``HIT_MM``, whichever is more.
    """
    found = []
    for number, made in enumerate(examples):
        heat, box = (head[0].numpy() for head in net(torch.from_numpy(made.image[None]))[:2])
        marks = peaks(heat, box, temperature=temperature, threshold=_LEAST_SCORE)
        centres = np.array([(mark.row, mark.column) for mark in marks]).reshape(-1, 2)
        reach = np.maximum(HIT_MM, PITCH_MM * np.sqrt(made.boxes[:, 2] * made.boxes[:, 3]) / 2)
        hits = assign(PITCH_MM * centres, PITCH_MM * made.boxes[:, :2], reach)
        found.append(MarkedImage(str(number), np.array([mark.score for mark in marks]), hits, len(made.boxes)))
    return found


def calibrate(net: Detector, examples: list[Example]) -> Calibration:
    """Make the scores of a detector probabilities, and choose its operating point.

    Parameters
    ----------
    net : Detector
        The bias of its heat is changed: a temperature alone cannot make up for the focal loss, which counts what is found easily
        for little.
    examples : list of Example
        Of cases that it was not trained on, as often with lesions as those that it is for.

    Returns
    -------
    Calibration
        With the lowest threshold at which at most 0.3 marks of an image are false.

    Raises
    ------
    UsageError
        If the detector marks nothing, or nothing but glands, or no gland.

    References
    ----------
    * Platt, J. (1999). Probabilistic outputs for support vector machines. Advances in Large Margin Classifiers. (Slope and bias.)
    """
    before = marked(net, examples)
    scores, truth = _candidates(before)
    logits = np.log(scores / (1 - scores))
    if truth.all() or not truth.any():
        raise UsageError(
            "the detector tells no glands from anything else on the tuning cases, train it for more steps."
        )
    slope, bias = _platt(logits, truth)
    with torch.no_grad():
        cast(Tensor, net.heat.bias).add_(bias / slope)
    temperature = 1 / slope
    after = marked(net, examples, temperature)
    threshold = threshold_for(after, _FALSE_POSITIVES)
    return Calibration(
        temperature,
        threshold,
        operating_point(after, threshold),
        operating_points(froc(after)),
        calibration_error_of_marks(before),
        calibration_error_of_marks(after),
    )


def _loss(net: nn.Module, batch: Batch) -> Tensor:
    """Return the loss of a batch; products are taken in bfloat16."""
    image = torch.from_numpy(batch.image).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        heat, box = net(image)
    wanted = (torch.from_numpy(batch.heat), torch.from_numpy(batch.box), torch.from_numpy(batch.weight))
    return detection_loss(heat.float(), box.float(), wanted)


def _candidates(images: list[MarkedImage]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return scores of all marks, and whether they lie on a lesion."""
    scores = np.concatenate([image.scores for image in images]).astype(np.float64)
    return scores, np.concatenate([image.hits for image in images]) >= 0


def _platt(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and bias that make logits of an event most likely."""
    from scipy.optimize import minimize

    def surprise(line: NDArray[np.float64]) -> float:
        moved = np.exp(line[0]) * logits + line[1]
        return float(np.mean(np.logaddexp(0, moved) - truth * moved))

    found = minimize(surprise, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    return float(np.exp(found.x[0])), float(found.x[1])
