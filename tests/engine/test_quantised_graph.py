"""The graph of int8 is what its schemes say, the same on every machine, and nothing else can come of a bundle's files."""

import io

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from photopeak.engine import zoo
from photopeak.engine.bundle import Scheme
from photopeak.engine.errors import ModelError
from photopeak.engine.graph import check_graph
from photopeak.engine.quantised_graph import find_layers, quantised, whole_weights
from small_networks import residual_network

F32 = np.float32


def run(model, images):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"counts": images})[0]


@pytest.fixture
def images():
    return np.random.default_rng(2).poisson(20, (3, 1, 16, 24)).astype(F32)


def test_layers_are_convolutions_of_eight_channels_or_more():
    layers = find_layers(residual_network())
    assert [layer.name for layer in layers] == ["second", "third"]
    assert [layer.weights.shape for layer in layers] == [(8, 8, 3, 3), (1, 8, 3, 3)]
    assert (layers[0].strides, layers[0].dilations, layers[0].pads) == ((1, 1), (1, 1), (1, 1, 1, 1))
    assert (layers[1].bias == 0).all()


@pytest.mark.parametrize(
    ("change", "left"),
    [({"group": 8}, 1), ({"auto_pad": "SAME_UPPER"}, 1), ({"dilations": [1, 1]}, 2)],
    ids=["groups", "automatic pads", "plain"],
)
def test_other_convolutions_stay_as_they_are(change, left):
    model = residual_network()
    (second,) = [node for node in model.graph.node if node.output[0] == "second"]
    for name, value in change.items():
        kept = [attribute for attribute in second.attribute if attribute.name != name]
        del second.attribute[:]
        second.attribute.extend([*kept, helper.make_attribute(name, value)])
    assert len(find_layers(model)) == left


def test_weights_are_off_by_half_a_step_at_most():
    weights = np.random.default_rng(1).normal(0, [[[[0.01]]], [[[5.0]]]], (2, 4, 3, 3)).astype(F32)
    whole, scale = whole_weights(weights)
    assert (whole.dtype, scale.shape) == (np.int8, (2,))
    assert np.abs(whole).max(axis=(1, 2, 3)).tolist() == [127, 127]
    error = np.abs(whole * scale[:, None, None, None] - weights).max(axis=(1, 2, 3))
    assert (error <= scale / 2 * 1.0001).all()
    assert not whole_weights(np.zeros((1, 1, 1, 1), F32))[0].any()


@pytest.mark.parametrize(
    "factors", [np.ones(8, F32), np.array([0.5, 2, 4, 1, 0.25, 8, 1, 1], F32)], ids=["ones", "uneven"]
)
def test_quantised_graph_computes_the_same_within_its_steps(images, factors):
    model = residual_network()
    layer = find_layers(model)[0]
    step = 0.3 * float(factors.max())
    made = quantised(model, {"second": Scheme(factors, step, 0, layer.bias)})
    operators = [node.op_type for node in made.graph.node]
    assert operators.count("QuantizeLinear") == 1
    assert operators.count("Mul") == (factors.max() > 1)
    assert "second.kernel" not in {tensor.name for tensor in made.graph.initializer}
    exact, found = run(model, images), run(made, images)
    assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()
    onnx.checker.check_model(made, full_check=True)


def test_activations_are_rounded_to_steps_and_clipped_at_both_ends():
    """A layer that passes its input on shows it as 8 bits hold it: round(x / step) + zero, within 0 and 255."""
    nodes = [helper.make_node("Conv", ["counts", "kernel"], ["image"])]
    value = helper.make_tensor_value_info
    kernel = numpy_helper.from_array(np.eye(8, dtype=F32)[:, :, None, None], "kernel")
    shapes = [value(name, onnx.TensorProto.FLOAT, ["n", 8, "h", "w"]) for name in ("counts", "image")]
    graph = helper.make_graph(nodes, "passes", shapes[:1], shapes[1:], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    given = np.random.default_rng(3).uniform(-9, 80, (1, 8, 20, 20)).astype(F32)
    made = quantised(model, {"image": Scheme(np.ones(8, F32), 0.25, 20, np.arange(8, dtype=F32))})
    expected = np.clip(np.rint(given / 0.25), -20, 235) * 0.25 + np.arange(8)[None, :, None, None]
    np.testing.assert_allclose(run(made, given), expected, atol=1e-4)


def test_nothing_quantised_is_the_graph_itself(images):
    model = residual_network()
    np.testing.assert_array_equal(run(quantised(model, {}), images), run(model, images))


@pytest.mark.parametrize("name", [name for name in zoo.names() if zoo.load_bundle(name).int8])
def test_graphs_that_ship_quantise_what_their_schemes_name(name):
    bundle = zoo.load_bundle(name)
    graph = check_graph(bundle, "int8")
    assert graph.data == check_graph(bundle, "int8").data
    assert (graph.precision, graph.bundle) == ("int8", bundle.digest)
    model = onnx.load_model_from_string(graph.data)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    plain = {layer.name: layer.weights for layer in find_layers(onnx.load_model_from_string(bundle.model))}
    whole = {name.partition(":")[0] for name in stored if name.endswith(":weights")}
    assert whole == bundle.int8.keys() <= plain.keys()
    for layer in whole:
        scale = stored[f"{layer}:scale"][:, None, None, None]
        factors = bundle.int8[layer].factors[None, :, None, None]
        # Half a step of the weights, in units of what the channel is multiplied by.
        error = np.abs(stored[f"{layer}:weights"] * scale * factors - plain[layer])
        assert (error <= 0.5001 * scale * factors).all()


def refused(bundle, match):
    with pytest.raises(ModelError, match=match) as caught:
        check_graph(bundle, "int8")
    assert "\n" not in str(caught.value)


def test_bundle_without_schemes_says_how_to_make_them(bundle_factory):
    refused(bundle_factory(), r"holds no int8\.npz; make one with 'photopeak export")


@pytest.mark.parametrize(
    ("layer", "scheme", "match"),
    [
        ("many", Scheme(np.ones(1, F32), 0.25, 0, np.zeros(8, F32)), "'many' is no convolution of 8 input channels"),
        ("none", Scheme(np.ones(8, F32), 0.25, 0, np.zeros(8, F32)), "'none' is no convolution of 8 input channels"),
        ("same", Scheme(np.ones(7, F32), 0.25, 0, np.zeros(8, F32)), "7 factors and 8 biases do not fit 'same'"),
        ("same", Scheme(np.ones(8, F32), 0.25, 0, np.zeros(9, F32)), "8 factors and 9 biases do not fit 'same'"),
    ],
)
def test_schemes_of_another_graph_are_refused(bundle_factory, layer, scheme, match):
    refused(
        bundle_factory("averaged", int8={layer: scheme}), f"test-model has no int8 graph .*{match}.*quantise it again"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_without_a_size_are_refused(bundle_factory, graph_of, schemes_of, value):
    model = graph_of("averaged")
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == "eight"]
    kernel = numpy_helper.to_array(tensor).copy()
    kernel[0, 0] = value
    tensor.CopyFrom(numpy_helper.from_array(kernel, "eight"))
    bundle = bundle_factory("averaged", model=model.SerializeToString(), int8=schemes_of("averaged"))
    refused(bundle, "weights are not finite")


@pytest.mark.parametrize("name", ["same:step", "image:weights", "same:whole", "image:taken"])
def test_graph_that_holds_a_name_already_is_refused(bundle_factory, graph_of, schemes_of, name):
    """Else its own numbers would stand where those of the scheme belong."""
    model = graph_of("averaged")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, F32), name))
    model.graph.node.insert(0, helper.make_node("Mul", ["counts", name], ["other"]))
    bundle = bundle_factory("averaged", model=model.SerializeToString(), int8=schemes_of("averaged"))
    assert check_graph(bundle).operators
    refused(bundle, "holds 'same:step' already|holds 'image:weights' already|no int8 graph")


def test_damaged_schemes_are_a_model_error(bundle_factory, schemes_of):
    bundle = bundle_factory("averaged", int8=schemes_of("averaged"))
    buffer = io.BytesIO()
    np.savez(buffer, same=np.ones(3, F32))
    damaged = type(bundle)(
        bundle.folder, bundle.manifest, bundle.digest, {**bundle.contents, "int8.npz": buffer.getvalue()}
    )
    refused(damaged, r"int8\.npz holds no schemes \(.*\); quantise the bundle again")


def test_operators_of_an_old_set_have_no_8_bits(bundle_factory, graph_of, schemes_of):
    model = graph_of("averaged")
    model.opset_import[0].version = 9
    refused(bundle_factory("averaged", model=model.SerializeToString(), int8=schemes_of("averaged")), "no int8 graph")


def test_graph_of_float32_may_not_be_quantised(bundle_factory, graph_of, schemes_of):
    model = quantised(graph_of("averaged"), schemes_of("averaged"))
    with pytest.raises(ModelError, match="is of a type that is not admitted"):
        check_graph(bundle_factory("averaged", model=model.SerializeToString()))
