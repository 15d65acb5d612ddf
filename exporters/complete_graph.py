"""A graph that does what the engine does around a network: scaling before it, counts or means kept after it.

Other runtimes have no engine. What the engine computes from a whole frame is added to the graph as nodes, so that physical
values go in and physical values come out wherever ONNX runs. Padding stays outside.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ..engine.bundle import Bundle
from ..engine.errors import ModelError
from ..engine.frames import Units
from ..engine.graph import check_graph
from ..engine.manifest import Input, Output

__all__ = ["complete_graph"]

_PREFIX = "photopeak_"
_QUANTILE_THOUSANDTHS = 995  # of robust scaling, as engine.postprocess has it


def complete_graph(bundle: Bundle) -> bytes:
    """Return the bundle's graph with the engine's scaling and conservation inside.

    Parameters
    ----------
    bundle : Bundle
        The model. The graph of one that gives findings stays as it is: their images need a grid first.

    Returns
    -------
    bytes
        Serialised ONNX with the same names of input and outputs. For frames whose rows and columns are multiples of the
        manifest's ``multiple`` it gives what ``Session.run`` gives, to the precision of float32 sums; frames of a batch are
        treated one by one. Where nothing is to be added it is the checked graph.

    Raises
    ------
    ModelError
        If the graph is not as the manifest says.

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> model = onnx.load_model_from_string(complete_graph(zoo.load_bundle("pet-denoise")))
    >>> model.graph.node[0].op_type, model.graph.node[-1].output[0]
    ('Reshape', 'image')
    """
    checked, manifest = check_graph(bundle), bundle.manifest
    if manifest.output is None:
        return checked.data
    model = onnx.load_model_from_string(checked.data)
    graph = model.graph
    _refuse_our_names(model, bundle.name)
    before, after = _Nodes("in"), _Nodes("out")
    raw, inner = manifest.input.name, _PREFIX + "scaled"
    peak = _scale_in(before, manifest.input, raw, inner)
    if before.nodes:
        _rename(graph, raw, inner)
    _finish(after, manifest.output, manifest.input, raw, peak)
    if after.nodes:
        _rename_output(graph, manifest.output.name, _PREFIX + "raw")
    nodes = [*before.nodes, *graph.node, *after.nodes]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*before.constants, *after.constants])
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


class _Nodes:
    """Nodes and constants being gathered, with names of their own."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = f"{_PREFIX}{self.place}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output or name], name=name, **attributes))
        return output or name

    def constant(self, value: object, dtype: type[np.generic]) -> str:
        """Add a constant and return its name."""
        name = f"{_PREFIX}{self.place}_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name


def _scale_in(nodes: _Nodes, taken: Input, raw: str, inner: str) -> str:
    """Add what happens before the network; return the name of the frames' peaks, empty where nothing is divided."""
    if taken.units is Units.COUNTS:
        raw = nodes.add("Relu", [raw], "" if taken.scaling == "robust" else inner)
    if taken.scaling != "robust":
        return ""
    peak = _quantile(nodes, raw)
    usable = nodes.add("Greater", [peak, nodes.constant(0, np.float32)])
    peak = nodes.add("Where", [usable, peak, nodes.constant(1, np.float32)])
    nodes.add("Div", [raw, peak], inner)
    return peak


def _quantile(nodes: _Nodes, raw: str) -> str:
    """Add the 99.5th percentile of each channel of each frame, interpolated between the two nearest values."""
    flat = nodes.add("Reshape", [raw, nodes.constant([0, 0, -1], np.int64)])
    pixels = nodes.add("Gather", [nodes.add("Shape", [flat]), nodes.constant([2], np.int64)])
    one = nodes.constant([1], np.int64)
    # In whole numbers: older runtimes round no numbers of double precision.
    thousandths = nodes.add("Mul", [nodes.add("Sub", [pixels, one]), nodes.constant([_QUANTILE_THOUSANDTHS], np.int64)])
    thousand = nodes.constant([1000], np.int64)
    whole = nodes.add("Div", [thousandths, thousand])
    rest = nodes.add("Sub", [thousandths, nodes.add("Mul", [whole, thousand])])
    fraction = nodes.add("Div", [nodes.add("Cast", [rest], to=TensorProto.FLOAT), nodes.constant(1000, np.float32)])
    count = nodes.add("Sub", [pixels, whole])
    largest, indices = nodes.add("TopK", [flat, count], axis=2), _PREFIX + "indices"
    nodes.nodes[-1].output.append(indices)
    lower_at = nodes.add("Sub", [count, one])
    upper_at = nodes.add("Max", [nodes.add("Sub", [lower_at, one]), nodes.constant([0], np.int64)])
    lower, upper = (nodes.add("Gather", [largest, at], axis=2) for at in (lower_at, upper_at))
    step = nodes.add("Mul", [nodes.add("Sub", [upper, lower]), fraction])
    return nodes.add("Unsqueeze", [nodes.add("Add", [lower, step]), one])


def _finish(nodes: _Nodes, kept: Output, taken: Input, raw: str, peak: str) -> None:
    """Add what happens after the network: back to physical values, and the sum or mean of the input."""
    image = _PREFIX + "raw"
    if peak:
        image = nodes.add("Mul", [image, peak], kept.name if kept.conserve == "none" else "")
    if kept.conserve == "none":
        return
    if kept.conserve == "sum":
        image = nodes.add("Relu", [image])
    if taken.units is Units.COUNTS:
        raw = nodes.add("Relu", [raw])
    kind = "ReduceSum" if kept.conserve == "sum" else "ReduceMean"
    axes, zero = nodes.constant([1, 2, 3], np.int64), nodes.constant(0, np.float32)
    target, found = (nodes.add(kind, [tensor, axes], keepdims=1) for tensor in (raw, image))
    usable = nodes.add("Greater", [found, zero])
    if kept.conserve == "mean":
        usable = nodes.add("And", [usable, nodes.add("Greater", [target, zero])])
    one = nodes.constant(1, np.float32)
    # A division by zero would be a warning of some runtimes even where its result is not taken.
    factor = nodes.add("Div", [target, nodes.add("Where", [usable, found, one])])
    nodes.add("Mul", [image, nodes.add("Where", [usable, factor, one])], kept.name)


def _rename(graph: GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def _rename_output(graph: GraphProto, old: str, new: str) -> None:
    _rename(graph, old, new)
    for node in graph.node:
        node.output[:] = [new if name == old else name for name in node.output]


def _refuse_our_names(model: ModelProto, name: str) -> None:
    graph = model.graph
    used = {tensor for node in graph.node for tensor in (*node.input, *node.output)}
    if any(tensor.startswith(_PREFIX) for tensor in used):
        raise ModelError(
            f"{name}: the graph has tensors named {_PREFIX}..., it may be complete already; export it again."
        )
