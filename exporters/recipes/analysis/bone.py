"""The recipe of ``bone-classify``: fractures and metastases of the ribs, from simulated bone scans alone."""

import numpy as np
import torch
from numpy.typing import NDArray

from ....engine.bundle import Bundle
from ...evaluation.score_statistics import roc
from .bone_images import Pool, pool
from .bone_training import BoneRecipe, fit_bones, inferred
from .catalogue import AnalysisJob, Tell, Trained
from .common import Limits, fit_temperature, operating_points, youden

__all__ = ["card", "lesion_scores", "train"]

_GOLDEN = 4
_NORMAL = 0


def train(job: AnalysisJob, tell: Tell) -> Trained:
    """Simulate patients, train, calibrate.

    Parameters
    ----------
    job : AnalysisJob
        No data are read: neither labelled bone scans of ribs nor their lesions' outlines are to be had.
    tell : callable
        Told what goes on.

    Returns
    -------
    Trained
        Temperature, threshold and limits of the domain come from patients that the network was not trained on.
    """
    recipe = BoneRecipe()
    training = pool("train", recipe.patients, job.work, tell, job.threads)
    tuning = pool("tune", recipe.tuning, job.work, tell, job.threads)
    limits = Limits(job.steps or recipe.steps, job.minutes)
    report = lambda step, loss: tell(f"step {step}, loss {loss:.3f}")
    torch.set_num_threads(job.threads)
    fitted = fit_bones(training, recipe, limits, job.work / f"{job.recipe.name}.pt", job.seed, report=report)
    (logits,) = (given[:, :, 0, 0] for given in inferred(fitted.net, tuning.counts))
    temperature = fit_temperature(logits, tuning.labels)
    curve = roc(lesion_scores(logits, temperature), tuning.labels != _NORMAL)
    return Trained(
        net=fitted.net,
        steps=fitted.steps,
        seconds=fitted.seconds,
        data=("simulated bone scans of random patients, photopeak.exporters.phantoms.bone_views (Apache-2.0)",),
        temperature=temperature,
        threshold=float(np.clip(youden(curve), 0.5, 0.9)),
        operating_points=operating_points(curve),
        training=[training.counts[:, None]],
        held_out=[tuning.counts[:, None]],
        golden=_golden(tuning),
        matrices=("1024x256", "512x128", "2048x512", "256x256", "128x128", "512x512"),
        counts_per_pixel=_range(training),
    )


def card(bundle: Bundle, job: AnalysisJob, tell: Tell) -> str:
    """Measure a bundle on held-out patients and return its card.

    Parameters
    ----------
    bundle : Bundle
        What was trained.
    job : AnalysisJob
        With the folder of real scans, if they shall be part of it.
    tell : callable
        Told what goes on.
    """
    from ...evaluation.bone_classify_card import render_bones
    from ...evaluation.bone_classify_study import measure_bones

    recipe = BoneRecipe()
    tuning = pool("tune", recipe.tuning, job.work, tell, job.threads)
    report = measure_bones(bundle, job.data, tuning, tell)
    return render_bones(bundle, report, recipe.patients, job.note)


def lesion_scores(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Return the probability of any lesion, which the engine compares with a threshold.

    Parameters
    ----------
    logits : ndarray, shape (n, 3), float32
        Of normal ribs, trauma and metastasis.
    temperature : float
        What they are divided by.

    Returns
    -------
    ndarray, shape (n,), float64
        Probability [1].

    Examples
    --------
    >>> float(lesion_scores(np.array([[0.0, 0.0, 0.0]], np.float32), 1.0)[0]).__round__(3)
    0.667
    """
    scaled = logits.astype(np.float64) / temperature
    chances = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    return np.asarray(chances[:, _NORMAL + 1 :].sum(axis=1), np.float64)


def _golden(tuning: Pool) -> NDArray[np.float32]:
    """Return held-out rib regions of every label."""
    rows = [int(np.flatnonzero(tuning.labels == label)[k]) for k, label in enumerate((0, 1, 2, 1))]
    return tuning.counts[rows[:_GOLDEN], None]


def _range(training: Pool) -> tuple[float, float]:
    """Return the lowest and highest mean counts per pixel of the working grid."""
    means = training.counts.mean(axis=(1, 2))
    return round(float(means.min()), 3), round(float(means.max()), 3)
