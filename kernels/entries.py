"""Files of compiled code, one for each kernel and signature, that tell whether they are whole and still right."""

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

from numba.core.serialize import dumps

from .files import atomic_write

__all__ = ["Entries"]

_DIGEST = hashlib.sha256().digest_size


class Entries:
    """What is kept of one function.

    A file begins with a digest of all that makes it right: the sources it was compiled from, the types of its arguments,
    the processor, and the code itself. Processes that write at the same time therefore never mix up what they compiled,
    and a file that was cut short is as good as none.

    Parameters
    ----------
    folder : path
        Where the files lie; it need not exist to look for one.
    base : str
        What their names begin with.
    stamp : str
        Digest of the sources, in hexadecimal.
    """

    def __init__(self, folder: str | os.PathLike[str], base: str, stamp: str) -> None:
        self._folder, self._base, self._stamp = Path(folder), base, stamp

    def load(self, key: tuple[Any, ...]) -> Any:
        """Return what was kept under a key; None if there is nothing, or it is damaged."""
        try:
            content = self._file(key).read_bytes()
        except OSError:
            return None
        payload = content[_DIGEST:]
        # Nothing is unpickled, let alone run, before it is known to be whole.
        return pickle.loads(payload) if content[:_DIGEST] == self._digest(key, payload) else None

    def save(self, key: tuple[Any, ...], data: Any) -> None:
        """Keep `data` in place of what older sources gave.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        payload = dumps(data)  # type: ignore[no-untyped-call]
        with atomic_write(self._file(key)) as file:
            file.write(self._digest(key, payload) + payload)
        self._clear(keep=self._prefix())

    def flush(self) -> None:
        """Forget everything."""
        self._clear()

    def _clear(self, keep: str | None = None) -> None:
        for file in self._folder.glob(f"{self._base}.*"):
            if keep is None or not file.name.startswith(keep):
                file.unlink(missing_ok=True)

    def _prefix(self) -> str:
        return f"{self._base}.{self._stamp[:16]}."

    def _file(self, key: tuple[Any, ...]) -> Path:
        return self._folder / f"{self._prefix()}{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"

    def _digest(self, key: tuple[Any, ...], payload: bytes) -> bytes:
        return hashlib.sha256(f"{self._stamp}\n{key!r}\n".encode() + payload).digest()
