"""Timing several ways to do one thing side by side, and giving up early those that are clearly slower.

Candidates take turns, so that a machine that slows down or speeds up does so for all of them. Each turn of a short call
begins with one that is not timed: another candidate has just filled the caches. What decides on giving up is the shortest
time, which noise only ever lengthens; what is reported is the median.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import median
from time import perf_counter

from .errors import PhotopeakError

__all__ = ["Runner", "race"]

# After so many short calls, what is slower by this factor than another of its class is given up. A long call varies less
# and counts for several.
_LADDER = ((2, 1.6), (4, 1.25), (8, 1.12), (12, 1.06), (18, 1.03))
# Between classes figures may be rough: what something better overtakes by this factor needs no more short calls than this.
_OVERTAKEN, _ENOUGH = 1.2, 20
_SHORT_MS = 20.0
_CALLS_OF_A_SHORT_TURN = 3
_ENOUGH_MS = 600.0
_FEWEST, _MOST = 24, 240
_SEED = 20261123


@dataclass(slots=True, eq=False)
class Runner:
    """One candidate of a race.

    Parameters
    ----------
    call : callable
        Does the thing once and returns the time of its inner part [ms].
    group : str
        Those of one class compete: all but the fastest are given up early.
    loss : float
        What it costs besides time; only one that costs no more may end the timing of another class.
    whole_ms, inner_ms : list of float
        Times of each call and of its inner part [ms].
    error : PhotopeakError, optional
        What ended its race.
    """

    call: Callable[[], float]
    group: str = ""
    loss: float = 0.0
    whole_ms: list[float] = field(default_factory=list)
    inner_ms: list[float] = field(default_factory=list)
    error: PhotopeakError | None = None

    def time(self, clock: Callable[[], float] = perf_counter) -> None:
        """Call once and note the times."""
        start = clock()
        inner = self.call()
        self.whole_ms.append(1e3 * (clock() - start))
        self.inner_ms.append(inner)

    @property
    def best_ms(self) -> float:
        """Shortest time [ms]."""
        return min(self.whole_ms)

    @property
    def median_ms(self) -> float:
        """Median time [ms]."""
        return median(self.whole_ms)

    @property
    def inner_median_ms(self) -> float:
        """Median time of the inner part [ms]."""
        return median(self.inner_ms)

    @property
    def p99_ms(self) -> float:
        """Time that 99 % of the calls did not exceed [ms]; the longest one of fewer than a hundred."""
        ordered = sorted(self.whole_ms)
        return ordered[-(-99 * len(ordered) // 100) - 1]


def race(
    runners: Sequence[Runner],
    *,
    budget_s: float,
    clock: Callable[[], float] = perf_counter,
    rest: Callable[[], None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Time runners in turns until each is known well enough, or given up, or the time is over.

    Parameters
    ----------
    runners : sequence of Runner
        Warmed up; their times are added to. One whose call raises a PhotopeakError leaves the race.
    budget_s : float
        Time after which no turn begins [s]; but each runner has at least one.
    clock : callable
        Returns seconds.
    rest : callable, optional
        Called after each turn: threads of one runner that wait in loops for more work shall sleep when the next begins.
    progress : callable, optional
        Called with the share of the budget that is used, after each turn.

    Examples
    --------
    >>> now = [0.0]
    >>> def takes(seconds):
    ...     def call():
    ...         now[0] += seconds
    ...         return 1e3 * seconds
    ...
    ...     return Runner(call)
    >>> quick, slow = takes(0.1), takes(0.2)
    >>> race([slow, quick], budget_s=10, clock=lambda: now[0])
    >>> round(quick.median_ms), len(slow.whole_ms) < len(quick.whole_ms)
    (100, True)
    """
    start, alive, order = clock(), list(runners), Random(_SEED)
    first = True
    while alive:
        order.shuffle(alive)
        for runner in alive:
            if not first and clock() - start > budget_s:
                return
            _turn(runner, clock)
            if rest:
                rest()
            if progress:
                progress(min(1.0, (clock() - start) / budget_s))
        first = False
        alive = [runner for runner in alive if _goes_on(runner, runners)]


def _turn(runner: Runner, clock: Callable[[], float]) -> None:
    try:
        if runner.whole_ms and runner.best_ms < _SHORT_MS:
            runner.call()
            for _ in range(_CALLS_OF_A_SHORT_TURN):
                runner.time(clock)
        else:
            runner.time(clock)
    except PhotopeakError as error:
        runner.error = error


def _goes_on(runner: Runner, runners: Sequence[Runner]) -> bool:
    """Return whether more calls would tell something about a runner."""
    calls = len(runner.whole_ms)
    if runner.error:
        return False
    if calls >= min(_MOST, max(_FEWEST, _ENOUGH_MS / max(runner.best_ms, 1e-6))):
        return False
    known = calls if runner.best_ms < _SHORT_MS else calls * _CALLS_OF_A_SHORT_TURN
    margins = [margin for after, margin in _LADDER if known >= after]
    sound = [one for one in runners if one.whole_ms and not one.error]
    rivals = [one.best_ms for one in sound if one.group == runner.group]
    if margins and runner.best_ms > margins[-1] * min(rivals):
        return False
    better = [one.best_ms for one in sound if one.loss <= runner.loss]
    return known < _ENOUGH or runner.best_ms <= _OVERTAKEN * min(better)
