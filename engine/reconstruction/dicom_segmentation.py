"""A reconstructed shape as a DICOM Segmentation."""

from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid

from ...kernels.reconstruction.geometry import Grid
from ..dicom.derived.codes import code, item
from ..dicom.derived.repair import repair
from .dicom_header import Origin, evidence, head, orientation, position

__all__ = ["segmentation"]

INSIDE = 0.5
_CATEGORY = ("91723000", "SCT", "Anatomical structure")
_LIVER = ("10200004", "SCT", "Liver")
_ORGAN = ("113343008", "SCT", "Organ")
_SEGMENTED = ("113076", "DCM", "Segmentation")
_OF_SERIES = """
    SeriesDescription SeriesDate SeriesTime ContributingEquipmentSequence InstanceCreationDate InstanceCreationTime
    BodyPartExamined ImageComments StudyDescription InstitutionName
"""
# Which highdicom copies and which may be empty, but are left out by some.
_MAY_LACK = "PatientID PatientName PatientBirthDate PatientSex AccessionNumber StudyID StudyDate StudyTime"
# Of Body Part Examined (0018,0015), PS3.16 annex L.
_PARTS = {"LIVER": _LIVER}


def segmentation(occupancy: NDArray[np.float32], grid: Grid, origin: Origin, label: str) -> Dataset:
    """Return which voxels of a grid are at least half inside of a shape, as a binary segmentation.

    The frames lie in the patient's coordinates of the reconstruction. Frames without a voxel of it are left out.

    Parameters
    ----------
    occupancy : ndarray, shape (slices, rows, columns), float32
        Share of each voxel that lies inside, 0 to 1.
    grid : Grid
        The voxels.
    origin : Origin
        Where it comes from.
    label : str
        Name of the segment.

    References
    ----------
    * PS3.3 A.51 (segmentation), C.8.20.2 (segmentation image).
    """
    from highdicom import Volume
    from highdicom.content import AlgorithmIdentificationSequence
    from highdicom.seg import Segmentation, SegmentDescription
    from highdicom.sr import CodedConcept

    header = head(origin, (f"Voxels that are at least half inside: {int((occupancy >= INSIDE).sum())}.",))
    derivation = origin.derivation
    algorithm = AlgorithmIdentificationSequence(
        name=derivation.model, family=CodedConcept("123106", "DCM", "Geometric"), version=derivation.version
    )
    part = _PARTS.get(str(header.get("BodyPartExamined", "")).upper(), _ORGAN)
    segment = SegmentDescription(
        segment_number=1,
        segment_label=label,
        segmented_property_category=CodedConcept(*_CATEGORY),
        segmented_property_type=CodedConcept(*part),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
    )
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = np.diag(grid.spacing_mm)[:, ::-1]
    affine[:3, 3] = grid.first_mm
    volume = Volume(
        np.asarray(occupancy >= INSIDE, np.uint8),
        affine=affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=origin.frame_of_reference_uid,
    )
    found = Segmentation(
        source_images=[_first_slice(header, grid)],
        pixel_array=volume,
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        series_instance_uid=str(header.SeriesInstanceUID),
        series_number=int(header.SeriesNumber),
        sop_instance_uid=str(header.SOPInstanceUID),
        instance_number=1,
        manufacturer="Photopeak",
        manufacturer_model_name=derivation.model,
        software_versions=f"photopeak {derivation.version}",
        device_serial_number=derivation.digest[:16],
        content_label="SHAPE",
        content_description=f"{label} from {len(origin.sources)} objects",
    )
    _refer(found, header, origin)
    return found


def _first_slice(header: Dataset, grid: Grid) -> Dataset:
    """Return what highdicom reads of a source image: views of planar detectors have no place in the patient."""
    ds = Dataset()
    ds.update(header)
    for keyword in _MAY_LACK.split():
        if keyword not in ds:
            setattr(ds, keyword, None)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, generate_uid(prefix=None), "CT"
    ds.Rows, ds.Columns = grid.shape[1:]
    ds.ImagePositionPatient, ds.ImageOrientationPatient = position(grid), orientation()
    ds.PixelSpacing, ds.SliceThickness = list(grid.spacing_mm[1:]), grid.spacing_mm[0]
    return ds


def _refer(ds: Dataset, header: Dataset, origin: Origin) -> None:
    """Let the object name the views in place of that slice, which never was a file."""
    for group in ds.PerFrameFunctionalGroupsSequence:
        group.pop("DerivationImageSequence", None)
    step = item(
        DerivationDescription=header.DerivationDescription,
        DerivationCodeSequence=[code(_SEGMENTED)],
        SourceImageSequence=deepcopy(header.SourceImageSequence),
    )
    ds.SharedFunctionalGroupsSequence[0].DerivationImageSequence = [step]
    ds.pop("SourceImageSequence", None)
    ds.ReferencedSeriesSequence = evidence(origin)
    for keyword in _OF_SERIES.split():
        if keyword in header:
            ds.add(header[keyword])
    repair(ds)
