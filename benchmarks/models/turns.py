"""Turn after turn: each contestant makes a few calls in a row, then the next; the order rotates from round to round.

After a turn comes a rest, until the contestant's threads, which wait in loops for more work, sleep: they would take processors
from the next one. A turn begins with a call that is not timed, which brings back the caches.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import Any, Protocol

import numpy as np

from .energy import EnergyMeter

__all__ = ["Asked", "Pace", "Turns", "take_turns"]

SETTLED_S = 0.1


class Asked(Protocol):
    """Something that answers requests, such as a process."""

    @property
    def rest_s(self) -> float:
        """How long its threads go on waiting in loops when an answer is there [s]."""
        ...

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to a request."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How long turns take.

    Parameters
    ----------
    measure_s : float
        Time for all turns of a case [s].
    turn_s : float
        Time that a turn's calls should fill [s].
    fewest, most : int
        Bounds of the number of rounds.
    most_calls : int
        Largest number of calls in a turn.
    """

    measure_s: float
    turn_s: float = 0.02
    fewest: int = 5
    most: int = 60
    most_calls: int = 50

    def calls(self, seconds: float) -> int:
        """Return the calls of a turn for calls of that length.

        Examples
        --------
        >>> Pace(measure_s=10).calls(0.005)
        4
        """
        return max(1, min(self.most_calls, int(self.turn_s / max(seconds, 1e-9))))

    def rounds(self, seconds: Sequence[float], rests_s: float = 0.0) -> int:
        """Return the rounds that fit into the time, for the lengths of everybody's calls and all rests of a round.

        Examples
        --------
        >>> Pace(measure_s=10).rounds([0.005, 0.2], rests_s=0.275)
        20
        """
        each = [rests_s, *((self.calls(one) + (one < SETTLED_S)) * one for one in seconds)]
        return max(self.fewest, min(self.most, int(self.measure_s / sum(each))))


@dataclass(slots=True)
class Turns:
    """Times of one contestant's call, turn by turn.

    Parameters
    ----------
    times_s : list of list of float
        Wall time of each call of each turn [s].
    joules : list of float
        Energy of each turn, all that the machine did meanwhile [J]; empty without counters.
    calls : list of int
        Calls of each turn, those that were not timed included.
    """

    times_s: list[list[float]] = field(default_factory=list)
    joules: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    @property
    def data_s(self) -> list[float]:
        """Wall time of each call in the order of the run [s]."""
        return [time for turn in self.times_s for time in turn]

    @property
    def joules_per_call(self) -> float | None:
        """Energy of a call, of the whole machine [J]; None without counters."""
        return sum(self.joules) / sum(self.calls) if self.joules and sum(self.calls) else None


def take_turns(
    askable: Mapping[tuple[str, str], Asked],
    pace: Pace,
    meter: EnergyMeter | None = None,
    wait: Callable[[float], None] = sleep,
) -> dict[tuple[str, str], Turns]:
    """Return the times of everybody.

    Parameters
    ----------
    askable : mapping of (str, str) to Asked
        Whom to ask, by contestant and call.
    pace : Pace
        How long.
    meter : EnergyMeter, optional
        What is read before and after each turn.
    wait : callable
        Sleeps for a number of seconds.
    """
    meter = meter or EnergyMeter()
    keys = list(askable)
    lengths = {}
    for key in keys:
        lengths[key] = _length(askable[key], key[1])
        wait(askable[key].rest_s)
    rounds = pace.rounds(list(lengths.values()), sum(one.rest_s for one in askable.values()))
    found = {key: Turns() for key in keys}
    for index in range(rounds):
        first = index % len(keys)
        for key in keys[first:] + keys[:first]:
            before = meter.read()
            answer = askable[key].ask(do="turn", call=key[1], calls=pace.calls(lengths[key]))
            joules = meter.joules(before, meter.read())
            wait(askable[key].rest_s)
            found[key].times_s.append([time / 1e9 for time in answer["times_ns"]])
            found[key].calls.append(answer["made"])
            if joules is not None:
                found[key].joules.append(joules)
    return found


def _length(asked: Asked, call: str) -> float:
    """Return the median length of a few calls [s], which warm up too."""
    return float(np.median(asked.ask(do="turn", call=call, calls=3)["times_ns"])) / 1e9
