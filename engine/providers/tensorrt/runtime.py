"""Running engines: deserialised once, with memory, streams and captured work for each lane."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...checked_graph import CheckedGraph
from ...errors import DeviceError
from ...golden import Shape
from ..base import Tensor
from .build import logger_of
from .cuda import Capture, Device, Pinned, Resources, cuda_errors
from .key import EngineKey
from .library import Library
from .store import read_blob, write_blob

__all__ = ["Engine", "Worker"]

_MESSAGES_KEPT = 32
# Shapes that a worker keeps memory for: a stack gives two, its full batches and the rest.
_SHAPES_KEPT = 4


class Engine:
    """A deserialised engine; contexts made from it run beside each other.

    Parameters
    ----------
    library : Library
        What built it.
    device : Device
        Where it runs.
    key : EngineKey
        What it is for.
    data : bytes
        The engine; whoever calls this has compared its digest with one that is trusted.
    jit : Path, optional
        Where kernels are kept that the library compiles for this GPU and driver; in a folder of this user alone.

    Raises
    ------
    DeviceError
        If the library does not take the engine here.
    """

    def __init__(self, library: Library, device: Device, key: EngineKey, data: bytes, jit: Path | None) -> None:
        self.key, self.device, self.library = key, device, library
        self._jit_file, self._jit_kept = jit, b""
        self._trt = library.load()
        self._messages: deque[str] = deque(maxlen=_MESSAGES_KEPT)
        with device.active():
            self._logger = logger_of(self._trt, _keeper(self._trt, self._messages))  # the library keeps no hold of it
            self._runtime = self._trt.Runtime(self._logger)
            self._engine = self._runtime.deserialize_cuda_engine(data)
            if self._engine is None:
                raise DeviceError(f"{library.title} does not take the engine on {device.name} ({self.reason()}).")
            self._config = self._configured() if library.is_portable else None

    def context(self) -> Any:
        """Return a new execution context."""
        context = self._engine.create_execution_context(self._config or _strategy(self._trt))
        if context is None:
            raise DeviceError(f"{self.library.title} makes no execution context ({self.reason()}).")
        return context

    def most(self, shape: Shape) -> int:
        """Return the largest part of a stack of such frames that runs at once."""
        return self.key.profiles[self.key.profile_for((min(shape[0], 2), *shape[1:]))].most

    def reason(self) -> str:
        """Return what the library complained of last."""
        return " ".join(self._messages[-1].split())[:300] if self._messages else "no reason given"

    def keep_compiled(self) -> None:
        """Keep the kernels that were compiled for this GPU, so that the next process need not compile them."""
        if self._config is None or self._jit_file is None:
            return
        kernels = bytes(self._config.get_runtime_cache().serialize() or b"")
        if kernels != self._jit_kept:
            write_blob(self._jit_file, kernels)
            self._jit_kept = kernels

    def _configured(self) -> Any:
        """Return how a portable engine is finished here: compiled at once, its work captured, its kernels kept."""
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(_strategy(self._trt))
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        config.dynamic_shapes_kernel_specialization_strategy = self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
        cache = config.create_runtime_cache()
        self._jit_kept = read_blob(self._jit_file) if self._jit_file else b""
        if self._jit_kept:
            cache.deserialize(self._jit_kept)  # the library refuses what another GPU or driver compiled
        config.set_runtime_cache(cache)
        return config


@dataclass(slots=True, eq=False)
class _Bound:
    """Memory for tensors of one shape, and what runs on it."""

    source: Pinned
    outputs: dict[str, Pinned]
    launch: Callable[[], None]


class Worker:
    """One caller's way through a graph; not for two threads at once.

    Parameters
    ----------
    graph : CheckedGraph
        What runs.
    device : Device
        Where.
    engine_for : callable
        Gives the engine for the shape of a tensor; may take minutes when it has to build one.
    """

    def __init__(self, graph: CheckedGraph, device: Device, engine_for: Callable[[Shape], Engine]) -> None:
        self._graph, self._device, self._engine_for = graph, device, engine_for
        self._resources = Resources(self, device)
        self._bound: dict[Shape, _Bound] = self._resources.hold({})
        self._stream: list[Any] = self._resources.hold([])

    def run(self, tensor: Tensor) -> dict[str, Tensor]:
        """Return every output by its name, in memory that is valid until the next run.

        Raises
        ------
        DeviceError
            If the device fails, with CUDA's reason.
        """
        what = f"{self._graph.name} failed on {self._device.name} at {tensor.shape}"
        with cuda_errors(what), self._device.active():
            bound = self._bound.get(tensor.shape) or self._bind(tensor.shape)
            np.copyto(bound.source.array, tensor)
            bound.launch()
            self._stream[0].synchronize()
            return {name: pinned.array for name, pinned in bound.outputs.items()}

    def _bind(self, shape: Shape) -> _Bound:
        """Return memory for a shape, with work that ran once and is captured; kept only when all went well."""
        engine = self._engine_for(shape)
        if not self._stream:
            self._stream.append(self._device.stream())
        if len(self._bound) >= _SHAPES_KEPT:
            self._bound.clear()
        stream = self._stream[0]
        bound = _bound(engine, self._graph, shape, stream)
        # Compiles and chooses kernels, which may not happen while work is being captured.
        bound.launch()
        stream.synchronize()
        engine.keep_compiled()
        if not engine.library.is_portable:  # a portable engine captures by itself
            capture, enqueue = Capture(stream, bound.launch), bound.launch
            bound.launch = _launcher(capture, stream, keep=enqueue)
        self._bound[shape] = bound
        return bound


def _keeper(trt: Any, messages: deque[str]) -> Callable[[int, str], None]:
    """Return what keeps errors; it holds no engine, which therefore goes where its last holder lets it go."""
    error = int(trt.ILogger.Severity.ERROR)

    def keep(severity: int, message: str) -> None:
        if severity <= error:
            messages.append(message)

    return keep


def _bound(engine: Engine, graph: CheckedGraph, shape: Shape, stream: Any) -> _Bound:
    """Allocate memory for one shape, and no more than it needs, and tie it to an execution context."""
    device, context = engine.device, engine.context()
    number = engine.key.profile_for(shape)
    if number > 0 and not context.set_optimization_profile_async(number, stream.handle):
        raise DeviceError(f"{graph.name}: {engine.library.title} has no profile for {shape} ({engine.reason()}).")
    if not context.set_input_shape(graph.input, shape):
        raise DeviceError(f"{graph.name}: {engine.library.title} does not take {shape} ({engine.reason()}).")
    source = Pinned(shape)
    outputs = {name: Pinned(tuple(context.get_tensor_shape(name))) for name in graph.outputs}
    memory = {name: device.memory(pinned.array.nbytes) for name, pinned in {graph.input: source, **outputs}.items()}
    for name, where in memory.items():
        context.set_tensor_address(name, int(where))
    size = context.update_device_memory_size_for_shapes()
    workspace = device.memory(max(1, size))
    context.set_device_memory(int(workspace), size)

    def enqueue(workspace: Any = workspace) -> None:  # which must live as long as the work
        device.upload(memory[graph.input], source, stream)
        if not context.execute_async_v3(stream.handle):
            raise DeviceError(f"{graph.name}: {engine.library.title} does not run {shape} ({engine.reason()}).")
        for name, pinned in outputs.items():
            device.download(pinned, memory[name], stream)

    return _Bound(source, outputs, enqueue)


def _strategy(trt: Any) -> Any:
    """Return that we allocate: a context would take memory for the largest batch of all its profiles."""
    return trt.ExecutionContextAllocationStrategy.USER_MANAGED


def _launcher(capture: Capture, stream: Any, keep: Callable[[], None]) -> Callable[[], None]:
    """Return what launches captured work; `keep` holds the memory that the work uses."""

    def launch(keep: Callable[[], None] = keep) -> None:
        capture.launch(stream)

    return launch
