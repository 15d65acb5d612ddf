"""Through which window an image is seen: one for each frame, the same for every metric."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...kernels.iqa.intensity import Window, grey, window_of
from ..dicom.attributes import integer, value
from ..errors import UsageError
from .images import Image

__all__ = ["FrameWindow", "grey_frame", "grey_luma", "parse_window", "window_for"]

NAMES = ("auto", "identity", "counts", "full-range")
# Of everything else in DICOM one sees a window of the display; nothing in it is a number of counts from 0.
EMISSION = ("NM", "PT")


@dataclass(frozen=True, slots=True)
class FrameWindow:
    """Which values became grey 0 and grey 255.

    Parameters
    ----------
    name : str
        ``identity``, ``counts``, ``full-range``, ``display`` (the header's), ``range`` (of the frame) or ``window``
        (given as numbers).
    low, high : float
        Values, in the units of the pixels; NaN where pixels are not finite.
    """

    name: str
    low: float
    high: float

    def scaled(self, ratio: float) -> "FrameWindow":
        """Return the window for pixels whose values are `ratio` times as large.

        Examples
        --------
        >>> FrameWindow("counts", 0.0, 60.0).scaled(0.25)
        FrameWindow(name='counts', low=0.0, high=15.0)
        """
        return FrameWindow(self.name, self.low * ratio, self.high * ratio)


def parse_window(text: str) -> Window:
    """Return the window that a word, or two numbers as in ``0:120``, names.

    Raises
    ------
    UsageError
        If it is neither.

    Examples
    --------
    >>> parse_window("counts"), parse_window("-160:240")
    ('counts', (-160.0, 240.0))
    """
    for name in NAMES:
        if text == name:
            return name  # type: ignore[return-value]
    low, colon, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = np.nan, np.nan
    if not colon or not ends[0] < ends[1] or not np.isfinite(ends).all():
        raise UsageError(f"{text!r} is no window; write {', '.join(NAMES)} or LOW:HIGH, such as 0:120.")
    return ends


def window_for(image: Image, index: int, chosen: Window = "auto") -> FrameWindow:
    """Return the window of one frame.

    Parameters
    ----------
    image : Image
        What is measured.
    index : int
        Which frame.
    chosen : str or tuple of float
        As :func:`photopeak.kernels.iqa.intensity.window_of` takes it. Two things are decided here, where headers are
        known: ``auto`` takes the display window of a DICOM image that is neither NM nor PT (Window Center (0028,1050) and
        Width (0028,1051); where there is none, 0 to 255 for 8 bits, and otherwise the least and the greatest value of the
        frame), and ``full-range`` all values that the
        stored bits of a DICOM object can hold, in the units of its pixels.

    Raises
    ------
    UsageError
        If the window makes no sense for the image.
    """
    frame = image.pixels[index]
    if not np.isfinite(frame).all():
        return FrameWindow("none", np.nan, np.nan)
    if chosen == "auto" and image.frames.instances and image.frames.modality not in EMISSION:
        return _display_window(image, index)
    if chosen == "full-range" and image.frames.instances:
        return _stored_range(image, index)
    return FrameWindow(*window_of(frame, chosen))


def grey_frame(image: Image, index: int, window: FrameWindow) -> tuple[NDArray[np.float64], float]:
    """Return a frame as grey values 0 to 255, and the fraction of pixels outside of the window.

    A frame that is not finite stays so, which metrics have a reason for.
    """
    return _grey(image.pixels[index], window)


def grey_luma(image: Image, index: int, window: FrameWindow) -> NDArray[np.float64]:
    """Return the plane that Ma's metric takes, as grey values 0 to 255."""
    return _grey(image.luma(index), window)[0]


def _grey(plane: NDArray[np.generic], window: FrameWindow) -> tuple[NDArray[np.float64], float]:
    if np.isnan(window.low):
        return np.full(plane.shape, np.nan), np.nan
    seen = grey(plane, window.low, window.high)
    return seen.plane, seen.clipped


def _display_window(image: Image, index: int) -> FrameWindow:
    frames = image.frames
    header = frames.instances[frames.info[index].instance].header
    centre, width = _first(header, "WindowCenter"), _first(header, "WindowWidth")
    if np.isfinite(centre) and width > 1:
        # PS3.3 C.11.2.1.2.1: the ends of a linear window.
        low = centre - 0.5 - (width - 1) / 2
        return FrameWindow("display", low, low + width - 1)
    if integer(header, "BitsStored") == 8 and integer(header, "PixelRepresentation") != 1:
        return FrameWindow("identity", 0.0, 255.0)
    low, high = float(image.pixels[index].min()), float(image.pixels[index].max())
    return FrameWindow("range", low, high if high > low else low + 1.0)


def _first(header: Dataset, keyword: str) -> float:
    """Return the first number of an element that may hold several; NaN where it is missing or no number."""
    try:
        found = np.atleast_1d(np.asarray(value(header, keyword), np.float64))
    except (TypeError, ValueError):
        return float("nan")
    return float(found[0]) if found.size else float("nan")


def _stored_range(image: Image, index: int) -> FrameWindow:
    info = image.frames.info[index]
    header = image.frames.instances[info.instance].header
    bits, signed = integer(header, "BitsStored") or 16, integer(header, "PixelRepresentation")
    least, greatest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    ends = sorted((least * info.slope + info.intercept, greatest * info.slope + info.intercept))
    return FrameWindow("full-range", *ends)
