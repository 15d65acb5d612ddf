from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")
pytest.importorskip("scipy", reason="training needs scipy: pip install 'photopeak[train]'")

import onnx
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from photopeak.engine.bundle import write_bundle
from photopeak.engine.errors import UsageError
from photopeak.engine.providers import PROVIDERS, Target
from photopeak.exporters.analysis_bundling import bundle_analysis
from photopeak.exporters.evaluation.cam_study import Parity, as_markdown, autograd_cam, measure_cam, variants
from photopeak.exporters.recipes.analysis.catalogue import Trained, find
from photopeak.exporters.studies.cam import cam
from photopeak.exporters.torch_graph import TorchGraph


class Finder(nn.Module):
    """A small detector."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.block, self.hidden = nn.Conv2d(2, 6, 3, 1, 1), nn.Conv2d(6, 6, 3, 1, 1)
        self.heat, self.box = nn.Conv2d(6, 1, 1), nn.Conv2d(6, 4, 1)
        nn.init.uniform_(self.heat.weight)  # so that what is bright is evidence
        nn.init.uniform_(self.hidden.weight, -0.02, 0.1)

    def features(self, image):
        return functional.avg_pool2d(functional.relu(self.block(torch.sqrt(functional.relu(image)))), 4)

    def head(self, features):
        hidden = functional.relu(self.hidden(features))
        return self.heat(hidden), self.box(hidden)


@pytest.fixture(scope="module")
def net():
    return Finder().eval()


@pytest.fixture(scope="module")
def bundle(net, tmp_path_factory):
    images = np.random.default_rng(0).poisson(20, (24, 2, 48, 56)).astype(np.float32)
    trained = Trained(
        net=net,
        steps=1,
        seconds=1.0,
        data=("noise (CC0-1.0)",),
        temperature=1.0,
        threshold=0.5,
        operating_points=(),
        training=[images],
        held_out=[images],
        golden=images[:2],
        matrices=("48x56",),
    )
    recipe = find("parathyroid-detect")
    return bundle_analysis(tmp_path_factory.mktemp("b"), recipe, trained, date="2026-11-23", card="# Card\n")


def test_the_study_s_map_is_grad_cam_of_the_network(net, bundle):
    image = next(variants(bundle, 1))
    features = net.features(torch.from_numpy(image)).detach().requires_grad_()
    score = torch.logsumexp(net.head(features)[0].flatten(1), 1).sum()
    (gradient,) = torch.autograd.grad(score, features)
    expected = functional.relu((gradient.mean((2, 3), keepdim=True) * features).sum(1, keepdim=True)).detach().numpy()
    assert expected.max() > 0
    np.testing.assert_allclose(
        autograd_cam(TorchGraph(bundle.model), image), expected, rtol=1e-3, atol=1e-6 * expected.max()
    )


def test_every_provider_keeps_to_the_bar(bundle):
    providers = [provider for provider in PROVIDERS if not provider.check(Target())]
    rows = measure_cam(bundle, providers, images=3, tell=lambda what: None)
    assert {"onnxruntime", "openvino", "reference"} <= {row.provider for row in rows}
    assert all(row.passed and row.maps == 3 and row.empty == 0 for row in rows)


def test_a_graph_with_another_map_misses_the_bar(bundle, tmp_path):
    model = onnx.load_model_from_string(bundle.model)
    mixing = max((one for one in model.graph.initializer if "mixing" in one.name), key=lambda one: len(one.raw_data))
    changed = np.array(numpy_helper.to_array(mixing))
    changed.flat[::7] *= 1.5
    mixing.CopyFrom(numpy_helper.from_array(changed, mixing.name))
    wrong = write_bundle(
        tmp_path, bundle.manifest, model=model.SerializeToString(), golden=bundle.golden_heads, card=bundle.card
    )
    runtime = [provider for provider in PROVIDERS if provider.name == "onnxruntime"]
    (row,) = measure_cam(wrong, runtime, images=2, tell=lambda what: None)
    assert not row.passed
    assert "**missed**" in as_markdown([row])


def test_images_differ_and_repeat(bundle):
    once, again = list(variants(bundle, 5)), list(variants(bundle, 5))
    assert all(np.array_equal(one, other) for one, other in zip(once, again, strict=True))
    assert len({image.tobytes() for image in once}) == 5
    assert {image.shape for image in once} == {(1, 2, 48, 56)}
    assert all(np.array_equal(image, np.rint(image)) for image in once)  # counts


def test_the_command_prints_the_table(bundle, tmp_path, capsys):
    cam([str(bundle.folder)], images=2, threads=1, output=tmp_path / "cam.md")
    table = (tmp_path / "cam.md").read_text()
    assert table in capsys.readouterr().out
    assert table.count("parathyroid-detect") >= 3


def test_models_of_images_have_no_maps():
    with pytest.raises(UsageError, match="only models of findings"):
        cam(["scint-denoise"])


def test_maps_that_are_all_empty_meet_no_bar(bundle, tmp_path):
    model = onnx.load_model_from_string(bundle.model)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("heat.weight"):
            tensor.CopyFrom(numpy_helper.from_array(np.zeros((1, 6, 1, 1), np.float32), tensor.name))
    empty = write_bundle(
        tmp_path, bundle.manifest, model=model.SerializeToString(), golden=bundle.golden_heads, card=bundle.card
    )
    runtime = [provider for provider in PROVIDERS if provider.name == "onnxruntime"]
    (row,) = measure_cam(empty, runtime, images=2, tell=lambda what: None)
    assert (row.empty, row.passed) == (2, False)


def test_a_table_says_what_is_met():
    row = Parity("a", "b", 100, 300, 1, 2e-6, 1e-7)
    assert "| 1.0e-07 | 2.0e-06 | met |" in as_markdown([row])
    assert not replace(row, worst=1e-4).passed
