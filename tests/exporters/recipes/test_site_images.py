"""Which of the images in a folder suit a denoiser."""

import numpy as np
import pytest

from photopeak.engine.errors import InputError
from photopeak.exporters.recipes.adaptation import Recorrupted, Thinned
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.recipes.site_images import Site, SiteSeries, read_site, views

COUNTS, PET = find("scint-denoise"), find("pet-denoise")


def test_images_of_counts_are_found_and_others_left_out(dicom_factory, tmp_path):
    for name in ("one", "two"):
        dicom_factory("dynamic", frames=3, folder=f"site/{name}", seed=len(name), counts=2e4)
    dicom_factory("ct", folder="site/ct")
    site = read_site(tmp_path / "site", COUNTS)
    assert (site.images, site.files, site.modality) == (6, 2, "NM")
    assert site.left_out == {"of modality CT": 1}
    assert isinstance(views(site.series), Thinned)


def test_filtered_and_scaled_counts_are_left_out(tmp_path, dicom_factory):
    dicom_factory("dynamic", frames=4, folder="site/plain", counts=2e4)
    (path,) = dicom_factory("dynamic", frames=4, folder="site/smooth", counts=2e4, seed=1)
    import pydicom

    ds = pydicom.dcmread(path)
    flat = ds.pixel_array.astype(np.float64)
    mean = (flat + np.roll(flat, 1, axis=1) + np.roll(flat, 1, axis=2) + np.roll(flat, (1, 1), axis=(1, 2))) / 4
    ds.PixelData = np.rint(mean).astype(np.uint16).tobytes()
    ds.save_as(path)
    site = read_site(tmp_path / "site", COUNTS)
    assert site.images == 4
    assert site.left_out == {"without the noise of counts": 4}


def test_slices_come_with_their_noise(dicom_factory, tmp_path):
    dicom_factory("pet", frames=14, matrix=(96, 96), folder="site/pet", counts=2e6)
    site = read_site(tmp_path / "site", PET)
    assert (site.images, site.files, len(site.series)) == (14, 14, 1)
    assert abs(site.series[0].noise.correlation[0, 1]) < 0.2  # the pixels of these objects are independent
    assert isinstance(views(site.series), Recorrupted)
    (one,) = site.series
    m = one.noise.apart
    assert [other is None for other in one.beside] == [k < m or k >= 14 - m for k in range(14)]
    np.testing.assert_allclose(one.beside[7], (one.images[7 - m] + one.images[7 + m]) / 2, rtol=1e-6)
    (held,) = site.split()[1]
    assert len(held.beside) == len(held.images)
    np.testing.assert_array_equal(held.beside[0], one.beside[6])


@pytest.mark.parametrize(
    ("kind", "choices", "recipe", "message"),
    [
        ("ct", {}, PET, "0 images that suit pet-denoise .left out: 1 of modality CT.; give at least 12 PET slices"),
        ("pet", {"frames": 5, "matrix": (96, 96)}, PET, "too few slices or too little activity"),
        ("pet", {"frames": 8, "matrix": (96, 96), "counts": 2e6}, PET, "holds 8 images that suit .*at least 12"),
        ("static", {"frames": 2}, COUNTS, "holds 2 images that suit scint-denoise; give at least 4 planar images"),
        ("static", {"frames": 9, "matrix": (32, 32)}, COUNTS, "1 with a matrix below 64"),
    ],
)
def test_what_does_not_suffice_is_said(dicom_factory, tmp_path, kind, choices, recipe, message):
    dicom_factory(kind, folder="site", **choices)
    with pytest.raises(InputError, match=message):
        read_site(tmp_path / "site", recipe)


def test_an_empty_folder_holds_no_image(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match="holds no image"):
        read_site(tmp_path, COUNTS)


@pytest.mark.parametrize("lengths", [(12,), (4, 9, 30), (1, 1, 1, 1), (5, 5, 5, 5, 5, 5, 5, 5)])
def test_nothing_is_both_learned_and_held_out(lengths):
    number = iter(range(1000))
    series = tuple(SiteSeries(np.array([[[next(number)]] for _ in range(n)], np.float32)) for n in lengths)
    learned, judged = Site(series, "NM", 1, {}).split()
    ids = [[int(v) for one in part for v in one.images.ravel()] for part in (learned, judged)]
    assert sorted(ids[0] + ids[1]) == list(range(sum(lengths)))
    assert ids[0]
    assert ids[1]
    assert len(ids[1]) <= len(ids[0])
    if len(lengths) == 1:
        assert ids[1] == list(range(min(ids[1]), max(ids[1]) + 1))  # neighbours look alike and stay together
