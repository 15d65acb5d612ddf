"""The two libraries that build and run engines through one interface."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from ...errors import DeviceError, UsageError
from ...precisions import Precision

__all__ = ["LIBRARIES", "TENSORRT", "TENSORRT_RTX", "Library", "find_library"]


@dataclass(frozen=True)
class Library:
    """A library with TensorRT's interface.

    Parameters
    ----------
    name : str
        Name for the user, which is that of the provider.
    title : str
        Name in sentences.
    module : str
        What Python imports.
    install : str
        What pip installs.
    precisions : tuple of str
        Arithmetic of graphs that it takes.
    capabilities : tuple of str
        Kinds of GPUs that it builds for without having one; none where it measures on the GPU that is there.
    """

    name: str
    title: str
    module: str
    install: str
    precisions: tuple[Precision, ...]
    capabilities: tuple[str, ...]

    @property
    def is_portable(self) -> bool:
        """Whether engines are finished on the GPU that runs them, so that they are built without one."""
        return bool(self.capabilities)

    def problem(self) -> str:
        """Return why the library cannot be used, or an empty string."""
        return "" if find_spec(self.module) else f"{self.title} is not installed; run pip install {self.install}"

    def version(self) -> str:
        """Return the library's version.

        Raises
        ------
        DeviceError
            If it is not installed.
        """
        try:
            return version(self.install)
        except PackageNotFoundError as error:
            raise DeviceError(f"{self.problem()}.") from error

    def load(self) -> Any:
        """Import the library.

        Raises
        ------
        DeviceError
            If it is not installed, or its own libraries are missing.
        """
        if reason := self.problem():
            raise DeviceError(f"{reason}.")
        return _imported(self)


# Both take eight bits of activations only where zero is stored as 0, and read those of other graphs as if it were: the
# graphs of int8 are such, so that it is not offered.
_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
TENSORRT_RTX = Library(
    "tensorrt-rtx",
    "TensorRT-RTX",
    "tensorrt_rtx",
    "tensorrt-rtx",
    _PRECISIONS,
    ("SM75", "SM80", "SM86", "SM89", "SM120", "SM121"),
)
TENSORRT = Library("tensorrt", "TensorRT", "tensorrt", "tensorrt", _PRECISIONS, ())
LIBRARIES = (TENSORRT, TENSORRT_RTX)


def find_library(name: str) -> Library:
    """Return the library of that name.

    Raises
    ------
    UsageError
        If there is none.

    Examples
    --------
    >>> find_library("tensorrt-rtx").is_portable
    True
    """
    for library in LIBRARIES:
        if library.name == name:
            return library
    raise UsageError(f"there is no library {name!r}; use {' or '.join(library.name for library in LIBRARIES)}.")


@cache
def _imported(library: Library) -> Any:
    try:
        return import_module(library.module)
    except Exception as error:  # it loads libraries of its own, with errors of their own
        words = " ".join(str(error).split())[:300]
        raise DeviceError(f"{library.title} does not start ({words}); install {library.install} again.") from error
