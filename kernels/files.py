"""Writing files so that a crash leaves the old file or the new one, never a part."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path: Path, *, replace: bool = True) -> Iterator[IO[bytes]]:
    """Open a binary file that appears as `path` only when the block ends well.

    Parameters
    ----------
    path : Path
        Final name; the temporary name is in the same folder, so that the rename cannot cross file systems.
    replace : bool
        False raises FileExistsError rather than replace a file, also when another process makes it meanwhile.

    Raises
    ------
    OSError
        If the file cannot be written; its ``filename`` is `path`, or the folder that cannot be made.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> with atomic_write(folder / "a.txt") as file:
    ...     _ = file.write(b"whole")
    >>> (folder / "a.txt").read_bytes()
    b'whole'
    """
    if not path.name:  # "." and "/", or no name at all
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:64]}.{uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            _rename_new(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and str(error.filename or temporary) == str(temporary):
            error.filename = str(path)  # the name that people gave
        raise
    _sync_folder(path.parent)


def _rename_new(temporary: Path, path: Path) -> None:
    """Rename a file to a name that must be free."""
    if os.name != "posix":
        temporary.rename(path)  # refuses a name that is taken
        return
    try:
        path.hardlink_to(temporary)  # the only rename of POSIX that refuses, but not every file system has links
    except FileExistsError:
        raise
    except OSError:
        if path.exists():
            raise FileExistsError(path) from None
        temporary.rename(path)
    else:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; only POSIX lets a folder be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
