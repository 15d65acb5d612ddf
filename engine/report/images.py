"""Pictures for the report: windows, areas, and pixels packed for a browser."""

import base64
import io
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError
from ..frames import Units

__all__ = ["Packed", "Window", "display_step", "display_window", "pack", "picture", "rebin", "scale_between", "unpack"]

# One sixteenth of a count is far below the Poisson noise of any pixel that holds a count.
STEPS_PER_COUNT = 16
# Enough grey levels for every window down to a sixteenth of the range.
LEVELS = 4095
MAX_STORED = 65535


@dataclass(frozen=True, slots=True)
class Window:
    """Values shown as the two ends of the colour map, in the units of the input pixels."""

    lower: float
    upper: float

    def per_output_pixel(self, area_ratio: float) -> "Window":
        """Return the window for pixels that are `area_ratio` times as many on the same area.

        Examples
        --------
        >>> Window(0, 60).per_output_pixel(4)
        Window(lower=0.0, upper=15.0)
        """
        return Window(self.lower / area_ratio, self.upper / area_ratio)


@dataclass(frozen=True, slots=True)
class Packed:
    """An image as 16-bit numbers, differenced and deflated, for the viewer's script.

    Parameters
    ----------
    rows, columns : int
        Shape [px].
    slope, intercept : float
        Value = stored number * slope + intercept.
    data : str
        Base64 of the zlib stream of the low bytes, then the high bytes, of the differences along the flattened image,
        each folded to a non-negative number (0, -1, 1, -2, ... become 0, 1, 2, 3, ...).
    """

    rows: int
    columns: int
    slope: float
    intercept: float
    data: str


def scale_between(before: NDArray[np.float32], after: NDArray[np.float32]) -> int:
    """Return how many output pixels lie along one input pixel.

    Parameters
    ----------
    before, after : ndarray, shape (..., rows, columns), float32
        Images of the same field of view.

    Raises
    ------
    InputError
        If the output matrix is not a whole multiple of the input matrix, the same down and across.

    Examples
    --------
    >>> scale_between(np.zeros((64, 64), np.float32), np.zeros((128, 128), np.float32))
    2
    """
    rows, columns = before.shape[-2:]
    scale = int(after.shape[-1]) // int(columns)
    if scale < 1 or after.shape[-2:] != (scale * rows, scale * columns):
        raise InputError(
            f"an output of {after.shape[-2]}x{after.shape[-1]} pixels cannot be compared with an input of {rows}x{columns}; "
            "the report needs a whole multiple."
        )
    return scale


def rebin(image: NDArray[np.float32], scale: int, *, keep_sum: bool) -> NDArray[np.float64]:
    """Return an image on the `scale` times coarser matrix: sums of counts, or means of concentrations.

    Examples
    --------
    >>> rebin(np.ones((4, 4), np.float32), 2, keep_sum=True)
    array([[4., 4.],
           [4., 4.]])
    """
    rows, columns = image.shape
    blocks = image.astype(np.float64).reshape(rows // scale, scale, columns // scale, scale)
    binned: NDArray[np.float64] = blocks.sum((1, 3)) if keep_sum else blocks.mean((1, 3))
    return binned


def display_window(before: NDArray[np.float32], units: Units) -> Window:
    """Return a window in which structure shows: nearly all pixels of what is not background.

    Parameters
    ----------
    before : ndarray, shape (rows, columns), float32
        The input image, in `units`.
    """
    # A single pixel that is no number must not leave the others without a window.
    seen = before[np.isfinite(before)]
    if units in (Units.HOUNSFIELD, Units.NONE):
        lower, upper = np.percentile(seen, (1, 99.5)) if seen.size else (0.0, 1.0)
    else:
        signal = seen[seen > 0]
        lower, upper = 0.0, np.percentile(signal, 99.0) if signal.size else 1.0
    # The ends stay apart in the precision of the pixels too.
    return Window(float(lower), float(max(upper, lower + max(1e-6, 1e-6 * abs(float(lower))))))


def display_step(image: NDArray[np.float32], units: Units, area_ratio: float = 1.0) -> float:
    """Return the rounding step at which the viewer stores an image.

    Whole numbers stay exact. Counts are kept to a sixteenth of a count on the area of an input pixel, everything else to
    1/4095 of its range.
    """
    span = float(np.ptp(image))
    if span <= MAX_STORED and np.array_equal(image, np.rint(image)):
        return 1.0
    step = 1 / (STEPS_PER_COUNT * area_ratio) if units is Units.COUNTS else span / LEVELS
    return max(step, span / MAX_STORED) or 1.0


def pack(image: NDArray[np.float32], step: float) -> Packed:
    """Return an image rounded to multiples of `step` and compressed.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), float32
        Finite values.
    step : float
        Rounding step, in the units of the image.
    """
    intercept = float(image.min())
    stored = np.rint((image.ravel().astype(np.float64) - intercept) / step).astype(np.uint16)
    delta = np.diff(stored, prepend=np.uint16(0)).view(np.int16)
    folded = ((delta << 1) ^ (delta >> 15)).view(np.uint16)
    planes = (folded & 255).astype(np.uint8).tobytes() + (folded >> 8).astype(np.uint8).tobytes()
    data = base64.b64encode(zlib.compress(planes, 6)).decode()
    return Packed(image.shape[0], image.shape[1], step, intercept, data)


def unpack(packed: Packed) -> NDArray[np.float32]:
    """Return the image that the viewer sees; the inverse of `pack` up to its rounding.

    Examples
    --------
    >>> image = np.array([[0, 7], [3, 250]], np.float32)
    >>> unpack(pack(image, 1.0))
    array([[  0.,   7.],
           [  3., 250.]], dtype=float32)
    """
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed.data)), np.uint8).astype(np.uint16)
    low, high = planes.reshape(2, -1)
    folded = low | (high << 8)
    delta = (folded >> 1) ^ -(folded & 1)
    stored = np.cumsum(delta, dtype=np.uint16)
    return (stored * packed.slope + packed.intercept).astype(np.float32).reshape(packed.rows, packed.columns)


def picture(image: NDArray[np.float32], window: Window, size: tuple[int, int], *, inverse: bool) -> str:
    """Return an image as the data URI of an 8-bit grey PNG.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), float32
        Values in the units of `window`.
    window : Window
        What is shown as black and white.
    size : tuple of int
        Rows and columns of the PNG [px].
    inverse : bool
        Whether high values are dark, as is usual for scintigraphy.
    """
    grey = np.clip((image - window.lower) / (window.upper - window.lower), 0, 1) * 255
    levels = np.rint(255 - grey if inverse else grey).astype(np.uint8)
    png = io.BytesIO()
    Image.fromarray(levels).resize((size[1], size[0]), Image.Resampling.BOX).save(png, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
