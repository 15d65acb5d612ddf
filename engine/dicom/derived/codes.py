"""Coded entries and units, PS3.16."""

from typing import Any

from pydicom.dataset import Dataset

from ...frames import Units

__all__ = ["CODES", "UNIT_CODES", "code", "item"]

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
    value, scheme, meaning = entry
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def item(**elements: Any) -> Dataset:
    """Return a data set with these elements, by keyword."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds
