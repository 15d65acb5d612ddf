"""Transverse objects: sizes, ratios and totals that are known."""

import numpy as np
import pytest

from photopeak.exporters.phantoms.plane import WATER_511KEV_PER_MM
from photopeak.exporters.phantoms.slices import (
    NEMA_SPHERES_MM,
    OBJECTS,
    derenzo,
    nema_iq,
    torso,
)


@pytest.mark.parametrize("name", sorted(OBJECTS))
@pytest.mark.parametrize("seed", range(4))
def test_every_object_is_finite_and_inside_of_its_field(name, seed):
    drawn = OBJECTS[name](np.random.default_rng(seed), 128)
    for image in (drawn.activity, drawn.attenuation):
        assert image.shape == (128, 128)
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image[[0, -1]].max() == 0
    assert drawn.activity.max() > 0


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_seed_decides_the_object(name):
    first, again = (OBJECTS[name](np.random.default_rng(9), 96) for _ in range(2))
    other = OBJECTS[name](np.random.default_rng(10), 96)
    np.testing.assert_array_equal(first.activity, again.activity)
    assert not np.array_equal(first.activity, other.activity)


def test_nema_spheres_have_their_areas_and_contrast():
    drawn = nema_iq(1024, contrast=8.0)
    pixel = drawn.field_mm / 1024
    at = (np.arange(1024) - 511.5) * pixel
    for disc, diameter in zip(drawn.discs, NEMA_SPHERES_MM, strict=True):
        near = np.hypot(at[None] - disc.x_mm, at[:, None] - disc.y_mm) < diameter / 2 + 2
        excess = (drawn.activity[near] - 1).sum() * pixel**2 / 7
        assert excess == pytest.approx(np.pi * diameter**2 / 4, rel=2e-3)
        assert np.hypot(disc.x_mm, disc.y_mm) == pytest.approx(57.2)


def test_nema_cold_spheres_are_the_two_largest():
    assert [disc.activity for disc in nema_iq(64, 4.0, cold=True).discs] == [4, 4, 4, 4, 0, 0]


def test_nema_lung_insert_is_cold_and_thin():
    drawn = nema_iq(256)
    assert drawn.activity[128, 128] == 0
    assert drawn.attenuation[128, 128] < WATER_511KEV_PER_MM / 2


def test_rods_stand_two_diameters_apart():
    drawn = derenzo(64)
    for diameter in {disc.diameter_mm for disc in drawn.discs}:
        at = np.array([(d.x_mm, d.y_mm) for d in drawn.discs if d.diameter_mm == diameter])
        apart = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(at))
        np.testing.assert_allclose(apart.min(axis=1), 2 * diameter, rtol=1e-6)


def test_rods_of_different_sectors_do_not_touch():
    discs = derenzo(64).discs
    for k, one in enumerate(discs):
        for other in discs[:k]:
            gap = np.hypot(one.x_mm - other.x_mm, one.y_mm - other.y_mm) - (one.diameter_mm + other.diameter_mm) / 2
            assert gap > 0.5


def test_cold_rods_are_holes():
    drawn = derenzo(256, hot=False)
    largest = max(drawn.discs, key=lambda disc: disc.diameter_mm)
    row, column = (round(127.5 + at * 256 / drawn.field_mm) for at in (largest.y_mm, largest.x_mm))
    assert drawn.activity[row, column] == 0
    assert drawn.activity.max() == pytest.approx(1)


def test_lesions_of_a_torso_lie_apart():
    for seed in range(20):
        lesions = torso(np.random.default_rng(seed), 32).discs
        for k, one in enumerate(lesions):
            for other in lesions[:k]:
                assert (
                    np.hypot(one.x_mm - other.x_mm, one.y_mm - other.y_mm) > (one.diameter_mm + other.diameter_mm) / 2
                )
