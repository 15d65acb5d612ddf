"""What looks right on PET slices: two indices made from noise-free slices, since those made from photographs do not order PET.

NIQE fitted to noise-free reconstructions asks whether an image has the statistics of such a reconstruction, without knowing
which one. The learned distance asks how far the features of an image are from those of the truth; the features are those of a
classifier of blur and noise. SRGAN is trained with features of the same kind, hence the distance favours it, although the
network that measures has other weights, from another seed, than the one that teaches.

References
----------
* A. Mittal, R. Soundararajan, A. C. Bovik, Making a "completely blind" image quality analyzer, IEEE Signal Process. Lett. 20
  (2013) 209.
* J. Johnson, A. Alahi, L. Fei-Fei, Perceptual losses for real-time style transfer and super-resolution, ECCV (2016).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...kernels import fit_niqe, niqe
from ...kernels.iqa.models import NiqeModel
from ..recipes.adversarial import FeatureNet, train_features
from ..recipes.catalogue import Recipe
from ..recipes.slices import SlicePool, draw, pair
from .metrics import peak
from .slices import CLINICAL

Pixels = NDArray[np.float32]
BLOCK = 32
SHARP = 0.2
ACTIVE = 0.05  # of the peak, from which a pixel belongs to the object
REFERENCES = 120
FEATURE_STEPS = 400
_SEED = 91
_FIRST = 20_000  # number of a slice, beyond those that models learn from


@dataclass(frozen=True)
class Judges:
    """What judges how images look.

    Parameters
    ----------
    natural : NiqeModel
        Statistics of noise-free slices that were divided by their peak.
    features : FeatureNet
        Trained on such slices.
    """

    natural: NiqeModel
    features: FeatureNet


def references(recipe: Recipe, number: int = REFERENCES, tell: Callable[[str], None] = lambda name: None) -> SlicePool:
    """Simulate slices that neither training nor measuring sees.

    Parameters
    ----------
    recipe : Recipe
        Whose scale.
    number : int
        How many.
    tell : callable
        Told what is being simulated.
    """
    pairs = []
    for index in range(_FIRST, _FIRST + number):
        case = draw(index, "train", recipe.scale)
        tell(f"reference slice: {case.plane.name}")
        pairs.append(pair(case, np.array([CLINICAL]), recipe.scale, np.random.default_rng([_SEED, index])))
    return SlicePool(pairs)


def train_judges(pool: SlicePool, recipe: Recipe, steps: int = FEATURE_STEPS) -> Judges:
    """Make the judges from the noise-free images of a pool.

    Parameters
    ----------
    pool : SlicePool
        Slices, see :func:`references`.
    recipe : Recipe
        Patch and batch size.
    steps : int
        Optimiser steps of the feature network.

    Returns
    -------
    Judges
        The same for the same arguments.
    """
    features = train_features(pool, recipe, steps, _SEED)
    return Judges(fit_natural([made.target[0] for made in pool.pairs]), features)


def fit_natural(images: list[Pixels]) -> NiqeModel:
    """Return the NIQE model of noise-free slices, each divided by its peak."""
    return fit_niqe((image / peak(image) for image in images), name="pet", block=BLOCK, sharp=SHARP, window=(0.0, 1.0))


def unnatural(judges: Judges, image: Pixels, truth: Pixels) -> float:
    """Return NIQE of a slice, over the blocks at least half of which show the object.

    Parameters
    ----------
    judges : Judges
        Whose NIQE model.
    image, truth : ndarray, shape (rows, columns), float32
        Estimate, and the noise-free slice: its peak is white, and it says where the object is.

    Returns
    -------
    float
        Lower is better; NaN where no block shows the object.
    """
    rows, columns = (length // BLOCK for length in truth.shape)
    active = truth[: rows * BLOCK, : columns * BLOCK] > ACTIVE * peak(truth)
    blocks = active.reshape(rows, BLOCK, columns, BLOCK).mean((1, 3)) >= 0.5
    mask = np.zeros(truth.shape, bool)
    mask[: rows * BLOCK, : columns * BLOCK] = blocks.repeat(BLOCK, 0).repeat(BLOCK, 1)
    return float(niqe(image, model=judges.natural, window=(0.0, peak(truth)), mask=mask))


def learned_distance(judges: Judges, image: Pixels, truth: Pixels) -> float:
    """Return how far the features of a slice are from those of the truth, relative to the latter.

    Parameters
    ----------
    judges : Judges
        Whose feature network.
    image, truth : ndarray, shape (rows, columns), float32
        Estimate and noise-free slice.

    Returns
    -------
    float
        Root of the mean over the layers of |f(image) - f(truth)|^2 / |f(truth)|^2 [%]; 0 for the truth.
    """
    with torch.no_grad():
        seen, wanted = (
            judges.features.features(torch.from_numpy(part / np.float32(peak(truth)))[None, None])
            for part in (image, truth)
        )
        parts = [float((a - b).square().sum() / b.square().sum()) for a, b in zip(seen, wanted, strict=True)]
    return 100 * float(np.sqrt(np.mean(parts)))
