"""Every transfer syntax gives the same pixels."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid

from photopeak.engine.dicom.guard import DEFAULT_LIMITS
from photopeak.engine.dicom.parse import parse
from photopeak.engine.dicom.pixels import stored_values
from photopeak.engine.errors import InputError
from photopeak.engine.reading import read

LOSSLESS = [*product(("NM1", "XA1"), ("J2KR", "JLSL", "JPLL", "RLE")), *product(("CT1",), ("J2KR", "JLSL", "RLE"))]
NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
COMPRESSED = (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless)


@pytest.mark.parametrize("syntax", [*NATIVE, *COMPRESSED], ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("kind", ["whole-body", "ct"])
def test_synthetic_objects_are_the_same_in_every_syntax(dicom_factory, kind, syntax):
    plain = read(dicom_factory(kind, matrix=(48, 32)))
    coded = read(dicom_factory(kind, matrix=(48, 32), transfer_syntax=syntax))
    np.testing.assert_array_equal(coded.pixels, plain.pixels)


@pytest.mark.parametrize("vr", ["OB", "OW"])
@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (4, 6)])
def test_bytes_in_big_endian_words_come_in_order(dicom_factory, tmp_path, vr, rows, columns):
    ds = pydicom.dcmread(dicom_factory("ct", frames=1)[0])
    values = np.arange(rows * columns, dtype=np.uint8)
    content = values.tobytes() + bytes(values.size % 2)
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = rows, columns, 8, 8, 7, 0
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    ds.add_new("PixelData", vr, np.frombuffer(content, "<u2").byteswap().tobytes() if vr == "OW" else content)
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    path = tmp_path / "words.dcm"
    pydicom.dcmwrite(path, ds, implicit_vr=False, little_endian=False, force_encoding=True)
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array.ravel(), values)
    np.testing.assert_array_equal(read(path).pixels.ravel(), values)


@pytest.mark.parametrize(("name", "encoding"), LOSSLESS)
def test_real_lossless_encodings_agree_bit_for_bit(shared_data, name, encoding):
    path = shared_data / "nema_wg04" / f"{name}_{encoding}.dcm"
    plain = read(shared_data / "nema_wg04" / f"{name}_UNC.dcm")
    np.testing.assert_array_equal(read(path).pixels, plain.pixels)
    assert read(path).notes == ()


@pytest.mark.parametrize("name", ["NM1", "XA1"])
def test_real_near_lossless_encoding_stays_within_its_bound(shared_data, name):
    folder = shared_data / "nema_wg04"
    data = (folder / f"{name}_JLSN.dcm").read_bytes()
    scan = data.index(b"\xff\xda\x00\x08\x01")
    bound = data[scan + 7]  # NEAR, ISO/IEC 14495-1 C.2.3
    coded, plain = read(folder / f"{name}_JLSN.dcm"), read(folder / f"{name}_UNC.dcm")
    assert 0 < np.abs(coded.pixels - plain.pixels).max() <= bound
    assert "lossy" in coded.notes[0]


@pytest.mark.parametrize("name", ["NM1", "XA1"])
def test_real_irreversible_encoding_reads(shared_data, name):
    folder = shared_data / "nema_wg04"
    coded, plain = read(folder / f"{name}_J2KI.dcm"), read(folder / f"{name}_UNC.dcm")
    assert np.corrcoef(coded.pixels.ravel(), plain.pixels.ravel())[0, 1] > 0.9
    assert "lossy" in coded.notes[0]


@pytest.mark.parametrize("name", ["NM1", "XA1"])
def test_twelve_bit_jpeg_is_one_clear_error(shared_data, name):
    path = shared_data / "nema_wg04" / f"{name}_JPLY.dcm"
    with pytest.raises(InputError, match=r"JPEG Extended .* with 12 bits .* re-export .* dcmdjpeg") as error:
        read(path)
    assert str(path) in str(error.value)


def test_bundled_twelve_bit_jpeg_is_the_same_error():
    with pytest.raises(InputError, match="with 12 bits"):
        read(pydicom.data.get_testdata_file("JPEG-lossy.dcm", download=False))


@pytest.mark.parametrize(
    "name",
    [
        "693_J2KI.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "JPEG2000.dcm",
        "JPEGLSNearLossless_08.dcm",
        "JPEGLSNearLossless_16.dcm",
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "examples_overlay.dcm",
        "image_dfl.dcm",
    ],
)
def test_stored_values_are_those_of_pydicom(name):
    path = Path(pydicom.data.get_testdata_file(name, download=False))
    expected = pydicom.dcmread(path).pixel_array
    np.testing.assert_array_equal(stored_values(parse(path, DEFAULT_LIMITS))[0], expected)


def test_real_multi_frame_lossless_jpeg_agrees_with_gdcm(shared_data):
    path = shared_data / "xa" / "phantom_IM6.dcm"
    ds = pydicom.dcmread(path)
    expected = np.stack([frame for frame in pydicom.pixels.iter_pixels(ds, decoding_plugin="gdcm")])
    np.testing.assert_array_equal(read(path).pixels, expected)


@pytest.mark.parametrize("wrong", [5, 7])
def test_number_of_frames_must_be_that_of_the_fragments(dicom_factory, tmp_path, wrong):
    ds = pydicom.dcmread(dicom_factory("xa", frames=6, transfer_syntax=uid.RLELossless)[0])
    ds.NumberOfFrames = wrong
    ds.save_as(tmp_path / "wrong.dcm")
    with pytest.raises(InputError, match=f"Number of Frames is {wrong} but Pixel Data holds"):
        read(tmp_path / "wrong.dcm")


def test_cut_off_lossless_jpeg_is_an_error_not_a_grey_rest(shared_data, tmp_path):
    ds = pydicom.dcmread(shared_data / "nema_wg04" / "NM1_JPLL.dcm")
    frame = next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1))
    ds.PixelData = pydicom.encaps.encapsulate([frame[: len(frame) // 2] + b"\xff\xd9"])
    ds.save_as(tmp_path / "cut.dcm")
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path / "cut.dcm")


def test_many_threads_read_the_same(dicom_factory):
    paths = [dicom_factory("whole-body", seed=i, transfer_syntax=uid.JPEG2000Lossless)[0] for i in range(6)] * 3
    alone = [read(path).pixels for path in paths]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda path: read(path).pixels, paths))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
