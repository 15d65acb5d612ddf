"""The parts of Ma's features where closed forms are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gennorm

from photopeak.kernels.iqa.ma.dct import _tables, dct_features
from photopeak.kernels.iqa.ma.gsm import normalise, shapes
from photopeak.kernels.iqa.ma.pca import singular_values
from photopeak.kernels.iqa.ma.resampling import enlarge, halve
from photopeak.kernels.iqa.ma.shape import ratios, shape_of
from photopeak.kernels.iqa.ma.steerable import ORIENTATIONS, Pyramid, steerable_pyramid
from photopeak.kernels.iqa.ma.structure import local, similarity


def random(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape)


@given(st.floats(0.0, 1e3), st.floats(0.0, 1e2))
def test_shape_is_the_first_of_the_nearest(variance, deviation):
    table = ratios()
    nearest = np.abs(table - variance / (deviation * deviation + 1e-7)).argmin()
    assert shape_of(variance, deviation, table) == 0.03 + 0.001 * nearest


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0, 4.0])
def test_shape_of_known_distributions_is_found(true):
    samples = gennorm(true).ppf((np.arange(200_000) + 0.5) / 200_000)
    found = shape_of(samples.var(ddof=1), np.abs(samples - samples.mean()).mean(), ratios())
    assert found == pytest.approx(true, rel=0.01)


def test_transform_is_orthonormal_and_groups_share_nothing():
    basis, oriented = _tables()
    np.testing.assert_allclose(basis @ basis.T, np.eye(7), rtol=0, atol=1e-15)
    assert oriented.shape == (3, 16)
    assert sorted(oriented.ravel()) == list(range(1, 49))


def test_flat_blocks_have_the_greatest_shape_and_no_variation():
    found = dct_features(np.zeros((30, 30)))
    np.testing.assert_allclose(found, [10, 10, 0, 0, 0, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(50, 50), (21, 34), (7, 5), (5, 5)])
def test_singular_values_keep_the_energy_and_their_number(shape):
    plane = random(*shape)
    found = singular_values(plane)
    assert found.size == min(25, -(-shape[0] // 5) * -(-shape[1] // 5))
    assert np.all(np.diff(found) <= 0)
    assert np.sum(found**2) == pytest.approx(np.sum(plane**2), rel=1e-13)


def test_singular_values_of_equal_patches():
    """One patch over and over has a single direction."""
    found = singular_values(np.tile(random(5, 5), (6, 4)))
    assert found[0] == pytest.approx(np.sqrt(24) * np.linalg.norm(random(5, 5)), rel=1e-14)
    np.testing.assert_allclose(found[1:], 0, rtol=0, atol=1e-14)


def test_small_singular_values_are_not_lost_in_large_ones():
    left, _ = np.linalg.qr(random(400, 25))
    right, _ = np.linalg.qr(random(25, 25, seed=4))
    true = 10.0 ** -np.linspace(0, 11, 25)
    patches = ((left * true) @ right).reshape(20, 20, 5, 5)
    found = singular_values(np.ascontiguousarray(patches.transpose(0, 2, 1, 3).reshape(100, 100)))
    np.testing.assert_allclose(found, true, rtol=0, atol=1e-14)


def test_directions_that_vanish_leave_numbers():
    """Four flat quadrants: what rounding leaves of the other directions shrinks until its squares are subnormal."""
    rows, columns = np.mgrid[:128, :128]
    plane = ((rows < 64) ^ (columns < 64)) * (200 / 255)
    patches = np.pad(plane, (0, 2)).reshape(26, 5, 26, 5).swapaxes(1, 2).reshape(-1, 25)
    expected = np.linalg.svd(patches, compute_uv=False)
    np.testing.assert_allclose(singular_values(plane), expected, rtol=0, atol=1e-12)


def test_enlarging_keeps_straight_lines_and_equal_sizes():
    rows, columns = np.mgrid[:20, :30] * 1.0
    plane = (3 * rows - 2 * columns)[None]
    large = enlarge(plane, (40, 60))[0]
    expected = 3 * ((np.arange(40)[:, None] + 0.5) / 2 - 0.5) - 2 * ((np.arange(60) + 0.5) / 2 - 0.5)
    np.testing.assert_allclose(large[4:-4, 4:-4], expected[4:-4, 4:-4], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(enlarge(plane, (20, 30)), plane)


def test_doubling_cuts_what_stretching_squeezes():
    planes = random(2, 20, 30)
    np.testing.assert_array_equal(enlarge(planes, (39, 59), doubled=True), enlarge(planes, (40, 60))[:, :39, :59])
    assert np.abs(enlarge(planes, (39, 59)) - enlarge(planes, (40, 60))[:, :39, :59]).max() > 0.01


def test_halving_keeps_a_constant_inside_and_takes_odd_samples():
    half = halve(np.ones((9, 8)))
    assert half.shape == (4, 4)
    np.testing.assert_allclose(half[:, :3], 1, rtol=1e-15)
    assert np.all(half[:, 3] < 1)
    impulse = np.zeros((8, 8))
    impulse[3, 5] = 1
    assert np.unravel_index(halve(impulse).argmax(), (4, 4)) == (1, 2)


@pytest.mark.parametrize("shape", [(64, 64), (63, 50)])
def test_pyramid_keeps_the_energy_above_its_lowest_octave(shape):
    """The squares of all transfer functions add up to one; between the samples of a table only nearly."""
    frequencies = np.hypot(*np.meshgrid(*(2 * np.fft.fftfreq(size) for size in shape), indexing="ij"))
    spectrum = np.fft.fft2(random(*shape)) * (frequencies > 0.25)
    for axis, size in enumerate(shape):
        if size % 2 == 0:
            np.moveaxis(spectrum, axis, 0)[size // 2] = 0
    plane = np.fft.ifft2(spectrum).real
    pyramid = steerable_pyramid(plane)
    samples = plane.size / pyramid.coarse[0].size
    energy = np.sum(pyramid.residual**2) + np.sum(pyramid.fine**2) + np.sum(pyramid.coarse**2) / samples
    assert energy == pytest.approx(np.sum(plane**2), rel=1e-4)


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_grating_is_seen_most_in_its_own_orientation(orientation):
    angle = np.pi * orientation / ORIENTATIONS
    rows, columns = np.mgrid[:96, :96]
    wave = np.sin(2 * np.pi * 0.25 * (columns * np.cos(angle) + rows * np.sin(angle)))
    energy = np.sum(steerable_pyramid(wave * np.outer(np.hanning(96), np.hanning(96))).fine ** 2, axis=(1, 2))
    assert energy.argmax() == orientation


def test_normalised_noise_is_of_one_scale_everywhere():
    """Left and right halves that differ a hundredfold look alike once divided by their surroundings."""
    plane = random(128, 128) * np.where(np.arange(128) < 64, 1, 100)
    subbands = normalise(steerable_pyramid(plane))
    left, right = subbands.fine[:, :, :25].std(), subbands.fine[:, :, -25:].std()
    assert left == pytest.approx(right, rel=0.1)
    np.testing.assert_allclose(subbands.fine.mean(axis=(1, 2)), 0, rtol=0, atol=1e-14)
    assert np.all((shapes(subbands) > 1) & (shapes(subbands) < 10))


def test_normalised_bands_keep_their_units():
    pyramid = steerable_pyramid(random(64, 64))
    scaled = Pyramid(*(1e-3 * part for part in pyramid))
    np.testing.assert_allclose(normalise(scaled).fine, 1e-3 * normalise(pyramid).fine, rtol=0, atol=1e-12)


def test_bands_without_signal_stay_zero():
    empty = Pyramid(np.zeros((64, 64)), np.zeros((6, 64, 64)), np.zeros((6, 32, 32)))
    subbands = normalise(empty)
    assert not subbands.fine.any()
    assert np.all(shapes(subbands) == 0.03 + 0.001 * 9970)


def test_plane_is_like_itself_and_unlike_its_negative():
    plane = 30 * random(40, 50)
    assert similarity(local(plane), local(plane)) == pytest.approx(1, abs=1e-15)
    assert similarity(local(plane), local(-plane)) < -0.7
    assert abs(similarity(local(plane), local(30 * random(40, 50, seed=4)))) < 0.3


@settings(max_examples=10, deadline=None)
@given(st.integers(12, 40), st.integers(12, 40))
def test_local_statistics_are_weighted_moments(rows, columns):
    plane = random(rows, columns)
    weights = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    window = np.outer(weights, weights) / weights.sum() ** 2
    part = np.lib.stride_tricks.sliding_window_view(plane, (11, 11))
    mean = (part * window).sum((2, 3))
    found = local(plane)
    np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.variance, (part**2 * window).sum((2, 3)) - mean**2, rtol=0, atol=1e-13)
