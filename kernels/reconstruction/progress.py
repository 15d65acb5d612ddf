"""What solvers tell while they run, and how they are stopped."""

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Step", "Watch"]


class Step(NamedTuple):
    """One step of a solver.

    Parameters
    ----------
    done, total : int
        Steps that were made, and at most will be.
    objective : float
        What the solver makes small; its unit is the solver's own.
    stage : str
        What it is busy with, for people.
    """

    done: int
    total: int
    objective: float
    stage: str


# Called after each step; if it returns True the solver stops and returns the best that it has, marked as interrupted.
Watch = Callable[[Step], bool | None]
