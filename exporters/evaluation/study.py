"""The whole measurement of one model: simulated cases, lesions, a real bone scan, speed."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np

from ..inference import Runner
from ..phantoms.camera import bin2, count
from ..recipes.catalogue import Recipe
from .baselines import DENOISERS, ENLARGERS, Method, Methods, Pixels
from .cases import Lesion, held_out_studies, lesions
from .metrics import psnr, ssim
from .real import real_scores

OURS = "this model"
LEVELS = {"denoise": (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0), "super-resolution": (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 4.0)}
LESION_LEVELS = (1 / 16, 1 / 4, 1.0)
SPEED_SIDES = (128, 256, 512)
REPORTED = {"denoise": DENOISERS, "super-resolution": ENLARGERS}


@dataclass(frozen=True)
class Score:
    """What one method made of one noisy image.

    Parameters
    ----------
    case : str
        Held-out case.
    level : float
        Counts relative to a clinical acquisition.
    method : str
        Name of the method.
    psnr, ssim : float
        Against the noise-free image [dB], [1].
    bias : float
        Sum of the image over the sum of the input, minus 1; for the model before the engine rescales.
    """

    case: str
    level: float
    method: str
    psnr: float
    ssim: float
    bias: float


@dataclass(frozen=True)
class Recovery:
    """How much of a lesion's contrast one method kept: 1 is all of it."""

    case: str
    level: float
    method: str
    recovery: float


@dataclass(frozen=True)
class RealScore:
    """PSNR on the real scan against the independent complement, corrected for the complement's noise [dB]."""

    level: float
    method: str
    psnr: float


@dataclass(frozen=True)
class Report:
    """All measurements of a model.

    Parameters
    ----------
    scores, recoveries, real : tuple
        One entry per case, level and method.
    speed_ms : dict of str to float
        Time per input frame by matrix, ONNX Runtime, two threads [ms].
    """

    scores: tuple[Score, ...]
    recoveries: tuple[Recovery, ...]
    real: tuple[RealScore, ...]
    speed_ms: dict[str, float]


def measure(
    recipe: Recipe, model: bytes, data: Path | None, work: Path, tell: Callable[[str], None] = lambda name: None
) -> Report:
    """Compare a model with the classical methods on held-out cases.

    Parameters
    ----------
    recipe : Recipe
        Task and scale of the model.
    model : bytes
        The ONNX graph that ships.
    data : Path or None
        Folder with the shared collections, for voxel phantoms and the real scan.
    work : Path
        Folder where the figures of the (slow, deterministic) classical methods are kept between runs.
    tell : callable
        Told what is being measured.

    Returns
    -------
    Report
        Every single figure.
    """
    run = Runner(model)
    methods = ((OURS, _ours(run)), *REPORTED[recipe.task])
    kept = Kept(work / f"baselines-{recipe.task}.jsonl")
    scores = tuple(_scores(recipe, methods, data, kept, tell))
    recoveries = tuple(_recoveries(recipe, methods, kept, tell))
    tell("real bone scan")
    real = tuple(
        RealScore(level, name, value) for level, name, value in real_scores(recipe, methods, data, kept.figure)
    )
    return Report(scores, recoveries, real, speed(run))


class Kept:
    """Figures of the classical methods, which change with their inputs only, appended to a file as they are found."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._known: dict[str, list[float]] = dict(json.loads(line) for line in lines)

    def figure(self, method: str, key: str, make: Callable[[], list[float]]) -> list[float]:
        """Return the figures of a method under a key; the model's own are made anew every time."""
        if method == OURS:
            return make()
        if key not in self._known:
            self._known[key] = make()
            with self._path.open("a") as file:
                file.write(json.dumps([key, self._known[key]]) + "\n")
        return self._known[key]


def _scores(
    recipe: Recipe, methods: Methods, data: Path | None, kept: Kept, tell: Callable[[str], None]
) -> Iterator[Score]:
    """Score every method on every simulated case and level."""
    for study in held_out_studies(data):
        tell(study.name)
        for level in LEVELS[recipe.task]:
            truth = study.image * np.float32(level)
            counts = _acquire(recipe, truth, f"{study.name}|{level}")
            for name, method in methods:
                figures = partial(_score, method, counts, truth, restore=name == OURS)
                key = f"{study.name}|{_digest(counts, truth)}|{level:.4f}|{name}|score"
                yield Score(study.name, level, name, *kept.figure(name, key, figures))


def _score(method: Method, counts: Pixels, truth: Pixels, restore: bool) -> list[float]:
    """Return PSNR, SSIM and bias; `restore` the sum as the engine does."""
    image = method(counts, truth)
    bias = float(image.sum() / counts.sum() - 1)
    delivered = image / np.float32(1 + bias) if restore else image
    return [psnr(delivered, truth), ssim(delivered, truth), bias]


def _recoveries(recipe: Recipe, methods: Methods, kept: Kept, tell: Callable[[str], None]) -> Iterator[Recovery]:
    """Measure the contrast of known lesions after every method."""
    for lesion in lesions():
        tell(lesion.name)
        for level in LESION_LEVELS:
            counts = _acquire(recipe, lesion.image * np.float32(level), f"{lesion.name}|{level}")
            for name, method in methods:
                figures = partial(_recovery, method, counts, lesion, level)
                key = f"{lesion.name}|{_digest(counts, lesion.image, lesion.without)}|{level:.4f}|{name}|lesion"
                yield Recovery(lesion.name, level, name, *kept.figure(name, key, figures))


def _recovery(method: Method, counts: Pixels, lesion: Lesion, level: float) -> list[float]:
    """Return the excess over the truth without the lesion, over the true excess."""
    truth, without = lesion.image * np.float32(level), lesion.without * np.float32(level)
    found = float((method(counts, truth) - without)[lesion.region].mean())
    return [found / float((truth - without)[lesion.region].mean())]


def _digest(*images: Pixels) -> str:
    """Return a short name of images: a simulator that draws others must not be given the figures of the old ones."""
    found = 0
    for image in images:
        found = crc32(image.tobytes(), found)
    return f"{found:08x}"


def _ours(run: Runner) -> Method:
    """Return the model as a method."""

    def method(counts: Pixels, truth: Pixels) -> Pixels:
        return run(counts[None, None])[0, 0]

    return method


def _acquire(recipe: Recipe, truth: Pixels, seed: str) -> Pixels:
    """Draw the noisy input of a case; the seed follows from its name."""
    counts = count(truth, np.random.default_rng(crc32(seed.encode())))
    return bin2(counts) if recipe.scale == 2 else counts


def speed(run: Runner, repeats: int = 15) -> dict[str, float]:
    """Time single frames; the fastest of some runs, since the machine may be busy."""
    times = {}
    for side in SPEED_SIDES:
        frame = np.ones((1, 1, side, side), np.float32)
        run(frame)
        spent = []
        for _ in range(repeats):
            start = time.perf_counter()
            run(frame)
            spent.append(time.perf_counter() - start)
        times[f"{side}x{side}"] = 1e3 * min(spent)
    return times


def as_json(report: Report) -> str:
    """Return a report as JSON, every single figure included."""
    return json.dumps(asdict(report))
