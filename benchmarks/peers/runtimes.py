"""Libraries that run our graphs, each as its documentation says it runs fastest: what a user would have without Photopeak.

ONNX Runtime runs with input and output bound once and all optimisations of graphs. OpenVINO compiles for the shape at hand
with its LATENCY hint, or with THROUGHPUT for stacks, and reads and writes memory that is shared with it. Everything else is
left as it is by default; threads that wait in loops after a call disturb nobody, as each library has a process of its own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photopeak.engine.providers.onnxruntime_module import onnxruntime_module

__all__ = ["OnnxRuntimePeer", "OpenVinoPeer"]

Tensor = NDArray[np.float32]
Outputs = dict[str, Tensor]
SILENT = 4


class OnnxRuntimePeer:
    """ONNX Runtime in float32 with IOBinding.

    Parameters
    ----------
    model : Path
        The graph.
    threads : int
        Threads of one run.
    precision : {"fp32"}
        Arithmetic; a float32 graph stays one.
    """

    def __init__(self, model: Path, threads: int, precision: str) -> None:
        onnxruntime = onnxruntime_module()
        assert precision == "fp32"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = SILENT
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def prepare(self, tensor: Tensor, batch: int) -> Callable[[], Outputs]:
        """Return a function that runs `tensor` in batches; a short last batch has buffers of its own."""
        onnxruntime = onnxruntime_module()
        parts = [tensor[first : first + batch] for first in range(0, len(tensor), batch)]
        shapes = {name: value.shape for name, value in self._once(parts[0]).items()}
        outputs = {name: np.empty((len(tensor), *shape[1:]), np.float32) for name, shape in shapes.items()}
        bindings: list[tuple[Any, Tensor]] = []
        for index, part in enumerate(parts):
            binding = self._session.io_binding()
            binding.bind_ortvalue_input(self._input, onnxruntime.OrtValue.ortvalue_from_numpy(part))
            for name, whole in outputs.items():
                place = whole[index * batch : index * batch + len(part)]
                binding.bind_output(name, "cpu", 0, np.float32, place.shape, place.ctypes.data)
            bindings.append((binding, part))  # the library does not keep the memory that it reads

        def run() -> Outputs:
            for binding, _ in bindings:
                self._session.run_with_iobinding(binding)
            return outputs

        return run

    def _once(self, part: Tensor) -> Outputs:
        return dict(zip(self._outputs, self._session.run(self._outputs, {self._input: part}), strict=True))


class OpenVinoPeer:
    """OpenVINO's CPU plugin.

    Parameters
    ----------
    model : Path
        The graph.
    threads : int
        Threads of one run.
    precision : {"fp32", "bf16"}
        Arithmetic.
    """

    def __init__(self, model: Path, threads: int, precision: str) -> None:
        import openvino

        self._core, self._threads = openvino.Core(), threads
        self._compiled: dict[tuple[tuple[int, ...], str], Any] = {}
        self._model = self._core.read_model(model)
        self._type = {"fp32": "f32", "bf16": "bf16"}[precision]
        if precision == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("this CPU has no native bf16")

    def prepare(self, tensor: Tensor, batch: int) -> Callable[[], Outputs]:
        """Return a function that runs `tensor`: with the LATENCY hint in batches, or with THROUGHPUT if `batch` is 0."""
        import openvino

        if not batch:
            return self._throughput(tensor)
        parts = [tensor[first : first + batch] for first in range(0, len(tensor), batch)]
        compiled = {size: self._compile((size, *tensor.shape[1:]), "LATENCY") for size in {len(part) for part in parts}}
        outputs = self._buffers(compiled[len(parts[0])], len(tensor))
        requests: list[tuple[Any, Tensor]] = []
        for index, part in enumerate(parts):
            request = compiled[len(part)].create_infer_request()
            request.set_input_tensor(openvino.Tensor(part, shared_memory=True))
            for name, whole in outputs.items():
                place = whole[index * batch : index * batch + len(part)]
                request.set_tensor(name, openvino.Tensor(place, shared_memory=True))
            requests.append((request, part))  # the library does not keep the memory that it reads

        def run() -> Outputs:
            for request, _ in requests:
                request.start_async()
                request.wait()
            return outputs

        return run

    def _throughput(self, tensor: Tensor) -> Callable[[], Outputs]:
        """Return a function that keeps as many single frames in flight as the plugin finds best."""
        import openvino

        compiled = self._compile((1, *tensor.shape[1:]), "THROUGHPUT")
        outputs = self._buffers(compiled, len(tensor))
        # OpenVINO's own queue calls back into Python from threads that a model waits for while it is freed, with the
        # interpreter's lock held: that can wait for ever.
        requests = [
            compiled.create_infer_request() for _ in range(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        ]
        frames = [
            (
                openvino.Tensor(tensor[index : index + 1], shared_memory=True),
                {
                    name: openvino.Tensor(whole[index : index + 1], shared_memory=True)
                    for name, whole in outputs.items()
                },
            )
            for index in range(len(tensor))
        ]

        def run() -> Outputs:
            for index, (taken, given) in enumerate(frames):
                request = requests[index % len(requests)]
                if index >= len(requests):
                    request.wait()
                request.set_input_tensor(taken)
                for name, place in given.items():
                    request.set_tensor(name, place)
                request.start_async()
            for request in requests[: len(frames)]:
                request.wait()
            return outputs

        return run

    def _compile(self, shape: tuple[int, ...], hint: str) -> Any:
        """Return the model compiled for a shape, once."""
        if (shape, hint) in self._compiled:
            return self._compiled[shape, hint]
        model = self._model.clone()
        model.reshape(list(shape))
        options = {
            "PERFORMANCE_HINT": hint,
            "INFERENCE_NUM_THREADS": str(self._threads),
            "INFERENCE_PRECISION_HINT": self._type,
        }
        compiled = self._compiled[shape, hint] = self._core.compile_model(model, "CPU", options)
        return compiled

    def _buffers(self, compiled: Any, frames: int) -> Outputs:
        """Return memory for what all frames give, output by output."""
        found = {}
        for output in compiled.outputs:
            found[output.any_name] = np.empty((frames, *list(output.shape)[1:]), np.float32)
        return found
