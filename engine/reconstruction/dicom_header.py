"""What DICOM objects of a reconstruction say about patient, study, origin and place."""

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from ...kernels.reconstruction.geometry import Grid
from ..dicom.attributes import text
from ..dicom.derived.codes import CODES, code, item
from ..dicom.derived.derivation import Derivation, sop_reference, stamp, uid_element
from ..dicom.derived.header import copy_header
from ..dicom.derived.magnify import decimals
from ..dicom.instance import Instance
from ..errors import InputError

__all__ = ["GENERAL_MODULES", "Origin", "evidence", "head", "instances", "orientation", "origin_of", "position"]

# Modules of PS3.3 C.7 that hold for whatever is made from an image: SOP common, patient, study, equipment, anatomy.
GENERAL_MODULES = """
    SpecificCharacterSet TimezoneOffsetFromUTC
    PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence OtherPatientIDsSequence PatientBirthDate
    PatientBirthTime PatientSex EthnicGroup PatientComments PatientIdentityRemoved DeidentificationMethod
    DeidentificationMethodCodeSequence PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription
    PatientBreedCodeSequence BreedRegistrationSequence ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID ClinicalTrialSiteName
    ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ClinicalTrialTimePointID ClinicalTrialTimePointDescription
    StudyInstanceUID StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber
    IssuerOfAccessionNumberSequence StudyDescription PhysiciansOfRecord NameOfPhysiciansReadingStudy
    ReferencedStudySequence ProcedureCodeSequence PatientAge PatientSize PatientWeight AdmittingDiagnosesDescription
    Manufacturer InstitutionName InstitutionAddress StationName InstitutionalDepartmentName ManufacturerModelName
    DeviceSerialNumber SoftwareVersions
    BodyPartExamined AnatomicRegionSequence SeriesDescription SeriesNumber AcquisitionDate AcquisitionTime ContentDate
    ContentTime LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod DerivationDescription
    ContributingEquipmentSequence
"""
_LONGEST = 1024  # of the representation ST, PS3.5 table 6.2-1


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What all objects of one reconstruction share.

    Parameters
    ----------
    sources : tuple of Instance
        The objects that the views came from, each once.
    frames : tuple of tuple of int
        Numbers of the frames of each that were used, from 1.
    derivation : Derivation
        What was done.
    frame_of_reference_uid : str
        Of the coordinates of the geometry, which are nobody else's.
    """

    sources: tuple[Instance, ...]
    frames: tuple[tuple[int, ...], ...]
    derivation: Derivation
    frame_of_reference_uid: str


def instances(
    sources: Sequence[Path], datasets: Sequence[Dataset], frames: Sequence[int]
) -> tuple[tuple[Instance, ...], tuple[tuple[int, ...], ...]]:
    """Return each object once, with the frames of it that are views.

    Raises
    ------
    InputError
        If there are no DICOM objects, or they are of several patients or studies.
    """
    if not datasets:
        raise InputError("the views are not DICOM objects, so that nothing says whose they are; leave --dicom out.")
    for keyword, words in (("PatientID", "patients"), ("StudyInstanceUID", "studies")):
        if len({text(ds, keyword) for ds in datasets}) > 1:
            names = ", ".join(dict.fromkeys(path.name for path in sources))
            raise InputError(f"{names}: the views are of different {words}; give views of one, or leave --dicom out.")
    found: dict[str, tuple[Instance, list[int]]] = {}
    for i, (path, ds) in enumerate(zip(sources, datasets, strict=True)):
        instance = Instance(path, ds)
        _, used = found.setdefault(instance.sop_instance_uid, (instance, []))
        used.append(frames[i] if frames else 1)
    objects, numbers = zip(*found.values(), strict=True)
    return tuple(objects), tuple(tuple(sorted(set(used))) for used in numbers)


def origin_of(
    sources: Sequence[Path],
    datasets: Sequence[Dataset],
    frames: Sequence[int],
    *,
    method: str,
    summary: str,
    findings: Sequence[str],
) -> Origin:
    """Return what the objects of a reconstruction say about where they come from.

    Parameters
    ----------
    sources, datasets, frames : sequence
        Path, header and frame number of each view.
    method : str
        ``shape``, ``volume`` or ``curve``.
    summary : str
        What was done, as a sentence.
    findings : sequence of str
        Warnings, as sentences.
    """
    objects, numbers = instances(sources, datasets, frames)
    release = version("photopeak")
    derivation = Derivation(
        model=f"reconstruct {method}",
        version=release,
        digest=hashlib.sha256(f"photopeak {release} reconstruct {method}".encode()).hexdigest(),
        action="3-D reconstruction",
        label=f"3-D {method} from {len(datasets)} views",
        code="reconstruction",
        scale=0,
        summary=summary,
        findings=tuple(findings),
        moment=datetime.now(UTC),
    )
    return Origin(objects, numbers, derivation, generate_uid(prefix=None))


def head(origin: Origin, remarks: Sequence[str]) -> Dataset:
    """Return the general modules of a new object in a new series.

    Parameters
    ----------
    origin : Origin
        Where it comes from.
    remarks : sequence of str
        Sentences about this object.

    References
    ----------
    * PS3.3 C.7.1 to C.7.6.1, C.12.4 (general reference).
    """
    source = origin.sources[0]
    copied, _ = copy_header(source)
    ds = Dataset()
    for keyword in GENERAL_MODULES.split():
        if keyword in copied:
            ds.add(copied[keyword])
    stamp(ds, source, origin.derivation, generate_uid(prefix=None), remarks)
    ds.SourceImageSequence = [_reference(*pair) for pair in zip(origin.sources, origin.frames, strict=True)]
    # No model, whose digest the last item would name, but the program did it.
    equipment = ds.ContributingEquipmentSequence[-1]
    equipment.ContributionDescription = shorten(origin.derivation.summary, _LONGEST, placeholder=" ...")
    ds.InstanceNumber = 1
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = origin.frame_of_reference_uid, None
    ds.SeriesDate, ds.SeriesTime = ds.InstanceCreationDate, ds.InstanceCreationTime
    return ds


def position(grid: Grid) -> list[object]:
    """Return Image Position (0020,0032) of the first slice."""
    return list(decimals(grid.first_mm))


def orientation() -> list[int]:
    """Return Image Orientation (0020,0037): rows run to the left hand, columns to the back, so that slices go up."""
    return [1, 0, 0, 0, 1, 0]


def evidence(origin: Origin) -> list[Dataset]:
    """Return Referenced Series Sequence: the objects that the views came from, by series."""
    series: dict[str, Dataset] = {}
    for source in origin.sources:
        uid = text(source.header, "SeriesInstanceUID")
        if uid not in series:
            series[uid] = item(ReferencedInstanceSequence=[])
            series[uid].add(uid_element("SeriesInstanceUID", uid))
        series[uid].ReferencedInstanceSequence.append(sop_reference(source))
    return list(series.values())


def _reference(source: Instance, frames: tuple[int, ...]) -> Dataset:
    reference = deepcopy(sop_reference(source))
    reference.PurposeOfReferenceCodeSequence = [code(CODES["source"])]
    reference.SpatialLocationsPreserved = "NO"
    if int(source.header.get("NumberOfFrames") or 1) > 1:
        reference.ReferencedFrameNumber = list(frames)
    return reference
