"""Total variation under a data term and a box, by the primal-dual hybrid gradient method."""

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from .data_terms import DataTerm
from .projection import Projector

__all__ = ["Certificate", "PrimalDual", "System", "flatten", "split", "uniform_level"]

Flat = NDArray[np.float32]

_NEGLIGIBLE = 1e-6  # of the longest path through the volume: a ray that meets no voxel, but for rounding
_RELAXATION = 1.8  # above 1 the iterates go further than the step; convergence is proven below 2
_DECAY = 0.9  # of the freedom to rebalance step sizes; that it ends is what convergence asks for
_LARGEST_MOVE = 5.0  # of the balance at once
_NEAR = 0.1  # of the balance, from a given volume: dual iterates, which begin at 0, shall overtake it
_HEADROOM = 1.2  # over the largest voxel, for the gap where no box was given


@dataclass(frozen=True, eq=False)
class System:
    """A projector with its sums over rows and columns.

    Parameters
    ----------
    projector : Projector
        The model of the views.
    sensitivity : ndarray, shape (slices, rows, columns), float32
        What all pixels together see of one unit in a voxel [mm].
    inverse : ndarray, shape (pixels,), float32
        One over what a pixel sees of a volume of ones, 0 where it sees nothing [1/mm].
    weight : tuple of float
        The smallest distance between voxels over that along z, y and x.
    """

    projector: Projector
    sensitivity: Flat
    inverse: Flat
    weight: tuple[float, float, float]

    @classmethod
    def of(cls, projector: Projector) -> "System":
        """Return the system of a projector."""
        grid = projector.geometry.grid
        reach = flatten(projector.forward(np.ones(grid.shape, np.float32)))
        seen = reach > _NEGLIGIBLE * reach.max()
        inverse = np.zeros_like(reach)
        np.divide(1, reach, out=inverse, where=seen)
        ones = split(seen.astype(np.float32), projector)
        smallest = min(grid.spacing_mm)
        z, y, x = (smallest / spacing for spacing in grid.spacing_mm)
        return cls(projector, projector.adjoint(ones), inverse, (z, y, x))


@dataclass(frozen=True)
class Certificate:
    """How far an iterate is from the solution, at most.

    Parameters
    ----------
    objective : float
        Data term plus regularisation times total variation.
    gap : float
        How much less any volume of the box can reach, at most. Without a box, any volume whose largest voxel exceeds this
        one's by at most a fifth.
    deviance : float
        Twice the data term.
    expectation : float
        Twice what noise alone would make it.
    """

    objective: float
    gap: float
    deviance: float
    expectation: float

    @property
    def relative_gap(self) -> float:
        """The gap over the objective."""
        return self.gap / self.objective if self.objective > 0 else inf

    @property
    def discrepancy(self) -> float:
        """The deviance over its expectation."""
        return self.deviance / self.expectation if self.expectation > 0 else inf


class PrimalDual:
    """Iterates for ``min data(A x) + regularisation TV(x)`` over ``0 <= x <= upper``.

    The total variation is isotropic: the sum over voxels of the length of the vector of differences to the next voxels. Dual
    steps of the views are scaled by sums over rows of the projector, the primal step by the largest sum over columns, so that
    nothing needs to be known of its norm. The balance between primal and dual steps starts from the size of both and follows
    their moves, less and less.

    Parameters
    ----------
    system : System
        The projector.
    term : DataTerm
        What compares projections with measured views.
    start : ndarray, shape (slices, rows, columns), float32, or None
        Where to begin; None: uniform, with the sum of the views.
    upper : float
        Largest value allowed; infinity: none.
    threads : int
        How many to use. Results do not depend on it.

    References
    ----------
    * Chambolle and Pock, A first-order primal-dual algorithm for convex problems with applications to imaging, JMIV 40 (2011).
    * Pock and Chambolle, Diagonal preconditioning for first order primal-dual algorithms in convex optimization, ICCV (2011).
    * Condat, A primal-dual splitting method for convex optimization involving Lipschitzian, proximable and linear composite
      terms, JOTA 158 (2013): over-relaxation.
    * Goldstein, Li and Yuan, Adaptive primal-dual splitting methods for statistical learning and image processing, NIPS (2015).
    """

    def __init__(self, system: System, term: DataTerm, *, start: Flat | None, upper: float, threads: int) -> None:
        self._system, self._term, self._upper, self._threads = system, term, upper, threads
        self._largest = float(system.sensitivity.max())
        level = uniform_level(system, term)
        self.value = np.full(system.sensitivity.shape, min(level, upper), np.float32) if start is None else start.copy()
        self._leading = self.value.copy()
        self._flow = np.zeros((3, *self.value.shape), np.float32)
        self._dual = np.zeros(term.measured.size, np.float32)
        self._balance = _first_balance(system, term, level) * (1.0 if start is None else _NEAR)
        self._freedom = 0.5

    def step(self, regularisation: float) -> None:
        """Make one step of both iterates."""
        self._step(regularisation, _RELAXATION, moves=False)

    def checked_step(self, regularisation: float, *, rebalance: bool) -> Certificate:
        """Make one step without over-relaxation, which leaves iterates that are feasible, and judge them."""
        before = self._dual.copy()
        slope, primal, dual = self._step(regularisation, 1.0, moves=True)
        if rebalance:
            self._rebalance(primal, dual, before)
        mean = self._project(self.value)
        value = self._term.value(mean)
        variation, above = _native.measure_variation(
            self.value,
            self._flow,
            slope,
            weight=self._system.weight,
            threads=self._threads,
            device=self._system.projector.device,
        )
        height = self._upper if isfinite(self._upper) else _HEADROOM * float(self.value.max())
        objective = value + regularisation * variation
        gap = objective + self._term.conjugate(self._dual) + height * above
        return Certificate(objective, max(gap, 0.0), 2 * value, 2 * self._term.expectation(mean))

    def feasible(self) -> Flat:
        """Return the volume, inside the box also after a step with over-relaxation."""
        return np.minimum(np.maximum(self.value, np.float32(0)), np.float32(self._upper))

    def change(self, ratio: float) -> None:
        """Make ready for a regularisation that is so many times the one before, and let step sizes be balanced anew."""
        self._flow *= np.float32(ratio)  # where the volume is not flat its length is the regularisation
        self._freedom = max(self._freedom, 0.25)

    def _step(self, regularisation: float, relaxation: float, *, moves: bool) -> tuple[Flat, float, float]:
        mean = self._project(self._leading)
        sizes = self._step_sizes
        self._term.ascend(self._dual, mean, step=1 / self._balance, relaxation=relaxation, threads=self._threads)
        projector = self._system.projector
        slope = projector.adjoint(split(self._dual, projector))
        settings = _native.VariationSettings(
            weight=self._system.weight,
            ascent=sizes[0],
            descent=sizes[1],
            radius=regularisation,
            upper=self._upper,
            relaxation=relaxation,
        )
        primal, dual = _native.variation_step(
            self.value,
            self._leading,
            self._flow,
            slope,
            settings,
            moves=moves,
            threads=self._threads,
            device=projector.device,
        )
        return slope, primal, dual

    @property
    def _step_sizes(self) -> tuple[float, float]:
        """Of the dual iterate of the total variation, and of the volume.

        Differences are scaled so that their sums over columns, at most 6, are as large as those of the projector.
        """
        return self._largest / (12 * self._balance), self._balance / (2 * self._largest)

    def _rebalance(self, primal: float, dual: float, before: Flat) -> None:
        """Bring the moves of both iterates together, measured in the norm that the method contracts."""
        ascent, descent = self._step_sizes
        seen = self._system.inverse > 0
        change = (self._dual - before)[seen].astype(np.float64)
        views = float((change**2 / self._system.inverse[seen]).sum()) * self._balance
        up, down = views + dual / ascent, primal / descent
        if up > 0 and down > 0:
            ratio = min(max(sqrt(down / up), 1 / _LARGEST_MOVE), _LARGEST_MOVE)
            self._balance *= ratio**self._freedom
            self._freedom *= _DECAY

    def _project(self, volume: Flat) -> Flat:
        return flatten(self._system.projector.forward(volume))


def flatten(views: tuple[NDArray[np.float32], ...]) -> Flat:
    """Return the pixels of all views as one array."""
    return np.concatenate([view.ravel() for view in views])


def split(flat: Flat, projector: Projector) -> tuple[NDArray[np.float32], ...]:
    """Return the views that one array holds, without copying."""
    shapes: list[Any] = [view.shape for view in projector.geometry.views]
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    return tuple(part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True))


def uniform_level(system: System, term: DataTerm) -> float:
    """Return the uniform volume with the sum of the views."""
    seen = system.inverse > 0
    reach = float((1 / system.inverse[seen].astype(np.float64)).sum())
    return max(float(term.measured[seen].sum(dtype=np.float64)), 0.0) / reach


def _first_balance(system: System, term: DataTerm, level: float) -> float:
    """Return the ratio of the volume's size to the dual iterate's, in the norms of their step sizes."""
    seen = system.inverse > 0
    noise = float((1 / (system.inverse[seen].astype(np.float64) * term.variance()[seen])).sum())
    size = level * float(np.abs(term.measured[seen]).sum(dtype=np.float64))
    return 3 * sqrt(size / noise) if size > 0 else 1.0
