"""Textures have the spectra that their formulas say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.exporters.phantoms.textures import (
    TEXTURES,
    fractal,
    gradient_noise,
    iterated,
    perlin,
    random_fourier,
    textured,
)


@pytest.mark.parametrize("make", TEXTURES)
@settings(max_examples=12)
@given(rows=st.integers(16, 80), columns=st.integers(16, 80), seed=st.integers(0, 99))
def test_every_texture_is_standard_and_reproducible(make, rows, columns, seed):
    one, again = (make((rows, columns), np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == (rows, columns)
    assert one.dtype == np.float32
    assert abs(one.mean()) < 1e-4
    assert one.std() == pytest.approx(1, abs=1e-3)
    assert np.array_equal(one, again)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 3.0])
def test_the_power_of_a_fractal_falls_with_its_exponent(exponent):
    rng = np.random.default_rng(1)
    power = np.mean([np.abs(np.fft.fft2(fractal((128, 128), rng, exponent))) ** 2 for _ in range(20)], axis=0)
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None])
    inside = (frequency > 0.02) & (frequency < 0.45)
    slope = np.polyfit(np.log(frequency[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)


def test_gradient_noise_is_zero_at_the_corners_of_its_cells():
    noise = gradient_noise((97, 65), np.random.default_rng(0), 16.0)
    np.testing.assert_allclose(noise[::16, ::16], 0, atol=1e-12)
    assert np.abs(noise).max() > 0.2


def test_finer_cells_have_higher_frequencies():
    coarse, fine = (perlin((128, 128), np.random.default_rng(2), cell, 1) for cell in (40.0, 8.0))
    assert np.abs(np.diff(fine)).mean() > 3 * np.abs(np.diff(coarse)).mean()


def test_plane_waves_stay_in_their_band():
    texture = random_fourier((256, 256), np.random.default_rng(3), (0.1, 0.15))
    window = np.hanning(256)[:, None] * np.hanning(256)
    power = np.abs(np.fft.fft2(texture * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None])
    assert power[(frequency > 0.09) & (frequency < 0.16)].sum() > 0.999 * power.sum()


def test_an_iterated_system_is_no_noise():
    texture = iterated((64, 64), np.random.default_rng(4))
    assert np.corrcoef(texture[:, 1:].ravel(), texture[:, :-1].ravel())[0, 1] > 0.3


def test_a_textured_sheet_has_activity_everywhere():
    x, y = np.arange(30.0)[None], np.arange(20.0)[:, None]
    sheet = textured(x, y, np.random.default_rng(0))
    assert sheet.shape == (20, 30)
    assert sheet.min() > 0


@pytest.mark.parametrize("band", [(0.0, 0.1), (0.2, 0.1), (0.1, 0.6), (float("nan"), 0.1)])
def test_impossible_bands_are_refused(band):
    with pytest.raises(ValueError, match="is not within"):
        random_fourier((8, 8), np.random.default_rng(0), band)


@pytest.mark.parametrize(("cell", "octaves"), [(0.5, 1), (8.0, 0)])
def test_impossible_cells_are_refused(cell, octaves):
    with pytest.raises(ValueError, match="give at least 1 of each"):
        perlin((8, 8), np.random.default_rng(0), cell, octaves)
