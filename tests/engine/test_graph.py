import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from analysis_models import MODELS, make_manifest, make_model, write_finder
from photopeak.engine.errors import ModelError
from photopeak.engine.graph import OPERATORS, check_graph
from photopeak.engine.providers import Target, find


def refused(bundle_factory, model, match):
    bundle = bundle_factory(model=model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(ModelError, match=match):
        check_graph(bundle)


@pytest.mark.parametrize("name", ["smooth", "anscombe", "quarters", "pooled"])
def test_plain_graph_is_accepted(bundle_factory, name):
    graph = check_graph(bundle_factory(name))
    assert (graph.input, graph.output) == ("counts", "image")
    assert graph.operators


def test_what_is_not_onnx_is_refused(bundle_factory):
    refused(bundle_factory, b"\x80\x04pickle", "not valid ONNX")


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/passwd", "/proc/self/environ"])
def test_external_data_is_refused(bundle_factory, graph_of, location):
    model = graph_of("smooth")
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], location)
    refused(bundle_factory, model, "external file")


def test_external_data_in_a_constant_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    tensor = onnx.numpy_helper.from_array(np.ones(3, np.float32), "hidden")
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))
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


@pytest.mark.parametrize(
    "dims", [[1 << 40, 1 << 20], [-4], [1, 1, 3, 4], [1] * 100_000], ids=["overflow", "negative", "mismatch", "rank"]
)
def test_shape_that_does_not_match_its_bytes_is_refused(bundle_factory, graph_of, dims):
    model = graph_of("smooth")
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    refused(bundle_factory, model, "tensor 'kernel' has")


def test_tensor_without_bytes_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].dims[0] = 1 << 40
    refused(bundle_factory, model, "has 0 raw bytes")


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [("ir_version", 99, "IR version 99"), ("opset", 99, r"opset \[99\]"), ("opset", -5, r"opset \[-5\]")],
)
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
    refused(bundle_factory, model, "not valid ONNX")


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs, outputs, **attributes)


def graph(nodes, **weights):
    """Return a model from counts to image with the given nodes and weights."""
    body = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("counts", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, "rows", "columns"])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def whole(*values):
    return np.array(values, np.int64)


def added(nodes, **weights):
    """Return a graph that adds the largest value of the tensor `big` to the image."""
    return graph(
        [*nodes, node("ReduceMax", ["big"], ["m"], keepdims=0), node("Add", ["counts", "m"], ["image"])], **weights
    )


KERNEL = np.ones((1, 1, 3, 3), np.float32)
CHAIN = [node("Neg", [f"x{i}" if i else "counts"], [f"x{i + 1}"]) for i in range(5000)]
DOUBLED = [node("Concat", [f"x{i}" if i else "counts"] * 2, [f"x{i + 1}"], axis=1) for i in range(30)]
HOSTILE = {
    "division of the least number by -1": added([node("Div", ["a", "b"], ["big"])], a=whole(-(1 << 63)), b=whole(-1)),
    "division of small whole numbers": added([node("Div", ["a", "b"], ["big"])], a=whole(1), b=whole(0)),
    "huge constant": added([node("ConstantOfShape", ["s"], ["big"])], s=whole(1 << 20, 1 << 18)),
    "huge tile": added([node("Tile", ["counts", "r"], ["big"])], r=whole(1, 1 << 14, 1 << 8, 1 << 8)),
    "huge pad": added([node("Pad", ["counts", "p"], ["big"])], p=whole(0, 0, 1 << 20, 1 << 20, 0, 0, 0, 0)),
    "large pads": graph([node("Conv", ["counts", "k"], ["image"], pads=[1 << 61] * 4)], k=KERNEL),
    "many pads": graph([node("Conv", ["counts", "k"], ["image"], pads=[4096] * 4)], k=KERNEL),
    "huge resize": graph(
        [node("Resize", ["counts", "", "s"], ["image"])], s=np.array([1, 1, 60000, 60000], np.float32)
    ),
    "huge stride": graph([node("ConvTranspose", ["counts", "k"], ["image"], strides=[1 << 31] * 2)], k=KERNEL),
    "stride of zero": graph([node("MaxPool", ["counts"], ["image"], kernel_shape=[2, 2], strides=[0, 0])]),
    "no groups": graph([node("Conv", ["counts", "k"], ["image"], group=0, pads=[1] * 4)], k=KERNEL),
    "block of zero": graph([node("DepthToSpace", ["counts"], ["image"], blocksize=0)]),
    "long chain": graph([*CHAIN, node("Neg", ["x5000"], ["image"])]),
    "doubled thirty times": graph([*DOUBLED, node("Neg", ["x30"], ["image"])]),
    "random numbers": graph([node("RandomNormalLike", ["counts"], ["image"])]),
    "two channels": graph([node("Concat", ["counts", "counts"], ["image"], axis=1)]),
    "another scale": graph(
        [node("Conv", ["counts", "k"], ["four"]), node("DepthToSpace", ["four"], ["image"], blocksize=2)],
        k=np.ones((4, 1, 1, 1), np.float32),
    ),
    "sizes from data": graph([node("Shape", ["counts"], ["s"]), node("Resize", ["counts", "", "", "s"], ["image"])]),
    "strings": graph([node("Neg", ["counts"], ["image"])], s=np.array(["a"], object)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_graph_is_refused(bundle_factory, name):
    refused(bundle_factory, HOSTILE[name], "export")


def test_text_that_is_not_utf8_is_refused(bundle_factory):
    model = graph([node("FOUR", ["counts"], ["image"])]).SerializeToString().replace(b"FOUR", b"\xff\xfe\xff\xfe")
    refused(bundle_factory, model, "export")


@pytest.mark.parametrize("field", ["sparse", "training", "quantisation"])
def test_what_no_inference_needs_is_refused(bundle_factory, graph_of, field):
    model = graph_of("smooth")
    if field == "sparse":
        values = onnx.numpy_helper.from_array(np.ones(1, np.float32), "hidden")
        onnx.external_data_helper.set_external_data(values, "secret.bin")
        indices = onnx.numpy_helper.from_array(whole(5), "i")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [16]))
    elif field == "training":
        model.training_info.add().algorithm.name = "x"
    else:
        model.graph.quantization_annotation.add().tensor_name = "counts"
    refused(bundle_factory, model, "carries")


def varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def test_only_checked_fields_reach_the_providers(bundle_factory, graph_of):
    """OpenVINO guesses the format: a file may be ONNX for the guard and XML of another network for OpenVINO."""
    model = graph_of("anscombe").SerializeToString()
    head = b"\n " + b'<?xml version="1.0"?>\n      <!--'
    tail = b"--><net name='other' version='11'></net>"
    polyglot = head + model + varint(15 << 3 | 2) + varint(len(tail)) + tail
    checked = check_graph(bundle_factory("anscombe", model=polyglot))
    assert b"<net" not in checked.data
    assert b"<?xml" not in checked.data
    assert checked.data[:2] == b"\x08\n"
    assert b"ORTM" not in checked.data[:8]


def test_unknown_fields_inside_of_nodes_are_dropped(bundle_factory, graph_of):
    model = graph_of("anscombe")
    secret = varint(999 << 3 | 2) + varint(6) + b"hidden"
    model.graph.node[0].MergeFromString(secret)
    model.graph.initializer[0].MergeFromString(secret)
    assert b"hidden" in model.SerializeToString()
    assert b"hidden" not in check_graph(bundle_factory("anscombe", model=model.SerializeToString())).data


def refused_heads(folder, task, model, match):
    with pytest.raises(ModelError, match=match):
        check_graph(write_finder(folder / "bundle", task, model))


@pytest.mark.parametrize("task", MODELS)
def test_graph_of_heads_is_accepted(tmp_path, task):
    model = make_model(task)
    outputs = list(model.graph.output)[::-1]
    del model.graph.output[:]
    model.graph.output.extend(outputs)  # in any order
    bundle = write_finder(tmp_path / "bundle", task, model)
    graph = check_graph(bundle)
    assert (graph.input, graph.outputs, graph.scale) == ("image", bundle.manifest.heads, 0)
    assert set(graph.operators) <= OPERATORS


@pytest.mark.parametrize(
    ("task", "outputs", "match"),
    [
        (
            "classification",
            ("logits", "cam"),
            r"outputs are \['logits', 'cam'\] and not \['logits', 'cam', 'embedding'\]",
        ),
        ("classification", ("logits", "cam", "embedding", "features"), "outputs are"),
        ("classification", ("logits", "cam", "cam"), "outputs are"),
        ("classification", ("raw", "cam", "embedding"), "outputs are"),
        ("detection", ("heat", "cam", "embedding"), "outputs are"),
    ],
)
def test_other_heads_than_those_of_the_task_are_refused(tmp_path, task, outputs, match):
    refused_heads(tmp_path, task, make_model(task, outputs), match)


@pytest.mark.parametrize(
    ("task", "weight", "value", "match"),
    [
        ("classification", "classes", np.ones((3, 3, 1, 1), np.float32), r"'logits' is \(2, 3, 1, 1\) and not \(2, 2,"),
        ("classification", "filters", np.ones((4, 1, 4, 4), np.float32), "export"),
        ("classification", "filters", np.ones((3, 1, 5, 5), np.float32), "'cam' is 7x7, no whole fraction of 32x32"),
        ("detection", "filters", np.ones((1, 2, 9, 9), np.float32), "'heat' is"),
        ("detection", "axes", np.array([1, 2, 3, 4]), "export"),
    ],
)
def test_heads_of_other_sizes_are_refused(tmp_path, task, weight, value, match):
    model = make_model(task)
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == weight]
    tensor.CopyFrom(onnx.numpy_helper.from_array(value, weight))
    refused_heads(tmp_path, task, model, match)


def test_graph_with_another_embedding_than_its_domain_is_refused(tmp_path):
    embedding = {"mean": (0.0,), "precision": ((1.0,),), "limits": (1.0, 2.0)}
    analysis = make_manifest("classification").analysis.model_dump() | {"embedding": embedding}
    with pytest.raises(ModelError, match=r"'embedding' is \(2, 3, 1, 1\) and not \(2, 1, 1, 1\)"):
        check_graph(write_finder(tmp_path / "bundle", "classification", analysis=analysis))


@pytest.mark.parametrize(("axis", "match"), [(0, "fixes the number of frames"), (1, r"shape \(n, 2, rows, columns\)")])
def test_input_of_a_detector_has_its_channels_and_any_number_of_frames(tmp_path, axis, match):
    model = make_model("detection")
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 1
    refused_heads(tmp_path, "detection", model, match)


def test_head_must_be_float32_of_rank_4(tmp_path):
    model = make_model("detection")
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    refused_heads(tmp_path, "detection", model, "not float32")
    model = make_model("detection")
    del model.graph.output[0].type.tensor_type.shape.dim[3]
    refused_heads(tmp_path, "detection", model, "not of rank 4")


WHOLE = {
    "division of a sum of whole numbers": [node("ReduceSum", ["a", "axes"], ["x"]), node("Div", ["x", "x"], ["big"])],
    "largest of whole numbers": [node("ReduceMax", ["a", "axes"], ["big"])],
    "mean of whole numbers": [node("ReduceMean", ["a", "axes"], ["big"])],
    "padded whole numbers": [node("Pad", ["a", "axes"], ["big"])],
    "places of the largest": [node("MaxPool", ["counts"], ["y", "big"], kernel_shape=[2, 2])],
    "axes beyond the rank": [node("ReduceSum", ["counts", "beyond"], ["big"])],
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_are_axes_and_sizes_only(bundle_factory, name):
    weights = {"a": whole(0, 0), "axes": whole(0, 0), "beyond": whole(4000)}
    used = {key: value for key, value in weights.items() if any(key in one.input for one in WHOLE[name])}
    refused(bundle_factory, added(WHOLE[name], **used), "whole numbers|not float32|not valid ONNX")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "int8"])
def test_weights_that_an_old_file_lists_as_inputs_are_none(bundle_factory, graph_of, schemes_of, recipes, precision):
    model = graph_of("averaged")
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    bundle = bundle_factory("averaged", model=model.SerializeToString(), int8=schemes_of("averaged"))
    graph = check_graph(bundle, precision)
    assert [value.name for value in onnx.load_model_from_string(graph.data).graph.input] == ["counts"]
    if precision in ("fp32", "int8"):
        counts = np.random.default_rng(1).poisson(20, (1, 1, 16, 16)).astype(np.float32)
        output = find("onnxruntime").prepare(graph, Target(precision=precision)).lane().run(counts)
        np.testing.assert_allclose(output, recipes["averaged"].truth(counts), rtol=0.02)
