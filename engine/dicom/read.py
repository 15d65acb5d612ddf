"""From DICOM objects to frames in physical units."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut

from ..errors import InputError
from ..frame_operations import to_float
from ..frames import FrameInfo, Frames, Units
from .attributes import is_lossy, items, number, text
from .enhanced import enhanced_frames, is_enhanced
from .geometry import pixel_spacing, position, rounded
from .guard import check_memory
from .parse import ImageFile
from .pixels import stored_values
from .quiet import input_errors
from .scintigraphy import nuclear_frames
from .series import gaps
from .suv import suv_factor
from .units import Scaling, scaling

Info = tuple[FrameInfo, ...]


def read_stack(images: Sequence[ImageFile], *, suv: bool = False) -> Frames:
    """Return the frames of one series.

    Parameters
    ----------
    images : sequence of ImageFile
        Objects that belong together, in order; see :func:`photopeak.engine.dicom.series.group`.
    suv : bool
        Turn PET activity into body-weight SUV.

    Returns
    -------
    Frames
        Stored values times slope plus intercept. MONOCHROME1 is a display choice and never inverts them.

    Raises
    ------
    InputError
        If pixels cannot be decoded, do not fit the header or the memory limit, or SUV cannot be computed.
    """
    matrix, total = images[0].layout.matrix, sum(image.layout.frames for image in images)
    memory = sum(image.layout.frames * 4 * matrix.pixels for image in images)
    largest = max(image.layout.frames * image.layout.frame_bytes for image in images)
    source = _name(images)
    check_memory(memory + largest, f"{source}: {total} frame(s) of {matrix}", images[0].limits)
    described = [_describe(image, index) for index, image in enumerate(images)]
    if len({(units, rounded(spacing)) for _, units, spacing in described}) > 1:
        raise InputError(f"{source}: its images differ in units or pixel spacing; read them one by one.")
    _, units, spacing = described[0]
    infos = [info for info, _, _ in described]
    if suv:
        with input_errors(images[0].path):
            infos, units = _to_suv(infos, units, [image.header for image in images])
    pixels = np.empty((total, *matrix), np.float32)
    start = 0
    for image, info in zip(images, infos, strict=True):
        _convert(image, info, pixels[start : start + len(info)])
        start += len(info)
    return Frames(
        pixels,
        units,
        text(images[0].header, "Modality") or "OT",
        spacing,
        tuple(one for info in infos for one in info),
        tuple(image.instance for image in images),
        source,
        notes=_notes(images),
    )


def _describe(image: ImageFile, index: int) -> tuple[Info, Units, tuple[float, float] | None]:
    """Return frame descriptions, units and spacing of one object."""
    ds = image.header
    with input_errors(image.path):
        if is_enhanced(ds):
            info, units, spacing = enhanced_frames(image)
        else:
            scale, spacing = scaling(ds), pixel_spacing(ds)
            units = scale.units
            info = nuclear_frames(image, scale) if text(ds, "Modality") == "NM" else _plain_frames(image, scale)
        return (tuple(replace(i, instance=index) for i in info) if index else info), units, spacing


def _to_suv(infos: Sequence[Info], units: Units, headers: Sequence[Dataset]) -> tuple[list[Info], Units]:
    """Return the descriptions with slopes that lead to SUV; one factor holds for the whole series."""
    factor = suv_factor(units, headers)
    scaled = [
        tuple(replace(one, slope=one.slope * factor, intercept=one.intercept * factor) for one in info)
        for info in infos
    ]
    return scaled, Units.SUV_BODY_WEIGHT


def _plain_frames(image: ImageFile, scale: Scaling) -> tuple[FrameInfo, ...]:
    """Return descriptions for PET, CT, X-ray and other objects without functional groups."""
    ds = image.header
    duration_ms = number(ds, "ActualFrameDuration")
    one = FrameInfo(
        view=text(ds, "ViewPosition"),
        duration_s=float("nan") if duration_ms is None else duration_ms / 1000,
        slope=scale.slope,
        intercept=scale.intercept,
        position_mm=position(ds),
    )
    return tuple(replace(one, number=i + 1) for i in range(image.layout.frames))


def _convert(image: ImageFile, info: Sequence[FrameInfo], out: NDArray[np.float32]) -> None:
    """Write the physical values of one object's frames into `out`."""
    stored = stored_values(image)
    with input_errors(image.path):
        if _has_lookup_table(image.header):
            stored = apply_modality_lut(stored, image.header)
        slope, intercept = np.array([[i.slope, i.intercept] for i in info]).T
        sign = np.sign(slope)  # the compiled operation takes positive slopes only
        to_float(np.ascontiguousarray(stored), np.abs(slope), intercept * sign, out=out)
        if (sign < 0).any():
            out *= sign[:, np.newaxis, np.newaxis].astype(np.float32)


def _has_lookup_table(header: Dataset) -> bool:
    return bool(items(header, "ModalityLUTSequence")) and text(header, "Modality") not in ("NM", "PT")


def _name(images: Sequence[ImageFile]) -> str:
    """Return a short name for messages: the file, or the folder and how many."""
    path = images[0].path
    return path.name if len(images) == 1 else f"{path.parent.name or path.name} ({len(images)} images)"


def _notes(images: Sequence[ImageFile]) -> tuple[str, ...]:
    """Return sentences about what deserves a warning."""
    notes: list[Any] = []
    if any(is_lossy(image.instance) for image in images):
        notes.append("The source went through lossy compression: noise and small structures are not the scanner's.")
    if any(_has_lookup_table(image.header) for image in images):
        notes.append("Values went through the Modality LUT of the header and cannot be stored back in the same form.")
    return (*notes, *filter(None, [gaps(images)]))
