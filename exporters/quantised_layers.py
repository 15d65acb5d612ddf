"""Convolutions of a graph, and the graph with some of them in 8 bits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

__all__ = ["Layer", "Scheme", "find_layers", "quantised", "whole_weights"]

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


@dataclass(frozen=True, eq=False)
class Scheme:
    """How one layer is quantised.

    Parameters
    ----------
    factors : ndarray, shape (inputs,), float32, or None
        What each channel is multiplied by first, so that all use the range; the weights are divided by it.
    step : float
        Value of one step of the activations, which are stored as uint8.
    zero : int
        Which of the 256 steps stands for 0.
    bias : ndarray, shape (outputs,), float32
        Bias of the layer, corrected for the mean error of the others.
    """

    factors: Floats | None
    step: float
    zero: int
    bias: Floats


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
    nodes: list[NodeProto] = []
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.output[0] in schemes and node.op_type == "Conv":
            own, tensors = _nodes(node, layers[node.output[0]], schemes[node.output[0]])
            nodes += own
            stored |= {name: numpy_helper.from_array(value, name) for name, value in tensors.items()}
        else:
            nodes.append(node)
    taken = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensor for name, tensor in stored.items() if name in taken)
    return made


def whole_weights(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return weights as int8 and the scale of each output, shape (outputs,)."""
    scale = np.maximum(np.abs(weights).max(axis=(1, 2, 3)), _TINY) / _WEIGHT_STEPS
    whole = np.rint(weights / scale[:, None, None, None])
    return whole.astype(np.int8), scale.astype(np.float32)


def _nodes(node: NodeProto, layer: Layer, scheme: Scheme) -> tuple[list[NodeProto], dict[str, NDArray[Any]]]:
    """Return the nodes that replace a convolution, and the tensors that they take."""
    name, source, weights = layer.name, layer.taken, layer.weights
    nodes: list[NodeProto] = []
    tensors: dict[str, NDArray[Any]] = {}
    if scheme.factors is not None:
        tensors[f"{name}.factors"] = scheme.factors.reshape(1, -1, 1, 1)
        nodes.append(helper.make_node("Mul", [source, f"{name}.factors"], [f"{name}.even"]))
        source, weights = f"{name}.even", weights / scheme.factors[None, :, None, None]
    whole, scale = whole_weights(weights)
    tensors |= {
        f"{name}.step": np.asarray(scheme.step, np.float32),
        f"{name}.zero": np.asarray(scheme.zero, np.uint8),
        f"{name}.weights": whole,
        f"{name}.scale": scale,
        f"{name}.zeros": np.zeros(len(scale), np.int8),
        f"{name}.bias": scheme.bias,
    }
    activation = [f"{name}.step", f"{name}.zero"]
    nodes += [
        helper.make_node("QuantizeLinear", [source, *activation], [f"{name}.whole"]),
        helper.make_node("DequantizeLinear", [f"{name}.whole", *activation], [f"{name}.taken"]),
        helper.make_node(
            "DequantizeLinear",
            [f"{name}.weights", f"{name}.scale", f"{name}.zeros"],
            [f"{name}.stepped"],
            axis=0,
        ),
    ]
    conv = helper.make_node("Conv", [f"{name}.taken", f"{name}.stepped", f"{name}.bias"], [name])
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
