"""Models of one's own, against the numbers that they are made of and against scikit-learn."""

import sys

import numpy as np
import pytest
from scipy.ndimage import correlate1d, gaussian_filter

from photopeak.kernels import brisque, fit_brisque, fit_niqe, niqe
from photopeak.kernels.errors import InputError, ModelError, UsageError
from photopeak.kernels.iqa.brisque import image_features
from photopeak.kernels.iqa.fitting import sharpness
from photopeak.kernels.iqa.models import BrisqueModel, NiqeModel
from photopeak.kernels.iqa.niqe import block_features


def scene(seed, shape=(160, 128), blur=1.5):
    rng = np.random.default_rng(seed)
    expected = gaussian_filter(rng.gamma(0.3, 1.0, shape), blur) * 100
    return rng.poisson(expected).astype(np.uint8)


def plain_deviations(image, mode="nearest"):
    steps = np.arange(-3, 4)
    window = np.exp(-(steps**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()

    def smooth(plane):
        return correlate1d(correlate1d(plane, window, axis=0, mode=mode), window, axis=1, mode=mode)

    return np.sqrt(abs(smooth(image**2) - smooth(image) ** 2))


@pytest.mark.parametrize(("shape", "block"), [((70, 90), 32), ((128, 200), 128), ((40, 40), 20)])
def test_sharpness_is_the_mean_deviation_of_each_block(shape, block):
    image = np.random.default_rng(1).uniform(0, 255, shape)
    rows, columns = shape[0] // block, shape[1] // block
    deviations = plain_deviations(image[: rows * block, : columns * block])
    expected = deviations.reshape(rows, block, columns, block).mean(axis=(1, 3))
    np.testing.assert_allclose(sharpness(image, block), expected, rtol=1e-10)


def test_niqe_models_hold_the_statistics_of_the_sharp_blocks():
    images = [(scene(seed) * np.linspace(0.2, 1, 128)).astype(np.uint8) for seed in range(6)]
    model = fit_niqe(images, name="mine", block=32, sharp=0.6)
    features = []
    for image in images:
        plane = image.astype(float)
        measured = sharpness(plane, 32)
        chosen = measured > 0.6 * measured.max()
        assert 0 < chosen.sum() < chosen.size
        features.append(block_features(plane, chosen, 32))
    found = np.concatenate(features)
    np.testing.assert_allclose(model.mean, found.mean(axis=0))
    np.testing.assert_allclose(model.covariance, np.cov(found, rowvar=False))
    assert (model.name, model.block) == ("mine", 32)
    assert model.provenance == f"{len(found)} blocks of 6 images, sharpness above 0.6, window auto"


def test_images_like_those_fitted_score_better_than_others(tmp_path):
    model = fit_niqe([scene(seed) for seed in range(20)], name="mine", block=32)
    model.save(tmp_path / "mine.npz")
    path = tmp_path / "mine.npz"
    alike, blurred = scene(100), gaussian_filter(scene(100).astype(float), 1.5)
    assert float(niqe(alike, model=path)) < float(niqe(blurred, model=path, window="identity"))
    assert float(niqe(alike, model=path)) == float(niqe(alike, model=model))
    assert niqe(alike, model=path).model == f"mine@{NiqeModel.load(path).digest[:12]}"


def test_stacks_images_and_threads_give_the_same_model():
    stack = np.stack([scene(seed) for seed in range(6)])
    first = fit_niqe(stack[np.newaxis][0], name="mine", block=32)
    for images, threads in ((list(stack), 1), ([stack], 2), (iter(stack), 3)):
        model = fit_niqe(images, name="mine", block=32, threads=threads)
        np.testing.assert_array_equal(model.mean, first.mean)
        np.testing.assert_array_equal(model.covariance, first.covariance)


def test_niqe_cannot_be_fitted_to_too_little():
    with pytest.raises(InputError, match="0 blocks with structure cannot give the covariance of 36 features"):
        fit_niqe([np.zeros((128, 128))], name="x")
    with pytest.raises(InputError, match="4 blocks"):
        fit_niqe([scene(1, (64, 64))], name="x", block=32, sharp=0.0)
    with pytest.raises(InputError, match="0 blocks"):
        fit_niqe([], name="x")
    with pytest.raises(InputError, match="image 1 has 95 x 200 pixels; give at least 96 x 96"):
        fit_niqe([scene(1), scene(1, (95, 200))], name="x")
    with pytest.raises(InputError, match="image 0 holds values that are not finite"):
        fit_niqe([np.full((96, 96), np.nan)], name="x")
    with pytest.raises(UsageError, match=r"sharp is 1\.0"):
        fit_niqe([scene(1)], name="x", sharp=1.0)
    for block in (33, 32.0, 8):
        with pytest.raises(UsageError, match=f"block is {block}"):
            fit_niqe([scene(1)], name="x", block=block)


def graded(count=24):
    """Return images from sharp to blurred, and grades for them."""
    blurs = np.linspace(0.3, 3, count)
    images = [gaussian_filter(scene(seed, (64, 80)).astype(float), blur) for seed, blur in enumerate(blurs)]
    return images, 30 * blurs


def test_brisque_models_predict_what_scikit_learn_predicts(tmp_path):
    svm = pytest.importorskip("sklearn.svm")
    images, grades = graded()
    model = fit_brisque(images, grades, name="mine", window=(0, 255), tolerance=0.5)
    features = np.stack([image_features(image) for image in images])
    low, high = features.min(axis=0), features.max(axis=0)
    machine = svm.SVR(kernel="rbf", C=1024, gamma=0.05, epsilon=0.5)
    machine.fit(2 * (features - low) / (high - low) - 1, grades)
    model.save(tmp_path / "mine.npz")
    assert BrisqueModel.load(tmp_path / "mine.npz").provenance == "24 images, cost 1024, tolerance 0.5, window 0 to 255"
    unseen = gaussian_filter(scene(99, (64, 80)).astype(float), 1.2)
    scaled = 2 * (image_features(unseen) - low) / (high - low) - 1
    score = brisque(unseen, model=tmp_path / "mine.npz", window=(0, 255))
    assert float(score) == pytest.approx(machine.predict([scaled])[0], abs=1e-8)
    assert float(score) == pytest.approx(36, abs=15)


def test_brisque_cannot_be_fitted_to_too_little():
    pytest.importorskip("sklearn.svm")
    images, grades = graded(3)
    with pytest.raises(InputError, match=r"3 images and scores of shape \(2,\)"):
        fit_brisque(images, grades[:2], name="x")
    with pytest.raises(InputError, match="1 images"):
        fit_brisque(images[:1], grades[:1], name="x")
    with pytest.raises(InputError, match="one finite score"):
        fit_brisque(images, [1, 2, np.nan], name="x")
    with pytest.raises(InputError, match="image 1 has no detail"):
        fit_brisque([images[0], np.zeros((64, 64)), images[1]], grades, name="x")
    with pytest.raises(InputError, match="is the same in all images"):
        fit_brisque([images[0], images[0]], [1, 2], name="x")
    with pytest.raises(InputError, match="give at least 14 x 14"):
        fit_brisque([images[0], images[0][:9]], [1, 2], name="x")


def test_brisque_needs_scores_and_options_that_mean_something():
    pytest.importorskip("sklearn.svm")
    images, grades = graded(4)
    for options in ({"cost": 0}, {"gamma": -1}, {"tolerance": np.nan}, {"cost": np.inf}):
        with pytest.raises(UsageError, match="use a cost and a gamma above 0"):
            fit_brisque(images, grades, name="x", **options)
    with pytest.raises(InputError, match="scores of type <U1 cannot be predicted"):
        fit_brisque(images, list("good"), name="x")
    with pytest.raises(InputError, match=r"all scores lie within 0\.1 of each other"):
        fit_brisque(images, [5, 5, 5, 5], name="x")
    with pytest.raises(ModelError, match="the name is 3"):
        fit_brisque(images, grades, name=3)


def test_brisque_says_that_it_needs_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(UsageError, match=r"pip install 'photopeak\[fit\]'"):
        fit_brisque([], [], name="x")
