"""Held-out PET slices, and the sphere plane of the NEMA phantom."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..phantoms.brains import brain_from_labels
from ..phantoms.plane import Disc, Slice
from ..phantoms.slices import OBJECTS, nema_iq
from ..phantoms.tomography import Reconstruction, Scanner, acquire, measure, reconstruct
from ..phantoms.voxels import brainweb_labels
from ..recipes.catalogue import Recipe
from ..recipes.slices import Acquisition, draw, noise_free, padded

Pixels = NDArray[np.float32]
CLINICAL = 2e6  # true coincidences in a slice of a clinical scan
CASES = {"brain": 2, "torso": 3, "nema-iq": 2, "derenzo": 2, "shapes": 3}
BRAIN_PLANES = (150, 190, 230)  # of the labels, from above the eyes to the vertex
BRAIN_FIELDS_MM = {"denoise": (256.0,), "super-resolution": (256.0, 400.0, 600.0)}
REPEATS = 3
# Where the background of the NEMA phantom has room for circles, x and y from the centre [mm].
BACKGROUNDS_MM = tuple((float(95 * np.cos(a)), float(95 * np.sin(a))) for a in np.deg2rad(np.arange(12) * 30.0 + 15.0))
NEMA_ANGLES = 200
SMALL = 3  # spheres, from the smallest


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
        Task and scale of the model.
    levels : tuple of float
        Counts relative to a clinical acquisition.
    data : Path or None
        Folder with the shared collections: the labels of a real brain become Hoffman-like slices. Training never sees them.
    """
    for name, case in _cases(recipe, data):
        expected = measure(case.plane.activity, case.plane.attenuation, case.scanner, CLINICAL)
        ideal = noise_free(case, expected, recipe.scale)
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

    The background is seen through twelve circles around the spheres; the deviation is the mean for circles as large as each of the
    three small spheres, as in NEMA NU 2-2018, section 7.
    """
    found = []
    for sphere in trial.discs:
        background = [Disc(x, y, sphere.diameter_mm, 1.0) for x, y in BACKGROUNDS_MM]
        excess = [
            disc_mean(part, sphere, trial.field_mm) / np.mean([disc_mean(part, b, trial.field_mm) for b in background])
            - 1
            for part in (image, trial.truth)
        ]
        found.append(float(excess[0] / excess[1]))
    return found, float(np.mean([_deviation(image, sphere, trial.field_mm) for sphere in trial.discs[:SMALL]]))


def _deviation(image: Pixels, sphere: Disc, field_mm: float) -> float:
    """Return the standard deviation of background circles as large as a sphere, over their mean."""
    means = np.array([disc_mean(image, Disc(x, y, sphere.diameter_mm, 1.0), field_mm) for x, y in BACKGROUNDS_MM])
    return float(means.std(ddof=1) / means.mean())


def _cases(recipe: Recipe, data: Path | None) -> Iterator[tuple[str, Acquisition]]:
    """Draw the held-out slices and name them."""
    for position, name in enumerate(OBJECTS):
        for k in range(CASES[name]):
            yield f"{name}-{k}", draw(100 * position + k, "held-out", recipe.scale, name)
    for k, plane in enumerate(_real_brains(data)):
        for field_mm in BRAIN_FIELDS_MM[recipe.task]:
            wide = regridded(padded(plane, 2 * round(field_mm)), 512)
            how = Reconstruction(side=256 // recipe.scale, iterations=4, subsets=10, filter_fwhm_mm=4.0)
            scanner = Scanner(field_mm, NEMA_ANGLES, fwhm_mm=4.5)
            yield f"{plane.name} {field_mm:g} mm-{k}", Acquisition(wide, scanner, how)


def regridded(plane: Slice, side: int) -> Slice:
    """Return a slice on a coarser grid of the same field: each new pixel is the mean of what it covers."""
    activity, attenuation = (
        np.asarray(Image.fromarray(part).resize((side, side), Image.Resampling.BOX), np.float32)
        for part in (plane.activity, plane.attenuation)
    )
    return replace(plane, activity=activity, attenuation=attenuation)


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
