"""The recipe of ``cxr-view``: AP or PA projection of frontal chest radiographs, from real images."""

from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray

from ....engine.bundle import Bundle
from ....engine.errors import UsageError
from ....engine.matrix import MatrixSize
from ...evaluation.score_statistics import roc
from .catalogue import AnalysisJob, Tell, Trained
from .common import fit_temperature, operating_points, youden
from .radiograph_augmentation import counterexamples
from .radiograph_images import Radiograph, make_pool, read_radiographs, simulated_laterals
from .radiograph_training import RadiographRecipe, load_or_cross_validate, margins, scaled_down

__all__ = ["CHECKPOINT", "card", "sources", "train"]

CHECKPOINT = "cxr-view.pt"
_GOLDEN = 4
_LATERALS = 24
_TITLES = {
    "hannover": "COVID-19 Image Repository, Hannover Medical School",
    "nih14": "ChestX-ray14, NIH Clinical Center (Wang et al., CVPR 2017)",
    "nih64": "ChestX-ray14, NIH Clinical Center (Wang et al., CVPR 2017), at 64 px",
    "ieee8023": "covid-chestxray-dataset (Cohen et al., 2020), images of their own sources",
    "simulated": "simulated radiographs, photopeak.exporters.phantoms.radiographs",
}


def train(job: AnalysisJob, tell: Tell) -> Trained:
    """Train on the radiographs of a folder.

    Parameters
    ----------
    job : AnalysisJob
        With the folder of labelled radiographs; a checkpoint in its work folder is taken up.
    tell : callable
        Told what goes on.

    Returns
    -------
    Trained
        Ensemble of the cross-validation; temperature and threshold come from held-out logits. Its domain is set by the images of
        all folds but the first, its limits by the first, which four in five of the networks have seen too.

    Raises
    ------
    UsageError
        If there is no folder, as projections of real radiographs cannot be simulated, or minutes are limited.
    """
    if job.data is None:
        raise UsageError(f"{job.recipe.name} is trained on real radiographs; name their folder with --data.")
    if job.minutes is not None:
        raise UsageError(f"{job.recipe.name} trains all networks alike; limit --steps and not --minutes.")
    torch.set_num_threads(job.threads)
    recipe = scaled_down(RadiographRecipe(), job.steps)
    tell("reading radiographs")
    radiographs = read_radiographs(job.data)
    pool = make_pool(radiographs, recipe.side)
    found = load_or_cross_validate(job.work / CHECKPOINT, pool, recipe, job.seed, tell)
    temperature = fit_temperature(found.logits, pool.classes)
    # The operating point is that of whatever is not the first label, as the engine reads it.
    curve = roc(1 / (1 + np.exp(margins(found.logits) / temperature)), pool.classes == 1)
    images, rest = pool.images[:, None], found.folds > 0
    held_out = np.flatnonzero(~rest)
    return Trained(
        net=found.ensemble,
        steps=found.steps,
        seconds=found.seconds,
        data=sources(radiographs),
        temperature=temperature,
        threshold=float(np.clip(youden(curve), 0.02, 0.98)),
        operating_points=operating_points(curve),
        training=[images[rest]],
        held_out=[images[held_out]],
        golden=images[held_out[np.linspace(0, len(held_out) - 1, _GOLDEN).astype(int)]],
        matrices=_matrices(radiographs),
        others=[_others(images, job.seed)],
    )


def card(bundle: Bundle, job: AnalysisJob, tell: Tell) -> str:
    """Measure a bundle and return its card.

    Parameters
    ----------
    bundle : Bundle
        What was trained.
    job : AnalysisJob
        The same folder and seed as those of the training.
    tell : callable
        Told what goes on.
    """
    from ...evaluation.cxr_card import render_cxr
    from ...evaluation.cxr_refusals import refusals
    from ...evaluation.cxr_study import measure_cxr

    if job.data is None:
        raise UsageError(f"{job.recipe.name} is measured on real radiographs; name their folder with --data.")
    torch.set_num_threads(job.threads)
    recipe = scaled_down(RadiographRecipe(), job.steps)
    radiographs = read_radiographs(job.data)
    pool = make_pool(radiographs, recipe.side)
    found = load_or_cross_validate(job.work / CHECKPOINT, pool, recipe, job.seed, tell)
    tell("refusals")
    refused = refusals(bundle, radiographs)
    report = measure_cxr(pool, recipe, job.seed, tell, found, refused=refused)
    return render_cxr(bundle, report, radiographs, job.note)


def sources(radiographs: tuple[Radiograph, ...]) -> tuple[str, ...]:
    """Return each collection with its licences and numbers of images."""
    counts = Counter((one.source, one.licence) for one in radiographs)
    return tuple(
        f"{_TITLES.get(source, source)}: {number} images ({licence or 'licence not stated'})"
        for (source, licence), number in sorted(counts.items())
    )


def _others(images: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return what the training showed as no frontal radiographs."""
    laterals = torch.from_numpy(simulated_laterals(_LATERALS, side=images.shape[-1]))[:, None]
    return counterexamples(torch.from_numpy(images), laterals, torch.Generator().manual_seed(seed)).numpy()


def _matrices(radiographs: tuple[Radiograph, ...]) -> tuple[str, ...]:
    """Return the three most usual matrices."""
    counts = Counter(str(MatrixSize(*one.pixels.shape)) for one in radiographs)
    return tuple(matrix for matrix, _ in counts.most_common(3))
