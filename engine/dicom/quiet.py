"""Keeping pydicom's chatter away from callers, and its exceptions behind one class."""

import threading
import warnings
from os import PathLike
from textwrap import shorten

from ..errors import InputError, PhotopeakError

_LIBRARIES = r"(pydicom|pylibjpeg|openjpeg|rle|jpeg_ls|PIL)\b"
# What the codec written in Rust raises; no module offers the class.
_PANIC = "PanicException"


class _QuietReaders:
    """A warning filter shared by all threads that read at the same time.

    ``warnings.catch_warnings`` alone is not thread-safe: two overlapping blocks may restore each other's filters and leave
    the process silenced. So the first reader installs the filter and the last one takes it away.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._saved = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            if self._readers == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=_LIBRARIES)
            self._readers += 1

    def leave(self) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                self._saved.__exit__(None, None, None)


_quiet = _QuietReaders()


class quiet_libraries:
    """Ignore warnings that pydicom and the codecs raise inside the block.

    What they warn about (a value longer than its VR allows, padding after the pixels) is either harmless or checked by
    :mod:`photopeak.engine.dicom.guard`. Blocks may overlap in several threads.
    """

    def __enter__(self) -> None:
        _quiet.enter()

    def __exit__(self, *_: object) -> None:
        _quiet.leave()


class input_errors:
    """Turn whatever a broken file provokes inside the block into one InputError that names the file.

    Parameters
    ----------
    path : path
        The file.
    """

    __slots__ = ("_path",)

    def __init__(self, path: "str | PathLike[str]") -> None:
        self._path = path

    def __enter__(self) -> None:
        _quiet.enter()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        _quiet.leave()
        # What else is no Exception ends the process or a generator, whatever was being read.
        if error is None or not (isinstance(error, Exception) or type(error).__name__ == _PANIC):
            return
        if isinstance(error, InputError):
            if str(self._path) not in str(error):
                raise type(error)(f"{self._path}: {error}") from error.__cause__
        elif not isinstance(error, PhotopeakError):
            raise InputError(f"{self._path}: {_told(error)}") from error


def _told(error: BaseException) -> str:
    """Return what went wrong, and what to do; broken input provokes nearly every class, and a panic of the Rust codec is none."""
    if isinstance(error, RecursionError):
        return "sequences are nested too deeply; the file is damaged or hostile."
    if isinstance(error, MemoryError):
        return "not enough memory to read it; free some or give fewer files."
    if isinstance(error, OSError):
        return f"cannot be read ({shorten(error.strerror or str(error) or type(error).__name__, 160)})."
    told = str(error).removeprefix("Unable to decode as exceptions were raised by all available plugins:")
    reason = shorten(told or type(error).__name__, 160, placeholder=" ...").rstrip(".")
    return f"is damaged ({reason}); export it again from its source."
