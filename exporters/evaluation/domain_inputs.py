"""Inputs of the kind that a model was trained on, held out, and the same ones shifted in a known way, each with its truth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom
from skimage.transform import resize

from ...engine import domain
from ...engine.bundle import Bundle
from ..phantoms.camera import Camera, bin2, count, detect
from ..phantoms.library import ANATOMIES, at_clinical_level, simulate
from ..phantoms.plane import WATER_511KEV_PER_MM, Canvas, Slice
from ..phantoms.slices import OBJECTS
from ..phantoms.tomography import Reconstruction, Scanner
from ..recipes.catalogue import Recipe, find
from ..recipes.slices import Acquisition, draw, pair

Pixels = NDArray[np.float32]
HELD_OUT = "held out"
STUDIES = 9  # of each anatomy
SLICES = 60
FIRST = {"scintigraphy": 300, "pet": 5600}  # no number that training, the limits of the domain or the cards use
SIDE = 256
PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "clock",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "moon",
    "page",
    "text",
)
CROPS = 5
RADIOGRAPHS = 60
UNSEEN = 40
OBJECT_SCANS, OBJECT_SLICES, ACQUISITIONS = 60, 48, 4


@dataclass(frozen=True, eq=False)
class Shifted:
    """One input.

    Parameters
    ----------
    kind, how : str
        What was shifted, and by how much; ``HELD_OUT`` is what was not.
    case : int
        Number of the case that it was made from; inputs of a case are not independent.
    image : ndarray, shape (rows, columns), float32
        What the model gets.
    truth : ndarray, shape (scale * rows, scale * columns), float32, or None
        What the noise-free image becomes by the same shift.
    """

    kind: str
    how: str
    case: int
    image: Pixels
    truth: Pixels | None = None


@dataclass(frozen=True)
class _Change:
    """A shift of pixel values or of the matrix; `apply` is told how many pixels of its image make one of the input."""

    kind: str
    how: str
    apply: Callable[[Any, int], Any]


def _enlarged(factor: float, order: int) -> Callable[[Any, int], Any]:
    return lambda image, scale: zoom(image, factor, order=order, mode="nearest", grid_mode=True)


def _blurred(width_px: float) -> Callable[[Any, int], Any]:
    return lambda image, scale: gaussian_filter(image, scale * width_px)


def _times(factor: float) -> Callable[[Any, int], Any]:
    return lambda image, scale: factor * image


_MATRIX = (
    _Change("matrix", "twice, linear", _enlarged(2, 1)),
    _Change("matrix", "1.5 times, cubic", _enlarged(1.5, 3)),
    _Change("matrix", "twice, cubic", _enlarged(2, 3)),
    _Change("matrix", "twice, pixels repeated", lambda image, scale: image.repeat(2, axis=0).repeat(2, axis=1)),
)
_OF_COUNTS = (
    _Change("blur", "1 px", _blurred(1)),
    _Change("blur", "2 px", _blurred(2)),
    *_MATRIX,
    _Change("intensity", "times 10", _times(10)),
    _Change("intensity", "times 4", _times(4)),
    _Change("intensity", "divided by 4", _times(1 / 4)),
    _Change("intensity", "divided by 10", _times(1 / 10)),
)
_OF_SLICES = (
    _Change("blur", "2 px", _blurred(2)),
    _Change("blur", "4 px", _blurred(4)),
    _Change("blur", "6 px", _blurred(6)),
    *_MATRIX,
    _Change("intensity", "times 1000: another unit", _times(1000)),
    _Change(
        "intensity",
        "picture of 8 bits, clipped at 70 %",
        lambda image, scale: np.rint(np.clip(image / 0.7, 0, 1) * 255),
    ),
    _Change("intensity", "30 % of the maximum added", lambda image, scale: image + np.float32(0.3)),
)


def inputs(bundle: Bundle, data: Path | None) -> Iterator[Shifted]:
    """Yield held-out inputs and shifted ones.

    Parameters
    ----------
    bundle : Bundle
        Of a recipe for planar scintigraphy or PET; its manifest says which counts were trained.
    data : Path or None
        Folder with the shared collections, whose chest X-rays are taken in.

    Yields
    ------
    Shifted
        The same ones for the same arguments.
    """
    recipe = find(bundle.manifest.training.recipe)
    yield from (_slices if recipe.family == "pet" else _scans)(recipe, bundle)
    yield from _natural(recipe)
    folder = data / "cxr" / "img" if data else None
    if folder and folder.is_dir():
        for number, path in enumerate(sorted(folder.glob("*.png"))[:RADIOGRAPHS]):
            with Image.open(path) as picture:
                image = np.asarray(picture.convert("L").resize((SIDE // recipe.scale,) * 2), np.float32)
            yield Shifted("natural", "chest X-rays", -1000 - number, image)


def kinds_of_objects(recipe: Recipe) -> Iterator[tuple[str, list[NDArray[np.float64]]]]:
    """Yield each kind of object that a family simulates, with the domain features of its studies.

    Parameters
    ----------
    recipe : Recipe
        Its count levels and scale.

    Yields
    ------
    str, list of ndarray, shape (n, k)
        Name, and for each study the features of its acquisitions. Shapes and patterns, which are of no kind, are left out.
    """
    rng = np.random.default_rng(54)
    if recipe.family == "pet":
        for name in (name for name in OBJECTS if name != "shapes"):
            cases = (draw(FIRST["pet"] + 100 + k, "held-out", recipe.scale, name) for k in range(OBJECT_SLICES))
            totals = [_levels(recipe, rng, ACQUISITIONS) for _ in range(OBJECT_SLICES)]
            noisy = [pair(case, total, recipe.scale, rng).noisy for case, total in zip(cases, totals, strict=True)]
            yield name, [domain.features(images, scaling="robust") for images in noisy]
    else:
        for name in (anatomy.name for anatomy in ANATOMIES if anatomy.name not in ("shapes", "pattern")):
            first = FIRST["scintigraphy"] + 100
            expected = (simulate(name, number, "held-out").image for number in range(first, first + OBJECT_SCANS))
            yield name, [_acquisitions(recipe, image, rng) for image in expected]


def _acquisitions(recipe: Recipe, expected: Pixels, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the features of several acquisitions of a scan."""
    frames = [_acquired(recipe, expected, _level(recipe, rng), rng).image for _ in range(ACQUISITIONS)]
    return domain.features(np.stack(frames))


def _scans(recipe: Recipe, bundle: Bundle) -> Iterator[Shifted]:
    """Yield planar scans: acquired as in training, and then shifted, or with counts that training never saw."""
    rng = np.random.default_rng(51)
    limits = bundle.manifest.training.counts_per_pixel or (1.0, 1.0)
    case = 0
    for anatomy in ANATOMIES:
        for number in range(FIRST["scintigraphy"], FIRST["scintigraphy"] + STUDIES):
            expected = simulate(anatomy.name, number, "held-out").image
            acquire = partial(_acquired, recipe, expected, rng=rng, case=case)
            base = acquire(_level(recipe, rng))
            yield base
            yield acquire(_level(recipe, rng))
            yield from _changed(base, _OF_COUNTS, recipe, whole=True)
            per_pixel = float(expected.mean(dtype=np.float64)) * recipe.scale**2
            yield acquire(limits[0] / 4 / per_pixel, kind="counts", how="a quarter of the fewest")
            yield acquire(limits[1] * 4 / per_pixel, kind="counts", how="4 times the most")
            case += 1
    for number in range(UNSEEN):
        yield _acquired(recipe, hand(rng), _level(recipe, rng), rng, 1000 + number, "other anatomy", "hands")


def _acquired(
    recipe: Recipe,
    expected: Pixels,
    level: float,
    rng: np.random.Generator,
    case: int = 0,
    kind: str = HELD_OUT,
    how: str = "",
) -> Shifted:
    """Draw counts."""
    truth = expected * np.float32(level)
    counts = count(truth, rng)
    return Shifted(kind, how, case, bin2(counts) if recipe.scale == 2 else counts, truth)


def _level(recipe: Recipe, rng: np.random.Generator) -> float:
    return float(_levels(recipe, rng, 1)[0])


def _levels(recipe: Recipe, rng: np.random.Generator, number: int) -> NDArray[np.float64]:
    """Draw count levels of training."""
    fewest, most = recipe.counts
    return np.exp(rng.uniform(np.log(fewest), np.log(most), number))


def _slices(recipe: Recipe, bundle: Bundle) -> Iterator[Shifted]:
    """Yield PET slices: reconstructed as in training, and then shifted, or with counts that training never saw."""
    rng = np.random.default_rng(52)
    fewest, most = recipe.counts
    for case in range(SLICES):
        totals = _levels(recipe, rng, 2)
        made = pair(
            draw(FIRST["pet"] + case, "held-out", recipe.scale),
            np.array([*totals, fewest / 64, most * 64]),
            recipe.scale,
            rng,
        )
        labels = ((HELD_OUT, ""), (HELD_OUT, ""), ("counts", "1/64 of the fewest"), ("counts", "64 times the most"))
        for (kind, how), noisy, target in zip(labels, made.noisy, made.target, strict=True):
            yield Shifted(kind, how, case, noisy, target)
        yield from _changed(Shifted(HELD_OUT, "", case, made.noisy[0], made.target[0]), _OF_SLICES, recipe, whole=False)
    for number in range(UNSEEN // 2):
        settings = Reconstruction(side=256 // recipe.scale, iterations=3, filter_fwhm_mm=4.0)
        plane = _thighs(rng)
        made = pair(
            Acquisition(plane, Scanner(plane.field_mm, 200), settings),
            _levels(recipe, rng, 2),
            recipe.scale,
            rng,
        )
        for noisy, target in zip(made.noisy, made.target, strict=True):
            yield Shifted("other anatomy", "thighs", 1000 + number, noisy, target)


def _changed(base: Shifted, changes: tuple[_Change, ...], recipe: Recipe, whole: bool) -> Iterator[Shifted]:
    """Yield an input after each change; counts stay whole."""
    assert base.truth is not None
    for change in changes:
        image = np.maximum(change.apply(base.image, 1), 0) if whole else change.apply(base.image, 1)
        truth = np.asarray(change.apply(base.truth, recipe.scale), np.float32)
        image = np.asarray(np.rint(image) if whole else image, np.float32)
        yield Shifted(change.kind, change.how, base.case, np.ascontiguousarray(image), truth)


def _natural(recipe: Recipe) -> Iterator[Shifted]:
    """Yield photographs as they are, and as if each grey value were a source of counts."""
    rng = np.random.default_rng(53)
    for number, name in enumerate(PHOTOGRAPHS):
        photograph = np.asarray(getattr(skimage.data, name)(), np.float64)
        grey = photograph[..., :3] @ (0.299, 0.587, 0.114) if photograph.ndim == 3 else photograph
        for _ in range(CROPS):
            side = int(rng.uniform(0.5, 1.0) * min(grey.shape))
            top, left = (int(rng.integers(length - side + 1)) for length in grey.shape)
            part = grey[top : top + side, left : left + side]
            fine = np.asarray(resize(part, (SIDE, SIDE), anti_aliasing=True, preserve_range=True), np.float32)
            small = fine if recipe.scale == 1 else bin2(fine) / np.float32(4)
            yield Shifted("natural", "photographs", -number - 1, np.ascontiguousarray(np.rint(small)))
            if recipe.family == "scintigraphy":
                source = at_clinical_level(fine, 2.26, rng)
                yield _acquired(
                    recipe, source, _level(recipe, rng), rng, -number - 1, "natural", "photographs as sources of counts"
                )


def hand(rng: np.random.Generator) -> Pixels:
    """Return a bone scan of a hand: joints, and the bones between them."""
    camera = Camera(pixel_mm=float(rng.uniform(0.9, 1.4)), shape=(SIDE, SIDE), gap_mm=10.0)
    canvas = Canvas(SIDE, SIDE * camera.pixel_mm)
    canvas.paint(canvas.ellipse(0, 35, 42, 48), 1.0)
    for finger in range(5):
        angle = np.deg2rad(-50 + 25 * finger + rng.normal(0, 3)) if finger else np.deg2rad(-75.0)
        for joint, at in enumerate(np.cumsum(rng.uniform((18, 30, 22, 16), (24, 40, 28, 22)))):
            x, y = float(at * np.sin(angle)), float(35 - at * np.cos(angle))
            canvas.paint(canvas.ellipse(x, y, 7, 9, float(np.rad2deg(angle))), rng.uniform(2, 4))
            canvas.paint(canvas.ellipse(x, y, 4, 3), rng.uniform(4, 14) if joint else rng.uniform(3, 6))
    image = detect(canvas.activity.astype(np.float32)[None], np.array([25.0]), camera)
    return at_clinical_level(image, camera.pixel_mm, rng)


def _thighs(rng: np.random.Generator) -> Slice:
    """Return a slice through both thighs: muscle around marrow, vessels, and fat around that."""
    canvas = Canvas(2 * SIDE, float(rng.uniform(400, 500)))
    a = rng.uniform(70, 95)
    for side in (-1, 1):
        x = side * (a + rng.uniform(4, 15))
        canvas.paint(canvas.ellipse(x, 0, a, 1.1 * a), 0.3, WATER_511KEV_PER_MM)
        canvas.paint(canvas.ellipse(x, 0, 0.8 * a, 0.88 * a), rng.uniform(0.6, 1.0))
        canvas.paint(canvas.ellipse(x, 0, 13, 13), 0.15, 0.0165)
        canvas.paint(canvas.ellipse(x, 0, 8, 8), rng.uniform(0.5, 1.2))
        for _ in range(2):
            canvas.paint(
                canvas.ellipse(x + rng.uniform(-0.5, 0.5) * a, rng.uniform(-0.5, 0.5) * a, 5, 5), rng.uniform(1.2, 2.0)
            )
    return canvas.finished("thighs")
