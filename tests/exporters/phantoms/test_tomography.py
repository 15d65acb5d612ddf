"""Projection, statistics and reconstruction of slices against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.exporters.phantoms.tomography import (
    Reconstruction,
    Scanner,
    acquire,
    backproject,
    grouped_by_mirror,
    measure,
    ordered,
    project,
    reconstruct,
)

FIELD = 256.0


def grid(side):
    at = (np.arange(side) - (side - 1) / 2) * FIELD / side
    return at[None, :], at[:, None]


def disk(side, radius, x=0.0, y=0.0):
    columns, rows = grid(side)
    return (np.clip(0.5 - (np.hypot(columns - x, rows - y) - radius) * side / FIELD, 0, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def scanner():
    return Scanner(field_mm=FIELD, angles=80, fwhm_mm=4.0)


@pytest.fixture(scope="module")
def cylinder(scanner):
    activity = disk(256, 80) + 3 * disk(256, 14, 30, -20)
    return measure(activity, 0.0096 * disk(256, 80), scanner, 2e6)


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from([16, 31, 64]), st.sampled_from([8, 20, 40]))
def test_back_projection_is_the_adjoint(seed, side, angles):
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((side, side)).astype(np.float32)
    rays = rng.standard_normal((angles // 4, 4, side)).astype(np.float32)
    forward = np.vdot(project(image, angles).astype(float), rays)
    back = np.vdot(image.astype(float), backproject(rays, angles))
    assert forward == pytest.approx(back, rel=1e-4, abs=1e-5 * image.size * rays.size**0.5)


def test_a_part_of_the_directions_is_that_part_of_all():
    image = disk(64, 50)
    np.testing.assert_array_equal(project(image, 40, slice(1, None, 2)), project(image, 40)[1::2])


def test_order_by_angle_can_be_undone():
    rays = np.random.default_rng(0).random((10, 4, 32)).astype(np.float32)
    np.testing.assert_array_equal(grouped_by_mirror(ordered(rays)), rays)


def test_projections_of_a_blob_follow_the_cosine_law_and_keep_its_mass():
    columns, rows = grid(128)
    blob = np.exp(-((columns - 40) ** 2 + (rows - 14) ** 2) / 80).astype(np.float32)
    rays = ordered(project(blob, 60))
    angle = (np.arange(60) + 0.5) * np.pi / 60
    centre = rays @ np.arange(128) / rays.sum(axis=1) - 63.5
    np.testing.assert_allclose(centre, (40 * np.cos(angle) + 14 * np.sin(angle)) / 2, atol=2e-3)
    np.testing.assert_allclose(rays.sum(axis=1), blob.sum(), rtol=3e-4)


def test_projection_of_a_disk_is_its_chord():
    rays = ordered(project(disk(256, 80), 40))
    across = np.arange(256) - 127.5
    chord = 2 * np.sqrt(np.maximum(80**2 - across**2, 0))
    inside = np.abs(across) < 76
    np.testing.assert_allclose(rays[:, inside], np.broadcast_to(chord[inside], (40, inside.sum())), rtol=0.02)


def test_attenuation_of_the_central_ray_is_that_of_its_chord(cylinder):
    expected = np.exp(-0.0096 * 160)
    middle = cylinder.gain[:, 127:129].mean()
    assert middle / cylinder.gain.max() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("scatter", "randoms"), [(0.0, 0.0), (0.4, 0.0), (0.2, 0.5)])
def test_coincidences_have_the_totals_asked_for(scatter, randoms):
    scanner = Scanner(FIELD, 40, scatter_fraction=scatter, randoms_fraction=randoms)
    seen = measure(disk(128, 60), 0.0096 * disk(128, 60), scanner, 1e5)
    assert (seen.counts - seen.background).sum() == pytest.approx(1e5, rel=1e-4)
    assert seen.background.sum() == pytest.approx(1e5 * (scatter + randoms), rel=1e-3, abs=1)


def test_counts_are_poisson(cylinder):
    rng = np.random.default_rng(5)
    drawn = np.stack([acquire(cylinder, 0.2, rng).counts for _ in range(60)])
    expected = 0.2 * cylinder.counts
    assert drawn.sum() / 60 == pytest.approx(expected.sum(), rel=3e-3)
    assert np.mean(drawn.var(axis=0, ddof=1)) / expected.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    "how",
    [
        Reconstruction(side=128),
        Reconstruction(side=64, iterations=6),
        Reconstruction(side=256, iterations=8),
        Reconstruction(side=128, psf_fwhm_mm=4.0),
        Reconstruction(method="fbp", side=128),
    ],
    ids=["osem-128", "osem-64", "osem-256", "psf", "fbp"],
)
def test_noise_free_reconstruction_gives_the_activity(cylinder, scanner, how):
    image = reconstruct(cylinder, scanner, how)
    columns, rows = grid(how.side)
    flat = (np.hypot(columns, rows) < 65) & (np.hypot(columns - 30, rows + 20) > 30)
    assert image[flat].mean() == pytest.approx(1, abs=0.01)
    assert image[flat].std() < 0.03
    assert image[np.hypot(columns - 30, rows + 20) < 6].mean() == pytest.approx(4, abs=0.1)
    assert abs(image[(np.hypot(columns, rows) > 95) & (np.hypot(columns, rows) < 120)].mean()) < 0.01


def test_resolution_is_that_of_detectors_and_filter(scanner):
    point = np.zeros((256, 256), np.float32)
    point[150:152, 140:142] = 1
    seen = measure(point + 1e-4 * disk(256, 100), np.zeros_like(point), scanner, 1e7)
    image = reconstruct(seen, scanner, Reconstruction("fbp", side=256, filter_fwhm_mm=6.0))
    profile = image[120:182].sum(axis=0)
    profile = profile - np.median(profile)
    at = np.arange(256) * FIELD / 256
    window = slice(115, 167)
    weight = profile[window]
    spread = np.sqrt(weight @ at[window] ** 2 / weight.sum() - (weight @ at[window] / weight.sum()) ** 2)
    # Two pixels across, detectors and filter: variances add.
    expected = np.sqrt((4.0**2 + 6.0**2) / (8 * np.log(2)) + 2**2 / 12)
    assert spread == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("method", ["osem", "fbp"])
def test_noise_leaves_the_mean_and_is_correlated(cylinder, scanner, method):
    rng = np.random.default_rng(1)
    how = Reconstruction(method, side=128)
    images = np.stack([reconstruct(acquire(cylinder, 0.3, rng), scanner, how) for _ in range(24)])
    columns, rows = grid(128)
    flat = (np.hypot(columns, rows) < 60) & (np.hypot(columns - 30, rows + 20) > 30)
    assert images[:, flat].mean() == pytest.approx(1, abs=0.01)
    noise = images - images.mean(axis=0)
    neighbours = np.mean(noise[:, 40:88, 40:87] * noise[:, 40:88, 41:88]) / np.mean(noise[:, 40:88, 40:88] ** 2)
    assert neighbours > 0.5


def test_more_counts_give_less_noise(cylinder, scanner):
    rng = np.random.default_rng(2)
    columns, rows = grid(128)
    flat = (np.hypot(columns, rows) < 60) & (np.hypot(columns - 30, rows + 20) > 30)
    short, long = (reconstruct(acquire(cylinder, f, rng), scanner, Reconstruction())[flat].std() for f in (0.1, 1.6))
    assert short / long == pytest.approx(4, rel=0.25)


def test_unknown_reconstruction_is_refused(cylinder, scanner):
    with pytest.raises(ValueError, match="no reconstruction 'mlem', give osem or fbp"):
        reconstruct(cylinder, scanner, Reconstruction("mlem"))


@pytest.mark.parametrize("how", [Reconstruction(side=100), Reconstruction(subsets=7)])
def test_what_does_not_fit_is_refused(cylinder, scanner, how):
    with pytest.raises(ValueError, match="do not fit"):
        reconstruct(cylinder, scanner, how)
