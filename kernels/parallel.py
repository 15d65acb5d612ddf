"""Frames side by side: plain threads over kernels that release the interpreter's lock."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from typing import TypeVar

from .errors import UsageError

__all__ = ["over"]

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def over(function: Callable[[Item], Outcome], items: Iterable[Item], threads: int = 1) -> list[Outcome]:
    """Return what `function` gives for each item, in order.

    Each item is the work of one thread, so that results do not depend on how many there are, and a nested call with one
    thread never uses more than was asked for.

    Parameters
    ----------
    function : callable
        Called with one item; it must be safe to run beside itself.
    items : iterable
        The work.
    threads : int
        Most threads to use.

    Raises
    ------
    UsageError
        If `threads` is no whole number from 1 on.

    Examples
    --------
    >>> over(abs, [-1, 2, -3], threads=2)
    [1, 2, 3]
    """
    if not isinstance(threads, Integral) or threads < 1:
        raise UsageError(f"threads is {threads}; use 1 or more.")
    work = list(items)
    workers = min(threads, len(work))
    if workers <= 1:
        return [function(item) for item in work]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, work))
