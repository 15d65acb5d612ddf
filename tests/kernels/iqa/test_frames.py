"""What surrounds every no-reference kernel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.iqa.frames import Definition, Outcome, measure, runs

DEFINITION = Definition("brightness", "none", "plain")


def brightness(run):
    masks = np.ones(run.grey.shape, bool) if run.masks is None else run.masks
    seen = [plane[mask] for plane, mask in zip(run.grey, masks, strict=True)]
    return [Outcome(float(pixels.mean()), details={"pixels": pixels.size}) for pixels in seen]


@pytest.fixture
def stack():
    return np.random.default_rng(7).poisson(20, (4, 12, 9)).astype(np.uint16)


def test_stack_gives_one_score_per_frame(stack):
    scores = measure(stack, brightness, DEFINITION, window=(0, 40))
    np.testing.assert_allclose(scores, np.clip(stack * (255 / 40), 0, 255).mean(axis=(1, 2)), rtol=1e-14)
    assert len(scores) == 4
    assert scores.reasons == (None,) * 4
    assert scores.details["pixels"] == [108] * 4
    assert (scores.metric, scores.model, scores.rule) == ("brightness", "none", "plain")


def test_image_gives_one_number(stack):
    scores = measure(stack[0], brightness, DEFINITION)
    assert float(scores) == measure(stack[:1], brightness, DEFINITION).values[0]
    assert isinstance(scores.values, np.ndarray)
    assert scores.values.shape == ()


def test_window_is_recorded_for_each_frame(stack):
    seen = measure(stack, brightness, DEFINITION).intensity
    assert seen.name == "counts"
    assert seen.low == (0,) * 4
    assert len(set(seen.high)) > 1
    assert seen.clipped == tuple(np.mean(frame > high) for frame, high in zip(stack, seen.high, strict=True))


@given(st.tuples(st.integers(1, 40), st.integers(1, 300), st.integers(1, 300)), st.integers(1, 5))
def test_runs_hold_every_frame_once_and_leave_work_for_each_thread(shape, threads):
    found = runs(shape, threads, least := 1 << 12)
    pixels = shape[1] * shape[2]
    assert [index for run in found for index in range(shape[0])[run]] == list(range(shape[0]))
    assert len(found) >= min(threads, shape[0] * pixels // least, shape[0]) / 2
    assert all((run.stop - run.start) * pixels <= 1 << 19 or run.stop - run.start == 1 for run in found)


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 1 << 20))
def test_frames_too_few_for_two_threads_are_one_run(count, threads, least):
    side = max(int((2 * least - 1) ** 0.5 / count**0.5), 1)
    assert len(runs((count, side, side), threads, least)) <= 1 or count * side * side >= 2 * least


@pytest.mark.parametrize("threads", range(2, 7))
def test_threads_change_nothing(stack, threads, small_runs):
    seen = []

    def noted(run):
        seen.append(len(run.grey))
        return brightness(run)

    found = measure(stack, noted, DEFINITION, threads=threads)
    assert sum(seen) == 4
    assert len(seen) >= 2
    np.testing.assert_array_equal(found, measure(stack, brightness, DEFINITION))


@pytest.mark.parametrize("threads", [0, 1.5, "2", None])
def test_what_is_no_number_of_threads_is_refused(stack, threads):
    with pytest.raises(UsageError, match=f"threads is {threads}; use 1 or more"):
        measure(stack, brightness, DEFINITION, threads=threads)


def test_frame_that_cannot_be_scored_says_why_and_spares_the_others(stack):
    frames = stack.astype(np.float64)
    frames[1] = 3
    frames[2, 4, 4] = np.nan
    scores = measure(frames, brightness, DEFINITION)
    assert scores.reasons == (None, "constant", "not-finite", None)
    assert np.isnan(scores.values).tolist() == [False, True, True, False]


def test_one_mask_serves_all_frames_or_each_has_its_own(stack):
    mask = np.zeros(stack.shape[1:], bool)
    mask[2:8, 3:6] = True
    shared = measure(stack, brightness, DEFINITION, mask=mask)
    own = measure(stack, brightness, DEFINITION, mask=np.broadcast_to(mask.astype(np.uint8), stack.shape))
    np.testing.assert_array_equal(shared, own)
    assert shared.details["pixels"] == [18] * 4


def test_empty_mask_and_constant_inside_of_the_mask_are_told(stack):
    masks = np.zeros(stack.shape, bool)
    masks[1:, 0, 0] = True
    masks[2:, :4] = True
    assert measure(stack, brightness, DEFINITION, mask=masks).reasons == ("mask-too-small", "constant", None, None)


def test_mask_of_another_shape_is_refused(stack):
    with pytest.raises(InputError, match=r"mask of shape \(3, 3\) does not fit frames of shape \(4, 12, 9\)"):
        measure(stack, brightness, DEFINITION, mask=np.ones((3, 3)))


def test_kernel_may_measure_something_itself(stack):
    def outer(run):
        before = run.grey.copy()
        measure(255 - run.grey, brightness, DEFINITION, window="identity")
        np.testing.assert_array_equal(run.grey, before)
        return brightness(run)

    np.testing.assert_array_equal(measure(stack, outer, DEFINITION), measure(stack, brightness, DEFINITION))


def test_frames_of_other_sizes_follow_each_other():
    for shape in [(40, 30), (3, 5), (41, 30), (64, 64), (2, 2)]:
        image = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
        assert float(measure(image, brightness, DEFINITION)) == pytest.approx(image.mean(), rel=1e-13)


@pytest.mark.parametrize("mask", [np.full((12, 9), np.nan), np.full((12, 9), "yes"), np.full((12, 9), None)], ids=str)
def test_mask_that_says_nothing_is_refused(stack, mask):
    with pytest.raises(InputError, match="give booleans or numbers"):
        measure(stack, brightness, DEFINITION, mask=mask)


def test_scores_are_numbers_and_arrays_to_others(stack):
    scores = measure(stack, brightness, DEFINITION)
    assert np.asarray(scores, np.float32).dtype == np.float32
    with pytest.raises(TypeError):
        float(scores)
