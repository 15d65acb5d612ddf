"""What a graph with quantised layers must be besides what every graph must be.

Whole numbers of 8 bits appear between a QuantizeLinear and a DequantizeLinear, and as stored weights in front of one; the
operators in between compute in float, and libraries fuse the pattern into arithmetic of 8 bits by themselves. Scales are
stored numbers: what they divide by is known before any library sees the graph.
"""

import math
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto

__all__ = ["QUANTISATION", "QUANTISED_TYPES", "problems_of_quantisation", "stored_weights"]

QUANTISATION = frozenset(["QuantizeLinear", "DequantizeLinear"])
# Bytes of a value; int32 is for the biases of quantised layers.
QUANTISED_TYPES: dict[int, int] = {TensorProto.INT8: 1, TensorProto.UINT8: 1, TensorProto.INT32: 4}
_LARGEST_RANK = 8
_SMALLEST_SCALE = 1e-20
_LARGEST_SCALE = 1e20


def problems_of_quantisation(graph: GraphProto) -> Iterator[str]:
    """Yield what is wrong with whole numbers of 8 bits and the operators that make and take them.

    Parameters
    ----------
    graph : GraphProto
        Its tensors' bytes match their shapes.

    Yields
    ------
    str
        A problem, in the words of the guard.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    if len(stored) != len(graph.initializer):
        yield "two tensors of the graph share a name"
    # The type of each quantised tensor, stored or computed.
    quantised = {name: tensor.data_type for name, tensor in stored.items() if tensor.data_type in QUANTISED_TYPES}
    for node in graph.node:
        if node.op_type in QUANTISATION:
            if problem := _problem_of_node(node, stored, quantised):
                yield f"the operator {node.op_type} {problem}"
                return
            if node.op_type == "QuantizeLinear":
                quantised[node.output[0]] = stored[node.input[2]].data_type
        elif quantised.keys() & set(node.input):
            yield f"the operator {node.op_type} computes with whole numbers"
    if quantised.keys() & {value.name for value in graph.output}:
        yield "the graph gives a quantised tensor"


def stored_weights(graph: GraphProto) -> frozenset[str]:
    """Return the tensors that are stored weights, dequantised: as large as what the file really holds.

    Parameters
    ----------
    graph : GraphProto
        A graph with quantised layers.
    """
    stored = {tensor.name for tensor in graph.initializer}
    return frozenset(
        node.output[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored
    )


def _problem_of_node(node: NodeProto, stored: dict[str, TensorProto], quantised: dict[str, int]) -> str:
    """Look at one QuantizeLinear or DequantizeLinear."""
    for attribute in node.attribute:
        if attribute.name != "axis" or attribute.type != AttributeProto.INT or attribute.ref_attr_name:
            return f"carries {attribute.name[:40]!r}, only axis is admitted"
        if abs(attribute.i) > _LARGEST_RANK:
            return f"has the axis {attribute.i}"
    if len(node.input) != 3 or len(node.output) != 1:
        return "needs a tensor, a scale and a zero point, and gives one tensor"
    scale, zero = stored.get(node.input[1]), stored.get(node.input[2])
    if scale is None or zero is None:
        return "takes a scale or a zero point that is no stored number"
    if problem := _problem_of_scale(scale, zero):
        return problem
    if node.op_type == "QuantizeLinear":
        if node.input[0] in quantised or node.input[0] in stored:
            return "takes whole numbers or a stored tensor"
        return _problem_of_activation(scale, zero)
    if node.input[0] not in quantised:
        return "takes what is not quantised"
    if quantised[node.input[0]] != zero.data_type:
        return "has a zero point of another type than its input"
    weights = stored.get(node.input[0])
    return _problem_of_axis(node, scale, weights) if weights is not None else _problem_of_activation(scale, zero)


def _problem_of_scale(scale: TensorProto, zero: TensorProto) -> str:
    if scale.data_type != TensorProto.FLOAT or zero.data_type not in QUANTISED_TYPES:
        return "takes a scale that is not float32, or a zero point that is neither int8, uint8 nor int32"
    if len(scale.dims) > 1 or list(scale.dims) != list(zero.dims) or not math.prod(scale.dims):
        return f"has a scale of shape {list(scale.dims)} and a zero point of shape {list(zero.dims)}"
    values = onnx.numpy_helper.to_array(scale)
    if not np.all((values >= _SMALLEST_SCALE) & (values <= _LARGEST_SCALE)):
        return f"has a scale that is not positive, or outside of {_SMALLEST_SCALE:g} to {_LARGEST_SCALE:g}"
    if zero.data_type == TensorProto.INT32 and np.any(onnx.numpy_helper.to_array(zero)):
        return "has a zero point other than 0 for int32"
    return ""


def _problem_of_activation(scale: TensorProto, zero: TensorProto) -> str:
    if math.prod(scale.dims) != 1 or zero.data_type == TensorProto.INT32:
        return "has several scales, or int32, for a tensor that is computed"
    return ""


def _problem_of_axis(node: NodeProto, scale: TensorProto, weights: TensorProto) -> str:
    """Compare the scales of stored weights with the axis that they belong to."""
    axis = node.attribute[0].i if node.attribute else 1
    if list(scale.dims) in ([], [1]):
        return ""
    rank = len(weights.dims)
    if not -rank <= axis < rank or weights.dims[axis] != scale.dims[0]:
        return f"has {scale.dims[0]} scales for axis {axis} of the shape {list(weights.dims)}"
    return ""
