"""What may stand round whole numbers of 8 bits, and what an attacker would put there."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from photopeak.engine.errors import ModelError
from photopeak.engine.graph import check_graph


def refused(bundle_factory, model, match):
    bundle = bundle_factory("smooth", int8=model.SerializeToString())
    with pytest.raises(ModelError, match=match):
        check_graph(bundle, "int8")


@pytest.mark.parametrize("name", ["smooth", "anscombe", "quarters", "pooled"])
def test_quantised_graph_is_accepted(bundle_factory, quantised_of, name):
    graph = check_graph(bundle_factory(name, int8=quantised_of(name).SerializeToString()), "int8")
    assert (graph.input, graph.output, graph.precision) == ("counts", "image", "int8")
    assert ("QuantizeLinear" in graph.operators) == (name in ("smooth", "quarters"))


def test_graph_of_float32_may_not_be_quantised(bundle_factory, quantised_of):
    bundle = bundle_factory("smooth", model=quantised_of("smooth").SerializeToString())
    with pytest.raises(ModelError, match="'zero' is of a type that is not admitted"):
        check_graph(bundle)


def test_bundle_without_a_quantised_graph_says_how_to_make_one(bundle_factory):
    with pytest.raises(ModelError, match=r"holds no model\.int8\.onnx; make one with 'photopeak export"):
        check_graph(bundle_factory(), "int8")


def replaced(model, name, value):
    """Replace a stored tensor."""
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(value), name))
    return model


F32 = np.float32
TENSORS = {
    "scale of zero": ("step", F32(0), "scale that is not positive"),
    "negative scale": ("step", F32(-1), "scale that is not positive"),
    "scale that is not a number": ("step", F32("nan"), "scale that is not positive"),
    "infinite scale": ("step", F32("inf"), "scale that is not positive"),
    "scale whose reciprocal overflows": ("step", np.float32(1e-40), "scale that is not positive"),
    "several scales of a computed tensor": ("step", np.ones(2, F32), "zero point of shape"),
    "no scale": ("step", np.ones(0, F32), "impossible shape|zero point of shape"),
    "scale of whole numbers": ("step", np.int64(1), "not float32"),
    "zero point of int32": ("zero", np.int32(0), "int32"),
    "zero point of another type": ("none", np.uint8(0), "zero point of another type"),
    "zero point of float32": ("none", F32(0), "neither int8, uint8 nor int32"),
    "zero points of another shape": ("none", np.zeros(3, np.int8), "zero point of shape"),
    "weights of float32": ("kernel.whole", np.ones((1, 1, 3, 3), F32), "takes what is not quantised"),
    "weights of int64": ("kernel.whole", np.ones((1, 1, 3, 3), np.int64), "takes what is not quantised"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_hostile_tensor_is_refused(bundle_factory, quantised_of, name):
    tensor, value, match = TENSORS[name]
    refused(bundle_factory, replaced(quantised_of("smooth"), tensor, value), match)


def test_zero_point_of_int32_is_none(bundle_factory, quantised_of):
    model = replaced(quantised_of("smooth"), "kernel.whole", np.ones((1, 1, 3, 3), np.int32))
    refused(bundle_factory, replaced(model, "none", np.int32(3)), "zero point other than 0")


@pytest.mark.parametrize(
    ("count", "axis", "match"),
    [(1, 0, None), (2, 0, "2 scales for axis 0"), (3, 3, None), (3, 1, "3 scales for axis 1"), (3, 99, "axis 99")],
)
def test_scales_of_weights_fit_their_axis(bundle_factory, quantised_of, count, axis, match):
    """Libraries index scales by the axis: too few of them are read beyond their end."""
    model = quantised_of("smooth")
    replaced(model, "kernel.scale", np.full(count, 1e-3, F32))
    replaced(model, "none", np.zeros(count, np.int8))
    model.graph.node[2].attribute.append(helper.make_attribute("axis", axis))
    if match:
        refused(bundle_factory, model, match)
    else:
        assert check_graph(bundle_factory("smooth", int8=model.SerializeToString()), "int8").operators


def test_bytes_of_weights_match_their_shape(bundle_factory, quantised_of):
    model = quantised_of("smooth")
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == "kernel.whole"]
    tensor.dims[0] = 1 << 40
    refused(bundle_factory, model, "has 9 raw bytes")


def test_weights_in_another_file_are_refused(bundle_factory, quantised_of):
    model = quantised_of("smooth")
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == "kernel.whole"]
    onnx.external_data_helper.set_external_data(tensor, "/proc/self/mem")
    refused(bundle_factory, model, "external file")


def with_node(model, place, node):
    model.graph.node.insert(place, node)
    return model


def test_scale_that_is_computed_is_refused(bundle_factory, quantised_of):
    model = with_node(quantised_of("smooth"), 0, helper.make_node("ReduceMax", ["counts"], ["found"], keepdims=0))
    model.graph.node[1].input[1] = "found"
    refused(bundle_factory, model, "no stored number")


@pytest.mark.parametrize(
    ("node", "match"),
    [
        (helper.make_node("Add", ["counts.q", "counts.q"], ["x"]), "Add computes with whole numbers"),
        (helper.make_node("MaxPool", ["counts.q"], ["x"], kernel_shape=[2, 2]), "MaxPool computes with whole numbers"),
        (helper.make_node("Div", ["kernel.whole", "kernel.whole"], ["x"]), "Div computes with whole numbers"),
        (helper.make_node("Pad", ["counts", "kernel.whole"], ["x"]), "Pad computes with whole numbers"),
        (helper.make_node("QuantizeLinear", ["counts.q", "step", "zero"], ["x"]), "takes whole numbers"),
        (helper.make_node("DequantizeLinear", ["counts", "step", "zero"], ["x"]), "takes what is not quantised"),
        (helper.make_node("QuantizeLinear", ["counts", "step"], ["x"]), "needs a tensor, a scale and a zero point"),
        (helper.make_node("QuantizeLinear", ["counts", "step", "none"], ["x"], saturate=0), "carries 'saturate'"),
        (helper.make_node("QuantizeLinear", ["counts", "step", "zero"], ["x"], domain="evil"), r"evil\.QuantizeLinear"),
        (helper.make_node("QLinearConv", ["counts"], ["x"]), "operator ai.onnx.QLinearConv"),
        (helper.make_node("Cast", ["counts"], ["x"], to=TensorProto.INT8), "operator ai.onnx.Cast"),
        (helper.make_node("DynamicQuantizeLinear", ["counts"], ["x", "y", "z"]), "DynamicQuantizeLinear"),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_whole_numbers_of_8_bits_stand_between_their_operators_only(bundle_factory, quantised_of, node, match):
    refused(bundle_factory, with_node(quantised_of("smooth"), 1, node), match)


def test_constant_of_8_bits_is_refused(bundle_factory, quantised_of):
    value = onnx.numpy_helper.from_array(np.zeros(4, np.int8), "hidden")
    node = helper.make_node("Constant", [], ["x"], value=value)
    refused(bundle_factory, with_node(quantised_of("smooth"), 0, node), "not admitted")


def test_output_may_not_be_quantised(bundle_factory, quantised_of):
    model = quantised_of("smooth")
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "image"
    model.graph.node[-1].output[0] = "other"
    refused(bundle_factory, model, "gives a quantised tensor")


def test_two_tensors_of_one_name_are_refused(bundle_factory, quantised_of):
    """Which of them a library reads is its own affair: one is checked and the other one runs."""
    model = quantised_of("smooth")
    model.graph.initializer.append(onnx.numpy_helper.from_array(F32(0.5), "step"))
    refused(bundle_factory, model, "share a name|not valid ONNX")


def test_graph_grows_no_more_than_one_of_float32(bundle_factory, quantised_of):
    """What the operator makes of stored bytes is four times their size; what is computed keeps its limit."""
    model = quantised_of("smooth")
    scale = onnx.numpy_helper.from_array(np.array([1, 1, 100, 100], F32), "times")
    model.graph.initializer.append(scale)
    nodes = [
        helper.make_node("Resize", ["counts", "", "times"], ["large"], mode="nearest"),
        helper.make_node("QuantizeLinear", ["large", "step", "zero"], ["large.q"]),
    ]
    for node in reversed(nodes):
        with_node(model, 0, node)
    refused(bundle_factory, model, "the operator Resize makes")
