"""Skeletons as volumes."""

import numpy as np
import pytest

from photopeak.exporters.phantoms.bone_volumes import bone_lesions, voxelise
from photopeak.exporters.phantoms.scene import ellipsoid, join
from photopeak.exporters.phantoms.volumes import Grid, derenzo


def test_ellipsoids_keep_their_activity_on_any_grid():
    parts = join(ellipsoid((5, -8, 12), (20, 14, 9), 2.0), ellipsoid((-30, 10, 0), (8, 8, 8), 5.0))
    emitted = float((parts.volume_mm3() * parts.activity).sum())
    for voxel_mm, tolerance in ((2.0, 0.02), (4.0, 0.06)):
        side = int(160 / voxel_mm)
        found = voxelise(parts, Grid((side, side, side), voxel_mm))
        assert found.sum() * voxel_mm**3 == pytest.approx(emitted, rel=tolerance)


def test_centre_of_an_ellipsoid_is_where_it_says():
    found = voxelise(ellipsoid((10, -20, 30), (9, 9, 9), 1.0), Grid((40, 40, 40), 4.0))
    at = np.array([(axis * found).sum() / found.sum() for axis in Grid((40, 40, 40), 4.0).axes])
    assert at == pytest.approx([30, -20, 10], abs=0.2)


def test_what_lies_outside_is_left_out():
    assert not voxelise(ellipsoid((500, 0, 0), (9, 9, 9), 1.0), Grid((8, 8, 8), 4.0)).any()


def test_patients_differ_and_their_spine_is_behind_the_middle():
    grid = Grid((32, 32, 32), 8.0)
    one, two = (bone_lesions(grid, np.random.default_rng(seed)).activity for seed in (0, 1))
    assert not np.array_equal(one, two)
    assert one[:, 16:].sum() > one[:, :16].sum()
    assert one.min() >= 0


def test_derenzo_rods_are_hot_in_a_cold_cylinder():
    volume = derenzo(Grid((4, 128, 128), 2.0)).activity
    assert volume.max() == pytest.approx(1)
    inside = volume[2][volume[2] > 0.04]
    assert np.median(inside) == pytest.approx(0.05, abs=1e-3)
    assert 0.1 < (inside > 0.5).mean() < 0.3
