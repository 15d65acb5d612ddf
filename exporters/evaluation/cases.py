"""Held-out cases: other seeds than training, voxel phantoms that training never saw, and lesions of known contrast."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..phantoms.camera import Camera
from ..phantoms.library import ANATOMIES, Study, at_clinical_level, is_held_out, simulate, simulate_voxels
from ..phantoms.scene import ellipsoid, join, project
from ..phantoms.skeleton import whole_body_bone
from ..phantoms.voxels import load_voxel_phantoms

SIDE = 128
WHOLE_BODIES = 14
OTHERS = 5
VOXEL_VIEWS = 2
LESIONS = 16


@dataclass(frozen=True)
class Lesion:
    """A patient with and without one hot lesion.

    Parameters
    ----------
    name : str
        Number of the patient.
    image : ndarray, shape (side, side), float32
        Noise-free image with the lesion.
    without : ndarray, same shape
        The same without it.
    region : ndarray, same shape, bool
        Pixels where the lesion gives at least half of its maximum.
    """

    name: str
    image: NDArray[np.float32]
    without: NDArray[np.float32]
    region: NDArray[np.bool_]


def held_out_studies(data: Path | None, side: int = SIDE) -> list[Study]:
    """Return the held-out noise-free studies, cropped to a square around their counts.

    Parameters
    ----------
    data : Path or None
        Folder with the shared collections; without it there are no voxel phantoms.
    side : int
        Side of the crop [px].

    Returns
    -------
    list of Study
        In a fixed order.
    """
    studies = []
    for anatomy in ANATOMIES:
        number = WHOLE_BODIES if anatomy.name.startswith("whole-body") else OTHERS
        studies += [simulate(anatomy.name, index, "held-out") for index in range(number)]
    for phantom in load_voxel_phantoms(data) if data else []:
        if is_held_out(phantom):
            studies += [simulate_voxels(phantom, 1000 + view) for view in range(VOXEL_VIEWS)]
    return [_cropped(study, index, side) for index, study in enumerate(studies)]


def lesions(number: int = LESIONS, side: int = SIDE) -> list[Lesion]:
    """Return held-out whole-body patients with one hot lesion each, with and without it.

    Parameters
    ----------
    number : int
        Number of patients.
    side : int
        Side of the crop around the lesion [px].

    Returns
    -------
    list of Lesion
        Lesions of 4 to 9 mm radius, 20 to 60 times as dense as soft tissue and added to the bone (mostly 5 to 20 times).
    """
    return [_lesion(index, side) for index in range(number)]


def _lesion(index: int, side: int) -> Lesion:
    """Draw one patient and put a lesion on a bone of the trunk."""
    rng = np.random.default_rng([3, index])
    scene = whole_body_bone(rng)
    camera = Camera(
        shape=(1024, 256), pixel_mm=float(rng.uniform(2.1, 2.5)), divergence=float(rng.uniform(0.035, 0.06))
    )
    bones = scene.sources.centre
    trunk = np.flatnonzero((np.abs(bones[:, 0]) < 170) & (np.abs(bones[:, 1]) < 700) & (scene.sources.activity > 1))
    at = bones[rng.choice(trunk)]
    radius, uptake = rng.uniform(4, 9), rng.uniform(2, 6) * 10
    spot = ellipsoid((at[0], at[1], at[2]), (radius, radius, radius), uptake)
    view = 180.0 if at[2] > 0 else 0.0
    without = project(scene.turned(view), camera)
    image = project(replace(scene, sources=join(scene.sources, spot)).turned(view), camera)
    scale = at_clinical_level(without, camera.pixel_mm, rng).sum() / without.sum()
    top, left = _around(np.argwhere((image - without) == (image - without).max())[0], image.shape, side)
    window = np.s_[top : top + side, left : left + side]
    extra = (image - without)[window]
    return Lesion(f"lesion-{index}", image[window] * scale, without[window] * scale, extra >= 0.5 * extra.max())


def _cropped(study: Study, index: int, side: int) -> Study:
    """Cut a square at a place drawn in proportion to the counts; pad small matrices."""
    rng = np.random.default_rng([4, index])
    cumulative = np.cumsum(study.image.astype(np.float64).ravel())
    pixel = int(np.searchsorted(cumulative, rng.random() * cumulative[-1]))
    top, left = _around(np.array(np.unravel_index(pixel, study.image.shape)), study.image.shape, side)
    part = study.image[top : top + side, left : left + side]
    part = part[: part.shape[0] // 16 * 16, : part.shape[1] // 16 * 16]
    return Study(study.name, np.ascontiguousarray(part), study.pixel_mm)


def _around(at: NDArray[np.intp], shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return the top left corner of a square around a pixel that stays inside the matrix."""
    top = int(np.clip(at[0] - side // 2, 0, max(shape[0] - side, 0)))
    left = int(np.clip(at[1] - side // 2, 0, max(shape[1] - side, 0)))
    return top, left
