"""The fixed doubling of a matrix, against waves of which the finer samples are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("scipy", reason="the exporters need scipy: pip install 'photopeak[evaluate]'")

from photopeak.exporters.interpolation import beyond_bilinear, doubled, taps

SIDE = 96
INNER = slice(24, -24)


def wave(per_pixel, finer):
    at = (np.arange(finer * SIDE) + 0.5) / finer
    return np.cos(2 * np.pi * per_pixel * at + 0.7).astype(np.float32)


@pytest.mark.parametrize("per_pixel", [0.02, 0.1, 0.2, 0.3, 0.35])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_wave_becomes_the_same_wave_on_the_finer_matrix(per_pixel, axis):
    coarse = np.broadcast_to(wave(per_pixel, 1), (SIDE, SIDE))
    fine = np.broadcast_to(wave(per_pixel, 2), (2 * SIDE, 2 * SIDE))
    coarse, fine = (np.moveaxis(image, 1, axis) for image in (coarse, fine))
    assert_allclose(doubled(coarse)[INNER, INNER], fine[INNER, INNER], atol=0.04)


def test_the_gain_is_one_nearly_up_to_the_nyquist_frequency():
    at = np.arange(len(taps())) - len(taps()) // 2 - 0.25
    gain = [float(taps() @ np.cos(2 * np.pi * f * at)) for f in np.linspace(0, 0.5, 51)]
    assert min(gain[:41]) > 0.998
    assert gain[-1] > 0.75  # bicubic interpolation leaves 0.5 there
    assert max(gain) < 1.02


def test_means_and_uniform_parts_are_kept():
    image = np.random.default_rng(0).normal(40, 10, (32, 20)).astype(np.float32)
    image[:8] = image[-8:] = image[:, :8] = image[:, -8:] = 40
    found = doubled(image)
    assert found.shape == (64, 40)
    assert found.mean() == pytest.approx(image.mean(), abs=1e-3)
    assert_allclose(found[:4], 40, atol=1e-4)


def test_mirrored_images_become_mirrored_images():
    image = np.random.default_rng(1).normal(0, 1, (17, 12)).astype(np.float32)
    assert_allclose(doubled(image[::-1]), doubled(image)[::-1], atol=1e-5)
    assert_allclose(doubled(image.T), doubled(image).T, atol=1e-5)


def test_what_bilinear_doubling_lacks_is_small_where_the_image_is_smooth():
    filters = beyond_bilinear(5, 13)
    assert filters.shape == (4, 1, 13, 13)
    assert_allclose(filters[3, 0], filters[0, 0][::-1, ::-1], atol=1e-5)
    assert_allclose(filters[2, 0], filters[1, 0][::-1, ::-1], atol=1e-5)
