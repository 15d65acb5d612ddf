"""How much of the processors others took while we measured: a figure from a busy machine says little."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ProcessorTime", "others_share", "processor_time"]


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Processor time up to a moment.

    Parameters
    ----------
    elapsed_s : float
        Of all processors together, whatever they did [s].
    idle_s : float
        What of it nobody used [s].
    own_s : float
        What of it our processes used [s].
    """

    elapsed_s: float
    idle_s: float
    own_s: float


def processor_time(processes: Iterable[int]) -> ProcessorTime:
    """Return the processor time of the machine and of some processes, this one included.

    Parameters
    ----------
    processes : iterable of int
        Their numbers.
    """
    import psutil

    machine = psutil.cpu_times()._asdict()
    # Linux counts guests in user time too.
    elapsed = sum(seconds for name, seconds in machine.items() if not name.startswith("guest"))
    own = 0.0
    for one in [psutil.Process(), *map(psutil.Process, processes)]:
        times = one.cpu_times()
        own += times.user + times.system
    return ProcessorTime(elapsed, machine["idle"] + machine.get("iowait", 0.0), own)


def others_share(before: ProcessorTime, after: ProcessorTime) -> float:
    """Return the share of the processors' time that others used, stolen time of a virtual machine included [1].

    Examples
    --------
    >>> others_share(ProcessorTime(100, 50, 10), ProcessorTime(120, 58, 19))
    0.15
    """
    elapsed = after.elapsed_s - before.elapsed_s
    used = elapsed - (after.idle_s - before.idle_s) - (after.own_s - before.own_s)
    return min(1.0, max(0.0, used / elapsed)) if elapsed > 0 else 0.0
