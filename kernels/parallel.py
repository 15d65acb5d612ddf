"""Frames side by side: plain threads over kernels that release the interpreter's lock."""

from _thread import LockType, allocate_lock, start_new_thread
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Generic, TypeVar

from .errors import UsageError

__all__ = ["checked", "over"]

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
    work = list(items)
    workers = min(checked(threads), len(work))
    if workers <= 1:
        return [function(item) for item in work]
    return _Shared(function, work).finished(workers)


def checked(threads: int) -> int:
    """Return a number of threads.

    Raises
    ------
    UsageError
        If it is no whole number from 1 on.

    Examples
    --------
    >>> checked(2)
    2
    """
    if not isinstance(threads, Integral) or threads < 1:
        raise UsageError(f"threads is {threads}; use 1 or more.")
    return int(threads)


class _Shared(Generic[Item, Outcome]):
    """Items that threads take one by one, the thread that asked for them among the others."""

    def __init__(self, function: Callable[[Item], Outcome], work: Sequence[Item]) -> None:
        self._function, self._work = function, work
        self._outcomes: dict[int, Outcome] = {}
        self._failures: dict[int, BaseException] = {}
        self._places = iter(range(len(work)))  # next() of it is never in two threads at once

    def finished(self, workers: int) -> list[Outcome]:
        """Return all outcomes, or raise what the first item that failed did."""
        # Not Thread.start(), which waits until the new thread runs: that takes longer than a small frame.
        helping = [allocate_lock() for _ in range(workers - 1)]
        try:
            for lock in helping:
                start_new_thread(self._help, (lock,))
            self._take()
            for lock in helping:
                # Free if the thread is done; so it is if the thread has not begun, which then finds nothing to do.
                with lock:
                    pass
        finally:
            # Where this thread is interrupted, or another one cannot start, nobody goes on for a caller that has left.
            deque(self._places, maxlen=0)
        if self._failures:
            raise self._failures[min(self._failures)]
        return [self._outcomes[place] for place in range(len(self._work))]

    def _help(self, helping: LockType) -> None:
        with helping:
            self._take()

    def _take(self) -> None:
        for place in self._places:
            try:
                self._outcomes[place] = self._function(self._work[place])
            except BaseException as error:  # noqa: BLE001 - the thread that asked raises it, an interrupt included
                self._failures[place] = error
            # Not before an item: one that was taken is done, so that the first to fail is the same for any threads.
            if self._failures:
                return
