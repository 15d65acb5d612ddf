"""How much of the processors other programs used while something was measured."""

import os
from pathlib import Path
from time import perf_counter, process_time

__all__ = ["Bystanders"]

_STATISTICS = Path("/proc/stat")
# Fields of a line of /proc/stat: time spent idle or waiting for a disk. Guests are counted with their users already.
_IDLE = (3, 4)
_COUNTED = 8


class Bystanders:
    """Begins to watch when it is made.

    Examples
    --------
    >>> watch = Bystanders()
    >>> 0 <= watch.share() <= 1
    True

    References
    ----------
    * proc(5), section ``/proc/stat``.
    """

    def __init__(self) -> None:
        self._started = perf_counter()
        self._own = process_time()
        self._busy, _ = _busy_seconds()

    def share(self) -> float:
        """Return the share of our processors' time that went to others; 0 where the system does not tell."""
        busy, processors = _busy_seconds()
        available = (perf_counter() - self._started) * processors
        others = busy - self._busy - (process_time() - self._own)
        return min(1.0, max(0.0, others / available)) if available > 0 else 0.0


def _busy_seconds() -> tuple[float, int]:
    """Return how long the processors that we may use have worked since the system's start, and their number."""
    try:
        lines = _STATISTICS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0, 0
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = [
        sum(int(value) for place, value in enumerate(values[:_COUNTED]) if place not in _IDLE)
        for name, *values in map(str.split, lines)
        if name in ours
    ]
    return sum(ticks) / os.sysconf("SC_CLK_TCK"), len(ticks)
