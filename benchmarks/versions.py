"""What is installed: a figure without it says nothing."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from .peers import PEERS

__all__ = ["versions"]

LIBRARIES = ("photopeak", "numpy", "onnxruntime-gpu", "onnxruntime", "openvino", "numba", "pydicom", "torch")


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python, of what is measured and of the peers that are there.

    Examples
    --------
    >>> "numpy" in versions()
    True
    """
    found = {"python": platform.python_version()}
    for library in dict.fromkeys((*LIBRARIES, *(peer.distribution for peer in PEERS))):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
