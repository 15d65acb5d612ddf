"""What a bundle of a PET model needs beside the network: its training domain and golden slices."""

import numpy as np
from numpy.typing import NDArray

from ..engine import domain
from ..engine.bundle import Input
from ..engine.frames import Units
from .description import Description
from .evaluation.slices import CLINICAL
from .recipes.catalogue import Recipe
from .recipes.slices import FOLDED_SHARE, NUMBER, SlicePool, draw, pair

GOLDEN_SIDE = 128
_GOLDEN = (("brain", 3, 0.5), ("torso", 4, 0.25), ("nema-iq", 5, 1.0), ("shapes", 6, 1 / 8))
# Gyral brains come after these; with many images of each they would push the other kinds aside, and lie inside as it is.
_DESCRIBED = round(NUMBER * (1 + FOLDED_SHARE))
_CONTEXT_PX = {"fast": 48}  # how far around a pixel it measures the spectrum that it chooses filters by
_PLAIN = (1 / 20, 1.0)  # counts of held-out slices, relative to a clinical acquisition


def describe(recipe: Recipe, pool: SlicePool) -> Description:
    """Describe what a PET model takes and was trained on."""
    return Description(
        modality="PT",
        input=Input(
            name="counts",
            units=Units.BECQUEREL_PER_ML,
            scaling="robust",
            multiple=recipe.multiple,
            overlap=_CONTEXT_PX.get(recipe.architecture, 32 // recipe.scale),
        ),
        conserve="mean",
        matrices=tuple(sorted({"x".join(map(str, made.noisy.shape[1:])) for made in pool.pairs})),
        domain=domain.fit_domain(training_features(pool), held_out_features(recipe)),
        coincidences=recipe.counts,
    )


def training_features(pool: SlicePool) -> NDArray[np.float64]:
    """Return the domain features of training slices, shape (n, k)."""
    return np.concatenate([domain.features(made.noisy, scaling="robust") for made in pool.pairs[:_DESCRIBED]])


def held_out_features(recipe: Recipe, number: int = 60) -> NDArray[np.float64]:
    """Return the domain features of held-out slices, shape (m, k)."""
    rng = np.random.default_rng(12)
    found = []
    for index in range(number):
        case = draw(5000 + index, "held-out", recipe.scale)
        totals = CLINICAL * np.geomspace(*_PLAIN, 1001)[rng.integers(1001, size=3)]
        found.append(domain.features(pair(case, totals, recipe.scale, rng).noisy, scaling="robust"))
    return np.concatenate(found)


def golden(recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return held-out slices as the graph takes them, and what they should become; both (n, 1, rows, columns)."""
    inputs, truths = [], []
    for name, index, level in _GOLDEN:
        made = pair(
            draw(7000 + index, "held-out", recipe.scale, name),
            np.array([level * CLINICAL]),
            recipe.scale,
            np.random.default_rng([13, index]),
        )
        inputs.append(_middle(made.noisy[0], GOLDEN_SIDE // recipe.scale))
        truths.append(_middle(made.target[0], GOLDEN_SIDE))
    return np.stack(inputs)[:, None], np.stack(truths)[:, None]


def calibration(recipe: Recipe, side: int, number: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return held-out slices from few coincidences to many, and their truth; both (n, 1, rows, columns)."""
    inputs, truths = [], []
    for index, level in enumerate(np.geomspace(*_PLAIN, number)):
        case = draw(8000 + number * seed + index, "held-out", recipe.scale, _GOLDEN[index % len(_GOLDEN)][0])
        made = pair(case, np.array([level * CLINICAL]), recipe.scale, np.random.default_rng([15, seed, index]))
        inputs.append(_middle(made.noisy[0], side // recipe.scale))
        truths.append(_middle(made.target[0], side))
    return np.stack(inputs)[:, None], np.stack(truths)[:, None]


def _middle(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Cut a square from the middle."""
    top = (len(image) - side) // 2
    return np.ascontiguousarray(image[top : top + side, top : top + side])
