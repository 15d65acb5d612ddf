"""Pictures of findings: evidence in colours over the grey image, boxes with their scores, and whether all that is valid."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..errors import UsageError
from ..frames import Frames, Units
from .colour_maps import coloured
from .prepare import is_inverted
from .result import NOT_VALID, AnalysisResult, Detection

__all__ = ["OverlayStyle", "grey_levels", "overlay", "png"]

Picture = NDArray[np.uint8]

_LEAST_SIDE = 512  # px: below this, scores would cover what they are about
_MOST_SIDE = 1200  # px: more is for looking at the image itself
_BOX, _NOTICE, _INK = (0, 229, 255), (176, 0, 32), (255, 255, 255)
_TEXT = 14  # px


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """How a picture of findings looks.

    Parameters
    ----------
    colour_map : str
        ``inferno`` or ``viridis``.
    opacity : float
        Of the strongest evidence [1]; where there is none, the image shows as it is.
    evidence, boxes : bool
        Whether evidence and boxes are drawn.
    magnify : int
        Pixels of the picture for each of the image, along each axis; 0: as many as make it readable, and of very large images
        one for a block of theirs.
    """

    colour_map: str = "inferno"
    opacity: float = 0.6
    evidence: bool = True
    boxes: bool = True
    magnify: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1 or self.magnify < 0:
            raise UsageError(
                f"opacity={self.opacity}, magnify={self.magnify} make no sense; use 0 to 1, and 0 or more."
            )


def grey_levels(frames: Frames, index: int = 0) -> Picture:
    """Return a frame as grey levels for display.

    Parameters
    ----------
    frames : Frames
        The images.
    index : int
        Which one.

    Returns
    -------
    ndarray, shape (rows, columns), uint8
        Counts from black to the 99.5th percentile of what is not 0; radiographs from their 1st to their 99.5th percentile,
        bone bright.
    """
    return _levels(frames, index, frames.pixels[index])


def _levels(frames: Frames, index: int, frame: NDArray[np.float32]) -> Picture:
    """Return a frame, or its means over blocks, as grey levels."""
    if frames.units is Units.NONE:
        low, high = (
            np.percentile(frame, (1, 99.5)) if not is_inverted(frames, index) else np.percentile(frame, (99, 0.5))
        )
    else:
        signal = frame[frame > 0]
        low, high = 0.0, float(np.percentile(signal, 99.5)) if signal.size else 1.0
    span = high - low or 1.0
    levels: Picture = np.rint(np.clip((frame - low) / span, 0, 1) * 255).astype(np.uint8)
    return levels


def overlay(
    result: AnalysisResult,
    index: int = 0,
    *,
    channel: int | None = None,
    label: int | None = None,
    style: OverlayStyle | None = None,
) -> Picture:
    """Return a picture of what was found in a frame.

    Parameters
    ----------
    result : AnalysisResult
        What was found.
    index : int
        Which frame.
    channel : int, optional
        Which phase is shown; by default that of `result.reference`, which the evidence lies on. On another one only boxes are
        drawn.
    label : int, optional
        Which class's evidence is shown; by default that of the most probable one.
    style : OverlayStyle, optional
        How it looks.

    Returns
    -------
    ndarray, shape (rows, columns, 3), uint8
        Red, green and blue; the frame's matrix times or over a whole number. Outside the training domain a notice across the top
        says that the findings are not valid for the image.

    Raises
    ------
    UsageError
        If the channel is absent.
    """
    style = style or OverlayStyle()
    channel = result.reference_channel if channel is None else channel
    frames = result.sources[channel]
    if frames is None:
        raise UsageError(f"the {result.channels[channel]} phase is absent; there is no image to draw on.")
    block = 1 if style.magnify else -(-max(frames.matrix) // _MOST_SIDE)
    factor = style.magnify or max(1, -(-_LEAST_SIDE // max(frames.matrix)))
    grey = _levels(frames, index, _block_means(frames.pixels[index], block))
    colours = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    if style.evidence and channel == result.reference_channel:
        colours = _blended(colours, _block_means(_evidence(result, index, label), block), style)
    large = np.ascontiguousarray(np.repeat(np.repeat(colours, factor, axis=0), factor, axis=1))
    return _drawn(large, result, (channel, index), factor / block if style.boxes else 0)


def _block_means(image: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Return the means over square blocks; what is left over at the lower and right edge is dropped."""
    if block == 1:
        return image
    rows, columns = (size // block for size in image.shape)
    inside = image[: rows * block, : columns * block]
    return np.asarray(inside.reshape(rows, block, columns, block).mean(axis=(1, 3)), np.float32)


def png(picture: Picture) -> bytes:
    """Return a picture as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=3)  # noise packs badly, at any price
    return file.getvalue()


def _evidence(result: AnalysisResult, index: int, label: int | None) -> NDArray[np.float32]:
    """Return the class activation of a label, from 0 to 1."""
    if label is None:
        label = 0 if result.probabilities is None else result.found(index)[0]
    cam = result.cam[index, label]
    peak = float(cam.max())
    return cam / np.float32(peak) if peak > 0 else np.zeros_like(cam)


def _blended(colours: Picture, evidence: NDArray[np.float32], style: OverlayStyle) -> Picture:
    opacity = style.opacity * evidence[..., np.newaxis]
    mixed: Picture = np.rint(colours * (1 - opacity) + coloured(evidence, style.colour_map) * opacity).astype(np.uint8)
    return mixed


def _drawn(colours: Picture, result: AnalysisResult, place: tuple[int, int], scale: float) -> Picture:
    """Draw boxes on a phase of a frame (channel, index), and a notice where the findings are not valid."""
    index = place[1]
    image = Image.fromarray(colours)
    pen = ImageDraw.Draw(image)
    if scale and result.detections:
        for lesion in result.detections[index]:
            _box(pen, result, lesion, place, scale)
    if not result.valid_frames[index]:
        font = ImageFont.load_default(_TEXT)
        pen.rectangle((0, 0, image.width, _TEXT + 8), fill=_NOTICE)
        pen.text((6, 3), NOT_VALID, fill=_INK, font=font)
    return np.asarray(image)


def _box(pen: Any, result: AnalysisResult, lesion: Detection, place: tuple[int, int], scale: float) -> None:
    row0, column0, row1, column1 = (scale * edge for edge in result.box_on(lesion, *place))
    pen.rectangle((column0, row0, max(column1 - 1, column0), max(row1 - 1, row0)), outline=_BOX, width=2)
    pen.text((column1 + 3, row0), f"{lesion.score:.2f}", fill=_BOX, font=ImageFont.load_default(_TEXT))
