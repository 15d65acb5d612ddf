"""Test objects against quadrature: the estimators are judged by them, so that they are judged first."""

import numpy as np
import pytest
from scipy import integrate, special

from photopeak.benchmarks import closed_forms
from photopeak.benchmarks.closed_forms import BLURS, disk, edge, line, point

FREQUENCIES = np.linspace(0, 0.5, 11)


@pytest.mark.parametrize("blur", BLURS)
def test_step_and_transform_belong_together(blur):
    found, width = BLURS[blur], 1.2
    x = np.linspace(-120, 120, 240_001)
    spread = np.gradient(found.step(x, width), x)
    assert integrate.trapezoid(spread, x) == pytest.approx(1, abs=1e-9)
    transform = [abs(integrate.trapezoid(spread * np.exp(-2j * np.pi * f * x), x)) for f in FREQUENCIES]
    np.testing.assert_allclose(found.mtf(FREQUENCIES, width), transform, atol=2e-6)


def test_disk_is_a_disk_blurred():
    width, side = 1.5, 48
    image = disk(width, side).image

    def blurred(r):
        # Along the radius of the disk, the angle gives a Bessel function (scaled against overflow).
        return integrate.quad(
            lambda p: p / width**2 * np.exp(-((r - p) ** 2) / (2 * width**2)) * special.ive(0, r * p / width**2),
            0,
            side / 4,
            points=[min(r, side / 4)],
        )[0]

    rows, columns = np.indices((side, side)) - (side - 1) / 2
    radius = np.hypot(rows - 0.17, columns - 0.31)
    for place in [(5, 9), (23, 24), (11, 23), (24, 36), (30, 30)]:
        assert image[place] == pytest.approx(blurred(radius[place]), abs=1e-9)


def test_slanted_objects_are_slanted():
    image = edge("Gaussian", 1.0, 64, 5.0).image
    middle = [np.interp(0.5, row, np.arange(64)) for row in image]
    assert np.diff(middle).mean() == pytest.approx(-np.tan(np.deg2rad(5)), rel=1e-2)
    assert image.min() == pytest.approx(0, abs=1e-12)
    assert line(1.5, 64, 3.0).image.max() <= 1


def test_sources_have_the_sum_of_their_gaussian():
    assert point(2.0, 64).image.sum() == pytest.approx(2 * np.pi * 4, rel=1e-6)


def test_tables_have_a_row_for_each_object_and_miss_what_is_off(monkeypatch):
    rows = [row for row in closed_forms._rows() if row.method == "point"]
    monkeypatch.setattr(
        closed_forms, "_rows", lambda: [*rows, closed_forms.Row("point", "strict", rows[0].objects, None, 0.0)]
    )
    monkeypatch.setattr(closed_forms, "peers_of", lambda metric: [])
    (sharpness, noise), missed = closed_forms.closed_form_tables(repeats=1)
    assert [row[:3] for row in sharpness.rows] == [("point", "Gaussian, no noise", "2"), ("point", "strict", "2")]
    assert [sentence.split(" is off")[0] for sentence in missed] == ["point MTF (strict)"]
    assert len(noise.rows) == 6
