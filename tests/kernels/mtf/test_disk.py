"""The disk's curve against closed forms: a disk blurred by any round PSF is an integral over Bessel functions."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter
from scipy.special import j0, j1

from photopeak.kernels import disk_mtf
from photopeak.kernels.errors import InputError, UsageError

FREQUENCIES = np.linspace(0, 0.5, 129)
ROW, COLUMN = 50.2, 49.3


def gaussian(sigma):
    return lambda f: np.exp(-2 * np.pi**2 * sigma**2 * f**2)


def tailed(sigma):
    """A tenth of the counts is scattered four times as wide."""
    return lambda f: 0.9 * gaussian(sigma)(f) + 0.1 * gaussian(4 * sigma)(f)


def exponential(f):
    """Tails that fall like exp(-r), with a core that is not sharper than pixels can show."""
    return (1 + (2 * np.pi * f) ** 2) ** -1.5 * gaussian(0.5)(f)


BLURS = {
    "gaussian": gaussian(1.0),
    "narrow": gaussian(0.6),
    "wide": gaussian(2.0),
    "tailed": tailed(0.8),
    "exponential": exponential,
}


@cache
def profile(blur, radius):
    """Return the value of a blurred disk at any distance from its centre."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    f, weights = (np.arange(40)[:, None] + 0.5 * (nodes + 1)).ravel() / 16, np.tile(weights, 40) / 32
    spectrum = 2 * np.pi * radius * j1(2 * np.pi * radius * f) * BLURS[blur](f) * weights
    at = np.arange(0, 110, 0.125)
    return CubicSpline(at, (j0(2 * np.pi * np.outer(at, f)) * spectrum).sum(axis=1))


def disk(blur="gaussian", radius=25.0, size=100, row=ROW, column=COLUMN, aspect=(1.0, 1.0)):
    y, x = np.mgrid[:size, :size]
    return profile(blur, radius)(np.hypot((y - row) * aspect[0], (x - column) * aspect[1]))


def worst(mtf, blur):
    return np.abs(mtf.modulation - BLURS[blur](FREQUENCIES)).max()


@pytest.mark.parametrize("radius", [20.0, 30.0])
@pytest.mark.parametrize("blur", ["narrow", "gaussian", "wide"])
def test_disk_without_noise_is_exact(blur, radius):
    mtf = disk_mtf(20 + 80 * disk(blur, radius))
    assert worst(mtf, blur) < 1e-4
    assert mtf.details["centre"] == pytest.approx((ROW, COLUMN), abs=5e-4)
    assert mtf.details["contrast"] == pytest.approx(80, abs=0.01)
    assert mtf.warnings == ()


def test_disk_darker_than_a_slanted_background_is_exact():
    y, x = np.mgrid[:100, :100]
    mtf = disk_mtf(500 - 80 * disk() + 0.3 * x - 0.2 * y)
    assert worst(mtf, "gaussian") < 1e-4
    assert mtf.details["slope"] == pytest.approx((-0.2, 0.3), abs=1e-4)
    assert mtf.details["contrast"] == pytest.approx(-80, abs=0.05)


@pytest.mark.parametrize(("blur", "bound"), [("tailed", 5e-4), ("exponential", 2e-3)])
def test_disk_with_tails_is_close(blur, bound):
    assert worst(disk_mtf(20 + 80 * disk(blur)), blur) < bound


def test_disk_of_pixels_that_integrate_includes_their_aperture():
    nodes, weights = np.polynomial.legendre.leggauss(5)
    y, x = np.mgrid[:100, :100]
    image = sum(
        wi * wj / 4 * profile("gaussian", 25.0)(np.hypot(y + a / 2 - ROW, x + b / 2 - COLUMN))
        for a, wi in zip(nodes, weights, strict=True)
        for b, wj in zip(nodes, weights, strict=True)
    )
    turns = (np.arange(64) + 0.5) * np.pi / 128
    aperture = np.mean([np.sinc(FREQUENCIES * np.cos(t)) * np.sinc(FREQUENCIES * np.sin(t)) for t in turns], axis=0)
    assert np.abs(disk_mtf(image).modulation - BLURS["gaussian"](FREQUENCIES) * aperture).max() < 2e-4


@pytest.mark.parametrize("blur", ["narrow", "gaussian", "wide", "tailed"])
def test_disk_of_100_counts_is_close_and_its_band_honest(blur):
    rng = np.random.default_rng(7)
    expected, truth = 20 + 80 * disk(blur), BLURS[blur](FREQUENCIES)
    found = disk_mtf(rng.poisson(expected, (24, *expected.shape)))
    assert np.median([worst(mtf, blur) for mtf in found]) < 0.065
    covered = np.mean([(mtf.lower <= truth) & (truth <= mtf.upper) for mtf in found])
    assert 0.88 < covered < 0.999


def test_disk_of_high_contrast_meets_the_bar_of_edges():
    rng = np.random.default_rng(8)
    found = disk_mtf(20 + 80 * disk() + rng.normal(0, 0.8, (15, 100, 100)))
    assert np.median([worst(mtf, "gaussian") for mtf in found]) < 6e-3


def test_disk_in_correlated_noise_has_a_wider_band():
    rng = np.random.default_rng(9)
    noise = gaussian_filter(rng.normal(size=(20, 100, 100)), (0, 1, 1))
    found = disk_mtf(20 + 80 * disk() + 8 * noise / noise.std())
    truth = BLURS["gaussian"](FREQUENCIES)
    assert np.mean([(mtf.lower <= truth) & (truth <= mtf.upper) for mtf in found]) > 0.9
    white = disk_mtf(20 + 80 * disk() + 8 * rng.normal(size=(100, 100)))
    assert np.mean(found[0].upper - found[0].lower) > 1.5 * np.mean(white.upper - white.lower)


@settings(max_examples=12, deadline=None)
@given(gain=st.floats(0.01, 1e4), offset=st.floats(-1e3, 1e3), turns=st.integers(0, 3), mirrored=st.booleans())
def test_disk_curve_does_not_depend_on_units_or_orientation(gain, offset, turns, mirrored):
    image = 20 + 80 * disk("gaussian", 20.0, 80, 40.3, 38.9) + np.random.default_rng(3).normal(0, 4, (80, 80))
    moved = np.rot90(image.T if mirrored else image, turns)
    one, other = disk_mtf(image), disk_mtf(gain * moved + gain * offset)
    np.testing.assert_allclose(other.modulation, one.modulation, atol=2e-4)
    np.testing.assert_allclose(other.upper, one.upper, atol=5e-4)


def test_disk_of_unequal_spacing_is_measured_in_millimetres():
    # Pixels of 2 x 3 mm; sigma is 1 pixel of the same area.
    unit = np.sqrt(6.0)
    image = disk(radius=30.0, size=110, row=54.2, column=51.3, aspect=(2 / unit, 3 / unit))
    mtf = disk_mtf(image, pixel_spacing_mm=(2.0, 3.0))
    assert worst(mtf, "gaussian") < 1e-4
    assert mtf.pixel_spacing_mm == pytest.approx(unit)
    assert mtf.details["centre"] == pytest.approx((54.2, 51.3), abs=1e-3)
    assert mtf.details["radius_mm"] == pytest.approx(30 * unit, rel=2e-3)
    assert mtf.frequencies_per_mm[-1] == pytest.approx(0.5 / unit)


def test_disk_regions_and_stacks_give_tuples_whatever_the_threads():
    image = np.zeros((80, 160), np.uint16)
    image[:, :80] = np.rint(20 + 800 * disk("gaussian", 20.0, 80, 40.3, 38.9))
    image[:, 80:] = np.rint(20 + 500 * disk("wide", 20.0, 80, 40.3, 38.9))
    rois = [((0, 80), (0, 80)), ((0, 80), (80, 160))]
    one = disk_mtf(np.stack([image, image]), rois=rois)
    assert isinstance(one, tuple)
    assert len(one) == 4
    assert worst(one[3], "wide") < 5e-3
    assert one[1].details["centre"] == pytest.approx((40.3, 118.9), abs=1e-2)
    for mtf, other in zip(one, disk_mtf(np.stack([image, image]), rois=rois, threads=3), strict=True):
        assert (mtf.modulation == other.modulation).all()
    assert isinstance(disk_mtf(image, rois=rois[:1]), tuple)
    assert not isinstance(disk_mtf(image, rois=rois[0]), tuple)


def codes(mtf):
    return {warning.code for warning in mtf.warnings}


def test_disk_warns_of_what_spoils_a_curve():
    rng = np.random.default_rng(0)
    image = 20 + 80 * disk() + rng.normal(0, 6, (100, 100))
    assert codes(disk_mtf(np.minimum(image, 100))) == {"clipping"}
    assert codes(disk_mtf(image)) == set()
    assert codes(disk_mtf(80 * disk() + rng.normal(0, 80, (100, 100)))) >= {"low-snr"}
    assert codes(disk_mtf(80 * disk(radius=25.0), rois=((22, 79), (21, 78)))) == {"truncated-tails"}
    assert codes(disk_mtf(80 * disk("gaussian", 12.0, 100, 25.0, 24.0))) == {"off-centre"}
    second = disk("gaussian", 20.0, 100) + disk("gaussian", 6.0, 100, 12.0, 12.0)
    assert "several-sources" in codes(disk_mtf(second))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((64, 64)), {}, "no disk was found in the region 0:64,0:64"),
        (np.add.outer(np.arange(64.0), np.zeros(64)), {}, "no disk was found"),
        (np.full((64, 64), np.nan), {}, "not finite"),
        (np.full((64, 64), 1e200), {}, "values up to 1e\\+200"),
        (np.zeros((8, 8)), {}, "too small; give at least 12 x 12"),
        (np.zeros((64, 64)), {"rois": ((0, 65), (0, 64))}, "outside of the image of 64 x 64"),
        (np.zeros(64), {}, "is no image"),
        (np.zeros((64, 64), complex), {}, "is no image"),
    ],
)
def test_disk_says_what_is_wrong_with_an_image(image, options, message):
    with pytest.raises(InputError, match=message):
        disk_mtf(image, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"pixel_spacing_mm": 0},
        {"pixel_spacing_mm": (1, 2, 3)},
        {"pixel_spacing_mm": "a"},
        {"rois": (1, 2)},
        {"rois": ((0.5, 64), (0, 64))},
        {"threads": 0},
    ],
)
def test_disk_refuses_arguments_that_make_no_sense(options):
    with pytest.raises(UsageError):
        disk_mtf(disk(), **options)


def test_disk_of_a_dish_and_of_inserts(shared_data):
    import photopeak

    dish = photopeak.read(shared_data / "linaqa/nm/sens_PetriDish.dcm")
    mtf = disk_mtf(dish.pixels[0], pixel_spacing_mm=dish.pixel_spacing_mm)
    assert mtf.details["radius_mm"] == pytest.approx(69.7, abs=1)
    assert mtf.mtf50 == pytest.approx(0.099, abs=0.01)
    slice_ = photopeak.read(shared_data / "linaqa/ct_quart_halcyon/004.dcm")
    rois = [((137, 184), (233, 280)), ((225, 287), (130, 192))]
    air, teflon = disk_mtf(slice_.pixels[0], rois=rois, pixel_spacing_mm=slice_.pixel_spacing_mm)
    assert air.details["radius_mm"] == pytest.approx(7.5, abs=0.1)
    assert air.details["contrast"] < -1000
    assert teflon.details["contrast"] > 800
    assert air.mtf50 == pytest.approx(teflon.mtf50, abs=0.03)
