"""How true mean and maximum of lesions, spheres and background stay: the bias of what is read off a PET image."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..phantoms.plane import Disc
from ..phantoms.tomography import acquire, measure, reconstruct
from ..recipes.catalogue import Recipe
from ..recipes.slices import draw, noise_free
from .baselines import Method, Methods
from .slices import BACKGROUNDS_MM, CLINICAL, Trial, disc_values, sphere_trials
from .study import Kept

LESION_SLICES = 12  # torsos, none of them in any other measurement
FIRST = 400
BACKGROUND_MM = 22.0  # circles of background, clear of spheres and of the edge
# What is read, by the smallest and the largest diameter [mm].
REGIONS = {
    "background of the NEMA phantom": (0.0, 0.0),
    "spheres of 22 to 37 mm": (20.0, 40.0),
    "spheres of 10 to 17 mm": (0.0, 20.0),
    "lesions of 15 mm and more": (15.0, 40.0),
    "lesions below 15 mm": (0.0, 15.0),
}


@dataclass(frozen=True)
class Reading:
    """What one method makes of a kind of region in one image.

    Parameters
    ----------
    case : str
        The image.
    level : float
        Counts relative to a clinical acquisition.
    method : str
        Name of the method.
    region : str
        Key of ``REGIONS``.
    mean_bias, max_bias : float
        Mean and maximum over those of the noise-free reconstruction, minus 1, mean over the regions of the image.
    """

    case: str
    level: float
    method: str
    region: str
    mean_bias: float
    max_bias: float


def read_uptake(
    recipe: Recipe,
    methods: Methods,
    levels: tuple[float, ...],
    kept: Kept,
    tell: Callable[[str], None] = lambda name: None,
) -> tuple[Reading, ...]:
    """Read all regions after every method.

    Parameters
    ----------
    recipe : Recipe
        Of a denoiser of PET slices.
    methods : sequence of (str, callable)
        Names and methods.
    levels : tuple of float
        Counts relative to a clinical acquisition.
    kept : Kept
        Figures of the classical methods from earlier runs.
    tell : callable
        Told what is being measured.

    Returns
    -------
    tuple of Reading
        Those that exist: a slice without a small lesion says nothing about small lesions.
    """
    found = []
    for trial in (*lesion_trials(recipe, levels), *sphere_trials(recipe, levels)):
        tell(f"uptake, {trial.case} at {trial.level:g}")
        names = [name for name in REGIONS if regions(trial, name)]
        for method, apply in methods:
            key = f"{trial.case}|{trial.level:.4f}|{method}|uptake"
            values = kept.figure(method, key, partial(_biases, apply, trial, names))
            pairs = zip(values[::2], values[1::2], strict=True)
            for name, (mean, highest) in zip(names, pairs, strict=True):
                found.append(Reading(trial.case, trial.level, method, name, mean, highest))
    return tuple(found)


def lesion_trials(recipe: Recipe, levels: tuple[float, ...]) -> Iterator[Trial]:
    """Yield held-out torsos with lesions, reconstructed by OSEM."""
    for k in range(FIRST, FIRST + LESION_SLICES):
        drawn = draw(k, "held-out", recipe.scale, "torso")
        case = replace(drawn, how=replace(drawn.how, method="osem"))
        if not case.plane.discs:
            continue
        expected = measure(case.plane.activity, case.plane.attenuation, case.scanner, CLINICAL)
        ideal = noise_free(case, expected, recipe.scale)
        for level in levels:
            rng = np.random.default_rng([33, k, round(1e6 * level)])
            noisy = reconstruct(acquire(expected, level, rng), case.scanner, case.how)
            yield Trial(f"lesions-{k}", level, noisy, ideal, case.plane.discs, case.plane.field_mm)


def regions(trial: Trial, name: str) -> tuple[Disc, ...]:
    """Return the regions of a kind in an image; none where it has no such thing."""
    smallest, largest = REGIONS[name]
    phantom = trial.case.startswith("spheres")
    if name.startswith("background"):
        return tuple(Disc(x, y, BACKGROUND_MM, 1.0) for x, y in BACKGROUNDS_MM) if phantom else ()
    if name.startswith("spheres") != phantom:
        return ()
    return tuple(disc for disc in trial.discs if smallest <= disc.diameter_mm < largest)


def _biases(method: Method, trial: Trial, names: list[str]) -> list[float]:
    """Return the bias of mean and maximum for each kind of region, one after another."""
    image, found = method(trial.noisy, trial.truth), []
    for name in names:
        pairs = [
            [disc_values(part, disc, trial.field_mm) for part in (image, trial.truth)] for disc in regions(trial, name)
        ]
        found.append(float(np.mean([a.mean() / b.mean() - 1 for a, b in pairs])))
        found.append(float(np.mean([a.max() / b.max() - 1 for a, b in pairs])))
    return found
