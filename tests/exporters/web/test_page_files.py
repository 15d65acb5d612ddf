"""What the page's readers make of files, against the engine's readers and against files that are wrong."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

import photopeak
from web_page import Page, opened

KINDS = ("static", "whole-body", "dynamic", "gated", "recon-tomo", "pet", "enhanced-pet", "ct", "xa", "cr", "dx")


@pytest.fixture
def reader(browser, address_of):
    """Return a page whose readers are at hand; the model plays no part, so that it is loaded once."""
    address = address_of("scint-denoise")
    return Page(browser) if browser.current_url == address else opened(browser, address)


def is_read_as_the_engine_does(reader, *paths):
    found, frames = reader.read(*paths), photopeak.read(paths)
    np.testing.assert_array_equal(found["frames"], frames.pixels)
    assert found["units"] == frames.units
    assert found["modality"] == frames.modality
    assert found["spacing"] == (list(frames.pixel_spacing_mm) if frames.pixel_spacing_mm else None)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_read_as_the_engine_does(reader, dicom_factory, kind):
    is_read_as_the_engine_does(reader, dicom_factory(kind, matrix=(20, 28))[0])


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("kind", ["whole-body", "pet", "enhanced-pet", "ct"])
def test_encodings_are_read_as_the_engine_does(reader, dicom_factory, kind, syntax):
    is_read_as_the_engine_does(reader, dicom_factory(kind, matrix=(20, 28), transfer_syntax=syntax)[0])


@pytest.mark.parametrize(("bits", "stored", "signed"), [(8, 8, 0), (8, 6, 0), (16, 12, 0), (16, 12, 1), (32, 32, 1)])
def test_bits_are_read_as_the_engine_does(reader, dicom_factory, bits, stored, signed):
    (path,) = dicom_factory("static", matrix=(6, 10))
    ds = pydicom.dcmread(path)
    dtype = np.dtype(f"{'i' if signed else 'u'}{bits // 8}")
    ds.PixelData = (
        np.random.default_rng(bits).integers(*(np.iinfo(dtype).min, np.iinfo(dtype).max), (6, 10), dtype).tobytes()
    )
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, stored, stored - 1, signed
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    ds.NumberOfFrames = 1
    ds.save_as(path)
    is_read_as_the_engine_does(reader, path)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm"])
def test_real_files_are_read_as_the_engine_does(reader, name):
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip(f"pydicom was installed without {name}")
    is_read_as_the_engine_does(reader, Path(str(found)))


def test_real_world_value_mapping_comes_before_rescale(reader, dicom_factory):
    (path,) = dicom_factory("static", matrix=(8, 8))
    ds = pydicom.dcmread(path)
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "Bq/ml", "UCUM", "Becquerels/milliliter"
    mapping = pydicom.Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 2.5, -3.0
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, 65535
    mapping.MeasurementUnitsCodeSequence = [code]
    ds.RealWorldValueMappingSequence = [mapping]
    ds.save_as(path)
    is_read_as_the_engine_does(reader, path)
    assert reader.read(path)["units"] == "BQML"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_greyscale_png_gives_its_values(reader, tmp_path, dtype):
    values = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (23, 37), dtype, endpoint=True)
    values[:9] = np.arange(37, dtype=dtype)  # smooth lines make the writer choose other filters
    Image.fromarray(values).save(tmp_path / "image.png")
    found = reader.read(tmp_path / "image.png")
    np.testing.assert_array_equal(found["frames"][0], values)
    assert (found["units"], found["spacing"]) == ("NONE", None)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(lines, *, bits=8, colour=0, interlace=0, rows=4, columns=6):
    header = struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, interlace)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def filtered(values, kinds):
    """Return 8-bit lines, each under the filter given for it (PNG specification, section 9)."""
    rows, columns = values.shape
    padded = np.zeros((rows + 1, columns + 1), int)
    padded[1:, 1:] = values
    left, above, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    guess = left + above - corner
    near = np.abs(np.stack([guess - left, guess - above, guess - corner])).argmin(axis=0)
    nearest = np.choose(near, [left, above, corner])
    predicted = [0 * left, left, above, (left + above) // 2, nearest]
    lines = [
        bytes([kind]) + ((values[i] - predicted[kind][i]) % 256).astype(np.uint8).tobytes()
        for i, kind in enumerate(kinds)
    ]
    return b"".join(lines)


def test_each_filter_of_png_is_undone(reader, tmp_path):
    values = np.random.default_rng(2).integers(0, 256, (10, 6))
    (tmp_path / "image.png").write_bytes(png(filtered(values, [0, 1, 2, 3, 4] * 2), rows=10))
    np.testing.assert_array_equal(reader.read(tmp_path / "image.png")["frames"][0], values)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_with_few_bits_is_read(reader, tmp_path, bits):
    values = np.random.default_rng(3).integers(0, 2**bits, (4, 6))
    unpacked = (values[..., np.newaxis] >> np.arange(bits)[::-1] & 1).reshape(4, -1).astype(np.uint8)
    lines = b"".join(b"\0" + line.tobytes() for line in np.packbits(unpacked, axis=1))
    (tmp_path / "image.png").write_bytes(png(lines, bits=bits))
    np.testing.assert_array_equal(reader.read(tmp_path / "image.png")["frames"][0], values)


def test_png_with_an_alpha_channel_gives_its_grey(reader, tmp_path):
    values = np.random.default_rng(4).integers(0, 256, (4, 6), np.uint8)
    Image.merge("LA", [Image.fromarray(values), Image.new("L", (6, 4), 128)]).save(tmp_path / "image.png")
    np.testing.assert_array_equal(reader.read(tmp_path / "image.png")["frames"][0], values)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "u1", "i1", "<u2", "<i2", "<u4", "<i4"])
def test_array_is_read(reader, tmp_path, dtype):
    values = np.random.default_rng(5).integers(0, 100, (2, 5, 7)).astype(dtype)
    np.save(tmp_path / "stack.npy", values)
    np.testing.assert_array_equal(reader.read(tmp_path / "stack.npy")["frames"], values.astype(np.float32))


GOOD_LINES = bytes(4 * 7)
BAD_FILES = {
    "empty.dcm": (b"", "neither DICOM nor PNG"),
    "words.txt": (b"counts " * 40, "neither DICOM nor PNG"),
    "only-a-preamble.dcm": (bytes(128) + b"DICM", "damaged or cut off"),
    "colour.png": (png(bytes(4 * 19), colour=2), "colour image"),
    "palette.png": (png(GOOD_LINES, colour=3), "palette"),
    "interlaced.png": (png(GOOD_LINES, interlace=1), "interlaced"),
    "short.png": (png(bytes(4 * 7 - 1)), "damaged"),
    "long.png": (png(bytes(4 * 7 + 1)), "damaged"),
    "filter.png": (png(b"\x05" + bytes(4 * 7 - 1)), "damaged"),
    "huge.png": (png(GOOD_LINES, rows=2**31 - 1, columns=2**31 - 1), "cannot be opened"),
    "no-pixels.png": (png(GOOD_LINES)[:33], "no pixels"),
    "cut.npy": (b"\x93NUMPY\x01\x00\x10\x00", "not an .npy"),
    "object.npy": (
        b"\x93NUMPY\x01\x00\x3c\x00{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }   \n",
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_is_refused_with_its_name_and_the_reason(reader, tmp_path, name):
    content, reason = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    refused = reader.read(tmp_path / name)["refused"]
    assert refused.startswith(f"{name}: ")
    assert reason in refused


def test_array_with_too_few_values_is_refused(reader, tmp_path):
    np.save(tmp_path / "stack.npy", np.zeros((9, 9), np.float32))
    (tmp_path / "stack.npy").write_bytes((tmp_path / "stack.npy").read_bytes()[:-4])
    assert "cut off" in reader.read(tmp_path / "stack.npy")["refused"]


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize("kind", ["static", "whole-body", "pet", "ct"])
def test_compressed_objects_are_read_as_the_engine_does(reader, dicom_factory, kind, syntax):
    is_read_as_the_engine_does(reader, dicom_factory(kind, matrix=(48, 40), transfer_syntax=syntax)[0])


@pytest.mark.parametrize(
    "name",
    [
        "JPEG2000.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "693_J2KI.dcm",
    ],
)
def test_real_compressed_files_are_read_as_the_engine_does(reader, name):
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip(f"pydicom was installed without {name}")
    reader.console()
    is_read_as_the_engine_does(reader, Path(str(found)))
    assert reader.console() == []


@pytest.mark.parametrize("kind", ["static", "whole-body", "ct"])
@pytest.mark.parametrize("process", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1"])
def test_lossless_jpeg_is_read_as_the_engine_does(reader, dicom_factory, kind, process):
    gdcm = pytest.importorskip("gdcm", reason="GDCM, which writes lossless JPEG, is not installed")
    path = dicom_factory(kind, matrix=(48, 40))[0]
    source, change, target = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    source.SetFileName(str(path))
    assert source.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, process)))
    change.SetInput(source.GetImage())
    assert change.Change()
    target.SetFile(source.GetFile())
    target.SetImage(change.GetOutput())
    target.SetFileName(str(path))
    assert target.Write()
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID in (JPEGLossless, JPEGLosslessSV1)
    is_read_as_the_engine_does(reader, path)


@pytest.mark.parametrize("name", ["misc_nm_pt/fodicom_GH184_pet_jpegll.dcm", "fodicom_odd/CT1_J2KI"])
def test_real_files_of_others_are_read_as_the_engine_does(reader, shared_data, name):
    path = shared_data / name
    if not path.is_file():
        pytest.skip(f"the shared data has no {name}")
    is_read_as_the_engine_does(reader, path)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
def test_damaged_compressed_file_is_read_or_refused_and_nothing_else(reader, dicom_factory, tmp_path, syntax):
    (path,) = dicom_factory("static", matrix=(48, 40), transfer_syntax=syntax)
    content, rng = path.read_bytes(), np.random.default_rng(9)
    begin = content.index(b"\xe0\x7f\x10\x00")
    for i in range(20):
        damaged = bytearray(content)
        for place in rng.integers(begin + 12, len(content), 5):
            damaged[place] = rng.integers(256)
        (tmp_path / f"{i}.dcm").write_bytes(damaged)
        assert reader.read(tmp_path / f"{i}.dcm").keys() & {"refused", "frames"}


def test_compressed_frame_of_another_size_is_refused(reader, dicom_factory):
    for syntax in (JPEG2000Lossless, RLELossless):
        (path,) = dicom_factory("static", matrix=(48, 40), transfer_syntax=syntax)
        ds = pydicom.dcmread(path)
        ds.Rows, ds.Columns = 4096, 4096
        ds.save_as(path)
        assert reader.read(path)["refused"].startswith(f"{path.name}: ")


@pytest.mark.parametrize("syntax", [JPEGLSLossless])
def test_other_compression_is_refused_with_what_to_do(reader, dicom_factory, syntax):
    (path,) = dicom_factory("static", transfer_syntax=syntax)
    refused = reader.read(path)["refused"]
    assert "JPEG-LS" in refused
    assert "uncompressed" in refused


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_file_that_is_cut_off_is_refused(reader, dicom_factory, part):
    (path,) = dicom_factory("static", matrix=(32, 32))
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    assert reader.read(path)["refused"].startswith(f"{path.name}: ")


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": 9000}, "cannot be opened"),
        ({"Rows": 65}, "Pixel Data holds"),
        ({"HighBit": 11}, "do not go together"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "in colour"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "erases the image"),
    ],
)
def test_header_that_cannot_be_right_is_refused(reader, dicom_factory, tags, reason):
    (path,) = dicom_factory("static", tags=tags)
    assert reason in reader.read(path)["refused"]


@pytest.mark.parametrize("kind", ["pet", "ct"])
@pytest.mark.parametrize("tags", [{}, {"ImagePositionPatient": None}])
def test_slices_of_a_series_are_put_in_order_as_the_engine_does(reader, dicom_factory, kind, tags):
    is_read_as_the_engine_does(reader, *dicom_factory(kind, matrix=(8, 12), frames=7, tags=tags))


def test_slice_that_is_missing_is_told_and_one_that_is_there_twice_counts_once(reader, dicom_factory, tmp_path):
    paths = dicom_factory("ct", matrix=(8, 12), frames=7)
    (tmp_path / "again.dcm").write_bytes(paths[0].read_bytes())
    assert len(reader.read(*paths, tmp_path / "again.dcm")["frames"]) == 7
    by_place = sorted(paths, key=lambda path: pydicom.dcmread(path).InstanceNumber)
    assert "may be missing" in " ".join(reader.read(*by_place[:3], *by_place[4:])["notes"])


def test_files_that_do_not_belong_together_are_refused(reader, dicom_factory, tmp_path):
    first, other = (dicom_factory("ct", matrix=(8, 12), frames=2, seed=seed, folder=f"ct{seed}") for seed in (1, 2))
    renamed = [path.rename(path.with_name(f"other-{path.name}")) for path in other]
    assert "belong to 2 series" in reader.read(*first, *renamed)["refused"]
    scans = [dicom_factory("static", seed=seed, folder=f"nm{seed}")[0] for seed in (1, 2)]
    scans[1] = scans[1].rename(scans[1].with_name("second.dcm"))
    assert "one at a time" in reader.read(*scans)["refused"]
    np.save(tmp_path / "flood.npy", np.ones((8, 12), np.float32))
    assert "DICOM series" in reader.read(*first, tmp_path / "flood.npy")["refused"]


@pytest.mark.parametrize("kind", ["whole-body", "enhanced-pet"])
def test_damaged_headers_are_read_or_refused_and_nothing_else(reader, dicom_factory, tmp_path, kind):
    content = dicom_factory(kind, matrix=(8, 12))[0].read_bytes()
    rng = np.random.default_rng(len(content))
    for i in range(40):
        damaged = bytearray(content)
        for place in rng.integers(132, len(content), 6):
            damaged[place] = rng.integers(256)
        (tmp_path / f"{i}.dcm").write_bytes(damaged)
        found = reader.read(tmp_path / f"{i}.dcm")
        assert found.keys() & {"refused", "frames"}


def test_image_in_other_units_is_refused(page, dicom_factory):
    path = dicom_factory("ct", matrix=(16, 16))[0]
    page.choose(path)
    assert path.name in page.problem
    assert "HU" in page.problem
    assert not page.part("result").is_displayed()


def test_values_that_are_not_finite_are_refused(page, tmp_path):
    np.save(tmp_path / "hole.npy", np.full((16, 16), np.nan, np.float32))
    page.choose(tmp_path / "hole.npy")
    assert "NaN" in page.problem
    assert "hole.npy" in page.problem


def test_next_image_clears_what_was_said(page, tmp_path):
    (tmp_path / "words.txt").write_text("counts")
    page.choose(tmp_path / "words.txt")
    assert "words.txt" in page.problem
    np.save(tmp_path / "flood.npy", np.full((32, 32), 9, np.float32))
    page.choose(tmp_path / "flood.npy")
    page.settle()
    assert not page.problem
    assert page.result()["shape"] == [32, 32]
