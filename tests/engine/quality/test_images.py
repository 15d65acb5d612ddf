import numpy as np
import pytest
from PIL import Image as Picture

from photopeak.engine.errors import InputError
from photopeak.engine.quality.images import find, read_image


@pytest.fixture
def folder(tmp_path, dicom_factory):
    """A folder with a series of six slices, an array, a picture, and a file that is no image."""
    dicom_factory("pet", folder="mixed", frames=6)
    folder = tmp_path / "mixed"
    np.save(folder / "counts.npy", np.full((2, 32, 32), 7, np.uint16))
    Picture.fromarray(np.zeros((32, 40), np.uint8)).save(folder / "photo.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_folder_gives_series_arrays_and_pictures(folder):
    found = find([folder])
    assert [source.frames for source in found.sources] == [6, 2, 1]
    assert not found.failures
    images = [source.load() for source in found.sources]
    assert [image.pixels.dtype for image in images] == [np.float32, np.uint16, np.uint8]
    assert [len(image.files) for image in images] == [6, 2, 1]


def test_frames_of_a_series_know_their_files(folder):
    image = find([folder]).sources[0].load()
    assert len(set(image.files)) == 6
    assert {path.parent.name for path in image.files} == {"mixed"}


def test_files_that_fail_do_not_stop_the_others(folder, tmp_path):
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    paths = [folder / "counts.npy", tmp_path / "broken.npy", tmp_path / "gone.png", folder / "notes.txt"]
    found = find(paths)
    assert [source.name for source in found.sources] == [str(folder / "counts.npy")]
    assert {failure.source for failure in found.failures} == {str(path) for path in paths[1:]}
    assert all(failure.source in str(failure.error) for failure in found.failures)


def test_empty_folder_is_a_failure(tmp_path):
    (tmp_path / "empty").mkdir()
    (failure,) = find([tmp_path / "empty"]).failures
    assert "holds no image" in str(failure.error)


def test_one_image_is_read_and_several_are_refused(folder):
    assert len(read_image(folder / "photo.png")) == 1
    with pytest.raises(InputError, match="3 images"):
        read_image(folder)


def test_luma_is_that_of_the_colours(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Picture.fromarray(rgb).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    expected = 16 + rgb @ np.array([65.481, 128.553, 24.966]) / 255
    assert np.abs(image.luma(0) - expected).max() <= 0.5 + 1e-9
    assert np.abs(image.pixels[0].astype(float) - image.luma(0)).max() > 1


def test_luma_of_grey_is_the_image_itself(folder):
    image = read_image(folder / "photo.png")
    assert image.luma(0) is not None
    np.testing.assert_array_equal(image.luma(0), image.pixels[0])
