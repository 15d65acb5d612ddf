"""From frames to one outcome per frame: what all no-reference metrics do around their kernel.

Frames are worked on in runs, each the work of one thread: what Python does between kernels, which only one thread can do
at a time, is then done once for several small frames.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, repeat
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..parallel import checked, over
from .intensity import Intensity, Window, check_frames, greys, window_of
from .score import Reason, Scores

__all__ = ["LEAST", "Definition", "Outcome", "Planes", "check_masks", "half_size", "measure", "runs"]

_MOST_KEPT = 64 << 20  # bytes
# Pixels of the frames of a run: four megabytes, which stay in the caches from kernel to kernel. Threads wait for each other
# between kernels, and longer than Python takes there, because a core that slept must be woken: runs are few.
_RUN = 1 << 19
LEAST = 1 << 15
"""Pixels under which a thread of their own is not worth its start, for most metrics."""

_kept: list[tuple[int, NDArray[np.uint8]]] = []  # a heap
_numbers = count()
_Seen = tuple[str, float, float, float]  # name and ends of a window, and the share of pixels outside


class Planes(NamedTuple):
    """A run of frames as a metric's kernel takes them.

    Parameters
    ----------
    grey : ndarray, shape (n, rows, columns), float64 or float32
        Grey values 0 to 255, not rounded.
    masks : ndarray, shape (n, rows, columns), bool, or None
        The pixels that count.
    spare : ndarray, flat, of the same type as `grey`
        Memory for one image at half the size.
    """

    grey: NDArray[Any]
    masks: NDArray[np.bool_] | None
    spare: NDArray[Any]


class Outcome(NamedTuple):
    """What a metric finds in one frame: a value, or the reason why there is none."""

    value: float = np.nan
    reason: Reason | None = None
    details: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Definition:
    """What travels with every score of a metric."""

    metric: str
    model: str
    rule: str


def measure(
    frames: NDArray[Any],
    kernel: Callable[[Planes], list[Outcome]],
    definition: Definition,
    *,
    window: Window = "auto",
    mask: NDArray[Any] | None = None,
    dtype: type[Any] = np.float64,
    threads: int = 1,
) -> Scores:
    """Return the scores of an image or stack.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    kernel : callable
        Scores a run of frames, one outcome for each; it never sees values that are not finite, nor a constant frame. The
        memory of the planes is used again afterwards: what it returns must be its own.
    definition : Definition
        Names of metric, model and rule.
    window : str or tuple of float
        See :func:`~photopeak.kernels.iqa.intensity.window_of`.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        True (or not 0) where pixels count.
    dtype : type
        Precision of the grey values: float64 or float32.
    threads : int
        Most runs of frames to work on side by side.

    Raises
    ------
    InputError
        If the arrays are not images, or the mask has another shape.
    UsageError
        If the window makes no sense, or there is no thread.
    """
    stack = check_frames(frames)
    masks = check_masks(mask, stack.shape)

    def one(run: slice) -> tuple[list[Outcome], list[_Seen]]:
        return _outcomes(stack[run], None if masks is None else masks[run], kernel, window, dtype)

    found = over(one, runs(stack.shape, threads), threads)
    outcomes = [outcome for run, _ in found for outcome in run]
    names, low, high, clipped = zip(*(seen for _, run in found for seen in run), strict=True)
    values = np.array([outcome.value for outcome in outcomes])
    keys = dict.fromkeys(key for outcome in outcomes for key in outcome.details)
    return Scores(
        **vars(definition),
        values=values if np.ndim(frames) == 3 else values.reshape(()),
        reasons=tuple(outcome.reason for outcome in outcomes),
        intensity=Intensity(names[0], low, high, clipped),
        details={key: [outcome.details.get(key) for outcome in outcomes] for key in keys},
    )


def runs(shape: tuple[int, ...], threads: int, least: int = LEAST) -> list[slice]:
    """Return which frames of a stack go together: few pixels at once, as many runs for each thread.

    A thread that gets fewer than `least` pixels would take longer to start than they take.
    """
    number, rows, columns = shape
    pixels, most = rows * columns, max(_RUN, 2 * least)
    workers = max(min(checked(threads), number * pixels // least), 1)
    portions = workers * -(-number * pixels // (workers * most))
    length = max(min(-(-number // portions), most // pixels), 1)
    return [slice(start, min(start + length, number)) for start in range(0, number, length)]


def _outcomes(
    frames: NDArray[Any],
    masks: NDArray[np.bool_] | None,
    kernel: Callable[[Planes], list[Outcome]],
    window: Window,
    dtype: type[Any],
) -> tuple[list[Outcome], list[_Seen]]:
    """Return what the kernel finds in frames, or why it was not asked, and the windows used."""
    finite = np.isfinite(frames).all(axis=(1, 2)).tolist() if frames.dtype.kind == "f" else [True] * len(frames)
    windows = [
        window_of(frame, window) if good else ("none", np.nan, np.nan)
        for frame, good in zip(frames, finite, strict=True)
    ]
    size = half_size(frames.shape[1:])
    with _memory(frames.size + size, dtype) as memory:
        planes, spare = memory[size:].reshape(frames.shape), memory[:size]
        low, high = np.array([ends for _, *ends in windows]).T.copy()
        clipped, constant = greys(frames, low, high, planes)
        reasons = [
            _reason(*each)
            for each in zip(planes, repeat(None) if masks is None else masks, finite, constant.tolist(), strict=False)
        ]
        good = [index for index, reason in enumerate(reasons) if reason is None]
        found: list[Outcome] = []
        if len(good) == len(frames):
            found = kernel(Planes(planes, masks, spare))
        elif good:
            found = kernel(Planes(planes[good], None if masks is None else masks[good], spare))
    scored = iter(found)
    outcomes = [next(scored) if reason is None else Outcome(reason=reason) for reason in reasons]
    return outcomes, [(*each, share) for each, share in zip(windows, clipped.tolist(), strict=True)]


def _reason(plane: NDArray[Any], mask: NDArray[np.bool_] | None, finite: bool, constant: bool) -> Reason | None:
    """Return why a frame cannot be scored, if so."""
    if not finite:
        return "not-finite"
    if mask is None:
        return "constant" if constant else None
    seen = plane[mask]
    return "mask-too-small" if not seen.size else "constant" if seen.min() == seen.max() else None


def half_size(shape: tuple[int, ...]) -> int:
    """Return how many pixels an image has at half the size."""
    rows, columns = shape
    return ((rows + 1) // 2) * ((columns + 1) // 2)


@contextmanager
def _memory(size: int, dtype: type[Any]) -> Iterator[NDArray[Any]]:
    """Lend memory, and keep it for the next: touching new pages can take longer than a kernel."""
    need = size * np.dtype(dtype).itemsize
    try:
        # Whoever asks meanwhile, such as another thread, finds it gone and gets memory of its own; who asks first gets the
        # same every time, which is still in the caches of the same core.
        number, memory = heappop(_kept)
    except IndexError:
        number, memory = next(_numbers), np.empty(0, np.uint8)
    if memory.nbytes < need:
        memory = np.empty(need, np.uint8)
    yield memory[:need].view(dtype)
    if sum(kept.nbytes for _, kept in _kept) + memory.nbytes <= _MOST_KEPT:
        heappush(_kept, (number, memory))


def check_masks(mask: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Return one mask per frame, or None if there is none.

    Raises
    ------
    InputError
        If the mask has neither the shape of the stack nor that of a frame, or says nothing of a pixel.
    """
    if mask is None:
        return None
    given = np.asarray(mask)
    if given.dtype.kind not in "buif" or (given.dtype.kind == "f" and np.isnan(given).any()):
        raise InputError(
            "a mask says with True, or a number other than 0, where pixels count; give booleans or numbers."
        )
    wanted = given != 0
    if wanted.shape not in (shape, shape[1:]):
        raise InputError(
            f"a mask of shape {wanted.shape} does not fit frames of shape {shape}; give one of their shape."
        )
    return np.ascontiguousarray(np.broadcast_to(wanted, shape))
