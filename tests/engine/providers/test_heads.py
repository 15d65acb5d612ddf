"""Every head on every provider, from any thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from analysis_models import MODELS, make_images, make_model, write_finder
from photopeak.engine import zoo
from photopeak.engine.errors import ModelError
from photopeak.engine.graph import check_graph
from photopeak.engine.head_fidelity import HEAD_TOLERANCES, golden_heads_run, head_deviation
from photopeak.engine.providers import PROVIDERS, Target, find

TOLERANCES = {"fp32": 1e-5, "fp16": 5e-3, "bf16": 4e-2}
TARGETS = [
    pytest.param(
        provider,
        Target(kind, precision, 2),
        id=f"{provider.name}-{precision}-{kind}",
        marks=pytest.mark.gpu if kind == "cuda" else (),
    )
    for provider in PROVIDERS
    for kind, precision in provider.offers
]


def prepared(provider, target, bundle):
    if reason := provider.check(target):
        pytest.skip(reason)
    wanted = provider.graph(target)
    if wanted == "int8" and bundle.int8 is None:
        pytest.skip(f"{bundle.name} has no graph of int8")
    return provider.prepare(check_graph(bundle, wanted), target)


@pytest.mark.parametrize(("provider", "target"), TARGETS)
@pytest.mark.parametrize("task", MODELS)
def test_heads_are_their_closed_forms(tmp_path, provider, target, task):
    runnable = prepared(provider, target, write_finder(tmp_path / "bundle", task))
    for n, rows, columns in ((1, 32, 32), (3, 16, 40), (1, 64, 24)):
        images = make_images(task, n, rows, columns, seed=n)
        found, expected = runnable.heads(images), MODELS[task].truth(images)
        assert set(found) == set(expected)
        for name, head in expected.items():
            assert found[name].dtype == np.float32
            assert found[name].shape == head.shape
            peak = max(np.abs(head).max(), np.abs(expected.get("embedding")).max())
            np.testing.assert_allclose(found[name], head, atol=TOLERANCES[target.precision] * peak, err_msg=name)


@pytest.mark.parametrize(("provider", "target"), TARGETS)
@pytest.mark.parametrize("model", zoo.names("findings"))
def test_golden_heads_of_the_zoo(provider, target, model):
    bundle = zoo.load_bundle(model)
    heads = golden_heads_run(bundle, prepared(provider, target, bundle))
    assert head_deviation(bundle, heads)[0] <= HEAD_TOLERANCES[target.precision]


@pytest.mark.parametrize(("provider", "target"), TARGETS)
def test_threads_get_their_own_heads(tmp_path, provider, target):
    runnable = prepared(provider, target, write_finder(tmp_path / "bundle", "classification"))
    images = [make_images("classification", 1, 32, 32, seed) for seed in range(8)]
    alone = [runnable.heads(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(runnable.heads, images * 5))
    for heads, expected in zip(together, alone * 5, strict=True):
        np.testing.assert_array_equal(heads["cam"], expected["cam"])
        np.testing.assert_array_equal(heads["logits"], expected["logits"])


@pytest.mark.parametrize(("provider", "target"), TARGETS)
def test_heads_stay_when_the_image_and_the_next_run_change(tmp_path, provider, target):
    runnable = prepared(provider, target, write_finder(tmp_path / "bundle", "classification"))
    image = make_images("classification")
    first = runnable.heads(image)
    kept = {name: head.copy() for name, head in first.items()}
    image[:] = 3
    second = runnable.heads(image)
    for name, head in kept.items():
        np.testing.assert_array_equal(first[name], head)
    assert np.abs(second["embedding"] - kept["embedding"]).max() > 1


@pytest.mark.parametrize(("provider", "target"), TARGETS)
def test_graph_of_heads_has_no_lane(tmp_path, provider, target):
    runnable = prepared(provider, target, write_finder(tmp_path / "bundle", "detection"))
    with pytest.raises(ModelError, match="gives the heads heat, box, cam, embedding and no image"):
        runnable.lane()


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "reference"])
def test_image_is_a_head_too(bundle_factory, recipes, name):
    counts = np.random.default_rng(0).poisson(9, (2, 1, 16, 24)).astype(np.float32)
    runnable = find(name).prepare(check_graph(bundle_factory("quarters")), Target())
    heads = runnable.heads(counts)
    assert list(heads) == ["image"]
    np.testing.assert_allclose(heads["image"], recipes["quarters"].truth(counts), rtol=1e-6)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "reference"])
def test_heads_that_are_one_tensor_keep_both_names(tmp_path, name):
    """A CAM that is the evidence itself: two outputs that an optimiser may merge."""
    model = make_model("classification")
    (relu,) = [node for node in model.graph.node if node.output[0] == "cam"]
    relu.op_type, relu.input[0] = "Identity", "logits"
    cam = MODELS["classification"].truth(make_images("classification"))["logits"]
    bundle = write_finder(tmp_path / "bundle", "classification", model, golden={"cam": cam})
    heads = find(name).prepare(check_graph(bundle), Target()).heads(bundle.golden_heads.input)
    np.testing.assert_allclose(heads["cam"], cam, rtol=1e-5)
    np.testing.assert_array_equal(heads["cam"], heads["logits"])
