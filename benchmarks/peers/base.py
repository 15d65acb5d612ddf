"""What a peer is, and how to hold its threads."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["Peer", "declare_torchvision", "limit_threads"]


@dataclass(frozen=True)
class Peer:
    """A library that measures one of our metrics.

    Parameters
    ----------
    name : str
        What the library is called.
    distribution : str
        What it is called on PyPI, which gives its version.
    metric : str
        Our name of what it measures.
    prepare : callable
        Called with what is to be measured and a floating-point type, it returns a function without arguments that measures
        it. Conversion to the library's own type of image is done beforehand, and so is reading parameters.
    note : str
        What was done to make it run, or how its definition differs.
    comparable : bool
        Whether it answers with a score of the same definition; if not, only its time is compared.
    """

    name: str
    distribution: str
    metric: str
    prepare: Callable[..., Callable[[], Any]]
    note: str = ""
    comparable: bool = True

    def check(self) -> str:
        """Return why the library cannot be used here; empty if it can."""
        try:
            self.version  # noqa: B018
        except PackageNotFoundError:
            return f"{self.distribution} is not installed"
        return ""

    @property
    def version(self) -> str:
        """The version that is installed."""
        return version(self.distribution)


def limit_threads(threads: int) -> None:
    """Hold the threads of those loaded libraries that keep a number of their own; the others follow the environment."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(threads)


def declare_torchvision() -> None:
    """Declare the operators that torchvision's binary would; it is linked with CUDA and does not load beside a CPU torch.

    None of the metrics calls them, but torchvision cannot be imported without.
    """
    import torch

    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
