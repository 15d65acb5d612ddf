"""NIQE against reference scores, against the definition in plain NumPy, and on what every metric must survive."""

import csv
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from scipy.ndimage import correlate1d
from scipy.special import gamma

from photopeak.kernels import niqe
from photopeak.kernels.errors import InputError, ModelError, UsageError
from photopeak.kernels.iqa.models import NiqeModel, resolve
from photopeak.kernels.iqa.niqe import block_features

# Of images that come with scikit-image, by the rule "canonical"; the same as in the reference files.
KNOWN = {
    "camera": 3.09620724410444,
    "brick": 9.4801424882897,
    "grass": 6.49292479779962,
    "gravel": 4.33370206050758,
    "moon": 9.11263372822423,
    "coins": 3.62267866630616,
    "page": 8.79941534925193,
    "clock": 10.9495854513145,
    "microaneurysms": 12.3857533187138,
}
SHAPES = np.arange(200, 10001) / 1000
RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


def noise(shape, seed=0, mean=30.0):
    return np.random.default_rng(seed).poisson(mean, shape).astype(np.uint8)


def plain_coefficients(image):
    steps = np.arange(-3, 4)
    window = np.exp(-(steps**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()

    def smooth(plane):
        return correlate1d(correlate1d(plane, window, axis=0, mode="nearest"), window, axis=1, mode="nearest")

    mean = smooth(image)
    difference = np.where(abs(image - mean) < 1e-9, 0, image - mean)
    return difference / (np.sqrt(abs(smooth(image**2) - mean**2)) + 1)


def plain_half(image):
    for _ in range(2):
        padded = np.pad(image, ((4, 4), (0, 0)), mode="symmetric")
        weights = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
        image = np.array([weights @ padded[2 * i + 1 : 2 * i + 9] for i in range(image.shape[0] // 2)]).T
    return image


def plain_fit(samples):
    left, right = (np.sqrt((side**2).mean()) for side in (samples[samples < 0], samples[samples > 0]))
    skew, ratio = left / right, abs(samples).mean() ** 2 / (samples**2).mean()
    wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = SHAPES[np.argmin((RATIOS - wanted) ** 2)]
    spread = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * spread, right * spread


def plain_features(image, block):
    """Return the features of each block, row by row of blocks."""
    rows, columns = image.shape[0] // block, image.shape[1] // block
    image = image[: rows * block, : columns * block].astype(float)
    scales = []
    for edge in (block, block // 2):
        values = plain_coefficients(image)
        found = []
        for i in range(rows):
            for j in range(columns):
                part = values[i * edge : (i + 1) * edge, j * edge : (j + 1) * edge]
                shape, left, right = plain_fit(part)
                features = [shape, (left + right) / 2]
                for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                    shape, left, right = plain_fit(part * np.roll(part, shift, axis=(0, 1)))
                    features += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
                found.append(features)
        scales.append(np.array(found))
        image = plain_half(image)
    return np.concatenate(scales, axis=1)


def plain_score(features, model):
    covariance = (model.covariance + (np.cov(features, rowvar=False) if len(features) > 1 else 0)) / 2
    apart = model.mean - features.mean(axis=0)
    return np.sqrt(apart @ np.linalg.pinv(covariance) @ apart)


def rows_of(reference):
    with (reference / "scores.csv").open() as file:
        return list(csv.DictReader(file))


def test_reference_scores_are_met_on_every_image(reference_iqa: Path):
    images = np.load(reference_iqa / "inputs.npz")
    for row in rows_of(reference_iqa):
        score = niqe(images[row["image"]])
        if row["niqe_canonical"]:
            assert float(score) == pytest.approx(float(row["niqe_canonical"]), abs=1e-9), row
            single = float(niqe(images[row["image"]], precision="single"))
            assert single == pytest.approx(float(score), abs=1e-3), row
        else:
            assert score.reasons == ("too-small",)
        if row["wellposed_niqe"] == "True":
            assert float(score) == pytest.approx(float(row["niqe_octave_official"]), abs=1e-9), row


def test_parameters_are_those_of_the_release(reference_iqa: Path):
    from scipy.io import loadmat

    published = loadmat(reference_iqa / "models" / "niqe_live_modelparameters.mat")
    model, _ = resolve("live", NiqeModel)
    np.testing.assert_array_equal(model.mean, published["mu_prisparam"].ravel())
    np.testing.assert_array_equal(model.covariance, published["cov_prisparam"])


@pytest.mark.parametrize("name", KNOWN)
def test_known_scores_are_met_on_images_of_scikit_image(name):
    image = getattr(skimage.data, name)()
    assert image.ndim == 2
    assert float(niqe(image)) == pytest.approx(KNOWN[name], abs=1e-9)
    assert float(niqe(image, precision="single")) == pytest.approx(KNOWN[name], abs=1e-3)


@pytest.mark.parametrize("shape", [(96, 96), (97, 200), (230, 191)])
def test_scores_are_those_of_the_definition(shape):
    image, (model, _) = noise(shape, seed=4), resolve("live", NiqeModel)
    expected = plain_features(image, 96)
    inside = np.ones((shape[0] // 96, shape[1] // 96), bool)
    np.testing.assert_allclose(block_features(image.astype(float), inside, 96), expected, rtol=1e-10)
    assert float(niqe(image)) == pytest.approx(plain_score(expected, model), abs=1e-9)


def test_other_block_sizes_follow_the_model():
    live, _ = resolve("live", NiqeModel)
    model = NiqeModel("small", live.mean, live.covariance, block=40)
    image = noise((131, 90), seed=5)
    score = niqe(image, model=model)
    assert float(score) == pytest.approx(plain_score(plain_features(image, 40), model), abs=1e-9)
    assert score.details["blocks"] == [6]


def test_a_model_without_spread_uses_the_pseudo_inverse():
    live, _ = resolve("live", NiqeModel)
    flat = live.covariance.copy()
    flat[3], flat[:, 3] = 0, 0
    model, image = NiqeModel("flat", live.mean, flat), noise((96, 96), seed=6)
    assert float(niqe(image, model=model)) == pytest.approx(plain_score(plain_features(image, 96), model), abs=1e-8)


def test_stacks_score_each_frame_the_same_with_any_number_of_threads(small_runs):
    stack = np.stack([noise((200, 120), seed) for seed in range(5)])
    alone = [float(niqe(frame)) for frame in stack]
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(niqe(stack, threads=threads).values, alone)


def test_every_score_says_what_produced_it():
    score = niqe(noise((96, 192)).astype(np.uint16) * 9)
    assert (score.metric, score.model, score.rule, score.intensity.name) == ("niqe", "live", "canonical", "counts")
    assert score.details["blocks"] == [2]
    assert niqe(noise((96, 96)), precision="single").rule == "canonical, single precision"


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32, np.float64])
def test_the_type_of_the_pixels_does_not_matter(kind):
    image = noise((100, 110))
    assert float(niqe(image.astype(kind), window="identity")) == float(niqe(image))
    assert float(niqe(image.astype(kind).T, window="identity")) == float(niqe(image.T))


def test_a_mask_keeps_the_blocks_that_lie_wholly_inside():
    image, mask = noise((200, 300), seed=7), np.zeros((200, 300), bool)
    mask[:192, 90:] = True
    features = plain_features(image, 96)[[1, 2, 4, 5]]
    model, _ = resolve("live", NiqeModel)
    score = niqe(image, mask=mask)
    assert float(score) == pytest.approx(plain_score(features, model), abs=1e-9)
    assert score.details["blocks"] == [4]
    assert float(niqe(image, mask=np.ones(image.shape))) == float(niqe(image))


def test_images_without_a_score_say_why():
    image = noise((96, 96))
    edge = np.full((100, 100), 40, np.uint8)
    edge[97:] = 90
    damaged = np.where(image > 40, np.nan, image)
    corner = np.zeros(image.shape)
    corner[:50, :50] = 1
    for score, reason in [
        (niqe(image[:95]), "too-small"),
        (niqe(image[:, :50]), "too-small"),
        (niqe(np.full((128, 128), 7.0)), "constant"),
        (niqe(damaged), "not-finite"),
        (niqe(image, mask=corner), "mask-too-small"),
        (niqe(image, mask=np.zeros(image.shape)), "mask-too-small"),
        (niqe(edge), "no-active-block"),
    ]:
        assert score.reasons == (reason,)
        assert np.isnan(float(score))


def test_flat_blocks_do_not_take_the_score_away():
    image = np.zeros((192, 96), np.uint8)
    image[96 + 10 :] = noise((86, 96))
    assert niqe(image).reasons == (None,)
    assert np.isfinite(float(niqe(image)))


def test_blur_is_worse_than_a_photograph():
    image = skimage.data.camera().astype(float)
    blurred = correlate1d(correlate1d(image, np.full(5, 0.2), axis=0), np.full(5, 0.2), axis=1)
    assert float(niqe(blurred, window="identity")) > float(niqe(image, window="identity")) + 1


def test_what_makes_no_sense_is_refused():
    image = noise((96, 96))
    with pytest.raises(UsageError, match="precision"):
        niqe(image, precision="half")
    with pytest.raises(ModelError, match="there is no niqe model 'x'; use live"):
        niqe(image, model="x")
    with pytest.raises(InputError, match="mask"):
        niqe(image, mask=np.ones((3, 3)))
    with pytest.raises(InputError, match="no image"):
        niqe(np.zeros((2, 2, 2, 2)))
