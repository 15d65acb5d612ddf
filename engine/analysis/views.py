"""Which frames of a series a model of findings looks at."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..dicom.attributes import text
from ..errors import InputError, UsageError
from ..frames import Frames
from .prepare import spacing_of
from .thorax import find_ribs

__all__ = ["at_spacing", "is_planar", "kind_of", "numbered", "of_views", "only", "with_ribs"]

_PLANAR = ("", "STATIC", "WHOLE BODY", "DYNAMIC")


def kind_of(frames: Frames) -> str:
    """Return what kind of acquisition the header tells of, such as ``STATIC`` or ``TOMO``; empty where it does not say."""
    if not frames.instances or frames.modality != "NM":
        return ""
    return "".join(text(frames.instances[0].header, "ImageType").upper().split("\\")[2:3])


def is_planar(frames: Frames) -> bool:
    """Return whether frames are planar images, and neither projections for tomography nor slices nor a heart's cycle."""
    return kind_of(frames) in _PLANAR


def only(frames: Frames, indices: Sequence[int]) -> Frames:
    """Return some of the frames."""
    if len(indices) == len(frames):
        return frames
    chosen = list(indices)
    return replace(
        frames, pixels=np.ascontiguousarray(frames.pixels[chosen]), info=tuple(frames.info[index] for index in chosen)
    )


def numbered(frames: Frames, numbers: Sequence[int]) -> Frames:
    """Return the frames of these numbers, from 1; all where none is given.

    Raises
    ------
    UsageError
        If there is no such frame.
    """
    for number in numbers:
        if not 1 <= number <= len(frames):
            raise UsageError(f"{frames.source}: has no frame {number}; give 1 to {len(frames)}.")
    return only(frames, [number - 1 for number in numbers] or range(len(frames)))


def of_views(frames: Frames, views: Sequence[str]) -> Frames:
    """Return the frames of some views; what does not say its view is kept where no frame does.

    Parameters
    ----------
    frames : Frames
        Of one series.
    views : sequence of str
        Such as ``anterior``.

    Raises
    ------
    InputError
        If the series holds no planar images, or none of these views.
    """
    if not is_planar(frames):
        raise InputError(f"{frames.source}: holds images of kind {kind_of(frames)}; give planar images.")
    told = [info.view for info in frames.info]
    kept = [index for index, view in enumerate(told) if view in views]
    unknown = [index for index, view in enumerate(told) if not view]
    if not kept and not unknown:
        raise InputError(
            f"{frames.source}: shows the view {told[0]}, the model needs {' or '.join(views)}; give another image."
        )
    chosen = only(frames, kept or unknown)
    if len(chosen) == len(frames):
        return chosen
    dropped = ", ".join(
        sorted({view or "unknown" for index, view in enumerate(told) if index not in (kept or unknown)})
    )
    note = f"{frames.source}: frames of other views ({dropped}) were left out."
    return replace(chosen, notes=(*chosen.notes, note))


def with_ribs(frames: Frames) -> Frames:
    """Return the frames of a bone scan that show a thorax; spot views of other parts of the body are left out.

    Raises
    ------
    InputError
        If there is none.
    """
    spacing = spacing_of(frames)
    kept, why = [], []
    for index, frame in enumerate(frames.pixels):
        try:
            find_ribs(frame, spacing)
            kept.append(index)
        except InputError as error:
            why.append(error)
    if not kept:
        raise InputError(f"{frames.source}: {why[0]}") from why[0]
    if not why:
        return frames
    numbers = ", ".join(str(info.number) for index, info in enumerate(frames.info) if index not in kept)
    note = f"{frames.source}: no thorax was found in frame {numbers}, which was left out."
    return replace(only(frames, kept), notes=(*frames.notes, note))


def at_spacing(frames: Frames, pixel_mm: float | None) -> Frames:
    """Return frames with the pixel spacing that a user gives, where one is given."""
    if pixel_mm is None:
        return frames
    if not (np.isfinite(pixel_mm) and pixel_mm > 0):
        raise UsageError(f"--pixel-mm {pixel_mm:g} is no length; give the edge of a pixel in mm, such as 2.4.")
    known = frames.pixel_spacing_mm
    notes = frames.notes
    if known is not None and max(abs(pixel_mm / mm - 1) for mm in known) > 0.01:
        notes = (
            *notes,
            f"{frames.source}: pixels of {pixel_mm:g} mm were taken; the header says {known[0]:g} x {known[1]:g} mm.",
        )
    return replace(frames, pixel_spacing_mm=(pixel_mm, pixel_mm), notes=notes)
