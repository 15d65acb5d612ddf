"""Mending what sources get wrong where the right value is certain, so that what is derived from them is valid."""

from functools import cache

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import PositronEmissionTomographyImageStorage

from ..attributes import drop, glance, has, text
from .codes import CODES, code, put
from .magnify import decimals

__all__ = ["repair"]

# Type 2 in every image, PS3.3 C.7: present, empty when unknown.
_TYPE_2 = """
    PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber
    SeriesNumber Manufacturer InstanceNumber
"""
_TYPE_2_OF_PET = """
    AcquisitionDate AcquisitionTime ActualFrameDuration CollimatorType CorrectedImage
    RadiopharmaceuticalInformationSequence PatientOrientationCodeSequence PatientGantryRelationshipCodeSequence
"""
# Body parts without a left and a right, PS3.16 annex L: Laterality must be absent there; for all others it must be
# there, empty when unknown.
_UNPAIRED = """
    ABDOMEN ABDOMENPELVIS AORTA BACK BLADDER BRAIN CEREBELLUM CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS
    COCCYX COLON CORONARYARTERY CSPINE CTSPINE DUODENUM ESOPHAGUS FACE GALLBLADDER HEAD HEADNECK HEART ILEUM ILIUM JAW
    JEJUNUM LARYNX LIVER LSPINE LSSPINE MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE
    PANCREAS PELVIS PENIS PHARYNX PROSTATE RECTUM SCALP SKULL SPINE SPLEEN SSPINE STERNUM STOMACH THYMUS THYROID TLSPINE
    TONGUE TRACHEA TSPINE URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY
"""
# Optional sequences that may be left out but not be empty.
_NOT_EMPTY = (
    "RadiopharmaceuticalCodeSequence",
    "ViewCodeSequence",
    "PatientOrientationModifierCodeSequence",
)
# Patient Position (0018,5100) in codes, for the modalities that use codes instead: gantry, then how the patient lies.
_GANTRY = {"HF": "headfirst", "FF": "feet-first"}
_LYING = {"S": "supine", "P": "prone", "DR": "right lateral", "DL": "left lateral"}

# Longest values of names for people; identifiers are never cut, as others refer to them.
_LONGEST = {"SH": 16, "LO": 64}
_IDENTIFIERS = ("ID", "IDs", "UID", "Number", "Value", "Designator", "Version")
_DAY_ONE = "00010101"  # where the calendars of some libraries begin

_ONLY_IN_PET = {
    "DYNAMIC": ("NumberOfTimeSlices",),
    "GATED": ("NumberOfRRIntervals", "NumberOfTimeSlots", "TriggerTime", "FrameTime", "LowRRValue", "HighRRValue"),
}


def repair(ds: Dataset) -> None:
    """Fill missing Type 2 elements and settle contradictions.

    Parameters
    ----------
    ds : Dataset
        Derived image; changed in place.

    References
    ----------
    * PS3.3 C.7.3.1.1.2 (patient position), C.8.4.6 (NM/PET patient orientation).
    """
    is_pet = text(ds, "SOPClassUID") == PositronEmissionTomographyImageStorage
    for keyword in _names(_TYPE_2) + (_names(_TYPE_2_OF_PET) if is_pet else ()):
        if not has(ds, keyword):
            put(ds, **{keyword: [] if keyword.endswith("Sequence") else None})
    if has(ds, "FrameOfReferenceUID") and not has(ds, "PositionReferenceIndicator"):
        put(ds, PositionReferenceIndicator=None)
    if text(ds, "Modality") in ("NM", "PT"):
        _settle_orientation(ds)
    _settle_laterality(ds)
    _settle_conditions(ds)
    _mend(ds)


@cache
def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def _settle_orientation(ds: Dataset) -> None:
    """Let codes say how the patient lies: Patient Position must not stand beside them."""
    position = text(ds, "PatientPosition")
    gantry, lying = _GANTRY.get(position[:2]), _LYING.get(position[2:])
    if not glance(ds, "PatientOrientationCodeSequence") and gantry and lying:
        orientation = code(CODES["recumbent"])
        orientation.PatientOrientationModifierCodeSequence = [code(CODES[lying])]
        ds.PatientOrientationCodeSequence = [orientation]
        ds.PatientGantryRelationshipCodeSequence = [code(CODES[gantry])]
    if has(ds, "PatientOrientationCodeSequence"):
        drop(ds, "PatientPosition")


def _settle_laterality(ds: Dataset) -> None:
    """Spell body parts as the standard does; let an unknown side be there only where there are sides."""
    part = text(ds, "BodyPartExamined")
    spelled = part.upper().replace(" ", "")
    if part != spelled and spelled in _names(_UNPAIRED):
        part = ds.BodyPartExamined = spelled
    if not part and text(ds, "ImageType").split("\\")[2:3] == ["WHOLE BODY"]:
        part = ds.BodyPartExamined = "WHOLEBODY"
    elsewhere = ("ImageLaterality", "SharedFunctionalGroupsSequence")
    if part in _names(_UNPAIRED) or any(has(ds, keyword) for keyword in elsewhere):
        if not text(ds, "Laterality"):
            drop(ds, "Laterality")
    elif not has(ds, "Laterality"):
        put(ds, Laterality=None)


def _settle_conditions(ds: Dataset) -> None:
    """Leave out what PET slices may have only in dynamic or gated series."""
    if text(ds, "SOPClassUID") != PositronEmissionTomographyImageStorage:
        return
    kind = text(ds, "SeriesType").split("\\")[0]
    for condition, keywords in _ONLY_IN_PET.items():
        if kind != condition:
            drop(ds, *keywords)


def _mend(ds: Dataset) -> None:
    """Rewrite values in forms that were never allowed, or no longer are, and drop sequences that must not be empty."""
    for keyword in _NOT_EMPTY:
        if has(ds, keyword) and not glance(ds, keyword):
            drop(ds, keyword)
    for element in [*ds.values()]:
        if isinstance(element, RawDataElement):  # taken over because nothing in it needs mending
            continue
        if element.VR == "SQ":
            for inner in element.value:
                _mend(inner)
        elif element.VR == "DS" and element.value is not None:
            _mend_decimals(element)
        elif element.VR in ("DA", "TM") and isinstance(element.value, str):
            _mend_time(element)
        elif element.VR in _LONGEST and isinstance(element.value, str) and not _identifies(element):
            element.value = element.value[: _LONGEST[element.VR]].rstrip()


def _identifies(element: DataElement) -> bool:
    return element.keyword != "ImageID" and element.keyword.endswith(_IDENTIFIERS)


def _mend_time(element: DataElement) -> None:
    """Rewrite dates and times of ACR-NEMA (1993.11.24, 09:53:00); no date at all stands for an unknown one."""
    mended = element.value.replace("." if element.VR == "DA" else ":", "")
    if element.VR == "DA" and (not mended.strip("0") or mended == _DAY_ONE):
        mended = ""
    if mended != element.value:
        element.value = mended


def _mend_decimals(element: DataElement) -> None:
    """Round decimal strings that are longer than the 16 characters that fit."""
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    if any(len(str(value)) > 16 for value in values):
        element.value = decimals(values)
