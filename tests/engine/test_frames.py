import numpy as np
import pytest

from photopeak.engine.errors import InputError
from photopeak.engine.frames import FrameInfo, Frames, Units
from photopeak.engine.matrix import MatrixSize


def test_array_becomes_a_stack():
    frames = Frames.from_array(np.arange(12, dtype=np.int16).reshape(3, 4), units=Units.COUNTS)
    assert frames.matrix == MatrixSize(3, 4)
    assert len(frames) == len(frames.info) == 1
    assert frames.pixels.dtype == np.float32
    assert frames.pixels.flags.c_contiguous


def test_new_pixels_keep_everything_else():
    frames = Frames(np.ones((2, 4, 4), np.float32), Units.COUNTS, "NM", (2.0, 2.0), source="a.dcm", notes=("note",))
    doubled = frames.with_pixels(np.ones((2, 8, 8), np.float32), (1.0, 1.0))
    assert (doubled.modality, doubled.units, doubled.source, doubled.notes) == ("NM", Units.COUNTS, "a.dcm", ("note",))
    assert doubled.pixel_spacing_mm == (1.0, 1.0)
    assert frames.with_pixels(frames.pixels).pixel_spacing_mm == (2.0, 2.0)


@pytest.mark.parametrize("pixels", [np.ones((4, 4), np.float32), np.ones((1, 4, 4)), np.ones((0, 4, 4), np.float32)])
def test_wrong_pixels_are_an_input_error(pixels):
    with pytest.raises(InputError, match="float32"):
        Frames(pixels)


def test_descriptions_must_match_the_frames():
    with pytest.raises(InputError, match="1 frame descriptions for 2 frames"):
        Frames(np.ones((2, 4, 4), np.float32), info=(FrameInfo(),))


def test_values_beyond_float32_become_infinite_without_a_warning():
    assert np.isinf(Frames.from_array(np.full((4, 4), 1e200)).pixels).all()


@pytest.mark.parametrize("dtype", [complex, "U3", object, "M8[s]"])
def test_values_that_are_no_numbers_are_an_input_error(dtype):
    with pytest.raises(InputError, match="give real numbers"):
        Frames.from_array(np.zeros((4, 4)).astype(dtype))
