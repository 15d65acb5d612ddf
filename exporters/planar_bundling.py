"""What a bundle of a planar model needs beside the network: its training domain and golden images."""

import numpy as np
from numpy.typing import NDArray

from ..engine import domain
from ..engine.bundle import Input
from ..engine.frames import Units
from .description import Description
from .phantoms.camera import bin2, count
from .phantoms.library import ANATOMIES, simulate
from .recipes.catalogue import Recipe
from .recipes.dataset import Pool

GOLDEN_SIDE = 128
DOMAIN_FRAMES = 1500
DETAIL_SHARE = 0.3
_GOLDEN = (("whole-body-bone", 3, 1.0), ("whole-body-bone", 4, 0.25), ("thyroid", 3, 0.5), ("shapes", 3, 1 / 16))


def describe(recipe: Recipe, pool: Pool) -> Description:
    """Describe what a model of counts takes and was trained on."""
    training = training_features(recipe, pool)
    means = 10 ** training[:, 0]
    return Description(
        modality="NM",
        input=Input(name="counts", units=Units.COUNTS, multiple=recipe.multiple, overlap=32 // recipe.scale),
        conserve="sum",
        matrices=tuple(sorted({_matrix(image, recipe.scale) for image in pool.expected})),
        counts_per_pixel=(float(means.min().round(4)), float(means.max().round(2))),
        domain=domain.fit_domain(training, held_out_features(recipe)),
    )


def training_features(recipe: Recipe, pool: Pool, seed: int = 11) -> NDArray[np.float64]:
    """Return the domain features of whole training images at the count levels of training, shape (n, k)."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(max(DOMAIN_FRAMES // max(len(pool.expected), 1), 1)):
        for image in pool.expected:
            found.append(domain.features(_noisy(image, _level(recipe, rng), recipe, rng)))
    for image in pool.acquired:
        counts = bin2(image) if recipe.scale == 2 else image
        found.append(domain.features(counts[None]))
    return np.concatenate(found)


def held_out_features(recipe: Recipe, number: int = 12) -> NDArray[np.float64]:
    """Return the domain features of held-out images, shape (m, k)."""
    rng = np.random.default_rng(12)
    studies = [simulate(anatomy.name, 100 + k, "held-out") for anatomy in ANATOMIES for k in range(number)]
    return np.concatenate(
        [domain.features(_noisy(study.image, _level(recipe, rng), recipe, rng)) for study in studies for _ in range(4)]
    )


def golden(recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return held-out images as the graph takes them, and what they should become; both (n, 1, rows, columns)."""
    rng = np.random.default_rng(13)
    truth = np.stack(
        [_middle(simulate(name, k, "held-out").image, GOLDEN_SIDE) * np.float32(f) for name, k, f in _GOLDEN]
    )
    counts = np.stack([count(image, rng) for image in truth])
    inputs = (bin2(counts) if recipe.scale == 2 else counts)[:, None]
    return np.ascontiguousarray(inputs), np.ascontiguousarray(truth[:, None])


def calibration(recipe: Recipe, side: int, number: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return held-out images from the fewest counts of training to the most, and their truth; both (n, 1, rows, columns)."""
    rng = np.random.default_rng([14, seed])
    truth = []
    for index, level in enumerate(np.geomspace(*recipe.counts, number)):
        anatomy = ANATOMIES[(index + seed) % len(ANATOMIES)].name
        image = simulate(anatomy, 300 + number * seed + index, "held-out").image
        truth.append(_middle(image, side) * np.float32(level))
    counts = np.stack([count(image, rng) for image in truth])
    inputs = (bin2(counts) if recipe.scale == 2 else counts)[:, None]
    return np.ascontiguousarray(inputs), np.ascontiguousarray(np.stack(truth)[:, None])


def _level(recipe: Recipe, rng: np.random.Generator) -> float:
    """Draw a count level of training."""
    return float(np.exp(rng.uniform(*np.log(recipe.counts))))


def _noisy(image: NDArray[np.float32], level: float, recipe: Recipe, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return one input of the model, shape (1, rows, columns); some are details, as training saw them."""
    if rng.random() < DETAIL_SHARE:
        image = _detail(image, rng)
    counts = count(image * np.float32(level), rng)
    return np.ascontiguousarray((bin2(counts) if recipe.scale == 2 else counts)[None])


def _detail(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Cut a square of half the columns around counts."""
    side = image.shape[1] // 2
    centre = rng.choice(np.argwhere(image > 0.1 * np.percentile(image, 99)))
    top, left = (int(np.clip(c - side // 2, 0, n - side)) for c, n in zip(centre, image.shape, strict=True))
    return image[top : top + side, left : left + side]


def _middle(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Cut a square from the upper middle, where a whole body has its chest."""
    rows, columns = image.shape
    centre = int(0.35 * rows) if rows > 2 * columns else rows // 2
    top, left = max(min(centre - side // 2, rows - side), 0), max((columns - side) // 2, 0)
    part = image[top : top + side, left : left + side]
    return np.pad(part, [(0, side - n) for n in part.shape])


def _matrix(image: NDArray[np.float32], scale: int) -> str:
    """Rows and columns of the model's input."""
    return f"{image.shape[0] // scale}x{image.shape[1] // scale}"
