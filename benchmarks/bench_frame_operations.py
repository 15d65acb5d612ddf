"""Each frame operation against the NumPy code that one would write for it, on one frame, taking turns.

Both sides do the same job: the same precision (NumPy computes in float64 where Photopeak does), the same sums, the same
refusal of values that do not fit. Both write into memory that they keep, as a session does, wherever NumPy's functions
take it (``np.pad`` and ``np.quantile`` do not). Scanner matrices are multiples of every model's stride, so that padding is
measured to a multiple of 48. Tiles are four to a frame, overlap by 16 and carry weights made beforehand on both sides.

Padding and tiling are measured as the engine does them, as what staging and finishing do on the way. ``pad_only`` is
staging with nothing else to do: frames that are float32 and not to be scaled are copied. No code copies faster than memory
allows, so that a bare copy of as many bytes is timed beside it.

A call that is not timed goes before each: NumPy's intermediate results take several times the memory, and would leave the
caches empty for whoever comes next.
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
    def matrix(self):
        """Rows and columns."""
        return MatrixSize(*self.counts.shape[1:])

    @property
    def pixels(self):
        """The counts as a model would return them: with fractions."""
        noise = np.random.default_rng(0).random(self.counts.shape, np.float32)
        return np.where(self.counts > 0, self.counts + noise, 0).astype(np.float32)

    @property
    def padded(self):
        """A plan of one tile, padded to a multiple of 48."""
        return Tiling(self.matrix, step=48)

    @property
    def halves(self):
        """A plan of two tiles along each axis."""
        return Tiling(self.matrix, MatrixSize(*(length // 2 + 8 for length in self.matrix)), 16, step=8)


class Plain:
    """The same in NumPy, with memory for every intermediate result that can be kept."""

    def __init__(self, counts):
        self.exact, self.steps = np.empty(counts.shape), np.empty(counts.shape)
        self.floats = np.empty(counts.shape, np.float32)
        self.extra = [(0, 0), *((0, -length % 48) for length in counts.shape[1:])]

    def rescale(self, stored):
        np.multiply(stored, SLOPE, out=self.exact)
        np.add(self.exact, INTERCEPT, out=self.exact)
        self.floats[...] = self.exact
        return self.floats

    def normalise(self, frames):
        low, high = np.quantile(frames, [0.005, 0.995], axis=(1, 2), keepdims=True).astype(np.float32)
        if not np.isfinite(high - low).all():
            raise ValueError("not finite")
        np.subtract(frames, low, out=self.floats)
        np.divide(self.floats, high - low, out=self.floats)
        return self.floats

    def pad(self, frames):
        return np.pad(frames, self.extra, mode="reflect")

    def conserve(self, frames, target):
        before = frames.sum(axis=(1, 2), dtype=np.float64)
        np.maximum(frames, 0, out=self.floats)
        positive = self.floats.sum(axis=(1, 2), dtype=np.float64)
        if not (np.isfinite(before) & (positive > 0)).all():
            raise ValueError("not finite, or empty")
        self.floats *= (target / positive).astype(np.float32)[:, np.newaxis, np.newaxis]
        return self.floats, before, self.floats.sum(axis=(1, 2), dtype=np.float64)

    def round(self, frames, stored):
        limits = np.iinfo(stored.dtype)
        if not (frames.min() >= limits.min * SLOPE and frames.max() <= limits.max * SLOPE):
            raise ValueError("out of range")
        total, steps = self.exact.reshape(-1), self.steps.reshape(-1)
        np.cumsum(frames, dtype=np.float64, out=total)
        np.divide(total, SLOPE, out=total)
        np.rint(total, out=total)
        steps[0] = total[0]
        np.subtract(total[1:], total[:-1], out=steps[1:])
        np.copyto(stored, self.steps, casting="unsafe")
        return stored


def rescale(case, dtype):
    stored, plain, out = case.counts.astype(dtype), Plain(case.counts), np.empty(case.counts.shape, np.float32)
    return {
        "photopeak": lambda: fo.to_float(stored, SLOPE, INTERCEPT, out=out, threads=case.threads),
        "NumPy": lambda: plain.rescale(stored),
    }


def rescale_uint8(case):
    return rescale(case, np.uint8)


def rescale_uint16(case):
    return rescale(case, np.uint16)


def rescale_int16(case):
    return rescale(case, np.int16)


def robust_normalise(case):
    frames, plan, plain = case.pixels, Tiling(case.matrix), Plain(case.counts)
    out = np.empty_like(frames)

    def photopeak():
        low, high = fo.robust_scale(frames, threads=case.threads)
        return plan.stage(frames, low=low, high=high, out=out, threads=case.threads)

    return {"photopeak": photopeak, "NumPy": lambda: plain.normalise(frames)}


def rescale_and_pad(case):
    stored, plan, plain = case.counts, case.padded, Plain(case.counts)
    out = plan.stage(stored)
    return {
        "photopeak": lambda: plan.stage(stored, slope=SLOPE, intercept=INTERCEPT, out=out, threads=case.threads),
        "NumPy": lambda: plain.pad(plain.rescale(stored)),
    }


def pad_only(case):
    frames, plan, plain = case.pixels, case.padded, Plain(case.counts)
    out = plan.stage(frames)
    padded = out.copy()
    return {
        "photopeak": lambda: plan.stage(frames, out=out, threads=case.threads),
        "NumPy": lambda: plain.pad(frames),
        "copy": lambda: np.copyto(out, padded),
    }


def tile_and_blend(case):
    """Stored integers to tiles, tiles to a frame with its sum."""
    stored, plan, plain = case.counts, case.halves, Plain(case.counts)
    tiles, (height, width), target = plan.stage(stored), plan.tile, float(case.counts.sum())
    weights = [row[:, np.newaxis] * column for row in plan.row_weights for column in plan.column_weights]
    places = [(int(row), int(column)) for row in plan.rows for column in plan.columns]
    cut, product, total = np.empty_like(tiles), np.empty_like(tiles[0]), np.empty(stored.shape, np.float32)
    out = np.empty_like(total)

    def photopeak():
        plan.stage(stored, slope=SLOPE, intercept=INTERCEPT, out=tiles, threads=case.threads)
        return plan.finish(tiles, target, out=out, threads=case.threads)[0]

    def numpy():
        frames = plain.rescale(stored)
        for tile, (r, c) in zip(cut, places, strict=True):
            tile[...] = frames[0, r : r + height, c : c + width]
        total[...] = 0
        for tile, weight, (r, c) in zip(cut, weights, places, strict=True):
            np.multiply(tile, weight, out=product)
            total[0, r : r + height, c : c + width] += product
        return plain.conserve(total, target)[0]

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


def crop_and_conserve(case):
    plan, plain, (rows, columns) = case.padded, Plain(case.counts), case.matrix
    raw, out = plan.stage(case.pixels - np.float32(0.5)), np.empty(case.counts.shape, np.float32)
    return {
        "photopeak": lambda: plan.finish(raw, 1e5, out=out, threads=case.threads)[0],
        "NumPy": lambda: plain.conserve(raw[:, :rows, :columns], 1e5)[0],
    }


def round_keeping_sum(case, dtype):
    frames, plain = case.pixels, Plain(case.counts)
    ours, theirs = np.empty(frames.shape, dtype), np.empty(frames.shape, dtype)
    return {
        "photopeak": lambda: fo.to_stored(frames, SLOPE, dtype=dtype, out=ours, threads=case.threads),
        "NumPy": lambda: plain.round(frames, theirs),
    }


def round_keeping_sum_uint16(case):
    return round_keeping_sum(case, np.uint16)


def round_keeping_sum_int16(case):
    return round_keeping_sum(case, np.int16)


def chain_in(case):
    """From stored integers to what a network takes: rescaled, normalised, padded."""
    stored, plan, plain = case.counts, case.padded, Plain(case.counts)
    floats, padded = np.empty(stored.shape, np.float32), plan.stage(stored)

    def photopeak():
        fo.to_float(stored, SLOPE, INTERCEPT, out=floats, threads=case.threads)
        low, high = fo.robust_scale(floats, threads=case.threads)
        return plan.stage(floats, low=low, high=high, out=padded, threads=case.threads)

    return {"photopeak": photopeak, "NumPy": lambda: plain.pad(plain.normalise(plain.rescale(stored)))}


def chain_out(case):
    """From what a network gives to stored integers: cropped, its sum restored, rounded."""
    plan, plain, (rows, columns) = case.padded, Plain(case.counts), case.matrix
    raw, target = plan.stage(case.pixels), float(case.counts.sum())
    floats, ours, theirs = plain.floats.copy(), np.empty_like(case.counts), np.empty_like(case.counts)

    def photopeak():
        plan.finish(raw, target, out=floats, threads=case.threads)
        return fo.to_stored(floats, SLOPE, out=ours, threads=case.threads)

    def numpy():
        return plain.round(plain.conserve(raw[:, :rows, :columns], target)[0], theirs)

    return {"photopeak": photopeak, "NumPy": numpy}


def close(ours, theirs):
    """Return whether two results agree; of rounding, only what it promises."""
    if ours.dtype != np.float32:
        return abs(int(ours.sum()) - int(theirs.sum())) <= 1
    return np.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


OPERATIONS: tuple[Callable[[Case], dict[str, Callable[[], object]]], ...] = (
    rescale_uint8,
    rescale_uint16,
    rescale_int16,
    robust_normalise,
    rescale_and_pad,
    pad_only,
    tile_and_blend,
    statistics,
    crop_and_conserve,
    round_keeping_sum_uint16,
    round_keeping_sum_int16,
    chain_in,
    chain_out,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.__name__ for operation in OPERATIONS])
def bench_frame_operations(compare, counts, threads, operation):
    contestants = operation(Case(counts, threads))
    compare(contestants, baseline="photopeak", settle=True)
    ours, theirs = contestants["photopeak"](), contestants["NumPy"]()
    if operation is statistics:
        assert ours["sum"] == pytest.approx(theirs[0])
    else:
        assert close(ours[0], theirs[0])
