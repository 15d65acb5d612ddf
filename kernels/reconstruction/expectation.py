"""Maximum likelihood by expectation maximisation, with all views at once or with ordered subsets of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _native
from .data_terms import PoissonTerm
from .primal_dual import System, flatten, split

__all__ = ["Subset", "interleaved", "maximise_expectation"]

Flat = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Subset:
    """Some of the views, and what was measured in them."""

    system: System
    term: PoissonTerm


def interleaved(count: int, subsets: int) -> list[list[int]]:
    """Return which views form each subset: evenly spread, and in an order that keeps neighbours in time apart in angle.

    References
    ----------
    * Hudson and Larkin, Accelerated image reconstruction using ordered subsets of projection data, IEEE TMI 13 (1994).

    Examples
    --------
    >>> interleaved(8, 4)
    [[0, 4], [2, 6], [1, 5], [3, 7]]
    """
    bits = max(subsets - 1, 1).bit_length()
    order = sorted(range(subsets), key=lambda index: int(f"{index:0{bits}b}"[::-1], 2))
    return [list(range(first, count, subsets)) for first in order]


def maximise_expectation(
    subsets: Sequence[Subset],
    value: Flat,
    iterations: int,
    *,
    upper: float,
    threads: int,
    told: Callable[[int, float], bool],
) -> bool:
    """Improve a volume in place, and return whether it was interrupted.

    Parameters
    ----------
    subsets : sequence of Subset
        One is MLEM, several OSEM; each sees every voxel that is ever seen, or leaves it as it is.
    value : ndarray, shape (slices, rows, columns), float32
        Where to begin, above 0 where activity may be.
    iterations : int
        Passes through all subsets.
    upper : float
        Largest value allowed; infinity: none.
    threads : int
        How many to use.
    told : callable
        Called after each pass with the number of passes and the objective that it met: half the deviance of each subset before
        its own step. If it returns True this was the last pass.

    References
    ----------
    * Shepp and Vardi, Maximum likelihood reconstruction for emission tomography, IEEE TMI 1 (1982).
    """
    inverses = [_inverse(subset.system.sensitivity) for subset in subsets]
    for done in range(1, iterations + 1):
        objective = 0.0
        for subset, inverse in zip(subsets, inverses, strict=True):
            mean = flatten(subset.system.projector.forward(value))
            objective += subset.term.value(mean)
            ratio = np.zeros_like(mean)
            np.divide(subset.term.measured, mean, out=ratio, where=mean > 0)
            back = subset.system.projector.adjoint(split(ratio, subset.system.projector))
            _native.multiply_by(value, back, inverse, upper=upper, threads=threads)
        if told(done, objective):
            return True
    return False


def _inverse(sensitivity: Flat) -> Flat:
    inverse = np.zeros_like(sensitivity)
    np.divide(1, sensitivity, out=inverse, where=sensitivity > 0)
    return inverse
