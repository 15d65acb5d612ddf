import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.tiling import Tiling

stacks = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=40), elements=st.floats(0, 200, width=32)
)


@pytest.fixture
def counts():
    """Scintigraphy-like: most pixels faint, a few hot, fractions everywhere, shape (2, 130, 70)."""
    return np.random.default_rng(1).gamma(0.5, 4, (2, 130, 70)).astype(np.float32)


def mirrored(frames, rows, columns):
    """Return frames that go on as their mirror images, up to a size."""
    return np.pad(frames, ((0, 0), (0, rows - frames.shape[1]), (0, columns - frames.shape[2])), mode="reflect")


# --- Staging -----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(stacks, st.integers(1, 97), st.integers(1, 3))
def test_one_tile_is_the_frame_padded_as_numpy_does_and_finishing_crops_it(frames, multiple, threads):
    _, rows, columns = frames.shape
    plan = Tiling(MatrixSize(rows, columns), step=multiple)
    staged = plan.stage(frames, threads=threads)
    expected = mirrored(frames, rows + -rows % multiple, columns + -columns % multiple)
    np.testing.assert_array_equal(staged, expected)
    np.testing.assert_array_equal(plan.finish(staged, keep="none", threads=threads)[0], frames)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 8), st.integers(1, 6), st.integers(0, 20))
def test_tiles_are_windows_of_the_padded_frame(rows, columns, step, edge, overlap):
    edge *= step
    plan = Tiling(MatrixSize(rows, columns), MatrixSize(edge, edge), min(overlap, (edge - step) // 2), 1, step)
    frames = np.random.default_rng(0).random((2, rows, columns), np.float32)
    height, width = plan.rows[-1] + plan.tile.rows, plan.columns[-1] + plan.tile.columns
    padded = mirrored(frames, height, width)
    expected = [
        frame[row : row + plan.tile.rows, column : column + plan.tile.columns]
        for frame in padded
        for row in plan.rows
        for column in plan.columns
    ]
    np.testing.assert_array_equal(plan.stage(frames), expected)
    for tile in range(len(plan)):
        np.testing.assert_array_equal(plan.stage(frames, tile=tile), expected[tile :: len(plan)])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 9), (3, 17, 1), (2, 33, 70)])
def test_staging_rescales_in_float64_normalises_in_float32_and_pads(dtype, shape):
    stored = (np.random.default_rng(0).random(shape) * 250 - (125 if np.dtype(dtype).kind != "u" else 0)).astype(dtype)
    slope, low, high = np.linspace(0.123456789, 3, shape[0]), np.float32(-3.7), np.float32(11.1)
    physical = (stored * slope[:, None, None] - 7.25).astype(np.float32)
    normalised = (physical - low) * (np.float32(1) / (high - low))
    plan = Tiling(MatrixSize(*shape[1:]), step=16)
    expected = mirrored(normalised, *plan.tile)
    np.testing.assert_array_equal(plan.stage(stored, slope=slope, intercept=-7.25, low=low, high=high), expected)
    np.testing.assert_array_equal(plan.stage(stored, slope=slope, intercept=-7.25), mirrored(physical, *plan.tile))
    np.testing.assert_array_equal(plan.stage(stored), mirrored(stored.astype(np.float32), *plan.tile))


def test_frames_without_contrast_become_zero():
    staged = Tiling(MatrixSize(2, 2)).stage(np.full((2, 2, 2), 3, np.float32), low=3.0, high=[3.0, 5.0])
    np.testing.assert_array_equal(staged, 0)


# --- Finishing ---------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(stacks, st.just(0.0) | st.floats(1e-3, 1e6), st.integers(1, 3))
def test_finishing_meets_the_sum_and_leaves_nothing_below_zero(frames, target, threads):
    frames = frames - np.float32(20)
    if not (frames > 1e-3).any(axis=(1, 2)).all():
        target = 0.0
    plan = Tiling(MatrixSize(*frames.shape[1:]), step=7)
    found, before, after = plan.finish(plan.stage(frames), target, threads=threads)
    assert (found >= 0).all()
    np.testing.assert_allclose(before, frames.sum(axis=(1, 2), dtype=np.float64), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(after, found.sum(axis=(1, 2), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(after, target, rtol=2e-7)
    positive = np.maximum(frames, 0)
    factor = target / np.maximum(positive.sum(axis=(1, 2), dtype=np.float64), 1e-30)
    np.testing.assert_allclose(found, positive * factor[:, None, None], rtol=3e-7, atol=1e-30)


def test_finishing_keeps_means_and_undoes_a_gain(counts):
    plan = Tiling(MatrixSize(130, 70))
    mean = counts.mean(axis=(1, 2), dtype=np.float64)
    found, before, after = plan.finish(counts, 2.5, keep="mean", gain=[2.0, 4.0])
    np.testing.assert_allclose(before, mean * [2, 4], rtol=1e-12)
    np.testing.assert_allclose(after, 2.5, rtol=2e-7)
    np.testing.assert_allclose(found, counts * (2.5 / mean)[:, None, None], rtol=3e-7)
    found, before, after = plan.finish(counts, keep="none", gain=[2.0, 4.0])
    np.testing.assert_array_equal(found, counts * np.float32([2, 4])[:, None, None])
    np.testing.assert_allclose(before, after, rtol=1e-12)


def test_means_that_are_not_positive_are_left_alone_and_nothing_is_cut_off(counts):
    plan, centred = Tiling(MatrixSize(130, 70)), counts - counts.mean(axis=(1, 2), keepdims=True) - 1
    np.testing.assert_array_equal(plan.finish(centred, 2.5, keep="mean")[0], centred)
    np.testing.assert_array_equal(plan.finish(counts, -2.5, keep="mean")[0], counts)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(0, 20), st.integers(1, 3))
def test_tiles_cover_the_frame_and_blend_into_it(rows, columns, edge, overlap, scale):
    overlap = min(overlap, edge // 2)
    plan = Tiling(MatrixSize(rows, columns), MatrixSize(edge, edge), overlap, scale)
    frames = np.random.default_rng(0).random((2, rows, columns), np.float32) + 1
    tiles = plan.stage(frames).repeat(scale, 1).repeat(scale, 2)
    expected = frames.repeat(scale, 1).repeat(scale, 2)
    np.testing.assert_allclose(plan.finish(tiles, keep="none")[0], expected, rtol=5e-7)
    sums = 3 * expected.sum(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(plan.finish(tiles, sums)[0], 3 * expected, rtol=2e-6)


def test_blending_weighs_tiles_as_planned(counts):
    plan = Tiling(MatrixSize(130, 70), MatrixSize(48, 48), 20, 2, 4)
    rng = np.random.default_rng(3)
    tiles = rng.random((len(plan), 96, 96), np.float32)
    total = np.zeros((264, 144))
    for tile, (i, k) in zip(tiles, np.ndindex(len(plan.rows), len(plan.columns)), strict=True):
        row, column = 2 * plan.rows[i], 2 * plan.columns[k]
        total[row : row + 96, column : column + 96] += np.outer(plan.row_weights[i], plan.column_weights[k]) * tile
    found, before, _ = plan.finish(tiles, keep="none")
    np.testing.assert_allclose(found[0], total[:260, :140], rtol=1e-6)
    np.testing.assert_allclose(before, total[:260, :140].sum(), rtol=1e-7)


def test_tiles_without_weight_are_not_looked_at():
    plan = Tiling(MatrixSize(64, 30), MatrixSize(40, 32), 16, step=8)
    frames = np.ones((1, 64, 30), np.float32)
    tiles = plan.stage(frames)
    tiles[0, -4:], tiles[:, :, 30:] = np.nan, np.inf
    np.testing.assert_allclose(plan.finish(tiles, 64 * 30)[0], frames, rtol=1e-6)


def test_tile_weights_are_a_smooth_partition_of_unity():
    plan = Tiling(MatrixSize(300, 100), MatrixSize(128, 128), 24, 2)
    total = np.zeros(600)
    for start, weights in zip(plan.rows * 2, plan.row_weights, strict=True):
        total[start : start + 256] += weights
    np.testing.assert_allclose(total, 1, atol=1e-7)
    assert np.abs(np.diff(plan.row_weights)).max() < np.pi / 2 / 24 * 1.1
    # the outer quarter of the overlap is context only
    assert not plan.row_weights[1, :12].any()
    assert not plan.row_weights[0, -12:].any()
    np.testing.assert_array_equal(plan.column_weights, 1)


def test_tiles_overlap_as_asked():
    plan = Tiling(MatrixSize(1000, 512), MatrixSize(256, 256), 40)
    assert (np.diff(plan.rows) <= 256 - 40).all()
    assert plan.rows[0] == 0
    assert plan.rows[-1] == 1000 - 256


@given(st.integers(4, 30), st.integers(1, 8), st.integers(0, 3), st.integers(0, 7))
def test_tiles_start_at_multiples_of_the_step(length, edge, overlap, less):
    edge = min(edge + 2, length)
    plan = Tiling(MatrixSize(8 * length - less, 8), MatrixSize(8 * edge, 8), min(overlap, 4), 1, 8)
    assert not (plan.rows % 8).any()
    assert plan.rows[-1] == 8 * (length - edge)
    assert (np.diff(plan.rows) <= 8 * edge - min(overlap, 4)).all()


# --- Bad input ---------------------------------------------------------------------------------------------------------


def test_tilings_refuse_what_does_not_fit(counts):
    plan = Tiling(MatrixSize(130, 70), MatrixSize(48, 48), 12)
    with pytest.raises(InputError, match="size that the tiles were planned for"):
        plan.stage(counts[:, :100].copy())
    with pytest.raises(InputError, match="all tiles of every frame"):
        plan.finish(plan.stage(counts)[1:])
    with pytest.raises(UsageError, match="Tile 8 is none of the 8"):
        plan.stage(counts, tile=8)
    with pytest.raises(UsageError, match="'median' cannot be kept"):
        plan.finish(plan.stage(counts), keep="median")
    with pytest.raises(UsageError, match="overlap of 30"):
        Tiling(MatrixSize(64, 64), MatrixSize(32, 32), 30)
    with pytest.raises(UsageError, match="enlarged 0 times"):
        Tiling(MatrixSize(64, 64), MatrixSize(32, 32), 8, 0)
    with pytest.raises(UsageError, match="multiples of 8"):
        Tiling(MatrixSize(64, 64), MatrixSize(30, 32), 8, 1, 8)
    with pytest.raises(UsageError, match="cannot share 8"):
        Tiling(MatrixSize(64, 64), MatrixSize(16, 16), 8, 1, 16)


def test_staging_refuses_other_values(counts):
    plan = Tiling(MatrixSize(130, 70))
    for bad in (counts.astype(np.float64), counts.astype(">f4"), counts > 1):
        with pytest.raises(InputError, match="give float32, or integers"):
            plan.stage(bad)
    with pytest.raises(InputError, match="the low one first"):
        plan.stage(counts, low=2.0, high=1.0)
    with pytest.raises(InputError, match="finite limits"):
        plan.stage(counts, low=np.nan)
    with pytest.raises(InputError, match="slope must be positive"):
        plan.stage(counts, slope=0.0)


def test_finishing_refuses_what_has_no_answer(counts):
    plan, broken = Tiling(MatrixSize(130, 70)), counts.copy()
    broken[1, 5, 5] = np.nan
    for keep in ("sum", "mean", "none"):
        with pytest.raises(InputError, match="Frame 1 has pixels that are not finite"):
            plan.finish(broken, 1.0, keep=keep, threads=2)
    for frames, target in ((np.zeros_like(counts), 5.0), (counts, -1.0), (counts, np.nan), (counts, 1e300)):
        with pytest.raises(InputError, match="cannot be scaled"):
            plan.finish(frames, target)
