"""A reconstructed volume as a Nuclear Medicine Image of kind RECON TOMO."""

from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import NuclearMedicineImageStorage

from ...kernels.reconstruction.geometry import Grid
from ..dicom.attributes import items, text
from ..dicom.derived.codes import code, item
from ..dicom.derived.magnify import decimals
from ..dicom.derived.repair import repair
from .dicom_header import Origin, head, orientation, position
from .dicom_values import LARGEST_STORED, slope_of, store

__all__ = ["nuclear_volume"]

# Of the acquisition, and true of what is made from it.
_KEPT = """
    EnergyWindowInformationSequence RadiopharmaceuticalInformationSequence PatientOrientationCodeSequence
    PatientGantryRelationshipCodeSequence
"""
_HIGHEST = 65535
_OF_COLLIMATOR = ("CollimatorType", "CollimatorGridName", "FieldOfViewShape", "FieldOfViewDimensions")


def nuclear_volume(values: NDArray[np.float32], grid: Grid, origin: Origin, unit: tuple[str, str, str]) -> Dataset:
    """Return a volume as one multi-frame object; its slices go from the feet to the head.

    Stored values are values divided by a slope, given in Real World Value Mapping, since the IOD has no rescale.

    Parameters
    ----------
    values : ndarray, shape (slices, rows, columns), float32
        Not negative.
    grid : Grid
        Its voxels.
    origin : Origin
        Where it comes from; its first source must be a nuclear-medicine object.
    unit : tuple of str
        Code of the values' unit: value, scheme, meaning.

    References
    ----------
    * PS3.3 A.5 (IOD), C.8.4.8 (Image Type, frame increment pointer), C.8.4.15 (reconstruction).
    """
    values = np.maximum(values, 0)
    slope = slope_of(values)
    ds = head(origin, (f"Value [{unit[0]}] = stored value x {slope:g} (Real World Value Mapping).",))
    ds.SOPClassUID, ds.Modality = NuclearMedicineImageStorage, "NM"
    ds.ImageType = ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"]
    ds.PhotometricInterpretation = "MONOCHROME2"
    store(ds, values, slope)
    ds.RealWorldValueMappingSequence = [_mapping(slope, unit)]
    _place(ds, grid)
    source = origin.sources[0].header
    for keyword in _KEPT.split():
        if keyword in source:
            ds.add(deepcopy(source[keyword]))
        else:
            setattr(ds, keyword, [])
    for sequence in ("EnergyWindowInformationSequence", "RadiopharmaceuticalInformationSequence"):
        for inner in ds[sequence].value:
            inner.remove_private_tags()
    ds.NumberOfEnergyWindows = max(len(ds.EnergyWindowInformationSequence), 1)
    ds.DetectorInformationSequence = [_detector(origin, grid)]
    ds.NumberOfDetectors, ds.NumberOfRotations = 1, 1
    ds.RotationInformationSequence = []
    ds.CountsAccumulated, ds.AcquisitionTerminationCondition = None, None
    ds.AcquisitionContextSequence = []
    ds.WindowCenter, ds.WindowWidth = LARGEST_STORED / 2, LARGEST_STORED
    repair(ds)
    return ds


def _place(ds: Dataset, grid: Grid) -> None:
    count, between = grid.shape[0], grid.spacing_mm[0]
    ds.FrameIncrementPointer = Tag("SliceVector")
    ds.SliceVector = list(range(1, count + 1)) if count > 1 else 1
    ds.NumberOfSlices = count
    ds.PixelSpacing = decimals(grid.spacing_mm[1:])
    ds.SliceThickness, ds.SpacingBetweenSlices = decimals([between, between])


def _detector(origin: Origin, grid: Grid) -> Dataset:
    """Return the item that holds the place of the first slice, with the collimator if it is known."""
    detector = item(ImageOrientationPatient=orientation(), ImagePositionPatient=position(grid))
    detector.CollimatorType = None
    for found in items(origin.sources[0].header, "DetectorInformationSequence")[:1]:
        for keyword in _OF_COLLIMATOR:
            if text(found, keyword):
                detector.add(deepcopy(found[keyword]))
    return detector


def _mapping(slope: float, unit: tuple[str, str, str]) -> Dataset:
    mapping = item(
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=slope,
        LUTExplanation="Units of the voxel values",
        LUTLabel="reconstructed",
        MeasurementUnitsCodeSequence=[code(unit)],
    )
    mapping.add_new("RealWorldValueFirstValueMapped", "US", 0)
    mapping.add_new("RealWorldValueLastValueMapped", "US", _HIGHEST)
    return mapping
