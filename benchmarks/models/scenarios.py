"""Scenarios in the manner of MLPerf Inference, without its load generator and its name: SingleStream and Offline.

SingleStream sends one query of one sample after another, each a sample of the pool at random, and gives the 90th percentile of
the latency. It stops early: as soon as there are enough queries to state a value that the percentile does not exceed with a
confidence of 99 %, by the binomial distribution, and the least duration has passed. Offline hands over the whole pool at once and
gives samples per second.

References
----------
* V. J. Reddi et al., MLPerf Inference Benchmark, ISCA 2020, arXiv:1911.02549.
* MLCommons, MLPerf Inference Rules, scenarios and early stopping.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep

from ..bounds import queries_needed
from .turns import Asked, Turns

__all__ = ["StreamRules", "samples_per_second", "single_stream"]


@dataclass(frozen=True, slots=True)
class StreamRules:
    """When SingleStream ends.

    Parameters
    ----------
    percentile, confidence : float
        Of the statement [1].
    least_s, most_s : float
        Duration of each contestant's queries [s]; past the longer one it ends without a statement.
    slower : int
        Queries that may be above the bound at least: with one, a single accident does not decide.
    """

    percentile: float = 0.9
    confidence: float = 0.99
    least_s: float = 2.0
    most_s: float = 30.0
    slower: int = 1

    def done(self, queries: int, seconds: float) -> bool:
        """Return whether so many queries in that time are enough, or must be.

        Examples
        --------
        >>> rules = StreamRules(least_s=1, most_s=10)
        >>> rules.done(63, 5), rules.done(64, 5), rules.done(64, 0.5), rules.done(7, 11)
        (False, True, False, True)
        """
        if seconds >= self.most_s:
            return True
        return seconds >= self.least_s and queries >= queries_needed(self.slower, self.percentile, self.confidence)


def single_stream(
    askable: Mapping[tuple[str, str], Asked],
    rules: StreamRules,
    *,
    turn_s: float = 0.05,
    wait: Callable[[float], None] = sleep,
    clock: Callable[[], float] = monotonic,
) -> dict[tuple[str, str], Turns]:
    """Return the latencies of everybody; contestants take turns, so that all see the same machine.

    Parameters
    ----------
    askable : mapping of (str, str) to Asked
        Whom to ask, by contestant and call.
    rules : StreamRules
        When each is done.
    turn_s : float
        Time that a turn's queries should fill [s].
    wait, clock : callable
        Sleep for seconds, and tell the time in seconds.
    """
    found = {key: Turns() for key in askable}
    spent = dict.fromkeys(askable, 0.0)
    while waiting := [key for key in askable if not rules.done(len(found[key].data_s), spent[key])]:
        for key in waiting:
            turns = found[key]
            queries = max(1, int(turn_s * len(turns.data_s) / sum(turns.data_s))) if turns.times_s else 1
            start = clock()
            answer = askable[key].ask(do="turn", call=key[1], calls=queries)
            spent[key] += clock() - start
            wait(askable[key].rest_s)
            turns.times_s.append([time / 1e9 for time in answer["times_ns"]])
            turns.calls.append(answer["made"])
    return found


def samples_per_second(turns: Turns, samples: int) -> float:
    """Return the throughput over all that was timed [1/s].

    Examples
    --------
    >>> samples_per_second(Turns(times_s=[[0.5], [1.5]]), samples=100)
    100.0
    """
    times = turns.data_s
    return samples * len(times) / sum(times)
