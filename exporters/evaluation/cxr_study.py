"""How well ``cxr-view`` tells AP from PA, across and within sources, where it looks, and what it refuses."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from ...engine.analysis.chest_regions import REGIONS, chest_regions, find_thorax
from ...engine.analysis.prepare import fit_placement, upsample
from ...engine.analysis.regions import LabelMap, shares
from ...engine.matrix import MatrixSize
from ..architectures.analysis.radiograph import CLASSES, RadiographEnsemble
from ..cam import with_cam
from ..recipes.analysis.common import fit_temperature
from ..recipes.analysis.radiograph_images import Pool
from ..recipes.analysis.radiograph_training import (
    CrossValidation,
    RadiographRecipe,
    fit_radiographs,
    logits_of,
    margins,
)
from .cxr_peers import PEERS, fitted_scores, held_out_scores
from .cxr_refusals import Refusal
from .cxr_shortcuts import CHANGES, held_out_margins
from .detection_statistics import Estimate, auc, balanced_accuracy, bootstrap, confusion, expected_calibration_error

__all__ = [
    "SAME_COLLECTION",
    "CxrReport",
    "Evidence",
    "Separation",
    "measure_cxr",
    "region_energy",
    "separation",
    "sources_of",
]

Tell = Callable[[str], None]
SAME_COLLECTION = {"nih64": "nih", "nih14": "nih"}  # at two sizes
_LEAST_OF_A_CLASS = 5


@dataclass(frozen=True)
class Separation:
    """How well scores tell AP from PA in some images.

    Parameters
    ----------
    method, images : str
        What scored, and which images.
    ap, pa : int
        How many there are of each.
    auc : Estimate
        With DeLong's interval.
    balanced : Estimate
        Balanced accuracy at log odds of 0, bootstrap by patient.
    """

    method: str
    images: str
    ap: int
    pa: int
    auc: Estimate
    balanced: Estimate


@dataclass(frozen=True)
class Evidence:
    """Where the class activation of the class that was chosen lies, mean over images.

    Parameters
    ----------
    label : str
        Class that was chosen.
    images : int
        How many.
    regions : tuple of float
        Share of the energy in each of ``REGIONS`` [1].
    outside : Estimate
        Share outside of the thorax, mean with its bootstrap by patient.
    median_outside : float
        Its median.
    """

    label: str
    images: int
    regions: tuple[float, ...]
    outside: Estimate
    median_outside: float


@dataclass(frozen=True)
class CxrReport:
    """Everything that the study measures.

    Parameters
    ----------
    separations : tuple of Separation
        Networks and peers, by cross-validation and with a source left out.
    evidence : tuple of Evidence
        One for each class, and one for both.
    calibration_error : tuple of float
        Expected calibration error of held-out probabilities as they come, and with the temperature of the other folds.
    temperature : float
        That of all held-out logits.
    folds, images : int
        Folds, and images in all.
    refusals : tuple of Refusal
        What the bundle says of other inputs.
    """

    separations: tuple[Separation, ...]
    evidence: tuple[Evidence, ...]
    calibration_error: tuple[float, float]
    temperature: float
    folds: int
    images: int
    refusals: tuple[Refusal, ...] = ()


def measure_cxr(
    pool: Pool,
    recipe: RadiographRecipe,
    seed: int,
    tell: Tell,
    found: CrossValidation,
    *,
    refused: tuple[Refusal, ...] = (),
) -> CxrReport:
    """Judge a cross-validation, leave sources out, compare with peers, and look where the evidence lies.

    Parameters
    ----------
    pool : Pool
        Labelled radiographs.
    recipe : RadiographRecipe
        That of the model.
    seed : int
        Of the training.
    tell : callable
        Told what goes on.
    found : CrossValidation
        Networks of the same recipe and seed.
    refused : tuple of Refusal
        What the bundle says of other inputs.
    """
    source = sources_of(pool)
    score = margins(found.logits)
    rows = list(_each(pool, source, score, "network", "held out"))
    for name, change in CHANGES:
        rows += _each(pool, source, held_out_margins(change(pool), found), name, "held out")
    for name, features, penalty in PEERS:
        tell(name)
        values = features(pool)
        rows += _each(pool, source, held_out_scores(values, pool.classes, found.folds, penalty), name, "held out")
        fit = partial(fitted_scores, values, pool.classes, penalty=penalty)
        rows += _left_out(pool, source, name, fit)
    rows += _left_out(pool, source, "network", partial(_train, pool, recipe, seed, tell))
    tell("evidence")
    return CxrReport(
        tuple(rows),
        _evidence(pool, found),
        _calibration(pool, found),
        fit_temperature(found.logits, pool.classes),
        recipe.folds,
        len(pool),
        refused,
    )


def separation(
    method: str, images: str, scores: NDArray[np.floating], classes: NDArray[np.intp], patients: NDArray[np.str_]
) -> Separation:
    """Return how well log odds of AP tell the classes apart.

    Parameters
    ----------
    method, images : str
        What scored, and which images.
    scores : ndarray, shape (n,)
        Log odds of AP; above 0 an image is called AP.
    classes : ndarray, shape (n,), int
        Index into ``CLASSES``.
    patients : ndarray, shape (n,), str
        Images of one patient are drawn together in the bootstrap.
    """
    truth, called = classes, np.where(scores > 0, 0, 1)

    def balanced(rows: NDArray[np.intp]) -> float:
        return balanced_accuracy(confusion(truth[rows], called[rows], 2))

    positive = classes == 0
    return Separation(
        method,
        images,
        int(positive.sum()),
        int((~positive).sum()),
        auc(scores, positive),
        bootstrap(balanced, patients.tolist()),
    )


def sources_of(pool: Pool) -> NDArray[np.str_]:
    """Return where each image is from, two sizes of one collection taken together."""
    return np.array([SAME_COLLECTION.get(source, source) for source in pool.sources.tolist()])


def _testable(pool: Pool, source: NDArray[np.str_]) -> list[str]:
    """Return the sources that have enough of both classes."""
    least = [
        (name, min(int((pool.classes[source == name] == k).sum()) for k in range(len(CLASSES))))
        for name in np.unique(source).tolist()
    ]
    return [name for name, number in least if number >= _LEAST_OF_A_CLASS]


def _each(
    pool: Pool, source: NDArray[np.str_], scores: NDArray[np.floating], method: str, how: str
) -> list[Separation]:
    """Return the figures of all images and of each source."""
    parts = [("all", np.ones(len(pool), bool))] + [(name, source == name) for name in _testable(pool, source)]
    return [
        separation(method, f"{name}, {how}", scores[part], pool.classes[part], pool.patients[part])
        for name, part in parts
    ]


def _left_out(
    pool: Pool, source: NDArray[np.str_], method: str, fit: Callable[[NDArray[np.bool_]], NDArray[np.floating]]
) -> list[Separation]:
    """Return the figures of each source by what was fitted to the others; `fit` takes those and scores all."""
    found = []
    for name in _testable(pool, source):
        rest = source == name
        if len(np.unique(pool.classes[~rest])) == len(CLASSES):
            scores = fit(~rest)[rest]
            label = f"{name}, source left out"
            found.append(separation(method, label, scores, pool.classes[rest], pool.patients[rest]))
    return found


def _train(pool: Pool, recipe: RadiographRecipe, seed: int, tell: Tell, seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    tell(f"training on {', '.join(np.unique(pool.sources[seen]).tolist())} alone")
    rows = np.flatnonzero(seen)
    nets = [fit_radiographs(pool, rows, recipe, seed + member) for member in range(recipe.members)]
    return margins(logits_of(RadiographEnsemble(nets), pool.images))


def _calibration(pool: Pool, found: CrossValidation) -> tuple[float, float]:
    """Return the calibration error of held-out probabilities, as they come and with the temperature of the other folds."""
    as_they_come, tempered = found.logits.astype(np.float64), found.logits.astype(np.float64)
    for fold in np.unique(found.folds):
        own = found.folds == fold
        tempered[own] /= fit_temperature(found.logits[~own], pool.classes[~own])
    first, second = (_calibration_error(logits, pool.classes) for logits in (as_they_come, tempered))
    return first, second


def _calibration_error(logits: NDArray[np.float64], classes: NDArray[np.intp]) -> float:
    chosen = logits.argmax(1)
    probability = 1 / (1 + np.exp(-np.abs(logits[:, 0] - logits[:, 1])))
    return expected_calibration_error(probability, chosen == classes)


def _evidence(pool: Pool, found: CrossValidation) -> tuple[Evidence, ...]:
    """Return where the evidence of held-out images lies, in each image's own regions."""
    chosen = found.logits.argmax(1)
    energy = np.zeros((len(pool), 1 + len(REGIONS)))
    matrix = MatrixSize(*pool.images.shape[1:])
    placement = fit_placement(matrix, matrix.rows)
    for index, members in enumerate(found.nets):
        own = np.flatnonzero(found.folds == index)
        with torch.inference_mode():
            _, cams, _ = with_cam(RadiographEnsemble(members))(torch.from_numpy(pool.images[own])[:, None])
        for row, cam in zip(own, upsample(cams.numpy(), placement), strict=True):
            energy[row] = region_energy(pool.images[row], cam[chosen[row]])
    parts = [(label, chosen == k) for k, label in enumerate(CLASSES)] + [("both", np.ones(len(pool), bool))]
    return tuple(_mean_evidence(label, energy[part], pool.patients[part]) for label, part in parts if part.any())


def region_energy(image: NDArray[np.float32], cam: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share of a class activation outside of the thorax, and in each of its six regions, shape (7,).

    Parameters
    ----------
    image, cam : ndarray, shape (rows, columns), float32
        A frontal radiograph and the map on its matrix.
    """
    matrix = MatrixSize(*image.shape)
    labels = LabelMap(chest_regions(find_thorax(image), matrix).astype(np.intp), dict(enumerate(REGIONS, 1)))
    found = np.zeros(1 + len(REGIONS))
    for share in shares(cam, labels):
        found[share.label] = share.energy
    return found


def _mean_evidence(label: str, energy: NDArray[np.float64], patients: NDArray[np.str_]) -> Evidence:
    known = np.isfinite(energy).all(1)
    energy, patients = energy[known], patients[known]
    outside = bootstrap(lambda rows: float(energy[rows, 0].mean()), patients.tolist())
    return Evidence(label, len(energy), tuple(energy[:, 1:].mean(0).tolist()), outside, float(np.median(energy[:, 0])))
