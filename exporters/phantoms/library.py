"""The catalogue of simulated acquisitions and the split between training and held-out cases."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .camera import Camera
from .organs import kidneys, liver_spleen, lungs, neck, shapes
from .patterns import pattern
from .scene import Scene, project
from .skeleton import whole_body_bone
from .volumes import Volume
from .voxels import VoxelPhantom, of_volume, project_voxels

Split = Literal["train", "held-out"]
HELD_OUT_VOXELS = ("Fillable_Jaszczak", "Glioblastoma", "LuDOTATATE")


@dataclass(frozen=True)
class Study:
    """A noise-free acquisition.

    Parameters
    ----------
    name : str
        Anatomy and seed.
    image : ndarray, shape (rows, columns), float32
        Expected counts per pixel at the clinical count level.
    pixel_mm : float
        Side of a pixel [mm].
    """

    name: str
    image: NDArray[np.float32]
    pixel_mm: float


@dataclass(frozen=True)
class Anatomy:
    """How one kind of study is acquired.

    Parameters
    ----------
    name : str
        Key of the catalogue.
    scene : callable, optional
        Draws the object; None for quality-control patterns.
    field_mm : tuple of float
        Smallest and largest field of view across the columns [mm].
    columns : tuple of int
        Matrices used; rows are the same, or four times as many for a whole body.
    turn : tuple of float
        Angles about the long axis that are usual [degrees].
    """

    name: str
    scene: Callable[[np.random.Generator], Scene | Volume] | None
    field_mm: tuple[float, float]
    columns: tuple[int, ...]
    turn: tuple[float, ...] = (0.0, 180.0)


ANATOMIES = (
    Anatomy("whole-body-bone", whole_body_bone, (540.0, 620.0), (256,)),
    Anatomy("thyroid", neck, (200.0, 420.0), (128, 256), (0.0, 0.0, 45.0, -45.0)),
    Anatomy("liver-spleen", liver_spleen, (400.0, 580.0), (128, 256)),
    Anatomy("kidneys", kidneys, (400.0, 580.0), (128, 256), (180.0,)),
    Anatomy("lungs", lungs, (400.0, 580.0), (128, 256), (0.0, 180.0, 45.0, 90.0, 135.0)),
    Anatomy("shapes", shapes, (400.0, 580.0), (128, 256), (0.0, 60.0, 180.0)),
    Anatomy("pattern", None, (400.0, 580.0), (256, 512)),
)


def simulate(name: str, index: int, split: Split) -> Study:
    """Return one case of the catalogue; the same arguments give the same case.

    Parameters
    ----------
    name : str
        One of the names in ``ANATOMIES``.
    index : int
        Number of the case within its split.
    split : {"train", "held-out"}
        The two splits share no seed.

    Returns
    -------
    Study
        Noise-free expectation at a clinical count level.

    Raises
    ------
    KeyError
        If the catalogue has no such anatomy.

    Examples
    --------
    >>> simulate("thyroid", 0, "held-out").image.dtype
    dtype('float32')
    """
    position = [anatomy.name for anatomy in ANATOMIES].index(name) if name in _names() else None
    if position is None:
        raise KeyError(f"no anatomy '{name}', choose one of {', '.join(sorted(_names()))}")
    anatomy = ANATOMIES[position]
    rng = np.random.default_rng([_split_key(split), position, index])
    camera = _camera(anatomy, rng)
    if anatomy.scene is None:
        image = pattern(rng, camera)
    else:
        image = view(anatomy.scene(rng), camera, float(rng.choice(anatomy.turn)))
    return Study(f"{name}-{index}", at_clinical_level(image, camera.pixel_mm, rng), camera.pixel_mm)


def view(subject: Scene | Volume, camera: Camera, degrees: float = 0.0) -> NDArray[np.float32]:
    """Return the noise-free planar image of a patient turned about the long axis.

    Parameters
    ----------
    subject : Scene or Volume
        The patient.
    camera : Camera
        Matrix, resolution and scatter.
    degrees : float
        0 is anterior, 180 posterior.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Expected counts per pixel, any unit.
    """
    if isinstance(subject, Volume):
        return project_voxels(of_volume(subject), camera, degrees)
    return project(subject.turned(degrees), camera)


def simulate_voxels(phantom: VoxelPhantom, index: int) -> Study:
    """Return a planar view of a voxel phantom from a random side.

    Parameters
    ----------
    phantom : VoxelPhantom
        The object; whether it is held out is told by ``is_held_out``.
    index : int
        Number of the view.

    Returns
    -------
    Study
        Noise-free expectation at a clinical count level.

    Examples
    --------
    >>> grid = np.ones((8, 8, 8), np.float32)
    >>> study = simulate_voxels(VoxelPhantom("cube", grid, grid > 0, (20.0, 20.0, 20.0)), 0)
    >>> study.name
    'cube-0'
    """
    rng = np.random.default_rng([7, sum(phantom.name.encode()), index])
    extent = max(n * mm for n, mm in zip(phantom.activity.shape, phantom.voxel_mm, strict=True))
    columns = int(rng.choice([128, 256]))
    field = extent * rng.uniform(1.05, 1.8)
    camera = replace(_resolution(rng), shape=(columns, columns), pixel_mm=max(field / columns, 1.0))
    image = project_voxels(phantom, camera, float(rng.uniform(0, 360)))
    return Study(f"{phantom.name}-{index}", at_clinical_level(image, camera.pixel_mm, rng), camera.pixel_mm)


def is_held_out(phantom: VoxelPhantom) -> bool:
    """Tell whether a voxel phantom is kept out of training."""
    return any(part in phantom.name for part in HELD_OUT_VOXELS)


def at_clinical_level(image: NDArray[np.float32], pixel_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Scale an image to the counts of a clinical acquisition.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), float32
        Expectation in any unit.
    pixel_mm : float
        Side of a pixel [mm].
    rng : numpy.random.Generator
        Draws the level: 30 to 200 counts at the 99th percentile of a 2.26 mm pixel (a real bone scan has 92).

    Returns
    -------
    ndarray, same shape, float32
        Expected counts per pixel.

    Examples
    --------
    >>> flat = at_clinical_level(np.ones((64, 64), np.float32), 2.26, np.random.default_rng(0))
    >>> bool(30 <= flat[0, 0] <= 200)
    True
    """
    target = np.exp(rng.uniform(np.log(30), np.log(200))) * (pixel_mm / 2.26) ** 2
    level = np.percentile(image[image > 0.01 * image.max()], 99) if image.any() else 1.0
    return np.asarray(image * (target / level), np.float32)


def _names() -> set[str]:
    """Names in the catalogue."""
    return {anatomy.name for anatomy in ANATOMIES}


def _split_key(split: Split) -> int:
    """First word of the seed of a split."""
    return {"train": 1, "held-out": 2}[split]


def _camera(anatomy: Anatomy, rng: np.random.Generator) -> Camera:
    """Draw matrix, pixel and collimator."""
    columns = int(rng.choice(anatomy.columns))
    rows = 4 * columns if anatomy.name.startswith("whole-body") else columns
    return replace(_resolution(rng), shape=(rows, columns), pixel_mm=float(rng.uniform(*anatomy.field_mm)) / columns)


def _resolution(rng: np.random.Generator) -> Camera:
    """Draw a collimator between ultra-high resolution and medium energy."""
    return Camera(
        intrinsic_fwhm_mm=float(rng.uniform(3.0, 4.2)),
        hole_mm=float(rng.uniform(1.2, 2.8)),
        divergence=float(rng.uniform(0.03, 0.065)),
        gap_mm=float(rng.uniform(5, 60)),
        scatter_fraction=float(rng.uniform(0.05, 0.35)),
        scatter_fwhm_mm=float(rng.uniform(60, 130)),
    )
