"""What pages of measurements say of an image: its name without a patient, its facts, its shape on the screen."""

from typing import Any

from ..frames import Units
from ..quality.images import Image
from ..quality.sharpness import Roi
from . import facts
from .images import Window, display_window
from .rasters import grey_picture
from .sections import X_RAYS, aspect

__all__ = ["boxes", "facts_of", "name_of", "shot"]


def name_of(image: Image) -> str:
    """Return how a page calls an image: by its file where that has no header, and never by that of a DICOM object."""
    frames = image.frames
    if not frames.instances:
        return frames.source
    said = facts.of_header(frames.instances[0].header, "SeriesDescription")
    words = facts.described(frames)
    return f"{words[0].upper()}{words[1:]}" + (f": {said}" if said else "")


def facts_of(image: Image) -> list[tuple[str, str]]:
    """Return what a reader must know of an image; never who the patient is."""
    found = facts.facts_of_input(image.frames)
    if image.frames.instances:
        return found
    # Without a header there is neither a modality nor a unit to speak of.
    return [(name, value) for name, value in found if name not in ("Modality", "Unit")]


def shot(image: Image, index: int, window: Window | None = None, *, inverse: bool | None = None) -> dict[str, Any]:
    """Return one frame as a picture, with its shape.

    Parameters
    ----------
    image : Image
        The image.
    index : int
        Which frame.
    window : Window, optional
        What is black and white; by default one in which structure shows.
    inverse : bool, optional
        Whether high values are dark; by default in emission images.
    """
    frames = image.frames
    window = window or display_window(frames.pixels[index], frames.units)
    emission = frames.units is Units.COUNTS or frames.modality in ("NM", "PT")
    dark = emission if inverse is None else inverse and frames.modality not in X_RAYS
    return {
        "uri": grey_picture(image.pixels[index], window, inverse=dark),
        "aspect": aspect(frames),
        "rows": frames.matrix.rows,
        "columns": frames.matrix.columns,
        "label": facts.frame_label(frames, index),
        "window": window,
    }


def boxes(rois: tuple[Roi, ...] | list[Roi], colours: list[str]) -> list[dict[str, Any]]:
    """Return regions as rectangles over a picture, numbered where there are several."""
    return [
        {
            "x": column0,
            "y": row0,
            "width": column1 - column0,
            "height": row1 - row0,
            "name": str(i + 1) if len(rois) > 1 else "",
            "colour": colours[i % len(colours)],
        }
        for i, ((row0, row1), (column0, column1)) in enumerate(rois)
    ]
