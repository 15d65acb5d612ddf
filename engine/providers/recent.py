"""What was made for the shapes that came last."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Recent"]

Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")


@dataclass(slots=True, eq=False)
class _Slot(Generic[Thing]):
    """Where a thing goes, and who makes it."""

    made: list[Thing] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Recent(Generic[Key, Thing]):
    """Things that take long to make, one for each key; the least recently used make room for others.

    Parameters
    ----------
    most : int
        How many are kept.
    leaving : callable
        Returns the context in which things are let go, such as that of the device whose memory they give back.

    Examples
    --------
    >>> squares = Recent(2)
    >>> [squares.get(n, lambda n=n: n * n) for n in (2, 3, 2, 4)]
    [4, 9, 4, 16]
    >>> squares.get(2, lambda: "made again"), squares.get(3, lambda: "made again")
    (4, 'made again')
    """

    def __init__(self, most: int, leaving: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        self._most = most
        self._leaving = leaving
        self._slots: OrderedDict[Key, _Slot[Thing]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Thing]) -> Thing:
        """Return the thing of a key; who comes while it is made waits for it, callers with other keys do not."""
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            gone = [self._slots.popitem(last=False) for _ in range(len(self._slots) - self._most)]
        self._let_go(gone)
        with slot.lock:
            if not slot.made:
                slot.made.append(make())
            return slot.made[0]

    def clear(self) -> None:
        """Let all of them go."""
        with self._lock:
            gone = list(self._slots.items())
            self._slots.clear()
        self._let_go(gone)

    def _let_go(self, gone: list[tuple[Key, _Slot[Thing]]]) -> None:
        if gone:
            with self._leaving():
                gone.clear()
