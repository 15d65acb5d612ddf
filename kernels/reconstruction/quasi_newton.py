"""Minimise smooth functions of many numbers from values and gradients: BFGS of limited memory."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Minimum", "minimise"]

Image = NDArray[np.float32]
Objective = Callable[[Image], tuple[float, Image]]

_MEMORY = 40
_SUFFICIENT = 1e-4  # of the decrease that the slope promises
_SHRINK, _TRIALS = 0.3, 12


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where the search ended.

    Parameters
    ----------
    at : ndarray, float32
        The numbers.
    value : float
        Of the objective there.
    stopped : bool
        Whether `told` asked for the end.
    """

    at: Image
    value: float
    stopped: bool


def minimise(
    objective: Objective,
    start: Image,
    *,
    limit: int,
    tolerance: float,
    told: Callable[[int, float], bool] = lambda done, value: False,
    first_step: float = 1.0,
) -> Minimum:
    """Return a minimum.

    Parameters
    ----------
    objective : callable
        Takes numbers, float32 of the shape of `start`, and returns value and gradient.
    start : ndarray, float32
        Where to begin.
    limit : int
        Steps at most.
    tolerance : float
        End when three steps together lower the objective by less.
    told : callable
        Called with the number of the step and the objective after it; True ends the search.
    first_step : float
        Length of the first step.

    References
    ----------
    * Liu and Nocedal, On the limited memory BFGS method for large scale optimization, Math. Programming 45 (1989).
    """
    at = start
    value, gradient = objective(at)
    pairs: deque[tuple[Image, Image, float]] = deque(maxlen=_MEMORY)
    values = [value]
    for done in range(1, limit + 1):
        direction = _direction(gradient, pairs, first_step)
        found = _search(objective, at, value, gradient, direction)
        if found is None:
            break
        moved, value, slope = found
        step, change = moved - at, slope - gradient
        curvature = _dot(step, change)
        if curvature > 1e-8 * _dot(change, change) ** 0.5 * _dot(step, step) ** 0.5:
            pairs.append((step, change, curvature))
        at, gradient = moved, slope
        values.append(value)
        if told(done, value):
            return Minimum(at, value, True)
        if len(values) > 3 and values[-4] - value < tolerance:
            break
    return Minimum(at, value, False)


def _direction(gradient: Image, pairs: deque[tuple[Image, Image, float]], first_step: float) -> Image:
    """Return minus the inverse Hessian, as the pairs tell it, times the gradient."""
    direction = -gradient
    if not pairs:
        return np.asarray(direction * np.float32(first_step / max(_dot(gradient, gradient) ** 0.5, 1e-30)))
    weights = []
    for step, change, curvature in reversed(pairs):
        weights.append(_dot(step, direction) / curvature)
        direction = direction - np.float32(weights[-1]) * change
    step, change, curvature = pairs[-1]
    direction = direction * np.float32(curvature / _dot(change, change))
    for (step, change, curvature), weight in zip(pairs, reversed(weights), strict=True):
        direction = direction + np.float32(weight - _dot(change, direction) / curvature) * step
    return direction


def _search(
    objective: Objective, at: Image, value: float, gradient: Image, direction: Image
) -> tuple[Image, float, Image] | None:
    """Return the first point along a direction that is low enough, with value and gradient; None if there is none."""
    slope = _dot(gradient, direction)
    if slope >= 0:
        return None
    length = 1.0
    for _ in range(_TRIALS):
        moved = at + np.float32(length) * direction
        found, there = objective(moved)
        if found <= value + _SUFFICIENT * length * slope:
            return moved, found, there
        length *= _SHRINK
    return None


def _dot(first: Image, second: Image) -> float:
    return float(np.vdot(first, second))
