"""What frames go through before and after a model, compiled; the Python face of ``engine/native``.

Every function takes a C-contiguous stack (n, rows, columns), releases the interpreter's lock, uses at most `threads`
threads of the CPU and gives the same bits for every number of threads and every instruction set. With ``device="cuda"``
the CUDA twin runs instead: the arrays stay NumPy arrays and are copied to the GPU and back.

All of them raise :class:`~photopeak.engine.errors.InputError` for arrays of another type, shape or layout,
:class:`~photopeak.engine.errors.UsageError` for fewer than one thread, an unknown device or an output that shares memory
with the input, and :class:`~photopeak.engine.errors.DeviceError` when the GPU cannot run.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _native

__all__ = ["Device", "crop", "pad_reflect", "to_float", "to_stored"]

Device = Literal["cpu", "cuda"]
Floats = NDArray[np.float32]


def to_float(
    stored: NDArray[Any],
    slope: ArrayLike = 1.0,
    intercept: ArrayLike = 0.0,
    *,
    out: Floats | None = None,
    threads: int = 1,
    device: Device = "cpu",
) -> Floats:
    """Return ``stored * slope + intercept``, computed in float64 and rounded once.

    Parameters
    ----------
    stored : ndarray, shape (n, rows, columns)
        Integers of 8, 16 or 32 bits in native byte order.
    slope, intercept : float or ndarray, shape (n,)
        For all frames or for each of them; the slope is positive.
    out : ndarray, shape (n, rows, columns), float32, optional
        Memory for the result.
    threads : int
        Most threads to use.
    device : {"cpu", "cuda"}
        Where to compute.

    Returns
    -------
    ndarray, shape (n, rows, columns), float32
        Physical values, in the units of `slope`.

    Examples
    --------
    >>> to_float(np.array([[[1, 2]]], np.uint16), slope=0.5, intercept=-1.0)
    array([[[-0.5,  0. ]]], dtype=float32)
    """
    return _native.to_float(stored, slope, intercept, out, threads, device)


def to_stored(
    frames: Floats,
    slope: ArrayLike = 1.0,
    intercept: ArrayLike = 0.0,
    dtype: DTypeLike = np.uint16,
    *,
    keep_sum: bool = True,
    out: NDArray[Any] | None = None,
    threads: int = 1,
    device: Device = "cpu",
) -> NDArray[Any]:
    """Return the integers that stand for `frames`, rounded so that counts are kept.

    With `keep_sum` each pixel becomes the whole number below or above its exact value, and a knock-out tournament between
    neighbouring fractions decides which. The sum of ``stored * slope + intercept`` over a frame is within half a slope of
    the frame's sum (plus 5e-10 slopes for each pixel, the precision of a fraction), over any aligned 2 x 2, 4 x 4 or 8 x 8
    block within one slope, and a value that needs no rounding is never changed. Faint background therefore keeps its
    counts, where rounding to the nearest would erase it.

    Parameters
    ----------
    frames : ndarray, shape (n, rows, columns), float32
        Physical values.
    slope, intercept : float or ndarray, shape (n,)
        For all frames or for each of them; the slope is positive.
    dtype : dtype
        Integers of 8 or 16 bits, or int32.
    keep_sum : bool
        False rounds every pixel to the nearest integer, halves up, on its own.
    out : ndarray, shape (n, rows, columns), optional
        Memory for the result, of type `dtype`.
    threads : int
        Most threads to use.
    device : {"cpu", "cuda"}
        Where to compute.

    Returns
    -------
    ndarray, shape (n, rows, columns)
        Stored values; the content of `out` means nothing after an error.

    Raises
    ------
    InputError
        If a pixel is not finite or outside of what `dtype` holds by more than the precision of a float32: nothing is
        saturated or wrapped.

    Examples
    --------
    >>> faint = np.full((1, 4, 4), 0.25, np.float32)
    >>> int(to_stored(faint).sum()), int(to_stored(faint, keep_sum=False).sum())
    (4, 0)
    """
    return _native.to_stored(frames, slope, intercept, np.dtype(dtype), keep_sum, out, threads, device)


def pad_reflect(
    frames: Floats, multiple: int, *, out: Floats | None = None, threads: int = 1, device: Device = "cpu"
) -> Floats:
    """Return `frames` with rows and columns added at the bottom and at the right, as ``numpy.pad(mode="reflect")`` does.

    Parameters
    ----------
    frames : ndarray, shape (n, rows, columns), float32
        Any values.
    multiple : int
        Rows and columns of the result are multiples of this, from 1 to 65536.
    out : ndarray, shape (n, padded rows, padded columns), float32, optional
        Memory for the result.
    threads : int
        Most threads to use.
    device : {"cpu", "cuda"}
        Where to compute.

    Returns
    -------
    ndarray, shape (n, padded rows, padded columns), float32
        A copy, also when nothing is added; ``crop`` undoes it.

    Examples
    --------
    >>> pad_reflect(np.array([[[1, 2, 3]]], np.float32), 5)[0, 0]
    array([1., 2., 3., 2., 1.], dtype=float32)
    """
    return _native.pad_reflect(frames, multiple, out, threads, device)


def crop(
    frames: Floats, rows: int, columns: int, *, out: Floats | None = None, threads: int = 1, device: Device = "cpu"
) -> Floats:
    """Return a copy of the top left `rows` x `columns` of every frame.

    Parameters
    ----------
    frames : ndarray, shape (n, more rows, more columns), float32
        Any values.
    rows, columns : int
        Size to keep [px].
    out : ndarray, shape (n, rows, columns), float32, optional
        Memory for the result.
    threads : int
        Most threads to use.
    device : {"cpu", "cuda"}
        Where to compute.

    Returns
    -------
    ndarray, shape (n, rows, columns), float32
        Never a view.

    Examples
    --------
    >>> crop(np.arange(6, dtype=np.float32).reshape(1, 2, 3), 1, 2)
    array([[[0., 1.]]], dtype=float32)
    """
    return _native.crop(frames, rows, columns, out, threads, device)
