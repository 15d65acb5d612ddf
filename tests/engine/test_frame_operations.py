import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from photopeak.engine import _native
from photopeak.engine import frame_operations as fo
from photopeak.engine.errors import DeviceError, InputError, UsageError
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.tiling import Tiling

SHAPES = [(1, 1, 1), (2, 1, 9), (3, 17, 1), (2, 64, 64), (1, 65, 39), (2, 130, 70)]
INTEGERS = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32]
ROUNDED = [np.uint8, np.int8, np.uint16, np.int16, np.int32]

stacks = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=40), elements=st.floats(0, 200, width=32)
)


@pytest.fixture
def counts():
    """Scintigraphy-like: most pixels faint, a few hot, fractions everywhere, shape (2, 130, 70)."""
    return np.random.default_rng(1).gamma(0.5, 4, (2, 130, 70)).astype(np.float32)


# --- to_float ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_to_float_equals_float64_arithmetic_rounded_once(dtype, shape):
    info = np.iinfo(dtype)
    stored = np.random.default_rng(0).integers(info.min, info.max, shape, dtype, endpoint=True)
    slope, intercept = 0.123456789, -7.25
    expected = (stored.astype(np.float64) * slope + intercept).astype(np.float32)
    np.testing.assert_array_equal(fo.to_float(stored, slope, intercept), expected)
    np.testing.assert_array_equal(fo.to_float(stored), stored.astype(np.float32))


@pytest.mark.parametrize("slope", [0.1, 1e-310, 3e280, 3e300])
def test_to_float_takes_every_slope_and_values_of_one_sign(slope):
    signed = np.random.default_rng(0).integers(-32768, 32767, (4, 40, 60), np.int16, endpoint=True)
    signed[1], signed[2] = np.abs(signed[1] // 2), -np.abs(signed[2] // 2)
    with np.errstate(over="ignore", under="ignore"):
        expected = (signed * np.float64(slope) + 0.7).astype(np.float32)
    np.testing.assert_array_equal(fo.to_float(signed, slope, 0.7), expected)


def test_to_float_takes_a_slope_for_each_frame():
    stored = np.full((3, 4, 5), 2, np.int16)
    found = fo.to_float(stored, np.array([1.0, 2.0, 3.0]), np.array([0, 1, -6]))
    np.testing.assert_array_equal(found[:, 0, 0], [2, 5, 0])


# --- to_stored ---------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(stacks, st.floats(1e-2, 10), st.floats(-50, 0), st.integers(1, 4))
def test_to_stored_keeps_sums_and_stays_within_one_unit(frames, slope, intercept, threads):
    stored = fo.to_stored(frames, slope, intercept, np.int32, threads=threads)
    error = stored - (frames.astype(np.float64) - intercept) / slope
    assert np.abs(error).max() < 1 + 1e-9
    pixels = frames[0].size
    assert np.abs(error.sum(axis=(1, 2))).max() <= 0.5 + 1e-9 * pixels


@settings(deadline=None)
@given(stacks)
def test_to_stored_keeps_every_aligned_block_within_one_unit(frames):
    error = fo.to_stored(frames).astype(np.float64) - frames
    rows, columns = frames.shape[1:]
    for size in (2, 4, 8):
        padded = np.pad(error, ((0, 0), (0, -rows % size), (0, -columns % size)))
        blocks = padded.reshape(len(frames), padded.shape[1] // size, size, padded.shape[2] // size, size)
        assert np.abs(blocks.sum(axis=(2, 4))).max() <= 1 + 1e-6


def test_to_stored_leaves_whole_values_and_zeros_alone(counts):
    whole = np.random.default_rng(0).poisson(3, (2, 77, 33)).astype(np.float32)
    np.testing.assert_array_equal(fo.to_stored(whole), whole)
    counts[counts < 1] = 0
    assert not fo.to_stored(counts)[counts == 0].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_stored_values_survive_to_float_and_back(dtype):
    info = np.iinfo(dtype)
    stored = np.random.default_rng(0).integers(info.min, info.max, (2, 128, 128), dtype, endpoint=True)
    slope, intercept = 0.0371829, 11.5
    physical = fo.to_float(stored, slope, intercept)
    np.testing.assert_array_equal(fo.to_stored(physical, slope, intercept, dtype, keep_sum=False), stored)


def test_to_stored_rounds_nearly_as_gently_as_to_the_nearest(counts):
    kept = np.square(fo.to_stored(counts) - counts).mean()
    nearest = np.square(fo.to_stored(counts, keep_sum=False) - counts).mean()
    assert kept < 2.2 * nearest


def test_to_stored_without_keeping_the_sum_rounds_halves_up():
    frames = np.array([[[-1.5, -0.5, 0.25, 0.5, 2.75]]], np.float32)
    found = fo.to_stored(frames, dtype=np.int16, keep_sum=False)
    np.testing.assert_array_equal(found, [[[-1, 0, 0, 1, 3]]])


@pytest.mark.parametrize("dtype", ROUNDED)
@pytest.mark.parametrize("keep_sum", [True, False])
def test_to_stored_reaches_the_limits_and_refuses_what_is_beyond(dtype, keep_sum):
    info = np.iinfo(dtype)
    limits = np.array([[[info.min, info.max]]], np.float32)
    np.testing.assert_array_equal(fo.to_stored(limits, dtype=dtype, keep_sum=keep_sum), [[[info.min, info.max]]])
    for beyond in (np.nextafter(limits[0, 0, 1], np.inf) * 1.01, limits[0, 0, 0] * 1.01 - 1, np.nan, np.inf, -np.inf):
        frames = np.zeros((2, 3, 5), np.float32)
        frames[1, 2, 3] = beyond
        with pytest.raises(InputError, match="Frame 1, row 2, column 3 is "):
            fo.to_stored(frames, dtype=dtype, keep_sum=keep_sum)


# --- Intensity ---------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=30),
        elements=st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, -0.0, 1.0, 2.0]),
    ),
    st.floats(0.5, 1),
)
def test_robust_scale_equals_numpy_quantiles(frames, quantile):
    low, high = fo.robust_scale(frames, quantile)
    for found, q in ((low, 1 - quantile), (high, quantile)):
        exact = np.quantile(frames.astype(np.float64), q, axis=(1, 2))
        np.testing.assert_allclose(found, exact, rtol=3e-7, atol=1e-6 * np.abs(frames).max())


@pytest.mark.parametrize("usual", [0.0, 3.0, -3.0])
@pytest.mark.parametrize("other", [0.0, 3.0000002, -3.0000002, 900.0])
def test_robust_scale_equals_numpy_where_one_value_is_usual(usual, other):
    frame = np.full(5000, usual, np.float32)
    for rare in (0, 1, 24, 25, 26, 2500):
        frame[5000 - rare :] = other
        low, high = fo.robust_scale(frame.reshape(1, 50, 100))
        expected = np.quantile(frame.astype(np.float64), [0.005, 0.995])
        np.testing.assert_allclose([low[0], high[0]], expected, rtol=3e-7, atol=1e-12)


@given(
    hnp.arrays(np.float32, (2, 5, 41), elements=st.floats(-50, 200, width=32)),
    st.sampled_from([None, np.nan, np.inf, -np.inf]),
)
def test_admission_finds_sums_the_least_pixel_and_what_is_not_finite(frames, odd):
    sums, least, misfit = _native.admit(frames, 1)
    np.testing.assert_allclose(sums, frames.sum(axis=(1, 2), dtype=np.float64), rtol=1e-12, atol=1e-9)
    assert (least, misfit) == (frames.min(), -1)
    if odd is not None:
        frames[1, 3, 7] = odd
        assert _native.admit(frames, 2)[2] == 1


def test_admission_does_not_depend_on_threads():
    frames = np.random.default_rng(0).gamma(0.5, 4, (1, 700, 801)).astype(np.float32)
    assert _native.admit(frames, 1)[0].tobytes() == _native.admit(frames, 3)[0].tobytes()


def test_robust_scale_finds_single_order_statistics():
    values = np.random.default_rng(0).normal(size=1001).astype(np.float32)
    frame = values.reshape(1, 7, 143)
    for q in (0.5, 0.75, 0.995, 1.0):
        low, high = fo.robust_scale(frame, q)
        ordered = np.sort(values)
        np.testing.assert_allclose(
            [low[0], high[0]], [np.interp(p * 1000, np.arange(1001), ordered) for p in (1 - q, q)], rtol=1e-5
        )


def reference_statistics(frame):
    x = frame.astype(np.float64)
    finite = np.where(np.isfinite(x), x, 0)
    z = 2 * np.sqrt(np.maximum(finite, 0) + 0.375)

    def mean_square(lag):
        pairs = np.concatenate([(z[:, lag:] - z[:, :-lag]).ravel(), (z[lag:] - z[:-lag]).ravel()])
        return np.square(pairs).mean() if pairs.size else 0.0

    kept = x[np.isfinite(x)]
    return {
        "sum": finite.sum(),
        "minimum": kept.min(initial=np.inf) if kept.size else 0,
        "maximum": kept.max(initial=-np.inf) if kept.size else 0,
        "nonzero": np.count_nonzero(finite),
        "non_finite": x.size - kept.size,
        "non_integer": (finite != np.rint(finite)).mean(),
        "anscombe_mean": z.mean(),
        "anscombe_variance": z.var(),
        "difference_1": mean_square(1),
        "difference_2": mean_square(2),
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_equal_their_definitions(shape):
    rng = np.random.default_rng(2)
    frames = rng.normal(3, 3, shape).astype(np.float32)
    frames[rng.random(shape) < 0.5] = 2
    frames[rng.random(shape) < 0.02] = np.nan
    frames.flat[-1] = np.inf
    for found, frame in zip(fo.statistics(frames), frames, strict=True):
        for name, value in reference_statistics(frame).items():
            assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_statistics_of_poisson_counts_have_unit_variance():
    frame = np.random.default_rng(0).poisson(20, (1, 256, 256)).astype(np.float32)
    found = fo.statistics(frame)[0]
    assert found["anscombe_variance"] == pytest.approx(1, abs=0.03)
    assert found["difference_1"] == pytest.approx(2, abs=0.05)
    assert found["difference_2"] == pytest.approx(2, abs=0.05)


def test_statistics_of_a_constant_frame_have_no_variance():
    found = fo.statistics(np.full((1, 100, 100), 12345.678, np.float32))[0]
    assert found["anscombe_variance"] < 1e-9
    assert found["difference_1"] == found["difference_2"] == 0


# --- Threads, outputs, instruction sets --------------------------------------------------------------------------------

PADDED = Tiling(MatrixSize(130, 70), step=48)
CUT = Tiling(MatrixSize(130, 70), MatrixSize(48, 48), 12, step=4)
OPERATIONS = {
    "to_float": lambda f, **k: fo.to_float((f * 9).astype(np.uint16), 0.3, -1.0, **k),
    "to_stored": lambda f, **k: fo.to_stored(f, 0.3, -1.0, **k),
    "to_stored_plain": lambda f, **k: fo.to_stored(f, 0.3, keep_sum=False, **k),
    "robust_scale": lambda f, **k: np.stack(fo.robust_scale(f, **k)),
    "stage_padded": lambda f, **k: PADDED.stage(f, low=0.5, high=7.0, **k),
    "stage_tiles": lambda f, **k: CUT.stage(f, slope=0.3, intercept=-1.0, **k),
    "finish_padded": lambda f, **k: PADDED.finish(PADDED.stage(f), 1000.0, **k)[0],
    "finish_tiles": lambda f, **k: CUT.finish(CUT.stage(f), 2.0, keep="mean", **k)[0],
    "statistics": fo.statistics,
}
NO_OUTPUT = {"robust_scale", "statistics"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_do_not_depend_on_threads_or_batches(name, counts):
    # small stacks are the work of one thread whatever was asked for
    large = np.concatenate([counts] * 80)
    expected = OPERATIONS[name](large)
    for threads in (2, 3, 7):
        np.testing.assert_array_equal(OPERATIONS[name](large, threads=threads), expected)
    alone = OPERATIONS[name](counts)
    frame = OPERATIONS[name](counts[1:])
    whole = alone[..., 1:] if name == "robust_scale" else alone[len(alone) // 2 :]
    np.testing.assert_array_equal(frame, whole)


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - NO_OUTPUT))
def test_results_go_into_the_memory_given(name, counts):
    fresh = OPERATIONS[name](counts)
    out = np.empty_like(fresh)
    assert OPERATIONS[name](counts, out=out) is out
    np.testing.assert_array_equal(out, fresh)


@pytest.mark.parametrize("simd", ["baseline", "avx2"])
def test_every_instruction_set_gives_the_same_bits(simd, counts, tmp_path):
    np.save(tmp_path / "counts.npy", counts)
    code = (
        "import numpy as np, hashlib; from photopeak.engine import _native, frame_operations as fo;"
        f"x = np.load({str(tmp_path / 'counts.npy')!r});"
        "from photopeak.engine.tiling import Tiling; from photopeak.engine.matrix import MatrixSize;"
        "plan = Tiling(MatrixSize(130, 70), MatrixSize(48, 48), 12, 1, 4); tiles = plan.stage(x, high=7.);"
        "whole = Tiling(MatrixSize(130, 70), step=48).stage((x * 9).astype('u1'), slope=.3, low=1.);"
        "r = [fo.to_float((x * 9).astype('u2'), .3, -1), fo.to_stored(x, .3, -1), fo.to_stored(x - 9, .3, 0, 'i1'),"
        "fo.robust_scale(x)[1], fo.statistics(x), _native.admit(x, 1)[0], *_native.texture(x, 1), tiles, whole, plan.finish(tiles, 1000.)[0]];"
        "print(fo.build().simd, hashlib.sha256(b''.join(a.tobytes() for a in r)).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **extra}, capture_output=True, text=True, check=True
        ).stdout.split()
        for extra in ({}, {"PHOTOPEAK_SIMD": simd})
    ]
    assert runs[1][0] in (simd, "baseline")
    assert runs[0][1] == runs[1][1]


# --- Bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - {"to_float", "finish_padded", "finish_tiles"}))
def test_operations_refuse_other_arrays(name, counts):
    for bad in (counts.astype(np.float64), counts[0], counts[:, ::2], counts.astype(">f4"), counts[:0]):
        with pytest.raises(InputError, match="give"):
            OPERATIONS[name](bad)
    with pytest.raises(UsageError, match="threads is 0"):
        OPERATIONS[name](counts, threads=0)
    with pytest.raises(UsageError, match="'tpu' is no device"):
        OPERATIONS[name](counts, device="tpu")


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - NO_OUTPUT))
def test_operations_refuse_unfit_outputs(name, counts):
    fresh = OPERATIONS[name](counts)
    frozen = np.empty_like(fresh)
    frozen.flags.writeable = False
    for out in (
        fresh[:1],
        fresh.astype(np.float64),
        np.empty((*fresh.shape[:2], 2 * fresh.shape[2]), fresh.dtype)[..., ::2],
        frozen,
    ):
        with pytest.raises(InputError, match="give a writable"):
            OPERATIONS[name](counts, out=out)


def test_operations_refuse_an_output_that_overlaps():
    frames, plan = np.zeros((3, 16, 16), np.float32), Tiling(MatrixSize(16, 16))
    for call in (
        lambda: plan.stage(frames[:2], out=frames[1:]),
        lambda: plan.finish(frames[:2], out=frames[1:]),
        lambda: fo.to_stored(frames[:2], dtype=np.int32, out=frames[1:].view(np.int32)),
    ):
        with pytest.raises(UsageError, match="shares memory"):
            call()


def test_operations_refuse_arrays_that_are_not_aligned():
    odd = np.zeros(2 * 4 * 4 * 4 + 1, np.uint8)[1:].view(np.float32).reshape(2, 4, 4)
    with pytest.raises(InputError, match="aligned"):
        fo.statistics(odd)
    with pytest.raises(InputError, match="aligned"):
        fo.to_float(odd.view(np.int32))
    with pytest.raises(InputError, match="aligned"):
        Tiling(MatrixSize(4, 4)).stage(np.zeros((2, 4, 4), np.float32), out=odd)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_threads_that_get_no_memory_raise_in_place_of_ending_the_process():
    code = """
import resource, numpy as np
from pathlib import Path
from photopeak.engine import _native
from photopeak.engine import frame_operations as fo
fo.robust_scale(np.ones((4, 600, 600), np.float32), threads=2)
frames = np.ones((2, 4096, 4096), np.float32)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20),) * 2)
try:
    fo.robust_scale(frames, threads=2)
except MemoryError:
    print("refused")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "refused\n"), run.stderr


@pytest.mark.parametrize("dtype", [np.float32, np.int64, ">u2", bool])
def test_conversions_refuse_other_stored_types(dtype):
    with pytest.raises(InputError, match="Stored values cannot be"):
        fo.to_float(np.zeros((1, 2, 2), dtype))
    with pytest.raises(InputError, match="Stored values cannot be"):
        fo.to_stored(np.zeros((1, 2, 2), np.float32), dtype=dtype)


@pytest.mark.parametrize("slope", [0.0, -1.0, np.nan, np.inf])
def test_conversions_refuse_slopes_that_cannot_be_undone(slope):
    with pytest.raises(InputError, match="slope must be positive"):
        fo.to_stored(np.zeros((1, 2, 2), np.float32), slope)


def test_per_frame_values_must_match_the_frames(counts):
    for call in (
        lambda: fo.to_stored(counts, [1.0, 1.0, 1.0]),
        lambda: PADDED.stage(counts, high=[1.0, 2.0, 3.0]),
        lambda: PADDED.finish(PADDED.stage(counts), [[1.0, 2.0]]),
    ):
        with pytest.raises(InputError, match="one for each of the 2 frames"):
            call()


def test_robust_scale_refuses_what_has_no_answer(counts):
    counts[1, 5, 5] = np.nan
    with pytest.raises(InputError, match="Frame 1 has pixels that are not finite"):
        fo.robust_scale(counts)
    with pytest.raises(UsageError, match="quantile"):
        fo.robust_scale(counts, 0.3)


# --- CUDA --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cuda():
    if problem := fo.cuda_problem():
        pytest.skip(problem)
    return "cuda"


def test_cuda_reports_why_it_cannot_run(counts):
    problem = fo.cuda_problem()
    if not problem:
        pytest.skip("a CUDA device is here")
    with pytest.raises(DeviceError) as raised:
        PADDED.stage(counts, device="cuda")
    assert str(raised.value) == problem


@pytest.mark.gpu
@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - {"statistics", "finish_padded", "finish_tiles"}))
def test_cuda_gives_the_bits_of_the_cpu(name, counts, cuda):
    np.testing.assert_array_equal(OPERATIONS[name](counts, device=cuda), OPERATIONS[name](counts))


@pytest.mark.gpu
def test_cuda_sums_agree_with_the_cpu(counts, cuda):
    on_cpu, on_gpu = fo.statistics(counts), fo.statistics(counts, device=cuda)
    for name in on_cpu.dtype.names or ():
        np.testing.assert_allclose(on_gpu[name], on_cpu[name], rtol=1e-10)
    tiles = CUT.stage(counts)
    for on_gpu, on_cpu in zip(CUT.finish(tiles, 1e3, device=cuda), CUT.finish(tiles, 1e3), strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=2e-7)
    # without a factor that rests on a sum, the bits are the same
    kept = [CUT.finish(tiles, keep="none", device=device)[0] for device in ("cpu", cuda)]
    np.testing.assert_array_equal(*kept)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES)
def test_cuda_rounds_like_the_cpu_for_every_shape(shape, cuda):
    frames = np.random.default_rng(0).gamma(1, 3, shape).astype(np.float32)
    np.testing.assert_array_equal(fo.to_stored(frames, 0.7, device=cuda), fo.to_stored(frames, 0.7))


@pytest.mark.gpu
def test_cuda_refuses_what_the_cpu_refuses(counts, cuda):
    counts[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="Frame 1, row 2, column 3"):
        fo.to_stored(counts, device=cuda)
    with pytest.raises(InputError, match="Frame 1 has pixels"):
        fo.robust_scale(counts, device=cuda)
