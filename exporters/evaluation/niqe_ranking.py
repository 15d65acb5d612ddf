"""A NIQE model of planar scintigraphy, and whether it ranks scans better than the model of photographs.

NIQE calls an image good when its blocks look like those that its model was made from. The published model was made from
photographs; the one made here from planar scans of long duration on full matrices. Which of them says what a physicist
would say is measured on scans that are made worse step by step in a known order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import kendalltau

from ...kernels import fit_niqe, niqe
from ...kernels.iqa import models
from ...kernels.iqa.models import NiqeModel
from ..phantoms.camera import count
from ..phantoms.library import ANATOMIES, Split, simulate
from .metrics import Interval, bootstrap

Pixels = NDArray[np.float32]
BLOCK = 32  # a block must fit into the uptake of an organ
SHARP = 0.2
GOOD = 6.0  # counts of a good scan, relative to a clinical one
STUDIES = {"train": 16, "held-out": 5}
FIRST = {"train": 0, "held-out": 40}
COUNTS = (4.0, 1.0, 1 / 4, 1 / 16)
BLURS_PX = (0.0, 1.0, 2.0, 4.0)
BINNINGS = (1, 2, 4)
MODELS = ("live", "nm")
SHIPPED = Path(models.__file__).parent / "data" / "niqe-nm.npz"
_REAL = ("nema_wg04/NM1_UNC.dcm",)
_LEFT_OUT = ("pattern", "shapes")


@dataclass(frozen=True)
class Ranking:
    """How well a model orders the steps of one degradation.

    Parameters
    ----------
    degradation, model : str
        What was made worse, and who judged.
    tau : Interval
        Kendall's rank correlation between step and score, mean over scans with its interval of 95 %; 1 is the right
        order, -1 the reverse.
    perfect : float
        Share of the scans whose steps were all put in the right order.
    scores : tuple of float
        Mean score at each step.
    """

    degradation: str
    model: str
    tau: Interval
    perfect: float
    scores: tuple[float, ...]


def fit_nm(data: Path | None, tell: Callable[[str], None] = lambda name: None) -> NiqeModel:
    """Return the NIQE model of planar scintigraphy that ships as ``nm``.

    Parameters
    ----------
    data : Path or None
        Folder with the shared collections: real acquisitions with many counts are taken in where they are present.
    tell : callable
        Told what is being made.

    Returns
    -------
    NiqeModel
        Its provenance says what it was made from.
    """
    rng = np.random.default_rng(41)
    images = [count(np.float32(GOOD) * image, rng) for image in _studies("train", tell)]
    real = [path for path in (data / name for name in _REAL if data) if path.exists()] if data else []
    for path in real:
        tell(path.name)
        pixels = pydicom.dcmread(path).pixel_array.astype(np.float32)
        images += list(pixels.reshape(-1, *pixels.shape[-2:]))
    fitted = fit_niqe(images, name="nm", block=BLOCK, sharp=SHARP)
    kinds = f"{len(images)} planar scans: simulated at {GOOD:g} times clinical counts, {len(real)} real bone scan"
    return NiqeModel(
        fitted.name, fitted.mean, fitted.covariance, fitted.block, provenance=f"{kinds}; {fitted.provenance}"
    )


def rank(judges: dict[str, str | NiqeModel], tell: Callable[[str], None] = lambda name: None) -> tuple[Ranking, ...]:
    """Judge held-out scans that get worse step by step.

    Parameters
    ----------
    judges : dict of str to model
        Names for the table, and what :func:`~photopeak.kernels.niqe` takes.
    tell : callable
        Told what is being judged.

    Returns
    -------
    tuple of Ranking
        For each degradation and model. The counts are those of a scan 4 times longer than clinical down to a sixteenth of
        one; blur is a Gaussian on a clinical scan; a coarser matrix is shown on the pixels of the full one, bicubically.
    """
    found: dict[tuple[str, str], list[list[float]]] = {}
    for number, image in enumerate(_studies("held-out", tell)):
        for degradation, steps in _degraded(image, np.random.default_rng([42, number])):
            for name, model in judges.items():
                scores = [float(niqe(step, model=model)) for step in steps]
                found.setdefault((degradation, name), []).append(scores)
    return tuple(_ranking(*key, np.array(scores)) for key, scores in found.items())


def as_markdown(rankings: tuple[Ranking, ...]) -> str:
    """Return a table of rankings."""
    lines = [
        "| made worse | model | rank correlation | all steps in order | mean scores, best step first |",
        "|---|---|---|---|---|",
    ]
    for r in rankings:
        scores = ", ".join(f"{score:.1f}" for score in r.scores)
        spread = f"{r.tau.mean:+.2f} ({r.tau.low:+.2f} to {r.tau.high:+.2f})"
        lines.append(f"| {r.degradation} | {r.model} | {spread} | {r.perfect:.0%} | {scores} |")
    return "\n".join(lines)


def _studies(split: Split, tell: Callable[[str], None]) -> Iterator[Pixels]:
    """Yield noise-free anatomies at the clinical count level."""
    for anatomy in ANATOMIES:
        if anatomy.name not in _LEFT_OUT:
            for index in range(FIRST[split], FIRST[split] + STUDIES[split]):
                tell(anatomy.name)
                yield simulate(anatomy.name, index, split).image


def _degraded(image: Pixels, rng: np.random.Generator) -> Iterator[tuple[str, list[Pixels]]]:
    """Yield the name and the steps of each degradation, best first."""
    clinical = count(image, rng)
    yield "counts", [clinical if level == 1 else count(np.float32(level) * image, rng) for level in COUNTS]
    yield "blur", [gaussian_filter(clinical, width) if width else clinical for width in BLURS_PX]
    yield "matrix", [_coarser(clinical, factor) for factor in BINNINGS]


def _coarser(counts: Pixels, factor: int) -> Pixels:
    """Return a scan binned to a coarser matrix, and shown on the pixels of the full one."""
    if factor == 1:
        return counts
    rows, columns = counts.shape
    binned = counts.reshape(rows // factor, factor, columns // factor, factor).sum(axis=(1, 3))
    shown = Image.fromarray(np.asarray(binned, np.float32)).resize((columns, rows), Image.Resampling.BICUBIC)
    return np.maximum(np.asarray(shown), 0)


def _ranking(degradation: str, model: str, scores: NDArray[np.float64]) -> Ranking:
    """Summarise scores, shape (scans, steps)."""
    taus = np.array([kendalltau(np.arange(len(row)), row).statistic for row in scores])
    means = tuple(scores.mean(axis=0).tolist())
    return Ranking(degradation, model, bootstrap(taus), float((taus > 1 - 1e-9).mean()), means)
