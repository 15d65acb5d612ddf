"""Simulated rib regions on the working grid of ``bone-classify``: what the engine would hand to the graph, and where lesions are."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ....engine.analysis.prepare import Placement, place, resample
from ....engine.errors import InputError
from ....engine.files import atomic_write
from ....engine.frames import Frames
from ....engine.manifest import Grid
from ...phantoms.bone_views import BoneView, draw_acquisition, draw_views
from ...phantoms.rib_lesions import LABELS

__all__ = ["CELL", "GRID", "Pool", "crop", "pool", "simulated"]

Split = Literal["train", "tune", "held-out"]
GRID = Grid(kind="thorax", pitch_mm=3.5, side=128)
CELL = 2  # pixels of the grid to a cell of the map of evidence
_SPLITS = {"train": 11, "tune": 12, "held-out": 13}
_SIMULATOR = 2  # another number for other draws: pools of an older simulator are not taken
_KEPT = 64.0  # counts are kept in such parts of one


@dataclass(frozen=True)
class Pool:
    """Rib regions of patients; each patient is there once for each label.

    Parameters
    ----------
    counts : ndarray, shape (n, side, side), float32
        Counts for each pixel of the working grid.
    labels : ndarray, shape (n,), int64
        Position in ``LABELS``.
    lesions : ndarray, shape (n, side / 2, side / 2), float32
        Share of each cell that lies within half the system's resolution of a lesion.
    patients : ndarray, shape (n,), int64
        Number of the patient.
    counts_per_cm2 : ndarray, shape (n,), float32
        Median counts over the ribs.
    """

    counts: NDArray[np.float32]
    labels: NDArray[np.int64]
    lesions: NDArray[np.float32]
    patients: NDArray[np.int64]
    counts_per_cm2: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of rib regions."""
        return len(self.labels)


def simulated(split: Split, patient: int) -> tuple[BoneView, ...]:
    """Return one patient three times: with normal ribs, with fractures, with metastases.

    Parameters
    ----------
    split : {"train", "tune", "held-out"}
        The splits share no patient.
    patient : int
        Number of the patient in the split.
    """
    rng = np.random.default_rng([_SPLITS[split], patient])
    return draw_views(draw_acquisition(rng), LABELS, rng)


def crop(view: BoneView) -> tuple[NDArray[np.float32], Placement]:
    """Return the rib region as the engine cuts it out, and where it lies.

    Raises
    ------
    InputError
        If the engine finds no thorax.
    """
    frames = Frames.from_array(view.counts, pixel_spacing_mm=(view.pixel_mm, view.pixel_mm))
    (placement,) = place(frames, GRID)
    return resample(view.counts, placement), placement


def pool(split: Split, patients: int, work: Path, tell: Callable[[str], None], workers: int = 1) -> Pool:
    """Return the rib regions of many patients, from the work folder where they were kept.

    Parameters
    ----------
    split : {"train", "tune", "held-out"}
        Which patients.
    patients : int
        How many.
    work : Path
        Folder that keeps pools between runs.
    tell : callable
        Told what is being done.
    workers : int
        Processes that simulate.
    """
    path = work / f"bone-classify-{split}-{patients}-v{_SIMULATOR}.npz"
    if path.exists():
        with np.load(path) as kept:
            counts = kept["counts"].astype(np.float32) / np.float32(_KEPT)
            return Pool(
                counts, kept["labels"], kept["lesions"].astype(np.float32), kept["patients"], kept["counts_per_cm2"]
            )
    rows = []
    with ProcessPoolExecutor(workers, get_context("spawn")) as executor:
        for patient, made in enumerate(executor.map(_regions, repeat(split), range(patients), chunksize=8)):
            tell(f"patient {patient + 1} of {patients}")
            rows += made
    found = Pool(
        np.stack([row[0] for row in rows]),
        np.array([row[1] for row in rows], np.int64),
        np.stack([row[2] for row in rows]),
        np.array([row[3] for row in rows], np.int64),
        np.array([row[4] for row in rows], np.float32),
    )
    work.mkdir(parents=True, exist_ok=True)
    kept_counts = np.minimum(np.rint(found.counts * _KEPT), np.iinfo(np.uint32).max).astype(np.uint32)
    with atomic_write(path) as file:
        np.savez_compressed(
            file,
            counts=kept_counts,
            labels=found.labels,
            lesions=found.lesions.astype(np.float16),
            patients=found.patients,
            counts_per_cm2=found.counts_per_cm2,
        )
    return found


def _regions(split: Split, patient: int) -> list[tuple[NDArray[np.float32], int, NDArray[np.float32], int, float]]:
    """Return what the pool holds of one patient."""
    rows = []
    for view in simulated(split, patient):
        try:
            counts, placement = crop(view)
        except InputError:  # the engine would refuse it as well
            continue
        mask = resample(view.masks[1].astype(np.float32), placement) / np.float32(np.prod(placement.step))
        side = GRID.side // CELL if GRID.side else 0
        cells = mask.reshape(side, CELL, side, CELL).mean(axis=(1, 3))
        rows.append((counts, LABELS.index(view.label), cells, patient, view.acquisition.counts_per_cm2))
    return rows
