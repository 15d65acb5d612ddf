import hashlib

import numpy as np
import onnx
import pytest

from analysis_models import MODELS, make_images, make_manifest, make_model, write_finder
from photopeak.engine import zoo
from photopeak.engine.bundle import Golden
from photopeak.engine.validation import validate


def outcome(folder):
    return {check.name: check for check in validate(folder)}


@pytest.mark.parametrize("model", zoo.names())
def test_models_that_ship_pass_every_check(model):
    checks = outcome(zoo.locate(model))
    assert not [check for check in checks.values() if check.passed is False]
    what = "heads" if model in zoo.names("findings") else "output"
    assert checks[f"golden {what}, reference fp32 on cpu"].passed
    assert checks[f"golden {what}, onnxruntime fp32 on cpu"].passed


@pytest.mark.parametrize("model", zoo.names())
def test_models_that_ship_are_small(model):
    assert sum(path.stat().st_size for path in zoo.locate(model).iterdir()) < 4_000_000
    assert len(zoo.load_bundle(model).contents.get("calibration.npz", b"")) <= 300_000


def test_good_bundle_passes(bundle_factory):
    checks = outcome(bundle_factory("quarters").folder)
    assert [check.name for check in checks.values() if check.passed is False] == []
    assert checks["golden output, reference fp32 on cpu"].passed is True


@pytest.mark.parametrize(
    ("change", "truth", "passes", "detail"),
    [(0, 0, True, "3 frames"), (1, 0, False, "3 frames"), (0, np.inf, False, "values are not finite")],
)
def test_calibration_frames_are_those_of_the_graph(bundle_factory, recipes, counts, change, truth, passes, detail):
    given = counts[:, np.newaxis]
    output = recipes["smooth"].truth(given)
    calibration = Golden(given, output + np.float32(change), output + np.float32(truth))
    check = outcome(bundle_factory("smooth", calibration=calibration).folder)["calibration frames"]
    assert check.passed is passes
    assert detail in check.detail


def test_damaged_schemes_fail_their_own_checks_alone(bundle_factory, schemes_of):
    folder = bundle_factory("averaged", int8=schemes_of("averaged")).folder
    manifest, schemes = folder / "manifest.toml", folder / "int8.npz"
    before, after = (hashlib.sha256(content).hexdigest() for content in (schemes.read_bytes(), b"damaged"))
    schemes.write_bytes(b"damaged")
    manifest.write_text(manifest.read_text().replace(before, after))
    checks = outcome(folder)
    assert checks["graph of int8"].passed is False
    assert "int8.npz holds no schemes" in checks["graph of int8"].detail
    assert checks["golden output, onnxruntime fp32 on cpu"].passed


def test_tampered_bundle_fails_at_once(bundle_factory):
    folder = bundle_factory().folder
    (folder / "card.md").write_text("changed")
    checks = list(validate(folder))
    assert [check.passed for check in checks] == [False]
    assert "card.md has SHA-256" in checks[0].detail


def test_harmful_graph_ends_the_checks(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.graph.node[0].domain = "com.example"
    checks = list(validate(bundle_factory(model=model.SerializeToString()).folder))
    assert [(check.name, check.passed) for check in checks][-1] == ("graph", False)


def test_wrong_golden_output_fails(bundle_factory, graph_of):
    """The manifest and the golden tensors are those of another graph."""
    checks = outcome(bundle_factory("smooth", model=graph_of("brightened").SerializeToString()).folder)
    assert checks["golden output, reference fp32 on cpu"].passed is False


def test_card_must_name_model_and_licence(bundle_factory, monkeypatch):
    checks = outcome(bundle_factory(name="smooth", licence="MIT").folder)
    assert checks["card"].passed is False
    assert "MIT" in checks["card"].detail


def test_golden_inputs_outside_their_domain_fail(bundle_factory):
    bundle = bundle_factory()
    domain = bundle.manifest.domain.model_dump()
    domain["precision"] = tuple(map(tuple, (1e6 * np.eye(len(domain["mean"]))).tolist()))
    checks = outcome(bundle_factory(folder="narrow", domain=domain).folder)
    assert checks["training domain"].passed is False


@pytest.mark.parametrize("task", MODELS)
def test_good_finder_passes(tmp_path, task):
    checks = outcome(write_finder(tmp_path / "bundle", task).folder)
    assert [check.name for check in checks.values() if check.passed is False] == []
    assert checks["golden heads, reference fp32 on cpu"].passed is True
    assert list(checks)[2:5] == ["frame sizes", "training domain", "card"]


def test_wrong_golden_head_fails_and_is_named(tmp_path):
    wrong = {"box": np.ones((2, 4, 8, 8), np.float32)}
    checks = outcome(write_finder(tmp_path / "bundle", "detection", golden=wrong).folder)
    assert checks["golden heads, reference fp32 on cpu"].passed is False
    assert "of the head 'box'" in checks["golden heads, reference fp32 on cpu"].detail


def test_heads_that_mix_frames_fail(tmp_path):
    """Sums over the frames have the right shapes, and are right for one frame alone."""
    model = make_model("detection")
    (axes,) = [tensor for tensor in model.graph.initializer if tensor.name == "axes"]
    axes.CopyFrom(onnx.numpy_helper.from_array(np.array([0, 2, 3]), "axes"))
    checks = outcome(write_finder(tmp_path / "bundle", "detection", model).folder)
    assert checks["golden heads, reference fp32 on cpu"].passed
    assert checks["frame sizes"].passed is False
    assert "the head 'cam' of a frame changes by" in checks["frame sizes"].detail


def test_heads_that_are_no_numbers_for_an_empty_frame_fail(tmp_path):
    """An absent phase is all zeros, and so may be a frame of a dynamic study."""
    model = make_model("classification")
    model.graph.node[5].output[0] = "positive"
    model.graph.node.append(onnx.helper.make_node("ReduceMax", ["positive", "axes"], ["highest"]))
    model.graph.node.append(onnx.helper.make_node("Div", ["positive", "highest"], ["cam"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2, 3]), "axes"))
    cam = MODELS["classification"].truth(make_images("classification"))["cam"]
    cam /= cam.max(axis=(1, 2, 3), keepdims=True)
    checks = outcome(write_finder(tmp_path / "bundle", "classification", model, golden={"cam": cam}).folder)
    assert checks["frame sizes"].passed is False
    assert "the head 'cam' holds NaN" in checks["frame sizes"].detail


@pytest.mark.parametrize("narrow", ["pixels", "embedding"])
def test_golden_frames_outside_their_domains_fail(tmp_path, narrow):
    manifest = make_manifest("detection")
    analysis, domain = manifest.analysis.model_dump(), manifest.domain.model_dump()
    if narrow == "pixels":
        domain["precision"] = tuple(map(tuple, (1e6 * np.eye(len(domain["mean"]))).tolist()))
    else:
        analysis["embedding"]["precision"] = ((1e6,),)
    check = outcome(write_finder(tmp_path / "bundle", "detection", analysis=analysis, domain=domain).folder)
    assert check["training domain"].passed is False
    assert "golden frames [1, 2] of 2 are outside" in check["training domain"].detail
