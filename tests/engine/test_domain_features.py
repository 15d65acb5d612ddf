import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import zoom

from photopeak.engine import _native
from photopeak.engine.bundle import Input
from photopeak.engine.domain_features import FEATURES, features, words_for
from photopeak.engine.frames import Units

NAMES = {name: i for i, name in enumerate(FEATURES)}
DISPERSION = [i for name, i in NAMES.items() if "dispersion" in name]
PERIODICITY = [i for name, i in NAMES.items() if "periodicity" in name]


def row(frame, **how):
    return features(np.asarray(frame, np.float32)[None], **how)[0]


def flood(level, side=256, seed=0):
    return np.random.default_rng(seed).poisson(level, (side, side)).astype(np.float32)


def haar(z):
    """Return the sums of squares of all details but the diagonal ones, and of those, octave by octave."""
    for _ in range(4):
        rows, columns = (n // 2 * 2 for n in z.shape)
        a, b, c, d = (z[i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1))
        across, down, both = (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2
        yield np.sum(across**2) + np.sum(down**2), np.sum(both**2), a.size
        z = (a + b + c + d) / 2


@pytest.mark.parametrize("shape", [(64, 64), (37, 51), (130, 20)])
def test_octaves_are_those_of_a_haar_transform(shape):
    counts = np.random.default_rng(1).poisson(7, shape).astype(np.float32)
    found = _native.texture(counts[None], 1)[0][0]
    detail, diagonal, blocks = zip(*haar(2 * np.sqrt(counts.astype(np.float64) + 0.375)), strict=True)
    np.testing.assert_allclose(found["detail"], detail, rtol=1e-5)
    np.testing.assert_allclose(found["diagonal"], diagonal, rtol=1e-5)
    np.testing.assert_array_equal(found["blocks"], blocks)


def test_profiles_are_sums_of_third_and_fourth_differences():
    counts = np.random.default_rng(2).poisson(7, (40, 30)).astype(np.float32)
    _, columns, rows = _native.texture(counts[None], 1)
    z = 2 * np.sqrt(counts + 0.375)
    for found, axis in ((columns[0], 1), (rows[0], 0)):
        third, fourth = (np.abs(np.diff(z, order, axis=axis)).sum(axis=1 - axis) for order in (3, 4))
        np.testing.assert_allclose(found[0, 2:-2], third[:-1], rtol=1e-4)
        np.testing.assert_allclose(found[1, 2:-2], fourth, rtol=1e-4)
        assert not found[:, [0, 1, -2, -1]].any()


@pytest.mark.parametrize("level", [0.5, 5, 500])
@pytest.mark.parametrize("factor", [0.25, 1, 10])
def test_dispersion_of_rescaled_counts_is_the_factor(level, factor):
    found = row(flood(level) * np.float32(factor))[NAMES["log10 dispersion, median"]]
    assert found == pytest.approx(np.log10(factor), abs=0.05)


def test_dispersion_does_not_see_what_changes_linearly():
    y, x = np.mgrid[:128, :128]
    expected = 20 + 0.5 * x + 0.3 * y
    np.testing.assert_allclose(row(expected)[DISPERSION], -5, atol=0.01)  # nothing but its floor
    noisy = np.random.default_rng(3).poisson(expected)
    assert row(noisy)[NAMES["log10 dispersion, median"]] == pytest.approx(0, abs=0.03)


def test_counting_noise_has_the_same_energy_in_all_octaves_and_directions():
    found = row(flood(40, 512))
    octaves = [i for name, i in NAMES.items() if "octave" in name]
    np.testing.assert_allclose(found[octaves], 0, atol=0.06)


@pytest.mark.parametrize("cells", [False, True], ids=["corners aligned", "cells aligned"])
@pytest.mark.parametrize(("factor", "order"), [(2, 1), (2, 3), (1.5, 3), (1.25, 3)])
def test_interpolation_is_periodic(factor, order, cells):
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    smooth = np.random.default_rng(4).poisson(200 * np.exp(-3 * (x**2 + y**2))).astype(np.float32)
    enlarged = zoom(smooth, factor, order=order, mode="nearest", grid_mode=cells)
    assert row(enlarged)[PERIODICITY].min() > row(smooth)[PERIODICITY].max() + 0.15


def test_scaled_features_do_not_depend_on_the_unit():
    image = flood(30, 96)
    np.testing.assert_allclose(row(7e4 * image, scaling="robust"), row(image, scaling="robust"), atol=1e-4)


@given(
    arrays(
        np.float32,
        st.tuples(st.just(2), st.integers(1, 40), st.integers(1, 40)),
        elements=st.floats(0, 2.0**20, width=32),
    )
)
def test_any_frame_has_finite_features(frames):
    assert np.isfinite(features(frames)).all()


def test_values_beyond_all_counts_are_far_away():
    found = row(flood(5, 64) * np.float32(1e30))
    assert np.isfinite(found).all()
    assert found.max() == 99


def test_pixels_that_are_no_counts_count_as_none():
    counts = flood(5, 64)
    counts[10, 10:14] = 0
    spoilt = counts.copy()
    spoilt[10, 10:14] = np.nan, np.inf, -np.inf, -3
    for clean, found in zip(_native.texture(counts[None], 1), _native.texture(spoilt[None], 1), strict=True):
        np.testing.assert_array_equal(clean, found)


@pytest.mark.parametrize("taken", [("counts", Units.COUNTS, "none"), ("pet", Units.BECQUEREL_PER_ML, "robust"),
                                   ("ct", Units.HOUNSFIELD, "none")])  # fmt: skip
def test_every_feature_has_words(taken):
    name, units, scaling = taken
    words = words_for(Input(name=name, units=units, scaling=scaling))
    assert len({sentence for sentence, _ in words}) == len(FEATURES)
    for (_, logarithm), feature in zip(words, FEATURES, strict=True):
        assert logarithm == feature.startswith("log10")
