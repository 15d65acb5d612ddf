"""Half the size against the definition as a matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.kernels.iqa import resize


def halved(image, rows, columns):
    spare = np.full(((rows + 1) // 2) * ((columns + 1) // 2) + 3, np.nan)
    return resize.halved(image, rows, columns, spare)


def keys(x):
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def matrix(length):
    """Return what makes half of a row: the stretched kernel around each output's centre, mirrored borders."""
    centres = 2 * np.arange((length + 1) // 2) + 0.5
    positions = np.arange(-8, length + 8)
    weights = keys((positions - centres[:, np.newaxis]) / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    folded = positions % (2 * length)
    folded = np.where(folded < length, folded, 2 * length - 1 - folded)
    return np.stack([weights[:, folded == pixel].sum(axis=1) for pixel in range(length)], axis=1)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
def test_half_is_the_definition_for_every_size(rows, columns, seed):
    image = np.random.default_rng(seed).uniform(0, 255, (rows, columns))
    expected = matrix(rows) @ image @ matrix(columns).T
    found = halved(image, rows, columns)
    assert found.shape == ((rows + 1) // 2, (columns + 1) // 2)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_what_lies_beyond_the_size_does_not_matter():
    image = np.random.default_rng(2).uniform(0, 255, (20, 24))
    inner = np.ascontiguousarray(image[:12, :10])
    np.testing.assert_array_equal(halved(image, 12, 10), halved(inner, 12, 10))


def test_whole_numbers_are_resized_without_rounding():
    image = np.random.default_rng(3).integers(0, 256, (64, 48)).astype(float)
    scaled = halved(image, 64, 48) * 2.0**16
    np.testing.assert_array_equal(scaled, np.rint(scaled))


@pytest.mark.parametrize("value", [0.0, 37.3])
def test_constant_images_stay_constant(value):
    assert np.ptp(halved(np.full((31, 17), value), 31, 17)) == 0
