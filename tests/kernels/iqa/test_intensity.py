"""Windows: from pixel values to grey values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.iqa.intensity import check_frames, grey, window_of

KINDS = ["uint8", "uint16", "int16", "float32", "float64", "int32", "uint32", "float16", ">u2", ">f4"]
images = hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(hnp.arrays(np.uint8, (7, 9)))
def test_grey_values_stay_what_they_are(image):
    name, low, high = window_of(image)
    plane, clipped, _ = grey(image, low, high)
    assert name == "identity"
    assert clipped == 0
    np.testing.assert_array_equal(plane, image)


@given(images, st.floats(0, 1000), st.floats(1, 70000))
def test_window_is_linear_and_clipped(image, low, width):
    plane, clipped, _ = grey(image, low, low + width)
    expected = np.clip((image - low) * (255 / ((low + width) - low)), 0, 255)
    np.testing.assert_array_equal(plane, expected)
    assert clipped == np.mean((image < low) | (image > low + width))


@given(images)
def test_counts_window_starts_at_zero_and_leaves_a_thousandth_out(image):
    name, low, high = window_of(image)
    assert (name, low) == ("counts", 0.0)
    if image.any():
        assert high <= image.max()
        assert np.mean(image > high) <= 0.001
    else:
        assert high == 1


@given(images.map(lambda image: image % 1000))
def test_counts_window_is_the_same_for_every_type(image):
    ends = {window_of(image.astype(kind))[2] for kind in ("uint16", "int16", ">u2", "int32", "float32", "float64")}
    assert len(ends) == 1


@given(images, st.integers(0, 300))
def test_constant_frames_are_told(image, low):
    plane, _, constant = grey(image, low, low + 100)
    assert constant == (np.ptp(plane) == 0)


def test_negative_pixels_become_black():
    plane, clipped, _ = grey(np.array([[-5, 0, 10]], np.int16), 0, 10)
    np.testing.assert_array_equal(plane, [[0, 0, 255]])
    assert clipped == pytest.approx(1 / 3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_gives_the_same_grey_values(kind):
    image = np.arange(60).reshape(6, 10)
    plane, _, _ = grey(image.astype(kind), 5, 50)
    np.testing.assert_array_equal(plane, np.clip((image - 5) * (255 / 45), 0, 255))


@pytest.mark.parametrize("change", ["transposed", "strided", "read-only"])
def test_memory_layout_does_not_matter(change):
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    other = {"transposed": image.T, "strided": image[::2, ::2], "read-only": image.copy()}[change]
    other.flags.writeable = change != "read-only"
    plane, _, _ = grey(other, 0, 63)
    np.testing.assert_array_equal(plane, other * (255 / 63))


@pytest.mark.parametrize(("kind", "low", "high"), [("uint16", 0, 65535), ("int16", -32768, 32767), ("uint8", 0, 255)])
def test_full_range_is_that_of_the_type(kind, low, high):
    assert window_of(np.zeros((2, 2), kind), "full-range") == ("full-range", low, high)


def test_full_range_needs_integers():
    with pytest.raises(UsageError, match="needs integers, not float32"):
        window_of(np.zeros((2, 2), np.float32), "full-range")


@pytest.mark.parametrize("window", [(3, 3), (4, 1), (0, np.inf), (np.nan, 1)])
def test_empty_window_is_refused(window):
    with pytest.raises(UsageError, match="is empty"):
        window_of(np.zeros((2, 2)), window)


@pytest.mark.parametrize("window", [None, 5.0, (1,), (1, 2, 3), ("a", "b")], ids=str)
def test_what_is_no_window_is_refused(window):
    with pytest.raises(UsageError, match="is no window; give a name or two numbers"):
        window_of(np.zeros((2, 2)), window)


def test_hidden_pixels_are_not_measured_unasked():
    with pytest.raises(InputError, match="give its data, and mask="):
        check_frames(np.ma.masked_array(np.zeros((3, 3)), np.eye(3)))


def test_unknown_window_is_refused():
    with pytest.raises(UsageError, match="no window 'bone'; use auto"):
        window_of(np.zeros((2, 2)), "bone")


@pytest.mark.parametrize("shape", [(), (5,), (1, 2, 3, 4), (0, 4), (3, 0, 4)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(InputError, match="is no image"):
        check_frames(np.zeros(shape))


@pytest.mark.parametrize("kind", ["complex64", "bool", "U3", "O"])
def test_what_is_no_number_is_refused(kind):
    with pytest.raises(InputError, match="cannot be measured"):
        check_frames(np.zeros((3, 3), kind))
