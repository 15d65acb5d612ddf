"""Chest radiographs with their labels, brought to the model's grid, and folds that keep patients together."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....engine.analysis.chest_regions import find_thorax
from ....engine.analysis.prepare import prepare
from ....engine.errors import InputError, UsageError
from ....engine.frames import Frames
from ....engine.manifest import Grid
from ....engine.matrix import MatrixSize
from ...architectures.analysis.radiograph import CLASSES
from ...phantoms.radiographs import View, draw_anatomy, radiograph

__all__ = [
    "SIDE",
    "Pool",
    "Radiograph",
    "folds",
    "make_pool",
    "read_radiographs",
    "simulated_laterals",
    "simulated_radiographs",
]

SIDE = 64  # px: three quarters of the images that there are have no more
_TABLES = ("labels.csv", "nih64_labels.csv")
_SMALL = "nih64"  # the second table has no column of sources
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One frontal chest radiograph.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns), float32
        Grey values, air dark.
    label : {"AP", "PA"}
        Projection.
    source : str
        Collection.
    patient : str
        Unique over all collections.
    licence, reference : str
        Of this image.
    """

    pixels: Floats
    label: str
    source: str
    patient: str
    licence: str = ""
    reference: str = ""


@dataclass(frozen=True, eq=False)
class Pool:
    """Radiographs on the model's grid.

    Parameters
    ----------
    images : ndarray, shape (n, side, side), float32
        Grey values above the lowest, 0 beyond the image.
    thoraxes : ndarray, shape (n, side, side), bool
        Where the thorax was found, see :mod:`photopeak.engine.analysis.chest_regions`.
    classes : ndarray, shape (n,), int
        Index into ``CLASSES``.
    sources, patients : ndarray, shape (n,), str
        Collection and patient.
    """

    images: Floats
    thoraxes: NDArray[np.bool_]
    classes: NDArray[np.intp]
    sources: NDArray[np.str_]
    patients: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def strata(self) -> NDArray[np.str_]:
        """Source and class of each image, which folds keep in proportion."""
        return np.array([f"{source} {CLASSES[k]}" for source, k in zip(self.sources, self.classes, strict=True)])


def read_radiographs(folder: Path) -> tuple[Radiograph, ...]:
    """Read labelled radiographs.

    Parameters
    ----------
    folder : Path
        Holds, itself or in its folder ``cxr``, ``labels.csv`` (columns file, label, source, patient, licence, ref) and
        ``nih64_labels.csv`` (file, label, patient, licence), either or both, and the 8-bit images that they name.

    Returns
    -------
    tuple of Radiograph
        In the order of the tables.

    Raises
    ------
    UsageError
        If there is no table.
    InputError
        If an image is missing or a label is neither AP nor PA.
    """
    root = folder / "cxr" if (folder / "cxr").is_dir() else folder
    tables = [root / name for name in _TABLES if (root / name).is_file()]
    if not tables:
        raise UsageError(f"{folder} holds no labelled radiographs; give a folder with {' or '.join(_TABLES)}.")
    return tuple(_read(root, row, table.name) for table in tables for row in _rows(table))


def simulated_radiographs(number: int, seed: int = 0, *, side: int = SIDE) -> tuple[Radiograph, ...]:
    """Return radiographs of digital thoraxes, AP and PA in turn, for tests and for trying a training.

    Parameters
    ----------
    number : int
        How many.
    seed : int
        Of the first patient.
    side : int
        Rows and columns.

    Examples
    --------
    >>> [(one.label, one.pixels.shape) for one in simulated_radiographs(2)]
    [('AP', (64, 64)), ('PA', (64, 64))]
    """
    found = []
    for index in range(number):
        rng = np.random.default_rng((seed, index))
        view: View = "AP" if index % 2 == 0 else "PA"
        pixels = radiograph(draw_anatomy(rng, view), view, rng, side=side)
        found.append(Radiograph(pixels, view, "simulated", f"simulated:{seed}-{index}", "Apache-2.0"))
    return tuple(found)


@lru_cache(maxsize=1)
def simulated_laterals(number: int, seed: int = 0, *, side: int = SIDE) -> Floats:
    """Return lateral radiographs of digital thoraxes on the model's grid.

    Parameters
    ----------
    number : int
        How many.
    seed : int
        Of the first patient.
    side : int
        Rows and columns.

    Returns
    -------
    ndarray, shape (number, side, side), float32
        Attenuation above the lowest of each image.
    """
    found = []
    for index in range(number):
        rng = np.random.default_rng((seed, index, 1))
        image = radiograph(draw_anatomy(rng, "lateral"), "lateral", rng, side=side)
        found.append(image - image.min())
    return np.stack(found)


def make_pool(radiographs: Sequence[Radiograph], side: int = SIDE) -> Pool:
    """Bring radiographs to the grid of the model, as the engine does, and find their thoraxes.

    Parameters
    ----------
    radiographs : sequence of Radiograph
        At least one.
    side : int
        Rows and columns of the grid.
    """
    grid = Grid(kind="fit", side=side)
    images = np.concatenate([prepare(Frames.from_array(one.pixels), grid).pixels for one in radiographs])
    matrix = MatrixSize(side, side)
    return Pool(
        images,
        np.stack([find_thorax(image).mask(matrix) for image in images]),
        np.array([CLASSES.index(one.label) for one in radiographs]),
        np.array([one.source for one in radiographs]),
        np.array([one.patient for one in radiographs]),
    )


def folds(pool: Pool, number: int, seed: int = 0) -> NDArray[np.intp]:
    """Divide images into folds that keep patients together and strata in proportion.

    Patients go, the largest first and otherwise in random order, to the fold that lacks their strata most.

    Parameters
    ----------
    pool : Pool
        Images.
    number : int
        Folds.
    seed : int
        Of the order of patients.

    Returns
    -------
    ndarray, shape (n,), int
        Fold of each image.
    """
    strata, stratum = np.unique(pool.strata, return_inverse=True)
    patients, patient = np.unique(pool.patients, return_inverse=True)
    counts = np.zeros((len(patients), len(strata)))
    np.add.at(counts, (patient, stratum), 1)
    filled = np.zeros((number, len(strata)))
    chosen = np.zeros(len(patients), np.intp)
    order = np.random.default_rng(seed).permutation(len(patients))
    for index in order[np.argsort(-counts[order].sum(1), kind="stable")]:
        own = counts[index] > 0
        chosen[index] = np.lexsort((filled.sum(1), filled[:, own].sum(1)))[0]
        filled[chosen[index]] += counts[index]
    assigned: NDArray[np.intp] = chosen[patient]
    return assigned


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _read(root: Path, row: dict[str, str], table: str) -> Radiograph:
    """Read one image that a table names."""
    from skimage.io import imread

    path, label = root / row["file"], row["label"]
    if label not in CLASSES:
        raise InputError(f"{path}: {table} calls it {label!r}; label it {' or '.join(CLASSES)}.")
    try:
        pixels = imread(path, as_gray=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}), but {table} names it.") from error
    source, patient = row.get("source", _SMALL), row["patient"]
    if source == _SMALL:
        patient = f"nih14:{patient}"
    return Radiograph(
        np.asarray(pixels, np.float32), label, source, patient, row.get("licence", ""), row.get("ref", "")
    )
