"""Contrast recovery, variability and contrast-to-noise ratio: closed forms, the exact area of circles, a real phantom."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import photopeak
from photopeak.kernels import background_variability, cnr, contrast_recovery
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.noise.contrast import SPHERE_DIAMETERS_MM, Disc, background_slices
from photopeak.kernels.noise.discs import coverage, region_of

centers = st.floats(12, 18)


def fine_coverage(disc, shape, spacing, parts=24):
    """Return which part of each pixel a disc covers, by counting points."""
    points = [
        ((np.arange(size * parts) + 0.5) / parts - 0.5) * step - center
        for size, step, center in zip(shape, spacing, disc.center_mm, strict=True)
    ]
    inside = np.hypot(points[0][:, np.newaxis], points[1]) <= disc.diameter_mm / 2
    return inside.reshape(shape[0], parts, shape[1], parts).mean(axis=(1, 3))


def sphere_slice(discs, values, shape=(128, 128), spacing=2.0):
    """Return a background of 1 with discs of other values, each pixel the mean over its area."""
    image = np.ones(shape)
    for disc, value in zip(discs, values, strict=True):
        region = region_of(disc, shape, spacing)
        image[region.rows, region.columns] += (value - 1) * region.weights
    return image


@settings(max_examples=40, deadline=None)
@given(centers, centers, st.floats(0.3, 11), st.floats(0.8, 3), st.floats(0.8, 3))
def test_coverage_is_exact(row, column, radius, down, along):
    disc = Disc((row, column), 2 * radius)
    shape = (40, 40)
    edges = [(np.arange(size + 1) - 0.5) * step for size, step in zip(shape, (down, along), strict=True)]
    part = coverage(disc, edges)
    assert part.sum() * down * along == pytest.approx(np.pi * radius**2, rel=1e-9)
    np.testing.assert_allclose(part, fine_coverage(disc, shape, (down, along)), atol=0.04)
    region = region_of(disc, shape, (down, along))
    np.testing.assert_allclose(region.weights, part[region.rows, region.columns], atol=1e-12)
    assert part.sum() == pytest.approx(region.weights.sum(), rel=1e-12)


def test_region_mean_of_a_plane_is_its_value_at_the_centre():
    disc = Disc((31.3, 40.9), 17.0)
    plane = np.add.outer(3 * np.arange(40) * 2.0, 5 * np.arange(40) * 2.0)
    assert region_of(disc, plane.shape, 2.0).mean(plane) == pytest.approx(3 * 31.3 + 5 * 40.9, rel=2e-3)


@pytest.mark.parametrize("ratio", [4.0, 8.0, 0.0])
def test_recovery_of_ideal_spheres_follows_from_partial_pixels_alone(ratio):
    discs = [Disc((128 + 57 * np.sin(a), 128 + 57 * np.cos(a)), d) for a, d in enumerate(SPHERE_DIAMETERS_MM)]
    image = sphere_slice(discs, [ratio] * 6)
    for disc in discs:
        away = [Disc((25, 25), disc.diameter_mm), Disc((230, 25), disc.diameter_mm)]
        weights = region_of(disc, image.shape, 2.0).weights
        found = contrast_recovery(image, sphere=disc, background=away, activity_ratio=ratio, pixel_spacing_mm=2.0)
        assert found == pytest.approx(100 * (weights**2).sum() / weights.sum(), rel=1e-12)
        inside = Disc(disc.center_mm, disc.diameter_mm / 3)
        whole = contrast_recovery(image, sphere=inside, background=away, activity_ratio=ratio, pixel_spacing_mm=2.0)
        assert whole == pytest.approx(100, rel=1e-12)


def test_sixty_regions_give_the_deviation_of_their_means():
    offsets = np.random.default_rng(1).normal(0, 3, (5, 12))
    frames = np.full((5, 60, 80), 100.0)
    discs = [Disc((2.0 * (10 + 20 * (k // 4)), 2.0 * (10 + 20 * (k % 4))), 30.0) for k in range(12)]
    for frame, row in zip(frames, offsets, strict=True):
        for k, offset in enumerate(row):
            frame[20 * (k // 4) : 20 * (k // 4) + 20, 20 * (k % 4) : 20 * (k % 4) + 20] += offset
    means = 100 + offsets
    for threads in (1, 2):
        found = background_variability(frames, background=discs, pixel_spacing_mm=2.0, threads=threads)
        assert found == pytest.approx(100 * means.std(ddof=1) / means.mean(), rel=1e-9)
    masks = [region_of(disc, (60, 80), 2.0) for disc in discs]
    weights = [np.zeros((60, 80)) for _ in discs]
    for plane, region in zip(weights, masks, strict=True):
        plane[region.rows, region.columns] = region.weights
    assert background_variability(frames, background=weights) == pytest.approx(found, rel=1e-12)


def test_ratio_of_contrast_to_noise_joins_the_other_two():
    image = np.random.default_rng(2).normal(50, 5, (3, 64, 64))
    sphere = Disc((60.0, 60.0), 20.0)
    around = [Disc((20.0, c), 20.0) for c in (20.0, 50.0, 80.0, 110.0)]
    image[:, 25:36, 25:36] += 100
    places = {"background": around, "pixel_spacing_mm": 2.0}
    recovered = contrast_recovery(image, sphere=sphere, activity_ratio=2, **places)
    variability = background_variability(image, **places)
    assert cnr(image, sphere=sphere, **places) == pytest.approx(recovered / variability, rel=1e-12)
    pixels = cnr(image, sphere=sphere, noise="pixels", **places)
    assert pixels == pytest.approx(100 / 5, rel=0.1)
    assert cnr(100 - image, sphere=sphere, noise="pixels", **places) == pytest.approx(-pixels, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100))
def test_the_unit_of_the_image_does_not_matter(scale):
    image = np.random.default_rng(3).poisson(50, (64, 64)).astype(float)
    places = {"background": [Disc((20.0, 20.0), 15.0), Disc((100.0, 20.0), 15.0)], "pixel_spacing_mm": 2.0}
    sphere = Disc((60.0, 60.0), 15.0)
    for measure in (
        lambda frame: contrast_recovery(frame, sphere=sphere, activity_ratio=4, **places),
        lambda frame: background_variability(frame, **places),
        lambda frame: cnr(frame, sphere=sphere, **places),
    ):
        assert measure(image * scale) == pytest.approx(measure(image), rel=1e-9)


def test_background_without_noise_has_no_finite_ratio():
    image = np.ones((20, 20))
    hot = np.zeros((20, 20), bool)
    hot[5:9, 5:9] = True
    corner = np.zeros((20, 20), bool)
    corner[15:, 15:] = True
    assert np.isnan(cnr(image, sphere=hot, background=[corner, corner]))
    image[hot] = 3
    assert cnr(image, sphere=hot, background=[corner, corner]) == np.inf
    assert cnr(-image, sphere=hot, background=[corner], noise="pixels") == -np.inf


def test_what_cannot_be_measured_is_refused():
    image = np.ones((32, 32))
    disc, far, mask = Disc((30.0, 30.0), 10.0), Disc((2.0, 30.0), 10.0), np.ones((32, 32), bool)
    kept = {"sphere": disc, "background": [disc], "pixel_spacing_mm": 2.0}
    for changes, error, words in (
        ({"activity_ratio": 1}, UsageError, "activity_ratio is 1"),
        ({"activity_ratio": -2}, UsageError, "activity_ratio is -2"),
        ({"pixel_spacing_mm": None}, UsageError, "millimetres"),
        ({"pixel_spacing_mm": 0}, UsageError, "pixel spacing is 0"),
        ({"pixel_spacing_mm": (1, 2, 3)}, UsageError, "one or two positive numbers"),
        ({"background": disc}, UsageError, "in a list"),
        ({"background": []}, UsageError, "at least one"),
        ({"sphere": far}, InputError, "beyond"),
        ({"sphere": mask[1:]}, InputError, "does not fit"),
        ({"sphere": ~mask}, InputError, "no pixel"),
        ({"sphere": mask * 1j}, InputError, "of type complex128"),
        ({"sphere_frame": 1}, UsageError, "sphere_frame is 1"),
    ):
        with pytest.raises(error, match=words):
            contrast_recovery(image, **(kept | {"activity_ratio": 4} | changes))
    with pytest.raises(InputError, match="mean of 0"):
        contrast_recovery(image * 0, activity_ratio=4, **kept)
    with pytest.raises(InputError, match="not finite"):
        contrast_recovery(image * np.nan, activity_ratio=4, **kept)
    with pytest.raises(UsageError, match="does not vary"):
        background_variability(image, background=[disc], pixel_spacing_mm=2.0)
    with pytest.raises(UsageError, match="no noise 'all'"):
        cnr(image, noise="all", **kept)
    with pytest.raises(UsageError, match="no region"):
        Disc((1.0, 1.0), 0.0)
    with pytest.raises(UsageError, match="row and column"):
        Disc((1.0, 1.0, 1.0), 4.0)


def test_slices_beside_the_spheres_must_exist():
    assert background_slices([5, 0, -5, -10, 10, 15, 20, -15, -20], 0) == (8, 3, 1, 4, 6)
    with pytest.raises(InputError, match="20 mm on either side"):
        background_slices(np.arange(0, 30, 2), 10)
    for positions in ([], [0, np.nan], [[0, 1]]):
        with pytest.raises(InputError, match="one per slice"):
            background_slices(positions, 0)


def background_places(slice_, spacing, diameter):
    """Return twelve places where a slice is even, as far as can be from its edge and from whatever it contains."""
    smooth = ndimage.gaussian_filter(slice_, 2)
    background = np.median(smooth[smooth > smooth.max() * 0.05])
    even = ndimage.binary_fill_holes(smooth > background * 0.7) & (abs(smooth / background - 1) < 0.3)
    room = ndimage.distance_transform_edt(even) * spacing
    found = []
    while len(found) < 12:
        row, column = np.unravel_index(room.argmax(), room.shape)
        assert room[row, column] > diameter / 2
        found.append((row * spacing, column * spacing))
        rows, columns = np.indices(room.shape)
        room[np.hypot(rows - row, columns - column) * spacing < diameter * 0.6] = 0
    return found


@pytest.fixture(scope="module")
def phantom(shared_data: Path):
    """Return two reconstructions of an image quality phantom, with the places of its spheres and background."""
    folder = shared_data / "pynemaiqpet"
    if not folder.is_dir():
        pytest.skip("the image quality phantom is not among the shared data")
    found = [photopeak.read(folder / name) for name in ("recon_1", "recon_2")]
    assert found[0].pixel_spacing_mm
    spacing = found[0].pixel_spacing_mm[0]
    positions = [info.position_mm[2] for info in found[0].info if info.position_mm]
    middle = found[0].pixels[27].astype(float)
    hot, count = ndimage.label(ndimage.gaussian_filter(middle, 1) > 4000)
    assert count == 6
    sizes = ndimage.sum_labels(hot > 0, hot, range(1, 7))
    spheres = [
        Disc(tuple(spacing * at for at in ndimage.center_of_mass(middle, hot, 1 + label)), diameter)
        for label, diameter in zip(np.argsort(sizes), SPHERE_DIAMETERS_MM, strict=True)
    ]
    slices = background_slices(positions, positions[27])
    return [frames.pixels[list(slices)] for frames in found], spacing, spheres


def test_real_phantom_recovers_more_of_larger_spheres(phantom):
    stacks, spacing, spheres = phantom
    places = background_places(stacks[0].mean(axis=0), spacing, 37.0)
    table = np.array(
        [
            [
                (
                    contrast_recovery(
                        stack, sphere=sphere, background=around, activity_ratio=10, pixel_spacing_mm=spacing
                    ),
                    background_variability(stack, background=around, pixel_spacing_mm=spacing),
                    cnr(stack, sphere=sphere, background=around, pixel_spacing_mm=spacing),
                )
                for sphere in spheres
                for around in [[Disc(place, sphere.diameter_mm) for place in places]]
            ]
            for stack in stacks
        ]
    )
    recovery, variability, ratio = np.moveaxis(table, 2, 0)
    assert (np.diff(recovery[0]) > 0).all()
    assert (np.diff(recovery[1, 1:]) > 0).all()  # the smallest sphere overshoots
    assert ((recovery > 55) & (recovery < 95)).all()
    assert (np.diff(variability) < 0).all()
    assert ((variability > 2) & (variability < 10)).all()
    np.testing.assert_allclose(ratio, 9 * recovery / variability, rtol=1e-9)
