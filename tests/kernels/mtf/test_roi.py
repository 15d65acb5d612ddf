"""Regions are found in simulated phantoms, and in scans of real ones."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from photopeak.kernels import disk_mtf, find_rois, line_mtf, point_mtf
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.mtf.components import box_mean, components
from photopeak.kernels.mtf.regions import measure_regions


def grid(size):
    return np.mgrid[:size, :size].astype(float)


def edge(distance, sigma=1.2):
    return 0.5 * (1 + erf(distance / sigma / np.sqrt(2)))


def centre_of(roi):
    return tuple(0.5 * (low + high - 1) for low, high in roi)


def test_disks_of_a_phantom_are_found_with_their_surroundings():
    y, x = grid(200)
    image = 100 * edge(90 - np.hypot(y - 99, x - 101))
    places = [(60, 70, 12, 80), (60, 130, 9, -60), (140, 70, 15, 120), (140, 135, 6, 200)]
    for row, column, radius, contrast in places:
        image += contrast * edge(radius - np.hypot(y - row, x - column))
    image = np.random.default_rng(0).poisson(image)
    rois = find_rois(image, "disk")
    found = {
        (round(mtf.details["centre"][0]), round(mtf.details["centre"][1])): mtf for mtf in disk_mtf(image, rois=rois)
    }
    for row, column, radius, contrast in places:
        mtf = found[row, column]
        assert mtf.details["radius"] == pytest.approx(radius, abs=0.3)
        assert np.sign(mtf.details["contrast"]) == np.sign(contrast)
    assert len(rois) <= 5
    assert len(find_rois(image, "disk", most=2)) == 2


def test_line_sources_are_found_without_their_ends():
    y, x = grid(256)
    image = np.zeros((256, 256))
    for column, first, last in ((80, 30, 220), (150, 60, 200)):
        image += edge(y - first, 2.5) * edge(last - y, 2.5) * np.exp(-((x - column - 0.04 * (y - 128)) ** 2) / 8)
    image += edge(x - 60, 2.5) * edge(200 - x, 2.5) * np.exp(-((y - 238 + 0.02 * x) ** 2) / 8)
    image = np.random.default_rng(1).poisson(1 + 100 * image)
    rois = find_rois(image, "line")
    curves = line_mtf(image, rois=rois)
    assert {mtf.details["along"] for mtf in curves} == {"rows", "columns"}
    assert len(rois) >= 4
    for mtf in curves:
        assert mtf.details["fwhm_px"] == pytest.approx(2 * 2.3548, rel=0.05)
        assert not {warning.code for warning in mtf.warnings} & {"uneven", "bent", "several-sources"}
    assert sum(high - low for (low, high), _ in rois if (low, high)[1] < 225) > 200


def test_point_sources_are_found_apart_from_larger_things():
    y, x = grid(128)
    places = [(30, 34), (33, 90), (95, 60)]
    image = 2.0 + sum(200 * np.exp(-((y - r) ** 2 + (x - c) ** 2) / (2 * 2.0**2)) for r, c in places)
    image += 60 * edge(14 - np.hypot(y - 95, x - 105))
    image = np.random.default_rng(2).poisson(image)
    rois = find_rois(image, "point")
    assert sorted(tuple(np.rint(mtf.details["position"]).astype(int)) for mtf in point_mtf(image, rois=rois)) == places


def test_slanted_edges_are_found_and_others_are_not():
    y, x = grid(200)
    tilted = np.radians(8)
    u = (x - 100) * np.cos(tilted) + (y - 100) * np.sin(tilted)
    v = (y - 100) * np.cos(tilted) - (x - 100) * np.sin(tilted)
    square = 300 * edge(60 - np.abs(u)) * edge(60 - np.abs(v))
    noise = np.random.default_rng(3).normal(0, 5, (200, 200))
    rois = find_rois(square + noise, "edge")
    assert len(rois) == 4
    for normal in ((np.sin(tilted), np.cos(tilted)), (np.cos(tilted), -np.sin(tilted))):
        places = [normal @ (np.array(centre_of(roi)) - 100) for roi in rois]
        assert sum(abs(place - 60) < 3 for place in places) == 1
        assert sum(abs(place + 60) < 3 for place in places) == 1
    straight = 300 * edge(60 - np.abs(x - 100)) * edge(60 - np.abs(y - 100))
    assert find_rois(straight + noise, "edge") == ()
    round_ = 300 * edge(40 - np.hypot(y - 100, x - 100))
    assert find_rois(round_ + noise, "edge") == ()


def test_round_means_round_in_millimetres():
    spacing = (2.0, 4.0)
    y, x = grid(160)
    y, x = y[:, :80] * spacing[0], x[:, :80] * spacing[1]
    image = 300 * edge(40 - np.hypot(y - 160, x - 156), 4.0)
    for mm in (None, spacing):
        rois = find_rois(image, "disk", pixel_spacing_mm=mm)
        assert len(rois) == (mm is not None)
    (mtf,) = disk_mtf(image, rois=rois, pixel_spacing_mm=spacing)
    assert mtf.details["radius_mm"] == pytest.approx(40, abs=0.5)
    assert mtf.details["centre"] == pytest.approx((80, 39), abs=0.1)
    ((rows, columns),) = rois
    assert rows[1] - rows[0] == pytest.approx(2 * (columns[1] - columns[0]), abs=3)
    places = [(60, 80), (60, 240), (240, 160)]
    image = 2.0 + sum(200 * np.exp(-((y - r) ** 2 + (x - c) ** 2) / (2 * 8.0**2)) for r, c in places)
    rois = find_rois(image, "point", pixel_spacing_mm=spacing)
    found = sorted(mtf.details["position"] for mtf in point_mtf(image, rois=rois, pixel_spacing_mm=spacing))
    np.testing.assert_allclose(found, [(r / 2, c / 4) for r, c in places], atol=0.01)


@pytest.mark.parametrize("method", ["edge", "disk", "line", "point"])
def test_nothing_is_found_in_nothing(method):
    assert find_rois(np.zeros((64, 64)), method) == ()
    assert find_rois(np.full((64, 64), 7, np.uint16), method) == ()


@pytest.mark.parametrize("method", ["disk", "line", "point"])
def test_nothing_is_found_in_a_flood(method):
    assert find_rois(np.random.default_rng(4).poisson(50, (96, 96)), method) == ()


def test_bad_input_is_refused_by_name():
    with pytest.raises(UsageError, match="no method 'star'"):
        find_rois(np.zeros((64, 64)), "star")
    with pytest.raises(UsageError, match="most is 0"):
        find_rois(np.zeros((64, 64)), "disk", most=0)
    with pytest.raises(UsageError, match=r"most is 1\.5"):
        find_rois(np.zeros((64, 64)), "disk", most=1.5)
    with pytest.raises(UsageError, match="pixel spacing"):
        find_rois(np.zeros((64, 64)), "disk", pixel_spacing_mm=0)
    with pytest.raises(InputError, match="scale them"):
        find_rois(np.eye(64) * 1e200, "edge")
    with pytest.raises(InputError, match="no image"):
        find_rois(np.zeros((2, 64, 64)), "disk")
    with pytest.raises(InputError, match="too small"):
        find_rois(np.zeros((10, 64)), "disk")
    with pytest.raises(InputError, match="not finite"):
        find_rois(np.full((64, 64), np.nan), "disk")


def test_kernels_get_rows_one_after_another_whatever_the_layout_of_the_frame():
    """Anything else would be compiled anew for each kernel, in the middle of a measurement."""
    regions = []

    def noted(region):
        regions.append(region.pixels)

    image = np.arange(600.0).reshape(20, 30)
    for frame in (image, image.T, np.asfortranarray(image), image[::-1, ::2]):
        measure_regions(frame, noted, pixel_spacing_mm=None, rois=None, threads=1, smallest=2)
        np.testing.assert_array_equal(regions[-1], frame)
    assert all(pixels.flags.c_contiguous and pixels.flags.writeable for pixels in regions)


def test_components_are_those_of_scipy():
    from scipy.ndimage import find_objects, label

    mask = gaussian_filter(np.random.default_rng(5).normal(size=(60, 70)), 2) > 0.02
    labels, count = label(mask)
    parts = components(mask)
    assert len(parts) == count
    assert sorted(part.area for part in parts) == sorted(np.bincount(labels.ravel())[1:])
    boxes = {tuple((side.start, side.stop) for side in box) for box in find_objects(labels)}
    assert {part.box for part in parts} == boxes
    assert len(components(mask, 50)) == (np.bincount(labels.ravel())[1:] >= 50).sum()


def test_moments_of_a_component_tell_disks_from_rectangles():
    y, x = grid(80)
    (round_,) = components(np.hypot(y - 40, x - 38) < 20)
    assert (round_.row, round_.column) == (40, 38)
    assert round_.filling == pytest.approx(1, abs=0.01)
    (long,) = components((np.abs(y - 40) < 3) & (np.abs(x - 40) < 30))
    assert long.axes == pytest.approx((59 / np.sqrt(12), 5 / np.sqrt(12)))


def test_box_mean_is_that_of_scipy():
    from scipy.ndimage import uniform_filter

    image = np.random.default_rng(6).normal(size=(20, 30))
    np.testing.assert_allclose(box_mean(image, 2), uniform_filter(image, 5, mode="nearest"), atol=1e-12)


@pytest.mark.parametrize(
    ("file", "frame", "method", "count"),
    [
        ("nmqc/FourBar.dcm", 0, "line", 4),
        ("nmqc/Spatial_Resol_X.dcm", 0, "line", 5),
        ("nmqc/Jaszack.dcm", 22, "disk", 1),
        ("linaqa/nm/sens_PetriDish.dcm", 0, "disk", 1),
        ("linaqa/nm/TomoResolution.dcm", 32, "point", 1),
        ("linaqa/ct_quart_halcyon/004.dcm", 0, "disk", 5),
        ("pynemaiqpet/recon_1/045.dcm", 0, "disk", 4),
        ("pynemaiqpet/recon_2/045.dcm", 0, "disk", 4),
        ("linaqa/planar/Leeds1.dcm", 0, "edge", 4),
        ("nmqc/UNIFORMIDAD_1.dcm", 0, "edge", 4),
        ("linaqa/nm/sens_Background.dcm", 0, "disk", 0),
        ("linaqa/nm/MCR.dcm", 0, "point", 0),
    ],
)
def test_regions_of_real_phantoms(shared_data, file, frame, method, count):
    import photopeak

    assert len(find_rois(photopeak.read(shared_data / file).pixels[frame], method)) == count
