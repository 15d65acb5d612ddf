"""Super-resolution by sparse coding: each part against an independent computation, and what must hold for any image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from photopeak.kernels import scsr
from photopeak.kernels.errors import InputError, ModelError, UsageError
from photopeak.kernels.sparse.coding import back_projected, codes, features
from photopeak.kernels.sparse.dictionary import Dictionary, resolve, shipped
from photopeak.kernels.sparse.interpolation import doubled


def image(seed=0, shape=(24, 20)):
    return np.random.default_rng(seed).gamma(2, 1, shape).astype(np.float32)


def bicubic(frame):
    return np.asarray(Image.fromarray(frame).resize((2 * frame.shape[1], 2 * frame.shape[0]), Image.Resampling.BICUBIC))


def dictionary(atoms=40, **changes):
    rng = np.random.default_rng(5)
    low = rng.normal(size=(100, atoms))
    values = {
        "name": "random",
        "low": low / np.linalg.norm(low, axis=0),
        "high": rng.normal(size=(atoms, 25)),
        "penalty": 0.1,
    }
    return Dictionary(**(values | changes))


def test_interpolation_is_that_of_pillow_inside():
    frame = image()
    np.testing.assert_allclose(doubled(frame)[6:-6, 6:-6], bicubic(frame)[6:-6, 6:-6], atol=2e-6)


def test_features_of_a_parabola_are_its_derivatives():
    y, x = np.mgrid[:20, :20].astype(np.float32)
    found = features(x**2 + 3 * y, np.array([[4, 6]])).reshape(4, 5, 5)
    np.testing.assert_allclose(found[0], np.broadcast_to(4 * np.arange(6, 11), (5, 5)))
    np.testing.assert_allclose(found[1], 6)
    np.testing.assert_allclose(found[2], 8)
    np.testing.assert_allclose(found[3], 0, atol=1e-4)


def test_codes_are_those_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    atoms, vector = dictionary(), features(image(shape=(30, 30)), np.array([[3, 4]]))
    unit = (vector / np.linalg.norm(vector)).astype(np.float64)
    peer = linear_model.Lasso(alpha=0.1 / 100, fit_intercept=False, tol=1e-10, max_iter=100_000)
    peer.fit(atoms.low.astype(np.float64), unit[0])
    found = codes(vector, atoms.low, atoms.gram, 0.1)[0]
    np.testing.assert_allclose(found, peer.coef_, atol=5e-3)
    assert 0 < np.count_nonzero(found) < 40


def test_a_large_penalty_leaves_the_mean_of_bicubic_patches():
    frame = image()
    found = scsr(frame, dictionary(penalty=0.999), step=1)
    windows = np.lib.stride_tricks.sliding_window_view(bicubic(frame).astype(np.float64), (5, 5)).mean((2, 3))
    means = np.lib.stride_tricks.sliding_window_view(windows, (5, 5)).mean((2, 3))
    np.testing.assert_allclose(found[12:-12, 12:-12], means[8:-8, 8:-8], rtol=1e-4)


def test_back_projection_approaches_the_frame():
    frame, start = image(), np.ones((48, 40), np.float32)

    def error(times):
        binned = back_projected(start, frame, times).reshape(24, 2, 20, 2).mean((1, 3))
        return np.abs(binned - frame).max()

    assert error(1) < 0.6 * error(0)
    assert error(20) < 0.01 * error(0)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e5), st.integers(4, 20), st.integers(4, 20), st.integers(1, 5))
def test_a_constant_stays_and_brightness_does_not_matter(level, rows, columns, step):
    flat = scsr(np.full((rows, columns), level), step=step)
    np.testing.assert_allclose(flat, level, rtol=1e-5)
    frame = image(rows, (rows, columns))
    np.testing.assert_array_equal(scsr(8 * frame, step=step), 8 * scsr(frame, step=step))


def test_frames_of_a_stack_do_not_matter_to_each_other():
    stack = np.stack([image(1), image(2)])
    np.testing.assert_array_equal(scsr(stack, threads=2), np.stack([scsr(frame) for frame in stack]))


def test_a_noisy_lesion_comes_closer_to_the_truth_than_by_interpolation():
    y, x = np.mgrid[:128, :128] - 63.5
    truth = (0.3 + 0.3 / (1 + np.exp((np.hypot(x, y) - 40) / 2)) + 0.4 * np.exp(-(x**2 + y**2) / 60)).astype(np.float32)
    frame = truth.reshape(64, 2, 64, 2).mean((1, 3))
    frame += np.random.default_rng(0).normal(0, 0.03, frame.shape).astype(np.float32)
    assert np.mean((scsr(frame) - truth) ** 2) < 0.9 * np.mean((bicubic(frame) - truth) ** 2)


def test_the_shipped_dictionary_is_small_and_says_what_it_is():
    found = resolve("pet")
    assert found.low.shape == (100, 512)
    assert "simulated" in found.provenance
    assert shipped() == ["pet"]


def test_a_file_gives_the_dictionary_back(tmp_path):
    made = dictionary(provenance="noise")
    made.save(tmp_path / "d.npz")
    found = Dictionary.load(tmp_path / "d.npz")
    np.testing.assert_array_equal(found.low, made.low)
    np.testing.assert_array_equal(found.high, made.high)
    assert (found.name, found.penalty, found.provenance) == ("random", 0.1, "noise")
    np.testing.assert_array_equal(scsr(image(), tmp_path / "d.npz"), scsr(image(), made))


@pytest.mark.parametrize(
    ("frames", "options", "error"),
    [
        (np.ones((3, 9)), {}, InputError),
        (np.full((8, 8), np.nan), {}, InputError),
        (np.ones((8, 8)), {"step": 0}, UsageError),
        (np.ones((8, 8)), {"step": 6}, UsageError),
        (np.ones((8, 8)), {"back_projections": -1}, UsageError),
        (np.ones((8, 8)), {"dictionary": "mri"}, ModelError),
        (np.ones((8, 8)), {"dictionary": 3}, ModelError),
    ],
)
def test_what_makes_no_sense_is_refused(frames, options, error):
    with pytest.raises(error):
        scsr(frames, **options)


@pytest.mark.parametrize(
    "changes",
    [
        {"low": np.ones((100, 40))},
        {"low": np.ones((99, 40))},
        {"high": np.ones((39, 25))},
        {"high": np.full((40, 25), np.inf)},
        {"penalty": 0.0},
    ],
)
def test_numbers_that_are_no_dictionary_are_refused(changes):
    with pytest.raises(ModelError, match="no dictionary"):
        dictionary(**changes)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", None])
def test_a_damaged_file_is_refused(tmp_path, content):
    file = tmp_path / "d.npz"
    if content is None:
        np.savez(file, kind="something else")
    else:
        file.write_bytes(content)
    with pytest.raises(ModelError):
        scsr(np.ones((8, 8)), file)
