"""A graph in opset 17 and IR version 8, for runtimes of 2022 such as the one that deepImageJ loads."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, defs, helper, numpy_helper

from ..engine.errors import ModelError

__all__ = ["IR_VERSION", "OPSET", "in_older_opset"]

# JDLL, which runs models for deepImageJ, takes ONNX Runtime 1.12 for opset 17, and for opset 18 one that does not have it yet.
OPSET, IR_VERSION = 17, 8
Weights = dict[str, onnx.TensorProto]


def in_older_opset(data: bytes, name: str) -> bytes:
    """Return the same computation in opset 17.

    Parameters
    ----------
    data : bytes
        Serialised ONNX, of opset 18 or of any whose operators did not change since 17 otherwise than in opset 18.
    name : str
        Of the model, for messages.

    Returns
    -------
    bytes
        Serialised ONNX; axes of reductions are attributes again, paddings name all axes. Older graphs stay as they are, but
        for the IR version.

    Raises
    ------
    ModelError
        If an operator has no form in opset 17.

    References
    ----------
    * ONNX Operator Schemas and Changelog; ONNX Runtime, Compatibility, "ONNX opset support".

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> older = onnx.load_model_from_string(in_older_opset(zoo.load_bundle("cxr-view").model, "cxr-view"))
    >>> older.opset_import[0].version, older.ir_version
    (17, 8)
    """
    model = onnx.load_model_from_string(data)
    (opset,) = [entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    weights |= {node.output[0]: node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"}
    if opset.version > OPSET:
        for node in model.graph.node:
            _lower(node, weights, opset.version, name)
        opset.version = OPSET
    model.ir_version = min(model.ir_version, IR_VERSION)
    _keep_used(model, weights)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _lower(node: NodeProto, weights: Weights, opset: int, name: str) -> None:
    since = defs.get_schema(node.op_type, opset).since_version
    if since <= OPSET:
        return
    rule = _RULES.get(node.op_type)
    if since != 18 or rule is None:
        raise ModelError(f"{name}: the operator {node.op_type} of opset {since} has no form in {OPSET}; leave it out.")
    if problem := rule(node, weights):
        raise ModelError(f"{name}: {node.op_type} {problem}, which has no form in opset {OPSET}; leave it out.")


def _axes_to_attribute(node: NodeProto, weights: Weights) -> str:
    """Make the axes of a reduction an attribute."""
    attributes = _drop(node, "noop_with_empty_axes")
    if len(node.input) < 2 or not node.input[1]:
        return "reduces nothing where no axes are given" if attributes.get("noop_with_empty_axes") else ""
    axes = _whole_numbers(node.input[1], weights)
    if axes is None:
        return "takes axes that are computed"
    del node.input[1:]
    node.attribute.append(helper.make_attribute("axes", axes))
    return ""


def _all_axes(node: NodeProto, weights: Weights) -> str:
    """Give paddings for every axis of a tensor of rank 4 where only some are named."""
    if len(node.input) < 4 or not node.input[3]:
        return ""
    axes, pads = (_whole_numbers(node.input[k], weights) for k in (3, 1))
    if axes is None or pads is None:
        return "takes axes or paddings that are computed"
    whole = np.zeros((2, 4), np.int64)
    whole[:, np.array(axes) % 4] = np.reshape(pads, (2, len(axes)))
    given = f"{node.input[1]}_of_all_axes_{node.name or node.output[0]}"
    weights[given] = numpy_helper.from_array(whole.ravel(), given)
    node.input[1] = given
    del node.input[3:]
    return ""


def _plain_resize(node: NodeProto, weights: Weights) -> str:
    """Drop what opset 18 added to the resizing where it is not used."""
    attributes = _drop(node, "antialias", "keep_aspect_ratio_policy")
    if attributes.get("antialias") or attributes.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
        return "filters before it resizes, or keeps the aspect"
    return "names axes" if any(one.name == "axes" for one in node.attribute) else ""


_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
_RULES: dict[str, Callable[[NodeProto, Weights], str]] = {
    "Pad": _all_axes,
    "Resize": _plain_resize,
    **{f"Reduce{kind}": _axes_to_attribute for kind in _REDUCTIONS},
}


def _drop(node: NodeProto, *names: str) -> dict[str, object]:
    """Take attributes away and return their values."""
    found = {one.name: helper.get_attribute_value(one) for one in node.attribute if one.name in names}
    kept = [one for one in node.attribute if one.name not in names]
    del node.attribute[:]
    node.attribute.extend(kept)
    return found


def _whole_numbers(name: str, weights: Weights) -> list[int] | None:
    return [int(value) for value in numpy_helper.to_array(weights[name]).ravel()] if name in weights else None


def _keep_used(model: ModelProto, weights: Weights) -> None:
    """Keep the weights that a node takes, with those that were made."""
    used = {name for node in model.graph.node for name in node.input} - {
        name for node in model.graph.node for name in node.output
    }
    kept = [tensor for name, tensor in weights.items() if name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
