"""Twice the matrix of PET slices by every method there is here: error, similarity, how images look, and time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...kernels import perceptual_index, scsr
from ..inference import Runner
from ..recipes.catalogue import Recipe
from . import slices
from .metrics import peak, psnr, ssim
from .perception import Judges, learned_distance, unnatural
from .slice_study import as_delivered

Pixels = NDArray[np.float32]
Enlarge = Callable[[Pixels], Pixels]

LEVELS = (1 / 16, 1 / 4, 1.0, 4.0)
TRUTH = "noise-free reconstruction"
TIMED_SIDE = 128
_REPEATS = 9


@dataclass(frozen=True)
class Score:
    """What one method made of one noisy slice.

    Parameters
    ----------
    case : str
        Held-out slice.
    level : float
        Counts relative to a clinical acquisition.
    method : str
        Name of the method.
    psnr, ssim : float
        Against the noise-free reconstruction; the peak is its 99.9th percentile [dB], [1].
    niqe : float
        With a model of noise-free slices, see ``perception.unnatural``.
    distance : float
        Between features of a network, see ``perception.learned_distance`` [%].
    perceptual_index : float
        ((10 - Ma) + NIQE) / 2; NaN without a model of Ma et al., or on a matrix below 128.
    """

    case: str
    level: float
    method: str
    psnr: float
    ssim: float
    niqe: float
    distance: float
    perceptual_index: float


@dataclass(frozen=True)
class Comparison:
    """All figures.

    Parameters
    ----------
    scores : tuple of Score
        One for each slice, level and method.
    milliseconds : dict of str to float
        Processor time for a slice of 128x128, one thread, fastest of some runs that take turns [ms].
    maximum_db : float
        How much higher PSNR is on the Hoffman-like slices when the truth's maximum is the peak; NaN where there are none [dB].
    """

    scores: tuple[Score, ...]
    milliseconds: dict[str, float]
    maximum_db: float


def methods(models: Mapping[str, bytes]) -> dict[str, Enlarge]:
    """Return the classical methods and the given models, by name.

    Parameters
    ----------
    models : mapping of str to bytes
        Graphs of models for PET slices.
    """
    found: dict[str, Enlarge] = {
        "bicubic": _interpolation(Image.Resampling.BICUBIC),
        "Lanczos": _interpolation(Image.Resampling.LANCZOS),
        "ScSR": scsr,
    }
    for name, graph in models.items():
        found[name] = _delivered(Runner(graph, threads=1))
    return found


def compare(
    recipe: Recipe,
    models: Mapping[str, bytes],
    judges: Judges,
    *,
    data: Path | None = None,
    ma_model: Path | None = None,
    tell: Callable[[str], None] = lambda name: None,
) -> Comparison:
    """Measure all methods on the held-out slices.

    Parameters
    ----------
    recipe : Recipe
        Whose held-out slices, at scale 2.
    models : mapping of str to bytes
        See :func:`methods`.
    judges : Judges
        What judges how images look.
    data : Path or None
        Folder with the shared collections: without it there are no Hoffman-like slices.
    ma_model : Path or None
        Model of Ma et al., which does not ship; without it there is no perceptual index.
    tell : callable
        Told what is being measured.

    Returns
    -------
    Comparison
        The same for the same arguments, but for the times.
    """
    ways, scores, maxima = methods(models), [], []
    for trial in slices.trials(recipe, LEVELS, data):
        tell(f"{trial.case} at {trial.level:g}")
        for name, enlarge in ways.items():
            scores.append(_score(trial, name, enlarge(trial.noisy), judges, ma_model))
        scores.append(_score(trial, TRUTH, trial.truth, judges, ma_model))
        if "hoffman" in trial.case:
            maxima.append(20 * np.log10(float(trial.truth.max()) / peak(trial.truth)))
    maximum_db = float(np.mean(maxima)) if maxima else float("nan")
    return Comparison(tuple(scores), _milliseconds(ways), maximum_db)


def _score(trial: slices.Trial, name: str, image: Pixels, judges: Judges, ma_model: Path | None) -> Score:
    window = (0.0, peak(trial.truth))
    index = float(perceptual_index(image, ma_model=ma_model, window=window)) if ma_model else float("nan")
    looks = unnatural(judges, image, trial.truth), learned_distance(judges, image, trial.truth)
    error = (psnr(image, trial.truth), ssim(image, trial.truth)) if name != TRUTH else (float("nan"), 1.0)
    return Score(trial.case, trial.level, name, *error, *looks, index)


def _milliseconds(ways: Mapping[str, Enlarge]) -> dict[str, float]:
    """Time the methods in turn, by the processor's clock, which other work on the machine disturbs least."""
    rng = np.random.default_rng(81)
    image = rng.gamma(2.0, 1.0, (TIMED_SIDE, TIMED_SIDE)).astype(np.float32)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(_REPEATS + 1):
        for name, enlarge in ways.items():
            start = time.process_time()
            enlarge(image)
            if repeat:
                spent[name].append(1e3 * (time.process_time() - start))
    return {name: min(times) for name, times in spent.items()}


def _interpolation(resample: Image.Resampling) -> Enlarge:
    """Return an interpolation of concentrations, never negative."""

    def enlarge(image: Pixels) -> Pixels:
        rows, columns = image.shape
        large = np.asarray(Image.fromarray(image).resize((2 * columns, 2 * rows), resample), np.float32)
        return np.maximum(large, np.float32(0))

    return enlarge


def _delivered(run: Runner) -> Enlarge:
    deliver = as_delivered(run)
    return lambda image: deliver(image, image)
