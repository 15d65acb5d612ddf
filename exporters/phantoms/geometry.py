"""Signed distances to the edges of shapes, and what of a pixel a shape covers."""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]


def turned(x: Field, y: Field, degrees: float) -> tuple[Field, Field]:
    """Return coordinates along and across an axis through the origin."""
    turn = np.deg2rad(degrees)
    return x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)


def ellipse_distance(u: Field, v: Field, a: float, b: float) -> Field:
    """Return about the distance to the edge of an ellipse with half axes a and b, negative inside.

    Parameters
    ----------
    u, v : ndarray, float64
        Coordinates along its axes.
    a, b : float
        Half axes, in the same units.

    Returns
    -------
    ndarray, float64
        Exact to first order at the edge; limited by the larger half axis in the middle, where the slope vanishes.

    Examples
    --------
    >>> ellipse_distance(np.array([0.0, 3.0, 5.0]), np.zeros(3), 3.0, 2.0).round(6).tolist()
    [-3.0, 0.0, 2.0]
    """
    level = np.hypot(u / a, v / b)
    slope = np.hypot(u / a**2, v / b**2) / np.maximum(level, 1e-6)
    return np.asarray((level - 1) / np.maximum(slope, 1 / max(a, b)), np.float64)


def coverage(distance: Field, pixel: float) -> Field:
    """Return how much of a pixel a shape covers, from the signed distance of its centre to the edge."""
    return np.clip(0.5 - distance / pixel, 0, 1)
