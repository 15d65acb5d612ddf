import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from photopeak.engine.errors import ModelError
from photopeak.engine.graph import check_graph


def refused(bundle_factory, model, match):
    bundle = bundle_factory(model=model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(ModelError, match=match):
        check_graph(bundle)


@pytest.mark.parametrize("name", ["smooth", "anscombe", "quarters", "pooled"])
def test_plain_graph_is_accepted(bundle_factory, name):
    assert check_graph(bundle_factory(name)).graph.name == "test"


def test_what_is_not_onnx_is_refused(bundle_factory):
    refused(bundle_factory, b"\x80\x04pickle", "not ONNX")


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/passwd", "/proc/self/environ"])
def test_external_data_is_refused(bundle_factory, graph_of, location):
    model = graph_of("smooth")
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], location)
    refused(bundle_factory, model, "external file")


def test_external_data_in_a_constant_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    tensor = onnx.numpy_helper.from_array(np.ones(3, np.float32), "hidden")
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=tensor))
    refused(bundle_factory, model, "external file")


def test_custom_domain_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    refused(bundle_factory, model, "custom operator domain 'com.example'")


def test_custom_operator_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.graph.node[0].domain = "com.example"
    refused(bundle_factory, model, "com.example.Conv")


def test_endless_loop_is_refused(bundle_factory, graph_of):
    model = graph_of("anscombe")
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still_on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("still_on", TensorProto.BOOL, [])],
    )
    model.graph.node.append(helper.make_node("Loop", ["", ""], [], body=body))
    refused(bundle_factory, model, r"operator ai\.onnx\.Loop")


def test_function_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.functions.append(
        helper.make_function("local", "f", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [])
    )
    refused(bundle_factory, model, "function 'f'")


@pytest.mark.parametrize("dims", [[1 << 40, 1 << 20], [-4], [1, 1, 3, 4]], ids=["overflow", "negative", "mismatch"])
def test_shape_that_does_not_match_its_bytes_is_refused(bundle_factory, graph_of, dims):
    model = graph_of("smooth")
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    refused(bundle_factory, model, "tensor 'kernel' has")


def test_tensor_without_bytes_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].dims[0] = 1 << 40
    refused(bundle_factory, model, "no raw data")


@pytest.mark.parametrize(("field", "value", "match"), [("ir_version", 99, "IR version 99"), ("opset", 99, "opset 99")])
def test_too_new_graph_is_refused(bundle_factory, graph_of, field, value, match):
    model = graph_of("smooth")
    if field == "opset":
        model.opset_import[0].version = value
    else:
        model.ir_version = value
    refused(bundle_factory, model, match)


def test_other_names_than_in_the_manifest_are_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.graph.output[0].name = model.graph.node[0].output[0] = "picture"
    refused(bundle_factory, model, r"outputs are \['picture'\]")


@pytest.mark.parametrize(("axis", "match"), [(0, "fixes the number"), (3, "fixes the number")])
def test_fixed_size_is_refused(bundle_factory, graph_of, axis, match):
    model = graph_of("smooth")
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 16
    refused(bundle_factory, model, match)


def test_other_type_or_rank_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    refused(bundle_factory, model, "not float32")
    model = graph_of("smooth")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    refused(bundle_factory, model, "not of shape")


def test_dangling_graph_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.graph.node[0].input[0] = "nowhere"
    refused(bundle_factory, model, "ONNX's checker says")
