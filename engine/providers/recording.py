"""Who may use a GPU while a CUDA graph is being recorded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Recording"]


class Recording:
    """Lets many threads run, or one record.

    ONNX Runtime records in CUDA's global mode: memory that any other thread takes meanwhile spoils the recording. What
    was recorded once takes no memory and needs no leave. Who wants to record goes before those who want to run.

    References
    ----------
    * CUDA Runtime API, ``cudaThreadExchangeStreamCaptureMode``.

    Examples
    --------
    >>> recording = Recording()
    >>> with recording.absent(), recording.absent():
    ...     pass
    >>> with recording.alone():
    ...     pass
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._recording = 0  # one that does, and those who wait for it
        self._busy = False

    @contextmanager
    def absent(self) -> Iterator[None]:
        """Run while nobody records."""
        with self._changed:
            self._changed.wait_for(lambda: not self._recording)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Record while nobody else records or runs."""
        with self._changed:
            self._recording += 1
        try:
            with self._changed:
                self._changed.wait_for(lambda: not (self._busy or self._running))
                self._busy = True
            try:
                yield
            finally:
                with self._changed:
                    self._busy = False
        finally:
            with self._changed:
                self._recording -= 1
                self._changed.notify_all()
