"""Convolutions of few outputs computed for blocks of pixels at once, which fills the vectors of a processor.

Libraries compute as many outputs of a pixel at once as a vector holds, 16 of float32 with AVX-512; the last layer of a model
of images, which has one, leaves 15 of them idle. A convolution of stride 4 with 16 outputs and a kernel larger by 3 gives
the same sums for blocks of 4 x 4 pixels. Most of what it multiplies by in addition is 0, yet it multiplies less often.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from .checked_graph import CheckedGraph
from .errors import ModelError

__all__ = ["with_wide_convolutions"]

# A vector holds so many outputs.
_LANES = 16
_BLOCKS = (4, 2)
# Sizes of the input in units of its multiple: where the first two give whole blocks all do, if sizes are affine in each other,
# which the last one tells; strides and scales may round.
_FAR = 48
_TRIALS = (16, 17, 16 + _FAR)
# DepthToSpace has had an order of channels to choose since then.
_SMALLEST_OPSET = 11
# Sizes and axes, whose values shapes depend on, are no larger [bytes].
_LARGEST_PARAMETER = 512


def with_wide_convolutions(graph: CheckedGraph) -> CheckedGraph:
    """Return the graph with its convolutions of few outputs and stored weights of float32 in blocks of pixels.

    Parameters
    ----------
    graph : CheckedGraph
        Of any precision; convolutions that are quantised or of another type stay as they are, and so do graphs of opsets
        before 11.

    Returns
    -------
    CheckedGraph
        Gives the same for inputs whose rows and columns are multiples of ``graph.multiple``, up to the order of sums.

    Raises
    ------
    ModelError
        If the graph holds names that only this function gives.

    References
    ----------
    * Shi, W. et al. (2016). Real-time single image and video super-resolution using an efficient sub-pixel convolutional
      neural network. CVPR. (A strided kernel as channels that are shuffled into pixels.)

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> from photopeak.engine.graph import check_graph
    >>> graph = check_graph(zoo.load_bundle("pet-sr-x2-srcnn"))
    >>> "DepthToSpace" in graph.operators, "DepthToSpace" in with_wide_convolutions(graph).operators
    (False, True)
    """
    model = onnx.load_model_from_string(graph.data)
    if model.opset_import[0].version < _SMALLEST_OPSET:
        return graph
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    few = [node for node in model.graph.node if _has_few_outputs(node, stored)]
    if not few:
        return graph
    try:
        sizes = [_sizes(model, steps * graph.multiple) for steps in _TRIALS]
        blocks = {node.output[0]: _block(stored[node.input[1]].dims[0], node.output[0], sizes) for node in few}
        blocks = {name: block for name, block in blocks.items() if block > 1}
        if not blocks:
            return graph
        model = _widened(model, blocks, stored)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # onnx's native code raises errors of its own
        raise ModelError(f"{graph.name} has no wide graph ({' '.join(str(error).split())[:200]}).") from error
    operators = tuple(sorted({node.op_type for node in model.graph.node}))
    return replace(graph, data=model.SerializeToString(deterministic=True), operators=operators)


def _has_few_outputs(node: NodeProto, stored: Mapping[str, TensorProto]) -> bool:
    """Return whether a node is a plain convolution that leaves most of a vector idle."""
    if node.op_type != "Conv" or any(name not in stored for name in node.input[1:]):
        return False
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    plain = all(set(given.get(name, [1])) == {1} for name in ("strides", "dilations")) and given.get("group", 1) == 1
    weights = stored[node.input[1]]
    if not plain or given.get("auto_pad", b"NOTSET") != b"NOTSET" or weights.data_type != TensorProto.FLOAT:
        return False
    # Kernels of one pixel share nothing between neighbours.
    return len(weights.dims) == 4 and weights.dims[0] * _BLOCKS[-1] ** 2 <= _LANES and min(weights.dims[2:]) > 1


def _sizes(model: ModelProto, side: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors for an input of side x side pixels; weights are but shapes, which takes no time."""
    graph = GraphProto(name="sizes", node=model.graph.node, input=model.graph.input, output=model.graph.output)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) <= _LARGEST_PARAMETER:
            graph.initializer.append(tensor)
        else:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    taken = graph.input[0].type.tensor_type.shape
    for axis, size in ((0, 1), (2, side), (3, side)):
        taken.dim[axis].dim_value = size
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    trial = ModelProto(ir_version=model.ir_version, graph=graph, opset_import=model.opset_import)
    inferred = onnx.shape_inference.infer_shapes(trial, data_prop=True).graph
    values = (*inferred.value_info, *inferred.output)
    return {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in values}


def _block(outputs: int, name: str, sizes: list[dict[str, tuple[int, ...]]]) -> int:
    """Return the side of the largest blocks that the layer's image always consists of, or 1."""
    known = [trial.get(name, ())[2:] for trial in sizes]
    if not all(shape and all(shape) for shape in known):  # there may be no such sizes, where a stored image is added
        return 1
    if any(far - size != _FAR * (near - size) for size, near, far in zip(*known, strict=True)):
        return 1
    fitting = (block for block in _BLOCKS if outputs * block**2 <= _LANES)
    return next((block for block in fitting if not any(size % block for shape in known for size in shape)), 1)


def _widened(model: ModelProto, blocks: Mapping[str, int], stored: Mapping[str, TensorProto]) -> ModelProto:
    """Rewrite the convolutions that give tensors of these names."""
    tensors = dict(stored)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        name = node.output[0]
        if name not in blocks:
            nodes.append(node)
            continue
        arrays = _blockwise(node, stored, blocks[name])
        if clash := tensors.keys() & arrays.keys():
            raise ValueError(f"it holds {min(clash)[:60]!r} already")
        tensors |= {key: numpy_helper.from_array(array, key) for key, array in arrays.items()}
        wide = helper.make_node("Conv", [node.input[0], *arrays], [f"{name}:blocks"], strides=[blocks[name]] * 2)
        wide.attribute.extend(attribute for attribute in node.attribute if attribute.name == "pads")
        nodes += [
            wide,
            helper.make_node("DepthToSpace", [f"{name}:blocks"], [name], blocksize=blocks[name], mode="CRD"),
        ]
    used = {name for node in nodes for name in node.input}
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(tensor for name, tensor in tensors.items() if name in used)
    return model


def _blockwise(node: NodeProto, stored: Mapping[str, TensorProto], block: int) -> dict[str, NDArray[np.float32]]:
    """Return the weights, and the bias if there is one, that give whole blocks of pixels."""
    weights, name = _weights(node, stored), node.output[0]
    outputs, inputs, rows, columns = weights.shape
    wide = np.zeros((outputs, block, block, inputs, rows + block - 1, columns + block - 1), np.float32)
    for row in range(block):
        for column in range(block):
            wide[:, row, column, :, row : row + rows, column : column + columns] = weights
    arrays = {f"{name}:wide": wide.reshape(-1, *wide.shape[3:])}
    if len(node.input) > 2:
        arrays[f"{name}:biases"] = np.repeat(numpy_helper.to_array(stored[node.input[2]]), block**2)
    return arrays


def _weights(node: NodeProto, stored: Mapping[str, TensorProto]) -> NDArray[np.float32]:
    return np.asarray(numpy_helper.to_array(stored[node.input[1]]), np.float32)
