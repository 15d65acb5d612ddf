"""The whole measurement of a PET model: held-out slices, lesions, the NEMA phantom simulated and real, speed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...engine import postprocess
from ..inference import Runner
from ..recipes.catalogue import Recipe
from . import slices
from .baselines import PET_DENOISERS, PET_ENLARGERS, PET_STRENGTHS, Method, Pixels, smooth_slice
from .metrics import peak, psnr, ssim
from .nema_scan import RECONSTRUCTIONS, NemaScan, load_scans, recoveries, variability
from .study import OURS, Kept, Score, speed

LEVELS = {"denoise": (1 / 16, 1 / 8, 1 / 4, 1 / 2), "super-resolution": (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 4.0)}
SPHERE_LEVELS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
RAW = "none"
METHODS = {"denoise": PET_DENOISERS, "super-resolution": PET_ENLARGERS}
BLENDS = (1.0, 0.8, 0.6, 0.4, 0.2)  # shares of the output in a mixture with the input: the model's curve
_SMALL = slice(0, slices.SMALL)


@dataclass(frozen=True)
class LesionScore:
    """How far the mean and the maximum of lesions are from those of the noise-free image, relative, mean over a slice."""

    case: str
    level: float
    method: str
    mean_bias: float
    max_bias: float


@dataclass(frozen=True)
class SphereScore:
    """Contrast and background of one image of the NEMA phantom.

    Parameters
    ----------
    level : float
        Counts relative to a clinical acquisition; 0 for the real scan.
    method : str
        Name of the method.
    strength : int
        Number of its setting; of this model, of ``BLENDS``.
    recovery : float
        Contrast of the spheres of 10, 13 and 17 mm over that without noise, or over that of the raw real scan, mean [1].
    variability : float
        Standard deviation of background circles over their mean [1].
    """

    level: float
    method: str
    strength: int
    recovery: float
    variability: float


@dataclass(frozen=True)
class SliceReport:
    """All measurements of a PET model.

    Parameters
    ----------
    scores, lesions, spheres : tuple
        One entry per case, level and method.
    scan : tuple of SphereScore
        The real phantom; empty where the shared collection is not there, and for super-resolution.
    maximum_db : float
        How much higher PSNR is on the Hoffman-like slices with their maximum as peak; NaN where there are none [dB].
    speed_ms : dict of str to float
        Time per slice by matrix [ms].
    """

    scores: tuple[Score, ...]
    lesions: tuple[LesionScore, ...]
    spheres: tuple[SphereScore, ...]
    scan: tuple[SphereScore, ...]
    maximum_db: float
    speed_ms: dict[str, float]


def measure_slices(
    recipe: Recipe, model: bytes, data: Path | None, work: Path, tell: Callable[[str], None] = lambda name: None
) -> SliceReport:
    """Compare a PET model with the classical methods; arguments as for :func:`~.study.measure`."""
    run = Runner(model)
    ours = as_delivered(run)
    kept = Kept(work / f"baselines-pet-{recipe.task}.jsonl")
    scores, lesions, maxima = [], [], []
    for trial in slices.trials(recipe, LEVELS[recipe.task], data):
        tell(trial.case)
        for name, method in ((OURS, ours), *METHODS[recipe.task]):
            figures = partial(_score, method, trial, run if name == OURS else None)
            values = kept.figure(name, f"{trial.case}|{trial.level:.4f}|{name}|score", figures)
            scores.append(Score(trial.case, trial.level, name, *values[:3]))
            if "torso" in trial.case and np.isfinite(values[3]):
                lesions.append(LesionScore(trial.case, trial.level, name, *values[3:]))
        if "hoffman" in trial.case:
            maxima.append(20 * np.log10(float(trial.truth.max()) / peak(trial.truth)))
    tell("NEMA phantom")
    denoises = recipe.task == "denoise"
    spheres = tuple(_spheres(recipe, ours, kept)) if denoises else ()
    scan = tuple(_scan(ours, data, kept)) if denoises else ()
    maximum_db = float(np.mean(maxima)) if maxima else float("nan")
    return SliceReport(tuple(scores), tuple(lesions), spheres, scan, maximum_db, speed(run))


def as_delivered(run: Runner) -> Method:
    """Return the model as the engine runs it: scaled by the robust maximum, with the mean restored."""

    def method(image: Pixels, truth: Pixels) -> Pixels:
        estimate = bare(run, image)
        return np.asarray(estimate * (image.mean(dtype=np.float64) / estimate.mean(dtype=np.float64)), np.float32)

    return method


def blends(estimate: Pixels, image: Pixels) -> Iterator[Pixels]:
    """Yield the mixtures of an output with its input, from all output to little of it."""
    for share in BLENDS:
        yield np.asarray(share * estimate + (1 - share) * image, np.float32)


def bare(run: Runner, image: Pixels) -> Pixels:
    """Return what the graph makes of a slice."""
    scaled = postprocess.scale_in(image[None], "robust", 1)
    output = run(scaled.pixels[:, None])[:, 0]
    postprocess.scale_out(output, scaled)
    return np.asarray(output[0], np.float32)


def _score(method: Method, trial: slices.Trial, run: Runner | None) -> list[float]:
    """Return PSNR, SSIM, bias of the mean (of the bare model), and the bias of lesions' mean and maximum."""
    image = method(trial.noisy, trial.truth)
    plain = bare(run, trial.noisy) if run else image
    bias = float(plain.mean(dtype=np.float64) / trial.noisy.mean(dtype=np.float64) - 1)
    pairs = [
        [slices.disc_values(part, disc, trial.field_mm) for part in (image, trial.truth)]
        for disc in trial.discs
        if disc.activity > 1
    ]
    means = [a.mean() / b.mean() - 1 for a, b in pairs]
    peaks = [a.max() / b.max() - 1 for a, b in pairs]
    lesion = [float(np.mean(means)), float(np.mean(peaks))] if pairs else [float("nan")] * 2
    return [psnr(image, trial.truth), ssim(image, trial.truth), bias, *lesion]


def _spheres(recipe: Recipe, ours: Method, kept: Kept) -> Iterator[SphereScore]:
    """Yield contrast and variability of every method at every strength."""
    for number, trial in enumerate(slices.sphere_trials(recipe, SPHERE_LEVELS)):
        estimate = ours(trial.noisy, trial.truth)
        for k, image in enumerate(blends(estimate, trial.noisy)):
            yield SphereScore(trial.level, OURS, k, *_point(image, trial))
        yield SphereScore(trial.level, RAW, 0, *_point(trial.noisy, trial))
        for name in PET_STRENGTHS:
            points = kept.figure(name, f"spheres|{number}|{name}", partial(_points, name, trial))
            yield from _swept(trial.level, name, points)


def _points(name: str, trial: slices.Trial) -> list[float]:
    images = (smooth_slice(name, trial.noisy, strength) for strength in PET_STRENGTHS[name])
    return [value for image in images for value in _point(image, trial)]


def _point(image: Pixels, trial: slices.Trial) -> tuple[float, float]:
    found, deviation = slices.recovery_and_variability(image, trial)
    return float(np.mean(found[_SMALL])), deviation


def _scan(ours: Method, data: Path | None, kept: Kept) -> Iterator[SphereScore]:
    """Yield the real phantom: both reconstructions as they are, and the first after every method at every strength."""
    scans = load_scans(data)
    if not scans:
        return
    first = scans[RECONSTRUCTIONS[0]]
    reference = recoveries(first.planes[len(first.planes) // 2], first)[_SMALL]

    def point(planes: Pixels, scan: NemaScan) -> list[float]:
        middle = planes[len(planes) // 2]
        return [float(np.mean(recoveries(middle, scan)[_SMALL] / reference)), variability(planes, scan)]

    def points(name: str) -> list[float]:
        swept = (np.stack([smooth_slice(name, plane, s) for plane in first.planes]) for s in PET_STRENGTHS[name])
        return [value for planes in swept for value in point(planes, first)]

    for name, scan in scans.items():
        yield SphereScore(0, name, 0, *point(scan.planes, scan))
    estimate = np.stack([ours(plane, plane) for plane in first.planes])
    for k, planes in enumerate(blends(estimate, first.planes)):
        yield SphereScore(0, OURS, k, *point(planes, first))
    for name in PET_STRENGTHS:
        yield from _swept(0, name, kept.figure(name, f"scan|{name}", partial(points, name)))


def _swept(level: float, name: str, points: list[float]) -> Iterator[SphereScore]:
    """Yield the points of a curve, which a file keeps one after another."""
    for k, (recovery, deviation) in enumerate(zip(points[::2], points[1::2], strict=True)):
        yield SphereScore(level, name, k, recovery, deviation)
