"""How pixel values become the grey values 0 to 255 that no-reference metrics are defined for.

Counts are not grey values: what a metric says about a scan depends on the window through which it looks. The window is
therefore a choice that travels with every score, and before and after are compared through the same one.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined
from ..errors import InputError, UsageError

__all__ = ["TYPES", "Intensity", "Seen", "Window", "check_frames", "grey", "greys", "window_of"]

Window = Literal["auto", "identity", "counts", "full-range"] | tuple[float, float]

_BRIGHTEST = 0.999
# Pixels that kernels take without conversion.
TYPES = ("uint8", "uint16", "int16", "float32", "float64")
_GREY = tuple(
    f"({kind}[:, :, ::1], float64[::1], float64[::1], {plane}[:, :, ::1], int64[::1], boolean[::1])"
    for plane in ("float64", "float32")
    for kind in TYPES
)


@dataclass(frozen=True)
class Intensity:
    """The windows that the frames of a stack were seen through.

    Parameters
    ----------
    name : str
        ``identity``, ``counts``, ``full-range`` or ``window`` (given as numbers).
    low, high : tuple of float, length n
        Pixel values that became grey 0 and grey 255, for each frame.
    clipped : tuple of float, length n
        Fraction of the pixels that lay outside, and were set to 0 or 255.
    """

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    clipped: tuple[float, ...]


def window_of(frame: NDArray[Any], window: Window = "auto") -> tuple[str, float, float]:
    """Return the name, low and high end of the window for a frame.

    Parameters
    ----------
    frame : ndarray, shape (rows, columns)
        Pixels.
    window : str or tuple of float
        * ``identity``: values are grey values already, 0 to 255;
        * ``counts``: from 0 to the value that 99.9 % of the pixels do not exceed (to the maximum if that is 0), so that
          a few hot pixels do not decide; what is negative becomes 0;
        * ``full-range``: from the least to the greatest value that the integer type holds;
        * ``auto``: ``identity`` for uint8, ``counts`` for everything else;
        * two numbers: from the first to the second, in the units of the pixels.

    Raises
    ------
    UsageError
        If the window is none of these.
    """
    if not isinstance(window, str):
        try:
            low, high = map(float, window)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{window!r} is no window; give a name or two numbers, the low end first.") from error
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise UsageError(f"the window {low} to {high} is empty; give its low end first.")
        return "window", low, high
    name = ("identity" if frame.dtype == np.uint8 else "counts") if window == "auto" else window
    if name == "identity":
        return name, 0.0, 255.0
    if name == "counts":
        return name, 0.0, _brightest(frame)
    if name == "full-range":
        if frame.dtype.kind not in "ui":
            raise UsageError(f"the window full-range needs integers, not {frame.dtype}; give it as two numbers.")
        limits = np.iinfo(frame.dtype)
        return name, float(limits.min), float(limits.max)
    raise UsageError(f"there is no window {window!r}; use auto, identity, counts, full-range or two numbers.")


class Seen(NamedTuple):
    """A frame through a window.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64 or float32
        Grey values 0 to 255, not rounded.
    clipped : float
        Fraction of the pixels outside of the window.
    constant : bool
        Whether all grey values are the same.
    """

    plane: NDArray[Any]
    clipped: float
    constant: bool


def grey(
    frame: NDArray[Any], low: float, high: float, dtype: type[Any] = np.float64, *, out: NDArray[Any] | None = None
) -> Seen:
    """Return a frame as grey values 0 to 255.

    Parameters
    ----------
    frame : ndarray, shape (rows, columns)
        Pixels.
    low, high : float
        The window, in the units of the pixels.
    dtype : type
        float64, or float32 for kernels that work in single precision.
    out : ndarray, shape (rows, columns), `dtype`, optional
        Memory for the plane.

    Examples
    --------
    >>> grey(np.array([[0, 50, 200]], np.uint16), 0, 100)
    Seen(plane=array([[  0. , 127.5, 255. ]]), clipped=0.3333333333333333, constant=False)
    """
    plane = np.empty(frame.shape, dtype) if out is None else out
    clipped, constant = greys(
        frame[np.newaxis], np.array([low], np.float64), np.array([high], np.float64), plane[np.newaxis]
    )
    return Seen(plane, float(clipped[0]), bool(constant[0]))


def greys(
    frames: NDArray[Any], low: NDArray[np.float64], high: NDArray[np.float64], out: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Fill planes with the grey values of frames, each through its own window.

    Parameters
    ----------
    frames : ndarray, shape (n, rows, columns)
        Pixels.
    low, high : ndarray, shape (n,), float64
        The windows, in the units of the pixels.
    out : ndarray, shape (n, rows, columns), float64 or float32
        The planes.

    Returns
    -------
    clipped : ndarray, shape (n,), float64
        Fraction of the pixels outside of the window.
    constant : ndarray, shape (n,), bool
        Whether all grey values are the same.
    """
    kind = frames.dtype.name if frames.dtype.name in TYPES else "float64"
    outside, constant = np.empty(len(frames), np.int64), np.empty(len(frames), np.bool_)
    _greys(np.require(frames, kind, ("C", "W", "A")), low, high, out, outside, constant)
    return outside / out[0].size, constant


def _brightest(frame: NDArray[Any]) -> float:
    """Return the value that all but a thousandth of the pixels do not exceed; 1 where nothing is above 0."""
    rank = math.ceil(_BRIGHTEST * frame.size)
    if frame.dtype.kind in "iu" and frame.dtype.itemsize <= 2:
        kind = frame.dtype.name if frame.dtype.name in TYPES else "int16"
        value = float(_ranked(np.require(frame, kind, ("C", "W", "A")), rank))
    else:
        value = float(np.partition(frame, rank - 1, axis=None)[rank - 1])
    if not value > 0:
        value = float(frame.max())
    return value if value > 0 else 1.0


@compiled(*(f"({kind}[:, ::1], int64)" for kind in TYPES[:3]))
def _ranked(frame: NDArray[Any], rank: int) -> int:
    """Return the least value, from 0 on, that at least `rank` pixels do not exceed."""
    counts = np.zeros(max(int(frame.max()), 0) + 1, np.int64)
    for row in range(frame.shape[0]):
        for column in range(frame.shape[1]):
            counts[max(int(frame[row, column]), 0)] += 1
    value, below = 0, counts[0]
    while below < rank:
        value += 1
        below += counts[value]
    return value


@compiled(*_GREY)
def _greys(
    frames: NDArray[Any], low: NDArray[np.float64], high: NDArray[np.float64], planes: NDArray[Any],
    outside: NDArray[np.int64], constant: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Fill `planes`, how many pixels lie outside of each window, and whether all grey values of a frame are the same."""
    for index in range(frames.shape[0]):
        outside[index], constant[index] = _grey(frames[index], low[index], high[index], planes[index])


@inlined
def _grey(frame: NDArray[Any], low: float, high: float, plane: NDArray[Any]) -> tuple[int, bool]:
    """Fill `plane`; return how many pixels lie outside of the window, and whether all grey values are the same."""
    gain = 255.0 / (high - low)
    outside, others = 0, 0
    # Read before anything is written, so that the compiler need not look again after each pixel.
    first = frame[0, 0]
    corner = plane.dtype.type(min(max((float(frame[0, 0]) - low) * gain, 0.0), 255.0))
    if frame.itemsize == 1 and low == 0.0 and high == 255.0:
        # Bytes as they are, and none can lie outside.
        for row in range(frame.shape[0]):
            pixels, line = frame[row], plane[row]
            for column in range(frame.shape[1]):
                line[column] = pixels[column]
                others += pixels[column] != first
        return 0, others == 0
    for row in range(frame.shape[0]):
        pixels, line = frame[row], plane[row]
        for column in range(frame.shape[1]):
            value = float(pixels[column])
            outside += (value < low) + (value > high)
            # 0 to 255 is taken as it is: scaling by exactly 1 from 0 changes no bit.
            line[column] = min(max((value - low) * gain, 0.0), 255.0)
            others += line[column] != corner
    return outside, others == 0


def check_frames(frames: NDArray[Any]) -> NDArray[Any]:
    """Return an image or stack as a stack of numbers.

    Raises
    ------
    InputError
        If it is not two- or three-dimensional, is empty or does not hold real numbers.
    """
    if isinstance(frames, np.ma.MaskedArray):
        raise InputError(
            "a masked array hides pixels that would be measured; give its data, and mask= where pixels count."
        )
    array = np.asarray(frames)
    if array.ndim not in (2, 3) or array.size == 0:
        shape = " x ".join(map(str, array.shape)) or "scalar"
        raise InputError(f"an array of shape {shape} is no image; give (rows, columns) or (n, rows, columns).")
    if array.dtype.kind not in "uif":
        raise InputError(f"pixels of type {array.dtype} cannot be measured; give integers or floats.")
    return array.reshape(-1, *array.shape[-2:])
