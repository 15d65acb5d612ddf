"""Coded concepts of analysis results: those of DICOM and SNOMED CT where there are any, else of a scheme of our own."""

import re
import zlib

__all__ = [
    "CONCEPTS",
    "MODALITIES",
    "PERCENT",
    "PRIVATE_SCHEME",
    "PROCEDURES",
    "UNITY",
    "Code",
    "is_view",
    "label_code",
    "private_code",
    "site_code",
]

Code = tuple[str, str, str]  # value, scheme, meaning

PRIVATE_SCHEME = "99PHOTOPEAK"
_LONGEST_VALUE, _LONGEST_MEANING = 16, 64  # of the representations SH and LO, PS3.5 table 6.2-1

UNITY: Code = ("1", "UCUM", "no units")
PERCENT: Code = ("%", "UCUM", "Percent")

CONCEPTS: dict[str, Code] = {
    "activation": ("130403", "DCM", "Gradient-weighted class activation"),
    "centre row": ("centre-row", PRIVATE_SCHEME, "Distance of the centre from the upper edge"),
    "centre column": ("centre-column", PRIVATE_SCHEME, "Distance of the centre from the left edge"),
    "comment": ("121106", "DCM", "Comment"),
    "count": ("246206008", "SCT", "Number of lesions"),
    "diameter": ("81827009", "SCT", "Diameter"),
    "distance": ("domain-distance", PRIVATE_SCHEME, "Distance from the training domain over its limit"),
    "domain": ("training-domain", PRIVATE_SCHEME, "Training domain"),
    "finding": ("121071", "DCM", "Finding"),
    "image view": ("111031", "DCM", "Image View"),
    "mm": ("mm", "UCUM", "mm"),
    "no finding": ("no-finding", PRIVATE_SCHEME, "No finding at or above the threshold"),
    "outline": ("75958009", "SCT", "Bounded by"),
    "probability": ("122157", "DCM", "Probability"),
    "threshold": ("122411", "DCM", "Threshold Value"),
    "time point": ("C2348792", "UMLS", "Time Point"),
    "validity": ("validity", PRIVATE_SCHEME, "Validity"),
    "valid": ("valid", PRIVATE_SCHEME, "inside what the model was trained for"),
    "not valid": ("not-valid", PRIVATE_SCHEME, "not valid for this image"),
    "inside": ("inside", PRIVATE_SCHEME, "inside the training domain"),
    "border": ("border", PRIVATE_SCHEME, "at the border of the training domain"),
    "outside": ("outside", PRIVATE_SCHEME, "outside the training domain"),
}

# Labels of models by what they mean; what is not here gets a code of our own.
_LESION: Code = ("52988006", "SCT", "Lesion")
_LABELS: dict[str, Code] = {
    "lesion": _LESION,
    "parathyroid": _LESION,
    "parathyroid lesion": _LESION,
    "parathyroid adenoma": ("1187375007", "SCT", "Adenoma"),
    "adenoma": ("1187375007", "SCT", "Adenoma"),
    "normal": ("17621005", "SCT", "Normal"),
    "trauma": ("417746004", "SCT", "Traumatic injury"),
    "metastasis": ("94222008", "SCT", "Bony metastasis"),
}
# Which way the beam went is a property of the image, not a finding in it.
_VIEWS: dict[str, Code] = {
    "ap": ("399348003", "SCT", "antero-posterior"),
    "pa": ("272479007", "SCT", "postero-anterior"),
    "lateral": ("399067008", "SCT", "lateral"),
}
# Where models look, by the beginning of their names.
_SITES: dict[str, Code] = {
    "parathyroid": ("111002", "SCT", "Parathyroid"),
    "bone": ("113197003", "SCT", "Rib"),
    "cxr": ("816094009", "SCT", "Chest"),
}

# Context groups 29 and 33: the code of a modality is its defined term.
MODALITIES: dict[str, str] = {
    "CR": "Computed Radiography",
    "CT": "Computed Tomography",
    "DX": "Digital Radiography",
    "MR": "Magnetic Resonance",
    "NM": "Nuclear Medicine",
    "OT": "Other Modality",
    "PT": "Positron emission tomography",
    "RF": "Radiofluoroscopy",
    "RG": "Radiographic imaging",
    "XA": "X-Ray Angiography",
}
# Context group 100.
_X_RAY: Code = ("43468-8", "LN", "XR unspecified body region")
PROCEDURES: dict[str, Code] = {
    "CR": _X_RAY,
    "CT": ("25045-6", "LN", "CT unspecified body region"),
    "DX": _X_RAY,
    "MR": ("25056-3", "LN", "MRI unspecified body region"),
    "NM": ("49118-3", "LN", "NM unspecified body region"),
    "OT": ("363679005", "SCT", "Imaging procedure"),
    "PT": ("44136-0", "LN", "PET unspecified body region"),
    "RF": _X_RAY,
    "RG": _X_RAY,
    "XA": _X_RAY,
}


def private_code(meaning: str) -> Code:
    """Return a code of our own scheme for words that no standard scheme has.

    A value that would be longer than fits ends in a checksum, so that two of one beginning stay two.

    Examples
    --------
    >>> private_code("left lung"), private_code("Probability of trauma")
    (('left-lung', '99PHOTOPEAK', 'left lung'), ('probabi-ffdb39ed', '99PHOTOPEAK', 'Probability of trauma'))
    """
    value = re.sub(r"[^a-z0-9]+", "-", meaning.lower()).strip("-") or "unnamed"
    if len(value) > _LONGEST_VALUE:
        value = f"{value[: _LONGEST_VALUE - 9]}-{zlib.crc32(meaning.encode()):08x}"
    return value, PRIVATE_SCHEME, meaning[:_LONGEST_MEANING]


def label_code(label: str) -> Code:
    """Return the code of a model's label.

    Examples
    --------
    >>> label_code("metastasis")
    ('94222008', 'SCT', 'Bony metastasis')
    >>> label_code("AP")
    ('399348003', 'SCT', 'antero-posterior')
    """
    words = _words(label)
    return _LABELS.get(words) or _VIEWS.get(words) or private_code(label)


def is_view(code: Code) -> bool:
    """Return whether a code is that of a projection rather than of a finding."""
    return code in _VIEWS.values()


def site_code(model: str) -> Code | None:
    """Return the part of the body that a model looks at, by its name; None for models that are not known."""
    return next((site for start, site in _SITES.items() if model.startswith(start)), None)


def _words(label: str) -> str:
    return label.replace("-", " ").replace("_", " ").strip().lower()
