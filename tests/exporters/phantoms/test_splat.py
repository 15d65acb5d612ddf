"""Sources as Gaussians, against exact line integrals."""

import numpy as np
import pytest

from photopeak.exporters.phantoms.camera import Camera
from photopeak.exporters.phantoms.scene import Ellipsoids, Scene, ellipsoid, join, outline, project, tube
from photopeak.exporters.phantoms.splat import Surface, cover, splat

CAMERA = Camera(pixel_mm=2.0, shape=(96, 80), scatter_fraction=0.0)


def _air(mu: float = 0.0) -> Surface:
    return Surface(np.full((4, 4), np.inf), 100.0, mu)


def _curved() -> Ellipsoids:
    angle = np.linspace(0, 2.5, 40)
    return tube(np.stack([50 * np.sin(angle), 30 * angle - 40, -40 * np.cos(angle)], axis=1), 5.0, 1.0)


def test_a_rib_looks_as_with_exact_line_integrals() -> None:
    body = ellipsoid((0, 0, 0), (70, 90, 60))
    exact = project(Scene(_curved(), body, attenuation_per_mm=0.012), CAMERA)
    grid = Camera(2.0, (120, 100))
    surface = Surface(outline(body, grid)[0], 2.0, 0.012)
    quick = splat(_curved(), CAMERA, surface, nearest_mm=-60.0)
    assert quick.sum() == pytest.approx(exact.sum(), rel=0.02)
    assert np.linalg.norm(quick - exact) < 0.08 * np.linalg.norm(exact)


def test_counts_are_kept_whatever_the_matrix() -> None:
    parts = join(_curved(), ellipsoid((10, 5, 0), (6, 12, 4), 2.0))
    truth = float((parts.activity * parts.volume_mm3()).sum())
    for pixel, shape in ((2.0, (96, 80)), (4.0, (48, 40)), (1.0, (192, 160))):
        image = splat(parts, Camera(pixel, shape, scatter_fraction=0.0), _air(), nearest_mm=-60.0)
        assert image.sum() == pytest.approx(truth, rel=3e-3)


def test_a_long_source_is_long_in_its_own_direction() -> None:
    turn = np.array([[np.cos(0.5), -np.sin(0.5), 0], [np.sin(0.5), np.cos(0.5), 0], [0, 0, 1]])
    image = splat(ellipsoid((0, 0, 0), (14, 4, 4), 1.0, turn), CAMERA, _air(), nearest_mm=0.0)
    rows, columns = np.indices(image.shape)
    u, v = columns - (image.shape[1] - 1) / 2, rows - (image.shape[0] - 1) / 2
    direction = 0.5 * np.arctan2(2 * (image * u * v).sum(), (image * (u**2 - v**2)).sum())
    assert direction == pytest.approx(0.5, abs=0.02)


def test_sources_beside_the_field_and_behind_the_body() -> None:
    far = ellipsoid((500, 0, 0), (5, 5, 5), 1.0)
    assert not splat(far, CAMERA, _air(), nearest_mm=0.0).any()
    flat = Surface(np.zeros((40, 40)), 10.0, 0.0154)
    deep, near = (ellipsoid((0, 0, z), (5, 5, 5), 1.0) for z in (100.0, 0.0))
    ratio = splat(deep, CAMERA, flat, nearest_mm=0.0).sum() / splat(near, CAMERA, flat, nearest_mm=0.0).sum()
    assert ratio == pytest.approx(np.exp(-1.54), rel=1e-2)


def test_cover_is_a_disc_that_grows_by_the_margin() -> None:
    ball = ellipsoid((3.0, -7.0, 0.0), (12.0, 12.0, 12.0))
    inner, outer = cover(ball, CAMERA, 0.0), cover(ball, CAMERA, 6.0)
    assert 4.0 * inner.sum() == pytest.approx(np.pi * 12**2, rel=0.05)
    assert 4.0 * outer.sum() == pytest.approx(np.pi * 18**2, rel=0.05)
    assert not (inner & ~outer).any()


def test_no_sources_give_nothing() -> None:
    none = Ellipsoids(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0))
    assert not splat(none, CAMERA, _air(), nearest_mm=0.0).any()
    assert not cover(none, CAMERA, 5.0).any()
