"""Where the C-arm of an angiography was, from the header of its images, and line integrals from their pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...kernels.reconstruction.geometry import View
from ..dicom.attributes import first, integers, items, number, numbers, tag_name, text
from ..errors import InputError

__all__ = ["Xray", "line_integrals", "upright", "xray_view"]

_BRIGHTEST = 99.0  # percentile of a frame that stands for no object, where nothing better is known
_GROUPS = {
    "PositionerPrimaryAngle": "PositionerPositionSequence",
    "PositionerSecondaryAngle": "PositionerPositionSequence",
    "DistanceSourceToDetector": "XRayGeometrySequence",
    "DistanceSourceToIsocenter": "XRayGeometrySequence",
    "ImagerPixelSpacing": "FramePixelDataPropertiesSequence",
    "PixelIntensityRelationship": "FramePixelDataPropertiesSequence",
}


@dataclass(frozen=True)
class Xray:
    """One frame's C-arm.

    Parameters
    ----------
    view : View
        Of the upright image, see :func:`upright`.
    notes : tuple of str
        Sentences about what was assumed.
    """

    view: View
    notes: tuple[str, ...] = ()


def xray_view(ds: Dataset, frame: int, shape: tuple[int, int]) -> Xray:
    """Return the C-arm of one frame of an XA or Enhanced XA object.

    Parameters
    ----------
    ds : Dataset
        The header.
    frame : int
        Number of the frame, from 1.
    shape : tuple of int
        Rows and columns of the upright image.

    Raises
    ------
    InputError
        If an angle, a distance or the pixel spacing is missing.

    References
    ----------
    * PS3.3 C.8.7.5 (XA positioner): Primary Angle grows from RAO to LAO, Secondary Angle from caudal to cranial.
    * PS3.3 C.8.19.6 (functional groups of enhanced XA).
    """
    notes: list[str] = []
    primary, secondary = (_angle(ds, frame, f"Positioner{which}Angle", notes) for which in ("Primary", "Secondary"))
    to_detector = _needed(ds, frame, "DistanceSourceToDetector", "source_detector_mm")
    to_isocenter = _to_isocenter(ds, frame, to_detector)
    group = _group(ds, frame, "ImagerPixelSpacing")
    spacing = numbers(group, "ImagerPixelSpacing", 2) or numbers(ds, "ImagerPixelSpacing", 2)
    if spacing is None or min(spacing) <= 0:
        raise InputError(f"{tag_name('ImagerPixelSpacing')} is missing; give `spacing_mm` in a file for --geometry.")
    if _turns(ds) % 2:
        spacing = spacing[::-1]
    posture = text(ds, "PatientPosition")
    if posture not in ("", "HFS"):
        notes.append(
            f"The patient lay {posture}: angles and the image's upper edge are taken as for head first, supine."
        )
    if not 0 < to_isocenter < to_detector:
        raise InputError(
            f"{tag_name('DistanceSourceToPatient')} is {to_isocenter:g} and {tag_name('DistanceSourceToDetector')} "
            f"{to_detector:g} mm, which is no C-arm; give `source_isocenter_mm` and `source_detector_mm` in a file for "
            "--geometry."
        )
    view = View.c_arm(
        shape,
        (spacing[0], spacing[1]),
        primary,
        secondary,
        source_detector_mm=to_detector,
        source_isocenter_mm=to_isocenter,
    )
    return Xray(view, tuple(notes))


def upright(image: NDArray[np.float32], ds: Dataset) -> NDArray[np.float32]:
    """Return an image as the detector saw it: a horizontal flip is undone, then a rotation of the field of view.

    References
    ----------
    * PS3.3 C.8.7.5 and C.8.11.4: Field of View Rotation (0018,7032), clockwise, then Horizontal Flip (0018,7034).
    """
    unflipped = image[:, ::-1] if text(ds, "FieldOfViewHorizontalFlip") == "YES" else image
    return np.ascontiguousarray(np.rot90(unflipped, _turns(ds)))


def line_integrals(pixels: NDArray[np.float32], ds: Dataset, frame: int) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return line integrals of the attenuation from one frame.

    Parameters
    ----------
    pixels : ndarray, shape (n, rows, columns), float32
        All frames of the object, as stored.
    ds : Dataset
        The header.
    frame : int
        Number of the frame, from 1.

    Returns
    -------
    tuple of ndarray, shape (rows, columns), float32, and tuple of str
        Line integrals [1], 0 outside of the shutter; sentences about what was assumed.

    Raises
    ------
    InputError
        If a mask frame does not exist, or the shutter leaves nothing.

    References
    ----------
    * PS3.3 C.8.7.1.1.2 (pixel intensity relationship), C.7.6.10 (mask), C.7.6.11 (display shutter).
    """
    open_field = _shutter(ds, pixels.shape[1:])
    if not open_field.any():
        raise InputError("its shutter leaves nothing of the image; correct the header.")
    relation = text(_group(ds, frame, "PixelIntensityRelationship"), "PixelIntensityRelationship") or text(
        ds, "PixelIntensityRelationship"
    )
    image = pixels[frame - 1].astype(np.float64)
    mask, notes = _mask(pixels, ds, frame)
    if relation == "LOG":
        white = mask if mask is not None else np.percentile(image[open_field], _BRIGHTEST)
        integrals = (white - image) / _log_unit(pixels)
        notes.append("Pixels are a logarithm of unknown scale: line integrals are right up to one factor.")
    else:
        if mask is None:
            white = np.full(image.shape, np.percentile(np.maximum(image, 1)[open_field], _BRIGHTEST))
        else:
            white = np.maximum(mask, 1)
        integrals = np.log(white / np.maximum(image, 1))
        if relation != "LIN":
            notes.append(
                f"{tag_name('PixelIntensityRelationship')} is {relation or 'missing'}, so that pixels need not be "
                "proportional to X-ray intensity: shapes hold, amounts do not."
            )
    if mask is None:
        notes.append(f"No mask: the {_BRIGHTEST:g}th percentile of the frame stands for rays that miss the object.")
    return np.where(open_field, integrals, 0).astype(np.float32), tuple(notes)


def _log_unit(pixels: NDArray[np.float32]) -> float:
    """Return what one unit of a logarithm of unknown scale is taken for: a quarter of the largest value."""
    return max(float(pixels.max()) / 4, 1.0)


def _mask(pixels: NDArray[np.float32], ds: Dataset, frame: int) -> tuple[NDArray[np.float64] | None, list[str]]:
    """Return the mean of the mask frames that the header asks to subtract from a frame; None without."""
    for item in items(ds, "MaskSubtractionSequence"):
        if text(item, "MaskOperation") != "AVG_SUB":
            continue
        ranges = integers(item, "ApplicableFrameRange")
        if ranges and not any(low <= frame <= high for low, high in zip(ranges[::2], ranges[1::2], strict=False)):
            continue
        chosen = integers(item, "MaskFrameNumbers")
        if not chosen or min(chosen) < 1 or max(chosen) > len(pixels):
            raise InputError(f"{tag_name('MaskFrameNumbers')} is {list(chosen)} of {len(pixels)} frames; correct it.")
        if frame not in chosen:
            return pixels[[index - 1 for index in chosen]].mean(axis=0, dtype=np.float64), []
    return None, []


def _shutter(ds: Dataset, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pixels a rectangular or circular shutter leaves open."""
    rows, columns = shape
    seen = np.ones((rows, columns), bool)
    kinds = text(ds, "ShutterShape").split("\\")
    row, column = np.arange(1, rows + 1)[:, None], np.arange(1, columns + 1)[None, :]
    if "RECTANGULAR" in kinds:
        limits = [
            number(ds, f"Shutter{side}Edge")
            for side in ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")
        ]
        upper, lower, left, right = (
            edge if edge is not None else default
            for edge, default in zip(limits, (0, rows + 1, 0, columns + 1), strict=True)
        )
        seen &= (row > upper) & (row < lower) & (column > left) & (column < right)
    center, radius = numbers(ds, "CenterOfCircularShutter", 2), number(ds, "RadiusOfCircularShutter")
    if "CIRCULAR" in kinds and center and radius:
        seen &= (row - center[0]) ** 2 + (column - center[1]) ** 2 <= radius**2
    return seen


def _turns(ds: Dataset) -> int:
    """Return by how many quarter turns clockwise the field of view was rotated; rot90 by as many turns it back."""
    degrees = number(ds, "FieldOfViewRotation") or 0.0
    if degrees % 90:
        raise InputError(f"{tag_name('FieldOfViewRotation')} is {degrees:g}; only quarter turns are known.")
    return int(degrees // 90) % 4


def _angle(ds: Dataset, frame: int, keyword: str, notes: list[str]) -> float:
    """Return a positioner angle of a frame [degrees]."""
    angle = _needed(ds, frame, keyword, "primary" if "Primary" in keyword else "secondary")
    steps = text(ds, f"{keyword}Increment").split("\\")
    if steps == [""]:
        return angle
    try:
        changes = np.array([float(step) for step in steps])
    except ValueError:
        changes = np.array([np.nan])
    if not np.isfinite(changes).all() or (len(changes) > 1 and frame > len(changes)):
        raise InputError(f"{tag_name(keyword + 'Increment')} is not one number for each frame; correct the header.")
    if len(changes) == 1 or not changes.any():
        return angle + float(changes[0]) * (frame - 1)
    # Vendors write the change since the frame before, which hardly varies, or since the start, which grows.
    since_start = (
        np.abs(np.diff(changes)).max() > 0.5 * np.abs(changes).max() or np.ptp(changes) > np.abs(changes).mean()
    )
    told = "the start" if since_start else "the frame before"
    notes.append(f"{tag_name(keyword + 'Increment')} is taken as the change since {told}.")
    return angle + float(changes[frame - 1] if since_start else changes[:frame].sum() - changes[0])


def _to_isocenter(ds: Dataset, frame: int, to_detector: float) -> float:
    """Return the distance from focal spot to isocentre [mm]; from the magnification where only that is written."""
    group = _group(ds, frame, "DistanceSourceToIsocenter")
    found = number(group, "DistanceSourceToIsocenter")
    if found is None:
        found = number(ds, "DistanceSourceToPatient")
    factor = number(ds, "EstimatedRadiographicMagnificationFactor")
    if found is None and factor is not None and factor > 1:
        found = to_detector / factor
    if found is None:
        raise InputError(
            f"{tag_name('DistanceSourceToPatient')} is missing; give `source_isocenter_mm` in a file for --geometry."
        )
    return found


def _needed(ds: Dataset, frame: int, keyword: str, option: str) -> float:
    found = number(_group(ds, frame, keyword), keyword)
    found = number(ds, keyword) if found is None else found
    if found is None:
        raise InputError(f"{tag_name(keyword)} is missing; give `{option}` in a file for --geometry.")
    return found


def _group(ds: Dataset, frame: int, keyword: str) -> Dataset:
    """Return the functional group of a frame of an enhanced object that holds an element; empty for others."""
    groups = items(ds, "PerFrameFunctionalGroupsSequence")
    own = groups[frame - 1] if frame <= len(groups) else Dataset()
    return first(own, _GROUPS[keyword]) or first(first(ds, "SharedFunctionalGroupsSequence"), _GROUPS[keyword])
