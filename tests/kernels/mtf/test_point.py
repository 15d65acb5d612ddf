"""The point source's curves against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, j0

from photopeak.kernels import point_mtf
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.mtf.bessel import bessel_j0, hankel

FREQUENCIES = np.linspace(0, 0.5, 129)
ROW, COLUMN = 31.3, 30.8
FWHM = 2 * np.sqrt(2 * np.log(2))


def gaussian(sigma):
    return np.exp(-2 * np.pi**2 * sigma**2 * FREQUENCIES**2)


def sampled(sigma, place, size=64):
    return np.exp(-((np.arange(size) - place) ** 2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))


def integrated(sigma, place, size=64):
    edges = (np.arange(size + 1) - 0.5 - place) / (sigma * np.sqrt(2))
    return np.diff(erf(edges)) / 2


def point(sigma=2.0, profile=sampled, size=64, row=ROW, column=COLUMN):
    return np.outer(profile(sigma, row, size), profile(sigma, column, size))


def worst(mtf, truth):
    return np.abs(mtf.modulation - truth).max()


def codes(mtf):
    return {warning.code for warning in mtf.warnings}


@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_point_without_noise_is_exact_in_all_directions(sigma):
    mtf = point_mtf(1e4 * point(sigma) + 7)
    assert worst(mtf, gaussian(sigma)) < 1e-9
    assert mtf.details["position"] == pytest.approx((ROW, COLUMN), abs=1e-6)
    assert mtf.details["total"] == pytest.approx(1e4, rel=1e-9)
    assert mtf.details["background"] == pytest.approx(7)
    assert mtf.details["sigma_px"] == pytest.approx((sigma, sigma), rel=1e-6)
    assert mtf.warnings == ()


@pytest.mark.parametrize("direction", ["rows", "columns"])
@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_point_without_noise_is_exact_along_an_axis_but_for_aliasing(sigma, direction):
    mtf = point_mtf(1e4 * point(sigma), direction=direction)
    # What sampling folds back onto a frequency f comes from 1 - f.
    folded = np.exp(-2 * np.pi**2 * sigma**2 * (1 - FREQUENCIES) ** 2)
    assert (np.abs(mtf.modulation - gaussian(sigma)) < folded + 1e-10).all()


@pytest.mark.parametrize("sigma", [1.5, 2.5])
def test_point_of_pixels_that_integrate_includes_their_aperture(sigma):
    image = 1e4 * point(sigma, integrated)
    turns = (np.arange(64) + 0.5) * np.pi / 128
    aperture = np.mean([np.sinc(FREQUENCIES * np.cos(t)) * np.sinc(FREQUENCIES * np.sin(t)) for t in turns], axis=0)
    assert worst(point_mtf(image), gaussian(sigma) * aperture) < 3e-6
    assert worst(point_mtf(image, direction="rows"), gaussian(sigma) * np.sinc(FREQUENCIES)) < 1e-5


def test_point_with_tails_and_with_a_skewed_blur():
    tailed = 0.9 * point(1.5) + 0.1 * point(5.0)
    truth = 0.9 * gaussian(1.5) + 0.1 * gaussian(5.0)
    assert worst(point_mtf(1e4 * tailed), truth) < 1e-6
    skewed = 0.6 * point(1.6) + 0.4 * point(2.4, column=COLUMN + 2.5)
    turn = np.exp(-2j * np.pi * 2.5 * FREQUENCIES)
    truth = np.abs(0.6 * gaussian(1.6) + 0.4 * gaussian(2.4) * turn)
    assert worst(point_mtf(1e4 * skewed, direction="columns"), truth) < 1e-5
    assert worst(point_mtf(1e4 * skewed, direction="rows"), 0.6 * gaussian(1.6) + 0.4 * gaussian(2.4)) < 1e-5


def test_point_on_a_slope_and_off_the_middle_of_the_image():
    y, x = np.mgrid[:64, :64]
    mtf = point_mtf(1e4 * point(row=29.7, column=34.2) + 50 + 0.7 * x - 0.3 * y)
    assert worst(mtf, gaussian(2.0)) < 1e-9
    assert mtf.details["position"] == pytest.approx((29.7, 34.2), abs=1e-6)


@pytest.mark.parametrize("background", [0.0, 5.0])
@pytest.mark.parametrize("direction", ["radial", "rows"])
def test_point_of_counts_is_close_and_its_band_honest(direction, background):
    rng = np.random.default_rng(13)
    truth, covered = gaussian(2.0), []
    for mtf in point_mtf(rng.poisson(background + 2e4 * point(), (80, 64, 64)), direction=direction):
        assert worst(mtf, truth) < 0.06
        covered.append((mtf.lower <= truth) & (truth <= mtf.upper))
    assert 0.88 < np.mean(covered) < 0.99


def test_point_in_a_wide_noisy_background_is_placed_by_its_own_counts():
    rng = np.random.default_rng(14)
    found = point_mtf(rng.poisson(5 + 1e4 * point(size=100, row=49.2, column=50.4), (30, 100, 100)))
    away = np.array([mtf.details["position"] for mtf in found]) - (49.2, 50.4)
    # Counts alone leave 2 / sqrt(1e4) = 0.02 pixels, and the background within reach of the source a few times that.
    assert np.sqrt(np.mean(away**2)) < 0.08
    truth = gaussian(2.0)
    assert np.abs(np.mean([mtf.modulation for mtf in found], axis=0) - truth)[truth > 0.2].max() < 0.01


def test_point_of_few_counts_has_no_outliers():
    rng = np.random.default_rng(3)
    found = point_mtf(rng.poisson(1 + 3e3 * point(1.5, size=100, row=49.2, column=50.4), (60, 100, 100)))
    away = [np.hypot(*np.subtract(mtf.details["position"], (49.2, 50.4))) for mtf in found]
    assert max(away) < 0.5
    assert max(worst(mtf, gaussian(1.5)) for mtf in found) < 0.13


def test_point_widths_are_those_of_a_gaussian():
    mtf = point_mtf(1e4 * point(5.0, size=96, row=47.2, column=46.6), pixel_spacing_mm=(2.0, 1.0))
    assert mtf.details["fwhm_px"] == pytest.approx((5 * FWHM, 5 * FWHM), rel=3e-3)
    assert mtf.details["fwhm_mm"] == pytest.approx((10 * FWHM, 5 * FWHM), rel=3e-3)
    assert mtf.details["fwtm_px"] == pytest.approx((5 * FWHM * np.sqrt(np.log2(10)),) * 2, rel=3e-3)


def test_point_profiles_are_summed_over_the_width_across_them():
    # A long source; what lies beside it, beyond two of its narrow widths, does not belong to its profile.
    y, x = np.mgrid[:96, :96]
    long = np.outer(sampled(6.0, 47.2, 96), sampled(1.5, 47.4, 96))
    beside = 0.02 * np.exp(-(((y - 47) / 30) ** 2)) * (np.abs(x - 47) > 7) * (np.abs(x - 47) < 13) * long.max()
    alone, both = (point_mtf(1e4 * image).details for image in (long, long + beside))
    assert alone["fwhm_px"][0] == pytest.approx(6 * FWHM, rel=0.01)
    assert both["fwhm_px"][0] == pytest.approx(alone["fwhm_px"][0], rel=0.01)


@settings(max_examples=15, deadline=None)
@given(
    gain=st.floats(0.01, 1e4),
    offset=st.floats(-100, 100),
    row=st.floats(28, 35),
    column=st.floats(28, 35),
    turned=st.booleans(),
)
def test_point_curve_does_not_depend_on_units_or_place(gain, offset, row, column, turned):
    image = gain * (100 * point(2.0, row=row, column=column) + offset)
    mtf = point_mtf(image.T if turned else image)
    assert worst(mtf, gaussian(2.0)) < 1e-6
    assert mtf.details["position"] == pytest.approx((column, row) if turned else (row, column), abs=1e-4)


def test_point_of_unequal_spacing_is_round_in_millimetres():
    # Pixels of 2 x 1.5 mm and a blur of 4 mm.
    image = np.outer(sampled(2.0, ROW), sampled(4 / 1.5, COLUMN))
    for direction, unit in (("radial", np.sqrt(3)), ("rows", 2.0), ("columns", 1.5)):
        mtf = point_mtf(1e4 * image, pixel_spacing_mm=(2.0, 1.5), direction=direction)
        assert mtf.pixel_spacing_mm == pytest.approx(unit)
        assert worst(mtf, gaussian(4 / unit)) < 1e-6


def test_point_regions_and_stacks_give_tuples_whatever_the_threads():
    image = np.hstack([1e4 * point(2.0), 1e4 * point(3.0)])
    rois = [((0, 64), (0, 64)), ((0, 64), (64, 128))]
    one = point_mtf(np.stack([image, image]), rois=rois)
    assert len(one) == 4
    assert worst(one[3], gaussian(3.0)) < 1e-6
    assert one[1].details["position"] == pytest.approx((ROW, 64 + COLUMN), abs=1e-4)
    for mtf, other in zip(one, point_mtf(np.stack([image, image]), rois=rois, threads=3), strict=True):
        assert (mtf.modulation == other.modulation).all()


def test_point_warns_of_what_spoils_a_curve():
    rng = np.random.default_rng(2)
    image = 1e4 * point()
    assert codes(point_mtf(np.minimum(image, 200))) == {"clipping"}
    assert codes(point_mtf(1e4 * point(0.6))) >= {"aliased"}
    assert "truncated-tails" in codes(point_mtf(image, rois=((25, 38), (24, 37))))
    assert "off-centre" in codes(point_mtf(1e4 * point(2.0, row=50.0)))
    assert "several-sources" in codes(point_mtf(image + 5e3 * point(2.0, row=20.0, column=42.0)))
    assert "low-snr" in codes(point_mtf(image + rng.normal(0, 60, image.shape)))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((64, 64)), {}, "no point source was found in the region 0:64,0:64"),
        (np.full((64, 64), 3), {}, "no point source"),
        (-point(), {}, "no point source"),
        (np.full((64, 64), np.nan), {}, "not finite"),
        (np.zeros((64, 64)), {"rois": ((0, 20), (50, 70))}, "outside"),
        (np.zeros((8, 64)), {}, "too small"),
    ],
)
def test_point_says_what_is_wrong_with_an_image(image, options, message):
    with pytest.raises(InputError, match=message):
        point_mtf(image, **options)


def test_point_refuses_a_direction_that_does_not_exist():
    with pytest.raises(UsageError, match="diagonal"):
        point_mtf(point(), direction="diagonal")


def test_bessel_function_and_transform_agree_with_scipy():
    z = np.linspace(0, 300, 5001)
    np.testing.assert_allclose(bessel_j0(z), j0(z), atol=1e-13)
    rng = np.random.default_rng(4)
    radius, value = rng.uniform(0, 45, 300), rng.normal(size=300)
    expected = (j0(2 * np.pi * FREQUENCIES[:, None] * radius) * value).sum(axis=1)
    np.testing.assert_allclose(hankel(radius, value, FREQUENCIES), expected, atol=3e-8)


def test_point_in_a_slice_through_a_line_source(shared_data):
    import photopeak

    frames = photopeak.read(shared_data / "linaqa/nm/TomoResolution.dcm")
    mtf = point_mtf(frames.pixels[32], rois=((19, 44), (20, 45)), pixel_spacing_mm=frames.pixel_spacing_mm)
    assert mtf.details["position"] == pytest.approx((31.2, 31.9), abs=0.1)
    assert mtf.details["fwhm_mm"] == pytest.approx((23.3, 23.0), abs=0.5)
