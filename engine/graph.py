"""What a graph must be before any library sees it.

The libraries that run graphs follow external data through links, load custom operators and run loops without end.
A model comes from outside, so all of that is refused beforehand.
"""

import math
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto
from onnx.external_data_helper import uses_external_data

from .bundle import Bundle, Manifest
from .errors import ModelError

__all__ = ["LARGEST_OPSET", "check_graph"]

LARGEST_IR_VERSION = 10
LARGEST_OPSET = 21
_STANDARD_DOMAINS = {"", "ai.onnx"}
# Control flow carries sub-graphs and need not end; none of our models has a use for it.
_FORBIDDEN_OPERATORS = {"If", "Loop", "Scan", "SequenceMap"}
_RANK = 4


def check_graph(bundle: Bundle) -> ModelProto:
    """Return the bundle's graph when it is harmless and as the manifest says.

    Parameters
    ----------
    bundle : Bundle
        An open bundle.

    Returns
    -------
    ModelProto
        The parsed graph.

    Raises
    ------
    ModelError
        If it is not ONNX, too new, uses external data, custom or control-flow operators, holds tensors whose bytes do
        not match their shapes, or has other inputs and outputs than the manifest.

    References
    ----------
    * ONNX, "External data" and "Open Neural Network Exchange IR".
    """
    where = bundle.folder
    try:
        model = onnx.load_model_from_string(bundle.model)
    except Exception as error:  # protobuf's own error class is private
        raise ModelError(f"{where}: the graph is not ONNX ({error}); export the bundle again.") from error
    problem = (
        _version_problem(model)
        or _operator_problem(model)
        or next(filter(None, map(_tensor_problem, model.graph.initializer)), "")
        or _interface_problem(model, bundle.manifest)
        or _checker_problem(model)
    )
    if problem:
        raise ModelError(f"{Path(where)}: {problem}; export the bundle again without it.")
    return model


def _version_problem(model: ModelProto) -> str:
    if model.ir_version > LARGEST_IR_VERSION:
        return f"IR version {model.ir_version} is newer than {LARGEST_IR_VERSION}, which all providers read"
    for opset in model.opset_import:
        if opset.domain not in _STANDARD_DOMAINS:
            return f"the graph imports the custom operator domain {opset.domain!r}"
        if opset.version > LARGEST_OPSET:
            return f"opset {opset.version} is newer than {LARGEST_OPSET}, which all providers run"
    return ""


def _operator_problem(model: ModelProto) -> str:
    if model.functions:
        return f"the graph defines the function {model.functions[0].name!r}"
    for node in model.graph.node:
        if node.domain not in _STANDARD_DOMAINS or node.op_type in _FORBIDDEN_OPERATORS:
            return f"the graph uses the operator {node.domain or 'ai.onnx'}.{node.op_type}"
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                return f"the operator {node.op_type} carries a sub-graph"
            if attribute.HasField("t") and (problem := _tensor_problem(attribute.t)):
                return problem
    return ""


def _tensor_problem(tensor: TensorProto) -> str:
    """Compare the bytes of a tensor with its shape before anyone allocates that shape."""
    if uses_external_data(tensor):
        return f"the tensor {tensor.name!r} lies in an external file"
    if any(size < 0 for size in tensor.dims):
        return f"the tensor {tensor.name!r} has the impossible shape {list(tensor.dims)}"
    if tensor.raw_data:
        try:
            itemsize = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        except KeyError:
            return f"the tensor {tensor.name!r} has the unknown type {tensor.data_type}"
        if len(tensor.raw_data) != math.prod(tensor.dims) * itemsize:
            return f"the tensor {tensor.name!r} has {len(tensor.raw_data)} bytes for the shape {list(tensor.dims)}"
    elif math.prod(tensor.dims) > 1 << 20:
        return f"the tensor {tensor.name!r} of shape {list(tensor.dims)} has no raw data"
    return ""


def _interface_problem(model: ModelProto, manifest: Manifest) -> str:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    for kind, values, name in (
        ("input", inputs, manifest.input.name),
        ("output", list(model.graph.output), manifest.output.name),
    ):
        if [value.name for value in values] != [name]:
            return f"the graph's {kind}s are {[value.name for value in values]} and not [{name!r}] as in the manifest"
        if problem := _value_problem(values[0]):
            return f"the {kind} {name!r} {problem}"
    return ""


def _value_problem(value: ValueInfoProto) -> str:
    kind = value.type.tensor_type
    if kind.elem_type != TensorProto.FLOAT:
        return "is not float32"
    dims = kind.shape.dim
    if len(dims) != _RANK or dims[1].dim_value != 1:
        return "is not of shape (n, 1, rows, columns)"
    if any(dims[axis].dim_value for axis in (0, 2, 3)):
        return "fixes the number of frames, rows or columns"
    return ""


def _checker_problem(model: ModelProto) -> str:
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        return f"ONNX's checker says: {' '.join(str(error).split())[:200]}"
    return ""
