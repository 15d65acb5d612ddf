"""The same bytes as pydicom, for whatever a data set holds."""

from io import BytesIO

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from photopeak.engine.dicom import encoding
from photopeak.engine.dicom.encoding import encode_file

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(character set|is_implicit_VR|is_little_endian|Invalid value|exceeds|Failed to encode)"
)

KINDS = ("static", "whole-body", "dynamic", "gated", "tomo", "recon-tomo", "pet", "enhanced-pet", "ct", "cr", "dx")
TEXT = st.text(st.characters(codec="latin-1", exclude_characters="\\\r\n\f\t\x1b\0"), max_size=12)


def by_pydicom(ds):
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def with_meta(ds):
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", "2.25.1"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def read_as(path):
    """Return a file's data set, to be written as Explicit VR Little Endian."""
    ds = pydicom.dcmread(path)
    ds.preamble, ds.file_meta.TransferSyntaxUID = None, ExplicitVRLittleEndian
    return ds


@pytest.fixture
def without_help(monkeypatch):
    """Make sure that pydicom does not write in our stead."""
    monkeypatch.setattr(encoding, "_by_pydicom", lambda ds: pytest.fail("pydicom was asked to write"))


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_objects_of_every_kind(dicom_factory, without_help, kind, decoded):
    path = dicom_factory(kind)[0]
    expected = by_pydicom(read_as(path))
    ds = read_as(path)
    if decoded:
        assert list(ds.iterall())
    assert encode_file(ds) == expected


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_elements_that_were_read_in_another_encoding(dicom_factory, syntax):
    plain = dicom_factory("gated", folder="plain")[0]
    coded = dicom_factory("gated", folder="coded", transfer_syntax=syntax)[0]
    ds = Dataset(pydicom.dcmread(coded))
    source = pydicom.dcmread(coded)
    ds = Dataset()
    for element in source:
        if element.keyword != "PixelData":
            ds.add(element)
    same = pydicom.dcmread(plain)
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        if keyword in same:
            setattr(ds, keyword, same[keyword].value)
    del same.PixelData
    same.preamble = None
    ds.file_meta = same.file_meta
    assert pydicom.dcmread(BytesIO(encode_file(ds))) == pydicom.dcmread(BytesIO(encode_file(same)))


def test_sequences_and_items_of_undefined_length_stay_so(without_help):
    item = Dataset()
    item.CodeMeaning = "odd"
    ds = with_meta(Dataset())
    ds.ViewCodeSequence = [item, Dataset()]
    ds["ViewCodeSequence"].is_undefined_length = True
    item.is_undefined_length_sequence_item = True
    assert encode_file(ds) == by_pydicom(ds)


@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192", "ISO_IR 13", ["", "ISO 2022 IR 87"], ""])
@pytest.mark.parametrize("name", ["Yamada^Tarou=山田^太郎", "Muller^Jorg", "Mller"])
def test_names_in_any_character_set(character_set, name):
    ds = with_meta(Dataset())
    ds.SpecificCharacterSet, ds.PatientName, ds.PatientID = character_set, name, "a~b"
    item = Dataset()
    item.CodeMeaning = name.partition("=")[2] or name
    ds.ViewCodeSequence = [item]
    assert encode_file(ds) == by_pydicom(ds)


def test_text_read_in_one_character_set_is_written_in_another():
    ds = with_meta(Dataset())
    item = Dataset()
    item.CodeMeaning = "Röntgen"
    ds.SpecificCharacterSet, ds.PatientName, ds.ViewCodeSequence = "ISO_IR 100", "Müller", [item]
    source = pydicom.dcmread(BytesIO(by_pydicom(ds)))
    assert source.ViewCodeSequence[0].get_item("CodeMeaning").is_raw
    source.preamble, source.SpecificCharacterSet = None, "ISO_IR 192"
    written = pydicom.dcmread(BytesIO(encode_file(source)))
    assert (written.PatientName, written.ViewCodeSequence[0].CodeMeaning) == ("Müller", "Röntgen")


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["PatientID", "StudyDescription", "ImageComments", "CodeMeaning"]), TEXT),
    st.lists(st.floats(-1e9, 1e9), max_size=4),
    st.lists(st.integers(0, 65535), max_size=4),
    st.binary(max_size=9),
)
def test_whatever_values_there_are(texts, decimals, integers, binary):
    ds = with_meta(Dataset())
    ds.SpecificCharacterSet = "ISO_IR 100"
    for keyword, text in texts.items():
        setattr(ds, keyword, text)
    ds.WindowCenter = [f"{number:.8g}" for number in decimals]
    ds.RealWorldValueSlope, ds.DetectorVector = decimals, integers
    ds.FrameIncrementPointer = [0x00540010, 0x00540020][: len(integers)]
    ds.EncapsulatedDocument = binary
    ds.add_new(0x00091010, "UN", binary + bytes(len(binary) % 2))
    assert encode_file(ds) == by_pydicom(ds)


def test_what_is_out_of_the_ordinary_is_left_to_pydicom():
    ds = with_meta(Dataset())
    ds.PixelRepresentation, ds.SmallestImagePixelValue = 1, -5  # "US or SS"
    assert encode_file(ds) == by_pydicom(ds)
    ds.add_new("RedPaletteColorLookupTableDescriptor", "SS", [256, -1, 16])
    assert encode_file(ds) == by_pydicom(ds)
    ds.add_new("PatientID", "LO", "x" * 70000)
    assert encode_file(ds) == by_pydicom(ds)


def test_a_value_that_does_not_fit_is_pydicoms_error():
    ds = with_meta(Dataset())
    ds.add_new("Rows", "US", 70000)
    with pytest.raises(OSError, match="Rows"):
        encode_file(ds)


def test_a_file_without_the_class_of_its_object_is_not_written():
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with pytest.raises(AttributeError, match="SOP"):
        encode_file(ds)


@pytest.mark.filterwarnings("ignore:A value of type 'int'")
@pytest.mark.parametrize(
    ("tag", "vr", "value"), [(0x00000002, "UI", "1.2"), (0x00020100, "UI", "1.2"), (0x00420011, "OB", 5)]
)
def test_what_pydicom_refuses_is_not_written(tag, vr, value):
    ds = with_meta(Dataset())
    ds.add_new(tag, vr, value)
    with pytest.raises((ValueError, TypeError)):
        encode_file(ds)
