"""ONNX Runtime: CPU, CUDA and TensorRT execution providers."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from ..errors import DeviceError, ModelError
from ..graph import CheckedGraph
from ..wide_convolutions import with_wide_convolutions
from .base import Bindings, Offer, Precision, Target, Tensor, empty_output, not_offered, require_image
from .onnxruntime_cuda import CudaGraph, missing_gpu
from .onnxruntime_module import onnxruntime_module

_SILENT = 4  # fatal: what matters comes back as an exception


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
    remark: ClassVar[str] = ""

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
        if reason := not_offered(self, target, nhwc=self.backends.get(target.kind) == "CUDAExecutionProvider"):
            return reason
        if find_spec("onnxruntime") is None:
            return "ONNX Runtime is not installed; run pip install onnxruntime-gpu"
        return missing_gpu(self.backends[target.kind]) if target.is_cuda else ""

    def graph(self, target: Target) -> Precision:
        """Return the graph of the target's own precision; TensorRT makes float16 of float32 by itself."""
        return "fp32" if "Tensorrt" in self.backends[target.kind] else target.precision

    def prepare(self, graph: CheckedGraph, target: Target) -> "_Graph | CudaGraph":
        """Build an ONNX Runtime session that must keep the backend asked for."""
        if reason := self.check(target):
            raise DeviceError(f"{graph.name} cannot run on {target.device} with {self.name}: {reason}.")
        backend = self.backends[target.kind]
        if target.is_cuda:
            return CudaGraph(graph, backend, target)
        try:
            return _Graph(_session(with_wide_convolutions(graph), backend, target), graph)
        except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
            raise ModelError(f"{graph.name}: {backend} does not take the graph ({_one_line(error)}).") from error


def _session(graph: CheckedGraph, backend: str, target: Target) -> Any:
    """Return an ONNX Runtime session of one backend, without the fallback that it would try by itself."""
    return onnxruntime_module().InferenceSession(
        graph.data, _session_options(target), providers=[backend], enable_fallback=0, read_config_from_model=0
    )


class _Graph:
    """An ONNX Runtime session, which may be run from several threads."""

    def __init__(self, session: Any, graph: CheckedGraph) -> None:
        self.session = session
        self.graph = graph

    def lane(self) -> "_Lane":
        require_image(self.graph)
        return _Lane(self)

    def heads(self, tensor: Tensor) -> dict[str, Tensor]:
        outputs = self.session.run(self.graph.outputs, {self.graph.input: tensor})
        return dict(zip(self.graph.outputs, outputs, strict=True))


class _Lane:
    """I/O bindings with host output buffers."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._bindings = Bindings(self._bind)

    def run(self, tensor: Tensor) -> Tensor:
        binding, output = self._bindings.of(tensor)
        self._graph.session.run_with_iobinding(binding)
        return output

    def _bind(self, tensor: Tensor) -> tuple[Any, Tensor]:
        graph = self._graph.graph
        binding = self._graph.session.io_binding()
        output = empty_output(tensor, graph.scale)
        binding.bind_ortvalue_input(graph.input, onnxruntime_module().OrtValue.ortvalue_from_numpy(tensor))
        binding.bind_output(graph.output, "cpu", 0, np.float32, output.shape, output.ctypes.data)
        return binding, output


def _session_options(target: Target) -> Any:
    options = onnxruntime_module().SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = target.threads
    options.inter_op_num_threads = 1
    # Idle threads sleep: a workstation has other work between two frames.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
