"""Drawn shapes have the volumes of geometry, and anatomies are patients."""

import numpy as np
import pytest

from photopeak.exporters.phantoms import anatomy
from photopeak.exporters.phantoms.volumes import (
    JASZCZAK_RODS_MM,
    NEMA_SPHERES_MM,
    Canvas,
    Grid,
    jaszczak,
    nema_body,
    smooth_cut,
    smooth_union,
    turned,
    uniform_cylinder,
)

GRID = Grid((60, 70, 80), 3.0)


def volume_mm3(distance):
    canvas = Canvas(GRID)
    return canvas.cover(distance(canvas)).sum(dtype=float) * 27


@pytest.mark.parametrize("axes", [(30, 30, 30), (20, 40, 60), (50, 15, 25)])
@pytest.mark.parametrize("turn", [(0, 0, 0), (20, 40, 70)])
def test_an_ellipsoid_has_its_volume(axes, turn):
    found = volume_mm3(lambda c: c.ellipsoid((5, -4, 3), axes, turned(*turn)))
    assert found == pytest.approx(4 / 3 * np.pi * np.prod(axes), rel=0.02)


def test_a_ball_and_a_cylinder_have_their_volumes():
    assert volume_mm3(lambda c: c.ball(1, 2, 3, 25)) == pytest.approx(4 / 3 * np.pi * 25**3, rel=0.01)
    assert volume_mm3(lambda c: c.cylinder(40, -50, 30)) == pytest.approx(np.pi * 1600 * 80, rel=0.01)


def test_a_rotation_is_orthogonal():
    np.testing.assert_allclose(turned(10, 20, 30) @ turned(10, 20, 30).T, np.eye(3), atol=1e-12)


def test_far_from_each_other_smooth_shapes_are_the_plain_ones():
    canvas = Canvas(GRID)
    one, other = canvas.ball(-40, 0, 0, 20), canvas.ball(40, 0, 0, 20)
    np.testing.assert_allclose(smooth_union(one, other, 5)[:, :, :30], one[:, :, :30])
    assert canvas.cover(smooth_cut(one, other, 5)).sum() == pytest.approx(canvas.cover(one).sum(), rel=1e-6)
    assert canvas.cover(smooth_cut(one, one - 10, 5)).sum() == 0


def test_the_cylinder_is_even_water():
    volume = uniform_cylinder(GRID, 60, 120)
    assert volume.activity.sum(dtype=float) * 27 == pytest.approx(np.pi * 3600 * 120, rel=0.01)
    assert volume.attenuation[30, 35, 40] == pytest.approx(0.0154)


def test_jaszczak_has_cold_rods_below_and_cold_spheres_above():
    grid = Grid((100, 120, 120), 2.0)
    activity = jaszczak(grid).activity
    level = lambda z: round(z / 2 + 49.5)
    full = np.pi * 108**2
    rods = full - activity[level(-60)].sum(dtype=float) * 4
    assert activity[level(10)].sum(dtype=float) * 4 == pytest.approx(full, rel=0.01)
    assert 0.12 < rods / full < 0.25
    assert activity[level(34)].sum() < 0.985 * activity[level(10)].sum()
    assert len(JASZCZAK_RODS_MM) == 6


def test_the_nema_spheres_hold_their_activity():
    grid = Grid((60, 200, 200), 2.0)
    hot, plain = (nema_body(grid, contrast).activity.sum(dtype=float) * 8 for contrast in (9.0, 1.0))
    expected = 8 * sum(np.pi / 6 * d**3 for d in NEMA_SPHERES_MM)
    assert hot - plain == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("draw", [anatomy.liver, anatomy.lungs, anatomy.kidneys, anatomy.heart, anatomy.brain])
def test_an_anatomy_is_reproducible_varied_and_positive(draw):
    grid = Grid((40, 48, 48), 8.0 if draw is not anatomy.brain else 5.0)
    first, again, other = (draw(grid, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.activity, again.activity)
    assert not np.array_equal(first.activity, other.activity)
    assert first.activity.dtype == first.attenuation.dtype == np.float32
    assert first.activity.min() >= 0
    assert np.isfinite(first.activity).all()
    assert 0.004 < first.attenuation[20, 24, 24] < 0.026


def test_the_organ_is_hotter_than_soft_tissue_and_where_it_belongs():
    grid = Grid((60, 48, 64), 6.0)
    x = (np.arange(64) - 31.5)[None, None] * 6
    liver = anatomy.liver(grid, np.random.default_rng(0)).activity
    lungs = anatomy.lungs(grid, np.random.default_rng(0)).attenuation
    assert (liver * (liver > 5) * x).sum() < 0  # right
    assert lungs[30, 24, 18] < 0.006 < lungs[30, 24, 32]


def test_brain_uptake_has_the_ratio_asked_for():
    grid = Grid((50, 100, 80), 2.0)
    activity = anatomy.brain(grid, np.random.default_rng(0), 4.0).activity
    values, numbers = np.unique(np.round(activity[activity > 0.5], 1), return_counts=True)
    frequent = values[np.argsort(numbers)[-8:]]
    assert frequent.min() == pytest.approx(1.0, abs=0.1)
    assert frequent.max() == pytest.approx(4.0, rel=0.2)
