"""Regularisation by the discrepancy principle: as much as leaves the deviance that noise alone would cause."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import exp, log
from typing import NamedTuple

import numpy as np

from .data_terms import DataTerm
from .primal_dual import Certificate, PrimalDual, System

__all__ = ["Ending", "MisfitWarning", "Progress", "converge", "converge_by_discrepancy", "first_regularisation"]

_CHECK_EVERY = 10  # steps
_FIRST_TRIAL, _TRIAL = 40, 20  # steps; the deviance settles long before the volume does
_JUDGED = 0.7  # relative gap above which the deviance has not settled yet
_CLOSE = 0.01  # of the logarithm of the discrepancy; its own scatter over 10^4 pixels is 0.014
_TRIALS = 12
_EXPECTED_SLOPE = 0.5  # of the logarithms of discrepancy and regularisation, until two trials tell
_SLOPES = 0.07, 1.5
_LARGEST_STEP = 1.0  # of the logarithm of the regularisation
_FARTHEST = 30.0  # from the first guess
_MISFIT = 1.1  # deviance over its expectation
_SOLVED = 0.5  # relative gap below which a misfit is the model's, not that of too few steps

Told = Callable[[int, Certificate], bool]


@dataclass(frozen=True)
class Ending:
    """After how many steps, and at which relative gap, to end."""

    limit: int
    tolerance: float


class Progress(NamedTuple):
    """Steps made by now, the last certificate, and whether the solver was interrupted."""

    done: int
    certificate: Certificate
    interrupted: bool


class MisfitWarning(UserWarning):
    """No volume explains the views to within their noise."""


def first_regularisation(system: System, term: DataTerm) -> float:
    """Return the size of what noise back-projects to, which total variation must outweigh [mm]."""
    views = len(system.projector.geometry.views)
    seen = system.inverse > 0
    weight = np.abs(term.measured[seen].astype(np.float64))
    variance = float(np.average(term.variance()[seen], weights=weight))
    return float(system.sensitivity.mean()) / float(np.sqrt(views * variance))


def converge(solver: PrimalDual, regularisation: float, ending: Ending, told: Told, *, done: int = 0) -> Progress:
    """Step until the gap is small or the limit is reached; tell of every tenth step, the first after `done`."""
    while True:
        for _ in range(min(_CHECK_EVERY, ending.limit - done) - 1):
            solver.step(regularisation)
            done += 1
        certificate = solver.checked_step(regularisation, rebalance=done > _CHECK_EVERY)
        done += 1
        interrupted = told(done, certificate)
        if interrupted or done >= ending.limit or certificate.relative_gap <= ending.tolerance:
            return Progress(done, certificate, interrupted)


def converge_by_discrepancy(
    solver: PrimalDual, first: float, ending: Ending, told: Callable[[int, Certificate, str], bool]
) -> float:
    """Choose the regularisation by short trials, each from where the one before ended, converge, and return it.

    Parameters
    ----------
    solver : PrimalDual
        At any iterate.
    first : float
        Where to begin the search [mm].
    ending : Ending
        Of trials and final steps together.
    told : callable
        Called with steps, certificate and what the solver is busy with; if it returns True the solver stops.

    References
    ----------
    * Morozov, On the solution of functional equations by the method of regularization, Soviet Math. Dokl. 7 (1966).
    * Bardsley and Goldes, Regularization parameter selection methods for ill-posed Poisson maximum likelihood estimation,
      Inverse Problems 25 (2009).
    """
    regularisation, done, trials = first, 0, list[tuple[float, float]]()
    while True:
        steps = _TRIAL if trials else _FIRST_TRIAL
        trial = Ending(min(ending.limit, done + steps), ending.tolerance)
        stage = f"regularisation {regularisation:.3g}"
        progress = converge(solver, regularisation, trial, partial(_staged, told, stage), done=done)
        done = progress.done
        if progress.certificate.relative_gap > _JUDGED and done < ending.limit and not progress.interrupted:
            continue
        trials.append((log(regularisation), log(max(progress.certificate.discrepancy, 1e-9))))
        following = _following(trials, log(first))
        if progress.interrupted or done >= ending.limit or following is None:
            break
        solver.change(exp(following) / regularisation)
        regularisation = exp(following)
    if not progress.interrupted and done < ending.limit:
        progress = converge(solver, regularisation, ending, partial(_staged, told, "solving"), done=done)
    found = progress.certificate
    if found.discrepancy > _MISFIT and found.relative_gap < _SOLVED:
        warnings.warn(
            f"no volume explains the views to within their noise: the deviance is {found.discrepancy:.2g} times what "
            "noise alone would cause; check the geometry and the model of the camera, or give regularisation.",
            MisfitWarning,
            stacklevel=4,
        )
    return regularisation


def _staged(told: Callable[[int, Certificate, str], bool], stage: str, done: int, certificate: Certificate) -> bool:
    return told(done, certificate, stage)


def _following(trials: list[tuple[float, float]], first: float) -> float | None:
    """Return the next logarithm of the regularisation; None when this one does, or none does better."""
    at, excess = trials[-1]
    if abs(excess) < _CLOSE or len(trials) == _TRIALS:
        return None
    slope = _EXPECTED_SLOPE
    if len(trials) > 1 and abs(at - trials[-2][0]) > 0.02:
        slope = float(np.clip((excess - trials[-2][1]) / (at - trials[-2][0]), *_SLOPES))
    following = at - float(np.clip(excess / slope, -_LARGEST_STEP, _LARGEST_STEP))
    following = float(np.clip(following, first - log(_FARTHEST), first + log(_FARTHEST)))
    return following if abs(following - at) > 1e-3 else None
