"""ONNX Runtime on NVIDIA GPUs: the CUDA and TensorRT execution providers, and lanes whose frames stay on the device.

A session of ONNX Runtime that records CUDA graphs runs on one stream, and what it recorded belongs to the thread that
recorded it. Each lane therefore has a session and a stream of its own; models are small, their activations are not, and
those lie in the lane's memory in either case.

References
----------
* ONNX Runtime, "CUDA Execution Provider": ``user_compute_stream``, ``enable_cuda_graph``, ``gpu_graph_id``.
* ONNX Runtime, "TensorRT Execution Provider": ``trt_engine_cache_prefix``, ``trt_profile_min_shapes``.
* CUDA Runtime API, "Stream Management": ``cudaStreamBeginCapture`` and its modes.
"""

import ctypes
import re
import sys
import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from itertools import count
from typing import Any

import numpy as np

from .. import _native
from ..errors import DeviceError, UsageError
from ..frame_operations import cuda_problem
from ..graph import CheckedGraph
from .base import Bindings, Lane, Target, Tensor, empty_output, require_image
from .device_lane import Buffers, DeviceLane
from .onnxruntime_tensorrt import missing_tensorrt, tensorrt_options
from .recording import Recording

__all__ = [
    "CUDA",
    "TENSORRT",
    "CudaEngine",
    "CudaGraph",
    "DeviceErrors",
    "Sessions",
    "bind",
    "cuda_options",
    "cuda_reason",
    "missing_gpu",
    "run_options",
]

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_NVIDIA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_SILENT = 4  # fatal: what matters comes back as an exception
# Threads that a session may have recorded graphs for; it keeps them, and a handle of cuBLAS and cuDNN, for its life.
_THREADS_KEPT = 16
# Taken while any lane of the process records, or may take memory of a device.
_RECORDING = Recording()
# Streams are used again and never destroyed: a session may look at its stream for the last time when nobody else does.
_IDLE_QUEUES: defaultdict[int, deque[_native.DeviceQueue]] = defaultdict(deque)


def missing_gpu(backend: str) -> str:
    """Return why a backend cannot run here; asks for the driver, since a GPU build lists CUDA without one."""
    import onnxruntime

    if backend not in onnxruntime.get_available_providers():
        return f"this build of ONNX Runtime has no {backend}; install onnxruntime-gpu"
    try:
        ctypes.CDLL(_NVIDIA_DRIVER)
    except OSError:
        return f"there is no NVIDIA driver ({_NVIDIA_DRIVER} not found)"
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
        with _RECORDING.absent(), DeviceErrors(f"{self.graph.name} failed on {self._target.device} at {shape}"):
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
                with _RECORDING.alone():
                    session.run_with_iobinding(binding, options)
                self._recorded_here().add(number)

        return run

    def close(self) -> None:
        """Let the sessions go; that gives back memory of the device, which nobody may do while another records."""
        with _RECORDING.absent():
            self._sessions.close()

    def _recorded_here(self) -> set[int]:
        """Return the shapes that the calling thread recorded."""
        if not hasattr(self._recorded, "numbers"):
            self._recorded.numbers = set()
            self._threads += 1
        numbers: set[int] = self._recorded.numbers
        return numbers


class Sessions:
    """ONNX Runtime sessions of one graph: one for all shapes, or with TensorRT one for each.

    Parameters
    ----------
    graph, backend, target
        As for :class:`CudaGraph`.
    stream : int
        The CUDA stream that they run on and record graphs of; 0: a new one for each run, and nothing is recorded.
    """

    def __init__(self, graph: CheckedGraph, backend: str, target: Target, stream: int = 0) -> None:
        self._graph = graph
        self._backend = backend
        self._target = target
        self._stream = stream
        self._made: dict[tuple[int, ...], Any] = {}

    def of(self, shape: tuple[int, ...]) -> Any:
        """Return the session for tensors of this shape."""
        key = shape if self._backend == TENSORRT else ()
        session = self._made.get(key)
        # Two threads may both make one: the first to end wins, and the other's goes.
        return session if session is not None else self._made.setdefault(key, self._new(shape))

    def close(self) -> None:
        """Let all of them go."""
        self._made.clear()

    def _new(self, shape: tuple[int, ...]) -> Any:
        graph, backend = self._graph, self._backend
        if backend == TENSORRT:
            options = tensorrt_options(graph, self._target, shape, self._stream)
        else:
            options = cuda_options(self._target, self._stream)
        hint = "it may lack CUDA or cuDNN libraries (pip install 'onnxruntime-gpu[cuda,cudnn]')"
        with _RECORDING.alone(), DeviceErrors(f"{graph.name}: {backend} does not start", hint):
            session = _session(graph, self._target, backend, options)
        if session.get_providers()[0] != backend:
            raise DeviceError(
                f"{graph.name}: ONNX Runtime gave up {backend} for {session.get_providers()[0]}; "
                "check the NVIDIA driver and libraries with 'photopeak doctor', or ask for --device cpu."
            )
        return session


def _session(graph: CheckedGraph, target: Target, backend: str, backend_options: dict[str, str]) -> Any:
    """Return a session of one backend, without the fallback that ONNX Runtime would try by itself."""
    import onnxruntime

    # Finds CUDA and cuDNN among the installed packages; it prints what it misses on standard output.
    with redirect_stdout(StringIO()):
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = target.threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return onnxruntime.InferenceSession(
        graph.data, options, providers=[(backend, backend_options)], enable_fallback=0, read_config_from_model=0
    )


def cuda_options(target: Target, stream: int) -> dict[str, str]:
    """Return the options of the CUDA execution provider.

    Parameters
    ----------
    target : Target
        GPU and layout.
    stream : int
        CUDA stream of the caller, or 0.

    Examples
    --------
    >>> cuda_options(Target("cuda:1", layout="nhwc"), 0)["prefer_nhwc"]
    '1'
    """
    options = {
        "device_id": str(target.index),
        # TF32 has ten bits of mantissa; who asks for fp32 gets fp32.
        "use_tf32": "0",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        # Several sessions share a device: none takes twice the memory that it needs.
        "arena_extend_strategy": "kSameAsRequested",
        "prefer_nhwc": str(int(target.layout == "nhwc")),
    }
    return options | ({"user_compute_stream": str(stream), "enable_cuda_graph": "1"} if stream else {})


def run_options(number: int) -> Any:
    """Return the options of a run that records or replays the graph of this number and does not wait for its end."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    return options


def bind(session: Any, graph: CheckedGraph, device: str, index: int, buffers: Buffers) -> Any:
    """Return an I/O binding of a session to addresses in memory of a device, ``cpu`` or ``cuda``."""
    binding = session.io_binding()
    binding.bind_input(graph.input, device, index, np.float32, buffers.input_shape, buffers.input)
    binding.bind_output(graph.output, device, index, np.float32, buffers.output_shape, buffers.output)
    return binding


class DeviceErrors:
    """Turns what ONNX Runtime raises into :class:`DeviceError` with CUDA's own reason.

    Parameters
    ----------
    what : str
        What failed, and where.
    remedy : str
        What to do about it.
    """

    def __init__(
        self, what: str, remedy: str = "try a smaller image or batch, or another --provider or --device"
    ) -> None:
        self._what = what
        self._remedy = remedy

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # ONNX Runtime's exceptions share no base but Exception.
        if isinstance(error, Exception) and not isinstance(error, DeviceError | UsageError):
            raise DeviceError(f"{self._what} ({cuda_reason(error)}); {self._remedy}.") from error


def cuda_reason(error: Exception) -> str:
    """Return the reason inside of a message of ONNX Runtime: CUDA's name and text, or those of cuDNN and the like.

    Examples
    --------
    >>> cuda_reason(RuntimeError("CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR ; GPU=0 ; hostname=box ; file=a.cc ; line=9"))
    'CUDNN 4: CUDNN_STATUS_INTERNAL_ERROR'
    """
    text = " ".join(str(error).split())
    found = re.search(r"\b(CUDA|CUDNN|CUDNN_FE|CUBLAS|CUFFT) failure (\d+): (.*?) ?;", text)
    if not found:
        return text[:300]
    library, code, words = found.groups()
    name = _native.cuda_error_name(int(code)) if library == "CUDA" else f"{library} {code}"
    return f"{name}: {words}"
