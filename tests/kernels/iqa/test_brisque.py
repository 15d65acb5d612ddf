"""BRISQUE against reference scores, against the definition in plain NumPy, and on what every metric must survive."""

import csv
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from scipy.ndimage import correlate1d
from scipy.special import gamma

from photopeak.kernels import brisque
from photopeak.kernels.errors import InputError, ModelError, UsageError
from photopeak.kernels.iqa.brisque import image_features
from photopeak.kernels.iqa.models import BrisqueModel, resolve

# Of images that come with scikit-image: canonical, and as the published programs hand numbers on (scaled ones cut, all
# cut); the same as in the reference files.
KNOWN = {
    "brick": (42.6338969260802, 42.6339500317787, 42.6337349235106),
    "grass": (38.1944635335509, 38.1944222904727, 38.194763315411),
    "gravel": (21.7985307882869, 21.7985655736389, 21.7983376907629),
    "coins": (-0.632287838220122, -0.632323023314143, -0.632539955698462),
    "moon": (13.2683134740834, 13.2683254755717, 13.2679614148798),
    "clock": (31.5242111435288, 31.5242018662817, 31.5244120880394),
    "microaneurysms": (57.9873277639, 57.9873564307292, 57.9874066263225),
}
NAMES = ("canonical", "scaled-quantised", "live-quantised")
SHAPES = np.arange(200, 10001) / 1000
G1, G2, G3 = (gamma(k / SHAPES) for k in (1, 2, 3))


def noise(shape, seed=0, mean=30.0):
    return np.random.default_rng(seed).poisson(mean, shape).astype(np.uint8)


def plain_coefficients(image):
    steps = np.arange(-3, 4)
    window = np.exp(-(steps**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()

    def smooth(plane):
        return correlate1d(correlate1d(plane, window, axis=0, mode="constant"), window, axis=1, mode="constant")

    mean = smooth(image)
    difference = np.where(abs(image - mean) < 1e-9, 0, image - mean)
    return difference / (np.sqrt(abs(smooth(image**2) - mean**2)) + 1)


def plain_half(image):
    for _ in range(2):
        rows = image.shape[0]
        padded = np.pad(image, ((4, 5), (0, 0)), mode="symmetric")
        weights = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
        image = np.array([weights @ padded[2 * i + 1 : 2 * i + 9] for i in range((rows + 1) // 2)]).T
    return image


def plain_features(image, inside=None):
    image = image.astype(float)
    inside = np.ones(image.shape, bool) if inside is None else inside
    features = []
    for _ in range(2):
        values = plain_coefficients(image)
        own = values[inside]
        square = (own**2).mean()
        wanted = square / abs(own).mean() ** 2
        features += [SHAPES[np.argmin(abs(G1 * G3 / G2**2 - wanted))], square]
        for shift in ((0, 1), (1, 0), (1, 1), (-1, 1)):
            both = inside & np.roll(inside, shift, axis=(0, 1))
            pairs = (values * np.roll(values, shift, axis=(0, 1)))[both]
            left, right = (np.sqrt((side**2).mean()) for side in (pairs[pairs < 0], pairs[pairs > 0]))
            skew, ratio = left / right, abs(pairs).mean() ** 2 / (pairs**2).mean()
            wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
            at = np.argmin((G2**2 / (G1 * G3) - wanted) ** 2)
            centre = (right - left) * G2[at] / G1[at] * np.sqrt(G1[at] / G3[at])
            features += [SHAPES[at], centre, left**2, right**2]
        image = plain_half(image)
        rows, columns = inside.shape
        inside = np.pad(inside, ((0, rows % 2), (0, columns % 2)), mode="edge")
        inside = inside[::2, ::2] & inside[1::2, ::2] & inside[::2, 1::2] & inside[1::2, 1::2]
    return np.array(features)


def test_reference_scores_are_met_on_every_image(reference_iqa: Path):
    images = np.load(reference_iqa / "inputs.npz")
    with (reference_iqa / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        image = images[row["image"]]
        assert float(brisque(image)) == pytest.approx(float(row["brisque_canonical"]), abs=1e-8), row
        if row["wellposed_brisque"] == "True":
            scaled, live = (float(row[f"brisque_octave_{column}"]) for column in ("scaledquant", "LIVEquant"))
            assert float(brisque(image, convention="scaled-quantised")) == pytest.approx(scaled, abs=1e-8), row
            assert float(brisque(image, convention="live-quantised")) == pytest.approx(live, abs=1e-8), row


def test_features_are_those_of_the_release(reference_iqa: Path):
    images, features = (np.load(reference_iqa / f"{name}.npz") for name in ("inputs", "brisque_features"))
    with (reference_iqa / "scores.csv").open() as file:
        posed = [row["image"] for row in csv.DictReader(file) if row["wellposed_brisque"] == "True"]
    for name in posed:
        np.testing.assert_allclose(image_features(images[name].astype(float)), features[name], rtol=1e-9, atol=1e-12)


def test_parameters_are_those_of_the_release(reference_iqa: Path):
    text = (reference_iqa / "models" / "brisque_live_allmodel.libsvm").read_text()
    model, _ = resolve("live", BrisqueModel)
    vectors = [line.split() for line in text.partition("SV\n")[2].splitlines()]
    np.testing.assert_array_equal(model.weights, [float(weight) for weight, *_ in vectors])
    full = np.zeros(model.vectors.shape)
    for row, (_, *entries) in enumerate(vectors):
        for index, _, value in (entry.partition(":") for entry in entries):
            full[row, int(index) - 1] = float(value)
    np.testing.assert_array_equal(model.vectors, full)
    ranges = (reference_iqa / "models" / "brisque_live_allrange.txt").read_text().splitlines()[2:]
    low, high = np.array([line.split()[1:] for line in ranges], float).T
    np.testing.assert_array_equal(model.low, low)
    np.testing.assert_array_equal(model.high, high)
    assert (model.gamma, model.intercept) == (0.05, 153.591)


@pytest.mark.parametrize("name", KNOWN)
def test_known_scores_are_met_on_images_of_scikit_image(name):
    image = getattr(skimage.data, name)()
    for convention, expected in zip(NAMES, KNOWN[name], strict=True):
        score = brisque(image, convention=convention)
        assert float(score) == pytest.approx(expected, abs=1e-8)
        assert score.rule == convention


@pytest.mark.parametrize("shape", [(14, 14), (15, 33), (64, 97), (101, 130)])
def test_features_are_those_of_the_definition(shape):
    image = noise(shape, seed=4).astype(float)
    np.testing.assert_allclose(image_features(image), plain_features(image), rtol=1e-9)


def test_scores_are_those_of_the_definition():
    image, (model, _) = noise((61, 97), seed=5), resolve("live", BrisqueModel)
    scaled = 2 * (plain_features(image) - model.low) / (model.high - model.low) - 1
    kernels = [np.exp(-0.05 * ((vector - scaled) ** 2).sum()) for vector in model.vectors]
    assert float(brisque(image)) == pytest.approx(np.dot(kernels, model.weights) + 153.591, abs=1e-8)


def test_scores_are_not_limited():
    assert float(brisque(skimage.data.camera())) == pytest.approx(-7.30869374788233, abs=1e-8)
    sparse = np.where(noise((128, 128), seed=8) > 44, 200, 0).astype(np.uint8)
    assert float(brisque(sparse)) > 100


def test_a_mask_keeps_the_pixels_inside():
    image = noise((60, 75), seed=6)
    rows, columns = np.mgrid[:60, :75]
    inside = (rows - 30) ** 2 + (columns - 40) ** 2 < 25**2
    np.testing.assert_allclose(image_features(image.astype(float), inside), plain_features(image, inside), rtol=1e-9)
    assert float(brisque(image, mask=np.ones(image.shape))) == float(brisque(image))
    assert float(brisque(image, mask=inside)) != float(brisque(image))


def test_stacks_score_each_frame_the_same_with_any_number_of_threads(small_runs):
    stack = np.stack([noise((50, 70), seed) for seed in range(5)])
    alone = [float(brisque(frame)) for frame in stack]
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(brisque(stack, threads=threads).values, alone)


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32, np.float64])
def test_the_type_of_the_pixels_does_not_matter(kind):
    image = noise((33, 40))
    assert float(brisque(image.astype(kind), window="identity")) == float(brisque(image))


def test_every_score_says_what_produced_it():
    score = brisque(noise((40, 50)).astype(np.uint16) * 9)
    assert (score.metric, score.model, score.rule, score.intensity.name) == ("brisque", "live", "canonical", "counts")
    assert score.details["features"][0].shape == (36,)


def test_images_without_a_score_say_why():
    image = noise((40, 40))
    point = np.zeros(image.shape)
    point[3, 3] = 1
    for score, reason in [
        (brisque(image[:13]), "too-small"),
        (brisque(np.full((40, 40), 7.0)), "constant"),
        (brisque(np.where(image > 40, np.inf, image)), "not-finite"),
        (brisque(image, mask=np.zeros(image.shape)), "mask-too-small"),
        (brisque(image, mask=point + np.roll(point, 2)), "mask-too-small"),
    ]:
        assert score.reasons == (reason,)
        assert np.isnan(float(score))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="convention 'x'; use canonical, live-quantised, scaled-quantised"):
        brisque(noise((20, 20)), convention="x")
    with pytest.raises(ModelError, match="there is no brisque model 'x'; use live"):
        brisque(noise((20, 20)), model="x")
    with pytest.raises(InputError, match="mask"):
        brisque(noise((20, 20)), mask=np.ones((3, 3)))
