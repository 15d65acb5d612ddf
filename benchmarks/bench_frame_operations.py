"""Each frame operation against the NumPy code that one would write for it, on one frame, taking turns.

Photopeak writes into memory that it keeps, as a session does; NumPy allocates its results, as its functions do (``np.pad``
and ``np.quantile`` could not do otherwise). Scanner matrices are multiples of every model's stride, so that padding is
measured to a multiple of 48. Tiles are four to a frame, overlap by 16 and carry weights made beforehand on both sides.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from photopeak.engine import frame_operations as fo
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.tiling import Tiling

SLOPE, INTERCEPT = 0.37, -1.5


@dataclass(frozen=True)
class Case:
    """An image, and how many threads to use."""

    counts: np.ndarray
    threads: int

    @property
    def pixels(self):
        """The counts as a model would return them: with fractions."""
        noise = np.random.default_rng(0).random(self.counts.shape, np.float32)
        return np.where(self.counts > 0, self.counts + noise, 0).astype(np.float32)


def to_float(case, dtype=np.uint16):
    stored = case.counts.astype(dtype)

    def numpy_float32():
        return stored.astype(np.float32) * np.float32(SLOPE) + np.float32(INTERCEPT)

    out = np.empty(stored.shape, np.float32)
    return {
        "photopeak": lambda: fo.to_float(stored, SLOPE, INTERCEPT, out=out, threads=case.threads),
        "NumPy": lambda: (stored * SLOPE + INTERCEPT).astype(np.float32),
        "NumPy float32": numpy_float32,
    }


def to_float_int16(case):
    return to_float(case, np.int16)


def to_stored(case):
    frames = case.pixels

    def running_sum():
        total = np.rint(np.cumsum(frames, dtype=np.float64) / SLOPE)
        return np.diff(total, prepend=0).astype(np.uint16).reshape(frames.shape)

    out = np.empty(frames.shape, np.uint16)
    return {
        "photopeak": lambda: fo.to_stored(frames, SLOPE, out=out, threads=case.threads),
        "NumPy": running_sum,
    }


def robust_normalise(case):
    frames = case.pixels
    out = np.empty_like(frames)

    def photopeak():
        low, high = fo.robust_scale(frames, threads=case.threads)
        return fo.normalise(frames, low, high, out=out, threads=case.threads)

    def numpy():
        low, high = np.quantile(frames, [0.005, 0.995], axis=(1, 2), keepdims=True)
        return ((frames - low) / (high - low)).astype(np.float32)

    return {"photopeak": photopeak, "NumPy": numpy}


def pad_reflect(case):
    frames = case.pixels
    extra = [(0, 0), *((0, -length % 48) for length in frames.shape[1:])]
    out = fo.pad_reflect(frames, 48)
    return {
        "photopeak": lambda: fo.pad_reflect(frames, 48, out=out, threads=case.threads),
        "NumPy": lambda: np.pad(frames, extra, mode="reflect"),
    }


def crop(case):
    frames, (_, rows, columns) = fo.pad_reflect(case.pixels, 48), case.counts.shape
    out = np.empty(case.counts.shape, np.float32)
    return {
        "photopeak": lambda: fo.crop(frames, rows, columns, out=out, threads=case.threads),
        "NumPy": lambda: frames[:, :rows, :columns].copy(),
    }


def halves(case):
    """Return a plan of two tiles along each axis."""
    rows, columns = case.counts.shape[1:]
    return Tiling(MatrixSize(rows, columns), MatrixSize(rows // 2 + 8, columns // 2 + 8), 16)


def corners(plan):
    """Return where each tile starts."""
    return [(int(row), int(column)) for row in plan.rows for column in plan.columns]


def split_and_blend(case):
    frames, plan = case.pixels, halves(case)
    tiles, (height, width) = plan.split(frames), plan.tile
    out = np.empty_like(frames)
    weights = [row[:, np.newaxis] * column for row in plan.row_weights for column in plan.column_weights]
    places = corners(plan)

    def photopeak():
        return plan.blend(plan.split(frames, out=tiles, threads=case.threads), out=out, threads=case.threads)

    def numpy():
        cut = np.concatenate([frames[:, r : r + height, c : c + width] for r, c in places])
        total = np.zeros_like(frames)
        for tile, weight, (r, c) in zip(cut, weights, places, strict=True):
            total[0, r : r + height, c : c + width] += tile * weight
        return total

    return {"photopeak": photopeak, "NumPy": numpy}


def statistics(case):
    frames = case.pixels

    def numpy_statistics():
        x = frames[0]
        z = 2 * np.sqrt(np.maximum(x, 0) + np.float32(0.375))
        squares = [
            np.square(z[:, lag:] - z[:, :-lag]).sum(dtype=np.float64)
            + np.square(z[lag:] - z[:-lag]).sum(dtype=np.float64)
            for lag in (1, 2)
        ]
        return [
            x.sum(dtype=np.float64),
            x.min(),
            x.max(),
            np.count_nonzero(x),
            (~np.isfinite(x)).sum(),
            (x != np.rint(x)).mean(),
            z.mean(dtype=np.float64),
            z.var(dtype=np.float64),
            *squares,
        ]

    return {"photopeak": lambda: fo.statistics(frames, threads=case.threads), "NumPy": numpy_statistics}


def conserve(case):
    frames = case.pixels - np.float32(0.5)
    out = np.empty_like(frames)

    def numpy_conserve():
        before, positive = frames.sum(axis=(1, 2), dtype=np.float64), np.maximum(frames, 0)
        positive *= (1e5 / positive.sum(axis=(1, 2), dtype=np.float64)).astype(np.float32)[:, np.newaxis, np.newaxis]
        return positive, before

    return {"photopeak": lambda: fo.conserve(frames, 1e5, out=out, threads=case.threads), "NumPy": numpy_conserve}


def chain_in(case):
    """From stored integers to what a network takes: rescaled, normalised, padded."""
    stored = case.counts
    floats, padded = np.empty(stored.shape, np.float32), fo.pad_reflect(case.pixels, 48)
    extra = [(0, 0), *((0, -length % 48) for length in stored.shape[1:])]

    def photopeak():
        fo.to_float(stored, SLOPE, INTERCEPT, out=floats, threads=case.threads)
        low, high = fo.robust_scale(floats, threads=case.threads)
        fo.normalise(floats, low, high, out=floats, threads=case.threads)
        return fo.pad_reflect(floats, 48, out=padded, threads=case.threads)

    def numpy():
        values = (stored * SLOPE + INTERCEPT).astype(np.float32)
        low, high = np.quantile(values, [0.005, 0.995], axis=(1, 2), keepdims=True)
        return np.pad(((values - low) / (high - low)).astype(np.float32), extra, mode="reflect")

    return {"photopeak": photopeak, "NumPy": numpy}


def chain_out(case):
    """From what a network gives to stored integers: cropped, its sum restored, rounded."""
    raw, (_, rows, columns) = fo.pad_reflect(case.pixels, 48), case.counts.shape
    total = float(case.counts.sum())
    floats, stored = np.empty(case.counts.shape, np.float32), np.empty(case.counts.shape, np.uint16)

    def photopeak():
        fo.crop(raw, rows, columns, out=floats, threads=case.threads)
        fo.conserve(floats, total, out=floats, threads=case.threads)
        return fo.to_stored(floats, SLOPE, out=stored, threads=case.threads)

    def numpy():
        values = np.maximum(raw[:, :rows, :columns], 0)
        values *= np.float32(total / values.sum(dtype=np.float64))
        sums = np.rint(np.cumsum(values, dtype=np.float64) / SLOPE)
        return np.diff(sums, prepend=0).astype(np.uint16).reshape(values.shape)

    return {"photopeak": photopeak, "NumPy": numpy}


def close(ours, theirs):
    """Return whether two results agree; of rounding, only what it promises."""
    if ours.dtype == np.uint16:
        return abs(int(ours.sum()) - int(theirs.sum())) <= 1
    return np.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


OPERATIONS: tuple[Callable[[Case], dict[str, Callable[[], object]]], ...] = (
    to_float,
    to_float_int16,
    to_stored,
    robust_normalise,
    pad_reflect,
    crop,
    split_and_blend,
    statistics,
    conserve,
    chain_in,
    chain_out,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.__name__ for operation in OPERATIONS])
def bench_frame_operations(compare, counts, threads, operation):
    contestants = operation(Case(counts, threads))
    compare(contestants, baseline="photopeak")
    ours, theirs = contestants["photopeak"](), contestants["NumPy"]()
    if operation is statistics:
        assert ours["sum"] == pytest.approx(theirs[0])
    else:
        assert close(np.asarray(ours[0]), np.asarray(theirs[0]))
