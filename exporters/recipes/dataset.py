"""Training pairs: a pool of noise-free studies, drawn into noisy patches on the fly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

import numpy as np
import pydicom
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from ...engine.files import atomic_write
from ..phantoms.camera import bin2
from ..phantoms.library import ANATOMIES, is_held_out, simulate, simulate_voxels
from ..phantoms.voxels import load_voxel_phantoms
from .catalogue import Recipe

Patches = tuple[NDArray[np.float32], NDArray[np.float32]]  # input and target
NUMBERS = {"whole-body-bone": 240, "shapes": 80, "pattern": 90}
OTHER_ANATOMIES = 50
VOXEL_VIEWS = 8
REAL_SHARE = 0.04
EDGE_SHARE = 0.15  # patches across the edge of the detector, where a patient wider than the field is cut off
REAL_FRACTIONS = (1 / 24, 1 / 8)  # the shorter, the quieter the complement that serves as target
_REAL = (
    "nmqc/UNIFORMIDAD_1.dcm",
    "nmqc/FourBar.dcm",
    "nmqc/QuadrantBar.dcm",
    "nmqc/Lin_X.dcm",
    "nmqc/Lin_Y.dcm",
    "nmqc/Spatial_Resol_X.dcm",
    "linaqa/nm/MCR.dcm",
    "linaqa/nm/MaxCountRate.dcm",
    "linaqa/nm/sens_PetriDish.dcm",
    "linaqa/nm/sens_Syringe_1cc.dcm",
)
Images = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Pool:
    """What patches are cut from.

    Parameters
    ----------
    expected : list of ndarray
        Noise-free studies at clinical count level [counts per pixel].
    acquired : list of ndarray
        Real acquisitions; whole counts.
    """

    expected: Images
    acquired: Images

    def batches(self, recipe: Recipe, seed: int, first: int = 0) -> Iterator["Batch"]:
        """Yield training batches, see :func:`batches`."""
        return batches(self, recipe, seed, first)


class Source(Protocol):
    """What a training draws from."""

    def batches(self, recipe: Recipe, seed: int, first: int = 0) -> Iterator["Batch"]:
        """Yield batches without end; batch k depends on the seed and k alone, `first` is for resuming."""


@dataclass(frozen=True)
class Batch:
    """Training pairs of one step.

    Parameters
    ----------
    counts : ndarray, shape (n, 1, h, w), float32
        Noisy input.
    target : ndarray, shape (n, 1, scale * h, scale * w), float32
        Noise-free expectation, or for real data its independent noisy estimate.
    """

    counts: NDArray[np.float32]
    target: NDArray[np.float32]


def build_pool(data: Path | None, share: float = 1.0, advance: Callable[[str], None] = lambda name: None) -> Pool:
    """Simulate the training studies and read the real ones.

    Parameters
    ----------
    data : Path or None
        Folder with the shared collections; None trains on simulations without voxel phantoms or real images.
    share : float
        Fraction of the full number of studies (small for tests).
    advance : callable
        Told the name of each study as it is made.

    Returns
    -------
    Pool
        The same for the same arguments.

    Examples
    --------
    >>> len(build_pool(None, share=0.001).expected)
    7
    """
    expected = []
    for anatomy in ANATOMIES:
        for index in range(max(int(share * NUMBERS.get(anatomy.name, OTHER_ANATOMIES)), 1)):
            expected.append(simulate(anatomy.name, index, "train").image)
            advance(anatomy.name)
    for phantom in load_voxel_phantoms(data) if data else []:
        if not is_held_out(phantom):
            expected += [simulate_voxels(phantom, view).image for view in range(max(int(share * VOXEL_VIEWS), 1))]
            advance(phantom.name)
    acquired = [frame for name in _REAL if data and (data / name).exists() for frame in _frames(data / name)]
    return Pool(expected, acquired)


def load_or_build_pool(path: Path, build: Callable[[], Pool]) -> Pool:
    """Return the pool kept in a file, made first where the file is missing.

    Parameters
    ----------
    path : Path
        An .npz file.
    build : callable
        Makes the pool.

    Returns
    -------
    Pool
        As built.
    """
    if not path.exists():
        pool = build()
        names = {f"e{k}": image for k, image in enumerate(pool.expected)}
        names |= {f"a{k}": image for k, image in enumerate(pool.acquired)}
        with atomic_write(path) as file:
            np.savez(file, **names)  # type: ignore[arg-type]
    with np.load(path) as stored:
        ordered = sorted(stored.files, key=lambda name: int(name[1:]))
        return Pool([stored[n] for n in ordered if n[0] == "e"], [stored[n] for n in ordered if n[0] == "a"])


def batches(pool: Pool, recipe: Recipe, seed: int, first: int = 0) -> Iterator[Batch]:
    """Yield training batches without end; batch k depends on the seed and k alone.

    Parameters
    ----------
    pool : Pool
        Studies to cut from.
    recipe : Recipe
        Patch size, batch size, scale and count levels.
    seed : int
        Seed of the training.
    first : int
        Number of the first batch, for resuming.

    Returns
    -------
    iterator of Batch
        Noisy inputs and targets.
    """
    maps = [_interest(image) for image in pool.expected]
    weights = np.sqrt([image.size for image in pool.expected])
    chance = np.cumsum(weights / weights.sum())
    draw = lambda rng: [_pair(pool, maps, chance, recipe, rng) for _ in range(recipe.batch)]
    return endless(draw, seed, first)


def endless(draw: Callable[[np.random.Generator], list[Patches]], seed: int, first: int) -> Iterator[Batch]:
    """Yield what `draw` returns as batches; batch k depends on the seed and k alone, so that a training can resume at any."""
    for step in count(first):
        pairs = draw(np.random.default_rng([seed, step]))
        yield Batch(np.stack([p[0] for p in pairs])[:, None], np.stack([p[1] for p in pairs])[:, None])


def _pair(pool: Pool, maps: Images, chance: NDArray[np.float64], recipe: Recipe, rng: np.random.Generator) -> Patches:
    """Draw one noisy patch and its target."""
    if pool.acquired and rng.random() < REAL_SHARE:
        patch = _crop(pool.acquired[int(rng.integers(len(pool.acquired)))], None, recipe.patch, rng)
        fraction = float(np.exp(rng.uniform(*np.log(REAL_FRACTIONS))))
        kept = rng.binomial(patch.astype(np.int64), fraction).astype(np.float32)
        counts, target = kept, (patch - kept) * (fraction / (1 - fraction))
    else:
        which = min(int(np.searchsorted(chance, rng.random())), len(maps) - 1)
        target = _crop(pool.expected[which], maps[which], recipe.patch, rng)
        target = target * np.float32(np.exp(rng.uniform(*np.log(recipe.counts))))
        if rng.random() < EDGE_SHARE:
            target[:, : 2 * int(rng.integers(recipe.patch // 3))] = 0
        counts = rng.poisson(target).astype(np.float32)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    counts, target = np.rot90(counts, turns), np.rot90(target, turns)
    if flip:
        counts, target = counts[:, ::-1], target[:, ::-1]
    return (bin2(np.ascontiguousarray(counts)) if recipe.scale == 2 else counts), np.asarray(target, np.float32)


def _crop(
    image: NDArray[np.float32], interest: NDArray[np.float32] | None, side: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Cut a patch, mostly where there are counts; images smaller than the patch are padded with zeros."""
    rows, columns = image.shape
    if interest is None or rng.random() < 0.15:
        at = rng.random(2) * image.shape
    else:
        k = int(np.searchsorted(interest.ravel(), rng.random() * interest[-1, -1]))
        at = (np.array(np.unravel_index(min(k, interest.size - 1), interest.shape)) + rng.random(2)) * (
            np.array(image.shape) / interest.shape
        )
    top = int(np.clip(at[0] - side / 2, 0, max(rows - side, 0)))
    left = int(np.clip(at[1] - side / 2, 0, max(columns - side, 0)))
    patch = image[top : top + side, left : left + side]
    if patch.shape != (side, side):
        patch = np.pad(patch, [(0, side - n) for n in patch.shape])
    return patch


def _interest(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cumulative map, at an eighth of the matrix, of how much is to be learned where."""
    small = zoom(np.sqrt(image), 1 / 8, order=1)
    detail = np.abs(small - gaussian_filter(small, 3))
    return np.asarray(np.cumsum(np.clip(small, 0, None) + 2 * detail).reshape(small.shape), np.float32)


def _frames(path: Path) -> Images:
    """Frames of a DICOM file as float32."""
    pixels = pydicom.dcmread(path).pixel_array.astype(np.float32)
    return list(pixels.reshape(-1, *pixels.shape[-2:]))
