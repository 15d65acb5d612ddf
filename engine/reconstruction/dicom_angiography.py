"""A volume from angiographic views as an X-Ray 3D Angiographic Image."""

from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import XRay3DAngiographicImageStorage, generate_uid

from ...kernels.reconstruction.geometry import Grid
from ..dicom.attributes import text
from ..dicom.derived.codes import CODES, code, item
from ..dicom.derived.derivation import sop_reference, uid_element
from ..dicom.derived.magnify import decimals
from ..dicom.derived.repair import repair
from .dicom_header import Origin, head, orientation
from .dicom_values import LARGEST_STORED, slope_of, store

__all__ = ["angiographic_volume"]

_PER_MM = ("/mm", "UCUM", "per millimeter")
_ANATOMY = {"HEAD": ("69536005", "SCT", "Head"), "BRAIN": ("12738006", "SCT", "Brain")}
_SOMEWHERE = ("38266002", "SCT", "Entire body")
_TYPE = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
# Of images with one header, in place of which this one has functional groups.
_OF_CLASSIC = "DerivationDescription DerivationCodeSequence SourceImageSequence AcquisitionDate AcquisitionTime"


def angiographic_volume(values: NDArray[np.float32], grid: Grid, origin: Origin) -> Dataset:
    """Return a volume of attenuation as one multi-frame object; its slices go from the feet to the head.

    Parameters
    ----------
    values : ndarray, shape (slices, rows, columns), float32
        Linear attenuation coefficients, not negative [1/mm].
    grid : Grid
        Its voxels.
    origin : Origin
        Where it comes from.

    References
    ----------
    * PS3.3 A.53 (IOD), C.8.21 (X-ray 3D modules), C.7.6.16 (functional groups).
    """
    values = np.maximum(values, 0)
    slope = slope_of(values)
    ds = head(origin, (f"Attenuation per mm = stored value x {slope:g}.",))
    ds.SOPClassUID, ds.Modality = XRay3DAngiographicImageStorage, "XA"
    ds.ImageType, ds.PixelPresentation, ds.VolumetricProperties = _TYPE, "MONOCHROME", "VOLUME"
    ds.VolumeBasedCalculationTechnique, ds.ContentQualification = "NONE", "RESEARCH"
    ds.PhotometricInterpretation, ds.PresentationLUTShape, ds.BurnedInAnnotation = "MONOCHROME2", "IDENTITY", "NO"
    ds.LossyImageCompression = ds.get("LossyImageCompression", "00")
    ds.Manufacturer, ds.ManufacturerModelName = "Photopeak", origin.derivation.model
    ds.SoftwareVersions = f"photopeak {origin.derivation.version}"
    ds.DeviceSerialNumber = origin.derivation.digest[:16]
    ds.ContentDate, ds.ContentTime = ds.InstanceCreationDate, ds.InstanceCreationTime
    ds.AcquisitionContextSequence = []
    store(ds, values, slope)
    ds.ReferencedImageEvidenceSequence = [_evidence(origin)]
    ds.SharedFunctionalGroupsSequence = [_shared(ds, grid, slope)]
    _add_frames(ds, grid)
    for keyword in _OF_CLASSIC.split():
        ds.pop(keyword, None)
    repair(ds)
    return ds


def _shared(ds: Dataset, grid: Grid, slope: float) -> Dataset:
    """Return what all frames have in common."""
    step = item(
        DerivationDescription=ds.DerivationDescription,
        DerivationCodeSequence=[code(CODES["reconstruction"])],
        SourceImageSequence=deepcopy(ds.SourceImageSequence),
    )
    between = grid.spacing_mm[0]
    measures = item(PixelSpacing=decimals(grid.spacing_mm[1:]))
    measures.SliceThickness, measures.SpacingBetweenSlices = decimals([between, between])
    where = _ANATOMY.get(text(ds, "BodyPartExamined").upper(), _SOMEWHERE)
    mapping = item(
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=slope,
        LUTExplanation="Linear attenuation coefficient",
        LUTLabel="reconstructed",
        MeasurementUnitsCodeSequence=[code(_PER_MM)],
    )
    mapping.add_new("RealWorldValueFirstValueMapped", "US", 0)
    mapping.add_new("RealWorldValueLastValueMapped", "US", 65535)
    values = item(RescaleIntercept="0", RescaleSlope=decimals([slope])[0], RescaleType="US")
    frame_type = item(
        FrameType=_TYPE,
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    return item(
        ReferencedImageSequence=[],
        DerivationImageSequence=[step],
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[item(ImageOrientationPatient=orientation())],
        FrameAnatomySequence=[item(FrameLaterality="U", AnatomicRegionSequence=[code(where)])],
        FrameVOILUTSequence=[
            item(
                WindowCenter=decimals([slope * LARGEST_STORED / 2])[0],
                WindowWidth=decimals([slope * LARGEST_STORED])[0],
            )
        ],
        PixelValueTransformationSequence=[values],
        RealWorldValueMappingSequence=[mapping],
        XRay3DFrameTypeSequence=[frame_type],
    )


def _add_frames(ds: Dataset, grid: Grid) -> None:
    """Let each frame say where it lies, and that frames are ordered by it."""
    organisation = generate_uid(prefix=None)
    ds.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organisation)]
    ds.DimensionOrganizationType = "3D"
    ds.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=organisation,
            DimensionIndexPointer=Tag("ImagePositionPatient"),
            FunctionalGroupPointer=Tag("PlanePositionSequence"),
        )
    ]
    x, y, z = grid.first_mm
    ds.PerFrameFunctionalGroupsSequence = [
        item(
            FrameContentSequence=[item(DimensionIndexValues=[k + 1])],
            PlanePositionSequence=[item(ImagePositionPatient=decimals([x, y, z + k * grid.spacing_mm[0]]))],
        )
        for k in range(grid.shape[0])
    ]


def _evidence(origin: Origin) -> Dataset:
    """Return the study with the series and objects of the views."""
    series: dict[str, Dataset] = {}
    for source in origin.sources:
        uid = text(source.header, "SeriesInstanceUID")
        if uid not in series:
            series[uid] = item(ReferencedSOPSequence=[])
            series[uid].add(uid_element("SeriesInstanceUID", uid))
        series[uid].ReferencedSOPSequence.append(sop_reference(source))
    study = item(ReferencedSeriesSequence=list(series.values()))
    study.add(uid_element("StudyInstanceUID", origin.sources[0].header.StudyInstanceUID))
    return study
