"""Elements as bytes from the start, where pydicom would write the same: nothing is converted, validated and looked up twice."""

import re
from collections.abc import Callable
from struct import error, pack
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.valuerep import DSfloat

from .raw import is_sound

__all__ = ["plain_element"]

# Characters that have the same codes in all character sets of DICOM, and that separate no values.
_SAFE = re.compile(r"[ -\[\]-}]+")
# Of the others pydicom has None for no value.
_EMPTY_AS_BYTES = frozenset(
    ["AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "SQ", "ST", "TM", "UC", "UI", "UR", "UT"]
)
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FD": "d"}


def plain_element(tag: BaseTag, vr: str, value: Any) -> RawDataElement | None:
    r"""Return an element with its value encoded; None where pydicom shall do so.

    Parameters
    ----------
    tag : BaseTag
        Its tag.
    vr : str
        The representation that the dictionary gives it.
    value : object
        One value or a list of them; None, an empty string or list for no value.

    Examples
    --------
    >>> from pydicom.tag import Tag
    >>> plain_element(Tag("ImageType"), "CS", ["DERIVED", "STATIC"]).value
    b'DERIVED\\STATIC'
    """
    if value is None or (isinstance(value, str | list) and not value):
        return RawDataElement(tag, vr, 0, b"", 0, False, True) if vr in _EMPTY_AS_BYTES else None
    encode = _ENCODERS.get(vr)
    content = encode(vr, value if isinstance(value, list) else [value]) if encode else None
    if content is None:
        return None
    if len(content) % 2:
        content += b"\0" if vr == "UI" else b" "
    found = RawDataElement(tag, vr, len(content), content, 0, False, True)
    return found if is_sound(found) else None


def _words(vr: str, values: list[Any]) -> bytes | None:
    if not all(isinstance(value, str) and _SAFE.fullmatch(value) for value in values):
        return None
    return "\\".join(values).encode("ascii")


def _integers(vr: str, values: list[Any]) -> bytes | None:
    if not all(type(value) is int for value in values):
        return None
    return "\\".join(map(str, values)).encode("ascii")


def _decimals(vr: str, values: list[Any]) -> bytes | None:
    if not all(isinstance(value, DSfloat) for value in values):
        return None
    return "\\".join(getattr(value, "original_string", None) or str(value) for value in values).encode("ascii")


def _binary(vr: str, values: list[Any]) -> bytes | None:
    if not all(type(value) in (int, float) for value in values):
        return None
    try:
        return pack(f"<{len(values)}{_NUMBERS[vr]}", *values)
    except error:
        return None


def _tags(vr: str, values: list[Any]) -> bytes | None:
    if not all(isinstance(value, BaseTag) for value in values):
        return None
    return b"".join(pack("<HH", value >> 16, value & 0xFFFF) for value in values)


_ENCODERS: dict[str, Callable[[str, list[Any]], bytes | None]] = {
    **dict.fromkeys(("CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UI"), _words),
    **dict.fromkeys(_NUMBERS, _binary),
    "IS": _integers,
    "DS": _decimals,
    "AT": _tags,
}
