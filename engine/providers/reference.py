"""ONNX's own evaluator: slow, plain NumPy, and the oracle that every other provider is compared with."""

from importlib.metadata import version

import numpy as np

from ..errors import DeviceError, ModelError
from ..graph import CheckedGraph
from .base import Offer, Precision, Target, Tensor, not_offered, require_image


class Reference:
    """Run graphs with ``onnx.reference``.

    A target's threads are not those of the evaluator, which leaves products of matrices to NumPy's own library; a number of
    threads can be set there for the whole process alone.
    """

    name = "reference"
    remark = "its threads are those of NumPy's own library, whatever is asked for (OMP_NUM_THREADS sets them)"
    offers: tuple[Offer, ...] = (("cpu", "fp32"),)

    def version(self) -> str:
        """Return the version of onnx."""
        return version("onnx")

    def check(self, target: Target) -> str:
        """Return why not; what it offers runs everywhere."""
        return not_offered(self, target)

    def graph(self, target: Target) -> Precision:
        """Return the one graph that it takes."""
        return "fp32"

    def prepare(self, graph: CheckedGraph, target: Target) -> "_Evaluator":
        """Parse the graph."""
        if reason := self.check(target):
            raise DeviceError(f"{graph.name} cannot run on {target.device}: {reason}.")
        return _Evaluator(graph)


class _Evaluator:
    """Stateless, therefore its own lane."""

    def __init__(self, graph: CheckedGraph) -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        try:
            self._evaluator = ReferenceEvaluator(onnx.load_model_from_string(graph.data))
        except Exception as error:  # the evaluator raises whatever the graph's contents provoke
            raise ModelError(f"{graph.name}: the graph cannot be evaluated ({error}); export it again.") from error
        self._graph = graph

    def lane(self) -> "_Evaluator":
        require_image(self._graph)
        return self

    def run(self, tensor: Tensor) -> Tensor:
        return self.heads(tensor)[self._graph.output]

    def heads(self, tensor: Tensor) -> dict[str, Tensor]:
        names = self._graph.outputs
        outputs = self._evaluator.run(list(names), {self._graph.input: tensor})
        return {name: np.ascontiguousarray(output, np.float32) for name, output in zip(names, outputs, strict=True)}
