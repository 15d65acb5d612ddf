"""Elements that are read from a block are those that pydicom reads one by one, or are left to it."""

import struct
from io import BytesIO

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import data_element_generator, read_dataset
from pydicom.filewriter import write_dataset

from photopeak.engine.dicom import parse as module
from photopeak.engine.dicom.elements import Plain, encodings_of, plain_elements, plain_items
from photopeak.engine.dicom.guard import DEFAULT_LIMITS, Limits
from photopeak.engine.dicom.parse import parse
from photopeak.engine.dicom.quiet import quiet_libraries
from photopeak.engine.errors import InputError

KINDS = ("static", "whole-body", "dynamic", "gated", "tomo", "recon-tomo", "pet", "enhanced-pet", "ct", "cr", "dx")
ALL = range(1 << 16)


def encoded(ds):
    """Return a data set's bytes in Explicit VR Little Endian."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, ds)
    return stream.getvalue()


def by_pydicom(content):
    return read_dataset(BytesIO(content), False, True)


def example():
    """Return a data set with elements of all kinds."""
    item = Dataset()
    item.CodeValue, item.CodeMeaning, item.ImageOrientationPatient = "1", "one", None
    ds = Dataset()
    ds.ImageType, ds.PatientName, ds.Rows, ds.PixelSpacing = ["ORIGINAL", "PRIMARY"], "A^B", 64, [2.4, 2.4]
    ds.ViewCodeSequence, ds.ImageComments, ds.WindowCenter = [item, item], "odd", None
    ds.add_new(0x00091010, "OB", b"1234")
    return ds


def without_blocks(monkeypatch):
    """Let pydicom read everything."""
    monkeypatch.setattr(module, "plain_elements", lambda content, place, end, groups, origin=0: Plain({}, place))


@pytest.mark.parametrize("kind", KINDS)
def test_headers_are_those_that_pydicom_reads(dicom_factory, monkeypatch, kind):
    path = dicom_factory(kind)[0]
    found = parse(path, DEFAULT_LIMITS)
    with monkeypatch.context() as patch:
        without_blocks(patch)
        expected = parse(path, DEFAULT_LIMITS)
    assert dict(found.header.items()) == dict(expected.header.items())
    assert dict(found.header.file_meta.items()) == dict(expected.header.file_meta.items())
    assert found.header.original_encoding == expected.header.original_encoding
    assert found.header.original_character_set == expected.header.original_character_set
    assert (found.layout, found.offset, found.words) == (expected.layout, expected.offset, expected.words)
    assert found.header == expected.header


@pytest.mark.parametrize("kind", ["static", "gated"])
def test_what_pydicom_has_to_read_comes_with_the_rest(dicom_factory, kind):
    path = dicom_factory(kind)[0]
    ds = pydicom.dcmread(path)
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 192", "Müller^Ä"
    ds["EnergyWindowInformationSequence"].is_undefined_length = True
    ds.add_new(0x00091010, "OB", bytes(100_000))  # longer than a block
    ds.ImageComments = "after the block"
    ds.save_as(path)
    header = parse(path, DEFAULT_LIMITS).header
    expected = pydicom.dcmread(path, stop_before_pixels=True)
    assert header == expected
    assert header.PatientName == "Müller^Ä"


def test_a_header_in_which_the_representation_stops_is_read_as_before(dicom_factory, monkeypatch):
    path = dicom_factory("static")[0]
    content = path.read_bytes()
    at = content.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
    path.write_bytes(content[:at] + struct.pack("<HHL4s", 0x0009, 0x1010, 4, b"text") + content[at:])
    found = parse(path, DEFAULT_LIMITS).header
    without_blocks(monkeypatch)
    assert found == parse(path, DEFAULT_LIMITS).header


def test_elements_of_a_block_count_as_reads(dicom_factory):
    path = dicom_factory("static")[0]
    elements = len(pydicom.dcmread(path))
    with pytest.raises(InputError, match="too many elements"):
        parse(path, Limits(reads=elements))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3), st.integers(0, 400))
def test_damaged_bytes_are_read_as_pydicom_reads_them(changes, cut):
    content = bytearray(encoded(example()))
    for place, byte in changes:
        content[place % len(content)] = byte
    damaged = bytes(content[: len(content) - cut % len(content)])
    found = plain_elements(damaged, 0, len(damaged), range(0xFFFE))
    assert 0 <= found.end <= len(damaged)
    elements = data_element_generator(BytesIO(damaged), False, True)
    with quiet_libraries():
        expected = [next(elements) for _ in found.elements]
    if len({element.tag for element in expected}) == len(expected):
        assert [*found.elements.values()] == expected


@pytest.mark.parametrize("length", [0, 1, 2])
def test_items_are_those_that_pydicom_reads(length):
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning = "1", "one"
    outer = Dataset()
    outer.ViewCodeSequence, outer.ImageOrientationPatient, outer.CollimatorType = [inner], None, "PARA"
    ds = Dataset()
    ds.DetectorInformationSequence = [outer] * length
    raw = by_pydicom(encoded(ds)).get_item("DetectorInformationSequence")
    items = plain_items(raw.value, "iso8859")
    assert items == list(ds.DetectorInformationSequence)
    for item in items:
        assert item.original_encoding == (False, True)
        assert item.ViewCodeSequence[0].CodeMeaning == "one"


@pytest.mark.parametrize(
    "content",
    [
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
        b"\xfe\xff\x00\xe0\x08\0\0\0",
        b"\xfe\xff\x0d\xe0\0\0\0\0",
        b"\xfe\xff\x00\xe0\x09\0\0\0\x08\0\x00\x01SH\x00\0X",
        b"\xfe\xff",
    ],
)
def test_items_that_are_not_plain_are_left_alone(content):
    assert plain_items(content, "iso8859") is None


def test_items_are_in_the_character_set_of_their_data_set_or_their_own():
    inner = Dataset()
    inner.SpecificCharacterSet, inner.CodeMeaning = "ISO_IR 192", "Ä"
    other = Dataset()
    other.CodeValue = "2"
    ds = Dataset()
    ds.ViewCodeSequence = [inner, other]
    own, inherited = plain_items(by_pydicom(encoded(ds)).get_item("ViewCodeSequence").value, ["latin_1"])
    assert own.CodeMeaning == "Ä"
    assert inherited.original_character_set == ["latin_1"]


@pytest.mark.parametrize("name", ["", "ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 87", "ISO_IR 1000"])
def test_character_sets_as_pydicom_understands_them(name):
    ds = Dataset()
    ds.SpecificCharacterSet = name
    with quiet_libraries():
        read = by_pydicom(encoded(ds))
        assert encodings_of(dict(read.items())) == read._character_set
        assert encodings_of({}) == "iso8859"
        assert list(read)
        assert encodings_of(dict(read.items())) == read._character_set
