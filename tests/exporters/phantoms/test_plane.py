"""A plane: areas of shapes, and parts that share its pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.exporters.phantoms.plane import Canvas, Disc, texture


@given(st.floats(-90, 90), st.floats(-90, 90), st.floats(3, 60))
def test_a_spot_paints_what_the_whole_plane_would(x, y, diameter):
    whole, part = Canvas(96, 200.0), Canvas(96, 200.0)
    whole.paint(whole.ellipse(x, y, diameter / 2, diameter / 2), 2.5)
    part.disc(Disc(x, y, diameter, 2.5))
    np.testing.assert_allclose(part.activity, whole.activity, atol=1e-12)


@pytest.mark.parametrize("degrees", [0, 30, 115])
def test_an_ellipse_has_its_area_where_it_stands(degrees):
    canvas = Canvas(512, 256.0)
    cover = canvas.ellipse(10, -20, 40, 15, degrees)
    assert cover.sum() * 0.25 == pytest.approx(np.pi * 40 * 15, rel=2e-3)
    assert (cover * canvas.x).sum() / cover.sum() == pytest.approx(10, abs=0.05)
    assert (cover * canvas.y).sum() / cover.sum() == pytest.approx(-20, abs=0.05)


def test_texture_has_unit_spread():
    grain = texture(128, np.random.default_rng(0), 2.0)
    assert grain.std() == pytest.approx(1)
    assert abs(grain.mean()) < 0.2
