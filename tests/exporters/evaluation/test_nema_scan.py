"""Spheres and background of a NEMA phantom are found where they are."""

import numpy as np
import pytest

from photopeak.exporters.evaluation.nema_scan import (
    RECONSTRUCTIONS,
    NemaScan,
    find_regions,
    load_scans,
    recoveries,
    variability,
)
from photopeak.exporters.phantoms.plane import Disc
from photopeak.exporters.phantoms.slices import nema_iq


@pytest.fixture(scope="module")
def phantom():
    drawn = nema_iq(192, 8.0)
    noisy = drawn.activity * np.random.default_rng(0).normal(1, 0.15, drawn.activity.shape)
    return drawn, noisy.astype(np.float32)


@pytest.fixture(scope="module")
def scan(phantom):
    drawn, noisy = phantom
    return NemaScan(np.stack([noisy] * 2), *find_regions(noisy, drawn.field_mm / 192), drawn.field_mm)


def test_spheres_are_found_by_size(phantom, scan):
    for found, true in zip(scan.spheres, phantom[0].discs, strict=True):
        assert found.diameter_mm == true.diameter_mm
        assert np.hypot(found.x_mm - true.x_mm, found.y_mm - true.y_mm) < 1.5


def test_background_circles_lie_in_the_background(phantom, scan):
    drawn = phantom[0]
    assert len(scan.backgrounds) == 12
    at = (np.arange(192) - 95.5) * drawn.field_mm / 192
    for k, place in enumerate(scan.backgrounds):
        inside = np.hypot(at[None] - place.x_mm, at[:, None] - place.y_mm) < 8.5
        np.testing.assert_allclose(drawn.activity[inside], 1.0, atol=1e-5)
        for other in scan.backgrounds[:k]:
            assert np.hypot(place.x_mm - other.x_mm, place.y_mm - other.y_mm) > 18


def test_contrast_is_that_of_the_phantom(phantom, scan):
    found = recoveries(phantom[0].activity, scan)
    np.testing.assert_allclose(found[2:], 7.0, rtol=0.1)
    assert found[0] < found[5]


def test_variability_grows_with_the_noise(phantom, scan):
    clean = variability(phantom[0].activity[None], scan)
    assert clean < 1e-5
    assert variability(scan.planes, scan) > 0.01


def test_a_plane_without_spheres_is_refused():
    flat = nema_iq(128, 1.0).activity
    with pytest.raises(ValueError, match="hot regions are fewer than the six spheres"):
        find_regions(flat, 400 / 128)


def test_without_the_collection_there_is_no_scan(tmp_path):
    assert load_scans(None) == load_scans(tmp_path) == {}


def test_both_reconstructions_share_their_regions(shared_data):
    scans = load_scans(shared_data)
    if not scans:
        pytest.skip("the collection pynemaiqpet is not there")
    first, second = (scans[name] for name in RECONSTRUCTIONS)
    assert first.spheres == second.spheres
    assert isinstance(first.spheres[0], Disc)
    for one in (first, second):
        contrast = recoveries(one.planes[2], one)
        assert 7 < contrast[5] < 9
        assert (contrast < 9).all()
        assert 0.01 < variability(one.planes, one) < 0.1
