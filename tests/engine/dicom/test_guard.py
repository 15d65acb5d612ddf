"""Sizes are checked before memory is taken."""

import io
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from photopeak.engine.dicom.guard import GuardedStream, Limits, NotAnImage, PixelLayout, check_codestream, inflate
from photopeak.engine.dicom.parse import parse
from photopeak.engine.dicom.pixels import stored_values
from photopeak.engine.errors import InputError
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.reading import read

SMALL = Limits(file_bytes=1 << 20, pixel_bytes=1 << 20)


@pytest.fixture
def edited(dicom_factory):
    """Return ``make(kind, **tags) -> path`` that writes an object without consistency checks of its own."""

    def make(kind="static", **tags):
        path = dicom_factory(kind, frames=1)[0]
        ds = pydicom.dcmread(path)
        for keyword, value in tags.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)
        ds.save_as(path)
        return path

    return make


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Rows": 0}, r"Rows \(0028,0010\) is 0"),
        ({"Rows": None}, r"Rows \(0028,0010\) is missing"),
        ({"Rows": 65535, "Columns": 65535}, "over the limit of 2147483648"),
        ({"Rows": 65}, "holds 8192 of the 8320 bytes"),
        ({"Rows": 32}, "holds 8192 bytes where 1 frame.* of 32x64 need 4096"),
        ({"NumberOfFrames": 0}, r"Number of Frames \(0028,0008\) is 0"),
        ({"NumberOfFrames": -1}, r"Number of Frames \(0028,0008\) is -1"),
        ({"NumberOfFrames": 2**31 - 1}, "over the limit"),
        ({"NumberOfFrames": 2}, "holds 8192 of the 16384 bytes"),
        ({"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11}, "do not go together"),
        ({"BitsStored": 17}, r"Bits Stored \(0028,0101\) is 17"),
        ({"HighBit": 11}, "do not go together"),
        ({"PixelRepresentation": 2}, r"Pixel Representation \(0028,0103\) is 2"),
        ({"PhotometricInterpretation": None}, r"\(0028,0004\) is missing"),
        ({"SOPInstanceUID": None}, r"\(0008,0018\) is missing"),
        ({"PixelData": None}, "Pixel Data .* is missing"),
    ],
)
def test_headers_that_do_not_add_up_are_refused(edited, tags, reason):
    path = edited(**tags)
    with pytest.raises(InputError, match=reason) as error:
        read(path)
    assert str(path) in str(error.value)
    assert not isinstance(error.value, NotAnImage)


@pytest.mark.parametrize(
    "tags",
    [
        {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"Modality": "SEG"},
        {"BitsAllocated": 1, "BitsStored": 1},
        {"PixelData": None, "Rows": None},
    ],
)
def test_other_objects_are_no_images(edited, tags):
    with pytest.raises(NotAnImage):
        read(edited(**tags))


@pytest.mark.parametrize("text", [b"1A", b"1\\2", b"1.5"])
def test_number_of_frames_must_be_one_integer(edited, text):
    path = edited(NumberOfFrames=777)
    path.write_bytes(path.read_bytes().replace(b"777 ", text.ljust(4)))
    with pytest.raises(InputError, match="Number of Frames"):
        read(path)


def test_wrong_vr_for_rows_is_refused(edited):
    path = edited()
    data = path.read_bytes()
    element = struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, 64)
    assert data.count(element) == 1
    path.write_bytes(data.replace(element, struct.pack("<HH2sH2s", 0x28, 0x10, b"LO", 2, b"64")))
    with pytest.raises(InputError, match=r"Rows \(0028,0010\)"):
        read(path)


def test_trailing_padding_is_tolerated(edited):
    path = edited(PixelData=bytes(8192 + 100))
    assert read(path).pixels.shape == (1, 64, 64)


def test_file_and_series_limits(dicom_factory):
    path = dicom_factory("static", matrix=(256, 256))[0]
    with pytest.raises(InputError, match="over the limit of 1000"):
        read(path, limits=Limits(file_bytes=1000))
    with pytest.raises(InputError, match="over the limit of 300000"):
        read(path, limits=Limits(pixel_bytes=300_000))
    slices = dicom_factory("pet", matrix=(64, 64), frames=20)
    with pytest.raises(InputError, match=r"20 frame\(s\) of 64x64 would take 335872 bytes"):
        read(slices, limits=Limits(pixel_bytes=300_000))


def test_deflate_bomb_is_refused_before_it_explodes(dicom_factory):
    path = dicom_factory("static", transfer_syntax=pydicom.uid.DeflatedExplicitVRLittleEndian)[0]
    np.testing.assert_array_equal(read(path).pixels[0], pydicom.dcmread(path).pixel_array)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    element = struct.pack("<HH2sHL", 9, 0x1010, b"OB", 0, 200 << 20)
    bomb = packer.compress(element) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    meta = path.read_bytes()[: path.read_bytes().index(b"1.2.840.10008.1.2.1.99") + 22]
    length = struct.unpack("<L", meta[140:144])[0]
    path.write_bytes(path.read_bytes()[: 144 + length] + bomb)
    tracemalloc.start()
    with pytest.raises(InputError, match="inflates to more than 1048576 bytes"):
        read(path, limits=SMALL)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_damaged_deflate_stream_is_an_error(dicom_factory):
    path = dicom_factory("static", transfer_syntax=pydicom.uid.DeflatedExplicitVRLittleEndian)[0]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError):
        read(path)
    with pytest.raises(zlib.error):
        inflate(GuardedStream(io.BytesIO(b"\xff" * 64), 64, 10), path, SMALL)


def test_element_that_claims_four_gigabytes_takes_no_memory(edited):
    path = edited()
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
    data[at:at] = struct.pack("<HH2sHL", 0x0009, 0x1010, b"OB", 0, 0xFFFFFFF0)
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(InputError):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_deep_and_wide_sequences_are_refused(edited):
    path = edited()
    data = path.read_bytes()
    at = data.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
    nest = struct.pack("<HH2sHLHHL", 0x0009, 0x1010, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    path.write_bytes(data[:at] + nest * 10_000 + data[at:])
    with pytest.raises(InputError, match="nested too deeply"):
        read(path)
    wide = (
        struct.pack("<HH2sHL", 0x0009, 0x1010, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 50_000
    )
    path.write_bytes(data[:at] + wide + data[at:])
    with pytest.raises(InputError, match="too many elements"):
        read(path, limits=Limits(reads=50_000))


def test_hidden_sequence_of_a_million_items_is_refused(edited):
    path = edited("enhanced-pet")
    ds = pydicom.dcmread(path)
    ds.add_new("PerFrameFunctionalGroupsSequence", "UN", struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 600_000)
    ds.save_as(path)
    with pytest.raises(InputError, match="over 500000 items"):
        read(path)


def test_value_of_a_million_numbers_is_refused(edited):
    path = edited(PixelSpacing=[1, 1])
    ds = pydicom.dcmread(path)
    ds.add_new("PixelSpacing", "UT", "1\\" * 200_000)
    ds.save_as(path)
    with pytest.raises(InputError, match=r"Pixel Spacing \(0028,0030\) is 400000 bytes long"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a POSIX feature")
def test_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    with pytest.raises(InputError, match="not a regular file"):
        read(tmp_path / "pipe.dcm")


def layout(syntax, rows=64, columns=64):
    return PixelLayout(1, MatrixSize(rows, columns), 16, 16, False, pydicom.uid.UID(syntax))


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("MR_small_jp2klossless.dcm", pydicom.uid.JPEG2000Lossless),
        ("MR_small_jpeg_ls_lossless.dcm", pydicom.uid.JPEGLSLossless),
        ("MR_small_RLE.dcm", pydicom.uid.RLELossless),
    ],
)
def test_code_stream_must_have_the_size_of_the_header(tmp_path, name, syntax):
    ds = pydicom.dcmread(pydicom.data.get_testdata_file(name, download=False))
    frame = next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))
    check_codestream(frame, layout(syntax), tmp_path)
    with pytest.raises(InputError):
        check_codestream(frame[:20], layout(syntax), tmp_path)
    ds.Rows = 32
    ds.save_as(tmp_path / "wrong.dcm")
    with pytest.raises(InputError):
        read(tmp_path / "wrong.dcm")


@pytest.mark.parametrize("frames", [[b"\0\0"], [b"\xff\xd8"], [b"\xff\xd8\xff\xd9"], [b"\0" * 70]])
@pytest.mark.parametrize(
    "syntax",
    [
        pydicom.uid.JPEGBaseline8Bit,
        pydicom.uid.JPEGLosslessSV1,
        pydicom.uid.JPEGLSLossless,
        pydicom.uid.JPEG2000,
        pydicom.uid.HTJ2K,
        pydicom.uid.RLELossless,
    ],
)
def test_empty_code_streams_are_refused(tmp_path, dicom_factory, frames, syntax):
    ds = pydicom.dcmread(dicom_factory("static")[0])
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].is_undefined_length = True
    ds.save_as(tmp_path / "empty.dcm")
    with pytest.raises(InputError):
        read(tmp_path / "empty.dcm")


@pytest.mark.parametrize(("frames", "reason"), [(400_000_000, "over the limit"), (1_000_000, "cannot hold 1000000")])
def test_promised_frames_take_no_memory(dicom_factory, tmp_path, frames, reason):
    ds = pydicom.dcmread(dicom_factory("ct", frames=1)[0])
    ds.Rows, ds.Columns, ds.NumberOfFrames = 1, 1, frames
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    ds.PixelData = encapsulate([b"\0" * 64])
    ds["PixelData"].is_undefined_length = True
    ds.save_as(tmp_path / "promise.dcm")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=reason):
            read(tmp_path / "promise.dcm")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("syntax", "reason"),
    [("1.2.840.10008.1.2.5", "not encoded as transfer syntax RLE"), ("1.2.840.10008.9.9.9", "is unknown")],
)
def test_syntax_and_encoding_must_agree(edited, syntax, reason):
    path = edited()
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", syntax.encode() + b"\0", 1))
    with pytest.raises(InputError, match=reason):
        read(path)


def test_unused_high_bits_are_dropped():
    twelve = PixelLayout(1, MatrixSize(1, 2), 16, 12, True, pydicom.uid.ExplicitVRLittleEndian)
    stored = np.array([[[0x7FFF, 0x0801]]], np.int16)
    np.testing.assert_array_equal(twelve.used_bits(stored), [[[-1, -2047]]])


def test_file_that_shrinks_between_header_and_pixels_is_an_error(dicom_factory):
    path = dicom_factory("static")[0]
    image = parse(path, Limits())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="changed while it was read"):
        stored_values(image)


def test_empty_sequences_are_harmless(edited):
    assert len(read(edited(DetectorInformationSequence=[Dataset()]))) == 1
