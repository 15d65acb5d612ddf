"""The survey says what the reader does."""

from pydicom import uid

from photopeak.engine.dicom import pixels
from photopeak.engine.dicom.codecs import TRANSFER_SYNTAXES, survey


def test_every_compressed_syntax_has_one_decoder_and_it_is_named():
    found = {codec.name: codec for codec in survey()}
    assert found["JPEGLosslessSV1"].detail == "photopeak"
    assert found["JPEG2000"].detail == "pylibjpeg"
    assert found["JPEGExtended12Bit"].detail == "pillow (8 bits per sample only)"
    assert all(codec.readable for codec in found.values())
    readable = {*pixels.DECODERS, *pixels.JPEG_LOSSLESS}
    assert {syntax for syntax in TRANSFER_SYNTAXES if syntax.is_encapsulated} <= readable
    assert uid.MPEG2MPML not in readable


def test_missing_decoder_is_reported(monkeypatch):
    monkeypatch.setitem(pixels.DECODERS, uid.JPEGLSLossless, "charls-of-tomorrow")
    codec = next(codec for codec in survey() if codec.name == "JPEGLSLossless")
    assert not codec.readable
