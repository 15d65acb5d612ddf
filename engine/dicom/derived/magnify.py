"""Pixel spacing and position after magnification."""

from collections.abc import Iterator, Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from ..attributes import first, items

__all__ = ["decimals", "magnify"]

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
# Given in rows and columns of the old matrix, and optional.
_IN_PIXELS = """
    ShutterShape ShutterLeftVerticalEdge ShutterRightVerticalEdge ShutterUpperHorizontalEdge ShutterLowerHorizontalEdge
    CenterOfCircularShutter RadiusOfCircularShutter VerticesOfThePolygonalShutter
    CollimatorShape CollimatorLeftVerticalEdge CollimatorRightVerticalEdge CollimatorUpperHorizontalEdge
    CollimatorLowerHorizontalEdge CenterOfCircularCollimator RadiusOfCircularCollimator VerticesOfThePolygonalCollimator
    FrameDisplayShutterSequence CollimatorShapeSequence
"""


def magnify(ds: Dataset, scale: int) -> None:
    """Change spacing and position so that an image with `scale` times the rows and columns covers the same area.

    The edges of the images align, so the centre of the first pixel moves by ``(1 / scale - 1) / 2`` old pixels along
    each axis: -1/4 for `scale` 2.

    Parameters
    ----------
    ds : Dataset
        Classic image, or multi-frame image with functional groups; changed in place.
    scale : int
        Magnification of rows and columns.

    References
    ----------
    * PS3.3 C.7.6.2.1.1 (image plane), C.8.4.11 (NM detector), C.7.6.16.2 (functional groups).
    """
    if scale == 1:
        return
    for holder, orientation, spacing in list(_planes(ds)):
        holder.ImagePositionPatient = decimals(_moved(holder.ImagePositionPatient, orientation, spacing, scale))
    for holder in (ds, *_measures(ds)):
        for keyword in _SPACINGS:
            if holder.get(keyword):
                setattr(holder, keyword, decimals([float(value) / scale for value in holder[keyword].value]))
    for holder in (ds, *_groups(ds)):
        for keyword in _IN_PIXELS.split():
            holder.pop(keyword, None)
    for calibration in (inner for group in _groups(ds) for inner in items(group, "ProjectionPixelCalibrationSequence")):
        if spacing := calibration.get("ObjectPixelSpacingInCenterOfBeam"):
            calibration.ObjectPixelSpacingInCenterOfBeam = [float(value) / scale for value in spacing]
    for mask in items(ds, "MaskSubtractionSequence"):
        if mask.get("MaskSubPixelShift"):
            mask.MaskSubPixelShift = [scale * float(shift) for shift in mask.MaskSubPixelShift]


def decimals(values: Sequence[float]) -> list[DSfloat]:
    """Return decimal strings of at most 16 characters, as the value representation DS allows."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def _moved(
    position: Sequence[float], orientation: Sequence[float], spacing: Sequence[float], scale: int
) -> list[float]:
    """Return the centre of the new first pixel [mm]; the first triple of the orientation runs along a row."""
    along_row, along_column = np.reshape([float(value) for value in orientation], (2, 3))
    between_rows, between_columns = (float(value) for value in spacing)
    old_pixel = between_columns * along_row + between_rows * along_column
    moved = np.array([float(value) for value in position]) + (1 / scale - 1) / 2 * old_pixel
    return [float(value) for value in moved]


def _planes(ds: Dataset) -> Iterator[tuple[Dataset, Sequence[float], Sequence[float]]]:
    """Yield every holder of a usable Image Position, with its orientation and spacing."""
    for plane in (ds, *items(ds, "DetectorInformationSequence")):
        yield from _plane(plane, plane, ds)
    shared = first(ds, "SharedFunctionalGroupsSequence")
    for group in (shared, *items(ds, "PerFrameFunctionalGroupsSequence")):
        if "PlanePositionSequence" in group:
            orientation, measures = (
                first(group, keyword) or first(shared, keyword)
                for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence")
            )
            yield from _plane(first(group, "PlanePositionSequence"), orientation, measures)


def _plane(
    position: Dataset, orientation: Dataset, measures: Dataset
) -> Iterator[tuple[Dataset, Sequence[float], Sequence[float]]]:
    """Yield one plane when position, orientation and spacing are all there; planar NM often leaves them empty."""
    wanted = (
        (position, "ImagePositionPatient", 3),
        (orientation, "ImageOrientationPatient", 6),
        (measures, "PixelSpacing", 2),
    )
    if all(len(holder.get(keyword) or ()) == length for holder, keyword, length in wanted):
        yield position, orientation.ImageOrientationPatient, measures.PixelSpacing


def _groups(ds: Dataset) -> Iterator[Dataset]:
    """Yield the functional groups, shared ones first."""
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        yield from items(ds, groups)


def _measures(ds: Dataset) -> Iterator[Dataset]:
    """Yield the pixel measures of the functional groups."""
    for group in _groups(ds):
        yield from items(group, "PixelMeasuresSequence")
