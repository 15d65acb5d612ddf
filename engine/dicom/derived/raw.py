"""Elements of a source that a derived object can take over byte by byte: nothing in them needs decoding or mending."""

import re
from collections.abc import Callable
from struct import unpack_from

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

__all__ = ["is_sound"]

_DEEPEST = 8
_DATE = re.compile(rb"(?!00010101)(?=[0-9]*[1-9])[0-9]{8}")
_TIME = re.compile(rb"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)? ?")
_DECIMAL = re.compile(rb"[ ]*[+-]?[0-9]+(\.[0-9]*)?([Ee][+-]?[0-9]{1,2})?[ ]*")
_INTEGERS = re.compile(rb"[ ]*[+-]?[0-9]{1,9}[ ]*(\\[ ]*[+-]?[0-9]{1,9}[ ]*)*")
_UID = re.compile(rb"[0-9.]+\0?(\\[0-9.]+\0?)*")
_LONGEST = {"SH": 16, "LO": 64}
_SIZES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4, "UV": 8, "SV": 8}


def is_sound(raw: RawDataElement) -> bool:
    """Return whether an undecoded element can be copied: standard, Explicit VR Little Endian, decodable and in today's form.

    What is not sound is not wrong; it has to be decoded, mended if need be, and encoded again.

    Parameters
    ----------
    raw : RawDataElement
        As pydicom read it.

    References
    ----------
    * PS3.5 sections 6.2 (value representations), 7.1 (data elements) and 7.5 (sequences).
    """
    if raw.VR is None or raw.is_implicit_VR or not raw.is_little_endian:
        return False
    value = raw.value or b""  # None stands for the empty value of a number
    return raw.length == len(value) and _is_sound(int(raw.tag), str(raw.VR), value, _DEEPEST)


def _is_sound(tag: int, vr: str, value: bytes, depth: int) -> bool:
    if tag >> 16 & 1 or len(value) % 2 or not _is_known(tag, vr):
        return False
    if vr == "SQ":
        return bool(depth and value) and _is_sound_sequence(value, depth - 1)
    if vr in _SIZES:
        return len(value) % _SIZES[vr] == 0
    check = _CHECKS.get(vr)
    return check is not None and (not value or check(vr, value))


def _is_known(tag: int, vr: str) -> bool:
    """Return whether the dictionary gives an element this representation; others may be in need of more than a copy."""
    known = _KNOWN.get(tag)
    if known is None:
        try:
            known = dictionary_VR(tag)
        except KeyError:
            return False
        _KNOWN[tag] = known
    return known == vr


_KNOWN: dict[int, str] = {}


def _is_sound_sequence(value: bytes, depth: int) -> bool:
    """Return whether items and their elements are sound and of defined length."""
    place, end = 0, len(value)
    while place < end:
        if end - place < 8 or value[place : place + 4] != b"\xfe\xff\x00\xe0":
            return False
        (length,) = unpack_from("<L", value, place + 4)
        place += 8
        if length > end - place or not _is_sound_item(value, place, place + length, depth):
            return False
        place += length
    return True


def _is_sound_item(value: bytes, place: int, end: int, depth: int) -> bool:
    before = 0
    while place < end:
        if end - place < 8:
            return False
        group, element, kind, length = unpack_from("<HH2sH", value, place)
        place += 8
        tag, vr = group << 16 | element, kind.decode("latin-1")
        if vr in EXPLICIT_VR_LENGTH_32:
            if end - place < 4:
                return False
            (length,) = unpack_from("<L", value, place)
            place += 4
        # Character sets of their own, group lengths and wrong order are for the decoder.
        if length > end - place or tag <= before or element == 0 or tag == 0x00080005:
            return False
        if not _is_sound(tag, vr, value[place : place + length], depth):
            return False
        before, place = tag, place + length
    return True


def _is_text(vr: str, value: bytes) -> bool:
    return b"\0" not in value and not value.isspace() and len(value) <= _LONGEST.get(vr, len(value))


def _matches(pattern: "re.Pattern[bytes]") -> Callable[[str, bytes], bool]:
    return lambda vr, value: pattern.fullmatch(value) is not None


def _are_decimals(vr: str, value: bytes) -> bool:
    return all(len(part) <= 16 and _DECIMAL.fullmatch(part) for part in value.split(b"\\"))


_CHECKS: dict[str, Callable[[str, bytes], bool]] = {
    **dict.fromkeys(("AE", "AS", "CS", "DT", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), _is_text),
    "DA": _matches(_DATE),
    "TM": _matches(_TIME),
    "IS": _matches(_INTEGERS),
    "DS": _are_decimals,
    "UI": _matches(_UID),
}
