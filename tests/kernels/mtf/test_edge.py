import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photopeak.kernels import edge_mtf
from photopeak.kernels.errors import InputError, UsageError


@pytest.fixture(scope="module")
def noisy(edges):
    image = edges.image(edges.gaussian(0.8), shape=(64, 72), angle=6.0, shift=1.3)
    return image + np.random.default_rng(0).normal(0, 0.01, image.shape)


def _codes(curve):
    return {warning.code for warning in curve.warnings}


def test_curve_is_complete(noisy):
    curve = edge_mtf(noisy)
    assert curve.method == "edge"
    assert curve.frequencies[0] == 0.0
    assert curve.frequencies[-1] == 1.0
    assert curve.modulation[0] == 1.0
    assert (curve.lower <= curve.modulation).all()
    assert (curve.modulation <= curve.upper).all()
    assert curve.warnings == ()
    assert curve.details["orientation"] == "vertical"
    assert curve.details["angle_deg"] == pytest.approx(6.0, abs=0.02)
    assert curve.details["contrast"] == pytest.approx(1.0, abs=0.01)
    assert curve.details["noise"] == pytest.approx((0.01, 0.01), rel=0.1)
    assert curve.details["snr"] == pytest.approx(100, rel=0.1)
    assert abs(curve.details["sag_px"]) < 0.02


def test_profile_integrates_to_the_step(edges):
    details = edge_mtf(edges.image(edges.gaussian(1.0))).details
    step = details["distances_px"][1] - details["distances_px"][0]
    assert details["line_spread"].sum() * step == pytest.approx(1.0, abs=1e-4)
    assert details["edge_spread"][0] == pytest.approx(0.0, abs=1e-4)
    assert np.interp(0.0, details["distances_px"], details["edge_spread"]) == pytest.approx(0.5, abs=1e-3)


def test_frequencies_beyond_nyquist_are_resolved(edges):
    blur = edges.gaussian(0.3)
    curve = edge_mtf(edges.image(blur))
    assert curve.modulation == pytest.approx(edges.mtf(blur, curve.frequencies), abs=2e-4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gain=st.floats(0.01, 1e4).flatmap(lambda gain: st.sampled_from([gain, -gain])),
    offset=st.floats(-1e3, 1e3),
    turns=st.integers(0, 3),
    mirrored=st.booleans(),
)
def test_curve_does_not_depend_on_gain_offset_or_orientation(noisy, gain, offset, turns, mirrored):
    seen = np.rot90(noisy[:, ::-1] if mirrored else noisy, turns)
    curve, reference = edge_mtf(gain * seen + offset), edge_mtf(noisy)
    assert curve.modulation[:65] == pytest.approx(reference.modulation[:65], abs=2e-4)
    assert curve.details["orientation"] == ("horizontal" if turns % 2 else "vertical")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.float32, ">u2"])
def test_types_agree(edges, kind):
    image = np.round(edges.image(edges.gaussian(1.0), low=20, high=220))
    assert np.array_equal(edge_mtf(image.astype(kind)).modulation, edge_mtf(image).modulation)


def test_spacing_gives_cycles_per_mm(edges):
    image = edges.image(edges.gaussian(1.0))
    curve = edge_mtf(image, pixel_spacing_mm=2.4)
    assert curve.frequencies_per_mm == pytest.approx(curve.frequencies / 2.4)
    oblong = edge_mtf(image, pixel_spacing_mm=(1.2, 2.4))
    slope = np.tan(np.radians(5.0))
    assert oblong.pixel_spacing_mm == pytest.approx(2.4 * np.hypot(1, slope) / np.hypot(1, 2 * slope), rel=1e-6)
    assert edge_mtf(image.T, pixel_spacing_mm=(2.4, 1.2)).pixel_spacing_mm == pytest.approx(oblong.pixel_spacing_mm)
    with pytest.raises(InputError, match="pixel_spacing_mm"):
        _ = edge_mtf(image).frequencies_per_mm


def test_stacks_and_regions_are_batches(noisy):
    stack = np.stack([noisy, 2 * noisy, noisy[::-1]])
    regions = [((0, 64), (0, 64)), ((10, 60), (8, 72))]
    curves = edge_mtf(stack, rois=regions, threads=2)
    assert len(curves) == 6
    for index, curve in enumerate(curves):
        (top, bottom), (left, right) = regions[index % 2]
        alone = edge_mtf(np.ascontiguousarray(stack[index // 2, top:bottom, left:right]))
        assert np.array_equal(curve.modulation, alone.modulation)
        assert np.array_equal(curve.upper, alone.upper)
    assert len(edge_mtf(stack)) == 3
    assert len(edge_mtf(noisy, rois=regions[:1])) == 1


def test_bent_edge_is_followed_and_named(edges):
    blur = edges.gaussian(1.0)
    curve = edge_mtf(edges.image(blur, bend=2e-4))
    assert _codes(curve) == {"curved-edge"}
    assert abs(curve.details["sag_px"]) == pytest.approx(2e-4 * 49.5**2, rel=0.02)
    assert curve.modulation[:65] == pytest.approx(edges.mtf(blur, curve.frequencies[:65]), abs=5e-3)


def test_few_phases_are_named(edges):
    assert "angle" in _codes(edge_mtf(edges.image(edges.gaussian(1.0), angle=0.2)))
    assert "angle" in _codes(edge_mtf(edges.image(edges.gaussian(1.0), angle=44.9)))
    assert "angle" not in _codes(edge_mtf(edges.image(edges.gaussian(1.0), angle=2.0)))


def test_clipping_is_named(edges):
    rng = np.random.default_rng(0)
    image = edges.image(edges.gaussian(1.0), low=30, high=250) + rng.normal(0, 4, (100, 100))
    assert _codes(edge_mtf(np.clip(np.round(image), 0, 255).astype(np.uint8))) == {"clipping"}
    assert _codes(edge_mtf(np.clip(image, 0, 251))) == {"clipping"}
    assert _codes(edge_mtf(image)) == set()


def test_counts_without_background_are_not_clipping(edges):
    counts = np.random.default_rng(0).poisson(np.maximum(edges.image(edges.gaussian(1.5), high=400), 0))
    assert _codes(edge_mtf(counts)) == set()


def test_noise_is_named(edges):
    image = edges.image(edges.gaussian(1.0), shape=(48, 48)) + np.random.default_rng(0).normal(0, 0.3, (48, 48))
    assert "low-snr" in _codes(edge_mtf(image))


def test_tails_beyond_the_region_are_named(edges):
    image = edges.image(edges.scattered(1.0, 12.0, 0.3), shape=(64, 64))
    assert "truncated-tails" in _codes(edge_mtf(image))


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((64, 64)), "no edge"),
        (np.random.default_rng(0).normal(size=(64, 64)), "no edge"),
        (np.zeros((12, 64)), "12 x 64 pixels is too small"),
        (np.full((64, 64), np.nan), "not finite"),
        (np.zeros(64), "no image"),
    ],
)
def test_what_is_no_edge_is_refused(image, sentence):
    with pytest.raises(InputError, match=sentence):
        edge_mtf(image)


@pytest.mark.parametrize(
    "roi",
    [((0, 65), (0, 64)), ((-1, 40), (0, 64)), ((40, 10), (0, 64))],
)
def test_regions_outside_are_refused(noisy, roi):
    with pytest.raises(InputError, match="the region"):
        edge_mtf(noisy, rois=[roi])


def test_region_without_brackets_is_one_region(noisy):
    curve = edge_mtf(noisy, rois=((10, 60), (8, 72)))
    assert np.array_equal(curve.modulation, edge_mtf(noisy, rois=[((10, 60), (8, 72))])[0].modulation)


@pytest.mark.parametrize("degrees", [0.0, 4.0])
def test_lines_and_disks_are_no_edges(degrees):
    row, column = np.indices((64, 64))
    line = np.exp(-((column - 31 - np.tan(np.radians(degrees)) * (row - 31)) ** 2) / 4)
    distance = np.hypot(row - 31.2, column - 32.1) - 18
    for image in (line, 1.0 * (line > 0.9), 1.0 * (distance < 0), 1 / (1 + np.exp(distance / 0.8))):
        with pytest.raises(InputError, match="no edge"):
            edge_mtf(image)


@pytest.mark.parametrize("rois", [[((0, 64),)], ["everything"], ((0, 64), (None, 3)), 5, ((0, 40.5), (0, 64))])
def test_what_is_no_region_is_refused(noisy, rois):
    with pytest.raises(UsageError, match=r"the regions .* make no sense"):
        edge_mtf(noisy, rois=rois)


def test_arguments_without_sense_are_refused(noisy):
    for spacing in (-1.0, (1, 2, 3), "a"):
        with pytest.raises(UsageError, match="pixel spacing"):
            edge_mtf(noisy, pixel_spacing_mm=spacing)
    with pytest.raises(UsageError, match="threads"):
        edge_mtf(noisy, threads=0)
