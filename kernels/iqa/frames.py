"""From frames to one outcome per frame: what all no-reference metrics do around their kernel."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..parallel import over
from .intensity import Intensity, Window, check_frames, grey, window_of
from .score import Reason, Scores

__all__ = ["Definition", "Outcome", "Plane", "check_masks", "half_size", "measure"]

_MOST_KEPT = 64 << 20  # bytes
_kept: list[NDArray[np.uint8]] = []


class Plane(NamedTuple):
    """One frame as a metric's kernel takes it.

    Parameters
    ----------
    grey : ndarray, shape (rows, columns), float64 or float32
        Grey values 0 to 255, not rounded.
    mask : ndarray, shape (rows, columns), bool, or None
        The pixels that count.
    spare : ndarray, flat, of the same type as `grey`, or None
        Memory for the image at half the size.
    """

    grey: NDArray[Any]
    mask: NDArray[np.bool_] | None
    spare: NDArray[Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a metric finds in one frame: a value, or the reason why there is none."""

    value: float = np.nan
    reason: Reason | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Definition:
    """What travels with every score of a metric."""

    metric: str
    model: str
    rule: str


def measure(
    frames: NDArray[Any],
    kernel: Callable[[Plane], Outcome],
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
        Scores one plane; it never sees values that are not finite, nor a constant frame. The plane's memory is used again
        afterwards: what it returns must be its own.
    definition : Definition
        Names of metric, model and rule.
    window : str or tuple of float
        See :func:`~photopeak.kernels.iqa.intensity.window_of`.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        True (or not 0) where pixels count.
    dtype : type
        Precision of the grey values: float64 or float32.
    threads : int
        Most frames to work on side by side.

    Raises
    ------
    InputError
        If the arrays are not images, or the mask has another shape.
    UsageError
        If the window makes no sense, or there is no thread.
    """
    stack = check_frames(frames)
    masks = check_masks(mask, stack.shape)

    def one(index: int) -> tuple[Outcome, tuple[str, float, float, float]]:
        return _outcome(stack[index], masks[index], kernel, window, dtype)

    found = over(one, range(len(stack)), threads)
    outcomes = [outcome for outcome, _ in found]
    names, low, high, clipped = zip(*(seen for _, seen in found), strict=True)
    values = np.array([outcome.value for outcome in outcomes])
    keys = dict.fromkeys(key for outcome in outcomes for key in outcome.details)
    return Scores(
        **vars(definition),
        values=values if np.ndim(frames) == 3 else values.reshape(()),
        reasons=tuple(outcome.reason for outcome in outcomes),
        intensity=Intensity(names[0], low, high, clipped),
        details={key: [outcome.details.get(key) for outcome in outcomes] for key in keys},
    )


def _outcome(
    frame: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    kernel: Callable[[Plane], Outcome],
    window: Window,
    dtype: type[Any],
) -> tuple[Outcome, tuple[str, float, float, float]]:
    """Return what the kernel finds in a frame, or why it was not asked, and the window used."""
    if frame.dtype.kind == "f" and not np.isfinite(frame).all():
        return Outcome(reason="not-finite"), ("none", np.nan, np.nan, np.nan)
    name, low, high = window_of(frame, window)
    with _memory(frame.size + half_size(frame.shape), dtype) as memory:
        out, spare = memory[: frame.size].reshape(frame.shape), memory[frame.size :]
        plane, clipped, constant = grey(frame, low, high, dtype, out=out)
        reason: Reason | None = "constant" if constant else None
        if mask is not None:
            seen = plane[mask]
            reason = "mask-too-small" if not seen.size else "constant" if seen.min() == seen.max() else None
        outcome = Outcome(reason=reason) if reason else kernel(Plane(plane, mask, spare))
    return outcome, (name, low, high, clipped)


def half_size(shape: tuple[int, ...]) -> int:
    """Return how many pixels an image has at half the size."""
    rows, columns = shape
    return ((rows + 1) // 2) * ((columns + 1) // 2)


@contextmanager
def _memory(size: int, dtype: type[Any]) -> Iterator[NDArray[Any]]:
    """Lend memory, and keep it for the next: touching new pages can take longer than a kernel."""
    need = size * np.dtype(dtype).itemsize
    try:
        # Whoever asks meanwhile, such as another thread, finds it gone and gets memory of its own.
        memory = _kept.pop()
    except IndexError:
        memory = np.empty(0, np.uint8)
    if memory.nbytes < need:
        memory = np.empty(need, np.uint8)
    yield memory[:need].view(dtype)
    if sum(kept.nbytes for kept in _kept) + memory.nbytes <= _MOST_KEPT:
        _kept.append(memory)


def check_masks(mask: NDArray[Any] | None, shape: tuple[int, ...]) -> list[NDArray[np.bool_] | None]:
    """Return one mask per frame, or None for each.

    Raises
    ------
    InputError
        If the mask has neither the shape of the stack nor that of a frame, or says nothing of a pixel.
    """
    if mask is None:
        return [None] * shape[0]
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
    return list(np.ascontiguousarray(np.broadcast_to(wanted, shape)))
