"""What a curve says of itself, whatever it was measured from."""

import inspect

import numpy as np
import pytest

from photopeak.kernels import disk_mtf, edge_mtf, line_mtf, point_mtf
from photopeak.kernels.errors import InputError, UsageError
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


def sources():
    row, column = np.indices((64, 64))
    distance = np.hypot(row - 31.2, column - 32.1)
    across = column - 31 - 0.08 * (row - 31)
    return {
        edge_mtf: 1 / (1 + np.exp(across / 0.8)),
        disk_mtf: 1 / (1 + np.exp((distance - 18) / 0.8)),
        line_mtf: np.exp(-(across**2) / 5),
        point_mtf: np.exp(-(distance**2) / 8),
    }


@pytest.mark.parametrize("measure", sources())
def test_all_methods_speak_alike(measure):
    image = 100 * sources()[measure]
    mtf = measure(image, pixel_spacing_mm=2.0)
    assert f"{mtf.method}_mtf" == measure.__name__
    documented = inspect.getdoc(measure)
    assert [key for key in mtf.details if f"``{key}``" not in documented] == []
    assert mtf.modulation[0] == pytest.approx(1.0, abs=1e-12)
    assert mtf.frequencies[0] == 0.0
    assert (np.diff(mtf.frequencies) > 0).all()
    assert 0.5 in mtf.frequencies
    assert mtf.frequencies_per_mm[-1] == pytest.approx(mtf.frequencies[-1] / mtf.pixel_spacing_mm)
    assert mtf.frequencies.shape == mtf.modulation.shape == mtf.lower.shape == mtf.upper.shape
    assert ((mtf.lower <= mtf.modulation) & (mtf.modulation <= mtf.upper)).all()
    whole = ((0, 64), (0, 64))
    assert type(measure(image, rois=whole)) is Mtf
    assert len(measure(image, rois=[whole, whole])) == len(measure(np.stack([image, image]))) == 2
    for options in ({"pixel_spacing_mm": (1, 2, 3)}, {"rois": ((0, 9.5), (0, 64))}, {"rois": 5}, {"threads": 0}):
        with pytest.raises(UsageError):
            measure(image, **options)
