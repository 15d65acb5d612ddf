"""Quick values are pydicom's values, or none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.tag import Tag

from photopeak.engine.dicom.quick import quick_numbers, quick_value
from photopeak.engine.dicom.quiet import quiet_libraries

KEYWORDS = {"CS": "ImageType", "UI": "StudyInstanceUID", "LO": "PatientID", "TM": "StudyTime", "IS": "NumberOfFrames"}


def raw(keyword, vr, value, little=True):
    return RawDataElement(Tag(keyword), vr, len(value), value, 0, False, little)


def strip(part):
    return part.strip(" \0") if isinstance(part, str) else part


def slow(element):
    with quiet_libraries():
        found = convert_raw_data_element(element, encoding="iso8859").value
    return found if isinstance(found, str | int | float) else list(found)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(KEYWORDS)), st.text("0123456789.AZ -+\\\0\x1b\xfc", max_size=12))
def test_strings(vr, text):
    element = raw(KEYWORDS[vr], vr, text.encode("latin-1"))
    if (quick := quick_value(element)) is not None:
        expected = slow(element)
        if isinstance(quick, list):
            assert [*map(strip, quick)] == [*map(strip, expected)]
        else:
            assert strip(quick) == strip(expected)


@pytest.mark.parametrize("little", [True, False])
@settings(max_examples=50, deadline=None)
@given(vr=st.sampled_from([("Rows", "US", 2), ("TagSpacingFirstDimension", "UL", 4)]), values=st.binary(max_size=12))
def test_binary_integers(little, vr, values):
    keyword, name, size = vr
    element = raw(keyword, name, values, little)
    quick = quick_value(element)
    if not values or len(values) % size:
        assert quick is None
    else:
        expected = np.frombuffer(values, f"{'<' if little else '>'}u{size}").tolist()
        assert quick == (expected if len(expected) > 1 else expected[0])


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789.-+eE \\n", max_size=14))
def test_decimals(text):
    element = raw("PixelSpacing", "DS", text.encode())
    if (quick := quick_numbers(element)) is not None:
        expected = slow(element)
        assert quick == (expected if isinstance(expected, list) else [expected])


def test_long_values_and_other_representations_are_left_to_pydicom():
    assert quick_value(raw("ImageType", "CS", b"A" * 5000)) is None
    assert quick_value(raw("SliceThickness", "DS", b"1.5 ")) is None
    assert quick_numbers(raw("NumberOfFrames", "IS", b"2 ")) is None
    assert quick_numbers(None) is None
