import numpy as np
import pytest
from PIL import Image as Picture

from photopeak.engine.dicom.guard import Limits
from photopeak.engine.errors import InputError
from photopeak.engine.quality.pictures import is_picture, read_picture

GREY = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)


def saved(path, array, **options):
    Picture.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (".png", np.uint8),
        (".png", np.uint16),
        (".tif", np.uint8),
        (".tif", np.uint16),
        (".tif", np.float32),
        (".bmp", np.uint8),
    ],
)
def test_grey_pictures_keep_values_and_type(tmp_path, suffix, dtype):
    array = GREY.astype(dtype) * (1 if dtype == np.uint8 else 3)
    grey, rgb = read_picture(saved(tmp_path / f"a{suffix}", array))
    np.testing.assert_array_equal(grey[0], array)
    assert grey.dtype == dtype
    assert rgb is None


def test_colours_become_grey_with_the_weights_of_matlab(tmp_path):
    grey, rgb = read_picture(saved(tmp_path / "a.png", RGB))
    expected = RGB @ [0.298936021293775, 0.587043074451121, 0.114020904255103]
    assert np.abs(grey[0] - expected).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(rgb[0], RGB)


def test_grey_stored_as_colour_is_grey(tmp_path):
    grey, rgb = read_picture(saved(tmp_path / "a.png", np.repeat(GREY[..., None], 3, axis=2)))
    np.testing.assert_array_equal(grey[0], GREY)
    assert rgb is None


def test_pages_form_a_stack(tmp_path):
    pages = [Picture.fromarray(GREY + np.uint8(i)) for i in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    grey, _ = read_picture(tmp_path / "a.tif")
    assert grey.shape == (3, 24, 32)
    np.testing.assert_array_equal(grey[2], GREY + np.uint8(2))


def test_pages_of_different_size_are_refused(tmp_path):
    Picture.fromarray(GREY).save(tmp_path / "a.tif", save_all=True, append_images=[Picture.fromarray(GREY[:5])])
    with pytest.raises(InputError, match=r"a\.tif.*differ"):
        read_picture(tmp_path / "a.tif")


def test_transparency_is_refused_unless_all_is_opaque(tmp_path):
    rgba = np.dstack([RGB, np.full(GREY.shape, 255, np.uint8)])
    assert read_picture(saved(tmp_path / "a.png", rgba))[1] is not None
    rgba[0, 0, 3] = 9
    with pytest.raises(InputError, match="transparent"):
        read_picture(saved(tmp_path / "b.png", rgba))


def test_deep_colours_are_refused_rather_than_shortened(tmp_path):
    # A PNG of one pixel with 16 bits for each colour, which Pillow reads but cannot write.
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + struct.pack(">HHH", 1000, 2000, 3000))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(InputError, match="16 bits"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"x" * 50])
def test_damaged_pictures_are_one_sentence(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png"):
        read_picture(tmp_path / "a.png")


def test_cut_picture_is_refused(tmp_path):
    path = saved(tmp_path / "a.png", GREY)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"a\.png"):
        read_picture(path)


def test_size_is_checked_before_memory_is_taken(tmp_path):
    path = saved(tmp_path / "a.png", np.zeros((500, 500), np.uint8))
    with pytest.raises(InputError, match="limit"):
        read_picture(path, Limits(pixel_bytes=1000))


@pytest.mark.parametrize(("name", "expected"), [("a.PNG", True), ("a.jpeg", True), ("a.dcm", False), ("png", False)])
def test_pictures_are_known_by_their_name(tmp_path, name, expected):
    assert is_picture(tmp_path / name) is expected
