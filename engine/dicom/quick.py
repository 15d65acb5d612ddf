"""Values of elements straight from their bytes, where these leave no doubt; all others are pydicom's business.

A header is read for some forty values, and pydicom takes up to 30 microseconds for each: it finds the converter, validates, and
keeps the decoded element. What is read here stays undecoded, so that a derived object can take it over as it is.
"""

import re
from struct import unpack
from typing import Any

from pydicom.dataelem import RawDataElement

__all__ = ["quick_numbers", "quick_value"]

_STRINGS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UI"})
_INTEGERS = {"US": ("H", 2), "SS": ("h", 2), "UL": ("L", 4), "SL": ("l", 4)}
_LONGEST = 1 << 12
_DECIMAL = re.compile(rb" *[+-]?[0-9]+(\.[0-9]*)?([Ee][+-]?[0-9]{1,2})? *")
_INTEGER = re.compile(rb" *[+-]?[0-9]{1,9} *")


def quick_value(raw: RawDataElement) -> Any:
    r"""Return the value of a short string or of binary integers, several of them as a list; None where pydicom shall say.

    Parameters
    ----------
    raw : RawDataElement
        As it was read.

    Examples
    --------
    >>> from pydicom.tag import Tag
    >>> quick_value(RawDataElement(Tag("Rows"), "US", 2, b"\x40\0", 0, False, True))
    64
    >>> quick_value(RawDataElement(Tag("ImageType"), "CS", 16, b"ORIGINAL\\PRIMARY", 0, False, True))
    ['ORIGINAL', 'PRIMARY']
    """
    vr, value = raw.VR, raw.value
    if not value or len(value) > _LONGEST:
        return None
    if vr in _STRINGS:
        # An escape changes the character set; without one, the bytes of ASCII mean the same in all of them.
        if not value.isascii() or b"\x1b" in value:
            return None
        parts = [part.rstrip(" \0") for part in value.decode("ascii").split("\\")]
        found = parts if len(parts) > 1 else parts[0]
        return found or None
    if vr in _INTEGERS:
        kind, size = _INTEGERS[vr]
        if len(value) % size:
            return None
        numbers = unpack(f"{'<' if raw.is_little_endian else '>'}{len(value) // size}{kind}", value)
        return list(numbers) if len(numbers) > 1 else numbers[0]
    if vr == "IS" and _INTEGER.fullmatch(value):
        return int(value)
    return None


def quick_numbers(element: object) -> list[float] | None:
    r"""Return the numbers of a decimal string; None where pydicom shall say.

    Examples
    --------
    >>> from pydicom.tag import Tag
    >>> quick_numbers(RawDataElement(Tag("PixelSpacing"), "DS", 8, b"2.4\\2.40", 0, False, True))
    [2.4, 2.4]
    """
    if not isinstance(element, RawDataElement) or element.VR != "DS" or not element.value:
        return None
    if len(element.value) > _LONGEST:
        return None
    parts = element.value.split(b"\\")
    if not all(map(_DECIMAL.fullmatch, parts)):
        return None
    return [float(part) for part in parts]
