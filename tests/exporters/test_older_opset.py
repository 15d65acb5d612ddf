import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime import InferenceSession

from photopeak.engine import zoo
from photopeak.engine.errors import ModelError
from photopeak.exporters.complete_graph import complete_graph
from photopeak.exporters.older_opset import IR_VERSION, OPSET, in_older_opset

IMAGE = np.random.default_rng(0).random((2, 3, 8, 6)).astype(np.float32)


def graph(nodes, opset=18, **weights):
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    taken = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])]
    given = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)]
    made = helper.make_graph(nodes, "test", taken, given, tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10).SerializeToString()


def run(data):
    return ReferenceEvaluator(onnx.load_model_from_string(data)).run(None, {"x": IMAGE})[0]


@pytest.mark.parametrize("name", zoo.names())
def test_every_model_that_ships_computes_the_same(name):
    bundle = zoo.load_bundle(name)
    given = complete_graph(bundle)
    older = in_older_opset(given, name)
    model = onnx.load_model_from_string(older)
    assert (model.opset_import[0].version, model.ir_version) == (OPSET, IR_VERSION)
    golden = (bundle.golden_heads if bundle.manifest.analysis else bundle.golden).input[:1]
    first, second = (
        InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {bundle.manifest.input.name: golden})
        for data in (given, older)
    )
    for one, other in zip(first, second, strict=True):
        assert np.abs(one - other).max() < 2e-6 * np.abs(one).max()


@pytest.mark.parametrize("kind", ["Max", "Mean", "Min", "L1", "SumSquare"])
def test_axes_of_reductions_become_attributes(kind):
    data = graph([helper.make_node(f"Reduce{kind}", ["x", "axes"], ["y"], keepdims=1)], axes=np.array([2, 3]))
    older = in_older_opset(data, "test")
    (node,) = onnx.load_model_from_string(older).graph.node
    assert list(node.input) == ["x"]
    assert not onnx.load_model_from_string(older).graph.initializer
    np.testing.assert_array_equal(run(older), run(data))


def test_axes_in_a_constant_node_are_found_too():
    axes = helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(np.array([1])))
    data = graph([axes, helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=1)])
    np.testing.assert_array_equal(run(in_older_opset(data, "test")), run(data))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_paddings_of_some_axes_name_all(mode):
    pads = {"pads": np.array([1, 2, 3, 0]), "axes": np.array([-1, 2])}
    nothing = ["zero"] if mode == "constant" else [""]
    weights = pads | ({"zero": np.float32(0)} if mode == "constant" else {})
    data = graph([helper.make_node("Pad", ["x", "pads", *nothing, "axes"], ["y"], mode=mode)], **weights)
    older = run(in_older_opset(data, "test"))
    assert older.shape == (2, 3, 10, 10)
    np.testing.assert_array_equal(older, run(data))


def test_older_graphs_keep_their_opset():
    data = graph([helper.make_node("Relu", ["x"], ["y"])], opset=13)
    model = onnx.load_model_from_string(in_older_opset(data, "test"))
    assert (model.opset_import[0].version, model.ir_version) == (13, IR_VERSION)


@pytest.mark.parametrize(
    ("node", "opset", "weights", "complaint"),
    [
        (helper.make_node("Gelu", ["x"], ["y"]), 20, {}, "test: the operator Gelu of opset 20 has no form in 17"),
        (
            helper.make_node("Resize", ["x", "", "scales"], ["y"], antialias=1, mode="linear"),
            18,
            {"scales": np.array([1, 1, 0.5, 0.5], np.float32)},
            "test: Resize filters before it resizes",
        ),
        (helper.make_node("ReduceMean", ["x"], ["y"], noop_with_empty_axes=1), 18, {}, "reduces nothing where no axes"),
    ],
    ids=["Gelu", "Resize", "ReduceMean"],
)
def test_what_has_no_form_is_refused_by_name(node, opset, weights, complaint):
    with pytest.raises(ModelError, match=complaint):
        in_older_opset(graph([node], opset, **weights), "test")


def test_computed_axes_are_refused():
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"], start=0, end=1),
        helper.make_node("ReduceMean", ["x", "sizes"], ["y"]),
    ]
    with pytest.raises(ModelError, match="takes axes that are computed"):
        in_older_opset(graph(nodes), "test")
