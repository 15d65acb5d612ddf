import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.engine.analysis.decode import Peak, detections, peaks, probability
from photopeak.engine.analysis.prepare import pitch_placement
from photopeak.engine.matrix import MatrixSize


def heads(places, rows=32, columns=40, size=(2.0, 3.0)):
    """Return a heat map with a peak at each (row, column, logit) [cells], and boxes of one size [cells]."""
    heat = np.full((1, rows, columns), -12, np.float32)
    box = np.zeros((4, rows, columns), np.float32)
    box[2:] = np.log(np.array(size, np.float32))[:, None, None]
    for row, column, logit in places:
        i, j = int(row), int(column)
        heat[0, i, j] = logit
        box[:2, i, j] = row - i - 0.5, column - j - 0.5
    return heat, box


@given(row=st.floats(4, 28), column=st.floats(4, 36), logit=st.floats(0.1, 30))
def test_a_peak_is_found_where_it_is_between_cells(row, column, logit):
    (found,) = peaks(*heads([(row, column, logit)]))
    assert (found.row, found.column) == pytest.approx((4 * row, 4 * column), abs=1e-4)
    assert (found.height, found.width) == pytest.approx((8, 12), rel=1e-5)
    assert found.score == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-5)


def test_scores_are_calibrated_by_the_temperature():
    (cool,) = peaks(*heads([(9.5, 9.5, 2.0)]), temperature=1.0)
    (warm,) = peaks(*heads([(9.5, 9.5, 2.0)]), temperature=2.0)
    assert cool.score == pytest.approx(1 / (1 + np.exp(-2)), rel=1e-6)
    assert warm.score == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-6)


def test_probabilities_do_not_overflow():
    np.testing.assert_array_equal(probability(np.array([-1e4, 0, 1e4], np.float32), 0.01), [0, 0.5, 1])


def test_the_most_probable_of_neighbours_stays():
    found = peaks(*heads([(9.5, 9.5, 1.0), (9.5, 12.5, 3.0), (25.5, 30.5, 2.0)], size=(8.0, 8.0)))
    assert [(peak.row, peak.column) for peak in found] == [(38, 50), (102, 122)]
    assert [peak.score for peak in found] == sorted((peak.score for peak in found), reverse=True)


def test_small_lesions_that_lie_apart_are_both_found():
    assert len(peaks(*heads([(9.5, 9.5, 1.0), (9.5, 12.5, 3.0)], size=(2.0, 2.0)))) == 2


def test_a_plateau_is_one_lesion():
    heat, box = heads([])
    heat[0, 10:12, 10:12] = 4.0
    assert len(peaks(heat, box)) == 1


def test_a_lower_threshold_finds_no_less():
    rng = np.random.default_rng(0)
    heat, box = rng.normal(-1, 2, (1, 32, 32)).astype(np.float32), np.zeros((4, 32, 32), np.float32)
    counts = [len(peaks(heat, box, threshold=threshold)) for threshold in (0.9, 0.5, 0.1)]
    assert counts == sorted(counts)
    assert counts[-1] <= 100


def test_nothing_is_found_in_nothing():
    assert peaks(*heads([])) == ()


def test_absurd_sizes_stay_finite():
    heat, box = heads([(9.5, 9.5, 5.0)])
    box[2:] = 1e6
    (found,) = detections(peaks(heat, box), pitch_placement(MatrixSize(160, 160), (1.0, 1.0), 1.0), "x", (1.0, 1.0))
    assert found.box == (0, 0, 160, 160)
    assert np.isfinite(found.diameter_mm)


def test_lesions_have_places_in_pixels_and_millimetres():
    """Pixels of 4.8 x 4 mm on a grid of 2.4 mm: 64 x 60 px are 128 x 100 px of the grid."""
    placement = pitch_placement(MatrixSize(64, 60), (4.8, 4.0), 2.4)
    assert placement.grid == (128, 100)
    (lesion,) = detections([Peak(0.9, 40, 50, 10, 20)], placement, "adenoma", (4.8, 4.0))
    assert lesion.label == "adenoma"
    assert lesion.box == pytest.approx((17.5, 24, 22.5, 36))
    assert lesion.centre == pytest.approx((20, 30))
    assert lesion.box_mm == pytest.approx((84, 96, 108, 144))
    assert lesion.centre_mm == pytest.approx((96, 120))
    assert lesion.diameter_mm == pytest.approx(np.sqrt(24 * 48))


def test_boxes_end_at_the_image_and_lesions_beyond_it_are_dropped():
    placement = pitch_placement(MatrixSize(50, 50), (2.0, 2.0), 2.0, multiple=64)
    inside, beyond = Peak(0.9, 9, 32, 10, 10), Peak(0.8, 3, 32, 10, 10)
    (lesion,) = detections([inside, beyond], placement, "adenoma", None)
    assert lesion.box == (0, 20, 7, 30)
    assert (lesion.box_mm, lesion.centre_mm, lesion.diameter_mm) == (None, None, None)
    (measured,) = detections([inside], placement, "adenoma", (2.0, 3.0))
    assert measured.centre_mm == pytest.approx((2.0 * lesion.centre[0], 3.0 * lesion.centre[1]))  # of what is there
