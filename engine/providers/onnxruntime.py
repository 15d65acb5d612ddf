"""ONNX Runtime: CPU, CUDA and TensorRT execution providers."""

import ctypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ..bundle import Bundle
from ..errors import DeviceError, ModelError
from .base import Offer, Target, Tensor, not_offered

_SILENT = 3  # ORT_LOGGING_LEVEL_ERROR: what matters comes back as an exception
_NVIDIA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@dataclass(frozen=True)
class OnnxRuntime:
    """Run graphs with ONNX Runtime.

    Parameters
    ----------
    name : str
        Name for the user.
    backends : mapping of str to str
        ONNX Runtime's execution provider for each kind of device.
    offers : tuple of (str, str)
        Kinds of device and precisions.
    """

    name: str
    backends: Mapping[str, str]
    offers: tuple[Offer, ...]

    def version(self) -> str:
        """Return the version of whichever distribution is installed."""
        for distribution in ("onnxruntime-gpu", "onnxruntime"):
            try:
                return version(distribution)
            except PackageNotFoundError:
                continue
        raise DeviceError("ONNX Runtime is not installed; run pip install onnxruntime-gpu.")

    def check(self, target: Target) -> str:
        """Return why the target cannot run; asks for the driver, since a GPU build lists CUDA without one."""
        if reason := not_offered(self, target):
            return reason
        return _missing_gpu(self.backends[target.kind]) if target.is_cuda else ""

    def prepare(self, bundle: Bundle, target: Target) -> "_Graph":
        """Build an ONNX Runtime session that must keep the backend asked for."""
        if reason := self.check(target):
            raise DeviceError(f"{bundle.name} cannot run on {target.device} with {self.name}: {reason}.")
        import onnxruntime

        backend = self.backends[target.kind]
        providers = [(backend, _backend_options(backend, target))]
        try:
            session = onnxruntime.InferenceSession(bundle.model, _session_options(target), providers=providers)
        except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
            kind = DeviceError if target.is_cuda else ModelError
            raise kind(f"{bundle.name}: {backend} does not take the graph ({_one_line(error)}).") from error
        if session.get_providers()[0] != backend:
            raise DeviceError(
                f"{bundle.name}: ONNX Runtime gave up {backend} for {session.get_providers()[0]}; "
                "check the NVIDIA driver and libraries with 'photopeak doctor', or ask for --device cpu."
            )
        return _Graph(session, bundle, target)


class _Graph:
    """An ONNX Runtime session, which may be run from several threads."""

    def __init__(self, session: Any, bundle: Bundle, target: Target) -> None:
        self.session = session
        self.input = bundle.manifest.input.name
        self.output = bundle.manifest.output.name
        self.scale = bundle.manifest.output.scale
        self.device = "cuda" if target.is_cuda else "cpu"
        self.device_index = target.index

    def lane(self) -> "_Lane":
        return _Lane(self)


class _Lane:
    """An I/O binding with a host output buffer for the last shape; same array in, nothing to bind again."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._binding = graph.session.io_binding()
        self._tensor: Tensor | None = None
        self._output = np.empty((0, 1, 0, 0), np.float32)

    def run(self, tensor: Tensor) -> Tensor:
        if tensor is not self._tensor:
            self._bind(tensor)
        self._graph.session.run_with_iobinding(self._binding)
        return self._output

    def _bind(self, tensor: Tensor) -> None:
        import onnxruntime

        graph = self._graph
        n, channels, rows, columns = tensor.shape
        shape = (n, channels, graph.scale * rows, graph.scale * columns)
        if self._output.shape != shape:
            self._output = np.empty(shape, np.float32)
        self._binding.clear_binding_inputs()
        self._binding.clear_binding_outputs()
        # Host memory on both sides also for CUDA: ONNX Runtime then copies inside the run.
        self._binding.bind_ortvalue_input(graph.input, onnxruntime.OrtValue.ortvalue_from_numpy(tensor))
        self._binding.bind_output(graph.output, "cpu", 0, np.float32, shape, self._output.ctypes.data)
        self._tensor = tensor


def _session_options(target: Target) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = target.threads
    options.inter_op_num_threads = 1
    # Idle threads sleep: a workstation has other work between two frames.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if target.is_cuda:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def _backend_options(backend: str, target: Target) -> dict[str, Any]:
    if backend == "TensorrtExecutionProvider":
        return {"device_id": target.index, "trt_fp16_enable": target.precision == "fp16"}
    if backend == "CUDAExecutionProvider":
        # TF32 has ten bits of mantissa; who asks for fp32 gets fp32.
        return {"device_id": target.index, "use_tf32": 0, "cudnn_conv_algo_search": "EXHAUSTIVE"}
    return {}


def _missing_gpu(backend: str) -> str:
    import onnxruntime

    if backend not in onnxruntime.get_available_providers():
        return f"this build of ONNX Runtime has no {backend}; install onnxruntime-gpu"
    try:
        ctypes.CDLL(_NVIDIA_DRIVER)
    except OSError:
        return f"there is no NVIDIA driver ({_NVIDIA_DRIVER} not found)"
    if backend == "TensorrtExecutionProvider":
        try:
            ctypes.CDLL("nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10")
        except OSError:
            return "TensorRT's libraries (libnvinfer.so.10) are not installed; run pip install tensorrt"
    return ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
