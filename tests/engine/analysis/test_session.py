from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from analysis_models import CLASSES, FILTERS, LEVEL, write_finder
from photopeak.engine.analysis.session import AnalysisSession
from photopeak.engine.errors import InputError, ModelError, UsageError
from photopeak.engine.frames import Frames, Units
from photopeak.engine.reading import read
from photopeak.engine.session import load, load_for_images

CPU = {"device": "cpu", "precision": "fp32", "provider": "onnxruntime", "threads": 1}


def neck(lesions=((40, 60),), rows=96, spacing=2.5, seed=0, **changes):
    """Return counts with bright squares of 4 x 4 px whose upper left corners are given."""
    pixels = np.random.default_rng(seed).poisson(4.0, (rows, rows)).astype(np.float32)
    for row, column in lesions:
        pixels[row : row + 4, column : column + 4] += 60
    known = {"units": Units.COUNTS, "modality": "NM", "pixel_spacing_mm": (spacing, spacing), "source": "neck.dcm"}
    return Frames.from_array(pixels, **(known | changes))


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    return load(write_finder(tmp_path_factory.mktemp("finder"), "detection"), **CPU)


@pytest.fixture(scope="module")
def sorter(tmp_path_factory):
    return load(write_finder(tmp_path_factory.mktemp("sorter"), "classification"), **CPU)


def test_models_of_findings_load_as_such(finder):
    assert isinstance(finder, AnalysisSession)
    with pytest.raises(UsageError, match="gives findings and no images"):
        load_for_images(finder.bundle, **CPU)


def test_lesions_are_found_where_they_are(finder):
    """The mean of a cell is 64, so that its logit is 64 - LEVEL; box and size are the model's constants."""
    result = finder.run(neck(), neck(seed=1))
    (lesion,) = result.detections[0]
    logit = (result.sources[0].pixels + result.sources[1].pixels)[0, 40:44, 60:64].mean() / 2 - LEVEL
    assert lesion.score == pytest.approx(1 / (1 + np.exp(-logit / 1.5)), rel=1e-5)
    assert lesion.centre == pytest.approx((43, 60))
    height, width = 4 * np.exp(0.5), 4 * np.exp(1.0)
    assert lesion.box == pytest.approx((43 - height / 2, 60 - width / 2, 43 + height / 2, 60 + width / 2), rel=1e-5)
    assert lesion.centre_mm == pytest.approx((107.5, 150))
    assert lesion.diameter_mm == pytest.approx(2.5 * np.sqrt(height * width), rel=1e-5)
    assert result.valid
    assert result.labels == ("adenoma",)
    assert result.warnings == ()
    assert set(result.timings_ms) == {"prepare", "infer", "decode"}


def test_maps_lie_on_the_matrix_of_the_image(finder):
    result = finder.run(neck(), neck(seed=1))
    assert result.cam.shape == result.heat.shape == (1, 1, 96, 96)
    row, column = np.unravel_index(result.heat[0, 0].argmax(), (96, 96))
    assert 40 <= row < 44
    assert 60 <= column < 64
    assert result.cam.dtype == result.heat.dtype == np.float32
    assert 0 <= result.heat.min() <= result.heat.max() <= 1


@pytest.mark.parametrize(("rows", "spacing"), [(48, 5.0), (192, 1.25)])
def test_lesions_stay_in_place_whatever_the_matrix(finder, rows, spacing):
    """The same counts, four pixels as one or one as four."""
    fine = neck(rows=192, spacing=1.25, lesions=((80, 120), (80, 124), (84, 120), (84, 124)))
    pixels = fine.pixels if rows == 192 else fine.pixels.reshape(1, 48, 4, 48, 4).sum(axis=(2, 4))
    frames = fine.with_pixels(np.ascontiguousarray(pixels), (spacing, spacing))
    (lesion, *_) = finder.run(frames, frames).detections[0]
    assert lesion.centre_mm == pytest.approx((107.5, 150), abs=11)
    assert lesion.centre == pytest.approx(np.array(lesion.centre_mm) / spacing)


def test_phases_may_differ_in_matrix(finder):
    early, late = neck(rows=48, spacing=5.0, lesions=()), neck(lesions=((40, 60), (40, 64), (44, 60), (44, 64)))
    result = finder.run(early, late)
    assert result.reference is late
    assert result.cam.shape == (1, 1, 96, 96)
    lesion = result.detections[0][0]
    assert result.box_on(lesion, 0) == pytest.approx(tuple(edge / 2 for edge in lesion.box))


@pytest.mark.parametrize("given", ["early", "late"])
def test_one_phase_alone_runs_and_says_so(finder, given):
    result = finder.run(**{given: neck()})
    other = {"early": "late", "late": "early"}[given]
    assert result.warnings == (
        f"Only the {given} phase was given: test-finder compares it with the {other} phase and is less sure.",
    )
    assert [source is None for source in result.sources] == [given == "late", given == "early"]
    assert len(result.detections[0]) == 1


def test_phases_are_not_interchangeable(finder):
    """The model takes the mean of both; that the tensor's channels are in order shows in a trained one only."""
    both = finder.run(neck(), neck(seed=1))
    named = finder.run(late=neck(seed=1), early=neck())
    assert both.detections == named.detections


def test_stacks_give_one_result_for_each_frame(finder):
    stack = np.concatenate([neck(((40, 60),)).pixels, neck(((20, 20),)).pixels])
    frames = neck().with_pixels(neck().pixels)
    both = Frames.from_array(stack, units=Units.COUNTS, modality="NM", pixel_spacing_mm=frames.pixel_spacing_mm)
    result = finder.run(both, both)
    assert len(result) == len(result.detections) == len(result.domains) == 2
    for index, start in enumerate((40, 20)):
        assert result.detections[index][0].centre[0] == pytest.approx(start + 3)


def test_the_threshold_decides(finder):
    weak = neck(lesions=())
    pixels = weak.pixels.copy()
    pixels[0, 40:44, 60:64] = LEVEL - 1
    frames = weak.with_pixels(pixels)
    assert not finder.run(frames, frames).detections[0]
    result = finder.run(frames, frames, threshold=0.3)
    assert len(result.detections[0]) == 1
    assert result.threshold == 0.3


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, float("nan")])
def test_thresholds_that_are_no_probability_are_refused(finder, threshold):
    with pytest.raises(UsageError, match="is no probability"):
        finder.run(neck(), neck(), threshold=threshold)


def test_what_is_unclear_about_phases_is_asked(finder):
    with pytest.raises(UsageError, match="say which one the only image is, with early= or late="):
        finder.run(neck())
    with pytest.raises(UsageError, match="has no input 'middle'"):
        finder.run(middle=neck())
    with pytest.raises(UsageError, match="takes early and late, each given once"):
        finder.run(neck(), neck(), neck())
    with pytest.raises(UsageError, match="needs early or late; give at least one"):
        finder.run(None, None)


def test_phases_of_different_length_are_refused(finder):
    two = Frames.from_array(
        np.repeat(neck().pixels, 2, axis=0), units=Units.COUNTS, modality="NM", pixel_spacing_mm=(2.5, 2.5)
    )
    with pytest.raises(InputError, match="different numbers of frames"):
        finder.run(neck(), two)


def test_phases_of_two_patients_are_refused(finder, dicom_factory):
    first, second, other = (
        read(dicom_factory("static", seed=seed, folder=f"{seed}", tags={"PatientID": patient})[0])
        for seed, patient in ((1, "A"), (2, "A"), (3, "B"))
    )
    assert finder.run(first, second)
    with pytest.raises(InputError, match="different patients; phases of two patients are never mixed"):
        finder.run(first, other)


def test_lengths_are_needed(finder):
    with pytest.raises(InputError, match="has no pixel spacing"):
        finder.run(neck(pixel_spacing_mm=None), neck(pixel_spacing_mm=None))


def test_arrays_are_taken_at_their_word(finder):
    result = finder.run(neck().pixels, neck().pixels[0])
    assert result.reference.pixel_spacing_mm == (2.5, 2.5)
    assert result.warnings[0] == "The array has no pixel spacing; 2.5 mm were taken, those of the model's grid."


def test_values_that_are_no_numbers_are_refused(finder):
    broken = neck().pixels.copy()
    broken[0, 3, 3] = np.nan
    with pytest.raises(InputError, match=r"neck\.dcm: frame 1 holds NaN"):
        finder.run(neck(), neck().with_pixels(broken))


def test_other_units_are_refused_and_unknown_ones_remarked(finder):
    with pytest.raises(InputError, match="takes CNTS"):
        finder.run(late=neck(units=Units.HOUNSFIELD, modality="CT"))
    result = finder.run(late=neck(units=Units.NONE, modality="OT"))
    assert "does not say its units" in result.warnings[0]


def test_negative_counts_are_taken_as_none(finder):
    pixels = neck().pixels.copy()
    pixels[0, 0, 0] = -5
    result = finder.run(late=neck().with_pixels(pixels))
    assert "negative counts (down to -5) were taken as 0" in result.warnings[0]


def test_classes_have_calibrated_probabilities(sorter):
    frames = neck(rows=64)
    result = sorter.run(frames)
    grid = (frames.pixels - frames.pixels.min())[0].reshape(32, 2, 32, 2).mean(axis=(1, 3))
    features = np.maximum(grid.reshape(8, 4, 8, 4).mean(axis=(1, 3)) * FILTERS[:, None, None], 0)
    logits = CLASSES @ features.mean(axis=(1, 2)) / 1.5
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(result.probabilities[0], expected, rtol=1e-4)
    assert result.probabilities.sum() == pytest.approx(1)
    assert result.found() == (int(expected.argmax()), pytest.approx(expected.max(), rel=1e-4))
    sure = sorter.run(frames, threshold=0.999)
    assert sure.found() == (0, pytest.approx(expected[0], rel=1e-4))
    assert sure.score() == pytest.approx(expected[1], rel=1e-4)
    assert result.cam.shape == (1, 2, 64, 64)
    assert result.detections == ()
    assert result.heat is None


def test_detectors_have_no_classes(finder):
    with pytest.raises(UsageError, match="detects and does not classify"):
        finder.run(late=neck()).found()
    with pytest.raises(UsageError, match="detects and does not classify"):
        finder.run(late=neck()).score()


def test_models_of_one_image_take_one(sorter):
    with pytest.raises(UsageError, match="takes one image"):
        sorter.run(neck(), neck())
    with pytest.raises(UsageError, match="has no input 'late'; it takes one image"):
        sorter.run(late=neck())
    with pytest.raises(UsageError, match="needs an image"):
        sorter.run()


def test_what_is_outside_the_domain_is_not_valid(tmp_path):
    bundle = write_finder(tmp_path, "detection")
    analysis = bundle.manifest.analysis.model_dump()
    analysis["embedding"] |= {"mean": [32.0], "precision": [[4.0]], "limits": [10.0, 20.0]}
    session = load(write_finder(tmp_path / "narrow", "detection", analysis=analysis), **CPU)
    result = session.run(late=neck())
    assert result.valid
    bright = session.run(late=neck().with_pixels(neck().pixels * 4))
    assert not bright.valid
    assert bright.valid_frames == (False,)
    assert bright.domain.verdict == "outside"
    assert "what the network sees in it" in bright.domain.reasons[-1]
    assert bright.detections[0]


def test_threads_do_not_disturb_each_other(finder):
    images = [neck(lesions=((20 + 4 * i, 40),), seed=i) for i in range(6)]
    alone = [finder.run(image, image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: finder.run(image, image), images * 3))
    for result, expected in zip(together, alone * 3, strict=True):
        assert result.detections == expected.detections
        np.testing.assert_array_equal(result.cam, expected.cam)


def test_sources_are_kept_as_they_are(finder):
    early, late = neck(), neck(seed=1)
    before = late.pixels.copy()
    result = finder.run(early, late)
    assert result.sources == (early, late)
    np.testing.assert_array_equal(late.pixels, before)


@pytest.mark.parametrize("head", ["heat", "box", "cam", "embedding"])
def test_heads_of_other_sizes_than_the_image_are_told_of(finder, head):
    """A graph may cut its heads to the sizes of the trial input; lesions would then lie elsewhere."""

    class Cut:
        def heads(self, tensor):
            found = finder.runnable.heads(tensor)
            return found | {head: found[head][..., :5, :5] if head != "embedding" else found[head][:, :0]}

    cut = AnalysisSession(finder.bundle, finder.plan, Cut())
    with pytest.raises(ModelError, match=f"head '{head}' is"):
        cut.run(late=neck())


def test_a_model_that_gives_no_numbers_is_told_of(finder):
    class Broken:
        def heads(self, tensor):
            return {name: np.full_like(head, np.nan) for name, head in finder.runnable.heads(tensor).items()}

    broken = AnalysisSession(finder.bundle, finder.plan, Broken())
    with pytest.raises(ModelError, match="gave NaN or infinite values"):
        broken.run(late=neck())
