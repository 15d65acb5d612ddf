"""Keeping pydicom's chatter away from callers, and its exceptions behind one class."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from textwrap import shorten

from ..errors import InputError, PhotopeakError

_LIBRARIES = r"(pydicom|pylibjpeg|openjpeg|rle|jpeg_ls|PIL)\b"


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


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Ignore warnings that pydicom and the codecs raise inside the block.

    What they warn about (a value longer than its VR allows, padding after the pixels) is either harmless or checked by
    :mod:`photopeak.engine.dicom.guard`. Blocks may overlap in several threads.
    """
    _quiet.enter()
    try:
        yield
    finally:
        _quiet.leave()


@contextmanager
def input_errors(path: "str | PathLike[str]") -> Iterator[None]:
    """Turn whatever a broken file provokes inside the block into one InputError that names the file."""
    with quiet_libraries():
        try:
            yield
        except InputError as error:
            if str(path) in str(error):
                raise
            raise type(error)(f"{path}: {error}") from error.__cause__
        except PhotopeakError:
            raise
        except RecursionError as error:
            raise InputError(f"{path}: sequences are nested too deeply; the file is damaged or hostile.") from error
        except MemoryError as error:
            raise InputError(f"{path}: not enough memory to read it; free some or give fewer files.") from error
        except OSError as error:
            reason = shorten(error.strerror or str(error) or type(error).__name__, 160)
            raise InputError(f"{path}: cannot be read ({reason}).") from error
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # nearly every class on broken input; a panic of the Rust codec is no Exception
            told = str(error).removeprefix("Unable to decode as exceptions were raised by all available plugins:")
            reason = shorten(told or type(error).__name__, 160, placeholder=" ...").rstrip(".")
            raise InputError(f"{path}: is damaged ({reason}); export it again from its source.") from error
