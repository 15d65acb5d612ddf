"""Provenance of multi-frame objects whose frames are described by functional groups."""

from pydicom.dataset import Dataset

from ..attributes import items
from ..instance import Instance
from .codes import CODES, code, item
from .derivation import Derivation, sop_reference, source_reference, uid_element

__all__ = ["derive_frames"]


def derive_frames(ds: Dataset, source: Instance, derivation: Derivation) -> None:
    """Let every frame name the frame it is derived from, and mark frame types as derived.

    Content Qualification becomes RESEARCH: nobody has cleared the model for clinical use.

    Parameters
    ----------
    ds : Dataset
        Object with Per-Frame Functional Groups; changed in place.
    source : Instance
        The object it is derived from.
    derivation : Derivation
        What was done.

    References
    ----------
    * PS3.3 C.7.6.16.2.6 (derivation image), C.8.16.1 (image and frame type).
    """
    _mark_derived(ds, "ImageType", derivation.scale)
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in items(ds, groups):
            group.pop("DerivationImageSequence", None)
            for element in group:
                if element.VR == "SQ":
                    for inner in element.value:
                        _mark_derived(inner, "FrameType", derivation.scale)
    for number, group in enumerate(items(ds, "PerFrameFunctionalGroupsSequence"), start=1):
        step = item(
            DerivationDescription=ds.DerivationDescription,
            DerivationCodeSequence=[code(CODES[derivation.code])],
            SourceImageSequence=[source_reference(source, derivation, [number])],
        )
        group.DerivationImageSequence = [step]
    ds.SourceImageEvidenceSequence = [_evidence(source)]
    ds.ContentQualification = "RESEARCH"
    if "PresentationLUTShape" not in ds:
        ds.PresentationLUTShape = "IDENTITY"


def _mark_derived(holder: Dataset, keyword: str, scale: int) -> None:
    """Set value 1 to DERIVED; value 4, derived pixel contrast, has a term for magnified images, none for denoised."""
    if keyword not in holder:
        return
    values = list(holder[keyword].value)
    if len(values) == 4 and values[3] == "NONE" and scale > 1:
        values[3] = "RESAMPLED"
    setattr(holder, keyword, ["DERIVED", *values[1:]])


def _evidence(source: Instance) -> Dataset:
    """Return the study, series and object that the frames come from."""
    header = source.header
    reference = sop_reference(source)
    series = item(ReferencedSOPSequence=[reference])
    series.add(uid_element("SeriesInstanceUID", header.SeriesInstanceUID))
    evidence = item(ReferencedSeriesSequence=[series])
    evidence.add(uid_element("StudyInstanceUID", header.StudyInstanceUID))
    return evidence
