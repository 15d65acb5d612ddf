"""The turning camera and its reconstruction against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.exporters.phantoms.camera import Camera, count
from photopeak.exporters.phantoms.spect import (
    Orbit,
    Projections,
    Settings,
    Tomograph,
    backproject,
    coarser,
    measure,
    project,
    reconstruct,
)
from photopeak.exporters.phantoms.volumes import Grid, uniform_cylinder

WATER = 0.0154


def tomograph(side=32, slices=8, pixel_mm=6.0, angles=32, radius_mm=150.0, **camera):
    return Tomograph(Camera(pixel_mm=pixel_mm, shape=(slices, side), **camera), Orbit(angles, radius_mm))


@pytest.fixture(scope="module")
def cylinder():
    """A uniform cylinder of 80 mm, longer than the field, on a grid twice as fine as the camera's."""
    volume = uniform_cylinder(Grid((16, 64, 64), 3.0), 80.0, 1e3)
    scanner = tomograph()
    return volume, scanner, measure(volume.activity, volume.attenuation, scanner, 4e6)


@settings(max_examples=12)
@given(seed=st.integers(0, 2**31), side=st.sampled_from([8, 15, 24]), angles=st.sampled_from([4, 12, 20]))
def test_back_projection_is_the_adjoint(seed, side, angles):
    rng = np.random.default_rng(seed)
    scanner = tomograph(side, 5, angles=angles)
    volume = rng.standard_normal(scanner.volume_shape).astype(np.float32)
    rays = rng.standard_normal((angles, 5, side)).astype(np.float32)
    mu = (0.02 * rng.random(scanner.volume_shape)).astype(np.float32)
    forward = project(volume, mu, scanner).astype(float)
    back = backproject(rays, mu, scanner).astype(float)
    scale = np.linalg.norm(forward) * np.linalg.norm(rays)
    assert abs(np.vdot(forward, rays) - np.vdot(volume, back)) < 1e-5 * scale


def test_some_views_are_those_of_all():
    scanner = tomograph(16, 3)
    volume = np.random.default_rng(0).random(scanner.volume_shape).astype(np.float32)
    np.testing.assert_array_equal(project(volume, None, scanner, [5, 20]), project(volume, None, scanner)[[5, 20]])


def test_a_point_goes_round_as_the_camera_does():
    """The first view is anterior; after a quarter turn the camera looks from the patient's left."""
    scanner = tomograph(32, 4)
    volume = np.zeros(scanner.volume_shape, np.float32)
    volume[1:3, 8:10, 20:22] = 1  # anterior left
    views = project(volume, None, scanner)
    at = (views.sum(axis=1) @ np.arange(32)) / views.sum(axis=(1, 2)) - 15.5
    turn = 2 * np.pi * np.arange(32) / 32
    np.testing.assert_allclose(at, 5 * np.cos(turn) - 7 * np.sin(turn), atol=0.05)


@pytest.mark.parametrize("radius_mm", [120.0, 180.0, 260.0])
def test_the_width_of_a_line_grows_with_the_radius_as_the_formula_says(radius_mm):
    scanner = tomograph(64, 4, 3.0, angles=4, radius_mm=radius_mm, hole_mm=2.0, divergence=0.05)
    volume = np.zeros(scanner.volume_shape, np.float32)
    volume[:, 31:33, 31:33] = 1
    at = (np.arange(64) - 31.5) * 3.0
    for view in project(volume, None, scanner):
        profile = view.sum(axis=0, dtype=float)
        variance = profile @ at**2 / profile.sum()
        # The line is two pixels wide, and the sum of the camera's variance less that of interpolation, which views along
        # the axes do not have.
        expected = scanner.camera.fwhm_mm(radius_mm) ** 2 / (8 * np.log(2)) + 1.5**2 - 9 / 6
        assert variance == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("radius_mm", [120.0, 220.0])
def test_reconstructed_resolution_is_that_of_the_camera_at_the_radius(radius_mm):
    scanner = tomograph(64, 4, 3.0, angles=64, radius_mm=radius_mm, scatter_fraction=0.0)
    fine = np.zeros((8, 128, 128), np.float32)
    fine[:, 63:65, 63:65] = 1
    seen = measure(fine, np.zeros_like(fine), scanner, 1e6)
    image = reconstruct(seen, np.zeros(scanner.volume_shape, np.float32), scanner, Settings("fbp", filter_fwhm_mm=0.0))
    at = (np.arange(64) - 31.5) * 3.0
    profile = image.mean(axis=0)[31:33].mean(axis=0)
    half = np.interp(np.linspace(0, 40, 4001), at[32:], profile[32:]) > profile[31:33].mean() / 2
    # Source and bins are 3 mm wide, and back-projection interpolates.
    expected = np.sqrt(scanner.camera.fwhm_mm(radius_mm) ** 2 + 8 * np.log(2) * 9 * (1 / 12 + 1 / 12 + 1 / 6))
    assert 0.02 * half.sum() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("depth_mm", [20.0, 60.0, 100.0])
def test_counts_fall_exponentially_with_depth(depth_mm):
    scanner = tomograph(64, 2, 4.0, angles=4, radius_mm=200.0)
    mu = np.zeros(scanner.volume_shape, np.float32)
    mu[:, 2:62, 2:62] = WATER
    row = 2 + int(depth_mm / 4)
    volume = np.zeros(scanner.volume_shape, np.float32)
    volume[:, row, 30:34] = 1
    anterior, bare = (project(volume, m, scanner, [0]).sum() for m in (mu, None))
    assert anterior / bare == pytest.approx(np.exp(-WATER * (depth_mm + 2)), rel=1e-3)


def test_the_centre_of_a_cylinder_is_attenuated_by_its_radius(cylinder):
    volume, scanner, _ = cylinder
    fine = scanner.finer()
    line = np.zeros_like(volume.activity)
    line[:, 31:33, 31:33] = 1
    seen, bare = (project(line, mu, fine).sum(dtype=float) for mu in (volume.attenuation, None))
    assert seen / bare == pytest.approx(np.exp(-WATER * 80), rel=0.01)


def test_scatter_and_total_are_those_asked_for(cylinder):
    _, scanner, seen = cylinder
    assert (seen.counts - seen.background).sum(dtype=float) == pytest.approx(4e6, rel=1e-4)
    assert seen.background.sum(dtype=float) == pytest.approx(4e6 * scanner.camera.scatter_fraction, rel=1e-4)


@pytest.mark.parametrize("method", ["osem", "fbp"])
def test_an_even_cylinder_is_reconstructed_evenly_and_in_counts(cylinder, method):
    volume, scanner, seen = cylinder
    how = Settings(method, iterations=8, subsets=8, filter_fwhm_mm=9.0)
    image = reconstruct(seen, coarser(volume.attenuation), scanner, how)[3:5].mean(axis=0)
    at = (np.arange(32) - 15.5) * 6.0
    radius = np.hypot(at[:, None], at)
    # Every voxel gives the same, and what reaches the detector is known.
    survived = project(volume.activity, volume.attenuation, scanner.finer()).sum(dtype=float)
    truth = 4e6 / survived * 8  # eight fine voxels
    inside = image[radius < 50]
    assert inside.mean() == pytest.approx(truth, rel=0.03 if method == "osem" else 0.12)
    if method == "osem":
        assert inside.std() < 0.02 * truth
        assert image[radius < 20].mean() == pytest.approx(image[(radius > 35) & (radius < 55)].mean(), rel=0.02)


def test_without_correction_the_middle_of_a_cylinder_is_too_cold(cylinder):
    volume, scanner, seen = cylinder
    how = Settings("fbp", correct_attenuation=False)
    image = reconstruct(seen, coarser(volume.attenuation), scanner, how)[4]
    assert image[14:18, 14:18].mean() < 0.75 * image[14:18, 5:7].mean()


def test_noise_is_unbiased_and_correlated(cylinder):
    volume, scanner, seen = cylinder
    rng = np.random.default_rng(3)
    how = Settings(iterations=2, subsets=4)
    mu = coarser(volume.attenuation)
    ideal = reconstruct(seen, mu, scanner, how)
    noisy = [reconstruct(Projections(count(seen.counts, rng), seen.background), mu, scanner, how) for _ in range(8)]
    middle = np.s_[2:6, 10:22, 10:22]
    assert np.mean([image[middle] for image in noisy]) == pytest.approx(ideal[middle].mean(), rel=0.01)
    noise = np.stack([image - ideal for image in noisy])[:, 2:6, 10:22, 10:22]
    assert np.mean(noise[..., 1:] * noise[..., :-1]) > 0.4 * np.mean(noise**2)


def test_what_does_not_fit_is_refused(cylinder):
    volume, scanner, seen = cylinder
    mu = coarser(volume.attenuation)
    with pytest.raises(ValueError, match="no reconstruction 'mlem', give osem or fbp"):
        reconstruct(seen, mu, scanner, Settings("mlem"))
    with pytest.raises(ValueError, match="7 subsets do not divide 32 angles"):
        reconstruct(seen, mu, scanner, Settings(subsets=7))
    with pytest.raises(ValueError, match="30 angles, give a multiple of four"):
        replace(scanner.orbit, angles=30)
    with pytest.raises(ValueError, match="needs \\(8, 32, 32\\)"):
        project(volume.activity, None, scanner)
