from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak import kernels
from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.quality.images import read_image
from photopeak.engine.quality.noise import layout, measure_nps


@given(st.integers(8, 40), st.integers(0, 200), st.integers(0, 50))
def test_regions_cover_an_area_and_overlap_by_half(of_array, size, extra, start):
    image = of_array(np.zeros((300, 300)))
    end = start + size + extra
    where = layout(image, [((start, end), (start, end))], size)
    starts = sorted({row for (row, _), _ in where.regions})
    assert (starts[0], starts[-1] + size) == (start, end)
    assert all(0 < b - a <= size / 2 + 1 for a, b in pairwise(starts))
    assert len(where.regions) == len(starts) ** 2


def test_size_follows_the_smallest_area(of_array):
    image = of_array(np.zeros((300, 300)))
    assert layout(image).size == 64
    assert layout(image, [((0, 300), (0, 300)), ((0, 40), (0, 90))]).size == 40


@pytest.mark.parametrize(
    ("area", "size", "words"),
    [(((0, 65), (0, 10)), None, "outside"), (((0, 9), (0, 65)), None, "outside"), (((0, 20), (0, 64)), 32, "smaller")],
)
def test_areas_that_do_not_fit_are_refused(of_array, area, size, words):
    with pytest.raises(InputError, match=words):
        layout(of_array(np.zeros((64, 64))), [area], size)


@pytest.mark.parametrize("size", [-5, 0])
def test_regions_without_pixels_are_refused(of_array, size):
    with pytest.raises(UsageError, match=f"regions of {size} pixels hold nothing"):
        layout(of_array(np.zeros((64, 64))), size=size)


def test_values_too_large_to_be_squared_are_refused(tmp_path):
    np.save(tmp_path / "huge.npy", np.random.default_rng(0).poisson(50, (64, 64)) * 1e200)
    image = read_image(tmp_path / "huge.npy")
    with pytest.raises(InputError, match=r"huge\.npy: values beyond 1e"):
        measure_nps(image, layout(image))


def test_spectrum_is_that_of_the_kernel(of_array):
    stack = np.random.default_rng(0).poisson(50, (3, 96, 96))
    where = layout(of_array(stack), size=32)
    found = measure_nps(of_array(stack), where, spacing_mm=(2.0, 2.0), detrend="quadratic", window="hann")
    options = {"rois": where.regions, "pixel_spacing_mm": (2.0, 2.0), "detrend": "quadratic", "window": "hann"}
    np.testing.assert_array_equal(found.plane, kernels.noise_power_spectrum(stack, **options).plane)
    one = measure_nps(of_array(stack), where, frame=2)
    assert one.regions == found.regions / 3
