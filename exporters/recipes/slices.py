"""Training pairs for PET: simulated slices, reconstructed from many and from few counts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...engine import postprocess
from ...engine.files import atomic_write
from ..phantoms.brains import Uptake, folded_brain
from ..phantoms.gyri import gyral_brain
from ..phantoms.plane import Slice
from ..phantoms.slices import OBJECTS
from ..phantoms.tomography import Reconstruction, Scanner, Sinogram, acquire, measure, reconstruct
from .catalogue import Recipe
from .dataset import Batch, Patches, endless

Floats = NDArray[np.float32]
Split = Literal["train", "held-out"]
SIDES = {128: 0.25, 192: 0.35, 256: 0.4}
OBJECT_SHARES = {"brain": 0.26, "torso": 0.28, "nema-iq": 0.1, "derenzo": 0.08, "shapes": 0.28}
WIDEST = {
    "brain": 3.2,
    "torso": 1.5,
    "nema-iq": 1.75,
    "derenzo": 2.7,
    "shapes": 1.5,
    "folded brain": 3.2,
    "gyral brain": 3.0,
}  # field of view over the object's own
FOLDED, GYRAL = "folded brain", "gyral brain"
FULL_SHARE = 0.25
NUMBER = 900
FOLDED_SHARE = 0.25  # of so many slices, further ones of folded brains, for super-resolution
GYRAL_SHARE = 0.33  # of so many slices, brains with gyri, each reconstructed in several ways, for super-resolution
WAYS = 3
MANY_COUNTS = 0.6  # exponent that shifts the counts of gyral brains upwards: where they are few, noise hides the folds
DRAWS = 4
FBP_SHARE = 0.15
EDGE_SHARE = 0.05


@dataclass(frozen=True)
class Pair:
    """A slice as few counts show it, several times, and as it should look.

    Parameters
    ----------
    noisy : ndarray, shape (k, h, w), float32
        Independent acquisitions, each divided by its robust maximum as the engine does.
    target : ndarray, shape (k, scale * h, scale * w), float32
        What the reconstruction makes of noise-free projections, see ``noise_free``, divided by the same numbers.
    """

    noisy: Floats
    target: Floats


@dataclass(frozen=True)
class SlicePool:
    """Slices that patches are cut from.

    Parameters
    ----------
    pairs : list of Pair
        In the order of their numbers.
    """

    pairs: list[Pair]

    def batches(self, recipe: Recipe, seed: int, first: int = 0) -> Iterator[Batch]:
        """Yield batches without end; batch k depends on the seed and k alone."""

        def drawn(rng: np.random.Generator) -> list[Patches]:
            return [_patch(self.pairs[int(rng.integers(len(self.pairs)))], recipe, rng) for _ in range(recipe.batch)]

        return endless(drawn, seed, first)


@dataclass(frozen=True)
class Acquisition:
    """A simulated slice, its scanner and how it is reconstructed.

    Parameters
    ----------
    plane : Slice
        The object on a grid twice as fine as the target's.
    scanner : Scanner
        Geometry and physics.
    how : Reconstruction
        Settings of the images that the model will see.
    """

    plane: Slice
    scanner: Scanner
    how: Reconstruction


def draw(index: int, split: Split, scale: int, name: str | None = None) -> Acquisition:
    """Return one case; the same arguments give the same case, and the splits share no seed.

    Parameters
    ----------
    index : int
        Number of the case within its split.
    split : {"train", "held-out"}
        Which split.
    scale : int
        1 or 2: the target has so many times the side of the input.
    name : str, optional
        One of the objects, ``FOLDED`` or ``GYRAL``; drawn where it is not given.
    """
    rng = np.random.default_rng([{"train": 21, "held-out": 22}[split], index])
    chosen = str(rng.choice(list(OBJECT_SHARES), p=list(OBJECT_SHARES.values())))
    chosen = name or chosen
    side = int(rng.choice(list(SIDES), p=list(SIDES.values())))
    fine = 2 * side
    wider = float(rng.choice([1.0, np.exp(rng.uniform(0, np.log(WIDEST[chosen])))], p=[FULL_SHARE, 1 - FULL_SHARE]))
    drawn_side = 2 * round(fine / wider / 2)
    plane = padded((_BRAINS | OBJECTS)[chosen](rng, drawn_side), fine)
    scanner = Scanner(
        field_mm=plane.field_mm,
        angles=int(rng.choice([120, 200])),
        fwhm_mm=float(rng.uniform(3.5, 7.0)),
        scatter_fraction=float(rng.uniform(0.0, 0.6)),
        randoms_fraction=float(rng.uniform(0.0, 0.6)),
        scatter_fwhm_mm=float(rng.uniform(80, 200)),
    )
    return Acquisition(plane, scanner, _way(rng, scanner, side // scale))


def ways(case: Acquisition, rng: np.random.Generator) -> list[Acquisition]:
    """Return the same acquisition reconstructed in several ways, the first as it was."""
    further = [replace(case, how=_way(rng, case.scanner, case.how.side)) for _ in range(WAYS - 1)]
    return [case, *further]


def pair(case: Acquisition, totals: NDArray[np.float64], scale: int, rng: np.random.Generator) -> Pair:
    """Acquire and reconstruct a case at several totals of true coincidences."""
    expected = measure(case.plane.activity, case.plane.attenuation, case.scanner, 1.0)
    target = noise_free(case, expected, scale)
    images = np.stack([reconstruct(acquire(expected, total, rng), case.scanner, case.how) for total in totals])
    scaled = postprocess.scale_in(images, "robust", threads=1)
    return Pair(scaled.pixels, target / np.asarray(scaled.peaks)[:, None, None])


def noise_free(case: Acquisition, expected: Sinogram, scale: int) -> Floats:
    """Return what the same settings make of the expected projections, on a matrix of `scale` times the side, never negative.

    A larger matrix gets no filter: it is there against noise, and these projections have none.
    """
    how = case.how if scale == 1 else replace(case.how, side=scale * case.how.side, filter_fwhm_mm=0.0)
    return np.maximum(reconstruct(expected, case.scanner, how), 0)


def padded(plane: Slice, side: int) -> Slice:
    """Return a slice in the middle of a larger field."""
    before = (side - len(plane.activity)) // 2
    after = side - len(plane.activity) - before
    activity, attenuation = (np.pad(image, (before, after)) for image in (plane.activity, plane.attenuation))
    field_mm = plane.field_mm * side / len(plane.activity)
    return replace(plane, activity=activity, attenuation=attenuation, field_mm=field_mm)


def build_slice_pool(
    recipe: Recipe, number: int = NUMBER, advance: Callable[[str], None] = lambda name: None
) -> SlicePool:
    """Simulate the training slices.

    Parameters
    ----------
    recipe : Recipe
        Scale and count levels.
    number : int
        How many slices of ``OBJECT_SHARES``; super-resolution adds ``FOLDED_SHARE`` and ``GYRAL_SHARE`` of it.
    advance : callable
        Told the name of each object as it is made.

    Returns
    -------
    SlicePool
        The same for the same arguments.
    """
    pairs = []
    further = round(FOLDED_SHARE * number) if recipe.scale > 1 else 0
    for index in range(number + further):
        rng = np.random.default_rng([23, index])
        case = draw(index, "train", recipe.scale, FOLDED if index >= number else None)
        pairs.append(pair(case, np.geomspace(*recipe.counts, 1001)[rng.integers(1001, size=DRAWS)], recipe.scale, rng))
        advance(case.plane.name)
    for index in range(round(GYRAL_SHARE * number) if recipe.scale > 1 else 0):
        rng = np.random.default_rng([24, index])
        for case in ways(draw(index, "train", recipe.scale, GYRAL), rng):
            low, high = np.log(recipe.counts)
            totals = np.exp(low + (high - low) * rng.random(DRAWS) ** MANY_COUNTS)
            pairs.append(pair(case, totals, recipe.scale, rng))
        advance(GYRAL)
    return SlicePool(pairs)


def _way(rng: np.random.Generator, scanner: Scanner, side: int) -> Reconstruction:
    """Draw a reconstruction."""
    return Reconstruction(
        method="fbp" if rng.random() < FBP_SHARE else "osem",
        side=side,
        iterations=int(rng.integers(1, 7)),
        subsets=10,
        psf_fwhm_mm=float(rng.choice([0.0, scanner.fwhm_mm])),
        filter_fwhm_mm=float(rng.choice([0.0, rng.uniform(2.0, 7.0)], p=[0.2, 0.8])),
    )


def _folded(rng: np.random.Generator, side: int) -> Slice:
    """Draw a folded brain and a tracer that shows its folds."""
    levels = Uptake(rng.uniform(2.5, 5), rng.uniform(0, 0.15), rng.uniform(0, 0.6), rng.uniform(0, 0.1))
    return folded_brain(rng, side, levels)


def _gyral(rng: np.random.Generator, side: int) -> Slice:
    """Draw a brain with gyri and a tracer that shows them."""
    grey = float(np.exp(rng.uniform(np.log(2.0), np.log(6.0))))
    return gyral_brain(rng, side, Uptake(grey, rng.uniform(0, 0.15), rng.uniform(0, 0.6), rng.uniform(0, 0.1)))


_BRAINS: dict[str, Callable[[np.random.Generator, int], Slice]] = {FOLDED: _folded, GYRAL: _gyral}


def load_or_build_slice_pool(path: Path, build: Callable[[], SlicePool]) -> SlicePool:
    """Return the pool kept in an .npz file, made first where the file is missing."""
    if not path.exists():
        arrays: dict[str, NDArray[np.float16]] = {}
        for k, made in enumerate(build().pairs):
            arrays |= {f"n{k}": made.noisy.astype(np.float16), f"t{k}": made.target.astype(np.float16)}
        with atomic_write(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type,unused-ignore]
    with np.load(path) as kept:
        return SlicePool(
            [Pair(kept[f"n{k}"].astype(np.float32), kept[f"t{k}"].astype(np.float32)) for k in range(len(kept) // 2)]
        )


def _patch(made: Pair, recipe: Recipe, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Cut a patch of input and target, turned and mirrored, with a little more or less brightness."""
    which = int(rng.integers(len(made.noisy)))
    noisy, target = made.noisy[which], made.target[which]
    scale, side = recipe.scale, recipe.patch // recipe.scale
    at = np.argwhere(noisy[::4, ::4] > 0.05) * 4
    middle = (
        at[int(rng.integers(len(at)))] if len(at) and rng.random() > EDGE_SHARE else rng.integers(len(noisy), size=2)
    )
    top, left = (int(np.clip(m + rng.integers(-8, 9) - side // 2, 0, len(noisy) - side)) for m in middle)
    noisy = noisy[top : top + side, left : left + side]
    target = target[scale * top : scale * (top + side), scale * left : scale * (left + side)]
    turns, level = int(rng.integers(4)), np.float32(np.exp(rng.uniform(-0.5, 0.5)))
    noisy, target = np.rot90(noisy, turns), np.rot90(target, turns)
    if rng.random() < 0.5:
        noisy, target = noisy[:, ::-1], target[:, ::-1]
    return level * noisy, level * target
