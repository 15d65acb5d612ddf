"""The three steps of every provider: check, prepare, run."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, UsageError
from ..graph import CheckedGraph
from ..precisions import PRECISIONS, Precision

__all__ = [
    "LAYOUTS",
    "PRECISIONS",
    "Bindings",
    "Lane",
    "Layout",
    "Offer",
    "Precision",
    "Provider",
    "Runnable",
    "Target",
    "Tensor",
    "empty_output",
    "not_offered",
    "require_image",
]

Tensor = NDArray[np.float32]
Bound = TypeVar("Bound")
# Shapes whose buffers a lane keeps: a stack gives two, its full batches and the rest.
_BINDINGS_KEPT = 4
Layout = Literal["nchw", "nhwc"]
LAYOUTS: tuple[Layout, ...] = ("nchw", "nhwc")
Offer = tuple[Literal["cpu", "cuda"], Precision]


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how a graph shall run.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda`` or ``cuda:1``.
    precision : {"fp32", "bf16", "fp16", "int8"}
        Arithmetic inside the graph; tensors at its border are always float32. ``int8`` is that of the layers that a bundle's
        quantised graph names, the others run in the fastest float that the device has.
    threads : int
        Threads of one run on a CPU.
    streams : int
        Requests in flight for one batch on a CPU, each of a single frame, among which the threads are shared.
    layout : {"nchw", "nhwc"}
        Order of the tensors inside the graph: channels before or after rows and columns; CUDA only.
    throughout : bool
        Whether ``bf16`` goes through the whole graph, or through all of an ``int8`` graph that is not quantised: the image
        itself and the sums around the network too. That is faster, and loses decibels where images have a wide range.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    threads: int = 1
    streams: int = 1
    layout: Layout = "nchw"
    throughout: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"cpu|cuda(:[0-9]{1,2})?", self.device):
            raise UsageError(f"{self.device!r} is not a device; use cpu, cuda or cuda:1.")
        if self.precision not in PRECISIONS:
            raise UsageError(f"{self.precision!r} is not a precision; use {', '.join(PRECISIONS)}.")
        if self.threads < 1:
            raise UsageError(f"threads={self.threads} makes no sense; use 1 or more.")
        if not 1 <= self.streams <= self.threads:
            raise UsageError(f"streams={self.streams} makes no sense; use 1 to {self.threads}, the number of threads.")
        if self.layout not in LAYOUTS:
            raise UsageError(f"{self.layout!r} is not a layout; use {' or '.join(LAYOUTS)}.")

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
        """Return a new lane with buffers of its own, for a graph that gives one image.

        Raises
        ------
        ModelError
            If the graph gives heads.
        """
        ...

    def heads(self, tensor: Tensor) -> dict[str, Tensor]:
        """Return every output of the graph by its name; from any thread, in memory of the caller's own.

        Parameters
        ----------
        tensor : ndarray, shape (n, channels, rows, columns), float32
            C-contiguous.
        """
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

    @property
    def remark(self) -> str:
        """What the reason of a plan says of it besides; empty for one that does as its target says."""
        ...

    def version(self) -> str:
        """Return the library's version."""
        ...

    def check(self, target: Target) -> str:
        """Return why `target` cannot run here, or an empty string when it can."""
        ...

    def graph(self, target: Target) -> Precision:
        """Return which of a bundle's graphs :meth:`prepare` wants for `target`; see ``check_graph``."""
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


class Bindings(Generic[Bound]):
    """What a lane has bound to the tensors it saw last, one for each shape.

    Parameters
    ----------
    bind : callable
        Takes a tensor and returns what runs on it, such as an inference request and its output buffer.
    """

    def __init__(self, bind: Callable[[Tensor], Bound]) -> None:
        self._bind = bind
        self._known: dict[tuple[int, ...], tuple[Tensor, Bound]] = {}

    def of(self, tensor: Tensor) -> Bound:
        """Return what is bound to this very array; a new binding is kept only once it was made without error."""
        known = self._known.get(tensor.shape)
        if known is None or known[0] is not tensor:
            known = tensor, self._bind(tensor)
            if len(self._known) >= _BINDINGS_KEPT:
                self._known.clear()
            self._known[tensor.shape] = known
        return known[1]


def require_image(graph: CheckedGraph) -> None:
    """Refuse a graph of heads, whose sizes a lane does not know."""
    if not graph.scale:
        raise ModelError(f"{graph.name} gives the heads {', '.join(graph.outputs)} and no image; run its heads.")


def empty_output(tensor: Tensor, scale: int) -> Tensor:
    """Return memory for the output of a graph with this scale."""
    n, channels, rows, columns = tensor.shape
    return np.empty((n, channels, scale * rows, scale * columns), np.float32)


def not_offered(
    provider: Provider,
    target: Target,
    *,
    streams: bool = False,
    nhwc: bool = False,
    bf16: bool = False,
) -> str:
    """Return that no machine runs `target` with `provider`, or an empty string.

    Parameters
    ----------
    provider : Provider
        Whose offers decide.
    target : Target
        What is asked for.
    streams, nhwc : bool
        Whether the provider knows how to keep several requests in flight, and the layout ``nhwc``, on the target's device.
    bf16 : bool
        Whether it can carry bfloat16 through the whole graph.
    """
    if (target.kind, target.precision) not in provider.offers:
        offers = " and ".join(f"{precision} on {kind}" for kind, precision in provider.offers)
        return f"{provider.name} has {offers}, not {target.precision} on {target.kind}"
    if target.streams > 1 and not streams:
        return f"{provider.name} runs one request at a time on {target.kind}"
    if target.layout != "nchw" and not nhwc:
        return f"{provider.name} has no layout {target.layout} on {target.kind}"
    if target.throughout and not (bf16 and target.precision in ("bf16", "int8")):
        return f"{provider.name} carries bf16 through no graph of {target.precision} on {target.kind}"
    return ""
