"""Values of Data Elements, checked: what a header says, or an InputError that names the tag."""

import math
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_description, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as SequenceOfItems
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import DT

from ..errors import InputError
from .elements import plain_items, tag_object
from .instance import Instance
from .quick import quick_numbers, quick_value

# A value list longer than this is an attack: the longest honest one is a frame vector of 65535 unsigned shorts.
_LONGEST_VALUE = 1 << 18
_MOST_ITEMS = 500_000
# Never changed: what is made for a glance costs more than the glance.
_NOTHING = Dataset()
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")


@cache
def tag_of(keyword: str) -> BaseTag:
    """Return the tag of a keyword; one that PS3.6 does not have is a mistake in this package."""
    return tag_object(int(Tag(keyword)))  # of a BaseTag it would be another object than a header holds


def tag_name(keyword: str) -> str:
    """Return name and tag of an element, such as ``Rows (0028,0010)``."""
    tag = tag_of(keyword)
    return f"{dictionary_description(tag)} {str(tag).replace(' ', '')}"


def has(ds: Dataset, keyword: str) -> bool:
    """Return whether an element is there, as ``keyword in ds`` does, without its search for the keyword."""
    return tag_of(keyword) in ds._dict


def drop(ds: Dataset, *keywords: str) -> None:
    """Take elements out of a data set, those that are there."""
    for keyword in keywords:
        ds._dict.pop(tag_of(keyword), None)


def value(ds: Dataset, keyword: str) -> Any:
    """Return an element's value; None when absent or empty.

    Raises
    ------
    InputError
        If the value cannot be decoded or is absurdly long.
    """
    tag = tag_of(keyword)
    try:
        element = ds._dict.get(tag)  # get_item decodes empty values
        if isinstance(element, RawDataElement):
            if element.length == 0:
                return None
            quick = quick_value(element)
            if quick is not None:
                return quick
            _check_size(keyword, element.value)
            element = ds[tag]
        found = None if element is None else element.value
    except (InputError, RecursionError):
        raise
    except Exception as error:
        raise InputError(f"{tag_name(keyword)} cannot be decoded; correct the header.") from error
    return None if found is None or (isinstance(found, str) and not found.strip()) else found


def text(ds: Dataset, keyword: str) -> str:
    """Return an element as text without padding; several values are joined by a backslash, absent ones give ``""``."""
    found = value(ds, keyword)
    if found is None:
        return ""
    parts = [found] if isinstance(found, str | bytes) or not isinstance(found, Sequence) else found
    return "\\".join(str(part).strip(" \0") for part in parts)


def numbers(ds: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return `count` finite numbers; None when the element is absent or empty.

    Raises
    ------
    InputError
        If there are more or fewer, or one is not a finite number.
    """
    found = quick_numbers(ds._dict.get(tag_of(keyword)))
    if found is None:
        found = value(ds, keyword)
    if found is None:
        return None
    parts = [found] if isinstance(found, str | bytes) or not isinstance(found, Sequence) else list(found)
    if not parts:
        return None
    try:
        result = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        result = ()
    if len(result) != count or not all(map(math.isfinite, result)):
        raise InputError(f"{tag_name(keyword)} should be {count} number(s); correct the header.")
    return result


def number(ds: Dataset, keyword: str) -> float | None:
    """Return one finite number; None when the element is absent or empty."""
    found = numbers(ds, keyword, 1)
    return None if found is None else found[0]


def integer(ds: Dataset, keyword: str) -> int | None:
    """Return one integer whose VR is an integer one; None when the element is absent or empty."""
    found = value(ds, keyword)
    if found is None:
        return None
    if not isinstance(found, int):
        raise InputError(f"{tag_name(keyword)} is not one whole number; correct the header.")
    return int(found)


def integers(ds: Dataset, keyword: str) -> tuple[int, ...]:
    """Return a vector of integers, empty when the element is absent."""
    found = value(ds, keyword)
    if found is None:
        return ()
    parts = [found] if isinstance(found, int | str | bytes) or not isinstance(found, Sequence) else list(found)
    if not all(isinstance(part, int) for part in parts):
        raise InputError(f"{tag_name(keyword)} is not a list of whole numbers; correct the header.")
    return tuple(int(part) for part in parts)


def items(ds: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence, empty when it is absent."""
    found = value(ds, keyword)
    if found is None:
        return ()
    if not isinstance(found, SequenceOfItems):  # which holds nothing but data sets
        raise InputError(f"{tag_name(keyword)} is not a sequence; correct the header.")
    return found


def glance(ds: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence to be read and never changed, empty when it is absent.

    The sequence itself stays undecoded, so that a derived object can take it over as it is.
    """
    element = ds._dict.get(tag_of(keyword))
    if isinstance(element, RawDataElement) and element.value and _is_plain_sequence(element):
        _check_size(keyword, element.value)
        found = plain_items(element.value, ds.original_character_set or ds._character_set)
        if found is not None:
            return found
    return items(ds, keyword)


def first_glance(ds: Dataset, keyword: str) -> Dataset:
    """Return the first item of a sequence to be read and never changed, an empty data set when there is none."""
    found = glance(ds, keyword)
    return found[0] if found else _NOTHING


def first(ds: Dataset, keyword: str) -> Dataset:
    """Return the first item of a sequence, an empty data set when there is none."""
    found = items(ds, keyword)
    return found[0] if found else Dataset()


def moment(ds: Dataset, date: str, time: str = "", zone: str = "") -> datetime | None:
    """Return the point in time that a date and a time element, or one date-time element, give; None when not given.

    A date-time with an offset from UTC is brought to `zone`, such as ``+0900``, the object's own. Without `zone` its offset
    is dropped: times of one study come from one clock.
    """
    # ACR-NEMA wrote 1993.11.24 and 09:53:00.
    stamp = text(ds, date).replace(".", "") if time else text(ds, date)
    if time:
        clock = text(ds, time).replace(":", "")
        stamp = f"{stamp}{clock}" if stamp and clock else ""
    if not stamp:
        return None
    try:
        found = DT(stamp)
        if found.tzinfo is not None and zone:
            found = found.astimezone(datetime.strptime(zone, "%z").tzinfo)
        return found.replace(tzinfo=None)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{tag_name(date)} holds no valid time; correct the header.") from error


def is_lossy(instance: Instance) -> bool:
    """Return whether the object says that it went through lossy compression.

    References
    ----------
    * PS3.3 C.7.6.1.1.5: Lossy Image Compression (0028,2110) is ``01``, and stays so after decompression.
    """
    return text(instance.header, "LossyImageCompression") == "01"


def _is_plain_sequence(raw: RawDataElement) -> bool:
    return raw.VR == "SQ" and raw.is_little_endian and not raw.is_implicit_VR


def _check_size(keyword: str, encoded: object) -> None:
    """Refuse an element that would take far more memory decoded than encoded; sequences are counted by their items."""
    if not isinstance(encoded, bytes) or len(encoded) <= _LONGEST_VALUE:
        return
    if dictionary_VR(tag_of(keyword)) != "SQ":
        raise InputError(f"{tag_name(keyword)} is {len(encoded)} bytes long; the file is damaged or hostile.")
    if max(map(encoded.count, _ITEM_TAGS)) > _MOST_ITEMS:
        raise InputError(f"{tag_name(keyword)} has over {_MOST_ITEMS} items; the file is hostile.")
