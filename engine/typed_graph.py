"""Graphs that fix a 16-bit float themselves, for libraries that compute in what the graph says.

Derived from the checked graph of float32, never stored. Convolutions and what lies between them carry the type; what comes
before the first and after the last one stays float32: raw counts reach tens of thousands, where neighbours of float16 lie 8
and those of bfloat16 128 apart, and the sum of input and correction would lose what the network found. In bfloat16, so do
the convolutions that take the image itself.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from .checked_graph import CheckedGraph
from .errors import ModelError
from .precisions import Precision

__all__ = ["typed_graph", "with_bf16_convolutions"]

# Takes nodes, and the names of weights that stay float32; returns which nodes carry the type.
Choose = Callable[[list[NodeProto], frozenset[str]], list[bool]]

_ELEMENTS: dict[Precision, int] = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
# Convolutions take bfloat16 from this version of the operator set on.
_BFLOAT16_OPSET = 22
_CONVOLUTIONS = frozenset(["Conv", "ConvTranspose"])
# Convolutions of fewer channels see the image itself, which eight bits of mantissa would blur before anything is done with it.
_FEWEST_CHANNELS = 8
# Sums over many pixels, quotients and powers leave the range of float16 or the digits of bfloat16.
_FLOAT32 = frozenset(
    [
        "Div",
        "Erf",
        "Exp",
        "GlobalAveragePool",
        "InstanceNormalization",
        "Log",
        "LogSoftmax",
        "Pow",
        "Reciprocal",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        "Softmax",
        "Softplus",
        "Sqrt",
    ]
)
# The first inputs of these carry the type; the others are sizes, axes and factors with types of their own.
_TYPED_INPUTS = {"Resize": 1}


def typed_graph(graph: CheckedGraph, precision: Precision) -> CheckedGraph:
    """Return the graph with its convolutions, and what lies between them, in a 16-bit float.

    Parameters
    ----------
    graph : CheckedGraph
        Of float32.
    precision : {"bf16", "fp16"}
        The type.

    Returns
    -------
    CheckedGraph
        Takes and gives float32; casts stand at the borders. The same bytes for the same graph.

    Raises
    ------
    ModelError
        If the graph has a weight that the type cannot hold, or an operator that has no such type.

    References
    ----------
    * Micikevicius, P. et al. (2018). Mixed precision training. ICLR. (Which operations keep float32.)

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> from photopeak.engine.graph import check_graph
    >>> graph = typed_graph(check_graph(zoo.load_bundle("scint-denoise")), "fp16")
    >>> "Cast" in graph.operators
    True
    """
    return replace(_derived(graph, precision, _core), precision=precision)


def with_bf16_convolutions(graph: CheckedGraph) -> CheckedGraph:
    """Return a quantised graph whose other convolutions are in bfloat16; all that is between them stays as it is.

    Parameters
    ----------
    graph : CheckedGraph
        Of int8.

    Returns
    -------
    CheckedGraph
        Still of int8, for a device that has both.
    """
    return _derived(graph, "bf16", _convolutions_in_float)


def _derived(graph: CheckedGraph, precision: Precision, choose: Choose) -> CheckedGraph:
    """Return the graph with the nodes that `choose` marks in a type."""
    model = onnx.load_model_from_string(graph.data)
    try:
        if precision == "bf16" and model.opset_import[0].version < _BFLOAT16_OPSET:
            model = onnx.version_converter.convert_version(model, _BFLOAT16_OPSET)
        model = _typed(model, precision, choose)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # onnx's native code raises errors of its own
        raise ModelError(f"{graph.name} has no {precision} graph ({' '.join(str(error).split())[:200]}).") from error
    operators = tuple(sorted({node.op_type for node in model.graph.node}))
    return replace(graph, data=model.SerializeToString(deterministic=True), operators=operators)


def _typed(model: ModelProto, precision: Precision, choose: Choose) -> ModelProto:
    """Rewrite nodes and weights; casts stand in front of the first node that wants one."""
    graph = model.graph
    nodes = _without_constants(graph)
    outputs = {value.name for value in graph.output}
    tensors = _Tensors(precision, {tensor.name: tensor for tensor in graph.initializer})
    kept = _narrow(graph) if precision == "bf16" else frozenset()
    made: list[NodeProto] = []
    for node, typed in zip(nodes, choose(nodes, kept), strict=True):
        for place, name in enumerate(node.input):
            if typed and place < _TYPED_INPUTS.get(node.op_type, len(node.input)):
                node.input[place] = tensors.typed(name)
            else:
                node.input[place] = tensors.plain(name)
        made += [*tensors.take_casts(), node]
        for place, name in enumerate(node.output if typed else ()):
            node.output[place] = tensors.define(name)
            if name in outputs:
                tensors.plain(name)
        made += tensors.take_casts()
    used = {name for node in made for name in node.input}
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(made)
    graph.initializer.extend(tensor for name, tensor in sorted(tensors.stored.items()) if name in used)
    return model


class _Tensors:
    """Names of each tensor in float32 and in the type.

    Parameters
    ----------
    precision : {"bf16", "fp16"}
        The type.
    stored : dict of str to TensorProto
        Weights by name; those in the type are added when somebody wants them.
    """

    def __init__(self, precision: Precision, stored: dict[str, TensorProto]) -> None:
        self.stored = stored
        self._precision = precision
        # Names in the type; those of tensors that are computed in it, which have no float32 yet, are in `_computed` too.
        self._typed: dict[str, str] = {}
        self._computed: set[str] = set()
        self._casts: list[NodeProto] = []

    def define(self, name: str) -> str:
        """Return the name for a tensor that is computed in the type."""
        if name:
            self._computed.add(name)
            self._typed[name] = f"{name}:{self._precision}"
        return self._typed.get(name, name)

    def typed(self, name: str) -> str:
        """Return the name of a tensor in the type; whole numbers keep theirs."""
        if not name or (name in self.stored and self.stored[name].data_type != TensorProto.FLOAT):
            return name
        if name not in self._typed:
            self._typed[name] = f"{name}:{self._precision}"
            if name in self.stored:
                self.stored[self._typed[name]] = _converted(self.stored[name], self._typed[name], self._precision)
            else:
                self._cast(name, self._typed[name], _ELEMENTS[self._precision])
        return self._typed[name]

    def plain(self, name: str) -> str:
        """Return the name of a tensor in float32, which is its own."""
        if name in self._computed:
            self._computed.remove(name)
            self._cast(self._typed[name], name, TensorProto.FLOAT)
        return name

    def take_casts(self) -> list[NodeProto]:
        """Return the casts that have been asked for since the last call."""
        taken, self._casts = self._casts, []
        return taken

    def _cast(self, given: str, made: str, element: int) -> None:
        self._casts.append(helper.make_node("Cast", [given], [made], to=element))


def _converted(tensor: TensorProto, name: str, precision: Precision) -> TensorProto:
    with np.errstate(over="ignore"):
        values = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(_ELEMENTS[precision]))
    if not np.isfinite(values.astype(np.float32)).all():
        raise ValueError(f"the tensor {tensor.name!r} has values beyond {precision}")
    return numpy_helper.from_array(values, name)


def _narrow(graph: GraphProto) -> frozenset[str]:
    """Return the weights of convolutions of few channels."""
    return frozenset(
        tensor.name for tensor in graph.initializer if len(tensor.dims) == 4 and tensor.dims[1] < _FEWEST_CHANNELS
    )


def _core(nodes: list[NodeProto], kept: frozenset[str]) -> list[bool]:
    """Return which nodes carry the type: convolutions and what lies between two of them."""
    after, before = _reached(nodes, ("input", "output")), _reached(nodes[::-1], ("output", "input"))[::-1]
    return [
        one and other and node.op_type not in _FLOAT32 and not _keeps(node, kept)
        for node, one, other in zip(nodes, after, before, strict=True)
    ]


def _keeps(node: NodeProto, kept: frozenset[str]) -> bool:
    """Return whether a node is a convolution with such weights; those of a transposed one count outputs first."""
    return node.op_type == "Conv" and node.input[1] in kept


def _convolutions_in_float(nodes: list[NodeProto], kept: frozenset[str]) -> list[bool]:
    """Return which nodes are convolutions that are not quantised, or the Relu that follows one."""
    whole = {name for node in nodes if node.op_type == "DequantizeLinear" for name in node.output}
    made: set[str] = set()
    found = []
    for node in nodes:
        typed = node.op_type in _CONVOLUTIONS and whole.isdisjoint(node.input) and not _keeps(node, kept)
        if typed:
            made.update(node.output)
        found.append(typed or (node.op_type == "Relu" and not made.isdisjoint(node.input)))
    return found


def _reached(nodes: list[NodeProto], ends: tuple[str, str]) -> list[bool]:
    """Return which nodes are convolutions or are reached from one, walking from one end of each node to the other."""
    tensors: set[str] = set()
    found = []
    for node in nodes:
        reached = node.op_type in _CONVOLUTIONS or not tensors.isdisjoint(getattr(node, ends[0]))
        if reached:
            tensors.update(filter(None, getattr(node, ends[1])))
        found.append(reached)
    return found


def _without_constants(graph: GraphProto) -> list[NodeProto]:
    """Return the nodes; constants of them become stored tensors."""
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant":
            graph.initializer.append(numpy_helper.from_array(_constant(node.attribute[0]), node.output[0]))
        else:
            nodes.append(node)
    return nodes


def _constant(attribute: AttributeProto) -> NDArray[np.generic]:
    value = helper.get_attribute_value(attribute)
    if attribute.type == AttributeProto.TENSOR:
        return np.asarray(numpy_helper.to_array(value))
    kind = np.float32 if attribute.type in (AttributeProto.FLOAT, AttributeProto.FLOATS) else np.int64
    return np.asarray(value, kind)
