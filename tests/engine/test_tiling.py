import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.tiling import Tiling


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(0, 20), st.integers(1, 3))
def test_tiles_cover_the_frame_and_blend_into_it(rows, columns, edge, overlap, scale):
    overlap = min(overlap, edge // 2)
    plan = Tiling(MatrixSize(rows, columns), MatrixSize(edge, edge), overlap, scale)
    frames = np.random.default_rng(0).random((2, rows, columns), np.float32) + 1
    tiles = plan.split(frames)
    np.testing.assert_array_equal(tiles[0], frames[0, : plan.tile.rows, : plan.tile.columns])
    enlarged = tiles.repeat(scale, 1).repeat(scale, 2)
    found = plan.blend(enlarged)
    np.testing.assert_allclose(found, frames.repeat(scale, 1).repeat(scale, 2), rtol=5e-7)


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


def test_tilings_refuse_what_does_not_fit():
    plan = Tiling(MatrixSize(130, 70), MatrixSize(48, 48), 12)
    counts = np.ones((2, 130, 70), np.float32)
    with pytest.raises(InputError, match="leaves the frame"):
        plan.split(counts[:, :100].copy())
    with pytest.raises(InputError, match="all tiles of every frame"):
        plan.blend(plan.split(counts)[1:])
    with pytest.raises(UsageError, match="overlap of 30"):
        Tiling(MatrixSize(64, 64), MatrixSize(32, 32), 30)
    with pytest.raises(UsageError, match="enlarged 0 times"):
        Tiling(MatrixSize(64, 64), MatrixSize(32, 32), 8, 0)
    with pytest.raises(UsageError, match="multiples of 8"):
        Tiling(MatrixSize(60, 64), MatrixSize(32, 32), 8, 1, 8)
    with pytest.raises(UsageError, match="cannot share 8"):
        Tiling(MatrixSize(64, 64), MatrixSize(16, 16), 8, 1, 16)


@given(st.integers(4, 30), st.integers(1, 8), st.integers(0, 3))
def test_tiles_start_at_multiples_of_the_step(length, edge, overlap):
    edge = min(edge + 2, length)
    plan = Tiling(MatrixSize(8 * length, 8), MatrixSize(8 * edge, 8), min(overlap, 4), 1, 8)
    assert not (plan.rows % 8).any()
    assert plan.rows[-1] == 8 * (length - edge)
    assert (np.diff(plan.rows) <= 8 * edge - min(overlap, 4)).all()
