"""The user's cache: where it lies, whether a folder of it may be used, and reading from it.

It holds machine code, engines and measurements. What another user may have put there is neither run nor believed.
"""

import os
import stat
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["cache_folder", "problem_of_folder", "read_plain"]


def cache_folder(part: str) -> Path:
    """Return the folder of one part of the user's cache; it need not exist.

    Parameters
    ----------
    part : str
        Name of the folder, such as ``kernels``; it lies in the folder that the environment variable
        ``PHOTOPEAK_CACHE_DIR`` names, else where the system keeps caches of this user.

    Examples
    --------
    >>> getfixture("monkeypatch").setenv("PHOTOPEAK_CACHE_DIR", "somewhere")
    >>> cache_folder("kernels").as_posix()
    'somewhere/kernels'
    """
    chosen = os.environ.get("PHOTOPEAK_CACHE_DIR")
    return (Path(chosen) if chosen else user_cache_path("photopeak", appauthor=False)) / part


def problem_of_folder(folder: Path) -> str:
    """Make a folder for this user alone if it is not there, and return why nothing can be kept in it; empty if it can.

    Parameters
    ----------
    folder : Path
        One that other users may write to is refused: they may have left something there.

    Examples
    --------
    >>> problem_of_folder(getfixture("tmp_path") / "kernels")
    ''
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
            return "others may write to it"
        return "" if os.access(folder, os.W_OK) else "it is read-only"
    except OSError as error:
        return str(error.strerror)


def read_plain(path: Path, largest: int, *, owned: bool = True) -> bytes:
    """Return the content of a plain file that is not too large.

    Parameters
    ----------
    path : Path
        A link is not followed, since it may lead out of the folder, and a pipe is not waited for.
    largest : int
        Size that is admitted [byte].
    owned : bool
        Whether to refuse what is neither this user's nor the administrator's, and what anybody may write to.

    Raises
    ------
    OSError
        If it is anything else, or cannot be read.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "file"
    >>> _ = path.write_bytes(b"whole")
    >>> read_plain(path, 5)
    b'whole'
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            raise OSError(f"no plain file of at most {largest} bytes")
        if owned and os.name == "posix" and (status.st_uid not in (os.getuid(), 0) or status.st_mode & stat.S_IWOTH):
            raise OSError("a file that somebody else may have written")
        return file.read(largest)
