"""The graph of int8, derived from the checked graph of float32 and the schemes of its quantised layers; never stored.

Whole numbers of 8 bits appear between a QuantizeLinear and a DequantizeLinear, and as weights in front of one; the operators
in between compute in float, and libraries fuse the pattern into arithmetic of 8 bits by themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from .checked_graph import CheckedGraph
from .errors import ModelError
from .schemes import Scheme

__all__ = ["Layer", "find_layers", "quantised", "quantised_graph", "whole_weights"]

Floats = NDArray[np.float32]
# Fewer channels do not fill the vectors of 8-bit products, and hold what the whole image is made from.
_FEWEST_CHANNELS = 8
_WEIGHT_STEPS = 127
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution whose weights are stored in the graph.

    Parameters
    ----------
    name : str
        Name of its output, which no other node shares.
    taken : str
        Name of the tensor that it takes.
    weights : ndarray, shape (outputs, inputs, rows, columns), float32
        What it multiplies by.
    bias : ndarray, shape (outputs,), float32
        What it adds; zeros where it adds nothing.
    strides, dilations : tuple of int
        Steps of the output and of the weights [px].
    pads : tuple of int
        Zeros around: top, left, bottom, right [px].
    """

    name: str
    taken: str
    weights: Floats
    bias: Floats
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]


def quantised_graph(graph: CheckedGraph, schemes: Mapping[str, Scheme]) -> CheckedGraph:
    """Return the graph with some of its convolutions in 8 bits.

    Parameters
    ----------
    graph : CheckedGraph
        Of float32.
    schemes : mapping of str to Scheme
        By the names of the layers.

    Returns
    -------
    CheckedGraph
        Takes and gives float32. The same bytes for the same graph and schemes.

    Raises
    ------
    ModelError
        If the graph has no such layers, or none of such shapes.

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> from photopeak.engine.graph import check_graph
    >>> bundle = zoo.load_bundle("scint-denoise")
    >>> quantised_graph(check_graph(bundle), bundle.int8).precision
    'int8'
    """
    try:
        model = quantised(onnx.load_model_from_string(graph.data), schemes)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # onnx's native code raises errors of its own
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{graph.name} has no int8 graph ({reason}); quantise it again.") from error
    operators = tuple(sorted({node.op_type for node in model.graph.node}))
    data = model.SerializeToString(deterministic=True)
    return replace(graph, data=data, operators=operators, precision="int8")


def find_layers(model: ModelProto) -> tuple[Layer, ...]:
    """Return the convolutions that 8 bits may be worth while for, in the order of the graph.

    Parameters
    ----------
    model : ModelProto
        A graph of float32.

    Returns
    -------
    tuple of Layer
        Those of eight input channels or more, in one group, with stored weights.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    found = (_layer(node, stored) for node in model.graph.node if node.op_type == "Conv")
    return tuple(layer for layer in found if layer is not None)


def quantised(model: ModelProto, schemes: Mapping[str, Scheme]) -> ModelProto:
    """Return a graph that computes some layers in 8 bits.

    In front of each of them stands a pair of QuantizeLinear and DequantizeLinear, and its weights are stored as int8 with a
    scale for each output; everything else, sums and skips included, stays float32.

    Parameters
    ----------
    model : ModelProto
        A graph of float32; it is left as it is.
    schemes : mapping of str to Scheme
        By the names of the layers.

    Returns
    -------
    ModelProto
        Without the weights that nothing takes any more.

    Raises
    ------
    ValueError
        If a scheme does not fit its layer, or there is no such layer.

    References
    ----------
    * Jacob, B. et al. (2018). Quantization and training of neural networks for efficient integer-arithmetic-only
      inference. CVPR.
    * ONNX, "QuantizeLinear" and "DequantizeLinear".
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    layers = {layer.name: layer for layer in find_layers(model)}
    if unknown := sorted(schemes.keys() - layers.keys()):
        raise ValueError(f"{unknown[0][:60]!r} is no convolution of {_FEWEST_CHANNELS} input channels or more")
    nodes: list[NodeProto] = []
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if (scheme := schemes.get(node.output[0])) is None:
            nodes.append(node)
            continue
        own, tensors = _nodes(node, layers[node.output[0]], scheme)
        nodes += own
        if clash := stored.keys() & tensors.keys():
            raise ValueError(f"the graph holds {min(clash)[:60]!r} already")
        stored |= {name: numpy_helper.from_array(value, name) for name, value in tensors.items()}
    taken = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensor for name, tensor in stored.items() if name in taken)
    return made


def whole_weights(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return weights as int8 and the scale of each output, shape (outputs,)."""
    scale = np.maximum(np.abs(weights).max(axis=(1, 2, 3)), _TINY) / _WEIGHT_STEPS
    if not np.isfinite(scale).all():
        raise ValueError("weights are not finite")
    whole = np.rint(weights / scale[:, None, None, None])
    return whole.astype(np.int8), scale.astype(np.float32)


def _nodes(node: NodeProto, layer: Layer, scheme: Scheme) -> tuple[list[NodeProto], dict[str, NDArray[Any]]]:
    """Return the nodes that replace a convolution, and the tensors that they take."""
    name, source, weights = layer.name, layer.taken, layer.weights
    if (len(scheme.factors), len(scheme.bias)) != (weights.shape[1], len(weights)):
        raise ValueError(f"{len(scheme.factors)} factors and {len(scheme.bias)} biases do not fit {name[:60]!r}")
    nodes: list[NodeProto] = []
    tensors: dict[str, NDArray[Any]] = {}
    if (scheme.factors != 1).any():
        tensors[f"{name}:factors"] = scheme.factors.reshape(1, -1, 1, 1)
        nodes.append(helper.make_node("Mul", [source, f"{name}:factors"], [f"{name}:even"]))
        source, weights = f"{name}:even", weights / scheme.factors[None, :, None, None]
    whole, scale = whole_weights(weights)
    tensors |= {
        f"{name}:step": np.asarray(scheme.step, np.float32),
        f"{name}:zero": np.asarray(scheme.zero, np.uint8),
        f"{name}:weights": whole,
        f"{name}:scale": scale,
        f"{name}:zeros": np.zeros(len(scale), np.int8),
        f"{name}:bias": scheme.bias,
    }
    activation = [f"{name}:step", f"{name}:zero"]
    nodes += [
        helper.make_node("QuantizeLinear", [source, *activation], [f"{name}:whole"]),
        helper.make_node("DequantizeLinear", [f"{name}:whole", *activation], [f"{name}:taken"]),
        helper.make_node(
            "DequantizeLinear",
            [f"{name}:weights", f"{name}:scale", f"{name}:zeros"],
            [f"{name}:stepped"],
            axis=0,
        ),
    ]
    conv = helper.make_node("Conv", [f"{name}:taken", f"{name}:stepped", f"{name}:bias"], [name])
    conv.attribute.extend(node.attribute)
    return [*nodes, conv], tensors


def _layer(node: NodeProto, stored: Mapping[str, onnx.TensorProto]) -> Layer | None:
    """Return a convolution as a layer, or None where it is not one that is quantised."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    weights, bias = stored.get(node.input[1]), stored.get(node.input[2]) if len(node.input) > 2 else None
    known_bias = len(node.input) < 3 or bias is not None
    if weights is None or not known_bias or given.get("auto_pad", b"NOTSET") != b"NOTSET" or given.get("group", 1) != 1:
        return None
    values = numpy_helper.to_array(weights).astype(np.float32)
    if values.ndim != 4 or values.shape[1] < _FEWEST_CHANNELS:
        return None
    shift = numpy_helper.to_array(bias).astype(np.float32) if bias is not None else np.zeros(len(values), np.float32)
    strides, dilations = (_pair(given.get(name, (1, 1))) for name in ("strides", "dilations"))
    top, left, bottom, right = given.get("pads", (0, 0, 0, 0))
    return Layer(node.output[0], node.input[0], values, shift, strides, dilations, (top, left, bottom, right))


def _pair(values: Iterable[int]) -> tuple[int, int]:
    rows, columns = values
    return rows, columns
