"""What a derived object takes over from its source: everything that still holds, and nothing that does not."""

import re
import struct
from copy import copy, deepcopy
from functools import cache

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from ...errors import InputError
from ..attributes import tag_of, text
from ..instance import Instance
from .raw import is_sound

__all__ = ["copy_header"]

# Elements of the old pixels, of the old file, or of signatures over them.
_NO_LONGER_TRUE = """
    SmallestImagePixelValue LargestImagePixelValue SmallestPixelValueInSeries LargestPixelValueInSeries
    SmallestImagePixelValueInPlane LargestImagePixelValueInPlane PixelPaddingValue PixelPaddingRangeLimit
    RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor BluePaletteColorLookupTableDescriptor
    RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData
    HistogramSequence IconImageSequence PlanarConfiguration ExtendedOffsetTable ExtendedOffsetTableLengths PixelDataProviderURL
    InstanceCreatorUID InstanceCreationDate InstanceCreationTime SourceImageSequence ReferencedWaveformSequence
    DigitalSignaturesSequence MACParametersSequence EncryptedAttributesSequence InstanceOriginStatus
    ConcatenationUID SOPInstanceUIDOfConcatenationSource InConcatenationNumber InConcatenationTotalNumber
    ConcatenationFrameOffsetNumber DataSetTrailingPadding FileSetID
"""
# Curves, overlays and pixels: groups 50xx, 60xx, 7Fxx.
_PICTURE_GROUPS = frozenset([*range(0x5000, 0x5100), *range(0x6000, 0x6100), 0x7FE0])
# Philips PET scanners store counts and give the factors to SUV and Bq/ml only here; they hold while the mean is kept.
_KEPT_PRIVATE = ("Philips PET Private Group", {0x10, 0x1000, 0x1009}, 0x7053)
# What pydicom raises on broken values; NotImplementedError where it knows no converter for a representation.
_UNDECODABLE = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    KeyError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
)
_IDENTIFYING = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_UNCHANGEABLE = (str, bytes, int, float, type(None))
_UID = re.compile(r"[0-9.]{1,64}")


def copy_header(instance: Instance) -> tuple[Dataset, tuple[str, ...]]:
    """Return a copy of the elements that hold for a derived image, and the names of those that cannot be decoded.

    Private elements are left out: vendors keep there what depends on the old pixels (maps, thresholds, positions in
    pixels) and sometimes the patient's real name, which anonymisers miss. The factors of Philips PET scanners stay.

    Parameters
    ----------
    instance : Instance
        The source; its header is not changed.

    Raises
    ------
    InputError
        If one of the identifying UIDs is not a UID.
    """
    for keyword in _IDENTIFYING:
        _check_uid(instance, keyword)
    header, gone = instance.header, _gone()
    kept: dict[BaseTag, DataElement | RawDataElement] = {}
    undecodable = []
    for tag in sorted(header.keys(), key=int):
        if tag in gone or not _holds(header, tag):
            continue
        element = _copied(header, tag)
        # A standard element whose representation stays unknown could not be decoded either.
        if element is not None and (element.VR != "UN" or tag.is_private):
            kept[tag] = element
        else:
            undecodable.append(f"{keyword_for_tag(tag) or 'element'} {tag}")
    return _data_set(kept, header), tuple(undecodable)


def _copied(holder: Dataset, tag: BaseTag) -> DataElement | RawDataElement | None:
    """Return a copy of an element: as it was read where that will do, else decoded, or None where it cannot be."""
    element = holder._dict[tag]  # get_item decodes empty values
    if isinstance(element, RawDataElement) and is_sound(element):
        return element
    try:
        element = holder[tag]
        if element.VR != "SQ":
            return copy(element) if isinstance(element.value, _UNCHANGEABLE) else deepcopy(element)
        items = [_copied_item(item) for item in element.value]
    except _UNDECODABLE:
        return None
    return DataElement(
        tag, "SQ", Sequence(items), is_undefined_length=element.is_undefined_length, already_converted=True
    )


def _copied_item(item: Dataset) -> Dataset:
    """Return a copy of a sequence's item without its private elements.

    Raises
    ------
    ValueError
        If one of its elements cannot be decoded.
    """
    kept: dict[BaseTag, DataElement | RawDataElement] = {}
    for tag, _ in [*item.items()]:
        if tag >> 16 & 1:
            continue
        element = _copied(item, tag)
        if element is None:
            raise ValueError(f"{tag} cannot be decoded")
        kept[tag] = element
    copied = _data_set(kept, item)
    copied.is_undefined_length_sequence_item = item.is_undefined_length_sequence_item
    return copied


def _data_set(elements: dict[BaseTag, DataElement | RawDataElement], source: Dataset) -> Dataset:
    """Return a data set whose undecoded elements are in the character sets of `source`."""
    ds = Dataset(elements)
    ds.set_original_encoding(False, True, source.original_character_set or None)
    return ds


@cache
def _gone() -> frozenset[BaseTag]:
    """Return the tags of what no longer holds."""
    return frozenset(map(tag_of, _NO_LONGER_TRUE.split()))


def _holds(header: Dataset, tag: BaseTag) -> bool:
    """Return whether an element of the source is true of a derived image."""
    if tag >> 16 & 1:
        creator, elements, group = _KEPT_PRIVATE
        reserved = header.get((group, 0x10)) if tag.group == group else None
        return reserved is not None and reserved.value == creator and tag.element in elements
    return tag >> 16 not in _PICTURE_GROUPS


def _check_uid(instance: Instance, keyword: str) -> None:
    """Refuse what is not a UID; leading zeros in a component are wrong too, but scanners write them."""
    value = text(instance.header, keyword)
    if (value or keyword != "FrameOfReferenceUID") and not _UID.fullmatch(value):
        found = f"is {value[:64]!r}, which is not a UID" if value else "is missing"
        raise InputError(f"{instance.path}: {keyword} {found}; repair the file first.")
