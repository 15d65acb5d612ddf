"""Elements straight from the bytes of Explicit VR Little Endian, where these leave no doubt; all others are pydicom's business.

pydicom reads a file element by element, with a handful of calls for each. Headers of nuclear medicine fit into one block of
memory, in which nearly every element says its own length.
"""

from collections.abc import MutableSequence
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

__all__ = ["Plain", "encodings_of", "plain_elements", "plain_items", "tag_object"]

_UNDEFINED = 0xFFFFFFFF
_GROUP_OF_ITEMS = 0xFFFE
_ITEM = b"\xfe\xff\x00\xe0"
_KNOWN_SETS = 64  # bytes of their names
_HEAD, _LENGTH = Struct("<HH2sH"), Struct("<L")
_NAMES = {vr.value.encode("ascii"): vr.value for vr in VR if len(vr.value) == 2}
_LONG = frozenset(map(str, EXPLICIT_VR_LENGTH_32))

Elements = dict[BaseTag, DataElement | RawDataElement]


class Plain(NamedTuple):
    """What was found in a block of bytes.

    Parameters
    ----------
    elements : dict of BaseTag to RawDataElement
        As pydicom reads them, in the order of the bytes.
    end : int
        Where the first byte lies that belongs to none of them.
    tag, vr, length
        Of the element that begins there; -1, empty and 0 where that is not certain.
    """

    elements: Elements
    end: int
    tag: int = -1
    vr: str = ""
    length: int = 0


def plain_elements(content: bytes, place: int, end: int, groups: range, origin: int = 0) -> Plain:
    r"""Return the elements of some groups that lie one after the other in a block of bytes.

    Parameters
    ----------
    content : bytes
        Part of a data set in Explicit VR Little Endian.
    place, end : int
        Where the first element begins, and where the block ends.
    groups : range
        The element of any other group is the last one to be looked at.
    origin : int
        Where `content` begins in its file.

    References
    ----------
    * PS3.5 section 7.1.2 (data elements with explicit VR).

    Examples
    --------
    >>> found = plain_elements(b"\x28\0\x10\0US\2\0\x40\0", 0, 10, range(8, 0x7FE0))
    >>> [element.value for element in found.elements.values()], found.end
    ([b'@\x00'], 10)
    """
    found: Elements = {}
    while end - place >= _HEAD.size:
        group, element, kind, length = _HEAD.unpack_from(content, place)
        start, vr = place + _HEAD.size, _NAMES.get(kind)
        if vr in _LONG:
            if end - start < _LENGTH.size:
                break
            (length,) = _LENGTH.unpack_from(content, start)
            start += _LENGTH.size
        if group not in groups:
            return Plain(found, place, group << 16 | element, vr or "", length)
        if vr is None or length == _UNDEFINED or length > end - start:
            break
        tag = tag_object(group << 16 | element)
        value = content[start : start + length] if length else empty_value_for_VR(vr, raw=True)
        found[tag] = RawDataElement(tag, vr, length, value, origin + start, False, True)  # type: ignore[arg-type]
        place = start + length
    return Plain(found, place)


def plain_items(content: bytes, encodings: str | MutableSequence[str]) -> list[Dataset] | None:
    """Return the items of a sequence as pydicom reads them; None where pydicom shall do so.

    Parameters
    ----------
    content : bytes
        Value of the sequence, in Explicit VR Little Endian.
    encodings : str or list of str
        Python's names of the character sets of the data set that the sequence is part of.

    References
    ----------
    * PS3.5 section 7.5 (nesting of data sets).
    """
    items, place, end = [], 0, len(content)
    while place < end:
        if end - place < 8 or content[place : place + 4] != _ITEM:
            return None
        (length,) = _LENGTH.unpack_from(content, place + 4)
        place += 8
        if length > end - place:
            return None
        found = plain_elements(content, place, place + length, range(_GROUP_OF_ITEMS))
        place += length
        if found.end != place:
            return None
        item = Dataset(found.elements, parent_encoding=encodings)
        item.set_original_encoding(False, True, encodings_of(found.elements, encodings))
        items.append(item)
    return items


def encodings_of(
    elements: Elements, otherwise: str | MutableSequence[str] = default_encoding
) -> str | MutableSequence[str]:
    """Return Python's names of the character sets that elements are in: those that they name, or others."""
    named = elements.get(_SPECIFIC_CHARACTER_SET)
    if named is None:
        return otherwise
    if isinstance(named, DataElement):
        return convert_encodings(named.value)
    if isinstance(named.value, bytes) and len(named.value) <= _KNOWN_SETS:
        return [*_encodings(named.VR, named.value)]
    return convert_encodings(convert_raw_data_element(named).value)


@lru_cache(maxsize=64)
def _encodings(vr: str | None, value: bytes) -> tuple[str, ...]:
    named = RawDataElement(_SPECIFIC_CHARACTER_SET, vr, len(value), value, 0, False, True)
    return tuple(convert_encodings(convert_raw_data_element(named).value))


@lru_cache(maxsize=4096)  # nobody knows how many private ones there are
def tag_object(number: int) -> BaseTag:
    """Return a tag, mostly the same object each time: others are compared in Python, which takes longer than all else."""
    return BaseTag(number)


_SPECIFIC_CHARACTER_SET = tag_object(0x00080005)
