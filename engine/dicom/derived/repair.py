"""Mending what sources get wrong, where the right value is certain: so that a derived object is valid although its source is not."""

from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from ..attributes import items, text
from .codes import CODES, code

__all__ = ["repair"]

# Type 2 in every image, PS3.3 C.7: present, empty when unknown.
_TYPE_2 = """
    PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber
    SeriesNumber Manufacturer InstanceNumber
"""
# Body parts without a left and a right, PS3.16 annex L: Laterality must be absent there; for all others it must be there, empty
# when unknown.
_UNPAIRED = """
    ABDOMEN ABDOMENPELVIS AORTA BACK BLADDER BRAIN CEREBELLUM CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS COCCYX
    COLON CORONARYARTERY CSPINE CTSPINE DUODENUM ESOPHAGUS FACE GALLBLADDER HEAD HEADNECK HEART ILEUM ILIUM JAW JEJUNUM LARYNX
    LIVER LSPINE LSSPINE MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE PANCREAS PELVIS PENIS
    PHARYNX PROSTATE RECTUM SCALP SKULL SPINE SPLEEN SSPINE STERNUM STOMACH THYMUS THYROID TLSPINE TONGUE TRACHEA TSPINE URETER
    URETHRA UTERUS VAGINA VULVA WHOLEBODY
"""
# Optional sequences that may be left out but not be empty.
_NOT_EMPTY = (
    "RadiopharmaceuticalCodeSequence",
    "ViewCodeSequence",
    "RadionuclideCodeSequence",
    "PatientOrientationModifierCodeSequence",
)
# Patient Position (0018,5100) in codes, for the modalities that use codes instead: gantry, then how the patient lies.
_GANTRY = {"HF": "headfirst", "FF": "feet-first"}
_LYING = {"S": "supine", "P": "prone", "DR": "right lateral", "DL": "left lateral"}

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
    for keyword in _TYPE_2.split():
        if keyword not in ds:
            setattr(ds, keyword, None)
    if ds.Modality in ("NM", "PT"):
        _settle_orientation(ds)
    _settle_laterality(ds)
    _settle_conditions(ds)
    _mend_dates(ds)
    _drop_empty(ds)


def _settle_orientation(ds: Dataset) -> None:
    """Let codes say how the patient lies: Patient Position must not stand beside them."""
    position = text(ds, "PatientPosition")
    gantry, lying = _GANTRY.get(position[:2]), _LYING.get(position[2:])
    if not items(ds, "PatientOrientationCodeSequence") and gantry and lying:
        orientation = code(CODES["recumbent"])
        orientation.PatientOrientationModifierCodeSequence = [code(CODES[lying])]
        ds.PatientOrientationCodeSequence = [orientation]
        ds.PatientGantryRelationshipCodeSequence = [code(CODES[gantry])]
    if "PatientOrientationCodeSequence" in ds:
        ds.pop("PatientPosition", None)


def _settle_laterality(ds: Dataset) -> None:
    """Spell body parts as the standard does; let an unknown side be there only where there are sides."""
    part = text(ds, "BodyPartExamined")
    spelled = part.upper().replace(" ", "")
    if part != spelled and spelled in _UNPAIRED.split():
        part = ds.BodyPartExamined = spelled
    if not part and text(ds, "ImageType").split("\\")[2:3] == ["WHOLE BODY"]:
        part = ds.BodyPartExamined = "WHOLEBODY"
    elsewhere = ("ImageLaterality", "SharedFunctionalGroupsSequence")
    if part in _UNPAIRED.split() or any(keyword in ds for keyword in elsewhere):
        if not text(ds, "Laterality"):
            ds.pop("Laterality", None)
    elif "Laterality" not in ds:
        ds.Laterality = None


def _settle_conditions(ds: Dataset) -> None:
    """Leave out what PET slices may have only in dynamic or gated series."""
    if ds.SOPClassUID != PositronEmissionTomographyImageStorage:
        return
    kind = text(ds, "SeriesType").split("\\")[0]
    for condition, keywords in _ONLY_IN_PET.items():
        for keyword in keywords if kind != condition else ():
            ds.pop(keyword, None)


def _mend_dates(ds: Dataset) -> None:
    """Rewrite dates and times of ACR-NEMA (1993.11.24, 09:53:00) and empty those of zeros."""
    for element in ds:
        if element.VR == "DA" and isinstance(element.value, str):
            mended = element.value.replace(".", "")
            element.value = "" if set(mended) == {"0"} else mended
        elif element.VR == "TM" and isinstance(element.value, str):
            element.value = element.value.replace(":", "")


def _drop_empty(ds: Dataset) -> None:
    for keyword in _NOT_EMPTY:
        if keyword in ds and not items(ds, keyword):
            delattr(ds, keyword)
    for element in ds:
        if element.VR == "SQ":
            for inner in element.value:
                _drop_empty(inner)
