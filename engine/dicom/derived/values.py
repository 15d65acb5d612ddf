"""From physical values to stored integers, and the elements that lead back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from ... import frame_operations
from ...frames import Units
from ..attributes import drop, first, has, items, tag_of
from .codes import UNIT_CODES, code, item, put
from .magnify import decimals

__all__ = [
    "Scale",
    "Stored",
    "extremes",
    "header_scale",
    "ladder_slope",
    "peak_slopes",
    "remap",
    "round_to_stored",
    "set_pixels",
    "unit_mapping",
]

Floats = NDArray[np.float32]
Extremes = tuple[Floats, Floats]
_FINEST, _STEPS = -3, (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """What turns stored values into physical ones.

    Parameters
    ----------
    slope, intercept : ndarray, shape (n,), float64
        One for each frame.
    """

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Pixels ready to be written.

    Parameters
    ----------
    values : ndarray, shape (n, rows, columns), uint16 or int16
        Stored values.
    scale : Scale
        The way back.
    bits : int
        Bits Stored (0028,0101).
    clipped : int
        Pixels that the type could not hold and that were set to its limit.
    """

    values: NDArray[Any]
    scale: Scale
    bits: int = 16
    clipped: int = 0


def extremes(pixels: Floats) -> Extremes:
    """Return the least and the largest value of each frame."""
    flat = pixels.reshape(len(pixels), -1)
    return flat.min(axis=1), flat.max(axis=1)


def round_to_stored(
    pixels: Floats,
    scale: Scale,
    *,
    signed: bool,
    bits: int = 16,
    keep_sum: bool = True,
    known: Extremes | None = None,
) -> Stored:
    """Return stored values with the sum of the pixels, or the nearest; what does not fit is clipped and counted.

    `known` are the :func:`extremes`, where they are at hand.
    """
    least, most = known or extremes(pixels)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    ends = low * scale.slope + scale.intercept, high * scale.slope + scale.intercept
    lowest, highest = (limit(*ends) for limit in (np.minimum, np.maximum))
    fits = (least >= lowest) & (most <= highest)
    lowest, highest = lowest[:, np.newaxis, np.newaxis], highest[:, np.newaxis, np.newaxis]
    outside = 0 if fits.all() else int(np.count_nonzero((pixels < lowest) | (pixels > highest)))
    fitting = np.clip(pixels, lowest, highest).astype(np.float32) if outside else np.ascontiguousarray(pixels)
    dtype = {(False, 8): np.uint8, (True, 8): np.int8}.get((signed, bits), np.int16 if signed else np.uint16)
    sign = np.sign(scale.slope)  # the compiled operation takes positive slopes only
    if (sign < 0).any():
        fitting = fitting * sign[:, np.newaxis, np.newaxis].astype(np.float32)
    values = frame_operations.to_stored(fitting, np.abs(scale.slope), scale.intercept * sign, dtype, keep_sum=keep_sum)
    return Stored(values, scale, bits, outside)


def ladder_slope(pixels: Floats, highest: int, known: Extremes | None = None) -> float:
    """Return the finest slope of 1, 2, 5, 10, ... or 0.5, 0.2, 0.1, ... that holds all values; 1 for whole numbers.

    Such slopes keep stored values legible: 1234 with slope 0.01 is 12.34 counts. Below 0.001 nothing is gained.
    """
    least, most = known or extremes(pixels)
    peak = max(float(most.max()), -float(least.min()))
    if peak <= highest and all(np.array_equal(part, np.rint(part)) for part in (pixels[:1, :1], pixels)):
        return 1.0
    # Rounding that keeps the sum may add one to the largest value.
    exponents = range(_FINEST, 40)
    return next(step * 10.0**e for e in exponents for step in _STEPS if peak <= (highest - 1) * step * 10.0**e)


def peak_slopes(pixels: Floats, highest: int = 32767) -> NDArray[np.float64]:
    """Return for each frame the slope that maps its largest value to `highest`, as a decimal string can carry it."""
    peaks = np.abs(pixels).max(axis=(1, 2)).astype(np.float64)
    # A hair more, so that neither the decimal string nor rounding that keeps the sum passes the limit.
    slopes = np.where(peaks > 0, peaks / highest * (1 + 1e-7), 1.0)
    return np.array([float(str(text)) for text in decimals(list(slopes))])


def set_pixels(ds: Dataset, stored: Stored) -> None:
    """Write Pixel Data and what describes it; photometric interpretation is the source's: nothing is inverted."""
    values = stored.values
    put(
        ds,
        SamplesPerPixel=1,
        Rows=values.shape[1],
        Columns=values.shape[2],
        BitsAllocated=8 * values.dtype.itemsize,
        BitsStored=stored.bits,
        HighBit=stored.bits - 1,
        PixelRepresentation=int(values.dtype.kind == "i"),
    )
    if has(ds, "NumberOfFrames"):
        put(ds, NumberOfFrames=len(values))
    content = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    ds.add_new("PixelData", "OW", content + b"\0" * (len(content) % 2))


def unit_mapping(units: Units, slope: float, *, signed: bool) -> Dataset:
    """Return a Real World Value Mapping item: units = stored value times `slope`."""
    mapping = item(
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=slope,
        LUTExplanation="Units of the pixel values",
        LUTLabel=units.value,
        MeasurementUnitsCodeSequence=[code(UNIT_CODES[units])],
    )
    return _with_range(mapping, signed=signed)


def remap(holder: Dataset, old: tuple[float, float], new: tuple[float, float], *, signed: bool) -> None:
    """Change linear Real World Value Mappings so that they hold for a new slope and intercept; drop those with a table.

    Stored values s became t with ``s * old slope + old intercept == t * new slope + new intercept``.
    """
    kept = []
    for mapping in items(holder, "RealWorldValueMappingSequence"):
        if "RealWorldValueSlope" not in mapping:
            continue
        slope, intercept = float(mapping.RealWorldValueSlope), float(mapping.get("RealWorldValueIntercept") or 0.0)
        mapping.RealWorldValueSlope = slope * new[0] / old[0]
        mapping.RealWorldValueIntercept = intercept + slope * (new[1] - old[1]) / old[0]
        kept.append(_with_range(mapping, signed=signed))
    if kept:
        holder.RealWorldValueMappingSequence = kept
    elif "RealWorldValueMappingSequence" in holder:
        del holder.RealWorldValueMappingSequence


def header_scale(header: Dataset, number: int) -> tuple[float, float]:
    """Return rescale slope and intercept of a frame as its header gives them, 1 and 0 where it does not."""
    groups = [
        *items(header, "PerFrameFunctionalGroupsSequence")[number - 1 : number],
        first(header, "SharedFunctionalGroupsSequence"),
    ]
    transformations = (first(group, "PixelValueTransformationSequence") for group in groups)
    holder = next(filter(None, transformations), header)
    slope, intercept = holder.get("RescaleSlope"), holder.get("RescaleIntercept")
    return float(slope) if slope else 1.0, float(intercept) if intercept else 0.0


def _with_range(mapping: Dataset, *, signed: bool) -> Dataset:
    """Let a mapping hold for every stored value."""
    representation = "SS" if signed else "US"
    low, high = (-32768, 32767) if signed else (0, 65535)
    drop(mapping, "DoubleFloatRealWorldValueFirstValueMapped", "DoubleFloatRealWorldValueLastValueMapped")
    for keyword, limit in (("RealWorldValueFirstValueMapped", low), ("RealWorldValueLastValueMapped", high)):
        tag = tag_of(keyword)
        mapping[tag] = DataElement(tag, representation, limit)
    return mapping
