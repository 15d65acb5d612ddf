"""OpenVINO on the CPU: fp32, and bf16, fp16 or int8 where the processor has them."""

import hashlib
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from ..errors import DeviceError, ModelError
from ..graph import CheckedGraph
from ..typed_graph import typed_graph, with_bf16_convolutions
from ..wide_convolutions import with_wide_convolutions
from .base import Bindings, Offer, Precision, Target, Tensor, empty_output, not_offered, require_image
from .openvino_models import facts_of, import_kept, keep
from .recent import Recent

_CAPABILITIES: dict[Precision, str] = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16", "int8": "INT8"}
_SHAPES_KEPT = 8


class OpenVino:
    """Run graphs with OpenVINO's CPU plugin."""

    name = "openvino"
    remark = ""
    offers: tuple[Offer, ...] = (("cpu", "fp32"), ("cpu", "bf16"), ("cpu", "fp16"), ("cpu", "int8"))

    def version(self) -> str:
        """Return the version of openvino."""
        return version("openvino")

    def check(self, target: Target) -> str:
        """Return why not; the CPU plugin says which types are native."""
        if reason := not_offered(self, target, streams=True, bf16=True):
            return reason
        if not _native(target.precision):
            return f"this CPU has no native {target.precision}"
        if target.throughout and not _native("bf16"):
            return "this CPU has no native bf16"
        return ""

    def graph(self, target: Target) -> Precision:
        """Return the graph that it takes; from float32 :meth:`prepare` goes to bf16, and the plugin to fp16."""
        return "int8" if target.precision == "int8" else "fp32"

    def prepare(self, graph: CheckedGraph, target: Target) -> "_Graph":
        """Parse the graph; shapes are compiled when they come."""
        if reason := self.check(target):
            raise DeviceError(f"{graph.name} cannot run on {target.device} with OpenVINO: {reason}.")
        graph = with_wide_convolutions(graph)
        if target.precision == "bf16" and not target.throughout:
            # The plugin's own bf16 takes in the sums of input and correction too, which costs images of a wide range decibels.
            graph = typed_graph(graph, "bf16")
        elif target.precision == "int8" and not target.throughout and _native("bf16"):
            graph = with_bf16_convolutions(graph)
        try:
            model = _core().read_model(graph.data)
        except RuntimeError as error:
            raise ModelError(f"{graph.name}: OpenVINO does not take the graph ({str(error)[:300]}).") from error
        return _Graph(model, graph, target)


class _Graph:
    """A model compiled once for each shape: static shapes run faster than dynamic ones."""

    def __init__(self, model: Any, graph: CheckedGraph, target: Target) -> None:
        self._model = model
        self._target = target
        self._graph = graph
        self._digest = hashlib.sha256(graph.data).hexdigest()
        self._compiled: Recent[tuple[int, ...], Any] = Recent(_SHAPES_KEPT)
        self.scale = graph.scale

    def lane(self) -> "_Lane | _Streams":
        require_image(self._graph)
        return _Lane(self) if self._target.streams == 1 else _Streams(self)

    def heads(self, tensor: Tensor) -> dict[str, Tensor]:
        import openvino

        request = self.compiled(tensor.shape).create_infer_request()
        request.set_input_tensor(openvino.Tensor(tensor, shared_memory=True))
        request.infer(share_outputs=True)
        # The request owns what it gives, and ends here.
        return {name: np.array(request.get_tensor(name).data, np.float32) for name in self._graph.outputs}

    def compiled(self, shape: tuple[int, ...]) -> Any:
        """Return the model compiled for `shape`; the least recently used one makes room."""
        return self._compiled.get(shape, lambda: self._compile(shape))

    def _compile(self, shape: tuple[int, ...]) -> Any:
        target = self._target
        wanted = "f16" if target.precision == "fp16" else "bf16" if target.throughout else "f32"
        options = {
            "PERFORMANCE_HINT": "LATENCY" if target.streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": str(target.streams),
            "INFERENCE_NUM_THREADS": str(target.threads),
            "INFERENCE_PRECISION_HINT": wanted,
            # Threads that stay on their processors were slower in every case that was measured.
            "ENABLE_CPU_PINNING": "NO",
        }
        facts = facts_of(_core(), self._digest, shape, options)
        kept = import_kept(_core(), facts, options)
        compiled = kept or _core().compile_model(self._reshaped(shape), "CPU", options)
        got = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if got != wanted:
            raise DeviceError(f"{self._graph.name}: OpenVINO computes in {got} although {wanted} was asked for.")
        if kept is None:
            keep(compiled, facts)
        return compiled

    def _reshaped(self, shape: tuple[int, ...]) -> Any:
        model = self._model.clone()
        model.reshape(list(shape))
        return model


class _Lane:
    """One inference request that reads and writes our memory."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._bindings = Bindings(self._bind)

    def run(self, tensor: Tensor) -> Tensor:
        request, output = self._bindings.of(tensor)
        # In the caller's thread: waiting for another one costs a tenth of what a small frame takes.
        request.infer(share_outputs=True)
        return output

    def _bind(self, tensor: Tensor) -> tuple[Any, Tensor]:
        output = empty_output(tensor, self._graph.scale)
        return _request(self._graph, tensor, output), output


class _Streams:
    """Requests of one frame each, as many in flight as there are streams."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._bindings = Bindings(self._bind)

    def run(self, tensor: Tensor) -> Tensor:
        requests, output = self._bindings.of(tensor)
        try:
            for request in requests:
                request.start_async()
        finally:
            # What was started writes into our memory, also when another one could not be started.
            for request in requests:
                request.wait()
        return output

    def _bind(self, tensor: Tensor) -> tuple[list[Any], Tensor]:
        output = empty_output(tensor, self._graph.scale)
        frames = zip(tensor[:, np.newaxis], output[:, np.newaxis], strict=True)
        return [_request(self._graph, frame, out) for frame, out in frames], output


def _request(graph: _Graph, tensor: Tensor, output: Tensor) -> Any:
    """Return an inference request from one array into another."""
    import openvino

    request = graph.compiled(tensor.shape).create_infer_request()
    request.set_input_tensor(openvino.Tensor(tensor, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(output, shared_memory=True))
    return request


def _native(precision: Precision) -> bool:
    """Return whether the processor computes in this type itself."""
    return _CAPABILITIES[precision] in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def _core() -> Any:
    """Return the one OpenVINO core of the process; it owns the plugins."""
    import openvino

    return openvino.Core()
