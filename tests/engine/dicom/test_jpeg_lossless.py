"""Lossless JPEG against an encoder written from the standard, and against GDCM."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from jpeg_streams import encode, segment
from photopeak.engine.dicom._decoders import decode_jpeg_lossless


def decode(data, shape):
    out = np.empty(shape, np.uint16)
    return decode_jpeg_lossless(data, out), out


@st.composite
def images(draw):
    precision = draw(st.integers(2, 16))
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    return precision, draw(arrays(np.uint16, shape, elements=st.integers(0, 2**precision - 1)))


@settings(deadline=None)
@given(images(), st.integers(1, 7), st.integers(0, 3))
def test_any_image_comes_back_with_any_predictor_and_restart_interval(image, predictor, interval_rows):
    precision, samples = image
    problem, decoded = decode(encode(samples, precision, predictor, interval_rows), samples.shape)
    assert problem == ""
    np.testing.assert_array_equal(decoded, samples)


def test_point_transform_shifts_samples_back():
    samples = np.arange(64, dtype=np.uint16).reshape(8, 8) * 4
    problem, decoded = decode(encode(samples, 8, point_transform=2), (8, 8))
    assert problem == ""
    np.testing.assert_array_equal(decoded, samples)


@pytest.mark.parametrize("predictor", range(1, 8))
def test_agrees_with_gdcm(predictor):
    samples = np.random.default_rng(predictor).poisson(300, (32, 48)).astype(np.uint16)
    data = encode(samples, 12, predictor)
    options = {
        "rows": 32,
        "columns": 48,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": 16,
        "bits_stored": 12,
        "pixel_representation": 0,
        "pixel_keyword": "PixelData",
    }
    peer = get_decoder(uid.JPEGLossless)
    expected, _ = peer.as_array(encapsulate([data]), raw=True, decoding_plugin="gdcm", **options)
    np.testing.assert_array_equal(decode(data, (32, 48))[1], expected)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damaged_streams_are_refused_or_decoded_but_never_crash(data):
    stream = bytearray(encode(np.arange(56, dtype=np.uint16).reshape(7, 8), 8, 4, interval_rows=2))
    for _ in range(data.draw(st.integers(1, 6))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    guarded = np.full((9, 8), 0xABCD, np.uint16)
    decode_jpeg_lossless(bytes(stream[: data.draw(st.integers(0, len(stream)))]), guarded[1:8])
    assert (guarded[[0, 8]] == 0xABCD).all()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda s: s[: len(s) // 2], "cut off"),
        (lambda s: b"", "no JPEG"),
        (lambda s: s.replace(b"\xff\xc3", b"\xff\xc0"), "no lossless"),
        (lambda s: s.replace(b"\xff\xc4", b"\xff\xe4"), "scan header"),
        (lambda s: s.replace(b"\xff\xd0", b"\xff\xe0"), "restart marker"),
    ],
)
def test_reason_is_given(damage, reason):
    stream = encode(np.zeros((8, 8), np.uint16) + 77, 8, interval_rows=4)
    assert reason in decode(damage(stream), (8, 8))[0]


def test_endless_tables_are_refused():
    table = segment(0xC4, bytes(17 * 3000))
    start = time.process_time()
    reason, _ = decode(b"\xff\xd8" + table * 40 + encode(np.zeros((4, 4), np.uint16), 8)[2:], (4, 4))
    assert "tables" in reason
    assert time.process_time() - start < 0.1


def test_size_must_be_that_of_the_image():
    assert "size" in decode(encode(np.zeros((4, 4), np.uint16), 8), (4, 5))[0]


def test_wrong_arrays_are_refused():
    with pytest.raises(TypeError):
        decode_jpeg_lossless(b"", np.zeros((4, 4), np.int32))
    with pytest.raises(ValueError, match="two dimensions"):
        decode_jpeg_lossless(b"", np.zeros(4, np.uint16))
