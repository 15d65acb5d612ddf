"""Images with a rescale: PET with a slope for each slice or frame; CT and X-ray with the slope of the source."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...errors import InputError
from ..attributes import first, items
from .codes import item
from .magnify import decimals
from .part import Part
from .values import Scale, header_scale, peak_slopes, remap, round_to_stored, set_pixels

__all__ = ["encode_enhanced_pet", "encode_pet", "encode_same_scale"]


def encode_pet(ds: Dataset, part: Part) -> tuple[str, ...]:
    """Write a PET slice; its largest value becomes 32767, so that each slice uses its own range."""
    scale = _encode_peaks(ds, part)
    slope = float(scale.slope[0])
    ds.RescaleSlope, ds.RescaleIntercept = decimals([slope])[0], 0
    remap(ds, header_scale(part.source.header, 1), (slope, 0.0), signed=bool(ds.PixelRepresentation))
    if not ds.get("WindowWidth"):
        top = 32767 * slope
        ds.WindowCenter, ds.WindowWidth = decimals([top / 2]), decimals([top])
        ds.VOILUTFunction = "LINEAR_EXACT"  # the only linear one that allows a width below 1
    ds.ImageType = ["DERIVED", "PRIMARY", *list(ds.get("ImageType") or [])[2:]]
    return ()


def encode_enhanced_pet(ds: Dataset, part: Part) -> tuple[str, ...]:
    """Write a multi-frame PET object; slope and real-world values go into the functional groups of each frame."""
    scale = _encode_peaks(ds, part)
    shared = first(ds, "SharedFunctionalGroupsSequence")
    for index, group in enumerate(ds.PerFrameFunctionalGroupsSequence):
        for keyword in ("PixelValueTransformationSequence", "RealWorldValueMappingSequence"):
            if keyword not in group and keyword in shared:
                setattr(group, keyword, [Dataset(inner) for inner in shared[keyword].value])
        new = (float(scale.slope[index]), 0.0)
        transformation = first(group, "PixelValueTransformationSequence") or item(RescaleType="US")
        transformation.RescaleSlope, transformation.RescaleIntercept = decimals(new)
        group.PixelValueTransformationSequence = [transformation]
        remap(group, header_scale(part.source.header, index + 1), new, signed=bool(ds.PixelRepresentation))
    for keyword in ("PixelValueTransformationSequence", "RealWorldValueMappingSequence"):
        shared.pop(keyword, None)
    return ()


def encode_same_scale(ds: Dataset, part: Part) -> tuple[str, ...]:
    """Write the nearest stored values with type, slope and intercept of the source, on which windows and HU hang."""
    through_table = _drop_lookup_table(ds)
    bits = 16 if through_table else int(part.source.header.get("BitsStored") or 16)
    if bits > 16:
        raise InputError(f"{part.source.path}: pixels of {bits} bits cannot be written; convert the source to 16 bits.")
    stored = round_to_stored(
        part.pixels,
        part.scale,
        signed=part.has_negative if through_table else part.source_is_signed,
        bits=bits,
        keep_sum=False,
    )
    set_pixels(ds, stored)
    values = list(ds.get("ImageType") or [])
    ds.ImageType = ["DERIVED", values[1] if len(values) > 1 else "PRIMARY", *values[2:]]
    if not stored.clipped:
        return ()
    return (f"{stored.clipped} pixels beyond the {bits} bits of the source were set to the nearest storable value.",)


def _drop_lookup_table(ds: Dataset) -> bool:
    """Remove a Modality LUT, which the reader has applied; return whether there was one."""
    if not items(ds, "ModalityLUTSequence"):
        return False
    del ds.ModalityLUTSequence
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, 0, "US"
    return True


def _encode_peaks(ds: Dataset, part: Part) -> Scale:
    """Store each frame with the slope that uses 15 bits, in the units of the header."""
    if part.conserve == "sum" and part.derivation.scale > 1:
        # What leads from counts of an old pixel to SUV or concentration.
        ds.remove_private_tags()
        ds.pop("RealWorldValueMappingSequence", None)
    pixels = _in_header_units(part)
    slopes = peak_slopes(pixels)
    scale = Scale(slopes, np.zeros_like(slopes))
    set_pixels(ds, round_to_stored(pixels, scale, signed=part.source_is_signed or part.has_negative))
    return scale


def _in_header_units(part: Part) -> NDArray[np.float32]:
    """Return the pixels in what the header's rescale leads to: SUV, for one, was computed when the frames were read."""
    slope, intercept = np.array([header_scale(part.source.header, frame.number) for frame in part.info]).T
    ratio = slope / part.scale.slope
    offset = intercept - part.scale.intercept * ratio
    if (ratio == 1).all() and (offset == 0).all():
        return part.pixels
    return np.asarray(part.pixels * ratio[:, np.newaxis, np.newaxis] + offset[:, np.newaxis, np.newaxis], np.float32)
