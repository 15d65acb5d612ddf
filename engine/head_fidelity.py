"""How far a provider and a precision change what a model of findings says, measured on its golden frames.

A decibel says nothing about a class or a lesion. What counts here is the calibrated probability, what is found with it, and
whether an image passes as one of the training domain.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import ModelError
from .manifest import CELL, Analysis
from .providers import Precision, Runnable

__all__ = [
    "HEAD_TOLERANCES",
    "LARGEST_PROBABILITY_CHANGE",
    "changed_finding",
    "golden_heads_run",
    "head_deviation",
    "probability_change",
]

Tensor = NDArray[np.float32]
Heads = Mapping[str, Tensor]
# Largest difference from a golden head that a precision explains, relative to the head's peak. Five times what an image is
# granted: frames are standardised inside of the graph, and logits and gradients are differences of large sums.
HEAD_TOLERANCES: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2.5e-2, "bf16": 2e-1, "int8": 5e-1}
LARGEST_PROBABILITY_CHANGE = 0.01


def golden_heads_run(bundle: Bundle, runnable: Runnable) -> dict[str, Tensor]:
    """Return the heads that a prepared graph gives for the bundle's golden input, frame by frame."""
    found = [runnable.heads(frame[np.newaxis]) for frame in bundle.golden_heads.input]
    return {name: np.concatenate([heads[name] for heads in found]) for name in bundle.manifest.heads}


def head_deviation(bundle: Bundle, heads: Heads) -> tuple[float, str]:
    """Return the largest difference from a golden head, relative to that head's peak [1], and the head's name.

    Parameters
    ----------
    bundle : Bundle
        A model of findings.
    heads : mapping of str to ndarray
        What :func:`golden_heads_run` returned.

    Raises
    ------
    ModelError
        If a head is of another shape than the golden one.
    """
    found = []
    for name, golden in bundle.golden_heads.heads.items():
        if heads[name].shape != golden.shape:
            raise ModelError(f"its head {name!r} is {heads[name].shape} and not {golden.shape}")
        peak = max(float(np.abs(golden).max()), float(np.finfo(np.float32).tiny))
        difference = float(np.abs(heads[name] - golden).max()) / peak
        # What is no number is the largest difference that there is.
        found.append((np.inf if np.isnan(difference) else difference, name))
    return max(found)


def probability_change(bundle: Bundle, heads: Heads) -> float:
    """Return the largest difference of a calibrated probability on the golden frames from that of float32 [1].

    Parameters
    ----------
    bundle : Bundle
        A model of findings.
    heads : mapping of str to ndarray
        What :func:`golden_heads_run` returned.

    Returns
    -------
    float
        Over all classes of a classification, or all cells of a detection's heat map.
    """
    analysis = _analysis(bundle)
    exact = _probabilities(bundle.golden_heads.heads, analysis)
    return float(np.abs(_probabilities(heads, analysis) - exact).max())


def changed_finding(bundle: Bundle, heads: Heads) -> str:
    """Return what a precision finds otherwise on the golden frames than float32, or an empty string.

    Parameters
    ----------
    bundle : Bundle
        A model of findings.
    heads : mapping of str to ndarray
        What :func:`golden_heads_run` returned.

    Returns
    -------
    str
        The first of: probabilities that differ by more than 0.01, lesions that appear, vanish or move by a cell or more at
        the operating point, and embeddings that lie in another part of the domain.
    """
    change, golden = probability_change(bundle, heads), bundle.golden_heads.heads
    if not change <= LARGEST_PROBABILITY_CHANGE:
        return f"probabilities change by {change:.3f} against fp32, {LARGEST_PROBABILITY_CHANGE:g} are admitted"
    analysis = _analysis(bundle)
    if "heat" in golden:
        for number, (found, exact) in enumerate(
            zip(_lesions(heads, analysis), _lesions(golden, analysis), strict=True), 1
        ):
            if not _same(found, exact):
                return f"finds {len(found)} lesions in golden frame {number} that are not the {len(exact)} of fp32"
    limits = analysis.embedding.limits
    verdicts = [np.searchsorted(limits, analysis.embedding.distances(one["embedding"])) for one in (heads, golden)]
    return "" if (verdicts[0] == verdicts[1]).all() else "puts golden frames in another part of the training domain"


def _analysis(bundle: Bundle) -> Analysis:
    if bundle.manifest.analysis is None:
        raise ModelError(f"{bundle.name} gives an image and no findings.")
    return bundle.manifest.analysis


def _probabilities(heads: Heads, analysis: Analysis) -> NDArray[np.float64]:
    from .analysis.decode import class_probabilities, probability

    if "heat" in heads:
        return probability(heads["heat"], analysis.temperature)
    return class_probabilities(heads["logits"], analysis.temperature)


def _lesions(heads: Heads, analysis: Analysis) -> Iterator[NDArray[np.float64]]:
    """Yield the centres of the lesions of each frame, shape (lesions, 2) [px]."""
    from .analysis.decode import peaks

    for heat, box in zip(heads["heat"], heads["box"], strict=True):
        found = peaks(heat, box, temperature=analysis.temperature, threshold=analysis.threshold)
        yield np.array([(peak.row, peak.column) for peak in found]).reshape(-1, 2)


def _same(found: NDArray[np.float64], exact: NDArray[np.float64]) -> bool:
    """Return whether each lesion of one set lies within a cell of one of the other."""
    if len(found) != len(exact):
        return False
    if not len(exact):
        return True
    distances = np.hypot(*(found[:, np.newaxis] - exact).transpose(2, 0, 1))
    return bool((distances.min(axis=0) < CELL).all() and (distances.min(axis=1) < CELL).all())
