"""Nuclear Medicine Image: counts in 16 bits, and the modules of PS3.3 C.8.4."""

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import NuclearMedicineImageStorage, SecondaryCaptureImageStorage

from ... import frame_operations
from ...frames import Units
from ..attributes import drop, has, integers, items, text
from .codes import UNIT_CODES, put
from .magnify import decimals
from .part import Part
from .values import Scale, extremes, ladder_slope, remap, round_to_stored, set_pixels, unit_mapping

__all__ = ["encode_nuclear"]

_WINDOW_AND_DETECTOR = ("EnergyWindowVector", "DetectorVector")
# Value 3 of Image Type dictates what the frames run over, PS3.3 C.8.4.8.1.1.
_VECTORS: dict[str, tuple[str, ...]] = {
    "STATIC": _WINDOW_AND_DETECTOR,
    "WHOLE BODY": _WINDOW_AND_DETECTOR,
    "DYNAMIC": (*_WINDOW_AND_DETECTOR, "PhaseVector", "TimeSliceVector"),
    "GATED": (*_WINDOW_AND_DETECTOR, "RRIntervalVector", "TimeSlotVector"),
    "TOMO": (*_WINDOW_AND_DETECTOR, "RotationVector", "AngularViewVector"),
    "GATED TOMO": (*_WINDOW_AND_DETECTOR, "RotationVector", "RRIntervalVector", "TimeSlotVector", "AngularViewVector"),
    "RECON TOMO": ("SliceVector",),
    "RECON GATED TOMO": ("RRIntervalVector", "TimeSlotVector", "SliceVector"),
}
# How many there are of what a vector counts.
_NUMBERS = {
    "EnergyWindowVector": "NumberOfEnergyWindows",
    "DetectorVector": "NumberOfDetectors",
    "PhaseVector": "NumberOfPhases",
    "RotationVector": "NumberOfRotations",
    "RRIntervalVector": "NumberOfRRIntervals",
    "TimeSlotVector": "NumberOfTimeSlots",
    "SliceVector": "NumberOfSlices",
}
# Type 2: present, empty when unknown.
_TYPE_2 = ("EnergyWindowInformationSequence", "RadiopharmaceuticalInformationSequence", "DetectorInformationSequence")
_TYPE_2_OF = {
    "DYNAMIC": ("PhaseInformationSequence",),
    "GATED": ("GatedInformationSequence",),
    "GATED TOMO": ("GatedInformationSequence", "RotationInformationSequence"),
    "TOMO": ("RotationInformationSequence",),
    "RECON TOMO": ("RotationInformationSequence",),
    "RECON GATED TOMO": ("GatedInformationSequence", "RotationInformationSequence"),
}
_ONLY_SECONDARY_CAPTURE = """
    ConversionType DateOfSecondaryCapture TimeOfSecondaryCapture SecondaryCaptureDeviceID
    SecondaryCaptureDeviceManufacturer SecondaryCaptureDeviceManufacturerModelName
    SecondaryCaptureDeviceSoftwareVersions PixelSpacingCalibrationType
"""
# A window that shows all but the hottest pixels.
_WINDOW_QUANTILE = 0.998


def encode_nuclear(ds: Dataset, part: Part) -> tuple[str, ...]:
    """Write pixels and nuclear-medicine modules; return what readers should know.

    The IOD has no rescale, and whole numbers would lose what a denoiser or a magnified image says between them. So
    stored values are counts divided by a round slope, given in Real World Value Mapping; output that is whole numbers
    keeps slope 1.
    """
    remarks = _become_nuclear(ds)
    known = extremes(part.pixels)
    signed = bool(known[0].min() < 0)
    slope = ladder_slope(part.pixels, 32767 if signed else 65535, known)
    n = len(part.pixels)
    stored = round_to_stored(part.pixels, Scale(np.full(n, slope), np.zeros(n)), signed=signed, known=known)
    put(ds, NumberOfFrames=n)
    set_pixels(ds, stored)
    drop(ds, "RescaleSlope", "RescaleIntercept", "RescaleType")
    _map_values(ds, part, slope, signed=signed)
    _set_window(ds, part, slope)
    _complete(ds, n)
    if slope != 1:
        meaning = "Counts" if part.units is Units.COUNTS else "Value"
        return (*remarks, f"{meaning} = stored value x {slope:g} (Real World Value Mapping).")
    return (*remarks, "Stored values are counts.") if part.units is Units.COUNTS else remarks


def _become_nuclear(ds: Dataset) -> tuple[str, ...]:
    """Turn a Secondary Capture that carries nuclear-medicine attributes into what it is."""
    found = text(ds, "SOPClassUID")
    if found == NuclearMedicineImageStorage:
        return ()
    was_capture = found == SecondaryCaptureImageStorage
    ds.SOPClassUID = NuclearMedicineImageStorage
    drop(ds, *_ONLY_SECONDARY_CAPTURE.split())
    return (
        ("The source was a Secondary Capture with NM attributes; what it does not say is left empty.",)
        if was_capture
        else ()
    )


def _map_values(ds: Dataset, part: Part, slope: float, *, signed: bool) -> None:
    """Let Real World Value Mapping lead from stored values to physical ones."""
    if part.conserve == "sum" and part.derivation.scale > 1 and has(ds, "RealWorldValueMappingSequence"):
        # A pixel now holds a part of the old pixel's counts: a mapping to concentration would no longer be true.
        kept = [m for m in ds.RealWorldValueMappingSequence if _unit(m) == UNIT_CODES[part.units][0]]
        ds.RealWorldValueMappingSequence = kept
    first = part.info[0]
    remap(ds, (first.slope, first.intercept), (slope, 0.0), signed=signed)
    mappings = list(items(ds, "RealWorldValueMappingSequence"))
    if slope != 1 and not any(_unit(mapping) == UNIT_CODES[part.units][0] for mapping in mappings):
        put(ds, RealWorldValueMappingSequence=[*mappings, unit_mapping(part.units, slope, signed=signed)])


def _unit(mapping: Dataset) -> str:
    units = items(mapping, "MeasurementUnitsCodeSequence")
    return text(units[0], "CodeValue") if units else ""


def _set_window(ds: Dataset, part: Part, slope: float) -> None:
    """Give a window in new stored values: the source's, carried over, or one that shows all but the hottest pixels."""
    shrink = part.derivation.scale**2 if part.conserve == "sum" else 1
    factor = part.info[0].slope / slope / shrink
    given = ((ds.get(keyword) if has(ds, keyword) else None) or [] for keyword in ("WindowCenter", "WindowWidth"))
    source = [np.atleast_1d(values) for values in given]
    drop(ds, "VOILUTSequence", "VOILUTFunction")
    if source[0].size and source[0].size == source[1].size and all(float(width) > 0 for width in source[1]):
        centres, widths = ([float(value) * factor for value in values] for values in source)
        widths = [max(width, 1.0) for width in widths]
    else:
        together = np.ascontiguousarray(part.pixels).reshape(1, -1, part.pixels.shape[-1])
        (high,) = frame_operations.robust_scale(together, _WINDOW_QUANTILE)[1].tolist()
        top = max(high / slope, 1.0)
        centres, widths = [top / 2], [top]
    put(ds, WindowCenter=decimals(centres), WindowWidth=decimals(widths))


def _complete(ds: Dataset, frames: int) -> None:
    """Fill what the IOD demands and the source lacks, without inventing anything."""
    values = [*text(ds, "ImageType").split("\\"), "", "", "", ""]
    kind = values[2] if values[2] in _VECTORS else _kind_of(ds)
    put(ds, ImageType=["DERIVED", "PRIMARY", kind, values[3] or "EMISSION"])
    vectors = _VECTORS[kind]
    if frames == 1:
        put(ds, **{keyword: 1 for keyword in vectors if not has(ds, keyword)})
    if all(has(ds, keyword) for keyword in vectors):
        put(ds, FrameIncrementPointer=[Tag(keyword) for keyword in vectors])
    for vector, number in _NUMBERS.items():
        if vector in vectors and has(ds, vector) and not has(ds, number):
            put(ds, **{number: max(integers(ds, vector))})
    for keyword in (*_TYPE_2, *_TYPE_2_OF.get(kind, ())):
        if not has(ds, keyword):
            put(ds, **{keyword: []})
    for keyword in (
        "CountsAccumulated",
        "PixelSpacing",
        "PatientOrientationCodeSequence",
        "PatientGantryRelationshipCodeSequence",
    ):
        if not has(ds, keyword):
            put(ds, **{keyword: [] if keyword.endswith("Sequence") else None})
    if kind not in ("STATIC", "WHOLE BODY") and _has_duration_inside(ds):
        # Allowed here for these two kinds only; the others keep it with each phase or rotation.
        drop(ds, "ActualFrameDuration")


def _kind_of(ds: Dataset) -> str:
    """Return the kind whose vectors the Frame Increment Pointer names, else the one whose vectors are all there."""
    pointer = ds.get("FrameIncrementPointer")
    tags = [*pointer] if isinstance(pointer, Sequence) else [pointer]
    for kind, vectors in _VECTORS.items():
        if [Tag(keyword) for keyword in vectors] == tags:
            return kind
    complete = [kind for kind, vectors in _VECTORS.items() if all(keyword in ds for keyword in vectors)]
    return max(complete, key=lambda kind: len(_VECTORS[kind]), default="STATIC")


def _has_duration_inside(ds: Dataset) -> bool:
    sequences = ("PhaseInformationSequence", "RotationInformationSequence", "GatedInformationSequence")
    inner = [inside for keyword in sequences for inside in items(ds, keyword)]
    inner += [
        data for gated in items(ds, "GatedInformationSequence") for data in items(gated, "DataInformationSequence")
    ]
    return any("ActualFrameDuration" in inside or "FrameTime" in inside for inside in inner)
