"""The line source's curve and widths against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from photopeak.kernels import line_mtf
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.mtf.widths import strips_of, width_at

FREQUENCIES = np.linspace(0, 0.5, 129)
FWHM = 2 * np.sqrt(2 * np.log(2))
FWTM = 2 * np.sqrt(2 * np.log(10))


def normal(d, sigma):
    return np.exp(-(d**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))


def gaussian(sigma):
    return lambda d: normal(d, sigma), np.exp(-2 * np.pi**2 * sigma**2 * FREQUENCIES**2)


def boxed(d, sigma=0.8, half=1.0):
    """A Gaussian convolved with a box two pixels wide."""
    return (erf((d + half) / sigma / np.sqrt(2)) - erf((d - half) / sigma / np.sqrt(2))) / (4 * half)


def skewed(d):
    """Two Gaussians of unlike width beside each other: not symmetric."""
    return 0.6 * normal(d, 0.9) + 0.4 * normal(d - 1.5, 1.6)


_TURN = np.exp(-2j * np.pi * 1.5 * FREQUENCIES)
BLURS = {
    "narrow": gaussian(0.6),
    "gaussian": gaussian(1.0),
    "wide": gaussian(2.0),
    "tailed": (lambda d: 0.9 * normal(d, 1) + 0.1 * normal(d, 4), 0.9 * gaussian(1)[1] + 0.1 * gaussian(4)[1]),
    "boxed": (boxed, gaussian(0.8)[1] * np.abs(np.sinc(2 * FREQUENCIES))),
    "skewed": (skewed, np.abs(0.6 * gaussian(0.9)[1] + 0.4 * gaussian(1.6)[1] * _TURN)),
}


def line(blur="gaussian", angle=3.0, size=100, place=0.3, aspect=1.0):
    """Return a line that goes from row to row; `aspect` is the row spacing over the column spacing."""
    slope = np.tan(np.radians(angle))
    y, x = np.mgrid[:size, :size]
    middle = 0.5 * (size - 1)
    return BLURS[blur][0]((x - middle - place - slope * (y - middle) * aspect) * np.cos(np.radians(angle)))


def worst(mtf, blur):
    return np.abs(mtf.modulation - BLURS[blur][1]).max()


def codes(mtf):
    return {warning.code for warning in mtf.warnings}


@pytest.mark.parametrize("angle", [3.0, -7.0, 25.0])
@pytest.mark.parametrize("blur", ["narrow", "gaussian", "wide", "boxed", "skewed"])
def test_line_without_noise_is_exact(blur, angle):
    mtf = line_mtf(1000 * line(blur, angle))
    assert worst(mtf, blur) < 3e-5
    assert mtf.details["angle_deg"] == pytest.approx(angle, abs=1e-3)
    assert mtf.warnings == ()


def test_line_with_tails_is_exact_where_the_region_holds_them():
    assert worst(line_mtf(1000 * line("tailed")), "tailed") < 3e-5


def test_line_on_a_slanted_background_is_exact():
    x = np.arange(100)
    assert worst(line_mtf(1000 * line() + 50 + 0.5 * x), "gaussian") < 2e-4


def test_line_of_uneven_intensity_is_close():
    strength = 1 + 0.4 * np.sin(np.arange(100) / 12)[:, None]
    mtf = line_mtf(1000 * line("wide") * strength)
    assert worst(mtf, "wide") < 2e-3
    assert mtf.details["unevenness"] == pytest.approx(0.28, abs=0.02)


def test_line_of_pixels_that_integrate_includes_their_aperture():
    y, x = np.mgrid[:100, :100]
    nodes, weights = np.polynomial.legendre.leggauss(6)
    slope, image = np.tan(np.radians(4)), 0.0
    for a, wa in zip(nodes / 2, weights / 2, strict=True):
        for b, wb in zip(nodes / 2, weights / 2, strict=True):
            image = image + wa * wb * normal((x + a - 50 - slope * (y + b - 49.5)) * np.cos(np.radians(4)), 1.0)
    aperture = np.sinc(FREQUENCIES * np.cos(np.radians(4))) * np.sinc(FREQUENCIES * np.sin(np.radians(4)))
    assert np.abs(line_mtf(1000 * image).modulation - BLURS["gaussian"][1] * aperture).max() < 3e-5


@pytest.mark.parametrize("background", [0.0, 5.0])
@pytest.mark.parametrize("blur", ["gaussian", "wide", "tailed"])
def test_line_of_counts_is_close_and_its_band_honest(blur, background):
    rng = np.random.default_rng(11)
    found = line_mtf(rng.poisson(background + 200 * line(blur), (24, 100, 100)))
    assert np.median([worst(mtf, blur) for mtf in found]) < 0.03
    covered = np.mean([(mtf.lower <= BLURS[blur][1]) & (BLURS[blur][1] <= mtf.upper) for mtf in found])
    assert 0.88 < covered < 0.999


def test_line_widths_are_those_of_a_gaussian():
    mtf = line_mtf(1000 * line("wide", 2.0), pixel_spacing_mm=0.5)
    # NEMA asks for ten pixels in the width; between 4.7 of them straight lines run one or two percent beside the curve.
    assert mtf.details["fwhm_px"] == pytest.approx(2 * FWHM, rel=0.01)
    assert mtf.details["fwtm_px"] == pytest.approx(2 * FWTM, rel=0.02)
    assert mtf.details["fwhm_mm"] == pytest.approx(FWHM, rel=0.01)
    assert len(mtf.details["strips"]) == 2
    fine = width_at(normal(np.arange(-60.0, 61) + 0.3, 10.0), 0.5)[0]
    assert fine == pytest.approx(10 * FWHM, rel=3e-4)


@given(sigma=st.floats(1.5, 8), place=st.floats(-0.5, 0.5), fraction=st.sampled_from([0.5, 0.1]))
def test_width_is_found_as_nema_describes(sigma, place, fraction):
    profile = normal(np.arange(-40.0, 41) - place, sigma)
    top = profile.argmax()
    curvature, slope, height = np.polyfit([-1, 0, 1], profile[top - 1 : top + 2], 2)
    level = fraction * (height - slope**2 / (4 * curvature))
    first = np.interp(level, profile[: top + 1], np.arange(top + 1))
    last = np.interp(-level, -profile[top:], np.arange(top, len(profile)))
    assert width_at(profile, fraction)[0] == pytest.approx(last - first, rel=1e-9)


def test_width_of_a_profile_that_does_not_fall_is_not_a_number():
    assert np.isnan(width_at(np.array([3.0, 4.0, 5.0, 4.0, 1.0]), 0.5)[0])


def test_strips_are_at_most_30_mm_long_and_straightened():
    image = line("wide", 8.0)
    centres = 49.8 + np.tan(np.radians(8)) * (np.arange(100) - 49.5)
    strips = strips_of(image, centres, np.cos(np.radians(8)), (1.0, 1.0))
    assert [strip.last - strip.first for strip in strips] == [25, 25, 25, 25]
    straight = strips_of(line("wide", 0.0), np.full(100, 49.8), 1.0, None)
    assert len(straight) == 7
    assert [strip.fwhm_px for strip in strips] == pytest.approx([straight[0].fwhm_px] * 4, rel=0.01)
    assert straight[0].fwhm_mm is None
    assert len(strips_of(image, centres, np.cos(np.radians(8)), (50.0, 50.0))) == 100


@settings(max_examples=12, deadline=None)
@given(gain=st.floats(0.01, 1e3), turns=st.integers(0, 3), mirrored=st.booleans())
def test_line_curve_does_not_depend_on_units_or_orientation(gain, turns, mirrored):
    image = 300 * line("gaussian", 6.0, 64) + np.random.default_rng(5).normal(3, 2, (64, 64))
    one, other = line_mtf(image), line_mtf(gain * np.rot90(image.T if mirrored else image, turns))
    np.testing.assert_allclose(other.modulation, one.modulation, atol=1e-3)
    assert other.details["fwhm_px"] == pytest.approx(one.details["fwhm_px"], rel=0.02)


def test_line_of_unequal_spacing_is_measured_across_itself():
    image = line("gaussian", 5.0, aspect=1.5)
    mtf = line_mtf(1000 * image, pixel_spacing_mm=(3.0, 2.0))
    assert worst(mtf, "gaussian") < 3e-5
    assert mtf.pixel_spacing_mm == 2.0
    turned = line_mtf(1000 * image.T, pixel_spacing_mm=(2.0, 3.0))
    assert turned.pixel_spacing_mm == 2.0
    assert turned.details["along"] == "columns"
    assert mtf.details["along"] == "rows"
    np.testing.assert_allclose(turned.modulation, mtf.modulation, atol=1e-9)


def test_line_regions_and_stacks_give_tuples_whatever_the_threads():
    image = 1000 * line("gaussian", 3.0)
    rois = [((0, 50), (20, 80)), ((50, 100), (20, 80))]
    one = line_mtf(np.stack([image, 2 * image]), rois=rois)
    assert len(one) == 4
    assert all(worst(mtf, "gaussian") < 3e-5 for mtf in one)
    for mtf, other in zip(one, line_mtf(np.stack([image, 2 * image]), rois=rois, threads=3), strict=True):
        assert (mtf.modulation == other.modulation).all()
    row, column = one[1].details["position"]
    assert column == pytest.approx(49.8 + np.tan(np.radians(3)) * (row - 49.5), abs=0.03)


def test_line_warns_of_what_spoils_a_curve():
    image = 1000 * line("gaussian", 3.0)
    assert codes(line_mtf(1000 * line("gaussian", 0.1))) == {"angle"}
    assert codes(line_mtf(np.minimum(image, 200))) >= {"clipping"}
    assert "truncated-tails" in codes(line_mtf(1000 * line("wide"), rois=((30, 70), (44, 56))))
    assert "off-centre" in codes(line_mtf(image, rois=((0, 100), (40, 100))))
    assert "several-sources" in codes(line_mtf(image + 400 * line("gaussian", 3.0, place=14.0)))
    noisy = np.random.default_rng(1).normal(0, 30, (100, 100))
    assert "low-snr" in codes(line_mtf(200 * line("wide") + noisy))
    uneven = image * (np.arange(100) > 30)[:, None]
    assert "uneven" in codes(line_mtf(uneven))
    y, x = np.mgrid[:100, :100]
    bent = 1000 * normal(x - 50 - 0.03 * y - 1e-3 * (y - 50) ** 2, 1.5)
    assert "bent" in codes(line_mtf(bent))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((64, 64)), {}, "no line source was found in the region 0:64,0:64"),
        (np.random.default_rng(0).poisson(5, (64, 64)), {}, "no line source was found"),
        (np.full((64, 64), np.inf), {}, "not finite"),
        (np.zeros((64, 64)), {"rois": ((-1, 20), (0, 20))}, "outside"),
        (np.zeros((64, 64)), {"rois": ((0, 5), (0, 64))}, "too small"),
    ],
)
def test_line_says_what_is_wrong_with_an_image(image, options, message):
    with pytest.raises(InputError, match=message):
        line_mtf(image, **options)


def test_line_refuses_a_spacing_that_makes_no_sense():
    with pytest.raises(UsageError, match="positive"):
        line_mtf(line(), pixel_spacing_mm=-1)


def test_line_sources_of_a_camera(shared_data):
    import photopeak

    frames = photopeak.read(shared_data / "nmqc/Spatial_Resol_X.dcm")
    rois = [((203, 318), (225, 279)), ((81, 197), (177, 231))]
    for mtf in line_mtf(frames.pixels[0], rois=rois, pixel_spacing_mm=frames.pixel_spacing_mm):
        assert mtf.details["fwhm_mm"] == pytest.approx(7.3, abs=0.3)
        assert mtf.details["fwtm_mm"] == pytest.approx(13.2, abs=0.4)
        # A Gaussian of that width has half of its modulation left there.
        assert mtf.mtf50 / mtf.pixel_spacing_mm == pytest.approx(0.4413 / mtf.details["fwhm_mm"], rel=0.05)
