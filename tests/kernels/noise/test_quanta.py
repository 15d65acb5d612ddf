"""Noise-equivalent quanta of systems for which they are known."""

import numpy as np
import pytest

from photopeak.kernels import noise_equivalent_quanta, noise_power_spectrum
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.mtf.curve import Mtf, QualityWarning

COUNTS = np.random.default_rng(0).poisson(25, (6, 256, 256))


def curve(shape, spacing=None, width=0.0, top=0.5):
    frequencies = np.linspace(0, top, 101)
    values = shape(frequencies)
    return Mtf(
        "edge", frequencies, values, values - width, values + width, spacing, (QualityWarning("angle", "Steep."),)
    )


def flat(frequencies):
    return np.ones_like(frequencies)


def test_counting_without_blur_is_worth_its_counts():
    found = noise_equivalent_quanta(curve(flat), noise_power_spectrum(COUNTS))
    assert found.quanta.mean() == pytest.approx(25, rel=0.01)
    assert np.mean((found.lower < 25) & (found.upper > 25)) > 0.9
    assert found.signal == pytest.approx(25, rel=0.01)
    assert [warning.code for warning in found.warnings][:1] == ["angle"]


def test_gain_and_lossless_blur_after_counting_change_nothing():
    def blur(frequencies):
        return np.exp(-2 * np.pi**2 * 0.5**2 * frequencies**2)

    u, v = np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256), indexing="ij")
    blurred = np.fft.ifft2(np.fft.fft2(COUNTS) * 7 * blur(np.hypot(u, v))).real
    found = noise_equivalent_quanta(curve(blur), noise_power_spectrum(blurred, window="hann"))
    assert found.quanta.mean() == pytest.approx(25, rel=0.01)


def test_units_and_efficiency():
    nps = noise_power_spectrum(COUNTS, pixel_spacing_mm=2.0)
    found = noise_equivalent_quanta(curve(flat, 2.0), nps)
    np.testing.assert_allclose(found.quanta_per_mm2, found.quanta / 4)
    np.testing.assert_allclose(found.frequencies_per_mm, found.frequencies / 2)
    np.testing.assert_allclose(found.efficiency(quanta_per_pixel=50), found.quanta / 50)
    np.testing.assert_allclose(found.efficiency(quanta_per_mm2=12.5), found.quanta / 50)
    assert found.efficiency(quanta_per_pixel=50).mean() == pytest.approx(0.5, rel=0.01)


def test_mtf_of_other_pixels_is_read_in_cycles_per_mm():
    def falling(frequencies):
        return 1 - frequencies

    nps = noise_power_spectrum(COUNTS, pixel_spacing_mm=2.0)
    fine = curve(lambda f: falling(2 * f), 1.0)
    np.testing.assert_allclose(
        noise_equivalent_quanta(fine, nps).quanta,
        noise_equivalent_quanta(curve(falling, 2.0), nps).quanta[:100],
        rtol=1e-9,
    )


def test_only_shared_frequencies_are_given():
    found = noise_equivalent_quanta(curve(flat, top=0.25), noise_power_spectrum(COUNTS))
    assert 0.2 < found.frequencies[-1] <= 0.25


def test_band_widens_with_that_of_the_mtf():
    nps = noise_power_spectrum(COUNTS)
    sure, unsure = (noise_equivalent_quanta(curve(flat, width=width), nps) for width in (0, 0.1))
    assert np.all(unsure.lower < sure.lower)
    assert np.all(unsure.upper > sure.upper)
    assert np.all(noise_equivalent_quanta(curve(flat, width=2), nps).lower >= 0)


def test_band_is_open_above_where_the_mtf_is_0():
    nps = noise_power_spectrum(COUNTS)
    found = noise_equivalent_quanta(curve(lambda f: np.maximum(1 - 4 * f, 0), width=0.1), nps)
    gone = found.frequencies > 0.25
    assert not found.quanta[gone].any()
    assert not found.lower[gone].any()
    np.testing.assert_allclose(found.upper[gone], 25 * 0.01, rtol=0.3)


def test_signal_can_be_given():
    nps = noise_power_spectrum(COUNTS)
    one, two = (noise_equivalent_quanta(curve(flat), nps, signal=signal) for signal in (10, 20))
    np.testing.assert_allclose(two.quanta, 4 * one.quanta)


@pytest.mark.parametrize(
    ("spacings", "options", "words"),
    [
        ((1.0, None), {}, "the noise has none"),
        ((None, 1.0), {}, "the MTF has none"),
        ((None, None), {"signal": 0}, "signal of 0"),
        ((None, None), {"signal": np.nan}, "signal of nan"),
        ((1000.0, 1.0), {}, "share no frequency"),
    ],
)
def test_nonsense_is_refused(spacings, options, words):
    with pytest.raises(InputError, match=words):
        noise_equivalent_quanta(
            curve(flat, spacings[0]), noise_power_spectrum(COUNTS, pixel_spacing_mm=spacings[1]), **options
        )


def test_images_without_noise_are_refused():
    with pytest.raises(InputError, match="noise is 0"):
        noise_equivalent_quanta(curve(flat), noise_power_spectrum(np.ones((128, 128))))


def test_efficiency_needs_one_number_of_quanta():
    found = noise_equivalent_quanta(curve(flat), noise_power_spectrum(COUNTS))
    for numbers in ({}, {"quanta_per_pixel": 1, "quanta_per_mm2": 1}, {"quanta_per_pixel": 0}):
        with pytest.raises(UsageError):
            found.efficiency(**numbers)
    with pytest.raises(InputError, match="pixel_spacing_mm"):
        found.efficiency(quanta_per_mm2=3)
