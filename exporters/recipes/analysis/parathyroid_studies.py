"""Training images of the parathyroid detector: a pool of noise-free studies, drawn into noisy images on the working grid on the fly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter

from ....engine.analysis.prepare import Placement, resample
from ....engine.files import atomic_write
from ....engine.matrix import MatrixSize
from ...phantoms.parathyroid_cohort import PHASES, Case, Split, case_of
from .detection_loss import targets

Floats = NDArray[np.float32]

PITCH_MM = 2.4
MULTIPLE = 8
NUMBER = 3500
SIDES = {128: 0.5, 192: 0.3, 256: 0.2}
COUNTS = (0.25, 2.0)
ABSENT = 0.25  # of the examples lack the early phase, as many the late one
_FASTEST = 6e4  # counts that half precision holds
PIXELS = 8 * 160 * 160  # of a batch
_TURNED, _DEGREES = 0.5, 8.0
_BLURRED, _BLUR_MM = 0.3, 2.5  # standard deviation
_ZOOMS = (0.94, 0.97, 1.0, 1.03, 1.06)
_SHIFT_PX = 6


@dataclass(frozen=True, eq=False)
class Study:
    """Noise-free images of one case.

    Parameters
    ----------
    expected : ndarray, shape (2, side, side), float16
        Expected counts of the early and the late image.
    boxes : ndarray, shape (2, k, 4), float32
        For each phase row and column of the centre of each gland, from the outer edge of the first pixel, height and width [px].
    pixel_mm : float
        Side of a pixel [mm].
    """

    expected: NDArray[np.float16]
    boxes: Floats
    pixel_mm: float

    @property
    def side(self) -> int:
        """Rows and columns of the working grid."""
        field_mm = self.expected.shape[1] * self.pixel_mm
        return MULTIPLE * int(np.ceil(field_mm / PITCH_MM / MULTIPLE - 1e-6))


@dataclass(frozen=True, eq=False)
class Example:
    """What the network sees, and where the lesions are.

    Parameters
    ----------
    image : ndarray, shape (2, side, side), float32
        Early and late counts on the working grid; zero where a phase is absent.
    boxes : ndarray, shape (k, 4), float64
        Row and column of the centres, from the outer edge of the first pixel, height and width [px of the grid]; of the late
        phase where it is there.
    """

    image: Floats
    boxes: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Batch:
    """Images of one side, shape (n, 2, side, side), and their targets stacked, see ``detection_loss.Targets``."""

    image: Floats
    heat: Floats
    box: Floats
    weight: Floats


def draw(index: int, split: Split) -> tuple[Case, int]:
    """Return a case of the cohort and the side of its matrix; the same for the same arguments.

    Parameters
    ----------
    index : int
        Number of the case in its split.
    split : {"train", "tune", "held-out"}
        The splits share no case.
    """
    rng = np.random.default_rng([64, index])
    return case_of(split, index), int(rng.choice(list(SIDES), p=list(SIDES.values())))


def study(case: Case, side: int) -> Study:
    """Return the noise-free images of a case.

    Parameters
    ----------
    case : Case
        Patient and camera.
    side : int
        Rows and columns of the matrix.
    """
    expected = np.stack([case.expected(phase, side=side) for phase in PHASES])
    truth = case.acquire(np.random.default_rng(0), side=side)
    boxes = np.stack([truth.boxes[phase] for phase in PHASES])
    boxes[..., :2] += 0.5
    return Study(np.minimum(expected, _FASTEST).astype(np.float16), boxes, truth.pixel_mm)


def build_pool(
    number: int = NUMBER, advance: Callable[[str], None] = lambda name: None, *, split: Split = "train"
) -> list[Study]:
    """Simulate noise-free studies.

    Parameters
    ----------
    number : int
        How many.
    advance : callable
        Told the state of each patient.
    split : {"train", "tune", "held-out"}
        Which cases of the cohort.

    Returns
    -------
    list of Study
        The same for the same number; a smaller pool is the beginning of a larger one.
    """
    pool = []
    for index in range(number):
        case, side = draw(index, split)
        pool.append(study(case, side))
        advance(case.patient.status)
    return pool


def load_or_build_pool(path: Path, build: Callable[[], list[Study]]) -> list[Study]:
    """Return the pool kept in an .npz file, made first where the file is missing.

    Parameters
    ----------
    path : Path
        The file.
    build : callable
        Makes the pool.
    """
    if not path.exists():
        arrays: dict[str, NDArray[np.generic]] = {}
        for k, made in enumerate(build()):
            arrays |= {f"e{k}": made.expected, f"b{k}": made.boxes, f"p{k}": np.array(made.pixel_mm)}
        with atomic_write(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type,unused-ignore]
    with np.load(path) as kept:
        return [Study(kept[f"e{k}"], kept[f"b{k}"], float(kept[f"p{k}"])) for k in range(len(kept) // 3)]


def example(made: Study, rng: np.random.Generator) -> Example:
    """Draw noise, phases, counts, and how patient, camera and matrix differ from the study.

    Parameters
    ----------
    made : Study
        What to draw from.
    rng : numpy.random.Generator
        Draws everything.

    Returns
    -------
    Example
        Of ``made.side`` rows and columns.
    """
    expected, boxes = made.expected.astype(np.float32), made.boxes.astype(np.float64)
    side = expected.shape[1]
    if rng.random() < 0.5:
        expected = expected[..., ::-1]
        boxes = boxes * [1, -1, 1, 1] + [0, side, 0, 0]
    if rng.random() < _TURNED:
        expected, boxes = _turned(expected, boxes, float(rng.uniform(-_DEGREES, _DEGREES)))
    if rng.random() < _BLURRED:
        blur = rng.uniform(0, _BLUR_MM) / made.pixel_mm
        expected = gaussian_filter(expected, (0, blur, blur))
    absent = int(np.searchsorted([ABSENT, 2 * ABSENT], rng.random(), "right"))
    level = np.exp(rng.uniform(*np.log(COUNTS)))
    zoom = float(_ZOOMS[rng.integers(len(_ZOOMS))])
    step = PITCH_MM / made.pixel_mm * zoom
    weights = _weights(side, made.side, step)
    image = np.zeros((2, made.side, made.side), np.float32)
    for phase in range(2):
        if phase != absent:
            counts = rng.poisson(np.maximum(expected[phase], 0) * level).astype(np.float32)
            image[phase] = weights @ counts @ weights.T
    chosen = boxes[1 if absent != 1 else 0]
    placed = np.column_stack([_placement(side, made.side, step).to_grid(chosen[:, :2]), chosen[:, 2:] / step])
    down, right = (int(value) for value in rng.integers(-_SHIFT_PX, _SHIFT_PX + 1, 2))
    return Example(_shifted(image, down, right), placed + np.array([down, right, 0, 0]))


def acquired(made: Study, rng: np.random.Generator) -> Example:
    """Draw one acquisition of a study as it is: both phases, on the grid that the engine chooses.

    Parameters
    ----------
    made : Study
        What is acquired.
    rng : numpy.random.Generator
        Draws the noise.

    Returns
    -------
    Example
        Glands outside of the field are left out of its boxes.
    """
    side = made.expected.shape[1]
    placement = _placement(side, made.side, PITCH_MM / made.pixel_mm)
    counts = rng.poisson(made.expected.astype(np.float32)).astype(np.float32)
    boxes = made.boxes[1].astype(np.float64)
    boxes = boxes[((boxes[:, :2] >= 0) & (boxes[:, :2] <= side)).all(axis=1)]
    placed = np.column_stack([placement.to_grid(boxes[:, :2]), boxes[:, 2:] / placement.step])
    return Example(np.stack([resample(frame, placement) for frame in counts]), placed)


def batches(pool: list[Study], seed: int, first: int = 0, *, pixels: int = PIXELS) -> Iterator[Batch]:
    """Yield training batches without end; batch k depends on the pool, the seed and k alone.

    Parameters
    ----------
    pool : list of Study
        What examples are drawn from, each study as often as any other.
    seed : int
        Seed of the training.
    first : int
        Number of the first batch, for resuming.
    pixels : int
        Of a batch, at most.

    Returns
    -------
    iterator of Batch
        Images of one batch have the same side; the larger they are, the fewer.
    """
    sides = np.array([made.side for made in pool])
    kinds, numbers = np.unique(sides, return_counts=True)
    sizes = np.maximum(pixels // kinds**2, 1)
    chance = numbers / sizes / (numbers / sizes).sum()
    for step in count(first):
        rng = np.random.default_rng([seed, step])
        kind = int(rng.choice(len(kinds), p=chance))
        chosen = rng.choice(np.flatnonzero(sides == kinds[kind]), int(sizes[kind]))
        examples = [example(pool[int(index)], rng) for index in chosen]
        side = int(kinds[kind])
        wanted = [targets(drawn.boxes, (side, side)) for drawn in examples]
        yield Batch(
            np.stack([drawn.image for drawn in examples]),
            np.stack([target.heat for target in wanted]),
            np.stack([target.box for target in wanted]),
            np.stack([target.weight for target in wanted]),
        )


def _turned(expected: Floats, boxes: NDArray[np.float64], degrees: float) -> tuple[Floats, NDArray[np.float64]]:
    """Turn images and the centres of boxes about the middle."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    back = np.array([[cosine, sine], [-sine, cosine]])
    middle = expected.shape[1] / 2
    offset = (middle - 0.5) * (1 - back.sum(axis=1))
    images = np.stack([affine_transform(image, back, offset, order=1) for image in expected])
    turned = boxes.copy()
    turned[..., :2] = (boxes[..., :2] - middle) @ back + middle
    return images, turned


def _placement(side: int, grid: int, step: float) -> Placement:
    """Return a square grid about the middle of a square matrix."""
    origin = side / 2 - step * grid / 2
    return Placement(MatrixSize(grid, grid), MatrixSize(side, side), (step, step), (origin, origin))


@lru_cache(maxsize=256)
def _weights(side: int, grid: int, step: float) -> Floats:
    """Return what each row of the grid takes of each row of a matrix, shape (grid, side), as the engine does it."""
    placement = _placement(side, grid, step)
    rows_alone = replace(placement, grid=MatrixSize(grid, side), step=(step, 1.0), origin=(placement.origin[0], 0.0))
    found: Floats = resample(np.eye(side, dtype=np.float32), rows_alone)
    return found


def _shifted(image: Floats, down: int, right: int) -> Floats:
    """Shift images by whole pixels; what comes in is empty."""
    size = image.shape[1]
    out = np.zeros_like(image)
    rows, columns = (slice(max(by, 0), size + min(by, 0)) for by in (down, right))
    from_rows, from_columns = (slice(max(-by, 0), size + min(-by, 0)) for by in (down, right))
    out[:, rows, columns] = image[:, from_rows, from_columns]
    return out
