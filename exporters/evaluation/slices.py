"""Held-out PET slices, and the sphere plane of the NEMA phantom."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..phantoms.brains import brain_from_labels
from ..phantoms.plane import Disc, Slice
from ..phantoms.slices import OBJECTS, nema_iq
from ..phantoms.tomography import Reconstruction, Scanner, acquire, measure, reconstruct
from ..phantoms.voxels import brainweb_labels
from ..recipes.catalogue import Recipe
from ..recipes.slices import Acquisition, draw, noise_free

Pixels = NDArray[np.float32]
CLINICAL = 2e6  # true coincidences in a slice of a clinical scan
CASES_PER_OBJECT = 2
BRAIN_PLANES = (150, 190, 230)  # of the labels, from above the eyes to the vertex
REPEATS = 3
# Where the background of the NEMA phantom has room for circles, x and y from the centre [mm].
BACKGROUNDS_MM = tuple((float(95 * np.cos(a)), float(95 * np.sin(a))) for a in np.deg2rad(np.arange(12) * 30.0 + 15.0))
NEMA_ANGLES = 200


@dataclass(frozen=True)
class Trial:
    """One noisy image with what it should look like.

    Parameters
    ----------
    case : str
        Name and number of the object.
    level : float
        Counts relative to a clinical acquisition.
    noisy : ndarray, shape (rows, columns), float32
        As reconstructed.
    truth : ndarray, shape (scale * rows, scale * columns), float32
        Noise-free reconstruction with the same settings; for super-resolution on the larger matrix.
    discs : tuple of Disc
        Lesions or spheres in it.
    field_mm : float
        Side of the image [mm].
    """

    case: str
    level: float
    noisy: Pixels
    truth: Pixels
    discs: tuple[Disc, ...]
    field_mm: float


def trials(recipe: Recipe, levels: tuple[float, ...], data: Path | None) -> Iterator[Trial]:
    """Yield every held-out slice at every count level.

    Parameters
    ----------
    recipe : Recipe
        Scale of the model.
    levels : tuple of float
        Counts relative to a clinical acquisition.
    data : Path or None
        Folder with the shared collections: the labels of a real brain become a Hoffman-like slice. Training never sees them.
    """
    for number, case in enumerate(_cases(recipe, data)):
        expected = measure(case.plane.activity, case.plane.attenuation, case.scanner, CLINICAL)
        ideal = noise_free(case, expected, recipe.scale)
        name = f"{case.plane.name}-{number}"
        for level in levels:
            rng = np.random.default_rng(crc32(f"{name}|{level}".encode()))
            noisy = reconstruct(acquire(expected, level, rng), case.scanner, case.how)
            yield Trial(name, level, noisy, ideal, case.plane.discs, case.plane.field_mm)


def sphere_trials(recipe: Recipe, levels: tuple[float, ...]) -> Iterator[Trial]:
    """Yield noisy images of six hot spheres, four times as active as the background."""
    plane = nema_iq(512, 4.0)
    scanner = Scanner(plane.field_mm, NEMA_ANGLES, fwhm_mm=5.0)
    how = Reconstruction(side=256 // recipe.scale, iterations=3, subsets=10, filter_fwhm_mm=4.0)
    case = Acquisition(plane, scanner, how)
    expected = measure(plane.activity, plane.attenuation, scanner, CLINICAL)
    ideal = noise_free(case, expected, recipe.scale)
    for level in levels:
        for repeat in range(REPEATS):
            rng = np.random.default_rng([31, repeat, round(1e6 * level)])
            noisy = reconstruct(acquire(expected, level, rng), scanner, how)
            yield Trial(f"spheres-{repeat}", level, noisy, ideal, plane.discs, plane.field_mm)


def recovery_and_variability(image: Pixels, trial: Trial) -> tuple[list[float], float]:
    """Return each sphere's contrast over that of the ideal image, and the background's relative deviation.

    The background is seen through twelve circles as large as the third sphere, around the spheres as in NEMA NU 2, section 7.
    """
    background = [Disc(x, y, trial.discs[2].diameter_mm, 1.0) for x, y in BACKGROUNDS_MM]
    found = []
    for sphere in trial.discs:
        excess = [
            disc_mean(part, sphere, trial.field_mm) / np.mean([disc_mean(part, b, trial.field_mm) for b in background])
            - 1
            for part in (image, trial.truth)
        ]
        found.append(float(excess[0] / excess[1]))
    means = np.array([disc_mean(image, disc, trial.field_mm) for disc in background])
    return found, float(means.std(ddof=1) / means.mean())


def _cases(recipe: Recipe, data: Path | None) -> Iterator[Acquisition]:
    """Draw the held-out slices, each object as often as the others."""
    for position, name in enumerate(OBJECTS):
        for k in range(CASES_PER_OBJECT):
            yield draw(100 * position + k, "held-out", recipe.scale, name)
    for k, plane in enumerate(_real_brains(data)):
        case = draw(900 + k, "held-out", recipe.scale, "brain")
        how = replace(case.how, side=256 // recipe.scale, method="osem")
        yield Acquisition(plane, replace(case.scanner, field_mm=plane.field_mm), how)


def _real_brains(data: Path | None) -> Iterator[Slice]:
    labels = brainweb_labels(data) if data else None
    if labels is not None:
        for plane in BRAIN_PLANES:
            yield brain_from_labels(labels[plane], 0.5, 512)


def disc_values(image: Pixels, disc: Disc, field_mm: float) -> Pixels:
    """Return the pixels whose centres lie inside a disc; at least the nearest one."""
    at = (np.arange(len(image)) - (len(image) - 1) / 2) * field_mm / len(image)
    distance = np.hypot(at[None] - disc.x_mm, at[:, None] - disc.y_mm)
    return image[distance <= max(disc.diameter_mm / 2, float(distance.min()))]


def disc_mean(image: Pixels, disc: Disc, field_mm: float) -> float:
    """Return the mean inside a disc."""
    return float(disc_values(image, disc, field_mm).mean(dtype=np.float64))
