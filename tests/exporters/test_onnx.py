from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")

import onnx

from photopeak.engine.errors import ModelError
from photopeak.exporters.architectures import build, deployed
from photopeak.exporters.onnx import operators, to_onnx
from photopeak.exporters.parity import check, compare
from photopeak.exporters.recipes.catalogue import RECIPES

PLAIN = {"Conv", "Relu", "Add", "Sub", "Mul", "Sqrt", "AveragePool", "Resize", "DepthToSpace", "Concat"}
PLAIN |= {"Abs", "Log", "Pad"}  # of what measures the spectrum


@pytest.fixture(scope="module", params=RECIPES, ids=lambda recipe: recipe.name)
def exported(request):
    torch.manual_seed(0)
    net = build(request.param).eval()
    torch.nn.init.normal_(net.head.weight, std=0.05)
    net = deployed(net)
    return request.param, net, to_onnx(net, request.param.multiple)


def test_the_graph_computes_what_the_network_computes(exported):
    recipe, net, model = exported
    m, rng = recipe.multiple, np.random.default_rng(0)
    inputs = [
        rng.poisson(level, shape).astype(np.float32)
        for level, shape in ((0.1, (1, 1, 8 * m, 8 * m)), (5, (3, 1, 4 * m, 10 * m)), (500, (1, 1, 12 * m, 4 * m)))
    ]
    for difference in compare(net, model, inputs):
        assert difference.relative < 1e-5, difference


def test_the_graph_is_plain_and_self_contained(exported):
    _, _, model = exported
    graph = onnx.load_from_string(model)
    assert set(operators(model)) <= PLAIN
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 18)]
    assert graph.ir_version <= 10
    assert len(model) < 4e6
    assert not graph.metadata_props
    assert str(Path.cwd()).encode() not in model
    assert b".py" not in model


def test_batch_and_sides_are_dynamic(exported):
    graph = onnx.load_from_string(exported[2]).graph
    dims = [dim.dim_param for dim in graph.input[0].type.tensor_type.shape.dim]
    assert (graph.input[0].name, graph.output[0].name) == ("counts", "image")
    assert dims == ["n", "", "h", "w"]


def test_a_graph_of_other_weights_is_refused(exported):
    recipe, net, model = exported
    check(net, model, recipe.multiple)
    other = build(recipe).eval()
    with pytest.raises(ModelError, match=r"differs from its network by .* in onnxruntime"):
        check(other, model, recipe.multiple)
    torch.nn.init.constant_(other.head.weight, float("nan"))
    with pytest.raises(ModelError, match="differs from its network by nan"):
        check(other, model, recipe.multiple)
