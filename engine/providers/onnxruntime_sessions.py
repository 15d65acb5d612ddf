"""ONNX Runtime sessions on NVIDIA GPUs: how they are made and bound, and what they say when CUDA fails.

References
----------
* ONNX Runtime, "CUDA Execution Provider": ``user_compute_stream``, ``enable_cuda_graph``, ``gpu_graph_id``.
"""

import re
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np

from .. import _native
from ..errors import DeviceError, UsageError
from ..graph import CheckedGraph
from .base import Target
from .device_lane import Buffers
from .onnxruntime_module import onnxruntime_module
from .onnxruntime_tensorrt import tensorrt_options
from .recent import Recent
from .recording import Recording

__all__ = [
    "CUDA",
    "RECORDING",
    "TENSORRT",
    "DeviceErrors",
    "Sessions",
    "bind",
    "cuda_options",
    "cuda_reason",
    "run_options",
]

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_SILENT = 4  # fatal: what matters comes back as an exception
# Asked by all lanes of the process before they record, or may take memory of a device.
RECORDING = Recording()
# Sessions of TensorRT that a graph keeps, one for each shape; at least as many as a lane of a device records graphs of.
_SESSIONS_KEPT = 16


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
        # They give back memory of the device, which nobody may do while another records.
        self._made: Recent[tuple[int, ...], Any] = Recent(_SESSIONS_KEPT, RECORDING.absent)

    def of(self, shape: tuple[int, ...]) -> Any:
        """Return the session for tensors of this shape."""
        key = shape if self._backend == TENSORRT else ()
        return self._made.get(key, lambda: self._new(shape))

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
        with RECORDING.alone(), DeviceErrors(f"{graph.name}: {backend} does not start", hint):
            session = _session(graph, self._target, backend, options)
        if session.get_providers()[0] != backend:
            raise DeviceError(
                f"{graph.name}: ONNX Runtime gave up {backend} for {session.get_providers()[0]}; "
                "check the NVIDIA driver and libraries with 'photopeak doctor', or ask for --device cpu."
            )
        return session


def _session(graph: CheckedGraph, target: Target, backend: str, backend_options: dict[str, str]) -> Any:
    """Return a session of one backend, without the fallback that ONNX Runtime would try by itself."""
    onnxruntime = onnxruntime_module()
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
    options = onnxruntime_module().RunOptions()
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
