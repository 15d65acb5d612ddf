"""The three steps of every provider: check, prepare, run."""

import re
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..graph import CheckedGraph

Precision = Literal["fp32", "fp16", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
Tensor = NDArray[np.float32]
# Shapes whose buffers a lane keeps: a stack gives two, its full batches and the rest.
BINDINGS_KEPT = 4
Offer = tuple[Literal["cpu", "cuda"], Precision]


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how a graph shall run.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda`` or ``cuda:1``.
    precision : {"fp32", "bf16", "fp16"}
        Arithmetic inside the graph; tensors at its border are always float32.
    threads : int
        Threads of one run on a CPU.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    threads: int = 1

    def __post_init__(self) -> None:
        if not re.fullmatch(r"cpu|cuda(:[0-9]{1,2})?", self.device):
            raise UsageError(f"{self.device!r} is not a device; use cpu, cuda or cuda:1.")
        if self.precision not in PRECISIONS:
            raise UsageError(f"{self.precision!r} is not a precision; use {', '.join(PRECISIONS)}.")
        if self.threads < 1:
            raise UsageError(f"threads={self.threads} makes no sense; use 1 or more.")

    @property
    def kind(self) -> Literal["cpu", "cuda"]:
        """The device without its number."""
        return "cuda" if self.is_cuda else "cpu"

    @property
    def is_cuda(self) -> bool:
        """Whether the device is an NVIDIA GPU."""
        return self.device.startswith("cuda")

    @property
    def index(self) -> int:
        """Number of the GPU."""
        return int(self.device.partition(":")[2] or 0)


class Lane(Protocol):
    """One caller's private way through a prepared graph; not for two threads at once."""

    def run(self, tensor: Tensor) -> Tensor:
        """Return the graph's output, (n, 1, rows, columns); it is valid until this lane's next run."""
        ...


class Runnable(Protocol):
    """A graph prepared for one target; safe to share between threads."""

    def lane(self) -> Lane:
        """Return a new lane with buffers of its own."""
        ...


class Provider(Protocol):
    """A library that can run graphs.

    ``check`` comes first and costs little; ``prepare`` may take seconds; a lane's ``run`` is the hot path.
    """

    @property
    def name(self) -> str:
        """Name for the user."""
        ...

    @property
    def offers(self) -> "tuple[Offer, ...]":
        """Kinds of device and precisions that it has on some machine."""
        ...

    def version(self) -> str:
        """Return the library's version."""
        ...

    def check(self, target: Target) -> str:
        """Return why `target` cannot run here, or an empty string when it can."""
        ...

    def prepare(self, graph: CheckedGraph, target: Target) -> Runnable:
        """Compile a graph for `target`.

        Raises
        ------
        DeviceError
            If the target cannot run here, or the library silently chose another.
        ModelError
            If the library does not take the graph.
        """
        ...


def not_offered(provider: Provider, target: Target) -> str:
    """Return that no machine runs `target` with `provider`, or an empty string."""
    if (target.kind, target.precision) in provider.offers:
        return ""
    offers = " and ".join(f"{precision} on {kind}" for kind, precision in provider.offers)
    return f"{provider.name} has {offers}, not {target.precision} on {target.kind}"
