"""What the engine adds to the kernels: windows, types, references and masks; the kernels' own numbers are the truth."""

import numpy as np
import pytest
from PIL import Image as Picture
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from photopeak import kernels
from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.failures import Failure
from photopeak.engine.quality.images import find, read_image
from photopeak.engine.quality.measure import Against, measure, stream
from photopeak.engine.quality.metrics import Settings

BLIND = ("niqe", "brisque", "piqe")


def values(measured):
    return np.array([[score.found.value for score in frame.scores] for frame in measured.frames])


def test_scores_are_those_of_the_kernels_with_the_window_in_the_type_of_the_pixels(body, of_array):
    measured = measure(of_array(body), Settings(BLIND))
    expected = np.stack([getattr(kernels, name)(body).values for name in BLIND], axis=1)
    np.testing.assert_array_equal(values(measured), expected)


def test_windows_and_clipped_fractions_are_those_of_the_kernels(body, of_array):
    measured = measure(of_array(body), Settings(("niqe",)))
    intensity = kernels.niqe(body).intensity
    for i, frame in enumerate(measured.frames):
        (score,) = frame.scores
        assert (score.window.name, score.window.low, score.window.high) == (
            "counts",
            intensity.low[i],
            intensity.high[i],
        )
        assert score.clipped == intensity.clipped[i]
        assert (score.found.model, score.found.rule) == ("live", "canonical")


def test_fixed_window_is_used_for_every_frame(body, of_array):
    measured = measure(of_array(body), Settings(("niqe",), window=(0.0, 60.0)))
    np.testing.assert_array_equal(values(measured)[:, 0], kernels.niqe(body, window=(0, 60)).values)


def test_threads_change_no_bit(body, of_array):
    one, two = (measure(of_array(body), Settings(BLIND), threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(values(one), values(two))


def test_comparisons_agree_with_scikit_image(of_array):
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 256, (64, 64), np.uint8)
    image = np.clip(reference + rng.normal(0, 9, reference.shape), 0, 255).astype(np.uint8)
    measured = measure(of_array(image), Settings(("psnr", "ssim")), Against(of_array(reference)))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    psnr, ssim = values(measured)[0]
    assert psnr == pytest.approx(peak_signal_noise_ratio(reference, image), abs=1e-9)
    assert ssim == pytest.approx(structural_similarity(reference, image, data_range=255, **options), abs=1e-9)
    assert [score.found.data_range for score in measured.frames[0].scores] == [255, 255]
    assert all(score.window is None for score in measured.frames[0].scores)


def test_one_reference_serves_all_frames(body, of_array):
    measured = measure(of_array(body), Settings(("nrmse",)), Against(of_array(body[0])))
    assert values(measured)[0, 0] == 0
    assert (values(measured)[1:, 0] > 0.1).all()


@pytest.mark.parametrize("shape", [(2, 128, 128), (128, 64), (4, 128, 128)])
def test_reference_of_another_size_is_refused(body, of_array, shape):
    with pytest.raises(InputError, match="the reference array"):
        measure(of_array(body), Settings(("psnr",)), Against(of_array(np.ones(shape))))


def test_comparison_without_a_reference_is_a_usage_error(body, of_array):
    with pytest.raises(UsageError, match="reference"):
        measure(of_array(body), Settings(("psnr",)))


def test_mask_is_handed_on(body, of_array):
    mask = np.zeros(body.shape[1:], np.uint8)
    mask[:112] = 1
    measured = measure(of_array(body), Settings(("niqe",)), Against(mask=of_array(mask)))
    np.testing.assert_array_equal(values(measured)[:, 0], kernels.niqe(body, mask=mask).values)


def test_mask_is_refused_where_it_would_be_ignored(body, of_array):
    with pytest.raises(UsageError, match="ma takes no mask"):
        measure(of_array(body), Settings(("ma",)), Against(mask=of_array(body[0])))


def test_small_constant_and_broken_frames_have_reasons(of_array):
    settings = Settings(("niqe",))
    broken = np.ones((128, 128))
    broken[0, 0] = np.nan
    reasons = [
        measure(of_array(a), settings).frames[0].scores[0].found.reason
        for a in (np.eye(32), broken, np.ones((128, 128)))
    ]
    assert reasons == ["too-small", "not-finite", "constant"]


def test_maps_are_kept_when_asked_for_and_can_be_let_go(body, of_array):
    settings = Settings(("piqe", "ssim"), maps=True)
    measured = measure(of_array(body), settings, Against(of_array(body[0])))
    piqe, ssim = measured.frames[0].scores
    assert piqe.found.details["activity_map"].shape == ssim.found.details["map"].shape == (128, 128)
    lean = measured.without_pixels()
    assert lean.image is None
    assert set(lean.frames[0].scores[0].found.details) == {"activity_fraction"}
    np.testing.assert_array_equal(values(lean), values(measured))


def test_stream_tells_of_failures_and_goes_on(tmp_path, body):
    np.save(tmp_path / "a.npy", body)
    np.save(tmp_path / "b.npy", body[:, :64])
    np.save(tmp_path / "c.npy", body[0])
    found = find([tmp_path / name for name in ("a.npy", "b.npy", "c.npy")])
    against = Against(read_image(tmp_path / "c.npy"))
    outcomes = list(stream(found.sources, Settings(("nrmse",)), against))
    assert [type(outcome).__name__ for outcome in outcomes] == ["Measured", "Failure", "Measured"]
    assert isinstance(outcomes[1], Failure)
    assert "b.npy" in str(outcomes[1].error)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_stream_keeps_the_order_and_counts_every_frame(tmp_path, body, threads):
    for i in range(4):
        Picture.fromarray(body[0].astype(np.uint8) + np.uint8(i)).save(tmp_path / f"{i}.png")
    np.save(tmp_path / "stack.npy", body)
    ticks = []
    sources = find([tmp_path]).sources
    outcomes = list(stream(sources, Settings(("piqe",)), threads=threads, advance=lambda: ticks.append(1)))
    assert [outcome.source for outcome in outcomes] == [source.name for source in sources]
    assert len(ticks) == 7


def test_colour_is_scored_by_its_grey_and_by_its_luma(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    Picture.fromarray(rgb).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    (score,) = measure(image, Settings(("niqe",))).frames[0].scores
    assert score.window.name == "identity"
    assert score.found.value == float(kernels.niqe(image.pixels[0]))


def test_long_series_keep_maps_of_the_frames_that_are_shown(of_array):
    stack = np.random.default_rng(0).poisson(20, (40, 32, 32))
    measured = measure(of_array(stack), Settings(("piqe",), maps=True))
    kept = ["activity_map" in frame.scores[0].found.details for frame in measured.frames]
    assert sum(kept) == 24
    assert kept[0] is kept[-1] is True
