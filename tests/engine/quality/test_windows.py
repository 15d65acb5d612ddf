import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.engine.errors import UsageError
from photopeak.engine.frames import Frames
from photopeak.engine.quality.images import Image, image_of, read_image
from photopeak.engine.quality.windows import FrameWindow, grey_frame, parse_window, window_for
from photopeak.engine.reading import read


def of_array(array, **attributes):
    frames = Frames.from_array(array, **attributes)
    return Image(frames, array.reshape(frames.pixels.shape))


@pytest.mark.parametrize("text", ["", "counts ", "5", "5:", ":5", "5:5", "9:3", "a:b", "0:inf", "nan:1", "1:2:3"])
def test_other_words_are_no_window(text):
    with pytest.raises(UsageError, match="is no window"):
        parse_window(text)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_two_numbers_are_a_window(low, width):
    assert parse_window(f"{low!r}:{low + width!r}") == (low, low + width)


def test_bytes_are_grey_values_and_counts_are_not():
    assert window_for(of_array(np.zeros((8, 8), np.uint8)), 0) == FrameWindow("identity", 0.0, 255.0)
    counts = np.random.default_rng(0).poisson(40, (64, 64))
    window = window_for(of_array(counts.astype(np.uint16)), 0)
    assert window.name == "counts"
    assert window.low == 0
    assert (counts <= window.high).mean() >= 0.999


def test_each_frame_has_its_own_window():
    stack = np.stack([np.full((16, 16), 10.0), np.full((16, 16), 30.0)])
    assert [window_for(of_array(stack), i).high for i in (0, 1)] == [10, 30]


def test_x_rays_are_seen_through_the_window_of_their_header(dicom_factory):
    (path,) = dicom_factory("cr")
    window = window_for(image_of(read(path)), 0)
    # Center 2048, width 4096: PS3.3 C.11.2.1.2.1.
    assert window == FrameWindow("display", 0.0, 4095.0)


def test_x_rays_without_a_window_are_seen_from_least_to_greatest(dicom_factory):
    (path,) = dicom_factory("cr", tags={"WindowCenter": None, "WindowWidth": None})
    frames = read(path)
    window = window_for(image_of(frames), 0)
    assert window == FrameWindow("range", float(frames.pixels.min()), float(frames.pixels.max()))


def test_eight_bits_without_a_window_are_grey_values(dicom_factory):
    tags = {"WindowCenter": None, "WindowWidth": None, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    (path,) = dicom_factory("cr", tags=tags | {"PixelData": bytes(range(64)) * 64})
    assert window_for(image_of(read(path)), 0) == FrameWindow("identity", 0.0, 255.0)


def test_first_of_several_windows_is_taken(dicom_factory):
    (path,) = dicom_factory("cr", tags={"WindowCenter": [100, 2048], "WindowWidth": [200, 4096]})
    assert window_for(image_of(read(path)), 0) == FrameWindow("display", 0.0, 199.0)


def test_full_range_is_that_of_the_stored_bits(dicom_factory):
    (path,) = dicom_factory("cr")
    assert window_for(image_of(read(path)), 0, "full-range") == FrameWindow("full-range", 0.0, 4095.0)
    (path,) = dicom_factory("static")
    assert window_for(image_of(read(path)), 0, "full-range") == FrameWindow("full-range", 0.0, 65535.0)


def test_full_range_of_floats_makes_no_sense():
    with pytest.raises(UsageError, match="full-range"):
        window_for(of_array(np.ones((8, 8))), 0, "full-range")


def test_frame_that_is_not_finite_stays_so(tmp_path):
    np.save(tmp_path / "a.npy", np.full((8, 8), np.nan))
    image = read_image(tmp_path / "a.npy")
    window = window_for(image, 0)
    grey, clipped = grey_frame(image, 0, window)
    assert window.name == "none"
    assert np.isnan(grey).all()
    assert np.isnan(clipped)


def test_divided_counts_through_a_divided_window_have_the_same_grey():
    counts = np.random.default_rng(0).poisson(40, (32, 32)).astype(np.float64)
    window = window_for(of_array(counts), 0)
    grey, clipped = grey_frame(of_array(counts), 0, window)
    quarter, quarter_clipped = grey_frame(of_array(counts / 4), 0, window.scaled(0.25))
    np.testing.assert_allclose(quarter, grey)
    assert clipped == quarter_clipped
