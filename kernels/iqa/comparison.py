"""A stack beside its reference, frame by frame: what all full-reference metrics do around their kernel."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..parallel import over
from .frames import Outcome, check_masks
from .intensity import TYPES, check_frames
from .score import Numbers, Reason

__all__ = ["Comparison", "Pair", "compare", "unified"]


@dataclass(frozen=True)
class Comparison(Numbers):
    """How close each frame is to its reference, with everything needed to repeat it.

    It converts as a number or array would: ``float(comparison)`` for a single image, ``np.asarray(comparison)`` for a
    stack.

    Parameters
    ----------
    metric : str
        Such as ``ssim``.
    values : ndarray, shape () for one image or (n,) for a stack, float64
        The results; NaN where there is none.
    reasons : tuple of (str or None), length n
        Why a frame has no result; None where it has one.
    rule : str
        Which definition was followed where publications differ.
    data_range : tuple of float, length n
        The range of values that each comparison assumed, in the units of the pixels.
    maps : tuple, length n, or None
        What the metric found at each pixel of each frame (None for a frame without result), if asked for.
    """

    metric: str
    values: NDArray[np.float64]
    reasons: tuple[Reason | None, ...]
    rule: str
    data_range: tuple[float, ...]
    maps: tuple[Any, ...] | None = None


class Pair(NamedTuple):
    """One frame and its reference as a metric's kernel takes them.

    Parameters
    ----------
    frame, reference : ndarray, shape (rows, columns)
        Pixels as they came, finite.
    mask : ndarray, shape (rows, columns), bool, or None
        The pixels that count; at least one does.
    data_range : float
        0 if it was not given and the reference is constant.
    """

    frame: NDArray[Any]
    reference: NDArray[Any]
    mask: NDArray[np.bool_] | None
    data_range: float


def compare(
    frames: NDArray[Any],
    reference: NDArray[Any],
    kernel: Callable[[Pair], Outcome],
    named: tuple[str, str],
    *,
    data_range: float | None = None,
    mask: NDArray[Any] | None = None,
    maps: bool = False,
    threads: int = 1,
) -> Comparison:
    """Return the comparison of an image or stack with its reference.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    reference : ndarray, shape (rows, columns) or (n, rows, columns)
        What each frame is compared with; one image may serve a whole stack.
    kernel : callable
        Compares one pair; the map of its outcome is the detail ``map``.
    named : tuple of str
        Metric and rule.
    data_range : float, optional
        Greatest minus least value that pixels could have; by default 255 if the reference holds uint8, otherwise the
        greatest minus the least value that counts in the reference of each frame.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        True (or not 0) where pixels count.
    maps : bool
        Whether the kernel makes maps.
    threads : int
        Most frames to work on side by side.

    Raises
    ------
    InputError
        If the arrays are not images, or their shapes do not fit.
    UsageError
        If the data range is not a positive number, or there is no thread.
    """
    stack, model = check_frames(frames), check_frames(reference)
    if model.shape != stack.shape and model.shape != (1, *stack.shape[1:]):
        raise InputError(
            f"a reference of shape {np.shape(reference)} does not fit frames of shape {np.shape(frames)}; "
            "give one of their shape."
        )
    if data_range is not None and not (isinstance(data_range, Real) and 0 < data_range < np.inf):
        raise UsageError(f"data_range is {data_range!r}; give a number above 0.")
    masks = check_masks(mask, stack.shape)
    models = model if model.shape == stack.shape else np.broadcast_to(model, stack.shape)

    def one(index: int) -> tuple[Outcome, float]:
        return _outcome(stack[index], models[index], None if masks is None else masks[index], kernel, data_range)

    outcomes, ranges = zip(*over(one, range(len(stack)), threads), strict=True)
    values = np.array([outcome.value for outcome in outcomes])
    return Comparison(
        *named[:1],
        values=values if np.ndim(frames) == 3 else values.reshape(()),
        reasons=tuple(outcome.reason for outcome in outcomes),
        rule=named[1],
        data_range=ranges,
        maps=tuple(outcome.details.get("map") for outcome in outcomes) if maps else None,
    )


def unified(pair: Pair) -> Pair:
    """Return a pair whose images a kernel takes: of one of the TYPES, both of the same, C-contiguous."""
    frame, reference = pair.frame, pair.reference
    known = frame.dtype == reference.dtype and frame.dtype.name in TYPES
    if known and frame.dtype.isnative and frame.flags.carray and reference.flags.carray:
        return pair
    wanted = frame.dtype.newbyteorder("=") if known else np.dtype(np.float64)
    frame, reference = (np.require(plane, wanted, ("C", "W", "A")) for plane in (frame, reference))
    return pair._replace(frame=frame, reference=reference)


def _outcome(
    frame: NDArray[Any],
    reference: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    kernel: Callable[[Pair], Outcome],
    data_range: float | None,
) -> tuple[Outcome, float]:
    """Return what the kernel finds in a pair, or why it was not asked, and the data range used."""
    if not (_finite(frame) and _finite(reference)):
        return Outcome(reason="not-finite"), np.nan
    seen = reference if mask is None else reference[mask]
    if seen.size == 0:
        return Outcome(reason="mask-too-small"), np.nan
    if data_range is None:
        data_range = 255.0 if reference.dtype == np.uint8 else float(seen.max()) - float(seen.min())
    pair = Pair(frame, reference, mask, float(data_range))
    outcome = kernel(pair)
    if outcome.reason is None and isnan(outcome.value):
        # Squares of finite pixels need not be finite, and those of a tiny data range may be 0.
        outcome = Outcome(reason="not-finite")
    return outcome, pair.data_range


def _finite(frame: NDArray[Any]) -> bool:
    return frame.dtype.kind != "f" or bool(np.isfinite(frame).all())
