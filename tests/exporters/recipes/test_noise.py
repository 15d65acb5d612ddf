"""Noise measured in series whose noise is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from photopeak.engine.errors import InputError
from photopeak.exporters.recipes.noise import WINDOW, Noise, measure

SIGMA = 1.6


def series(exponent=1.0, deviation=0.1, axial_px=0.0, side=112, number=10, seed=0):
    """Return slices with noise of Gaussian correlation whose variance is a power of the concentration."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    body = 1.0 + 3.0 / (1 + np.exp(-12 * x))  # from 1 on the left to 4 on the right
    noise = gaussian_filter(rng.standard_normal((number, side, side)), (axial_px, SIGMA, SIGMA), mode="wrap")
    noise /= noise.std()
    drift = 1 + 0.01 * np.arange(number)[:, None, None] * (1 + y)
    return (1000 * (drift * body + deviation * noise * body ** (exponent / 2))).astype(np.float32)


@pytest.mark.parametrize(("exponent", "axial_px"), [(0.0, 0.8), (1.0, 0.0), (2.0, 0.8)])
def test_noise_of_a_known_filter_is_found(exponent, axial_px):
    found = measure(series(exponent, axial_px=axial_px))
    lags = np.arange(8)
    # A Gaussian filter's noise is correlated as a Gaussian of sqrt(2) times its width.
    np.testing.assert_allclose(found.correlation[0, :8], np.exp(-(lags**2) / (4 * SIGMA**2)), atol=0.1)
    np.testing.assert_allclose(found.correlation[:8, 0], np.exp(-(lags**2) / (4 * SIGMA**2)), atol=0.1)
    assert found.exponent == pytest.approx(exponent, abs=0.35)
    expected = np.exp(-1 / (4 * axial_px**2)) if axial_px else 0.0
    assert found.axial == pytest.approx(expected, abs=0.06)
    flat = np.full((1, 32, 32), 2500.0, np.float32)
    assert found.deviation(flat).mean() == pytest.approx(1000 * 0.1 * 2.5 ** (exponent / 2), rel=0.15)


def test_what_is_drawn_is_as_noisy_and_as_correlated_as_was_measured():
    found = measure(series())
    rng = np.random.default_rng(1)
    drawn = np.stack([found.draw((64, 96), rng) for _ in range(40)])
    assert drawn.dtype == np.float32
    assert drawn.var() == pytest.approx(1, abs=0.05)
    assert (drawn[:, :, 1:] * drawn[:, :, :-1]).mean() == pytest.approx(found.correlation[0, 1], abs=0.05)
    assert (drawn[:, 2:] * drawn[:, :-2]).mean() == pytest.approx(found.correlation[2, 0], abs=0.05)


def test_white_noise_stays_white():
    rng = np.random.default_rng(2)
    found = measure((50 + rng.standard_normal((10, 96, 96))).astype(np.float32))
    assert np.abs(found.correlation[0, 1:8]).max() < 0.05
    assert found.axial < 0.05
    assert found.deviation(np.full((40, 40), 50.0, np.float32))[20, 20] == pytest.approx(1, rel=0.1)


def test_the_deviation_follows_the_unit():
    one, other = measure(series()), measure(1e-3 * series())
    image = series()[5]
    np.testing.assert_allclose(1e-3 * one.deviation(image), other.deviation(np.float32(1e-3) * image), rtol=1e-2)


@pytest.mark.parametrize("shape", [(5, 96, 96), (9, 24, 96)])
def test_too_few_or_too_small_slices_are_refused(shape):
    with pytest.raises(InputError, match="too few or too small to measure noise in"):
        measure(np.ones(shape, np.float32), "here")


def test_slices_without_activity_are_refused():
    with pytest.raises(InputError, match="here: shows too little activity"):
        measure(np.zeros((9, 96, 96), np.float32), "here")


def test_dark_surroundings_have_no_noise():
    flat = np.zeros((WINDOW, WINDOW))
    flat[0, 0] = 1
    noise = Noise(0.04, 1.0, flat, 0.0)
    assert noise.deviation(np.full((16, 16), -3.0, np.float32)).max() == 0


@pytest.mark.parametrize(("axial", "apart"), [(0.0, 1), (0.05, 1), (0.3, 2), (0.72, 3), (0.9, 6)])
def test_slices_are_apart_where_their_noise_is_another_one(axial, apart):
    assert Noise(1.0, 1.0, np.eye(WINDOW), axial).apart == apart
