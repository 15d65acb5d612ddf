import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from analysis_models import MODELS, make_images, write_finder
from photopeak.engine import zoo
from photopeak.engine.errors import ModelError
from photopeak.engine.graph import check_graph
from photopeak.engine.typed_graph import with_bf16_convolutions

TOLERANCES = {"fp16": 2e-3, "bf16": 2e-2}
ELEMENTS = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
each_type = pytest.mark.parametrize("precision", ["fp16", "bf16"])


def run(graph, tensor):
    return ReferenceEvaluator(onnx.load_model_from_string(graph.data)).run(list(graph.outputs), {graph.input: tensor})


def types(graph):
    """Return the element type of every tensor that a typed graph computes, and of what its operators take."""
    inferred = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(graph.data), strict_mode=True).graph
    known = {
        value.name: value.type.tensor_type.elem_type
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    return inferred.node, known | {tensor.name: tensor.data_type for tensor in inferred.initializer}


@each_type
@pytest.mark.parametrize("name", ["smooth", "anscombe", "quarters", "pooled", "brightened"])
def test_typed_graph_gives_the_closed_form(bundle_factory, recipes, precision, name):
    counts = np.random.default_rng(3).poisson(20, (2, 1, 16, 24)).astype(np.float32)
    graph = check_graph(bundle_factory(name), precision)
    (output,) = run(graph, counts)
    expected = recipes[name].truth(counts)
    assert (output.dtype, graph.precision) == (np.float32, precision)
    np.testing.assert_allclose(output, expected, atol=TOLERANCES[precision] * expected.max())


@each_type
@pytest.mark.parametrize("model", zoo.names())
def test_convolutions_of_the_zoo_carry_the_type(model, precision):
    nodes, known = types(check_graph(zoo.load_bundle(model), precision))
    convolutions = [node for node in nodes if node.op_type in ("Conv", "ConvTranspose")]
    found = [{known[name] for name in (*node.input, *node.output)} for node in convolutions]
    assert set(map(frozenset, found)) <= {frozenset([ELEMENTS[precision]]), frozenset([TensorProto.FLOAT])}
    narrow = sum(types == {TensorProto.FLOAT} for types in found)
    # Of bfloat16 those of an image's few channels stay float32, depthwise ones among them.
    assert (narrow == 0) if precision == "fp16" else (0 < narrow < len(found))
    for node in nodes:
        if node.op_type in ("Sqrt", "Log", "ReduceMean", "ReduceSum"):
            assert known[node.output[0]] == TensorProto.FLOAT


@each_type
def test_typed_graph_is_the_same_each_time(precision):
    bundle = zoo.load_bundle("parathyroid-detect")
    assert check_graph(bundle, precision).data == check_graph(bundle, precision).data


@each_type
def test_sums_of_input_and_correction_keep_float32(precision):
    """Counts of 60000 survive: a graph that carried them in the type would be wrong by tens of counts, or infinite."""
    bundle = zoo.load_bundle("scint-denoise")
    counts = np.full((1, 1, 32, 32), 60000, np.float32)
    (exact,), (typed,) = run(check_graph(bundle), counts), run(check_graph(bundle, precision), counts)
    np.testing.assert_allclose(typed, exact, rtol=3e-3 if precision == "fp16" else 3e-2)


@each_type
@pytest.mark.parametrize("task", MODELS)
def test_heads_stay_float32(tmp_path, task, precision):
    bundle = write_finder(tmp_path / "bundle", task)
    images = make_images(task)
    for found, name in zip(run(check_graph(bundle, precision), images), bundle.manifest.heads, strict=True):
        expected = MODELS[task].truth(images)[name]
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() <= 3 * TOLERANCES[precision] * max(np.abs(expected).max(), 1)


def test_constant_becomes_a_weight_of_the_type(bundle_factory, graph_of):
    model = graph_of("smooth")
    (kernel,) = model.graph.initializer
    model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["kernel"], value=kernel))
    del model.graph.initializer[:]
    graph = check_graph(bundle_factory("smooth", model=model.SerializeToString()), "fp16")
    _, known = types(graph)
    assert known["kernel:fp16"] == TensorProto.FLOAT16


def test_weight_beyond_the_type_is_refused(bundle_factory, graph_of):
    model = graph_of("smooth")
    kernel = np.full((1, 1, 3, 3), 1e5, np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(kernel, "kernel"))
    bundle = bundle_factory("smooth", model=model.SerializeToString())
    with pytest.raises(ModelError, match=r"no fp16 graph.*'kernel' has values beyond fp16"):
        check_graph(bundle, "fp16")
    assert check_graph(bundle, "bf16").precision == "bf16"


@pytest.mark.parametrize("layer", ["same", "image"])
def test_other_convolutions_of_a_quantised_graph_may_be_bfloat16(schemes_of, bundle_factory, recipes, layer):
    """The quantised one keeps float32 round it, so that libraries see the pattern that they fuse."""
    checked = check_graph(bundle_factory("averaged", int8={layer: schemes_of("averaged")[layer]}), "int8")
    graph = with_bf16_convolutions(checked)
    nodes, known = types(graph)
    found = {node.output[0].partition(":")[0]: known[node.input[1]] for node in nodes if node.op_type == "Conv"}
    whole = {"many": TensorProto.FLOAT, layer: TensorProto.FLOAT}
    assert found == {"same": TensorProto.BFLOAT16, "image": TensorProto.BFLOAT16} | whole
    assert graph.precision == "int8"
    counts = np.random.default_rng(3).poisson(20, (1, 1, 16, 16)).astype(np.float32)
    # Counts are rounded to quarters, none at all; 8 bits of mantissa are left of the rest.
    np.testing.assert_allclose(run(graph, counts)[0], recipes["averaged"].truth(counts), rtol=1e-2, atol=0.05)
