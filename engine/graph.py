"""What a graph must be before any library sees it.

The libraries that run graphs guess file formats, follow external data, fold constants while loading and divide by zero in
native code. A model comes from outside, so nothing of its file reaches them: the graph is rebuilt from the fields that were
checked, and only such a :class:`CheckedGraph` can be prepared.
"""

import math
from collections.abc import Iterator

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from .bundle import INT8, MODEL, Bundle
from .checked_graph import CheckedGraph
from .errors import ModelError
from .golden import head_shapes, problem_of_head
from .manifest import Manifest
from .precisions import Precision
from .quantised_graph import quantised_graph
from .typed_graph import typed_graph

__all__ = ["LARGEST_OPSET", "OPERATORS", "CheckedGraph", "check_graph"]

LARGEST_IR_VERSION = 10
# Weights are no inputs from this version on.
_SMALLEST_IR_VERSION = 4
LARGEST_OPSET = 21
OPERATORS = frozenset(
    [
        "Abs",
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Clip",
        "Concat",
        "Constant",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "Div",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "InstanceNormalization",
        "LeakyRelu",
        "Log",
        "LogSoftmax",
        "Max",
        "MaxPool",
        "Mean",
        "Min",
        "Mul",
        "Neg",
        "PRelu",
        "Pad",
        "Pow",
        "Reciprocal",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        "Relu",
        "Resize",
        "Sigmoid",
        "Sign",
        "Softmax",
        "Softplus",
        "SpaceToDepth",
        "Sqrt",
        "Sub",
        "Sum",
        "Tanh",
    ]
)
# Whole numbers appear only as sizes and axes; arithmetic on them (INT64_MIN / -1) ends the process.
_TAKE_WHOLE_NUMBERS = frozenset(
    ["Pad", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Resize"]
)
_ATTRIBUTES = frozenset(
    [
        AttributeProto.FLOAT,
        AttributeProto.FLOATS,
        AttributeProto.INT,
        AttributeProto.INTS,
        AttributeProto.STRING,
        AttributeProto.TENSOR,
    ]
)
# Bytes of a value.
_TYPES: dict[int, int] = {TensorProto.FLOAT: 4, TensorProto.INT64: 8}
_POSITIVE = frozenset(["blocksize", "dilations", "group", "kernel_shape", "strides"])
_STANDARD_DOMAINS = frozenset(["", "ai.onnx"])
_LARGEST_ATTRIBUTE = 4096
_MOST_NODES = 4096
_MOST_WHOLE_NUMBERS = 64
_LARGEST_RANK = 8
# Values of one intermediate tensor for each pixel of the input: 1024 channels at full size.
_MOST_VALUES_PER_PIXEL = 1024
_TRIAL_STEPS = 16


def check_graph(bundle: Bundle, precision: Precision = "fp32") -> CheckedGraph:
    """Return a graph of the bundle when it is harmless and as the manifest says.

    Parameters
    ----------
    bundle : Bundle
        An open bundle.
    precision : {"fp32", "bf16", "fp16", "int8"}
        ``fp32`` is the bundle's own graph; the others are derived from it when it was checked, ``int8`` with the schemes that
        the bundle holds.

    Returns
    -------
    CheckedGraph
        What providers take.

    Raises
    ------
    ModelError
        If it is not ONNX, too new or too large, uses external data, sub-graphs or operators outside of ``OPERATORS``, holds
        tensors whose bytes do not match their shapes, or has another input, other outputs or sizes than the manifest; of
        ``int8`` also if the bundle holds no schemes, or such that do not fit the graph.

    References
    ----------
    * ONNX, "External data" and "Open Neural Network Exchange IR".

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> check_graph(zoo.load_bundle("scint-denoise"), "bf16").precision
    'bf16'
    """
    if precision in ("bf16", "fp16"):
        return typed_graph(check_graph(bundle), precision)
    if precision == "int8":
        if bundle.int8 is None:
            raise ModelError(
                f"{bundle.folder} holds no {INT8}; make one with 'photopeak export --to bundle --precision int8'."
            )
        return quantised_graph(check_graph(bundle), bundle.int8)
    try:
        given = onnx.load_model_from_string(bundle.model)
        problem = _problem_of_model(given) or next(_problems_of_graph(given.graph), "")
        if not problem:
            clean = _rebuilt(given)
            problem = _problem_of_interface(clean.graph, bundle.manifest) or _problem_of_shapes(clean, bundle.manifest)
    except Exception as error:  # protobuf, its text and onnx's native code each raise errors of their own
        raise ModelError(
            f"{bundle.folder / MODEL}: the graph is not valid ONNX ({_line(error)}); export it again."
        ) from error
    if problem:
        raise ModelError(f"{bundle.folder / MODEL}: {problem}; export the bundle again without it.")
    manifest = bundle.manifest
    return CheckedGraph(
        manifest.name,
        clean.SerializeToString(deterministic=True),
        manifest.input.name,
        manifest.heads,
        scale=0 if manifest.analysis else manifest.image_output.scale,
        operators=tuple(sorted({node.op_type for node in clean.graph.node})),
        bundle=bundle.digest,
        multiple=manifest.input.multiple,
    )


def _problem_of_model(model: ModelProto) -> str:
    """Look at everything but the contents of the graph."""
    if model.ir_version > LARGEST_IR_VERSION:
        return f"IR version {model.ir_version} is newer than {LARGEST_IR_VERSION}, which all providers read"
    domains = [opset.domain for opset in model.opset_import]
    if foreign := set(domains) - _STANDARD_DOMAINS:
        return f"the graph imports the custom operator domain {min(foreign)!r}"
    if len(domains) != 1 or not 7 <= model.opset_import[0].version <= LARGEST_OPSET:
        return f"the graph needs opset {[o.version for o in model.opset_import]} and not one from 7 to {LARGEST_OPSET}"
    if model.functions:
        return f"the graph defines the function {model.functions[0].name!r}"
    if model.training_info:
        return "the graph carries training information"
    if model.graph.sparse_initializer or model.graph.quantization_annotation:
        return "the graph carries sparse tensors or quantisation annotations"
    if len(model.graph.node) > _MOST_NODES:
        return f"the graph has {len(model.graph.node)} nodes, more than {_MOST_NODES}"
    return ""


def _problems_of_graph(graph: GraphProto) -> Iterator[str]:
    """Yield what is wrong with tensors and nodes."""
    whole_numbers = set()
    for tensor in graph.initializer:
        yield from filter(None, [_problem_of_tensor(tensor)])
        if tensor.data_type != TensorProto.FLOAT:
            whole_numbers.add(tensor.name)
    for node in graph.node:
        yield from filter(None, [_problem_of_node(node)])
        if node.op_type == "Constant" and any(map(_is_whole, node.attribute)):
            whole_numbers.update(node.output)
        elif whole_numbers.intersection(node.input[: 1 if node.op_type in _TAKE_WHOLE_NUMBERS else None]):
            yield f"the operator {node.op_type} computes with whole numbers"


def _problem_of_node(node: NodeProto) -> str:
    if node.domain not in _STANDARD_DOMAINS or node.op_type not in OPERATORS:
        return f"the graph uses the operator {node.domain or 'ai.onnx'}.{node.op_type}"
    for attribute in node.attribute:
        if attribute.type not in _ATTRIBUTES or attribute.ref_attr_name:
            return f"the operator {node.op_type} carries a sub-graph or another attribute that is no plain value"
        if any(abs(value) > _LARGEST_ATTRIBUTE for value in (attribute.i, *attribute.ints)):
            return f"{attribute.name} of the operator {node.op_type} is larger than {_LARGEST_ATTRIBUTE}"
        if attribute.name in _POSITIVE and any(value < 1 for value in attribute.ints or [attribute.i]):
            return f"{attribute.name} of the operator {node.op_type} is below 1"
        if attribute.type == AttributeProto.TENSOR and (problem := _problem_of_tensor(attribute.t)):
            return problem
    return ""


def _is_whole(attribute: AttributeProto) -> bool:
    """Return whether a constant's value is whole numbers."""
    if attribute.type == AttributeProto.TENSOR:
        return bool(attribute.t.data_type != TensorProto.FLOAT)
    return attribute.type not in (AttributeProto.FLOAT, AttributeProto.FLOATS)


def _problem_of_tensor(tensor: TensorProto) -> str:
    """Compare the bytes of a tensor with its shape before anyone allocates that shape."""
    if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
        return f"the tensor {tensor.name!r} lies in an external file"
    if tensor.data_type not in _TYPES:
        return f"the tensor {tensor.name!r} is of a type that is not admitted, such as float32 and int64 are"
    if len(tensor.dims) > _LARGEST_RANK or any(size < 1 for size in tensor.dims):
        shape = list(tensor.dims)[: _LARGEST_RANK + 1]
        # an empty list is how Resize says that a parameter is not given
        if list(tensor.dims) != [0] or tensor.raw_data:
            return f"the tensor {tensor.name!r} has the impossible shape {shape}"
    values = math.prod(tensor.dims)
    if len(tensor.raw_data) != values * _TYPES[tensor.data_type]:
        return f"the tensor {tensor.name!r} has {len(tensor.raw_data)} raw bytes for the shape {list(tensor.dims)}"
    if tensor.data_type == TensorProto.INT64:
        numbers = onnx.numpy_helper.to_array(tensor).ravel().tolist()
        if values > _MOST_WHOLE_NUMBERS or any(abs(number) > _LARGEST_ATTRIBUTE for number in numbers):
            return f"the tensor {tensor.name!r} holds more or larger whole numbers than sizes and axes need"
    return ""


def _rebuilt(given: ModelProto) -> ModelProto:
    """Return a model of nothing but checked fields; unknown ones may hide another format for another reader."""
    graph = GraphProto(name="graph")
    graph.node.extend(given.graph.node)
    graph.initializer.extend(given.graph.initializer)
    # Old files list weights as inputs too; whoever replaces a weight would leave an input that nobody gives.
    stored = {tensor.name for tensor in given.graph.initializer}
    graph.input.extend(value for value in given.graph.input if value.name not in stored)
    graph.output.extend(given.graph.output)
    version = max(given.ir_version, _SMALLEST_IR_VERSION)
    model = ModelProto(ir_version=version, graph=graph, opset_import=given.opset_import)
    model.DiscardUnknownFields()
    return model


def _problem_of_interface(graph: GraphProto, manifest: Manifest) -> str:
    for kind, values, names in (
        ("input", list(graph.input), [manifest.input.name]),
        ("output", list(graph.output), list(manifest.heads)),
    ):
        if sorted(value.name for value in values) != sorted(names):
            return f"the graph's {kind}s are {[value.name for value in values]} and not {names} as in the manifest"
        for value in values:
            if problem := _problem_of_value(value, manifest, kind):
                return f"the {kind} {value.name!r} {problem}"
    return ""


def _problem_of_value(value: ValueInfoProto, manifest: Manifest, kind: str) -> str:
    tensor = value.type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        return "is not float32"
    dims = tensor.shape.dim
    if manifest.analysis and kind == "output":
        # Sizes are compared on a trial input, where they are numbers.
        if len(dims) != 4:
            return "is not of rank 4"
        return "fixes the number of frames" if dims[0].dim_value else ""
    depth = manifest.input.depth
    if len(dims) != 4 or dims[1].dim_value != depth:
        return f"is not of shape (n, {depth}, rows, columns)"
    if any(dims[axis].dim_value for axis in (0, 2, 3)):
        return "fixes the number of frames, rows or columns"
    return ""


def _problem_of_shapes(model: ModelProto, manifest: Manifest) -> str:
    """Infer every shape for a trial input: nothing may explode, and outputs must have the sizes that the manifest says."""
    onnx.checker.check_model(model)
    tensor = _trial_shape(manifest)
    pixels = tensor[0] * tensor[2] * tensor[3]
    inferred = _inferred(model, tensor)
    values = {value.name: value for value in (*inferred.value_info, *inferred.output)}
    for node in inferred.node:
        for name in filter(None, node.output):
            shape = _shape(values[name]) if name in values else ()
            if not all(shape) or len(shape) > _LARGEST_RANK or not shape:
                return f"the size of {name!r} from the operator {node.op_type} cannot be told beforehand"
            if math.prod(shape) > _MOST_VALUES_PER_PIXEL * pixels:
                return f"the operator {node.op_type} makes {math.prod(shape)} values of {pixels} pixels"
            if node.op_type != "Constant" and values[name].type.tensor_type.elem_type != TensorProto.FLOAT:
                return f"the operator {node.op_type} gives {name!r}, which is not float32"
    found = {name: _shape(values[name]) for name in manifest.heads}
    if manifest.analysis is None:
        output = manifest.image_output
        wanted = (tensor[0], 1, output.scale * tensor[2], output.scale * tensor[3])
        if found[output.name] != wanted:
            return (
                f"the graph makes {found[output.name]} of {tensor[2]}x{tensor[3]} pixels, the scale is {output.scale}"
            )
    wanted_heads = head_shapes(manifest, tensor).items()
    return next(filter(None, (problem_of_head(name, shape, found[name], tensor) for name, shape in wanted_heads)), "")


def _trial_shape(manifest: Manifest) -> tuple[int, int, int, int]:
    """Return the shape of an input that the engine may give to the graph."""
    taken = manifest.input
    if taken.grid and taken.grid.side:
        return 2, taken.depth, taken.grid.side, taken.grid.side
    side = _TRIAL_STEPS * taken.multiple
    # Axes that were mixed up show only where their sizes differ.
    return 2, taken.depth, side, side + taken.multiple


def _inferred(model: ModelProto, tensor: tuple[int, int, int, int]) -> GraphProto:
    """Return the graph with the shapes of all tensors for an input of this shape."""
    trial = ModelProto()
    trial.CopyFrom(model)
    for axis, size in enumerate(tensor):
        trial.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    for output in trial.graph.output:
        output.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(trial, strict_mode=True, data_prop=True).graph


def _shape(value: ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
