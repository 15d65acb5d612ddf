import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.engine import zoo
from photopeak.engine.errors import ModelError
from photopeak.engine.graph import check_graph
from photopeak.engine.session import load_for_images
from photopeak.exporters.complete_graph import complete_graph

IMAGES = [pytest.param(name, id=name) for name in zoo.names("images")]


def runner(data):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return lambda frames: session.run(None, {session.get_inputs()[0].name: frames})[0]


@pytest.fixture(scope="module")
def pet():
    bundle = zoo.load_bundle("pet-sr-x2-srcnn")
    return runner(complete_graph(bundle)), load_for_images(bundle, device="cpu", precision="fp32", threads=1)


@pytest.mark.parametrize("name", IMAGES)
def test_it_gives_what_a_session_gives(name):
    bundle = zoo.load_bundle(name)
    frames = (
        np.rint(3.7 * bundle.golden.input[:2]) if bundle.manifest.input.units == "CNTS" else bundle.golden.input[:2]
    )
    frames = np.ascontiguousarray(frames, np.float32)
    session = load_for_images(bundle, device="cpu", precision="fp32", provider="onnxruntime", threads=1)
    expected = session.run(frames[:, 0]).frames.pixels
    found = runner(complete_graph(bundle))(frames)[:, 0]
    assert np.abs(found - expected).max() < 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", IMAGES)
def test_nothing_but_zeros_stays_finite(name):
    bundle = zoo.load_bundle(name)
    found = runner(complete_graph(bundle))(np.zeros((1, 1, 64, 64), np.float32))
    assert np.isfinite(found).all()
    if bundle.manifest.image_output.conserve == "sum":
        assert not found.any()


@settings(max_examples=20)
@given(
    rows=st.integers(6, 20),
    columns=st.integers(6, 20),
    seed=st.integers(0, 999),
    level=st.floats(1e-3, 1e5),
    frames=st.integers(1, 3),
)
def test_percentile_and_mean_are_those_of_the_engine(pet, rows, columns, seed, level, frames):
    complete, session = pet
    shape = (frames, 1, 4 * rows, 4 * columns)
    image = np.random.default_rng(seed).gamma(0.5, level, shape).astype(np.float32)
    expected = session.run(image[:, 0]).frames.pixels
    assert np.abs(complete(image)[:, 0] - expected).max() < 2e-5 * np.abs(expected).max()


def test_negative_counts_are_taken_as_none():
    bundle = zoo.load_bundle("scint-denoise")
    frames = np.array(bundle.golden.input[:1])
    frames[..., ::5] = 0
    negative = np.where(frames == 0, np.float32(-3), frames)
    run = runner(complete_graph(bundle))
    np.testing.assert_array_equal(run(negative), run(frames))


def test_the_graph_of_a_model_of_findings_stays():
    bundle = zoo.load_bundle("cxr-view")
    assert complete_graph(bundle) == check_graph(bundle).data


def test_a_complete_graph_is_not_completed_again():
    bundle = zoo.load_bundle("scint-denoise")
    model = onnx.load_model_from_string(bundle.model)
    first = model.graph.node[0].output[0]
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["photopeak_mine" if name == first else name for name in names]
    changed = type(bundle)(
        bundle.folder, bundle.manifest, bundle.digest, {**bundle.contents, "model.onnx": model.SerializeToString()}
    )
    with pytest.raises(ModelError, match="may be complete already"):
        complete_graph(changed)
