"""The whole measurement of one model: simulated cases, lesions, a real bone scan, speed."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..inference import Runner
from ..phantoms.camera import bin2, count
from ..recipes.catalogue import Recipe
from .baselines import DENOISERS, ENLARGERS, Method
from .cases import held_out_studies, lesions
from .metrics import psnr, ssim
from .real import real_scores

OURS = "this model"
LEVELS = {"denoise": (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0), "super-resolution": (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 4.0)}
LESION_LEVELS = (1 / 16, 1 / 4, 1.0)
SPEED_SIDES = (128, 256, 512)
_REPORTED = {"denoise": DENOISERS, "super-resolution": ENLARGERS}


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
    seconds : float
        Time of the measurement, without baselines that were kept from before [s].
    """

    scores: tuple[Score, ...]
    recoveries: tuple[Recovery, ...]
    real: tuple[RealScore, ...]
    speed_ms: dict[str, float]
    seconds: float


def measure(
    recipe: Recipe, model: bytes, data: Path | None, work: Path, report: Callable[[str], None] = lambda name: None
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
    report : callable
        Told what is being measured.

    Returns
    -------
    Report
        Every single figure.
    """
    start = time.monotonic()
    run = Runner(model)
    methods = ((OURS, _ours(run)), *_REPORTED[recipe.task])
    kept = _Kept(work / f"baselines-{recipe.task}.jsonl")
    scores = tuple(_scores(recipe, methods, data, kept, report))
    recoveries = tuple(_recoveries(recipe, methods, kept, report))
    report("real bone scan")
    real = tuple(
        RealScore(level, name, value) for level, name, value in real_scores(recipe, methods, data, kept.figure)
    )
    return Report(scores, recoveries, real, _speed(run), time.monotonic() - start)


class _Kept:
    """Figures of deterministic methods, appended to a file as they are found."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._known: dict[str, list[float]] = dict(json.loads(line) for line in lines)

    def figure(self, key: str, make: Callable[[], list[float]]) -> list[float]:
        """Return the figures of a key; the model's own are made anew every time."""
        if f"|{OURS}|" in key:
            return make()
        if key not in self._known:
            self._known[key] = make()
            with self._path.open("a") as file:
                file.write(json.dumps([key, self._known[key]]) + "\n")
        return self._known[key]


def _scores(
    recipe: Recipe,
    methods: tuple[tuple[str, Method], ...],
    data: Path | None,
    kept: _Kept,
    report: Callable[[str], None],
) -> Iterator[Score]:
    """Score every method on every simulated case and level."""
    for study in held_out_studies(data):
        report(study.name)
        for level in LEVELS[recipe.task]:
            truth = study.image * np.float32(level)
            counts = _acquire(recipe, truth, f"{study.name}|{level}")
            for name, method in methods:

                def make(method: Method = method, counts: _Pixels = counts, truth: _Pixels = truth) -> list[float]:
                    image = method(counts, truth)
                    bias = float(image.sum() / counts.sum() - 1)
                    delivered = image / (1 + bias) if method is methods[0][1] else image
                    return [psnr(delivered, truth), ssim(delivered, truth), bias]

                yield Score(study.name, level, name, *kept.figure(f"{study.name}|{level:.4f}|{name}|score", make))


def _recoveries(
    recipe: Recipe, methods: tuple[tuple[str, Method], ...], kept: _Kept, report: Callable[[str], None]
) -> Iterator[Recovery]:
    """Measure the contrast of known lesions after every method."""
    for lesion in lesions():
        report(lesion.name)
        for level in LESION_LEVELS:
            truth, without = lesion.image * np.float32(level), lesion.without * np.float32(level)
            counts = _acquire(recipe, truth, f"{lesion.name}|{level}")
            real = float((truth - without)[lesion.region].mean())
            for name, method in methods:

                def make(
                    method: Method = method,
                    counts: _Pixels = counts,
                    truth: _Pixels = truth,
                    without: _Pixels = without,
                    region: NDArray[np.bool_] = lesion.region,
                    real: float = real,
                ) -> list[float]:
                    return [float((method(counts, truth) - without)[region].mean()) / real]

                yield Recovery(lesion.name, level, name, *kept.figure(f"{lesion.name}|{level:.4f}|{name}|lesion", make))


def _ours(run: Runner) -> Method:
    """Return the model as a method."""

    def method(counts: _Pixels, truth: _Pixels) -> _Pixels:
        return run(counts[None, None])[0, 0]

    return method


def _acquire(recipe: Recipe, truth: NDArray[np.float32], seed: str) -> NDArray[np.float32]:
    """Draw the noisy input of a case; the seed follows from its name."""
    counts = count(truth, np.random.default_rng(crc32(seed.encode())))
    return bin2(counts) if recipe.scale == 2 else counts


def _speed(run: Runner, repeats: int = 15) -> dict[str, float]:
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


_Pixels = NDArray[np.float32]
