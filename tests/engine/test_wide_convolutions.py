"""Blocks of pixels at once are the same sums."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from photopeak.engine import zoo
from photopeak.engine.checked_graph import CheckedGraph
from photopeak.engine.errors import ModelError
from photopeak.engine.graph import check_graph
from photopeak.engine.wide_convolutions import with_wide_convolutions

F32 = np.float32


def chain(nodes, arrays, inputs, outputs=1, *, multiple=1, opset=18):
    """Return a checked graph of several nodes, from ``counts`` to ``image``."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "test",
        [value("counts", TensorProto.FLOAT, ["n", inputs, "h", "w"])],
        [value("image", TensorProto.FLOAT, ["n", outputs, "rows", "columns"])],
        [numpy_helper.from_array(array.astype(F32), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return CheckedGraph("test", model.SerializeToString(), "counts", ("image",), 1, ("Conv",), multiple=multiple)


def convolution(outputs, inputs, kernel, *, bias=False, multiple=4, opset=18, **attributes):
    """Return a checked graph of one convolution with seeded weights."""
    rng = np.random.default_rng(outputs + 10 * inputs)
    arrays = {"kernel": rng.normal(0, 1, (outputs, inputs, *kernel))} | (
        {"shift": rng.normal(0, 1, outputs)} if bias else {}
    )
    node = helper.make_node("Conv", ["counts", *arrays], ["image"], **attributes)
    return chain([node], arrays, inputs, outputs, multiple=multiple, opset=opset)


def run(graph, images):
    session = onnxruntime.InferenceSession(graph.data, providers=["CPUExecutionProvider"])
    return session.run(list(graph.outputs), {graph.input: images})[0]


def kernels(graph):
    """Return the shapes of all convolutions' weights."""
    model = onnx.load_model_from_string(graph.data)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return [shapes[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]


@settings(max_examples=30, deadline=None)
@given(
    outputs=st.integers(1, 4),
    inputs=st.integers(1, 5),
    half=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bias=st.booleans(),
    sides=st.tuples(st.integers(2, 5), st.integers(2, 5)),
)
def test_blocks_are_the_same_sums(outputs, inputs, half, bias, sides):
    rows, columns = half
    pads = [rows, columns, rows, columns]
    graph = convolution(outputs, inputs, (2 * rows + 1, 2 * columns + 1), bias=bias, pads=pads)
    wide = with_wide_convolutions(graph)
    block = 4 if outputs == 1 else 2
    assert kernels(wide) == [(outputs * block**2, inputs, 2 * rows + block, 2 * columns + block)]
    images = np.random.default_rng(3).poisson(20, (2, inputs, 4 * sides[0], 4 * sides[1])).astype(F32)
    np.testing.assert_allclose(run(wide, images), run(graph, images), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        ((5, 8, (3, 3)), {"pads": [1, 1, 1, 1]}),
        ((1, 8, (1, 1)), {}),
        ((1, 8, (3, 3)), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ((1, 8, (3, 3)), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
        ((1, 8, (3, 3)), {"auto_pad": "SAME_UPPER"}),
        ((1, 8, (3, 3)), {"pads": [1, 1, 1, 1], "multiple": 1}),
        ((1, 8, (3, 3)), {"pads": [1, 1, 1, 1], "multiple": 3}),
        ((1, 8, (4, 4)), {"pads": [1, 1, 1, 1]}),
        ((1, 8, (3, 3)), {"pads": [1, 1, 1, 1], "opset": 10}),
    ],
    ids=[
        "many outputs",
        "one pixel",
        "strides",
        "dilations",
        "automatic pads",
        "any size",
        "odd sizes",
        "a row is lost",
        "no order of channels",
    ],
)
def test_others_stay_as_they_are(shape, given):
    graph = convolution(*shape, **given)
    assert kernels(with_wide_convolutions(graph)) == kernels(graph)


def test_blocks_are_as_large_as_all_sizes_admit():
    graph = convolution(1, 8, (3, 3), pads=[1, 1, 1, 1], multiple=2)
    assert kernels(with_wide_convolutions(graph)) == [(4, 8, 4, 4)]


@pytest.mark.parametrize(("stride", "kernel"), [(2, 2), (3, 1)])
def test_layers_whose_sizes_are_rounded_stay_as_they_are(stride, kernel):
    rng = np.random.default_rng(5)
    arrays = {"first": rng.normal(0, 1, (8, 1, kernel, kernel)), "last": rng.normal(0, 1, (1, 8, 3, 3))}
    nodes = [
        helper.make_node("Conv", ["counts", "first"], ["less"], strides=[stride] * 2),
        helper.make_node("Conv", ["less", "last"], ["image"], pads=[1] * 4),
    ]
    graph = chain(nodes, arrays, inputs=1)
    wide = with_wide_convolutions(graph)
    for side in range(16, 24):
        counts = rng.poisson(9, (1, 1, side, side)).astype(F32)
        np.testing.assert_allclose(run(wide, counts), run(graph, counts), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("last", [[], ["Relu"]])
def test_layers_whose_sizes_are_those_of_a_stored_image_stay_as_they_are(last):
    rng = np.random.default_rng(6)
    arrays = {"place": rng.normal(0, 1, (1, 8, 30, 30)), "kernel": rng.normal(0, 1, (1, 8, 3, 3))}
    nodes = [
        helper.make_node("Add", ["counts", "place"], ["placed"]),
        helper.make_node("Conv", ["placed", "kernel"], ["sums" if last else "image"], pads=[1] * 4),
        *(helper.make_node(name, ["sums"], ["image"]) for name in last),
    ]
    graph = chain(nodes, arrays, inputs=8, multiple=15)
    counts = rng.poisson(9, (1, 8, 30, 30)).astype(F32)
    np.testing.assert_array_equal(run(with_wide_convolutions(graph), counts), run(graph, counts))


def test_names_that_are_taken_are_an_error():
    graph = convolution(1, 8, (3, 3), pads=[1, 1, 1, 1])
    model = onnx.load_model_from_string(graph.data)
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, F32), "image:wide"))
    with pytest.raises(ModelError, match=r"no wide graph .*'image:wide' already"):
        with_wide_convolutions(replace(graph, data=model.SerializeToString()))


@pytest.mark.parametrize("name", zoo.names("images"))
def test_models_that_ship_compute_the_same(name):
    bundle = zoo.load_bundle(name)
    graph = check_graph(bundle)
    wide = with_wide_convolutions(graph)
    frame = bundle.golden.input[:1]
    found, expected = run(wide, frame), run(graph, frame)
    np.testing.assert_allclose(found, expected, atol=2e-6 * float(expected.max()))
    assert wide.data == with_wide_convolutions(graph).data
    # A second time nothing is left to do.
    assert kernels(with_wide_convolutions(wide)) == kernels(wide)


def test_layers_of_8_bits_stay_and_others_are_widened():
    bundle = zoo.load_bundle("pet-sr-x2-srgan")
    wide = with_wide_convolutions(check_graph(bundle, "int8"))
    model = onnx.load_model_from_string(wide.data)
    convolutions = {node.output[0] for node in model.graph.node if node.op_type == "Conv"}
    assert "image:blocks" in convolutions
    assert bundle.int8.keys() <= convolutions
    assert wide.precision == "int8"
