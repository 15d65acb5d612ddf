"""The providers ``tensorrt`` and ``tensorrt-rtx``."""

import hashlib
from collections import deque
from pathlib import Path

import numpy as np

from ...checked_graph import CheckedGraph
from ...errors import DeviceError
from ...golden import Shape
from ...precisions import Precision
from ...processors import available_processors
from ..base import Offer, Target, Tensor, not_offered, require_image
from ..recent import Recent
from . import store
from .build import BuildOptions, build
from .cuda import Device, device, missing_driver, missing_gpu
from .key import Need, Profile, this_platform
from .library import Library
from .runtime import Engine, Worker

__all__ = ["TensorRt", "driver_version", "need_of", "profile_of"]

# Frames of a run: more of them fill no GPU better, and every layer's output needs memory for all of them.
_MOST_FRAMES = 64
_MOST_PIXELS = 1 << 20
# Engines that a graph keeps, one for single frames of a matrix and one for stacks; the others are on disk.
_ENGINES_KEPT = 16
# Turing computes in no bfloat16.
_OLDEST_BFLOAT16 = 80


class TensorRt:
    """Run graphs with TensorRT or TensorRT-RTX.

    Parameters
    ----------
    library : Library
        Which of the two.
    """

    remark = ""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.name = library.name
        self.offers: tuple[Offer, ...] = tuple(("cuda", precision) for precision in library.precisions)

    def version(self) -> str:
        """Return the library's version."""
        return self.library.version()

    def check(self, target: Target) -> str:
        """Return why the target cannot run: the library, the driver, PyCUDA, or the GPU itself."""
        reason = not_offered(self, target) or missing_driver() or self.library.problem() or missing_gpu()
        if reason:
            return reason
        try:
            return self._problem_of(device(target.index).capability, target.precision)
        except DeviceError as error:
            return str(error).rstrip(".")

    def graph(self, target: Target) -> Precision:
        """Return the graph of the asked precision: the libraries compute in the types that a graph says."""
        return target.precision

    def prepare(self, graph: CheckedGraph, target: Target) -> "_Graph":
        """Find out what engines are needed here; they are built, or taken from the user's cache, when shapes come."""
        if reason := self.check(target):
            raise DeviceError(f"{graph.name} cannot run on {target.device} with {self.library.title}: {reason}.")
        return _Graph(graph, self.library, device(target.index))

    def _problem_of(self, capability: str, precision: Precision) -> str:
        known = self.library.capabilities
        if known and capability not in known:
            return f"the GPU is of kind {capability}; {self.library.title} runs on {', '.join(known)}"
        if precision == "bf16" and int(capability.removeprefix("SM")) < _OLDEST_BFLOAT16:
            return f"the GPU is of kind {capability}, which has no bf16"
        return ""


class _Graph:
    """A graph with the engines for the shapes that came so far."""

    def __init__(self, graph: CheckedGraph, library: Library, device: Device) -> None:
        self._graph, self._library, self._device = graph, library, device
        self.output = graph.output
        self._need = need_of(graph, library, device)
        self._engines: Recent[Shape, Engine] = Recent(_ENGINES_KEPT, device.active)
        self._idle: deque[Worker] = deque(maxlen=available_processors())

    def lane(self) -> "_Lane":
        require_image(self._graph)
        return _Lane(self, Worker(self._graph, self._device, self.engine_for))

    def heads(self, tensor: Tensor) -> dict[str, Tensor]:
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = Worker(self._graph, self._device, self.engine_for)
        found = self.run(worker, tensor)
        self._idle.append(worker)
        return {name: array.copy() for name, array in found.items()}

    def run(self, worker: Worker, tensor: Tensor) -> dict[str, Tensor]:
        """Run any number of frames, in as many parts as the engine needs."""
        most = self.engine_for(tensor.shape).most(tensor.shape)
        if len(tensor) <= most:
            return worker.run(tensor)
        parts = [
            {name: array.copy() for name, array in worker.run(tensor[first : first + most]).items()}
            for first in range(0, len(tensor), most)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def engine_for(self, shape: Shape) -> Engine:
        """Return the engine for tensors like this one; callers with another shape do not wait for its building."""
        n, _, rows, columns = shape
        return self._engines.get((rows, columns, min(n, 2)), lambda: self._engine(shape))

    def _engine(self, shape: Shape) -> Engine:
        """Take an engine from the user's cache, or build and keep it."""
        if found := store.find(self._need, (min(shape[0], 2), *shape[1:])):
            record, data = found
            return Engine(self._library, self._device, record.key, data, self._file(record.key.digest[:32], "jit"))
        key = self._need.key(profile_of(shape))
        with self._device.active():  # an engine that is measured on the GPU is measured on this one
            built = build(self._graph, key, self._library, BuildOptions(timing=self._timing()))
        store.keep(built)
        if built.timing and (file := self._file("layers", "timing")):
            store.write_blob(file, built.timing)
        return Engine(self._library, self._device, key, built.data, self._file(key.digest[:32], "jit"))

    def _timing(self) -> bytes:
        """Return what earlier builds measured of layers on this GPU."""
        file = self._file("layers", "timing")
        return store.read_blob(file) if file else b""

    def _file(self, stem: str, kind: str) -> Path | None:
        """Return where something is kept that is for this GPU, driver and library alone; None if nowhere."""
        folder = store.cache_folder()
        if store.unusable(folder):
            return None
        here = f"{self._device.name}/{driver_version()}/{self._library.name} {self._need.version}"
        return folder / f"{stem}.{hashlib.sha256(here.encode()).hexdigest()[:16]}.{kind}"


class _Lane:
    """A worker of a graph that gives one image."""

    def __init__(self, graph: _Graph, worker: Worker) -> None:
        self._graph, self._worker = graph, worker

    def run(self, tensor: Tensor) -> Tensor:
        return self._graph.run(self._worker, tensor)[self._graph.output]


def profile_of(shape: Shape) -> Profile:
    """Return what an engine for tensors like this one takes: a single frame, or up to as many as fill a GPU.

    Examples
    --------
    >>> str(profile_of((200, 1, 128, 128)))
    '128x128, batches of 1 to 64'
    """
    n, _, rows, columns = shape
    most = 1 if n == 1 else max(2, min(_MOST_FRAMES, _MOST_PIXELS // (rows * columns)))
    return Profile(rows=rows, columns=columns, least=1, best=most, most=most)


def need_of(graph: CheckedGraph, library: Library, device: Device) -> Need:
    """Return what engines of a graph must be for a device."""
    # A portable engine is finished on the GPU that runs it; another one holds what was measured on one GPU.
    gpu, driver = ("", "") if library.is_portable else (device.name, driver_version())
    return Need(
        bundle=graph.bundle,
        graph=hashlib.sha256(graph.data).hexdigest(),
        precision=graph.precision,
        library=library.name,
        version=library.version(),
        capability=device.capability,
        gpu=gpu,
        driver=driver,
        platform=this_platform(),
    )


def driver_version() -> str:
    """Return the version of the NVIDIA driver."""
    from ...machine import machine  # asks the providers for their versions, and so imports this module

    return machine().driver
