"""Twice the matrix of PET slices by every method there is here: error, similarity, perceptual quality and time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...kernels import niqe, perceptual_index, scsr
from ..card import markdown
from ..inference import Runner
from ..recipes.catalogue import Recipe
from . import slices
from .metrics import bootstrap, peak, psnr, ssim
from .slice_study import as_delivered

Pixels = NDArray[np.float32]
Enlarge = Callable[[Pixels], Pixels]

LEVELS = (1 / 16, 1 / 4, 1.0, 4.0)
TRUTH = "noise-free reconstruction"
GROUPS = {"hoffman-like": "Hoffman-like slices", "": "Other slices"}
FIGURES = {"psnr": ("PSNR [dB]", 2), "ssim": ("SSIM", 3), "niqe": ("NIQE (lower is better)", 2)}
PERCEPTUAL = {"perceptual_index": ("Perceptual index (lower is better)", 2)}
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
        Of the image itself, seen from 0 to the truth's 99.9th percentile.
    perceptual_index : float
        ((10 - Ma) + NIQE) / 2; NaN without a model of Ma et al., or on a matrix below 128.
    """

    case: str
    level: float
    method: str
    psnr: float
    ssim: float
    niqe: float
    perceptual_index: float


@dataclass(frozen=True)
class Comparison:
    """All figures.

    Parameters
    ----------
    scores : tuple of Score
        One for each slice, level and method.
    milliseconds : dict of str to float
        Time for a slice of 128x128, one thread, fastest of some runs that take turns [ms].
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
            scores.append(_score(trial, name, enlarge(trial.noisy), ma_model))
        scores.append(_score(trial, TRUTH, trial.truth, ma_model))
        if "hoffman" in trial.case:
            maxima.append(20 * np.log10(float(trial.truth.max()) / peak(trial.truth)))
    maximum_db = float(np.mean(maxima)) if maxima else float("nan")
    return Comparison(tuple(scores), _milliseconds(ways), maximum_db)


def as_markdown(found: Comparison) -> str:
    """Return the tables: one for each figure and group of slices, and the gains over bicubic interpolation."""
    parts = []
    with_index = any(np.isfinite(score.perceptual_index) for score in found.scores)
    for start, title in GROUPS.items():
        group = [s for s in found.scores if s.case.startswith("hoffman-like") == bool(start)]
        if not group:
            continue
        parts.append(f"## {title} ({len({s.case for s in group})})")
        for field, (name, digits) in (FIGURES | (PERCEPTUAL if with_index else {})).items():
            parts += [f"### {name}", _table(group, field, digits)]
        parts += ["### Gain in PSNR over bicubic, paired by slice [dB]", _gains(group)]
    rows = [(name, f"{ms:.1f}") for name, ms in found.milliseconds.items()]
    parts += [f"## Time for a slice of {TIMED_SIDE}x{TIMED_SIDE}, one thread", markdown(("method", "ms"), rows)]
    if np.isfinite(found.maximum_db):
        parts.append(
            "PSNR has the 99.9th percentile of the noise-free reconstruction as its peak; with the maximum instead it is "
            f"{found.maximum_db:.2f} dB higher on the Hoffman-like slices."
        )
    return "\n\n".join(parts)


def _score(trial: slices.Trial, name: str, image: Pixels, ma_model: Path | None) -> Score:
    window = (0.0, peak(trial.truth))
    index = float(perceptual_index(image, ma_model=ma_model, window=window)) if ma_model else float("nan")
    natural = float(niqe(image, window=window))
    error = (psnr(image, trial.truth), ssim(image, trial.truth)) if name != TRUTH else (float("nan"), 1.0)
    return Score(trial.case, trial.level, name, *error, natural, index)


def _table(scores: list[Score], field: str, digits: int) -> str:
    """Tabulate a figure: methods down, count levels across, mean over the slices and bootstrap interval of 95 %."""
    rows = []
    for name in dict.fromkeys(score.method for score in scores):
        cells = [_interval(_values(scores, name, level, field), digits) for level in LEVELS]
        if any(cells):
            rows.append((name, *cells))
    return markdown(("method", *(f"{level:g}" for level in LEVELS)), rows)


def _gains(scores: list[Score]) -> str:
    rows = []
    for name in dict.fromkeys(score.method for score in scores):
        if name not in ("bicubic", TRUTH):
            gains = [_values(scores, name, at, "psnr") - _values(scores, "bicubic", at, "psnr") for at in LEVELS]
            rows.append((name, *(_interval(gain, 2) for gain in gains)))
    return markdown(("method", *(f"{level:g}" for level in LEVELS)), rows)


def _values(scores: list[Score], method: str, level: float, field: str) -> NDArray[np.float64]:
    return np.array([getattr(s, field) for s in scores if s.method == method and s.level == level])


def _interval(values: NDArray[np.float64], digits: int) -> str:
    """Format mean and interval of the values that are there; empty where none is."""
    there = values[np.isfinite(values)]
    if not there.size:
        return ""
    found = bootstrap(there)
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _milliseconds(ways: Mapping[str, Enlarge]) -> dict[str, float]:
    """Time the methods in turn."""
    rng = np.random.default_rng(81)
    image = rng.gamma(2.0, 1.0, (TIMED_SIDE, TIMED_SIDE)).astype(np.float32)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(_REPEATS + 1):
        for name, enlarge in ways.items():
            start = time.perf_counter()
            enlarge(image)
            if repeat:
                spent[name].append(1e3 * (time.perf_counter() - start))
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
