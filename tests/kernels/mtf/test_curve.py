"""What a curve says of itself, whatever it was measured from."""

import numpy as np
import pytest

from photopeak.kernels.errors import InputError
from photopeak.kernels.mtf.curve import Mtf


def falling(spacing=None, top=0.5):
    frequencies = np.linspace(0, top, 129)
    values = np.exp(-2 * np.pi**2 * frequencies**2)
    return Mtf("line", frequencies, values, values, values, spacing)


def test_crossings_are_those_of_the_curve():
    mtf = falling(2.0)
    assert mtf.mtf50 == pytest.approx(np.sqrt(np.log(2) / 2) / np.pi, rel=1e-4)
    assert mtf.mtf10 == pytest.approx(np.sqrt(np.log(10) / 2) / np.pi, rel=1e-4)
    assert mtf.crossing(1.0) == 0
    assert np.isnan(falling(top=0.1).mtf50)


def test_nothing_is_told_beyond_the_last_frequency():
    at = falling().at([0.0, 0.25, 0.5, 0.51, 1.0, -0.1])
    assert at[:3] == pytest.approx(np.exp(-2 * np.pi**2 * np.array([0, 0.25, 0.5]) ** 2), abs=1e-4)
    assert np.isnan(at[3:]).all()


def test_frequencies_in_mm_need_a_spacing():
    np.testing.assert_allclose(falling(2.0).frequencies_per_mm, falling().frequencies / 2)
    with pytest.raises(InputError, match="pixel_spacing_mm"):
        falling().frequencies_per_mm  # noqa: B018
