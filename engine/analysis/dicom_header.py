"""What the DICOM objects of one analysis share: the images they came from, the model, the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version

from pydicom.dataset import Dataset

from ..dicom.attributes import text
from ..dicom.derived.codes import CODES, code
from ..dicom.derived.derivation import Derivation, sop_reference, stamp
from ..dicom.derived.header import copy_header
from ..dicom.derived.repair import repair
from ..dicom.instance import Instance
from ..errors import InputError
from ..reconstruction.dicom_header import GENERAL_MODULES
from ..result import DomainVerdict
from .result import NOT_VALID, AnalysisResult

__all__ = ["Origin", "Place", "adopt", "as_evidence", "head", "origin_of", "verdict_sentence"]

# Of the source's scanner; the objects here are made by this program.
_OF_SCANNER = "StationName ManufacturerModelName DeviceSerialNumber SoftwareVersions InstitutionalDepartmentName"
# What highdicom copies into its objects, and refuses to where real headers hold what the standard does not allow.
_COPIED = """
    PatientID PatientName PatientBirthDate PatientSex AccessionNumber StudyID StudyDate StudyTime ReferringPhysicianName
"""
_IDENTITY = "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality Rows Columns"
_GEOMETRY = """
    FrameOfReferenceUID PositionReferenceIndicator ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness
    SpacingBetweenSlices
"""
# Of images of one frame or kind, which reports and maps are not.
_OF_IMAGES = """
    LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod AcquisitionDate AcquisitionTime
    DerivationDescription DerivationCodeSequence SourceImageSequence ImageComments AnatomicRegionSequence
"""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One frame of one object.

    Parameters
    ----------
    instance : Instance
        The object.
    number : int
        Number of the frame in it, from 1.
    channel : str
        Name of the phase; empty for models of one image.
    rank : int
        Index of the phase among the result's sources.
    """

    instance: Instance
    number: int
    channel: str = ""
    rank: int = 0

    @property
    def frame_numbers(self) -> list[int] | None:
        """Frame number for references; None for objects of one frame, which must not have one."""
        return [self.number] if int(self.instance.header.get("NumberOfFrames") or 1) > 1 else None


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where the objects of an analysis come from.

    Parameters
    ----------
    frames : tuple of tuple of Place
        For each frame of the result the places it came from, that of the reference first.
    derivation : Derivation
        What was done.
    """

    frames: tuple[tuple[Place, ...], ...]
    derivation: Derivation

    @property
    def places(self) -> tuple[Place, ...]:
        """Each object once, those of the reference first."""
        ordered = [place for rank in range(len(self.frames[0])) for places in self.frames for place in [places[rank]]]
        return tuple({place.instance.sop_instance_uid: place for place in reversed(ordered)}.values())[::-1]


def origin_of(result: AnalysisResult) -> Origin:
    """Return what the objects of a result say about where they come from.

    Raises
    ------
    InputError
        If an image has no DICOM header, or phases are of different patients.
    """
    present = [i for i, source in enumerate(result.sources) if source is not None]
    order = sorted(present, key=lambda i: i != result.reference_channel)
    frames = tuple(tuple(_place(result, channel, i) for channel in order) for i in range(len(result)))
    patients = {text(place.instance.header, "PatientID") for places in frames for place in places}
    if len(patients) > 1:
        names = ", ".join(source.source for source in result.sources if source is not None)
        raise InputError(f"{names}: the images are of different patients; give phases of one.")
    return Origin(frames, _derivation(result))


def _place(result: AnalysisResult, channel: int, index: int) -> Place:
    """Return where a frame of a channel came from."""
    source = result.sources[channel]
    if source is None or not source.instances:
        name = "an absent phase" if source is None else source.source
        raise InputError(f"{name}: has no DICOM header, so that nothing says whose findings these are.")
    info = source.info[index]
    name = result.channels[channel] if result.channels else ""
    return Place(source.instances[info.instance], info.number, name, channel)


def _derivation(result: AnalysisResult) -> Derivation:
    manifest, plan = result.bundle.manifest, result.plan
    found = "AI detection" if result.probabilities is None else "AI classification"
    summary = (
        f"{found} by {manifest.name} {manifest.version} (SHA-256 {result.bundle.digest[:16]}), photopeak "
        f"{version('photopeak')}, {plan.arithmetic}. Not for diagnosis."
    )
    verdicts = dict.fromkeys(verdict_sentence(one) for one in result.domains if one.verdict != "inside")
    if not result.valid:
        verdicts = {f"Findings are {NOT_VALID}.": None, **verdicts}
    return Derivation(
        model=manifest.name,
        version=manifest.version,
        digest=result.bundle.digest,
        action=found,
        label=f"{'' if result.valid else 'NOT VALID: '}{found} {manifest.name} {manifest.version}",
        code="explanation",
        scale=1,
        summary=summary,
        findings=(*verdicts, *result.warnings),
        moment=datetime.now(UTC),
    )


def verdict_sentence(verdict: DomainVerdict) -> str:
    """Return the verdict on a frame as one sentence.

    Examples
    --------
    >>> import numpy as np
    >>> verdict_sentence(DomainVerdict("border", np.array([4.0]), (3.0, 5.0), ("the counts are low",)))
    'The image is at the border of the training domain (the counts are low).'
    """
    where = {
        "inside": "inside the training domain",
        "border": "at the border of the training domain",
        "outside": f"OUTSIDE the training domain: findings are {NOT_VALID}",
    }[verdict.verdict]
    reasons = "; ".join(reason.strip().rstrip(".") for reason in verdict.reasons)
    return f"The image is {where}{f' ({reasons})' if reasons else ''}."


def head(origin: Origin, places: Sequence[Place], what: str, series_uid: str, remarks: Sequence[str]) -> Dataset:
    """Return the general modules of a new object in a series of its own.

    Parameters
    ----------
    origin : Origin
        Where it comes from.
    places : sequence of Place
        The frames that it shows; header modules are those of the first.
    what : str
        What the series holds, such as ``overlay``.
    series_uid : str
        Series Instance UID (0020,000E) of the new series.
    remarks : sequence of str
        Sentences about this object.

    References
    ----------
    * PS3.3 C.7.1 to C.7.6.1 (patient, study, series, equipment, general image), C.12.4 (general reference).
    """
    source = places[0].instance
    copied, _ = copy_header(source)
    ds = Dataset()
    for keyword in GENERAL_MODULES.split():
        if keyword in copied:
            ds.add(copied[keyword])
    label = f"{origin.derivation.label} {what}"
    stamp(ds, source, replace(origin.derivation, label=label), series_uid, remarks)
    ds.SourceImageSequence = [_reference(place) for place in places]
    ds.SpecificCharacterSet = "ISO_IR 192"  # the source's need not hold what is said here
    ds.InstanceNumber = 1
    ds.SeriesDate, ds.SeriesTime = ds.InstanceCreationDate, ds.InstanceCreationTime
    ds.ContentDate, ds.ContentTime = ds.InstanceCreationDate, ds.InstanceCreationTime
    for keyword in _OF_SCANNER.split():
        ds.pop(keyword, None)
    ds.Manufacturer, ds.ManufacturerModelName = "Photopeak", origin.derivation.model
    ds.SoftwareVersions = [
        f"photopeak {version('photopeak')}",
        f"{origin.derivation.model} {origin.derivation.version}",
    ]
    ds.DeviceSerialNumber = origin.derivation.digest[:16]
    return ds


def as_evidence(instance: Instance) -> Dataset:
    """Return what highdicom needs to know of an object; whose it is, :func:`adopt` says."""
    copied, _ = copy_header(instance)
    ds = Dataset()
    for keyword in f"{_IDENTITY} {_GEOMETRY}".split():
        if keyword in copied:
            ds.add(copied[keyword])
    for keyword in _COPIED.split():
        setattr(ds, keyword, None)
    return ds


def adopt(ds: Dataset, general: Dataset) -> None:
    """Put the general modules into an object of highdicom's.

    Parameters
    ----------
    ds : Dataset
        Changed in place.
    general : Dataset
        Of :func:`head`.
    """
    for element in general:
        if element.keyword not in _OF_IMAGES.split():
            ds.add(element)
    repair(ds)


def _reference(place: Place) -> Dataset:
    reference = sop_reference(place.instance)
    reference.PurposeOfReferenceCodeSequence = [code(CODES["source"])]
    reference.SpatialLocationsPreserved = "NO"
    if place.frame_numbers:
        reference.ReferencedFrameNumber = place.frame_numbers
    return reference
