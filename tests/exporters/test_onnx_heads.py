import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")

import onnx
from torch import nn
from torch.nn import functional

from photopeak.engine.errors import ModelError
from photopeak.engine.graph import OPERATORS
from photopeak.exporters.inference import HeadRunner
from photopeak.exporters.onnx import operators, to_onnx_heads
from photopeak.exporters.parity import check_heads, compare_heads

HEADS = ("logits", "cam", "embedding")


class Classifier(nn.Module):
    """Two channels, standardised inside, one block, a pooled linear head and its CAM in closed form."""

    def __init__(self, named=False):
        super().__init__()
        self.block = torch.nn.Conv2d(2, 8, 3, stride=4, padding=1)
        self.head = torch.nn.Conv2d(8, 3, 1)
        self.named = named

    def forward(self, image):
        root = torch.sqrt(image + 0.375)
        mean = root.mean(dim=(1, 2, 3), keepdim=True)
        deviation = torch.sqrt(((root - mean) ** 2).mean(dim=(1, 2, 3), keepdim=True) + 1e-6)
        features = torch.relu(self.block((root - mean) / deviation))
        embedding = features.mean(dim=(2, 3), keepdim=True)
        cam = torch.relu(functional.conv2d(features, self.head.weight))
        heads = {"embedding": embedding, "logits": self.head(embedding), "cam": cam}
        return heads if self.named else tuple(heads[name] for name in HEADS)


@pytest.fixture(scope="module", params=[False, True], ids=["tuple", "dict"])
def exported(request):
    torch.manual_seed(1)
    net = Classifier(request.param).eval()
    return net, to_onnx_heads(net, 2, 8, HEADS)


def images(*shapes):
    rng = np.random.default_rng(0)
    return [rng.poisson(30, shape).astype(np.float32) for shape in shapes]


def test_each_head_is_what_the_network_computes(exported):
    net, model = exported
    inputs = images((1, 2, 32, 32), (3, 2, 16, 40), (1, 2, 64, 24))
    differences = compare_heads(net, model, inputs)
    assert [difference.head for difference in differences[:6]] == [*HEADS, *HEADS]
    assert {difference.engine for difference in differences} == {"onnxruntime", "reference"}
    assert max(difference.relative for difference in differences) < 5e-5
    check_heads(net, model, inputs)


def test_names_and_sizes_are_those_that_the_engine_wants(exported):
    graph = onnx.load_from_string(exported[1]).graph
    shapes = {
        value.name: [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        "image": ["n", 2, "h", "w"],
        "logits": ["n", 3, 1, 1],
        "cam": ["n", 3, "cam_h", "cam_w"],
        "embedding": ["n", 8, 1, 1],
    }
    assert set(operators(exported[1])) <= OPERATORS


def test_sides_in_steps_larger_than_the_example_are_exported():
    net = Classifier().eval()
    heads = HeadRunner(to_onnx_heads(net, 2, 96, HEADS))(images((1, 2, 192, 288))[0])
    assert heads["cam"].shape == (1, 3, 48, 72)


def test_heads_of_other_weights_are_refused(exported):
    other = Classifier(exported[0].named).eval()
    with pytest.raises(ModelError, match=r"the head 'logits' of the exported graph differs .* in onnxruntime"):
        check_heads(other, exported[1], images((1, 2, 32, 32)))
    torch.nn.init.constant_(other.head.weight, float("nan"))
    with pytest.raises(ModelError, match="by nan"):
        check_heads(other, exported[1], images((1, 2, 32, 32)))


def test_other_heads_than_named_are_refused():
    with pytest.raises(Exception, match=r"heads \['cam', 'embedding', 'logits'\] and not \['cam', 'logits'\]"):
        to_onnx_heads(Classifier(named=True).eval(), 2, 8, ("logits", "cam"))


def test_operators_that_the_engine_lacks_are_named():
    class Flat(nn.Module):
        def forward(self, image):
            return (torch.flip(image, (3,)),)

    with pytest.raises(ValueError, match=r"the graph uses .*Slice.*, which the engine does not run"):
        to_onnx_heads(Flat().eval(), 1, 8, ("logits",))
