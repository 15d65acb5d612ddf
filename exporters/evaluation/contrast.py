"""Curves of contrast recovery against background variability, and where they cross."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from .slice_study import SphereScore

Curve = list[tuple[float, float]]


def mean_curves(scores: Sequence[SphereScore]) -> dict[str, Curve]:
    """Return recovery and variability of each method, one point per strength, mean over the scans."""
    found: dict[str, Curve] = {}
    for method, strength in dict.fromkeys((score.method, score.strength) for score in scores):
        group = [score for score in scores if (score.method, score.strength) == (method, strength)]
        point = float(np.mean([s.recovery for s in group])), float(np.mean([s.variability for s in group]))
        found.setdefault(method, []).append(point)
    return found


def best_at(curve: Curve, level: float, best: Callable[..., float] = max) -> tuple[float, float]:
    """Return the best first coordinate of a curve, straight between its points, where the second is `level`; NaN if it is not.

    Examples
    --------
    >>> best_at([(1.0, 0.1), (0.5, 0.02)], 0.06)
    (0.75, 0.06)
    """
    crossings = [
        a[0] + (b[0] - a[0]) * (level - a[1]) / (b[1] - a[1])
        for a, b in pairwise(curve)
        if min(a[1], b[1]) <= level <= max(a[1], b[1]) and a[1] != b[1]
    ]
    return best(crossings, default=float("nan")), level
