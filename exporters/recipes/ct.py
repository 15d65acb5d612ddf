"""Training pairs for computed tomography: a noisy scan, and the object through a kernel that reaches farther with its noise.

The noise of the input is in the target as it is, interpolated. So the network learns what to add to an interpolation, and what
it cannot tell from noise is left alone rather than removed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ...engine.files import atomic_write
from ..interpolation import doubled
from ..phantoms.ct import AIR_HU, Kernel, Plane, Spectrum, spectrum, white
from ..phantoms.ct_objects import OBJECTS
from .catalogue import Recipe
from .dataset import Batch, Patches, endless

Floats = NDArray[np.float32]
Split = Literal["train", "held-out"]
OBJECT_SHARES = {"head": 0.18, "chest": 0.17, "abdomen": 0.18, "shapes": 0.3, "inserts": 0.17}
SIDES = {256: 0.7, 512: 0.3}
NUMBER = 160
DRAWS = 2
WIDER = 1.4  # how much farther the transfer function of the target reaches
F50_PER_PIXEL = (0.13, 0.42)
STEEPNESS = (1.7, 2.6)
FLOORS_HU = (-np.inf, -1000.0, -1024.0)  # where scanners cut values off
AIR_NOISE = (0.005, 0.3)  # of the noise inside of the body: where little is absorbed there is less
OFFSET_HU = (-30.0, 5.0)  # what is off in the calibration of air
FINER = 4  # pixels of the drawing along one of the input
_DETAIL_SHARE = 0.7
_DETAIL_HU = 40.0
_BODY_HU = -500.0
_UNIT_HU = 1 / 8  # targets are kept as whole multiples of this


@dataclass(frozen=True)
class Scan:
    """How a plane is scanned.

    Parameters
    ----------
    kernel : Kernel
        Transfer function and noise of the images that the model will see.
    noise_hu : float
        Standard deviation of their noise [HU].
    side : int
        Their matrix.
    floor_hu : float
        Values below are cut off [HU].
    air_noise : float
        Noise far from the body, relative to that inside.
    offset_hu : float
        Added to all values [HU].
    """

    kernel: Kernel
    noise_hu: float
    side: int
    floor_hu: float = -np.inf
    air_noise: float = 1.0
    offset_hu: float = 0.0


@dataclass(frozen=True)
class CtPair:
    """A slice as it was scanned, and as it should come out.

    Parameters
    ----------
    image : ndarray, shape (side, side), float32
        Whole Hounsfield units, as scanners store them.
    target : ndarray, shape (2 * side, 2 * side), float32
        The same plane through a kernel that reaches farther, with the same noise [HU].
    """

    image: Floats
    target: Floats


@dataclass(frozen=True)
class CtPool:
    """Slices that patches are cut from.

    Parameters
    ----------
    pairs : list of CtPair
        In the order of their numbers.
    """

    pairs: list[CtPair]

    def batches(self, recipe: Recipe, seed: int, first: int = 0) -> Iterator[Batch]:
        """Yield batches without end; batch k depends on the seed and k alone."""
        details = [_details(pair.image) for pair in self.pairs]

        def drawn(rng: np.random.Generator) -> list[Patches]:
            chosen = rng.integers(len(self.pairs), size=recipe.batch)
            return [_patch(self.pairs[k], details[k], recipe, rng) for k in chosen]

        return endless(drawn, seed, first)


def draw(index: int, split: Split, name: str | None = None) -> tuple[Plane, int]:
    """Return a plane and the matrix to scan it on; the same arguments give the same, and the splits share no seed.

    Parameters
    ----------
    index : int
        Number of the case within its split.
    split : {"train", "held-out"}
        Which split.
    name : str, optional
        One of the objects; drawn where it is not given.
    """
    rng = np.random.default_rng([{"train": 51, "held-out": 52}[split], index])
    chosen = str(rng.choice(list(OBJECT_SHARES), p=list(OBJECT_SHARES.values())))
    side = int(rng.choice(list(SIDES), p=list(SIDES.values())))
    return OBJECTS[name or chosen](rng, FINER * side), side


def draw_scan(plane: Plane, side: int, noise_hu: tuple[float, float], rng: np.random.Generator) -> Scan:
    """Draw kernel, noise, calibration and the end of the scale of a scan."""
    per_pixel, steepness = rng.uniform(*F50_PER_PIXEL), rng.uniform(*STEEPNESS)
    kernel = Kernel("drawn", float(per_pixel * side / plane.field_mm), float(steepness))
    noise = float(np.exp(rng.uniform(*np.log(noise_hu))))
    floor = float(rng.choice(FLOORS_HU, p=(0.3, 0.4, 0.3)))
    in_air = float(rng.choice([1.0, np.exp(rng.uniform(*np.log(AIR_NOISE)))]))
    return Scan(kernel, noise, side, floor, in_air, float(rng.choice([0.0, rng.uniform(*OFFSET_HU)])))


def pair(seen: Spectrum, scan: Scan, rng: np.random.Generator) -> CtPair:
    """Scan a plane once, and show the scan through its kernel and through the wider one.

    Parameters
    ----------
    seen : Spectrum
        Of the plane.
    scan : Scan
        How it is scanned.
    rng : numpy.random.Generator
        Draws the noise.
    """
    still = seen.image(scan.kernel, scan.side) + np.float32(scan.offset_hu)
    noise = white(len(seen.values), seen.field_mm, rng).noise(scan.kernel, scan.side, scan.noise_hu)
    image = np.rint(np.maximum(still + _strength(still, scan) * noise, np.float32(scan.floor_hu)))
    return CtPair(image, truth(seen, scan) + doubled(image - still))


def truth(seen: Spectrum, scan: Scan) -> Floats:
    """Return what is aimed at, without noise: the plane through the wider kernel on the finer matrix [HU]."""
    return seen.image(scan.kernel.wider(WIDER), 2 * scan.side) + np.float32(scan.offset_hu)


def _strength(still: Floats, scan: Scan) -> Floats:
    """Return the noise relative to that of the body."""
    near = gaussian_filter((still > _BODY_HU).astype(np.float32), scan.side / 32)
    return np.asarray(scan.air_noise + (1 - scan.air_noise) * near, np.float32)


def build_ct_pool(recipe: Recipe, number: int = NUMBER, advance: Callable[[str], None] = lambda name: None) -> CtPool:
    """Simulate the training slices.

    Parameters
    ----------
    recipe : Recipe
        Range of the noise.
    number : int
        How many planes; each is scanned ``DRAWS`` times.
    advance : callable
        Told the name of each object as it is made.

    Returns
    -------
    CtPool
        The same for the same arguments.
    """
    pairs = []
    for index in range(number):
        rng = np.random.default_rng([53, index])
        plane, side = draw(index, "train")
        seen = spectrum(plane)
        pairs += [pair(seen, draw_scan(plane, side, recipe.counts, rng), rng) for _ in range(DRAWS)]
        advance(plane.name)
    return CtPool(pairs)


def load_or_build_ct_pool(path: Path, build: Callable[[], CtPool]) -> CtPool:
    """Return the pool kept in an .npz file, made first where the file is missing."""
    if not path.exists():
        arrays: dict[str, NDArray[np.int16]] = {}
        for k, made in enumerate(build().pairs):
            arrays |= {f"i{k}": _stored(made.image, 1.0), f"t{k}": _stored(made.target, _UNIT_HU)}
        with atomic_write(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type,unused-ignore]
    with np.load(path) as kept:
        unit = np.float32(_UNIT_HU)
        return CtPool([CtPair(kept[f"i{k}"].astype(np.float32), unit * kept[f"t{k}"]) for k in range(len(kept) // 2)])


def _stored(image: Floats, unit: float) -> NDArray[np.int16]:
    """Return values as multiples of a unit."""
    return np.clip(np.rint(image / unit), -(2**15), 2**15 - 1).astype(np.int16)


def _details(image: Floats) -> NDArray[np.intp]:
    """Return places near edges, on a grid of every fourth pixel, shape (n, 2)."""
    coarse = image[: len(image) // 4 * 4, : len(image) // 4 * 4].reshape(len(image) // 4, 4, -1, 4).mean(axis=(1, 3))
    steps = np.maximum(np.abs(np.diff(coarse, axis=0, append=AIR_HU)), np.abs(np.diff(coarse, axis=1, append=AIR_HU)))
    return 4 * np.argwhere(steps > _DETAIL_HU) + 2


def _patch(made: CtPair, details: NDArray[np.intp], recipe: Recipe, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Cut a patch of input and target, turned and mirrored."""
    scale, side = recipe.scale, recipe.patch // recipe.scale
    near = len(details) and rng.random() < _DETAIL_SHARE
    middle = details[int(rng.integers(len(details)))] if near else rng.integers(len(made.image), size=2)
    top, left = (int(np.clip(m + rng.integers(-8, 9) - side // 2, 0, len(made.image) - side)) for m in middle)
    image = made.image[top : top + side, left : left + side]
    target = made.target[scale * top : scale * (top + side), scale * left : scale * (left + side)]
    turns = int(rng.integers(4))
    image, target = np.rot90(image, turns), np.rot90(target, turns)
    return (image[:, ::-1], target[:, ::-1]) if rng.random() < 0.5 else (image, target)
