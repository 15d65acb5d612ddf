"""Everything about a denoiser of PET slices: error, contrast against background variability, uptake, a real scan."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...engine.bundle import Bundle
from ..inference import Runner
from ..recipes.catalogue import find
from .baselines import PET_DENOISERS
from .contrast import Curve, best_at, mean_curves
from .nema_scan import RECONSTRUCTIONS
from .slice_study import BLENDS, LEVELS, RAW, SliceReport, SphereScore, as_delivered, measure_slices
from .study import OURS, Kept
from .uptake import Reading, read_uptake

READ = 2  # of the other methods, the image as it is and the Gaussian filter: what uptake is read from in practice


@dataclass(frozen=True)
class Advantage:
    """Contrast recovery of the model beside that of the best other method at the same background variability.

    Parameters
    ----------
    level : float
        Counts relative to a clinical acquisition; 0 for the real scan.
    share : float
        Of the model's output in the mixture with its input.
    variability, recovery : float
        Of the model [1].
    rival : str
        Best other method at this variability; empty where none gets there at any strength.
    rival_recovery : float or None
        Its recovery.
    """

    level: float
    share: float
    variability: float
    recovery: float
    rival: str
    rival_recovery: float | None


@dataclass(frozen=True)
class DenoiseReport:
    """The study of one model.

    Parameters
    ----------
    model : str
        Name of the bundle.
    slices : SliceReport
        Error on held-out slices, contrast and variability of the NEMA phantom, simulated and real.
    readings : tuple of Reading
        Bias of mean and maximum.
    advantages : tuple of Advantage
        One entry per count level and mixture.
    """

    model: str
    slices: SliceReport
    readings: tuple[Reading, ...]
    advantages: tuple[Advantage, ...]


def study(
    bundle: Bundle, data: Path | None, work: Path, tell: Callable[[str], None] = lambda name: None
) -> DenoiseReport:
    """Compare a denoiser of PET slices with tuned classical methods.

    Parameters
    ----------
    bundle : Bundle
        Of a recipe that denoises PET slices.
    data : Path or None
        Folder with the shared collections, for Hoffman-like slices and the real phantom.
    work : Path
        Folder where the figures of the (slow, deterministic) classical methods are kept between runs.
    tell : callable
        Told what is being measured.

    Returns
    -------
    DenoiseReport
        The same for the same arguments, but for the times.
    """
    recipe = find(bundle.manifest.training.recipe)
    measured = measure_slices(recipe, bundle.model, data, work, tell)
    methods = ((OURS, as_delivered(Runner(bundle.model))), *PET_DENOISERS[:READ])
    kept = Kept(work / f"baselines-pet-{recipe.task}.jsonl")
    readings = read_uptake(recipe, methods, LEVELS[recipe.task], kept, tell)
    groups = [measured.scan] if measured.scan else []
    for level in sorted({score.level for score in measured.spheres}):
        groups.append(tuple(score for score in measured.spheres if score.level == level))
    return DenoiseReport(bundle.name, measured, readings, tuple(a for group in groups for a in advantages(group)))


def curves(scores: Sequence[SphereScore]) -> dict[str, Curve]:
    """Return the curve of each method at one count level; all begin at the image as it is, which no strength leaves."""
    found = mean_curves(scores)
    raw = found.pop(RAW, None) or found.pop(RECONSTRUCTIONS[0])
    found[OURS].reverse()  # from little of the output to all of it
    return {RAW: raw} | {name: raw + curve for name, curve in found.items() if name not in RECONSTRUCTIONS}


def advantages(scores: Sequence[SphereScore]) -> list[Advantage]:
    """Compare each mixture of the model with the best other method at its variability, for one count level."""
    drawn = curves(scores)
    rivals = {name: curve for name, curve in drawn.items() if name not in (OURS, RAW)}
    found = []
    for share, (recovery, variability) in zip(BLENDS, drawn[OURS][:0:-1], strict=True):
        there = {name: best_at(curve, variability)[0] for name, curve in rivals.items()}
        there = {name: value for name, value in there.items() if np.isfinite(value)}
        best = max(there, key=lambda name: there[name], default="")
        found.append(Advantage(scores[0].level, share, variability, recovery, best, there.get(best)))
    return found
