"""Elements that are made as bytes are those that pydicom would write."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from photopeak.engine.dicom.derived.codes import item, put
from photopeak.engine.dicom.derived.magnify import decimals
from photopeak.engine.dicom.derived.plain import plain_element
from photopeak.engine.dicom.quiet import quiet_libraries
from photopeak.engine.dicom.write import encode


def written(ds):
    """Return a data set as a file, with the same file meta information for all."""
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", "2.25.1"
    with quiet_libraries():
        return encode(ds)


def assert_the_same(keyword, vr, value):
    tag = Tag(keyword)
    plain, decoded = Dataset(), Dataset()
    plain.set_original_encoding(False, True, "iso8859")
    found = plain_element(tag, vr, value)
    plain[tag] = found
    with quiet_libraries():
        decoded[tag] = DataElement(tag, vr, value)
    assert plain.get_item(tag) is found
    assert written(plain) == written(decoded)
    assert plain.get_item(tag) is found


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("ImageType", "CS", ["DERIVED", "PRIMARY", "STATIC"]),
        ("Modality", "CS", "NM"),
        ("StudyInstanceUID", "UI", "2.25.214094975320881715846512601680851057207"),
        ("SeriesNumber", "IS", 1234),
        ("ReferencedFrameNumber", "IS", [1, 2, 3]),
        ("Rows", "US", 65535),
        ("EnergyWindowVector", "US", [1, 1]),
        ("FrameIncrementPointer", "AT", [Tag(0x00540010), Tag(0x00540020)]),
        ("RealWorldValueSlope", "FD", 0.002),
        ("WindowCenter", "DS", decimals([1 / 3])),
        ("WindowCenter", "DS", decimals([12.5, 1e-7])),
        ("InstanceCreationDate", "DA", "20240501"),
        ("InstanceCreationTime", "TM", "120000"),
        ("ContributionDateTime", "DT", "20240501120000.000001+0000"),
        ("SoftwareVersions", "LO", ["photopeak 1", "model 2"]),
        ("DerivationDescription", "ST", "x" * 1024),
        ("PatientName", "PN", None),
        ("PatientID", "LO", ""),
        ("DetectorInformationSequence", "SQ", []),
    ],
)
def test_values_that_leave_no_doubt(keyword, vr, value):
    assert_the_same(keyword, vr, value)


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("PatientID", "LO", "Müller"),
        ("PatientID", "LO", "a\\b"),
        ("PatientID", "LO", "a~b"),
        ("PatientID", "LO", "x" * 65),
        ("StationName", "SH", "x" * 17),
        ("StudyDate", "DA", "1993.11.24"),
        ("PatientName", "PN", "A^B"),
        ("CountsAccumulated", "IS", None),
        ("WindowCenter", "DS", []),
        ("Rows", "US", None),
        ("Rows", "US", -1),
        ("Rows", "US", 1 << 16),
        ("Rows", "US", True),
        ("Rows", "US", "64"),
        ("SeriesNumber", "IS", 10**10),
        ("SeriesNumber", "IS", 1.5),
        ("PixelSpacing", "DS", [2.4, 2.4]),
        ("ImageType", "CS", ("DERIVED", "PRIMARY")),
        ("ImageType", "CS", ["DERIVED", ""]),
        ("ViewCodeSequence", "SQ", [Dataset()]),
        ("SmallestImagePixelValue", "US or SS", None),
    ],
)
def test_values_that_are_left_to_pydicom(keyword, vr, value):
    assert plain_element(Tag(keyword), vr, value) is None


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="latin-1"), max_size=70), st.sampled_from(["LO", "SH", "CS", "ST", "TM", "DA"]))
def test_any_text(text, vr):
    keyword = {"LO": "PatientID", "SH": "StationName", "CS": "Modality", "TM": "StudyTime", "DA": "StudyDate"}
    tag = Tag(keyword.get(vr, "DerivationDescription"))
    if plain_element(tag, vr, text) is not None:
        assert_the_same(tag, vr, text)


def test_elements_are_set_and_replaced_by_keyword():
    ds = put(Dataset(), Rows=64, PatientName="A^B")
    assert isinstance(ds.get_item("Rows"), RawDataElement)
    assert (ds.Rows, ds.PatientName) == (64, "A^B")
    assert put(ds, Rows=65).Rows == 65
    assert item(CodeValue="1").original_encoding == (False, True)


@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192", "ISO_IR 13", ["", "ISO 2022 IR 87"]])
def test_they_are_copied_into_objects_of_any_character_set(character_set):
    inner = item(CodeValue="A-1", CodeMeaning="one")
    ds = Dataset()
    ds.SpecificCharacterSet, ds.ViewCodeSequence = character_set, [inner]
    found = written(ds)
    assert isinstance(inner.get_item("CodeMeaning"), RawDataElement)
    other = Dataset()
    other.CodeValue, other.CodeMeaning = "A-1", "one"
    ds.ViewCodeSequence = [other]
    assert written(ds) == found
