"""Ma's score and the perceptual index as users call them."""

import numpy as np
import pytest
import skimage.data

from photopeak.kernels import niqe
from photopeak.kernels.errors import InputError, ModelError
from photopeak.kernels.iqa.ma.features import Features, features
from photopeak.kernels.iqa.ma.forest import Forest
from photopeak.kernels.iqa.ma.model import MaModel
from photopeak.kernels.iqa.perceptual import luma, ma, ma_features, perceptual_index


@pytest.fixture(scope="module")
def model():
    """Return forests of single trees that tell whether their first feature exceeds a threshold."""

    def stump(threshold):
        links = np.array([1, -1, -1], np.int32), np.array([2, -1, -1], np.int32), np.zeros(3, np.int32)
        return Forest(np.zeros(1, np.int32), *links, np.array([threshold, 2.0, 8.0]))

    return MaModel((stump(0.3), stump(1.5), stump(100.0)), name="stumps")


@pytest.fixture(scope="module")
def stack():
    camera = skimage.data.camera()
    return np.stack([camera[:128, :140], camera[200:328, 150:290], camera[300:428, 300:440]])


def test_score_is_what_the_forests_make_of_the_features(model, stack):
    scores = ma(stack, model=model)
    for frame, score, predictions in zip(stack, scores.values, scores.details["predictions"], strict=True):
        expected = model.predict(features(frame.astype(np.float64)))
        assert score == model.score(expected)
        assert tuple(predictions) == expected
    assert (scores.metric, scores.model, scores.rule) == ("ma", "stumps", "ma-2017")
    assert scores.intensity.name == "identity"


def test_image_gives_one_number(model, stack):
    assert float(ma(stack[1], model=model)) == ma(stack, model=model).values[1]
    assert ma_features(stack[1]).gsm.shape == (45,)


def test_features_of_a_stack_are_those_of_its_frames(stack):
    found = ma_features(stack)
    assert found.reasons == (None,) * 3
    for index, frame in enumerate(stack):
        for name, expected in features(frame.astype(np.float64))._asdict().items():
            np.testing.assert_array_equal(getattr(found, name)[index], expected)


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32, np.float64])
def test_type_of_the_pixels_does_not_matter(stack, kind):
    for name in Features._fields:
        same = getattr(ma_features(stack[0].astype(kind), window="identity"), name)
        np.testing.assert_array_equal(same, getattr(ma_features(stack[0]), name))


def test_window_changes_the_features_and_is_recorded(stack):
    counts = stack[0].astype(np.uint16) * 40
    found = ma_features(counts, window=(0, 255 * 40))
    np.testing.assert_allclose(found.pca, ma_features(stack[0]).pca, rtol=0, atol=1e-12)
    assert (found.intensity.name, found.intensity.high) == ("window", (10200.0,))
    assert ma_features(counts).intensity.name == "counts"


def test_threads_change_no_bit(model, stack, small_runs):
    one, two = ma_features(stack), ma_features(stack, threads=2)
    for name in Features._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(ma(stack, model=model, threads=3), ma(stack, model=model))


def test_frame_without_features_says_why_and_spares_the_others(model, stack):
    frames = stack.astype(np.float64)
    frames[0] = 7
    frames[1, 3, 3] = np.nan
    found = ma_features(frames, window="identity")
    assert found.reasons == ("constant", "not-finite", None)
    assert np.isnan(found.gsm).all(axis=1).tolist() == [True, True, False]
    assert ma(frames, model=model, window="identity").reasons == found.reasons


@pytest.mark.parametrize(("shape", "patches"), [((44, 200), 75), ((45, 45), 59), ((9, 9), 6), ((1, 1), 1)])
def test_features_of_small_images_are_missing_with_a_reason(shape, patches):
    noise = np.random.default_rng(1).integers(0, 256, (2, *shape), np.uint8)
    found = ma_features(noise)
    assert found.pca.shape == (2, patches)
    assert np.isnan(found.dct).all() == (min(shape) < 45)
    assert (found.reasons[0] in ("too-small", "constant")) == (min(shape) < 45)


def test_small_images_have_no_score(model, stack):
    scores = ma(stack[:, :127], model=model)
    assert scores.reasons == ("too-small",) * 3
    assert np.isnan(scores.values).all()
    index = perceptual_index(stack[:, :127], ma_model=model)
    assert index.reasons == ("too-small",) * 3
    assert perceptual_index(stack[0, :7, :7], ma_model=model).reasons == ("too-small",)


@pytest.mark.parametrize("metric", [lambda frames: ma(frames), lambda frames: perceptual_index(frames)])
def test_missing_model_says_where_it_comes_from_and_how_to_pass_it(stack, metric):
    with pytest.raises(ModelError, match=r"github\.com/chaoma99/sr-metric.*--ma-model"):
        metric(stack)


def test_other_file_is_refused(stack, tmp_path):
    (tmp_path / "model.mat").write_bytes(b"forests")
    with pytest.raises(ModelError, match="has the git blob"):
        ma(stack, model=tmp_path / "model.mat")


def test_perceptual_index_is_made_of_its_parts(model, stack):
    frames = np.concatenate([stack, stack[:, ::-1]], axis=1)
    scores = perceptual_index(frames, ma_model=model)
    shaved = np.ascontiguousarray(frames[:, 4:-4, 4:-4])
    learned, natural = ma(shaved, model=model), niqe(shaved)
    np.testing.assert_array_equal(scores, (10 - learned.values + natural.values) / 2)
    np.testing.assert_array_equal(scores.details["niqe"], natural.values)
    assert scores.metric == "perceptual-index"
    assert scores.model == "ma stumps, niqe live"
    assert float(perceptual_index(frames[0], ma_model=model)) == scores.values[0]


def test_luma_of_primaries_is_that_of_the_standard():
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]], np.uint8)
    assert luma(colours).tolist() == [81, 145, 41, 235, 16]
    with pytest.raises(InputError, match="no colour image"):
        luma(np.zeros((4, 4), np.uint8))


def test_luma_and_border_are_those_of_the_reference(reference_iqa):
    images = np.load(reference_iqa / "inputs.npz")
    for name in ("astronaut", "coffee", "rocket"):
        image = luma(getattr(skimage.data, name)())
        np.testing.assert_array_equal(image[4:-4, 4:-4], images[f"{name}_pirmY"])


def test_features_of_a_colour_image_add_up_to_what_the_authors_code_gives():
    """Sums from the authors' MATLAB code run in GNU Octave on astronaut, Y channel, four pixels shaved."""
    found = ma_features(luma(skimage.data.astronaut())[4:-4, 4:-4])
    sums = [getattr(found, name).sum() for name in Features._fields]
    np.testing.assert_allclose(sums, [22.2983302455699, 43.8322581323039, 704.037490831185], rtol=0, atol=1e-9)
