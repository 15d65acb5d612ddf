"""Values of elements: what the header says, or an error that names the tag."""

from datetime import datetime

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from photopeak.engine.dicom.attributes import (
    drop,
    first,
    first_glance,
    glance,
    has,
    integer,
    integers,
    items,
    moment,
    number,
    numbers,
    tag_of,
    text,
)
from photopeak.engine.dicom.elements import tag_object
from photopeak.engine.dicom.quiet import quiet_libraries
from photopeak.engine.errors import InputError


def raw(keyword, vr, value):
    ds = Dataset()
    tag = Tag(keyword)
    ds._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return ds


def test_tags_of_keywords_are_those_that_headers_hold():
    assert tag_of.__wrapped__("Rows") is tag_object(0x00280010)


def test_absent_and_empty_elements():
    for ds in (Dataset(), raw("PixelSpacing", "DS", b"  ")):
        assert numbers(ds, "PixelSpacing", 2) is None
        assert text(ds, "PixelSpacing") == ""
    assert integer(Dataset(), "Rows") is None
    assert integers(Dataset(), "DetectorVector") == ()
    assert items(Dataset(), "DetectorInformationSequence") == ()
    assert len(first(Dataset(), "DetectorInformationSequence")) == 0


def test_values_of_the_right_type():
    assert text(raw("ImageType", "CS", b"ORIGINAL\\PRIMARY "), "ImageType") == "ORIGINAL\\PRIMARY"
    assert numbers(raw("PixelSpacing", "DS", b"1.5\\2"), "PixelSpacing", 2) == (1.5, 2.0)
    assert number(raw("SliceThickness", "DS", b"3 "), "SliceThickness") == 3
    assert integers(raw("DetectorVector", "US", b"\1\0\2\0"), "DetectorVector") == (1, 2)


@pytest.mark.parametrize(
    ("read", "keyword", "vr", "value"),
    [
        (integer, "Rows", "LO", b"64"),
        (integer, "Rows", "US", b"\1\0\2\0"),
        (integer, "NumberOfFrames", "IS", b"1A"),
        (integers, "DetectorVector", "DS", b"1.5\\2"),
        (number, "SliceThickness", "DS", b"1\\2"),
        (number, "SliceThickness", "LO", b"thick"),
        (number, "SliceThickness", "FD", b"\0\0\0\0\0\0\xf8\x7f"),
        (text, "PatientWeight", "ZZ", b"70"),
        (items, "DetectorInformationSequence", "LO", b"text"),
    ],
)
def test_other_values_are_errors_that_name_the_tag(read, keyword, vr, value):
    ds = raw(keyword, vr, value)
    with quiet_libraries(), pytest.raises(InputError, match=rf"\({Tag(keyword).group:04X},{Tag(keyword).elem:04X}\)"):
        read(ds, keyword)


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20240501", "100500.5", datetime(2024, 5, 1, 10, 5, 0, 500_000)),
        ("1993.11.24", "09:53:00", datetime(1993, 11, 24, 9, 53)),
        ("20240501", "", None),
        ("", "100500", None),
    ],
)
def test_moment_of_date_and_time(date, time, expected):
    ds = raw("AcquisitionDate", "DA", date.encode())
    ds._dict |= raw("AcquisitionTime", "TM", time.encode())._dict
    with quiet_libraries():
        assert moment(ds, "AcquisitionDate", "AcquisitionTime") == expected


@pytest.mark.parametrize("stamp", ["20241301", "yesterday"])
def test_no_moment(stamp):
    with quiet_libraries(), pytest.raises(InputError, match=r"Acquisition DateTime \(0008,002A\)"):
        moment(raw("AcquisitionDateTime", "DT", stamp.encode()), "AcquisitionDateTime")


def test_elements_are_found_and_dropped_by_keyword():
    ds = Dataset()
    ds.Rows = 64
    assert has(ds, "Rows")
    assert not has(ds, "Columns")
    drop(ds, "Rows", "Columns")
    assert not has(ds, "Rows")


def test_a_glance_leaves_a_sequence_as_it_was_read(dicom_factory):
    path = dicom_factory("whole-body")[0]
    ds, decoded = pydicom.dcmread(path), pydicom.dcmread(path)
    before = ds.get_item("DetectorInformationSequence")
    assert glance(ds, "DetectorInformationSequence") == items(decoded, "DetectorInformationSequence")
    assert first_glance(ds, "DetectorInformationSequence") == first(decoded, "DetectorInformationSequence")
    assert ds.get_item("DetectorInformationSequence") is before
    assert glance(ds, "PhaseInformationSequence") == ()
    assert first_glance(ds, "PhaseInformationSequence") == Dataset()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_glance_at_other_encodings_decodes_them(dicom_factory, syntax):
    ds = pydicom.dcmread(dicom_factory("whole-body", transfer_syntax=syntax)[0])
    found = glance(ds, "DetectorInformationSequence")
    assert found is ds.DetectorInformationSequence
    assert len(found) == 2


def test_a_glance_at_what_is_no_sequence_is_an_error():
    with pytest.raises(InputError, match="is not a sequence"):
        glance(raw("DetectorInformationSequence", "LO", b"odd "), "DetectorInformationSequence")
