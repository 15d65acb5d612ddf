"""The noise power spectrum against closed forms, Parseval's theorem and a transform written out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from photopeak.kernels import noise_power_spectrum
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.noise.power import chi_square_band, rings

RNG = np.random.default_rng
detrendings = st.sampled_from(["constant", "plane", "quadratic"])
windows = st.sampled_from(["none", "hann"])


def filtered(shape, response, seed=0):
    """Return white noise of variance 1 with a transfer function over (row, column) frequencies, periodic."""
    frequencies = np.meshgrid(*(np.fft.fftfreq(length) for length in shape[-2:]), indexing="ij")
    return np.fft.ifft2(np.fft.fft2(RNG(seed).normal(size=shape)) * response(*frequencies)).real


def gaussian(sigma):
    return lambda u, v: np.exp(-2 * np.pi**2 * sigma**2 * (u**2 + v**2))


def test_plane_is_the_periodogram_of_what_a_fitted_plane_leaves():
    frame = RNG(1).normal(3, 2, (48, 70))
    found = noise_power_spectrum(frame, roi_size=(16, 20), overlap=0.25, detrend="plane")
    rows, columns = np.mgrid[:16, :20]
    design = np.column_stack([np.ones(320), rows.ravel(), columns.ravel()])
    powers, squares = [], []
    for r in range(0, 33, 12):
        for c in range(0, 51, 15):
            values = frame[r : r + 16, c : c + 20].ravel()
            left = (values - design @ np.linalg.lstsq(design, values, rcond=None)[0]).reshape(16, 20)
            powers.append(abs(np.fft.fftshift(np.fft.fft2(left))) ** 2 / 320)
            squares.append((left**2).mean())
    assert found.regions == len(powers)
    np.testing.assert_allclose(found.plane, np.mean(powers, axis=0), atol=1e-12)
    assert found.variance == pytest.approx(np.mean(squares), rel=1e-13)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(8, 33),
    st.integers(8, 33),
    detrendings,
    windows,
    st.floats(0, 0.9),
    st.floats(-1e4, 1e4),
    st.integers(0, 9),
)
def test_parseval_holds_for_every_choice(rows, columns, detrend, window, overlap, offset, seed):
    frames = RNG(seed).normal(offset, 1, (2, 50, 40))
    found = noise_power_spectrum(frames, roi_size=(rows, columns), overlap=overlap, detrend=detrend, window=window)
    # One sample of the plane stands for 1 / rows x 1 / columns of frequency space.
    assert found.plane.sum() / found.plane.size == pytest.approx(found.variance, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(detrendings, windows, st.floats(0.1, 10), st.integers(0, 9))
def test_scale_trend_and_transposition(detrend, window, scale, seed):
    frame = RNG(seed).normal(0, 1, (40, 56))
    one = noise_power_spectrum(frame, roi_size=16, detrend=detrend, window=window)
    trend = np.add.outer(*(np.linspace(0, 3, length) for length in frame.shape)) if detrend != "constant" else 5.0
    other = noise_power_spectrum((scale * frame + trend).T, roi_size=16, detrend=detrend, window=window)
    np.testing.assert_allclose(other.power, scale**2 * one.power, rtol=1e-9)
    np.testing.assert_allclose(other.plane, scale**2 * one.plane.T, rtol=1e-7, atol=1e-10 * scale**2)


@pytest.mark.parametrize("window", ["none", "hann"])
@pytest.mark.parametrize("detrend", ["constant", "plane", "quadratic"])
def test_white_noise_is_flat_whatever_is_taken_away(detrend, window):
    frames = RNG(2).normal(100, 3, (60, 128, 128))
    found = noise_power_spectrum(frames, roi_size=32, overlap=0, detrend=detrend, window=window)
    spread = np.sqrt(2 / (found.independent * rings(found.plane, np.ones_like(found.plane)).samples))
    assert np.all(abs(found.power / 9 - 1) < 4.5 * spread)
    assert found.power.mean() == pytest.approx(9, rel=0.01)
    assert not found.warnings


@pytest.mark.parametrize(("sigma", "window", "roi"), [(0.5, "none", 192), (0.7, "hann", 64), (1.0, "hann", 96)])
def test_filtered_noise_follows_its_transfer_function(sigma, window, roi):
    frames = filtered((40, 384, 384), gaussian(sigma))
    found = noise_power_spectrum(frames, roi_size=roi, window=window)
    truth = np.exp(-4 * np.pi**2 * sigma**2 * found.frequencies**2)
    seen = truth > 0.02
    # Averages over groups of rings bring chance below the bias that is looked for.
    for group in np.array_split(np.flatnonzero(seen)[1:], 4):
        assert (found.power / truth)[group].mean() == pytest.approx(1, abs=0.01)


def test_autoregressive_noise_differs_along_rows_and_columns():
    across = 0.6
    frames = filtered((40, 256, 256), lambda u, v: 1 / (1 - across * np.exp(-2j * np.pi * v)) + 0 * u, seed=3)
    found = noise_power_spectrum(frames, roi_size=64, window="hann")
    frequencies, power = found.cut("columns", lines=3)
    truth = 1 / abs(1 - across * np.exp(-2j * np.pi * frequencies)) ** 2
    # Lines beside the axis are nearer to frequency 0 along the columns than their distance from it.
    high = frequencies > 0.2
    assert (power / truth)[high].mean() == pytest.approx(1, abs=0.012)
    _, down = found.cut("rows", lines=3)
    beside = np.mean(1 / abs(1 - across * np.exp(-2j * np.pi * np.arange(1, 4) / 64)) ** 2)
    assert down.mean() == pytest.approx(beside, rel=0.02)


SPECTRA = {
    "flat": lambda r: np.ones_like(r),
    "rising": lambda r: 1 + 3 * r,
    "gaussian": lambda r: np.exp(-4 * np.pi**2 * 0.49 * r**2),
    "ramp": lambda r: r * np.exp(-4 * np.pi**2 * 0.49 * r**2),
}


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((64, 64), (1, 1)), ((64, 64), (2**0.5, 0.5**0.5)), ((48, 96), (1.3, 1 / 1.3)), ((63, 64), (1, 1))],
)
def test_rings_are_not_biased(shape, spacing, spectrum):
    down, along = ((np.arange(n) - n // 2) / (n * side) for n, side in zip(shape, spacing, strict=True))
    plane = SPECTRA[spectrum](np.hypot(down[:, np.newaxis], along))
    found = rings(plane, np.ones(shape), spacing)
    exact = 1e-12 if spectrum in ("flat", "rising") else 0.01
    np.testing.assert_allclose(found.power, SPECTRA[spectrum](found.frequencies), rtol=exact)
    assert np.all(np.diff(found.frequencies) > 0)


def test_rounding_down_to_a_ring_would_be_biased():
    radius = np.hypot(*np.meshgrid(*[(np.arange(64) - 32) / 64] * 2))
    ring = (radius * 64).astype(int).ravel()
    naive = np.bincount(ring, SPECTRA["gaussian"](radius).ravel()) / np.bincount(ring)
    assert abs(naive[1:32] / SPECTRA["gaussian"](np.arange(1, 32) / 64) - 1).max() > 0.08


@pytest.mark.parametrize(("overlap", "window", "most"), [(0, "none", 0.97), (0.5, "none", 1), (0.5, "hann", 1)])
def test_band_holds_the_truth_as_often_as_it_says(overlap, window, most):
    inside = []
    for seed in range(120):
        found = noise_power_spectrum(RNG(seed).normal(size=(96, 96)), roi_size=32, overlap=overlap, window=window)
        inside.append((found.lower < 1) & (found.upper > 1))
    assert 0.93 < np.mean(inside) <= most


@pytest.mark.parametrize("freedom", [6.0, 20.0, 1000.0])
def test_band_is_that_of_chi_square(freedom):
    lower, upper = chi_square_band(np.ones(1), np.array([freedom]))
    assert lower[0] == pytest.approx(freedom / chi2.ppf(0.975, freedom), rel=0.01)
    assert upper[0] == pytest.approx(freedom / chi2.ppf(0.025, freedom), rel=0.04)


def test_units_follow_the_pixel_spacing():
    frame = RNG(4).normal(size=(128, 128))
    plain, scaled = (noise_power_spectrum(frame, pixel_spacing_mm=spacing) for spacing in (None, 2.0))
    np.testing.assert_array_equal(plain.power, scaled.power)
    np.testing.assert_allclose(scaled.power_mm2, 4 * plain.power)
    np.testing.assert_allclose(scaled.plane_mm2, 4 * plain.plane)
    np.testing.assert_allclose(scaled.frequencies_per_mm, plain.frequencies / 2)
    with pytest.raises(InputError, match="pixel_spacing_mm"):
        plain.frequencies_per_mm  # noqa: B018


def test_pixels_that_are_not_square_make_round_rings():
    spacing = (1.0, 2.0)
    # Round in mm: the pixel frequencies are divided by the spacing.
    frames = filtered((60, 256, 256), lambda u, v: gaussian(1.0)(u / spacing[0], v / spacing[1]))
    found = noise_power_spectrum(frames, pixel_spacing_mm=spacing, window="hann")
    truth = np.exp(-4 * np.pi**2 * found.frequencies_per_mm**2)
    assert found.frequencies_per_mm[-1] <= 0.25
    np.testing.assert_allclose(found.power[1:], truth[1:], rtol=0.06)
    assert (found.power / truth)[1:].mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("axis", "side"), [("rows", 1.0), ("columns", 2.0)])
def test_cuts_of_pixels_that_are_not_square_are_in_the_same_units(axis, side):
    spacing = (1.0, 2.0)
    frames = filtered((60, 256, 256), lambda u, v: gaussian(1.0)(u / spacing[0], v / spacing[1]))
    found = noise_power_spectrum(frames, pixel_spacing_mm=spacing, window="hann")
    frequencies, power = found.cut(axis, lines=3, half_width=0.02)
    per_mm = frequencies / found.pixel_size_mm
    assert 0.42 / side < per_mm[-1] <= 0.5 / side + 1e-9
    high = per_mm < 0.3
    assert (power / np.exp(-4 * np.pi**2 * per_mm**2))[high][1:].mean() == pytest.approx(1, abs=0.03)


def test_cuts_refuse_what_averages_nothing():
    found = noise_power_spectrum(RNG(4).normal(size=(128, 128)))
    for choices in ({"axis": "row"}, {"axis": "rows", "lines": 0}, {"axis": "rows", "half_width": 0.0}):
        with pytest.raises(UsageError, match=r"no axis|average nothing"):
            found.cut(**choices)


def test_noise_is_normalised_by_the_mean():
    frame = RNG(4).normal(50, 2, size=(128, 128))
    found = noise_power_spectrum(frame, pixel_spacing_mm=2.0, rois=((0, 128), (0, 128)))
    np.testing.assert_allclose(found.normalised, found.power / frame.mean() ** 2, rtol=1e-12)
    np.testing.assert_allclose(found.normalised_mm2, found.power_mm2 / frame.mean() ** 2, rtol=1e-12)
    with pytest.raises(InputError, match="mean of 0"):
        noise_power_spectrum(np.zeros((64, 64))).normalised  # noqa: B018


def test_what_all_frames_show_is_subtracted():
    shape = np.exp(-(np.linspace(-2, 2, 128)[:, np.newaxis] ** 2 + np.linspace(-2, 2, 128) ** 2)) * 1000
    frames = shape + RNG(5).normal(0, 2, (12, 128, 128))
    for subtract in ("pairs", "mean"):
        found = noise_power_spectrum(frames, subtract=subtract, roi_size=32)
        assert found.power.mean() == pytest.approx(4, rel=0.02)
        assert found.mean == pytest.approx(noise_power_spectrum(frames, roi_size=32).mean, rel=1e-12)
        assert not found.warnings
    assert "trend" in [warning.code for warning in noise_power_spectrum(frames, roi_size=32).warnings]


def test_regions_can_be_given():
    frame = RNG(6).normal(size=(64, 64))
    rois = [((0, 16), (0, 16)), ((5, 21), (40, 56)), ((48, 64), (48, 64))]
    found = noise_power_spectrum(frame, rois=rois)
    parts = [noise_power_spectrum(frame[slice(*r), slice(*c)], roi_size=16).plane for r, c in rois]
    np.testing.assert_allclose(found.plane, np.mean(parts, axis=0), rtol=1e-9, atol=1e-12)
    assert found.independent == pytest.approx(3)
    assert found.mean == pytest.approx(np.mean([frame[slice(*r), slice(*c)].mean() for r, c in rois]))


def test_one_region_and_sizes_of_any_integer_type_can_be_given():
    frame = RNG(6).normal(size=(64, 64))
    one = noise_power_spectrum(frame, rois=((0, 32), (16, 48)))
    np.testing.assert_array_equal(one.plane, noise_power_spectrum(frame[:32, 16:48], roi_size=32).plane)
    for size in (np.int64(32), [32, 32], (np.uint8(32), 32)):
        assert noise_power_spectrum(frame, roi_size=size).plane.shape == (32, 32)


def test_few_regions_are_told():
    codes = {warning.code: warning.sentence for warning in noise_power_spectrum(RNG(7).normal(size=(64, 64))).warnings}
    assert "measure more frames" in codes["few-rois"]


def test_regions_short_for_the_noise_are_told():
    frames = filtered((20, 128, 128), gaussian(1.5))
    assert "hann" in {w.code: w.sentence for w in noise_power_spectrum(frames).warnings}["short-roi"]
    longer = noise_power_spectrum(frames, window="hann", roi_size=96)
    assert "short-roi" not in [warning.code for warning in longer.warnings]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, ">i2"])
def test_every_type_of_pixel_gives_the_same(dtype):
    counts = RNG(8).poisson(40, (2, 80, 80))
    reference = noise_power_spectrum(counts.astype(np.float64))
    np.testing.assert_array_equal(noise_power_spectrum(counts.astype(dtype)).power, reference.power)


def test_bits_do_not_depend_on_threads():
    frames = RNG(9).normal(size=(3, 130, 130))
    one, two = (noise_power_spectrum(frames, roi_size=32, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.plane, two.plane)
    assert one.variance == two.variance


def test_input_is_left_alone():
    frames = RNG(10).normal(size=(2, 64, 64))
    before = frames.copy()
    frames.flags.writeable = False
    for subtract in ("nothing", "pairs", "mean"):
        noise_power_spectrum(frames, subtract=subtract, roi_size=16)
    np.testing.assert_array_equal(frames, before)


def test_a_constant_image_has_no_noise():
    found = noise_power_spectrum(np.full((64, 64), 7, np.uint8), roi_size=16)
    assert found.variance == 0
    assert not found.power.any()


FRAME = np.zeros((64, 64))


@pytest.mark.parametrize(
    ("frames", "options", "error", "words"),
    [
        (np.full((64, 64), np.nan), {}, InputError, "not finite"),
        (np.zeros(64), {}, InputError, "no image"),
        (FRAME, {"roi_size": 65}, InputError, "do not fit"),
        (FRAME, {"roi_size": 4}, InputError, "too small"),
        (FRAME, {"roi_size": 32.0}, UsageError, "roi_size is 32.0"),
        (FRAME, {"roi_size": (32, 32, 32)}, UsageError, "one or two whole numbers"),
        (FRAME, {"rois": [((0, 16.5), (0, 16))]}, UsageError, "whole pixels"),
        (FRAME, {"rois": 5}, UsageError, "make no sense"),
        (FRAME, {"rois": []}, InputError, "0 sizes"),
        (FRAME, {"rois": [((0, 16), (0, 16)), ((0, 8), (0, 16))]}, InputError, "2 sizes"),
        (FRAME, {"rois": [((-8, 8), (0, 16))]}, InputError, "do not fit"),
        (FRAME, {"overlap": 1.0}, UsageError, "overlap"),
        (FRAME, {"detrend": "cubic"}, UsageError, "cubic"),
        (FRAME, {"window": "welch"}, UsageError, "welch"),
        (FRAME, {"subtract": "pairs"}, InputError, "even number"),
        (FRAME, {"subtract": "mean"}, InputError, "single frame"),
        (FRAME, {"subtract": "all"}, UsageError, "all"),
        (FRAME, {"pixel_spacing_mm": 0}, UsageError, "spacing"),
        (FRAME, {"pixel_spacing_mm": (1, np.nan)}, UsageError, "spacing"),
        (FRAME, {"pixel_spacing_mm": (1, 2, 3)}, UsageError, "spacing"),
        (FRAME, {"threads": 0}, UsageError, "threads"),
    ],
)
def test_nonsense_is_refused(frames, options, error, words):
    with pytest.raises(error, match=words):
        noise_power_spectrum(frames, **options)
