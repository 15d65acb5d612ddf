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
_TRIAL_STEPS = 60
_TRIAL_GAP = 0.02  # relative; the deviance is then known to about as much as it scatters
_CLOSE = 0.015  # of the logarithm of the discrepancy; its own scatter over 10^4 pixels is 0.014
_TRIALS = 12
_EXPECTED_SLOPE = 0.6  # of the logarithms of discrepancy and regularisation, until two trials tell
_FARTHEST = 30.0  # from the first guess
_MISFIT = 1.1  # deviance over its expectation

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
        trial = Ending(min(ending.limit, done + _TRIAL_STEPS), _TRIAL_GAP)
        stage = f"regularisation {regularisation:.3g}"
        progress = converge(solver, regularisation, trial, partial(_staged, told, stage), done=done)
        done = progress.done
        if progress.interrupted or done >= ending.limit:
            return regularisation
        trials.append((log(regularisation), log(max(progress.certificate.discrepancy, 1e-9))))
        following = _following(trials, log(first))
        if following is None:
            break
        regularisation = exp(following)
        solver.free()
    progress = converge(solver, regularisation, ending, partial(_staged, told, "solving"), done=done)
    discrepancy = progress.certificate.discrepancy
    if discrepancy > _MISFIT:
        warnings.warn(
            f"no volume explains the views to within their noise: the deviance is {discrepancy:.2g} times what noise alone "
            "would cause; check the geometry and the model of the camera, or give regularisation.",
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
        slope = min(max((excess - trials[-2][1]) / (at - trials[-2][0]), 0.2), 1.5)
    following = at - min(max(excess / slope, -1.5), 1.5)
    reach = log(_FARTHEST)
    following = min(max(following, first - reach), first + reach)
    return following if abs(following - at) > 1e-3 else None
