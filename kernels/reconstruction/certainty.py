"""How sure views make each point of a wire's centreline."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .. import _native
from .shadows import Shadows

if TYPE_CHECKING:
    from .curve_search import Candidate, WireSearch

__all__ = ["rate_points"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_RIVAL = 0.5  # a curve with so much more misfit, as a share, counts 1/e
_SOLVED = 0.2  # of the misfit of noise: so much more leaves a wire explained by 1/e
_BIAS, _WHOLE, _AGREED, _UNDER = 0.48, 4.07, 0.9, 0.11
_NEAR = 1.0  # curves as near agree [radii]


def rate_points(
    controls: Array,
    rivals: Sequence["Candidate"],
    shadows: Shadows,
    image: Image,
    search: "WireSearch",
    noise: float,
    samples: int,
) -> Image:
    """Return how likely each point of a centreline is within the wire's radius of the truth.

    The places are sure if the images as a whole are explained but for their noise. Else those are likelier where other good
    curves, which did not grow from the same piece, run too, and where residuals are small. All are less so where the images
    leave room to move (the covariance of the fit). The weights are those of a logistic regression over random coils of two
    to five loops, the searches of most stopped early so that there was something wrong to learn from.

    Returns
    -------
    ndarray, shape (n,), float32
        0 to 1, for the points of the spline.
    """
    points = _native.spline_points(controls, samples)
    shares = _agreed(points, rivals, shadows, samples)
    under = np.maximum(shadows.residuals_under(points, image), 1)
    whole = np.exp(-(search.misfit_of(image) / noise - 1) / _SOLVED)
    evidence = _BIAS + _WHOLE * whole + _AGREED * np.log(shares / (1 - shares)) - _UNDER * np.log(under)
    sure = _fixed(controls, search, samples) / (1 + np.exp(-evidence))
    return np.asarray(np.clip(sure, 0, 1), np.float32)


def _fixed(controls: Array, search: "WireSearch", samples: int) -> Array:
    """Return how likely the fit's error stays below the radius of the wire."""
    blocks = search.model.covariance(controls, search.base, search.loss(0.2))
    if not len(blocks):
        return np.zeros((len(controls) - 3) * samples + 1)
    spread = np.sqrt(np.trace(blocks, axis1=1, axis2=2))
    at = np.arange((len(controls) - 3) * samples + 1) / samples + 1
    local = np.interp(at, np.arange(len(controls)), spread)
    return np.asarray(1 - np.exp(-0.5 * (search.shadows.radius_mm / np.maximum(local, 1e-9)) ** 2))


def _agreed(points: Array, rivals: Sequence["Candidate"], shadows: Shadows, samples: int) -> Array:
    """Return how many of the other good curves run here too, as a share, of those that did not grow from this very piece."""
    least = min((rival.misfit for rival in rivals), default=0.0)
    total, near = np.full(len(points), 2.0), np.full(len(points), 1.0)  # not sure without any
    for rival in rivals:
        weight = np.exp(-(rival.misfit / max(least, 1e-9) - 1) / _RIVAL)
        free = np.ones(len(points), bool)
        if rival.kept is not None:
            free = _distance(points, _native.spline_points(rival.kept, samples)) > shadows.radius_mm
        total += weight * free
        near += weight * (
            free & (_distance(points, _native.spline_points(rival.controls, samples)) < _NEAR * shadows.radius_mm)
        )
    return np.asarray(near / total)


def _distance(points: Array, others: Array) -> Array:
    """Return the distance of each point to the nearest other."""
    return np.asarray(np.sqrt(((points[:, None] - others[None]) ** 2).sum(axis=-1).min(axis=1)))
