"""The fast projection against closed forms and against the exact one."""

from dataclasses import replace

import numpy as np
import pytest

from photopeak.exporters.phantoms.camera import FWHM_PER_SIGMA, WATER_140KEV_PER_MM, Camera
from photopeak.exporters.phantoms.parathyroid_patient import draw_patient
from photopeak.exporters.phantoms.parathyroid_view import views
from photopeak.exporters.phantoms.scene import Scene, ellipsoid, join, project

CLEAN = Camera(pixel_mm=1.5, shape=(192, 192), scatter_fraction=0.0, gap_mm=10.0)
BODY = ellipsoid((0.0, 0.0, 0.0), (400.0, 400.0, 60.0))


@pytest.mark.parametrize("depth", [20.0, 60.0, 100.0])
def test_a_source_at_depth_loses_what_water_absorbs(depth):
    ball = ellipsoid((0.0, 0.0, depth - 60), (4.0, 4.0, 4.0), 2.0)
    (image,) = views([ball], BODY, 0.0, CLEAN)
    emitted = 2.0 * 4 / 3 * np.pi * 4**3
    assert image.sum() / emitted == pytest.approx(np.exp(-WATER_140KEV_PER_MM * depth), rel=0.01)


@pytest.mark.parametrize("depth", [25.0, 89.0])
def test_a_point_is_as_wide_as_the_camera_at_its_depth(depth):
    point = ellipsoid((0.75, 0.75, depth - 60), (0.5, 0.5, 0.5), 1.0)
    (image,) = views([point], BODY, 0.0, CLEAN)
    at = (np.arange(192) - 96) * 1.5
    profile = image.sum(axis=0)
    width = FWHM_PER_SIGMA * np.sqrt((profile * at**2).sum() / profile.sum())
    assert width == pytest.approx(CLEAN.fwhm_mm(depth + CLEAN.gap_mm), rel=0.025)


def test_a_point_off_the_middle_appears_where_it_is():
    point = ellipsoid((30.0, -45.0, 0.0), (2.0, 2.0, 2.0), 1.0)
    (image,) = views([point], BODY, 0.0, CLEAN)
    rows, columns = np.indices(image.shape)
    found = [(axis * image).sum() / image.sum() for axis in (rows, columns)]
    np.testing.assert_allclose(found, (-45 / 1.5 + 95.5, 30 / 1.5 + 95.5), atol=0.02)


def test_scatter_adds_its_fraction():
    ball = ellipsoid((0.0, 0.0, 0.0), (10.0, 10.0, 10.0), 1.0)
    wide = replace(CLEAN, pixel_mm=4.0)
    (clean,), (scattered,) = (views([ball], BODY, 0.0, replace(wide, scatter_fraction=f)) for f in (0.0, 0.3))
    assert scattered.sum() / clean.sum() == pytest.approx(1.3, rel=2e-3)


def test_groups_add_up():
    parts = [ellipsoid((x, 0.0, 0.0), (6.0, 8.0, 5.0), 1.0 + x) for x in (0.0, 3.0, 40.0)]
    (together,) = views([join(*parts)], BODY, 1.0, CLEAN)
    apart = views(parts, BODY, 1.0, CLEAN)
    np.testing.assert_allclose(np.sum(apart, axis=0), together, rtol=1e-4)


def test_a_patient_looks_as_in_the_exact_projection():
    patient = draw_patient(np.random.default_rng(4))
    sources = join(*(part.shape for part in patient.parts))
    camera = Camera(pixel_mm=3.0, shape=(128, 128), scatter_fraction=0.2)
    (fast,) = views([sources], patient.body, 1.0, camera)
    exact = project(Scene(sources, patient.body, 1.0), camera)
    assert fast.sum() == pytest.approx(exact.sum(), rel=0.02)
    assert np.sqrt(np.mean((fast - exact)[8:-8, 8:-8] ** 2)) < 0.02 * exact.max()
