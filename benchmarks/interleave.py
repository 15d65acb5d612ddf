"""Compare functions fairly: in turns, so that whatever slows the machine slows all of them, and round by round."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "Estimate", "compare"]

RESAMPLES = 2000
# Longer calls fill the caches by themselves.
SETTLED_MS = 100.0


class Estimate(NamedTuple):
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Times of several functions that took turns.

    Parameters
    ----------
    times_ms : dict of str to ndarray, shape (rounds,), float64
        Wall time of each call [ms]; element i of every contestant belongs to the same round.

    Examples
    --------
    >>> import numpy as np
    >>> comparison = Comparison({"ours": np.array([1.0, 1.2, 1.1]), "theirs": np.array([2.0, 2.4, 2.2])})
    >>> comparison.percentile("ours", 50)
    1.1
    >>> comparison.ratio("theirs", "ours")
    Estimate(value=2.0, low=2.0, high=2.0)
    """

    times_ms: dict[str, NDArray[np.float64]]

    def percentile(self, name: str, percent: float) -> float:
        """Return a percentile of one contestant's times [ms]."""
        return float(np.percentile(self.times_ms[name], percent))

    def ratio(self, name: str, baseline: str) -> Estimate:
        """Return the median over rounds of `name` / `baseline` [1]."""
        return _median(self.times_ms[name] / self.times_ms[baseline])

    def difference_ms(self, name: str, baseline: str) -> Estimate:
        """Return the median over rounds of `name` - `baseline` [ms]."""
        return _median(self.times_ms[name] - self.times_ms[baseline])

    def document(self, baseline: str) -> dict[str, Any]:
        """Return all times with the name of what they are compared with, ready for JSON."""
        return {"baseline": baseline, "times_ms": {name: times.tolist() for name, times in self.times_ms.items()}}

    def summary(self, baseline: str) -> dict[str, Any]:
        """Return all figures against `baseline` as plain values, ready for JSON."""
        return {
            "baseline": baseline,
            "contestants": {
                name: {
                    "rounds": len(times),
                    "min_ms": self.percentile(name, 0),
                    "median_ms": self.percentile(name, 50),
                    "p99_ms": self.percentile(name, 99),
                    "ratio": list(self.ratio(name, baseline)),
                    "difference_ms": list(self.difference_ms(name, baseline)),
                }
                for name, times in self.times_ms.items()
            },
        }


def compare(
    contestants: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 3, *, settle: bool = False
) -> Comparison:
    """Return the times of functions called in turns.

    Each round calls every contestant once; the order rotates from round to round, so that none always finds the caches
    as the same other one left them.

    Parameters
    ----------
    contestants : mapping of str to callable
        Functions without arguments.
    rounds : int
        Timed calls of each.
    warmup : int
        Calls of each before, not timed.
    settle : bool
        Whether a call that is not timed goes before each timed one, unless it takes longer than 100 ms: the figures are then
        those of calls in a row, which find the caches as they left them, and not as a contestant did that works on more.

    Raises
    ------
    ValueError
        If there is nothing to compare or `rounds` is not positive.

    Examples
    --------
    >>> comparison = compare({"sum": lambda: sum(range(100)), "nothing": lambda: None}, rounds=20)
    >>> sorted(comparison.times_ms), len(comparison.times_ms["sum"])
    (['nothing', 'sum'], 20)
    """
    if len(contestants) < 2 or rounds < 1:
        raise ValueError(
            f"Cannot compare {len(contestants)} functions in {rounds} rounds; give two or more and a round."
        )
    names = list(contestants)
    for function in contestants.values():
        for _ in range(warmup):
            function()
    times_ms = {name: np.empty(rounds) for name in names}
    for index in range(rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            if settle and (index == 0 or times_ms[name][index - 1] < SETTLED_MS):
                contestants[name]()
            start = perf_counter_ns()
            contestants[name]()
            times_ms[name][index] = (perf_counter_ns() - start) / 1e6
    return Comparison(times_ms)


def _median(samples: NDArray[np.float64]) -> Estimate:
    """Return the median with its bootstrap interval; the fixed seed makes a report repeatable."""
    draws = np.random.default_rng(0).integers(len(samples), size=(RESAMPLES, len(samples)))
    low, high = np.percentile(np.median(samples[draws], axis=1), [2.5, 97.5])
    return Estimate(float(np.median(samples)), float(low), float(high))
