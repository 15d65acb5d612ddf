"""Sums over coefficients against whole-image NumPy."""

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from photopeak.kernels.iqa.mscn import LANES, TILE, buffers, constants, region_sums

NO_MASK = np.zeros((0, 0), bool)


def coefficients(image, mode):
    steps = np.arange(-3, 4)
    window = np.exp(-(steps**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()

    def smooth(plane):
        return correlate1d(correlate1d(plane, window, axis=0, mode=mode), window, axis=1, mode=mode)

    mean = smooth(image)
    difference = image - mean
    difference[abs(difference) < 1e-9] = 0
    return difference / (np.sqrt(abs(smooth(image**2) - mean**2)) + 1)


def plain_sums(values, inside=None):
    """Return the sums of a region whose edges are neighbours of the edges opposite."""
    values = values if inside is None else np.where(inside, values, 0)
    shifted = (np.roll(values, shift, axis=(0, 1)) for shift in ((0, 1), (1, 0), (1, 1), (1, -1)))
    maps = [values, *(values * other for other in shifted)]
    return np.array(
        [
            ((m[m < 0] ** 2).sum(), (m[m > 0] ** 2).sum(), abs(m).sum(), np.sum(m < 0), np.sum(m > 0))
            for m in map(np.asarray, maps)
        ]
    )


def sums(image, region, replicate, mask=NO_MASK, size=None):
    found = np.empty((5, 5))
    room = buffers(constants(), region[3])
    region_sums(image, size or image.shape, mask, region, replicate, room, found)
    return found


@pytest.mark.parametrize(
    "shape", [(8, 7), (7, 16), (21, TILE), (13, TILE + 1), (30, LANES + 50), (97, 2 * TILE), (10, 300)]
)
@pytest.mark.parametrize("replicate", [True, False])
def test_sums_of_whole_images_are_those_of_the_definition(shape, replicate):
    image = np.random.default_rng(1).integers(0, 256, shape).astype(float)
    expected = plain_sums(coefficients(image, "nearest" if replicate else "constant"))
    np.testing.assert_allclose(sums(image, (0, 0, *shape), replicate), expected, rtol=1e-11)


@pytest.mark.parametrize("region", [(0, 0, 16, 16), (5, 9, 12, 30), (24, 40, 16, 24), (0, 63, 40, 1)])
def test_sums_of_a_region_see_what_surrounds_it(region):
    image = np.random.default_rng(2).uniform(0, 255, (40, 64))
    row, column, height, width = region
    part = coefficients(image, "nearest")[row : row + height, column : column + width]
    np.testing.assert_allclose(sums(image, region, True), plain_sums(part), rtol=1e-9)


def test_what_lies_beyond_the_size_does_not_matter():
    image = np.random.default_rng(3).uniform(0, 255, (40, 64))
    inner = np.ascontiguousarray(image[:32, :48])
    expected = sums(inner, (16, 16, 16, 32), True)
    np.testing.assert_array_equal(sums(image, (16, 16, 16, 32), True, size=(32, 48)), expected)


def test_masked_coefficients_count_as_zero():
    image = np.random.default_rng(4).uniform(0, 255, (33, 130))
    inside = np.random.default_rng(5).uniform(size=image.shape) < 0.7
    expected = plain_sums(coefficients(image, "constant"), inside)
    np.testing.assert_allclose(sums(image, (0, 0, 33, 130), False, inside), expected, rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 77.0, 123.456])
def test_windows_of_constant_value_have_no_coefficients(value):
    image = np.full((40, 40), value)
    image[:, 30:] = np.random.default_rng(6).uniform(0, 255, (40, 10))
    assert not sums(image, (0, 0, 40, 27), True).any()


def test_symmetry_of_an_image_is_symmetry_of_its_sums():
    image = np.random.default_rng(7).integers(0, 256, (48, 48)).astype(float)
    found, turned = (sums(np.ascontiguousarray(i), (0, 0, 48, 48), True) for i in (image, image.T))
    np.testing.assert_allclose(turned[[0, 2, 1, 3, 4]], found, rtol=1e-11)
