"""Coils and their images, against closed forms."""

from math import pi

import numpy as np
import pytest

from photopeak.exporters.phantoms.coils import Beam, Coil, biplane, draw_thickness, random_coil, simulate_views
from photopeak.kernels import Geometry, Grid


@pytest.mark.parametrize(("loops", "seed"), [(1, 0), (2, 3), (3, 1)])
def test_wire_stays_in_the_sac_and_apart_from_itself(loops, seed):
    coil = random_coil(seed, loops=loops)
    assert np.linalg.norm(coil.points_mm, axis=1).max() < 3.0 - 0.25 + 0.05
    index = np.arange(len(coil.points_mm))
    apart = np.linalg.norm(coil.points_mm[:, None] - coil.points_mm, axis=-1)
    assert apart[np.abs(index[:, None] - index) > 30].min() > 1.8 * 0.25
    assert np.linalg.norm(np.diff(coil.points_mm, axis=0), axis=1).max() < 0.06


def test_seed_decides_the_coil():
    np.testing.assert_array_equal(random_coil(4).points_mm, random_coil(4).points_mm)
    assert not np.array_equal(random_coil(4).points_mm, random_coil(5).points_mm)


def test_sphere_is_as_thick_as_its_chords():
    ball = Coil(np.array([[0.0, 0, 0], [0, 0, 1e-9]]), 0.25, (3.0, 3.0, 3.0))
    view = biplane().views[0]
    thickness = draw_thickness(ball, view, 4)
    assert thickness.max() == pytest.approx(0.5, abs=0.01)
    area = (0.05 / view.magnification) ** 2
    assert thickness.sum() * area == pytest.approx(4 / 3 * pi * 0.25**3, rel=0.02)


def test_tube_holds_its_volume():
    line = np.linspace([0.0, 0, -2], [0.0, 0, 2], 401)
    view = biplane().views[1]
    thickness = draw_thickness(Coil(line, 0.25, (3.0, 3.0, 3.0)), view, 4)
    volume = pi * 0.25**2 * 4 + 4 / 3 * pi * 0.25**3
    assert thickness.sum() * (0.05 / view.magnification) ** 2 == pytest.approx(volume, rel=0.02)


def test_noise_is_that_of_photons():
    coil = Coil(np.array([[0.0, 0, 0], [0, 0, 1e-9]]), 0.25, (3.0, 3.0, 3.0))
    empty = simulate_views(coil, biplane(), Beam(photons=400.0), seed=3)[0][:20]
    assert empty.std() == pytest.approx(1 / 20, rel=0.1)
    assert empty.mean() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("options", [{"loops": 0}, {"radius_mm": 0.0}, {"radius_mm": 1.5}])
def test_coils_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=r"loops|radius"):
        random_coil(0, **options)


def test_beams_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="beam"):
        Beam(photons=0)


def test_parallel_views_are_refused():
    parallel = Geometry.around(Grid((8, 8, 8), (1.0, 1.0, 1.0)), (0,))
    with pytest.raises(ValueError, match="cone"):
        draw_thickness(random_coil(0, loops=1), parallel.views[0])
