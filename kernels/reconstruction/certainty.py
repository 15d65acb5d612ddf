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

_RIVAL = 1.5  # a curve of this times the least misfit is a rival; better ones count more
_NEAR = 1.0  # curves as near agree [radii]
_CLEAN = 3.0  # mean squared residual under a point that is still good


def rate_points(
    controls: Array,
    rivals: Sequence["Candidate"],
    shadows: Shadows,
    image: Image,
    search: "WireSearch",
    samples: int,
) -> Image:
    """Return how sure each point of a centreline is.

    Three things make a place uncertain: the images leave room for it (the covariance of the fit), they are not explained
    there (residuals under its shadow), or another curve explains them about as well and runs elsewhere.

    Returns
    -------
    ndarray, shape (n,), float32
        0 to 1, for the points of the spline.
    """
    points = _native.spline_points(controls, samples)
    sure = (
        _fixed(controls, search, samples)
        * _explained(points, shadows, image)
        * _agreed(points, rivals, shadows, samples)
    )
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


def _explained(points: Array, shadows: Shadows, image: Image) -> Array:
    """Return 1 where residuals under a point are noise, less where they are larger; the worst view counts."""
    return 1 / np.maximum(shadows.residuals_under(points, image) / _CLEAN, 1)


def _agreed(points: Array, rivals: Sequence["Candidate"], shadows: Shadows, samples: int) -> Array:
    """Return the share of good curves that run here too."""
    least = min((rival.misfit for rival in rivals), default=0.0)
    total, near = 1e-9, np.zeros(len(points)) + 1e-9
    for rival in rivals:
        weight = max(0.0, _RIVAL - rival.misfit / max(least, 1e-9))
        if weight == 0:
            continue
        other = _native.spline_points(rival.controls, samples)
        distance = np.sqrt(((points[:, None] - other[None]) ** 2).sum(axis=-1).min(axis=1))
        total += weight
        near += weight * (distance < _NEAR * shadows.radius_mm)
    return np.asarray(near / total)
