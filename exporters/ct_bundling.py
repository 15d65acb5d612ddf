"""What a bundle of a CT model needs beside the network: its training domain and golden slices."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..engine import domain
from ..engine.bundle import Input
from ..engine.frames import Units
from .description import Description
from .phantoms.ct import STANDARD, spectrum
from .recipes.catalogue import Recipe
from .recipes.ct import CtPair, CtPool, Scan, draw, draw_scan, pair

GOLDEN_SIDE = 192
REACH_PX = 16  # how far the network sees
DETAIL_SHARE = (0.3, 0.8)  # of the side of a slice: scanners reconstruct small fields too
_GOLDEN = (("head", 3, 6.0), ("chest", 4, 20.0), ("abdomen", 5, 12.0), ("shapes", 6, 12.0))


def describe(recipe: Recipe, pool: CtPool) -> Description:
    """Describe what a CT model takes and was trained on."""
    return Description(
        modality="CT",
        input=Input(name="counts", units=Units.HOUNSFIELD, multiple=recipe.multiple, overlap=REACH_PX),
        conserve="none",  # Hounsfield units may add up to 0: there is nothing that a factor could keep
        matrices=tuple(sorted({f"{len(made.image)}x{len(made.image)}" for made in pool.pairs})),
        domain=domain.fit_domain(training_features(pool), held_out_features(recipe)),
    )


def training_features(pool: CtPool) -> NDArray[np.float64]:
    """Return the domain features of training slices, shape (n, k)."""
    rng = np.random.default_rng(59)
    return np.concatenate([_features(made, rng) for made in pool.pairs])


def held_out_features(recipe: Recipe, number: int = 60) -> NDArray[np.float64]:
    """Return the domain features of held-out slices, shape (m, k)."""
    rng = np.random.default_rng(54)
    found = []
    for index in range(number):
        plane, side = draw(5000 + index, "held-out")
        seen = spectrum(plane)
        found += [_features(pair(seen, draw_scan(plane, side, recipe.counts, rng), rng), rng) for _ in range(2)]
    return np.concatenate(found)


def golden(recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return held-out slices as the graph takes them, and what they should become; both (n, 1, rows, columns)."""
    inputs, truths = [], []
    for name, index, noise_hu in _GOLDEN:
        plane, side = draw(7000 + index, "held-out", name)
        scan = Scan(STANDARD.wider(min(1.0, 0.4 * side / plane.field_mm / STANDARD.f50_per_mm)), noise_hu, side)
        made = pair(spectrum(plane), scan, np.random.default_rng([55, index]))
        inputs.append(_middle(made.image, GOLDEN_SIDE // recipe.scale))
        truths.append(_middle(made.target, GOLDEN_SIDE))
    return np.stack(inputs)[:, None], np.stack(truths)[:, None]


def calibration(recipe: Recipe, side: int, number: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return held-out slices from little noise to much, and their truth; both (n, 1, rows, columns)."""
    inputs, truths = [], []
    for index, noise_hu in enumerate(np.geomspace(*recipe.counts, number)):
        rng = np.random.default_rng([56, seed, index])
        plane, whole = draw(8000 + number * seed + index, "held-out", _GOLDEN[index % len(_GOLDEN)][0])
        made = pair(
            spectrum(plane), replace(draw_scan(plane, whole, recipe.counts, rng), noise_hu=float(noise_hu)), rng
        )
        inputs.append(_middle(made.image, side // recipe.scale))
        truths.append(_middle(made.target, side))
    return np.stack(inputs)[:, None], np.stack(truths)[:, None]


def _features(made: CtPair, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the domain features of a slice, and of a smaller field of it, shape (2, k)."""
    side = round(rng.uniform(*DETAIL_SHARE) * len(made.image))
    reach = (len(made.image) - side) // 4  # of the middle, where the body is
    top, left = ((len(made.image) - side) // 2 + rng.integers(-reach, reach + 1, size=2)).tolist()
    detail = np.ascontiguousarray(made.image[top : top + side, left : left + side])
    return np.concatenate([domain.features(part[None], units=Units.HOUNSFIELD) for part in (made.image, detail)])


def _middle(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Cut a square from the middle."""
    top = (len(image) - side) // 2
    return np.ascontiguousarray(image[top : top + side, top : top + side])
