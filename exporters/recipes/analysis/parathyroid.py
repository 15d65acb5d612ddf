"""The recipe of ``parathyroid-detect``: abnormal parathyroid glands in double-phase MIBI images, from a simulated cohort."""

import numpy as np
import torch
from numpy.typing import NDArray

from ....engine.bundle import Bundle
from .catalogue import AnalysisJob, Tell, Trained
from .common import Limits
from .parathyroid_studies import COUNTS, Study, acquired, build_pool, example, load_or_build_pool
from .parathyroid_training import RECIPE, calibrate, fit_detector

__all__ = ["card", "train"]

Floats = NDArray[np.float32]

_SOURCE = "simulated cohort of double-phase 99mTc-MIBI scintigraphy, photopeak.exporters.phantoms (Apache-2.0)"
_DESCRIBED = 1200  # studies that set the domain
_GOLDEN, _GOLDEN_SIDE = 4, 120


def train(job: AnalysisJob, tell: Tell) -> Trained:
    """Simulate the cohort, train, calibrate and choose the operating point.

    Parameters
    ----------
    job : AnalysisJob
        A pool and a checkpoint in its work folder are taken up.
    tell : callable
        Told what goes on.

    Returns
    -------
    Trained
        Temperature, threshold and limits of the domain come from cases that the network was not trained on.
    """
    torch.set_num_threads(job.threads)
    name = job.recipe.name
    pool = load_or_build_pool(job.work / f"{name}.npz", lambda: build_pool(RECIPE.studies, tell))
    tuning = load_or_build_pool(job.work / f"{name}-tune.npz", lambda: build_pool(RECIPE.tuning, tell, split="tune"))
    fitted = fit_detector(
        pool,
        Limits(job.steps or RECIPE.steps, job.minutes),
        job.work / f"{name}.pt",
        seed=job.seed,
        report=lambda step, loss: tell(f"step {step}, loss {loss:.3f}"),
    )
    net = fitted.net.deployed()  # type: ignore[operator]
    tell("calibrating")
    found = calibrate(net, [acquired(made, np.random.default_rng([65, k])) for k, made in enumerate(tuning)])
    means = [float(made.expected.mean(dtype=np.float64)) for made in pool]
    return Trained(
        net=net,
        steps=fitted.steps,
        seconds=fitted.seconds,
        data=(_SOURCE,),
        temperature=found.temperature,
        threshold=found.threshold,
        operating_points=found.operating_points,
        training=_images(pool[:_DESCRIBED], 66),
        held_out=_images(tuning, 67),
        golden=_golden(tuning),
        matrices=tuple(sorted({"x".join(map(str, made.expected.shape[1:])) for made in pool})),
        counts_per_pixel=(round(min(means) * COUNTS[0], 3), round(max(means) * COUNTS[1], 3)),
    )


def card(bundle: Bundle, job: AnalysisJob, tell: Tell) -> str:
    """Measure a bundle on held-out cases and return its card.

    Parameters
    ----------
    bundle : Bundle
        What was trained.
    job : AnalysisJob
        Whose note the card quotes.
    tell : callable
        Told what goes on.
    """
    from ...evaluation.parathyroid_card import measure, render

    return render(bundle, measure(bundle, tell), job.note)


def _images(studies: list[Study], seed: int) -> list[Floats]:
    """Return one example of each study, as training sees it."""
    return [example(made, np.random.default_rng([seed, k])).image[None] for k, made in enumerate(studies)]


def _golden(studies: list[Study]) -> Floats:
    """Return a few acquisitions on one matrix: both phases, the late alone, the early alone, both again."""
    fitting = [made for made in studies if made.side == _GOLDEN_SIDE][:_GOLDEN]
    images = np.stack([acquired(made, np.random.default_rng([68, k])).image for k, made in enumerate(fitting)])
    images[1:2, 0], images[2:3, 1] = 0, 0
    return images
