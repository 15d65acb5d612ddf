import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from photopeak.engine.errors import ModelError
from photopeak.exporters.torch_graph import TorchGraph

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(6, 2, 3, 3)).astype(np.float32)
BACK = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
BIAS = RNG.normal(size=6).astype(np.float32)
OTHER = RNG.uniform(0.5, 2, (1, 4, 1, 1)).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def floats(value):
    return np.array(value, np.float32)


CASES = {
    "convolution": ("Conv", [KERNEL, BIAS], {"pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2], "group": 2}),
    "convolution without bias": ("Conv", [KERNEL], {"group": 2}),
    "transposed": (
        "ConvTranspose",
        [BACK, BIAS[:3]],
        {"pads": [1, 0, 2, 1], "strides": [2, 3], "output_padding": [1, 0]},
    ),
    "average": ("AveragePool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 2]}),
    "average with zeros": ("AveragePool", [], {"kernel_shape": [3, 2], "pads": [1, 0, 1, 0], "count_include_pad": 1}),
    "maximum": ("MaxPool", [], {"kernel_shape": [2, 3], "pads": [0, 1, 1, 0], "strides": [2, 2]}),
    "zeros around": ("Pad", [ints(0, 0, 1, 2, 0, 0, 3, 0)], {}),
    "twos around": ("Pad", [ints(0, 0, 1, 2, 0, 0, 3, 0), floats(2.0)], {}),
    "mirrored": ("Pad", [ints(0, 0, 1, 2, 0, 0, 3, 1)], {"mode": "reflect"}),
    "continued": ("Pad", [ints(0, 0, 1, 2, 0, 0, 3, 1)], {"mode": "edge"}),
    "clip": ("Clip", [floats(0.5), floats(1.0)], {}),
    "clip below": ("Clip", [floats(1.2)], {}),
    "mean": ("ReduceMean", [ints(2, 3)], {}),
    "mean of channels": ("ReduceMean", [ints(1)], {"keepdims": 0}),
    "sum": ("ReduceSum", [ints(1)], {}),
    "largest": ("ReduceMax", [ints(2, 3)], {}),
    "channels to pixels": ("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"}),
    "enlarged to nearest": (
        "Resize",
        [floats([]), floats([1, 1, 2, 3])],
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ),
    "enlarged linearly": ("Resize", [floats([]), floats([1, 1, 4, 2])], {"mode": "linear"}),
    "enlarged cubically": ("Resize", [floats([]), floats([1, 1, 2, 2])], {"mode": "cubic"}),
    "side by side": ("Concat", [np.ones((2, 1, 9, 11), np.float32)], {"axis": 1}),
    **{name: (name, [OTHER], {}) for name in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min")},
    **{
        name: (name, [], {})
        for name in (
            *("Abs", "Exp", "Log", "Neg", "Reciprocal", "Relu", "Sigmoid", "Sign", "Softplus", "Sqrt", "Tanh"),
            *("GlobalAveragePool", "GlobalMaxPool", "Identity"),
        )
    },
}


def model(op, constants, attributes):
    names = [f"c{k}" for k in range(len(constants))]
    node = helper.make_node(op, ["image", *names], ["out"], **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [2, 4, 9, 11])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for value, name in zip(constants, names, strict=True)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


@pytest.mark.parametrize("name", CASES)
def test_operators_give_what_onnx_runtime_gives(name):
    content = model(*CASES[name])
    image = np.random.default_rng(1).uniform(0.2, 2, (2, 4, 9, 11)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"image": image})
    found = TorchGraph(content)(torch.from_numpy(image))["out"].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_values_can_be_replaced_and_differentiated():
    nodes = [
        helper.make_node("Mul", ["image", "image"], ["square"]),
        helper.make_node("Identity", ["square"], ["same"]),
        helper.make_node("ReduceSum", ["same"], ["sum"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 2, 2])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)],
    )
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    run = TorchGraph(content)
    assert run.source_of("sum") == "same"
    assert run.source_of("same") == "image"
    square = torch.full((1, 1, 2, 2), 5.0, requires_grad=True)
    value = run(torch.ones(1, 1, 2, 2), {"square": square})["sum"].sum()
    assert value.item() == 20
    assert torch.autograd.grad(value, square)[0].tolist() == [[[[1, 1], [1, 1]]]]
    with pytest.raises(ModelError, match="no operator of the graph makes 'x'"):
        run.source_of("x")


def in_a_row(first, second):
    nodes = [helper.make_node(first, ["image"], ["a"]), helper.make_node(second, ["a"], ["out"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 2, 2])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def test_operators_that_are_not_known_are_named():
    with pytest.raises(ModelError, match="not taught Elu, Softmax"):
        TorchGraph(in_a_row("Softmax", "Elu"))


@pytest.mark.parametrize(
    ("op", "constants", "attributes", "what"),
    [
        ("Conv", [KERNEL], {"group": 2, "auto_pad": "SAME_UPPER"}, "leaves padding to the runtime"),
        ("Pad", [ints(0, 1, 0, 0, 0, 0, 0, 0)], {}, "not taught to pad"),
        ("Pad", [ints(0, 0, 1, 0, 0, 0, 0, 0)], {"mode": "wrap"}, "by 'wrap'"),
        ("DepthToSpace", [], {"blocksize": 2}, "column by row"),
        ("Resize", [floats([]), floats([1, 1, 2, 2])], {"mode": "nearest"}, "not taught to resize"),
        ("Resize", [floats([]), floats([1, 1, 1.5, 2])], {"mode": "linear"}, "not taught to resize"),
        (
            "Resize",
            [floats([]), floats([1, 1, 2, 2])],
            {"mode": "cubic", "cubic_coeff_a": -0.5},
            "not taught to resize",
        ),
    ],
)
def test_what_is_not_known_of_an_operator_is_refused(op, constants, attributes, what):
    with pytest.raises(ModelError, match=what):
        TorchGraph(model(op, constants, attributes))(torch.ones(2, 4, 9, 11))
