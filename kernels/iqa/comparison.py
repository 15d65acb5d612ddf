"""A stack beside its reference, run by run: what all full-reference metrics do around their kernel."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..parallel import over
from .frames import LEAST, Outcome, check_masks, runs
from .intensity import TYPES, check_frames
from .score import Numbers, Reason

__all__ = ["Comparison", "Pair", "Pairs", "compare", "unified"]


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
    """One frame and its reference.

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


class Pairs(NamedTuple):
    """A run of frames and their references as a metric's kernel takes them.

    Parameters
    ----------
    frames : ndarray, shape (n, rows, columns)
        Pixels as they came, finite.
    references : ndarray, shape (n, rows, columns) or (1, rows, columns)
        Theirs, or that of all.
    masks : ndarray, shape (n, rows, columns), bool, or None
        The pixels that count; at least one of each frame does.
    ranges : list of float
        The data range of each pair; 0 if it was not given and the reference is constant.
    """

    frames: NDArray[Any]
    references: NDArray[Any]
    masks: NDArray[np.bool_] | None
    ranges: list[float]

    def each(self) -> Iterator[Pair]:
        """Yield pair by pair."""
        for index, (frame, data_range) in enumerate(zip(self.frames, self.ranges, strict=True)):
            reference = self.references[index if len(self.references) > 1 else 0]
            yield Pair(frame, reference, None if self.masks is None else self.masks[index], data_range)


def compare(
    frames: NDArray[Any],
    reference: NDArray[Any],
    kernel: Callable[[Pairs], list[Outcome]],
    named: tuple[str, str],
    *,
    data_range: float | None = None,
    mask: NDArray[Any] | None = None,
    maps: bool = False,
    threads: int = 1,
    least: int = LEAST,
) -> Comparison:
    """Return the comparison of an image or stack with its reference.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats.
    reference : ndarray, shape (rows, columns) or (n, rows, columns)
        What each frame is compared with; one image may serve a whole stack.
    kernel : callable
        Compares a run of pairs, one outcome for each; the map of an outcome is the detail ``map``.
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
    least : int
        Pixels under which a thread of their own is not worth its start.

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

    def one(run: slice) -> tuple[list[Outcome], list[float]]:
        references = model[run] if len(model) > 1 else model
        return _outcomes(stack[run], references, None if masks is None else masks[run], kernel, data_range)

    found = over(one, runs(stack.shape, threads, least), threads)
    outcomes = [outcome for run, _ in found for outcome in run]
    values = np.array([outcome.value for outcome in outcomes])
    return Comparison(
        *named[:1],
        values=values if np.ndim(frames) == 3 else values.reshape(()),
        reasons=tuple(outcome.reason for outcome in outcomes),
        rule=named[1],
        data_range=tuple(data_range for _, run in found for data_range in run),
        maps=tuple(outcome.details.get("map") for outcome in outcomes) if maps else None,
    )


def unified(pairs: Pairs) -> Pairs:
    """Return pairs whose images a kernel takes: of one of the TYPES, both of the same, C-contiguous."""
    frames, references = pairs.frames, pairs.references
    known = frames.dtype == references.dtype and frames.dtype.name in TYPES
    if known and frames.dtype.isnative and frames.flags.carray and references.flags.carray:
        return pairs
    wanted = frames.dtype.newbyteorder("=") if known else np.dtype(np.float64)
    frames, references = (np.require(planes, wanted, ("C", "W", "A")) for planes in (frames, references))
    return pairs._replace(frames=frames, references=references)


def _outcomes(
    frames: NDArray[Any],
    references: NDArray[Any],
    masks: NDArray[np.bool_] | None,
    kernel: Callable[[Pairs], list[Outcome]],
    data_range: float | None,
) -> tuple[list[Outcome], list[float]]:
    """Return what the kernel finds in pairs, or why it was not asked, and the data ranges used."""
    reasons = _reasons(frames, references, masks)
    if any(reasons):
        good = np.array([reason is None for reason in reasons])
        frames, masks = frames[good], None if masks is None else masks[good]
        references = references[good] if len(references) > 1 else references
    pairs = Pairs(frames, references, masks, [] if data_range is None else [float(data_range)] * len(frames))
    if data_range is None:
        pairs = pairs._replace(ranges=_ranges(pairs))
    scored = zip(kernel(pairs), pairs.ranges, strict=True) if len(frames) else iter(())
    outcomes, ranges = [], []
    for reason in reasons:
        outcome, used = (Outcome(reason=reason), np.nan) if reason else next(scored)
        if outcome.reason is None and isnan(outcome.value):
            # Squares of finite pixels need not be finite, and those of a tiny data range may be 0.
            outcome = Outcome(reason="not-finite")
        outcomes.append(outcome)
        ranges.append(used)
    return outcomes, ranges


def _reasons(
    frames: NDArray[Any], references: NDArray[Any], masks: NDArray[np.bool_] | None
) -> Sequence[Reason | None]:
    """Return why pairs cannot be compared; None for those that can."""
    if masks is None and frames.dtype.kind != "f" and references.dtype.kind != "f":
        return [None] * len(frames)
    finite = np.broadcast_to(_finite(frames) & _finite(references), (len(frames),))
    seen = np.ones(len(frames), np.bool_) if masks is None else np.asarray(masks.any(axis=(1, 2)))
    return [
        "not-finite" if not whole else "mask-too-small" if not counted else None
        for whole, counted in zip(finite, seen, strict=True)
    ]


def _ranges(pairs: Pairs) -> list[float]:
    """Return 255 for bytes, otherwise how far the reference of each pair ranges where pixels count."""
    if pairs.references.dtype == np.uint8:
        return [255.0] * len(pairs.frames)
    if pairs.masks is None:
        ends = (extreme(axis=(1, 2)).tolist() for extreme in (pairs.references.max, pairs.references.min))
        spans = [float(high) - float(low) for high, low in zip(*ends, strict=True)]
        return spans if len(spans) == len(pairs.frames) else spans * len(pairs.frames)
    masked = (
        pairs.references[index if len(pairs.references) > 1 else 0][mask] for index, mask in enumerate(pairs.masks)
    )
    return [float(part.max()) - float(part.min()) for part in masked]


def _finite(frames: NDArray[Any]) -> NDArray[np.bool_]:
    if frames.dtype.kind != "f":
        return np.ones(len(frames), np.bool_)
    return np.asarray(np.isfinite(frames).all(axis=(1, 2)))
