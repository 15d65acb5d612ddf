"""Coded entries and units, PS3.16."""

from functools import cache
from typing import Any

from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from ...frames import Units
from ..attributes import tag_of
from .plain import plain_element

__all__ = ["CODES", "UNIT_CODES", "code", "item", "put"]

# (value, scheme, meaning); SNOMED CT replaced the retired SRT codes in 2019.
CODES = {
    "lossy": ("113040", "DCM", "Lossy Compression"),
    "resampling": ("113085", "DCM", "Spatial resampling"),
    "smoothing": ("113087", "DCM", "Smoothing"),
    "reconstruction": ("113963", "DCM", "Iterative Reconstruction"),
    "explanation": ("130401", "DCM", "Visual explanation"),
    "activation": ("130403", "DCM", "Gradient-weighted class activation"),
    "source": ("121322", "DCM", "Source image for image processing operation"),
    "processing": ("109102", "DCM", "Processing Equipment"),
    "recumbent": ("102538003", "SCT", "recumbent"),
    "supine": ("40199007", "SCT", "supine"),
    "prone": ("1240000", "SCT", "prone"),
    "right lateral": ("102535000", "SCT", "right lateral decubitus"),
    "left lateral": ("102536004", "SCT", "left lateral decubitus"),
    "headfirst": ("102540008", "SCT", "headfirst"),
    "feet-first": ("102541007", "SCT", "feet-first"),
}

UNIT_CODES = {
    Units.COUNTS: ("{counts}", "UCUM", "Counts"),
    Units.BECQUEREL_PER_ML: ("Bq/ml", "UCUM", "Becquerels/milliliter"),
    Units.SUV_BODY_WEIGHT: ("g/ml{SUVbw}", "UCUM", "Standardized Uptake Value body weight"),
    Units.HOUNSFIELD: ("[hnsf'U]", "UCUM", "Hounsfield unit"),
    Units.NONE: ("1", "UCUM", "no units"),
}


def code(entry: tuple[str, str, str]) -> Dataset:
    """Return the sequence item of a coded entry (value, scheme, meaning)."""
    ds = Dataset(dict(_coded(entry)))
    ds.set_original_encoding(False, True, default_encoding)
    return ds


def item(**elements: Any) -> Dataset:
    """Return a data set with these elements, by keyword."""
    ds = Dataset()
    ds.set_original_encoding(False, True, default_encoding)
    return put(ds, **elements)


def put(ds: Dataset, **elements: Any) -> Dataset:
    """Set elements by keyword, and return the data set.

    As ``ds.Keyword = value`` does, whose search for the keyword takes longer than all the rest.

    Parameters
    ----------
    ds : Dataset
        Changed in place.
    **elements
        Values; an element that is there already is replaced.

    Examples
    --------
    >>> put(Dataset(), Rows=64).Rows
    64
    """
    for keyword, value in elements.items():
        tag, vr = _described(keyword)
        ds[tag] = plain_element(tag, vr, value) or DataElement(tag, vr, value)
    return ds


@cache
def _described(keyword: str) -> tuple[BaseTag, str]:
    """Return tag and representation of an element; a keyword that PS3.6 does not have is a mistake in this package."""
    tag = tag_of(keyword)
    return tag, dictionary_VR(tag)


@cache
def _coded(entry: tuple[str, str, str]) -> dict[BaseTag, RawDataElement]:
    """Return the elements of a coded entry as bytes, which nobody can change and all items can share."""
    elements = {}
    for keyword, text in zip(("CodeValue", "CodingSchemeDesignator", "CodeMeaning"), entry, strict=True):
        tag, vr = _described(keyword)
        content = text.encode("ascii") + b" " * (len(text) % 2)
        elements[tag] = RawDataElement(tag, vr, len(content), content, 0, False, True)
    return elements
