"""What frames go through before and after a model, compiled; with ``tiling``, the Python face of ``engine/native``.

Every function takes a C-contiguous stack (n, rows, columns), releases the interpreter's lock, uses at most `threads`
threads of the CPU and gives the same bits for every number of threads and every instruction set. With ``device="cuda"``
the CUDA twin runs instead: the arrays stay NumPy arrays and are copied to the GPU and back.

All of them raise :class:`~photopeak.engine.errors.InputError` for arrays of another type, shape or layout,
:class:`~photopeak.engine.errors.UsageError` for fewer than one thread, an unknown device or an output that shares memory
with the input, and :class:`~photopeak.engine.errors.DeviceError` when the GPU cannot run.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _native
from .errors import DeviceError

__all__ = [
    "Build",
    "Device",
    "build",
    "cuda_problem",
    "robust_scale",
    "statistics",
    "to_float",
    "to_stored",
]

Device = Literal["cpu", "cuda"]
Floats = NDArray[np.float32]


class Build(NamedTuple):
    """What the native code was compiled with, and the instruction set that it uses here.

    Parameters
    ----------
    simd : str
        ``baseline``, ``avx2`` or ``avx512``; the environment variable ``PHOTOPEAK_SIMD`` sets the highest to use.
    openmp, cuda : bool
        Whether more than one thread, and a GPU, can be used at all.
    """

    simd: str
    openmp: bool
    cuda: bool


def build() -> Build:
    """Return how the native code was built."""
    return Build(*_native.build())


def cuda_problem() -> str:
    """Return why ``device="cuda"`` cannot run here; empty when it can."""
    try:
        _native.check_device("cuda")
    except DeviceError as error:
        return str(error)
    return ""


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


def robust_scale(
    frames: Floats, quantile: float = 0.995, *, threads: int = 1, device: Device = "cpu"
) -> tuple[Floats, Floats]:
    """Return the values at ``1 - quantile`` and `quantile` of each frame.

    Both are exact: order statistics found by their bits, with linear interpolation between the two nearest, so they agree
    with ``numpy.quantile`` to the last two bits of a float32.

    Parameters
    ----------
    frames : ndarray, shape (n, rows, columns), float32
        Finite values.
    quantile : float
        From 0.5 to 1.
    threads : int
        Most threads to use; a frame is the work of one.
    device : {"cpu", "cuda"}
        Where to compute.

    Returns
    -------
    low, high : ndarray, shape (n,), float32
        Limits for ``Tiling.stage``, in the units of `frames`.

    Raises
    ------
    InputError
        If a pixel is not finite.
    UsageError
        If the quantile is not from 0.5 to 1.

    Examples
    --------
    >>> robust_scale(np.arange(101, dtype=np.float32).reshape(1, 1, 101), 0.9)
    (array([10.], dtype=float32), array([90.], dtype=float32))
    """
    return _native.robust_scale(frames, quantile, threads, device)


def statistics(frames: Floats, *, threads: int = 1, device: Device = "cpu") -> NDArray[np.void]:
    """Return counts, range and texture of each frame from one pass over memory.

    Sums are float64 in a fixed order. Pixels that are not finite are counted, and taken as 0 in everything but the
    extremes. In the Anscombe domain, ``z = 2 sqrt(max(x, 0) + 3/8)``, Poisson noise has variance 1 whatever the counts.

    Parameters
    ----------
    frames : ndarray, shape (n, rows, columns), float32
        Counts per pixel, or any other values.
    threads : int
        Most threads to use.
    device : {"cpu", "cuda"}
        Where to compute; the sums of the two agree to about 1e-12.

    Returns
    -------
    ndarray, shape (n,)
        Structured, with the fields ``sum``; ``minimum`` and ``maximum`` of the finite pixels, 0 if there are none;
        ``nonzero`` and ``non_finite``, numbers of pixels; ``non_integer``, the fraction of pixels that are not whole;
        ``anscombe_mean``, ``anscombe_variance``; and ``difference_1`` and ``difference_2``, the mean squared difference of
        z between pixels that are 1 or 2 apart in a row or a column.

    References
    ----------
    * F. J. Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 35 (1948) 246-254.

    Examples
    --------
    >>> found = statistics(np.array([[[0, 2.5], [4, 0]]], np.float32))[0]
    >>> float(found["sum"]), int(found["nonzero"]), float(found["non_integer"])
    (6.5, 2, 0.25)
    """
    return _native.statistics(frames, threads, device)
