"""Which elements may be copied as bytes: only those whose decoding and encoding again would give the same bytes."""

from io import BytesIO

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from photopeak.engine.dicom.derived.codes import item
from photopeak.engine.dicom.derived.raw import is_sound
from photopeak.engine.dicom.quiet import quiet_libraries
from photopeak.engine.dicom.write import encode


def raw(keyword, vr, value):
    return RawDataElement(Tag(keyword), vr, len(value), value, 0, False, True)


def encode_number_or_text(element):
    """Return a decoded value's text as pydicom would write it."""
    parts = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    return "\\".join(getattr(part, "original_string", None) or str(part or "") for part in parts).encode()


def stripped(value):
    return [part.strip() for part in value.split(b"\\")]


def one_item(content):
    """Return the bytes of a sequence with one item."""
    return b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content


def sequence(*items):
    """Return the bytes of a sequence."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", "2.25.1"
    ds.ViewCodeSequence = [*items]
    return pydicom.dcmread(BytesIO(encode(ds))).get_item("ViewCodeSequence").value


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("Rows", "US", b"\1\0"),
        ("PixelSpacing", "DS", b"2.40\\2.4"),
        ("NumberOfFrames", "IS", b"2 "),
        ("StudyDate", "DA", b"20240501"),
        ("StudyTime", "TM", b"120000.5"),
        ("PatientName", "PN", b"M\xfcller^J"),
        ("StudyInstanceUID", "UI", b"1.2.03\0\0"[:6]),
        ("PatientID", "LO", b""),
        ("ViewCodeSequence", "SQ", sequence(item(CodeValue="1", CodeMeaning="one"), Dataset())),
    ],
)
def test_sound_elements(keyword, vr, value):
    assert is_sound(raw(keyword, vr, value))


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("Rows", "US", b"\1\0\0"),
        ("Rows", "UN", b"\1\0"),
        ("Rows", "SS", b"\1\0"),
        ("PixelSpacing", "DS", b"2.4000000000000001\\2"),
        ("PixelSpacing", "DS", b"2,4\\2,4 "),
        ("NumberOfFrames", "IS", b"2A"),
        ("StudyDate", "DA", b"1993.11.24"),
        ("StudyDate", "DA", b"00000000"),
        ("StudyDate", "DA", b"00010101"),
        ("StudyTime", "TM", b"12:00:00"),
        ("StationName", "SH", b"x" * 18),
        ("PatientID", "LO", b"12\0\0"),
        ("PatientID", "LO", b"  "),
        ("StudyInstanceUID", "UI", b"1.2 "),
        ("ViewCodeSequence", "SQ", b""),
        ("ViewCodeSequence", "SQ", b"\xfe\xff\x00\xe0\xff\xff\xff\xff"),
        ("ViewCodeSequence", "SQ", sequence(item(CodeValue="1"))[:-2]),
        ("ViewCodeSequence", "SQ", one_item(b"\x08\0\x10\x10SH\x12\0" + b"x" * 18)),
        ("ViewCodeSequence", "SQ", sequence(item(SpecificCharacterSet="ISO_IR 100"))),
        ("ViewCodeSequence", "SQ", sequence(item(ViewModifierCodeSequence=[]))),
    ],
)
def test_elements_that_have_to_be_decoded(keyword, vr, value):
    assert not is_sound(raw(keyword, vr, value))


def test_private_elements_inside_of_a_sequence_are_seen():
    hidden = item(CodeValue="1")
    hidden.private_block(0x0011, "ACME", create=True).add_new(1, "LO", "REAL^NAME")
    assert not is_sound(raw("ViewCodeSequence", "SQ", sequence(hidden)))


@pytest.mark.parametrize(
    "changes", [{"is_implicit_VR": True}, {"is_little_endian": False}, {"VR": None}, {"length": 9}]
)
def test_other_encodings_are_never_copied(changes):
    assert not is_sound(raw("Rows", "US", b"\1\0")._replace(**changes))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([("PatientID", "LO"), ("PixelSpacing", "DS"), ("NumberOfFrames", "IS"), ("StudyTime", "TM")]),
    st.text("0123456789.:-+eE \\\0A", max_size=20).map(lambda text: text.encode() + b" " * (len(text) % 2)),
)
def test_what_is_copied_can_be_decoded_and_gives_the_same_bytes(element, value):
    found = raw(*element, value)
    if not is_sound(found):
        return
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", "2.25.1"
    ds[found.tag] = found
    ds.set_original_encoding(False, True, "iso8859")
    copied = encode(ds)
    assert ds.get_item(found.tag) is found
    assert value in copied
    with quiet_libraries():
        again = pydicom.dcmread(BytesIO(copied))
        assert again[found.tag].VR == element[1]
        again[found.tag].value = again[found.tag].value
        assert stripped(encode_number_or_text(again[found.tag])) == stripped(value)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_garbage_in_a_sequence_is_never_an_error(content):
    assert is_sound(raw("ViewCodeSequence", "SQ", b"\xfe\xff\x00\xe0" + content)) in (True, False)
