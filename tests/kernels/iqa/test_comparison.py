"""What all full-reference metrics share: shapes, types, data ranges, reasons, stacks."""

import numpy as np
import pytest

from photopeak.kernels import ms_ssim, nrmse, psnr, ssim
from photopeak.kernels.errors import InputError, UsageError

METRICS = (psnr, nrmse, ssim, ms_ssim)


def stack(n=3, size=170, seed=0):
    generator = np.random.default_rng(seed)
    reference = generator.poisson(90, (n, size, size))
    return (reference + generator.integers(-20, 20, reference.shape)).clip(0, 255), reference


@pytest.mark.parametrize("metric", METRICS)
def test_stack_is_compared_frame_by_frame_with_the_same_bits_at_any_number_of_threads(metric, small_runs):
    frames, reference = (array.astype(np.uint8) for array in stack())
    alone = [float(metric(*each)) for each in zip(frames, reference, strict=True)]
    for threads in (1, 2, 3):
        found = metric(frames, reference, threads=threads)
        assert np.asarray(found).tolist() == alone
        assert len(found) == 3
        assert found.reasons == (None,) * 3


@pytest.mark.parametrize("metric", METRICS)
def test_one_reference_serves_a_stack(metric):
    frames, reference = stack()
    found = metric(frames, reference[0])
    assert found.values[1] == float(metric(frames[1], reference[0]))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kinds", [(np.float32, np.float32), (np.uint8, np.float64), (">u2", np.int32)])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_with_frames_that_cannot_be_compared_gives_what_each_gives_alone(metric, kinds, threads, small_runs):
    """One frame is not finite (if its type can be so), of one nothing counts, and one is seen through a mask."""
    (frames, _), (_, references) = stack(n=5), stack(n=5, seed=1)
    frames, references = frames.astype(kinds[0]), references.astype(kinds[1])
    masks = np.ones(frames.shape, bool)
    masks[2], masks[4, 40:60, 30:] = False, False
    if frames.dtype.kind == "f":
        frames[1, 20, 20] = np.nan
    for reference in (references, references[0]):
        alone = [
            metric(frame, reference if reference.ndim == 2 else reference[index], mask=masks[index], maps=True)
            for index, frame in enumerate(frames)
        ]
        # Views of larger arrays, as they come from a series of which every second slice is taken.
        spread = np.repeat(frames, 2, axis=0)[::2]
        found = metric(spread, reference, mask=masks, maps=True, threads=threads)
        assert found.reasons == tuple(one.reasons[0] for one in alone)
        np.testing.assert_array_equal(found, [float(one) for one in alone])
        np.testing.assert_array_equal(found.data_range, [one.data_range[0] for one in alone])
        for index, one in enumerate(alone):
            assert (found.maps[index] is None) == (one.maps[0] is None)
            if one.maps[0] is not None:
                for map_found, map_alone in zip(found.maps[index], one.maps[0], strict=True):
                    np.testing.assert_array_equal(map_found, map_alone)


@pytest.mark.parametrize("metric", METRICS)
def test_layout_and_type_of_the_pixels_change_nothing(metric):
    frames, reference = stack(n=1)
    found = float(metric(frames[0], reference[0], **({} if metric is nrmse else {"data_range": 255})))
    for kind in (np.uint8, np.uint16, ">i2", np.float32, np.int64):
        pair = np.asfortranarray(frames[0].astype(kind)), reference[0].astype(kind)[:, :]
        kept = [array.copy() for array in pair]
        again = metric(*pair, **({} if metric is nrmse else {"data_range": 255}))
        assert float(again) == found
        np.testing.assert_array_equal(pair, kept)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("level", [0.0, 1e4])
def test_single_precision_is_measured_as_what_it_holds(metric, level):
    """Fractions, which integers kept as floats have none of: work in single precision would be off by up to 1e-5."""
    frames, reference = ((plane[0] * 0.1234567 + level).astype(np.float32) for plane in stack(n=1))
    exact = float(metric(frames.astype(np.float64), reference.astype(np.float64)))
    assert float(metric(frames, reference)) == pytest.approx(exact, rel=1e-14)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e306, 1e160, 1e-200, 1e-320])
def test_squares_that_are_no_numbers_give_a_reason(metric, scale):
    frames, reference = (plane[0] * scale for plane in stack(n=1))
    found = metric(frames, reference, maps=True)
    assert np.isnan(found.values)
    assert found.reasons[0] in ("not-finite", "singular")
    assert found.maps == (None,)
    assert psnr(reference, reference, data_range=1.0).reasons == (None,)


def test_data_range_is_recorded():
    frames, reference = stack()
    assert psnr(frames.astype(np.uint8), reference.astype(np.uint8)).data_range == (255.0,) * 3
    ranges = tuple(float(np.ptp(frame)) for frame in reference)
    assert psnr(frames, reference.astype(np.float32)).data_range == ranges
    assert psnr(frames, reference, data_range=1000).data_range == (1000.0,) * 3


@pytest.mark.parametrize("data_range", [0, -1, np.nan, np.inf, "255", np.array([1.0, 2.0])])
def test_data_range_must_be_positive(data_range):
    frames, reference = stack(n=1)
    for metric in (psnr, ssim, ms_ssim):
        with pytest.raises(UsageError, match="data_range is"):
            metric(frames, reference, data_range=data_range)


@pytest.mark.parametrize("metric", METRICS)
def test_values_that_are_not_finite_give_a_reason(metric):
    frames, reference = (array.astype(float) for array in stack())
    frames[1, 3, 4] = np.nan
    reference[2, 0, 0] = np.inf
    found = metric(frames, reference, maps=True)
    assert found.reasons == (None, "not-finite", "not-finite")
    assert np.isnan(found.values).tolist() == [False, True, True]
    assert found.maps[1] is None
    assert found.maps[0] is not None


def test_shapes_must_fit():
    frames, reference = stack()
    for wrong in (reference[:2], reference[:, 1:], reference[0, 1:]):
        with pytest.raises(InputError, match="does not fit"):
            psnr(frames, wrong)
    with pytest.raises(InputError, match="mask"):
        psnr(frames, reference, mask=np.ones((2, 2)))
    for threads in (0, 1.5, "2", None):
        with pytest.raises(UsageError, match=f"threads is {threads}"):
            psnr(frames, reference, threads=threads)


def test_one_image_converts_to_a_number():
    frames, reference = stack(n=1)
    found = psnr(frames[0], reference[0])
    assert found.values.shape == ()
    assert np.asarray(found, np.float32).dtype == np.float32
    assert found.metric == "psnr"
