"""Landmarks and errors of views, fitted together to where landmarks are seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .adjustments import PARAMETERS, Parameter, predicted
from .geometry import Geometry

__all__ = ["Bundle", "Determined", "adjust_bundle", "determine"]

Array = NDArray[np.float64]

_HALF = 0.5  # share of a number that must lie in what data determine
_STEPS, _HALVINGS = 40, 12
_SETTLED = 1e-8  # of the usual size of errors


@dataclass(frozen=True, eq=False)
class Bundle:
    """What was fitted.

    Parameters
    ----------
    values, errors : ndarray, shape (views, 9), float64
        Errors of the views and their standard errors, infinite where landmarks do not determine them and where they were
        not asked for.
    points_mm : ndarray, shape (n, 3), float64
        The landmarks [mm], NaN for those that fewer than two views see.
    before_px, after_px : float
        Root mean square residual along rows and columns [pixels].
    rank : int
        How many combinations of errors the landmarks determine.
    """

    values: Array
    errors: Array
    points_mm: Array
    before_px: float
    after_px: float
    rank: int


@dataclass(frozen=True, eq=False)
class Determined:
    """The part of a linear problem that its data determine.

    Parameters
    ----------
    solution : ndarray, shape (n,), float64
        Least squares, of least norm.
    errors : ndarray, shape (n,), float64
        Standard errors, infinite for unknowns of which data determine less than half.
    rank : int
        How many combinations they determine.
    """

    solution: Array
    errors: Array
    rank: int


def determine(matrix: Array, right: Array) -> Determined:
    """Solve a linear problem where its data say more than was known before.

    Parameters
    ----------
    matrix : ndarray, shape (m, n), float64
        In units of the data's standard error and of the unknowns' usual size, so that a singular value under 1 belongs to
        a combination that the data determine worse than that.
    right : ndarray, shape (m,), float64
        What the matrix times the solution should be.

    Examples
    --------
    >>> found = determine(np.diag([10.0, 0.1]), np.array([5.0, 5.0]))
    >>> found.solution.tolist(), found.errors.tolist(), found.rank
    ([0.5, 0.0], [0.1, inf], 1)
    """
    left, singular, unknowns = np.linalg.svd(matrix, full_matrices=False)
    kept = singular > 1
    basis = unknowns[kept]
    solution = basis.T @ (left.T[kept] @ right / singular[kept])
    known = (basis**2).sum(axis=0)
    # What of an unknown lies in combinations that are left alone stays as uncertain as it was.
    errors = np.sqrt((basis**2 / singular[kept, None] ** 2).sum(axis=0) + np.maximum(1 - known, 0))
    errors[known < _HALF] = np.inf
    return Determined(np.asarray(solution), np.asarray(errors), int(kept.sum()))


def adjust_bundle(
    geometry: Geometry, seen: Sequence[Array], chosen: Sequence[Parameter], points_mm: Array, error_px: float
) -> Bundle:
    """Return errors of the views but the first, and landmarks, that fit best.

    Parameters
    ----------
    geometry : Geometry
        Two or more views.
    seen : sequence of ndarray, shape (n, 2), float64
        Row and column of each landmark in each view [pixels], NaN where it is not seen; each in two views or none.
    chosen : sequence of Parameter
        What may be wrong with a view.
    points_mm : ndarray, shape (n, 3), float64
        Where the search starts [mm].
    error_px : float
        Standard error of a landmark's place [pixels].

    Raises
    ------
    InputError
        If landmarks meet where a view sees nothing.
    """
    observed = _Observed(geometry, seen, chosen, error_px)
    values, points = np.zeros((len(geometry.views), len(PARAMETERS))), points_mm.copy()
    residual = observed.residual(values, points)
    first = residual
    if not np.isfinite(residual).all():
        raise InputError("landmarks meet behind a focal spot; number them alike in all views, or correct the geometry.")
    for _ in range(_STEPS):
        step, shifts = observed.step(values, points)
        share = 1.0
        for _ in range(_HALVINGS):
            tried = values + share * observed.spread(step.solution), points + share * shifts
            found = observed.residual(*tried)
            if np.isfinite(found).all() and (found**2).sum() <= (residual**2).sum() * (1 + 1e-12):
                break
            share /= 2
        else:
            break
        (values, points), residual = tried, found
        if np.abs(share * step.solution).max() < _SETTLED:
            break
    last, _ = observed.step(values, points)
    excess = float((residual**2).sum()) / max(observed.conditions - last.rank, 1)
    errors = np.full(values.shape, np.inf)
    for place, (view, one) in enumerate(observed.unknowns):
        errors[view, one.index] = last.errors[place] * one.usual * max(1.0, excess) ** 0.5
    before, after = (float(np.sqrt(np.mean(part**2))) * error_px for part in (first, residual))
    return Bundle(values, errors, points, before, after, last.rank)


class _Observed:
    """Where landmarks were seen, in units of the error of seeing them."""

    def __init__(self, geometry: Geometry, seen: Sequence[Array], chosen: Sequence[Parameter], error_px: float) -> None:
        self._geometry, self._error = geometry, error_px
        there = np.isfinite(np.stack(seen)).all(axis=2)
        self._view, self._landmark = np.nonzero(there)
        self._seen = np.stack(seen)[there]
        self._groups = [np.flatnonzero(self._landmark == one) for one in np.unique(self._landmark)]
        self.unknowns = [(view, one) for view in range(1, len(geometry.views)) for one in chosen]
        self.conditions = 2 * len(self._view) - 3 * len(self._groups)

    def residual(self, values: Array, points: Array) -> Array:
        return self._linear(values, points)[0]

    def spread(self, solution: Array) -> Array:
        """Return the nine values of each view from unknowns in units of their usual size."""
        values = np.zeros((len(self._geometry.views), len(PARAMETERS)))
        for part, (view, one) in zip(solution, self.unknowns, strict=True):
            values[view, one.index] = part * one.usual
        return values

    def step(self, values: Array, points: Array) -> tuple[Determined, Array]:
        """Return the Gauss-Newton step of the errors, and of the landmarks.

        Landmarks are eliminated: what is orthogonal to a landmark's derivatives does not depend on it.
        """
        residual, by_point, by_fault = self._linear(values, points)
        rows, right, inverses = [], [], []
        for group in self._groups:
            derivative = by_point[group].reshape(-1, 3)
            whole, triangle = np.linalg.qr(derivative, mode="complete")
            rows.append(whole[:, 3:].T @ by_fault[group].reshape(-1, len(self.unknowns)))
            right.append(whole[:, 3:].T @ residual[group].ravel())
            inverses.append(np.linalg.solve(triangle[:3], whole[:, :3].T))
        found = determine(np.concatenate(rows), -np.concatenate(right))
        shifts = np.zeros_like(points)
        for group, inverse in zip(self._groups, inverses, strict=True):
            rest = residual[group] + by_fault[group] @ found.solution
            shifts[self._landmark[group[0]]] = -inverse @ rest.ravel()
        return found, shifts

    def _linear(self, values: Array, points: Array) -> tuple[Array, Array, Array]:
        """Return residuals (m, 2), their derivatives by points (m, 2, 3) and by the unknowns (m, 2, n)."""
        count = len(self._view)
        residual, by_point = np.empty((count, 2)), np.empty((count, 2, 3))
        by_fault = np.zeros((count, 2, len(self.unknowns)))
        pivot = self._geometry.grid.center_mm
        for number, view in enumerate(self._geometry.views):
            own = self._view == number
            pixels, by_point[own], by_values = predicted(view, pivot, values[number], points[self._landmark[own]])
            residual[own] = pixels - self._seen[own]
            for place, (other, one) in enumerate(self.unknowns):
                if other == number:
                    by_fault[own, :, place] = by_values[:, :, one.index] * one.usual
        return residual / self._error, by_point / self._error, by_fault / self._error
