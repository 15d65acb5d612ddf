import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")
pytest.importorskip("skimage", reason="measuring needs scikit-image: pip install 'photopeak[train]'")

from torch import nn
from torch.nn import functional

import photopeak
from photopeak.engine.errors import InputError, ModelError, UsageError
from photopeak.engine.frames import Frames, Units
from photopeak.engine.graph import check_graph
from photopeak.engine.manifest import Grid
from photopeak.exporters import About, to_bundle


def counts(n, seed=0):
    """Return noisy counts, their expectation, and that on twice the matrix: n frames of 48 x 56."""
    rng = np.random.default_rng(seed)
    fine = np.outer(np.hanning(96), np.hanning(112)) * rng.uniform(20, 200, (n, 1, 1)) + 1
    coarse = fine.reshape(n, 48, 2, 56, 2).sum(axis=(2, 4))
    return rng.poisson(coarse).astype(np.float32), coarse.astype(np.float32), fine.astype(np.float32)


class Doubling(nn.Module):
    """Smooths on half the matrix and comes back to twice of it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down, self.up = nn.Conv2d(1, 6, 3, 2, 1), nn.ConvTranspose2d(6, 4, 2, 2)

    def forward(self, image):
        fine = functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
        return fine + 0.01 * functional.pixel_shuffle(self.up(functional.relu(self.down(image))), 2)


class Classifier(nn.Module):
    """Tells bright from dark by the mean of roots; with boxes a detector."""

    def __init__(self, detects=False):
        super().__init__()
        torch.manual_seed(1)
        self.block, self.detects = nn.Conv2d(1, 8, 3, 1, 1), detects
        self.last, self.box = nn.Conv2d(8, 1 if detects else 2, 1), nn.Conv2d(8, 4, 1)

    def features(self, image):
        return functional.avg_pool2d(functional.relu(self.block(torch.sqrt(functional.relu(image)))), 4)

    def head(self, features):
        if self.detects:
            return self.last(features), self.box(features)
        return self.last(features.mean((2, 3), keepdim=True))

    def forward(self, image):
        return self.head(self.features(image))


class Heads(Classifier):
    """The same classifier with its heads in a dict."""

    def __getattribute__(self, name):
        if name == "head":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def forward(self, image):
        features = self.features(image)
        mean = features.mean((2, 3), keepdim=True)
        return {"cam": functional.relu(self.last(features)), "embedding": mean, "logits": self.last(mean)}


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    """A bundle of a network for super-resolution of PET."""
    noisy, _, fine = counts(20)
    frames = Frames(1000 * noisy, Units.BECQUEREL_PER_ML, "PT")
    about = About(
        title="Ours", licence="MIT", scaling="robust", data=("phantoms (CC0-1.0)",), notes="Made on a Monday."
    )
    folder = tmp_path_factory.mktemp("own") / "our-doubling"
    return to_bundle(Doubling(), frames, truth=4000 * fine, task="super-resolution", output=folder, about=about)


def test_every_check_of_the_bundle_that_runs_here_passes(doubled):
    assert not [check for check in doubled.checks if check.passed is False]
    assert {one.provider for one in doubled.providers.ran} >= {"onnxruntime", "openvino", "reference"}
    assert not doubled.providers.failed
    assert doubled.providers.digest == doubled.bundle.digest
    assert [path.name for path in doubled.bundle.folder.parent.iterdir()] == ["our-doubling"]


def test_the_manifest_holds_what_was_found_and_told(doubled):
    manifest = doubled.bundle.manifest
    assert (manifest.name, manifest.title, manifest.licence, manifest.modalities) == (
        "our-doubling",
        "Ours",
        "MIT",
        ("PT",),
    )
    assert (manifest.input.units, manifest.input.scaling, manifest.input.multiple) == ("BQML", "robust", 2)
    assert 1 <= manifest.input.overlap <= 4
    assert (manifest.image_output.scale, manifest.image_output.conserve) == (2, "mean")
    assert (manifest.training.recipe, manifest.training.steps, manifest.training.seconds) == ("own", 0, 0)
    assert check_graph(doubled.bundle).operators


def test_a_session_computes_what_the_network_computes(doubled):
    noisy = 1000 * counts(3, seed=9)[0]
    found = photopeak.load(doubled.bundle, device="cpu", precision="fp32", threads=1).run(noisy).frames.pixels
    peaks = np.quantile(noisy, 0.995, axis=(1, 2)).astype(np.float32)[:, None, None]
    with torch.no_grad():
        expected = Doubling()(torch.from_numpy((noisy / peaks)[:, None])).numpy()[:, 0] * peaks
    expected *= noisy.mean(axis=(1, 2), keepdims=True) / expected.mean(axis=(1, 2), keepdims=True)
    assert np.abs(found - expected).max() < 1e-4 * expected.max()


def test_golden_frames_and_those_for_calibration_are_held_out_examples(doubled):
    golden, calibration = doubled.bundle.golden, doubled.bundle.calibration
    inputs = np.concatenate([golden.input, calibration.input])
    assert len(inputs) == len(np.unique(inputs.reshape(len(inputs), -1), axis=0)) == 5
    noisy, _, fine = counts(20)
    peaks = np.quantile(noisy, 0.995, axis=(1, 2))
    for frame, truth in zip(inputs, np.concatenate([golden.truth, calibration.truth]), strict=True):
        (number,) = np.flatnonzero(np.abs(noisy / peaks[:, None, None] - frame[0]).max(axis=(1, 2)) < 1e-3)
        np.testing.assert_allclose(truth[0], 4 * fine[number] / peaks[number], rtol=1e-3)


def test_the_card_says_what_is_known_and_what_is_not(doubled):
    card = doubled.bundle.card
    for words in ("MIT", "Made on a Monday.", "20 frames of 48x56 px", "PSNR of the output"):
        assert words in card
    unknown = card.partition("## Not known")[2]
    assert "Whether the examples were part of the training" in unknown
    assert "What the network was trained on" not in unknown
    assert "The licence" not in unknown
    assert "When it was trained" in unknown


@pytest.mark.parametrize("net", [Classifier(), Heads()], ids=["features and head", "dict of heads"])
def test_a_classifier_becomes_a_bundle_whose_probabilities_are_calibrated(net, tmp_path):
    images = counts(24)[0][:, :48, :48]
    order = np.argsort(images.mean(axis=(1, 2)))
    classes = np.zeros(24, int)
    classes[order[12:]] = 1
    about = About(labels=("dark", "bright"))
    made = to_bundle(net, images, truth=classes, task="classification", output=tmp_path / "ours", about=about)
    manifest = made.bundle.manifest
    assert manifest.heads == ("logits", "cam", "embedding")
    assert manifest.analysis.labels == ("dark", "bright")
    assert manifest.input.grid == Grid(kind="fit", side=48)
    assert manifest.analysis.temperature != 1
    assert "of 24" in made.bundle.card


def test_a_detector_becomes_a_bundle_without_truth(tmp_path):
    about = About(grid=Grid(kind="pitch", pitch_mm=4.0), threshold=0.3)
    made = to_bundle(Classifier(True), counts(20)[0], task="detection", output=tmp_path / "ours", about=about)
    assert made.bundle.manifest.heads == ("heat", "box", "cam", "embedding")
    assert made.bundle.manifest.input.multiple == 4
    assert made.bundle.manifest.analysis.threshold == 0.3
    assert "not calibrated" in made.bundle.card


def refused(error, words, tmp_path, net=None, **changes):
    """Expect one sentence, and nothing written."""
    noisy, truth, _ = counts(8)
    given = {"example": noisy, "truth": truth, "task": "denoise", "output": tmp_path / "ours", **changes}
    with pytest.raises(error, match=words) as found:
        to_bundle(net or nn.AvgPool2d(3, 1, 1), given.pop("example"), **given)
    assert "\n" not in str(found.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "words", "changes"),
    [
        (UsageError, "needs truth", {"truth": None}),
        (UsageError, "'sharpen' is not a task; use denoise", {"task": "sharpen"}),
        (UsageError, "truth is 1 times the size .* not super-resolution", {"task": "super-resolution"}),
        (InputError, r"truth is \(7, 1, 48, 56\) for examples of \(8, 1, 48, 56\)", {"truth": counts(7)[1]}),
        (InputError, "3 times|1, 2 or 4 times", {"truth": np.ones((8, 144, 168))}),
        (InputError, "have 2 channels", {"example": np.ones((8, 2, 48, 56))}),
        (InputError, "4 examples are too few", {"example": counts(4)[0]}),
        (UsageError, "'Our Net' is no name", {"about": About(name="Our Net")}),
        (UsageError, "version", {"about": About(version="1")}),
        (
            ModelError,
            "gives no image of 2 times",
            {"truth": counts(8)[2], "task": "super-resolution", "about": About(multiple=1)},
        ),
        (InputError, "too small .* multiples of 16", {"about": About(multiple=16)}),
        (UsageError, "conserve", {"about": About(units=Units.HOUNSFIELD, conserve="sum")}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_refused_in_one_sentence_and_leaves_nothing(error, words, changes, tmp_path):
    refused(error, words, tmp_path, **changes)


def test_networks_that_cannot_be_exported_are_refused(tmp_path):
    class Branches(nn.Module):
        def forward(self, image):
            return image if image.sum() > 0 else 2 * image

    class Sorts(nn.Module):
        def forward(self, image):
            return image - image.flatten(1).median(dim=1).values[:, None, None, None]

    refused(ModelError, "cannot export the network for any rows and columns", tmp_path, Branches())

    class Slices(nn.Module):
        def forward(self, image):
            mean = image.mean(dim=(2, 3), keepdim=True)
            return {"cam": image[:, :, ::2, ::2], "embedding": mean, "logits": torch.cat([mean, -mean], 1)}

    refused(ModelError, "cannot export|operators that the engine does not run", tmp_path, Sorts())
    words, square = "operators that the engine does not run: Slice; ", counts(16)[0][:, :48, :48]
    refused(ModelError, words, tmp_path, Slices(), task="classification", truth=None, example=square)


def test_a_network_of_one_tensor_is_told_which_heads_are_missing(tmp_path):
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1))
    words = "give logits, cam, embedding as a dict, or give the network the methods features"
    refused(ModelError, words, tmp_path, net, task="classification", truth=None, example=counts(16)[0][:, :48, :48])


def test_a_temperature_of_nothing_is_refused_and_not_fitted_instead(tmp_path):
    given = {"task": "classification", "truth": None, "example": counts(16)[0][:, :48, :48]}
    refused(UsageError, r"temperature: .*0\.01", tmp_path, Classifier(False), **given, about=About(temperature=0.0))


def test_a_bundle_that_is_there_is_not_replaced(tmp_path):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "mine").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        to_bundle(nn.Identity(), counts(8)[0], truth=counts(8)[1], task="denoise", output=tmp_path / "ours")
