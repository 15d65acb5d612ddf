"""ONNX Runtime on NVIDIA GPUs: the CUDA and TensorRT execution providers, and lanes whose frames stay on the device.

A session of ONNX Runtime that records CUDA graphs runs on one stream, and what it recorded belongs to the thread that
recorded it. Each lane therefore has a session and a stream of its own: weights are small, and calls that overlap need
activations of their own in either case.

References
----------
* ONNX Runtime, "CUDA Execution Provider", ``enable_cuda_graph``.
* CUDA Runtime API, "Stream Management": ``cudaStreamBeginCapture`` and its modes.
"""

import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from itertools import count
from typing import Any

from .. import _native
from ..frame_operations import cuda_problem
from ..graph import CheckedGraph
from .base import Bindings, Lane, Target, Tensor, empty_output, require_image
from .device_lane import Buffers, DeviceLane
from .onnxruntime_module import onnxruntime_module
from .onnxruntime_sessions import CUDA, RECORDING, TENSORRT, DeviceErrors, Sessions, bind, run_options
from .onnxruntime_tensorrt import missing_tensorrt
from .tensorrt.cuda import missing_driver

__all__ = ["CudaEngine", "CudaGraph", "missing_gpu"]

# Threads that a session may have recorded graphs for; it keeps them, and a handle of cuBLAS and cuDNN, for its life.
_THREADS_KEPT = 16
# Streams are used again and never destroyed: a session may look at its stream for the last time when nobody else does.
_IDLE_QUEUES: defaultdict[int, deque[_native.DeviceQueue]] = defaultdict(deque)


def missing_gpu(backend: str) -> str:
    """Return why a backend cannot run here; without a driver no library need be imported, which takes long."""
    if reason := missing_driver():
        return reason
    if backend not in onnxruntime_module().get_available_providers():
        return f"this build of ONNX Runtime has no {backend}; install onnxruntime-gpu"
    return missing_tensorrt() if backend == TENSORRT else ""


class CudaGraph:
    """A graph on a GPU; threads may share it.

    Parameters
    ----------
    graph : CheckedGraph
        What runs; its own precision says in which arithmetic.
    backend : str
        ONNX Runtime's name of the execution provider.
    target : Target
        The GPU, and what TensorRT or the layout want to know.

    Raises
    ------
    DeviceError
        If the backend does not start, or gives the graph to another one.
    """

    def __init__(self, graph: CheckedGraph, backend: str, target: Target) -> None:
        self.graph = graph
        self._backend = backend
        self._target = target
        self._sessions = Sessions(graph, backend, target)
        if backend == CUDA:
            self._sessions.of(())

    def lane(self) -> Lane:
        """Return a lane; its first batch of each shape takes memory and records a CUDA graph.

        Where Photopeak's own CUDA code cannot run, since it was built without or for newer drivers, tensors come from the
        host; :func:`~photopeak.engine.frame_operations.cuda_problem` says so.
        """
        require_image(self.graph)
        if cuda_problem():
            return _HostLane(self)
        return DeviceLane(lambda: CudaEngine(self.graph, self._backend, self._target), _HostLane(self))

    def heads(self, tensor: Tensor) -> dict[str, Tensor]:
        """Return the graph's outputs; ONNX Runtime copies tensors to the GPU and back."""
        session, feeds = self.session(tensor.shape), {self.graph.input: tensor}
        outputs = self.run(tensor.shape, lambda: session.run(self.graph.outputs, feeds))
        return dict(zip(self.graph.outputs, outputs, strict=True))

    def session(self, shape: tuple[int, ...]) -> Any:
        """Return the session for tensors of this shape in host memory."""
        return self._sessions.of(shape)

    def run(self, shape: tuple[int, ...], work: Callable[[], Any]) -> Any:
        """Return what `work` on tensors of this shape gives, which may take memory of the GPU."""
        with RECORDING.absent(), DeviceErrors(f"{self.graph.name} failed on {self._target.device} at {shape}"):
            return work()


class _HostLane:
    """Tensors in host memory; ONNX Runtime copies inside of the run."""

    def __init__(self, graph: CudaGraph) -> None:
        self._graph = graph
        self._bindings = Bindings(self._bind)

    def run(self, tensor: Tensor) -> Tensor:
        session, binding, output = self._bindings.of(tensor)
        self._graph.run(tensor.shape, lambda: session.run_with_iobinding(binding))
        return output

    def _bind(self, tensor: Tensor) -> tuple[Any, Any, Tensor]:
        session, graph = self._graph.session(tensor.shape), self._graph.graph
        output = empty_output(tensor, graph.scale)
        buffers = Buffers(tensor.ctypes.data, output.ctypes.data, tensor.shape, output.shape)
        return session, bind(session, graph, "cpu", 0, buffers), output


class CudaEngine:
    """A graph on a stream of its own, recorded once for each pair of thread and shape; see :class:`Engine`."""

    def __init__(self, graph: CheckedGraph, backend: str, target: Target) -> None:
        self._graph = graph
        self._target = target
        idle = _IDLE_QUEUES[target.index]
        try:
            self.queue = idle.pop()
        except IndexError:
            self.queue = _native.DeviceQueue("cuda", target.index)
        weakref.finalize(self, idle.append, self.queue).atexit = False
        self._sessions = Sessions(graph, backend, target, self.queue.handle)
        self._ids = count(1)
        self._recorded = threading.local()
        self._threads = 0

    @property
    def worn(self) -> bool:
        """Whether so many threads came by that the session should give back what it keeps for them."""
        return self._threads > _THREADS_KEPT

    def bind(self, buffers: Buffers) -> Callable[[], None]:
        """Return what puts one run into the stream; the first of a thread warms up, records and runs."""
        session, number = self._sessions.of(buffers.input_shape), next(self._ids)
        binding = bind(session, self._graph, "cuda", self._target.index, buffers)
        options = run_options(number)
        where = f"{self._graph.name} failed on {self._target.device} at {buffers.input_shape}"

        def run() -> None:
            with DeviceErrors(where):
                if number in self._recorded_here():
                    session.run_with_iobinding(binding, options)
                    return
                with RECORDING.alone():
                    session.run_with_iobinding(binding, options)
                self._recorded_here().add(number)

        return run

    def close(self) -> None:
        """Let the sessions go."""
        self._sessions.close()

    def _recorded_here(self) -> set[int]:
        """Return the shapes that the calling thread recorded."""
        if not hasattr(self._recorded, "numbers"):
            self._recorded.numbers = set()
            self._threads += 1
        numbers: set[int] = self._recorded.numbers
        return numbers
