import math

import numpy as np
import pytest

pytest.importorskip("scipy", reason="measuring needs scipy: pip install 'photopeak[train]'")

from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.exporters.evaluation.detection_statistics import (
    MarkedImage,
    assign,
    froc,
    operating_point,
    sensitivity_at,
    threshold_for,
)


def random_images(seed, number=30):
    rng = np.random.default_rng(seed)
    images = []
    for index in range(number):
        lesions, marks = int(rng.integers(0, 4)), int(rng.integers(0, 8))
        hits = rng.integers(-1, lesions, marks) if lesions else np.full(marks, -1)
        scores = np.round(rng.random(marks) + 0.4 * (hits >= 0), 1)  # rounded, so that there are ties
        images.append(MarkedImage(f"patient {index // 2}", scores, hits, lesions))
    return images


@pytest.mark.parametrize("seed", range(5))
def test_the_froc_curve_is_its_definition_at_every_threshold(seed):
    images = random_images(seed)
    curve = froc(images)
    total = sum(image.lesions for image in images)
    scores = sorted({score for image in images for score in image.scores.tolist()}, reverse=True)
    assert set(curve.thresholds.tolist()) <= {math.inf, *scores}
    for threshold in [math.inf, *scores, -math.inf]:
        k = np.flatnonzero(curve.thresholds >= threshold)[-1]  # nothing changes between two points
        found = sum(
            any(s >= threshold and h == lesion for s, h in zip(image.scores, image.hits, strict=True))
            for image in images
            for lesion in range(image.lesions)
        )
        false = sum(int(((image.scores >= threshold) & (image.hits == -1)).sum()) for image in images)
        assert curve.sensitivity[k] == pytest.approx(found / total)
        assert curve.false_positives[k] == pytest.approx(false / len(images))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0, 4))
def test_the_chosen_threshold_keeps_to_its_rate_and_no_lower_one_does(seed, rate):
    images = random_images(seed)
    if not any(image.lesions for image in images):
        return
    false = lambda t: sum(int((image.false_positives >= t).sum()) for image in images) / len(images)
    threshold = threshold_for(images, rate)
    assert false(threshold) <= rate + 1e-9
    lower = [score for image in images for score in image.false_positives.tolist() if score < threshold]
    assert not lower or false(max(lower)) > rate


def test_sensitivity_at_a_rate_agrees_with_the_operating_point_there():
    images = random_images(3)
    for rate in (0.2, 1.0, 2.0):
        (found,) = sensitivity_at(images, [rate], replicates=200)
        point = operating_point(images, threshold_for(images, rate))
        assert found.value == pytest.approx(point.lesions.value)
        assert found.low <= found.value <= found.high
        assert point.false_positives.value <= rate


def test_the_bootstrap_of_the_froc_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(60):
        images = [
            MarkedImage(f"{k}", np.array([1.0]), np.array([0]) if rng.random() < 0.8 else np.array([-1]), 1)
            for k in range(60)
        ]
        (found,) = sensitivity_at(images, [1.0], replicates=200, seed=trial)
        covered += found.low <= 0.8 <= found.high
    assert 50 <= covered  # 57 expected


def test_patients_and_lesions_are_counted_apart():
    images = [
        MarkedImage("a", np.array([0.9, 0.8]), np.array([0, -1]), 2),
        MarkedImage("a", np.array([]), np.array([], int), 1),
        MarkedImage("b", np.array([0.3]), np.array([0]), 1),
        MarkedImage("c", np.array([0.7]), np.array([-1]), 0),
        MarkedImage("d", np.array([0.2]), np.array([-1]), 0),
    ]
    point = operating_point(images, 0.5)
    assert (point.lesions.value, point.patients.value, point.clear.value) == (1 / 4, 1 / 2, 1 / 2)
    assert point.false_positives.value == pytest.approx(2 / 5)


def test_a_second_mark_on_a_lesion_counts_neither_way():
    one = [MarkedImage("a", np.array([0.9, 0.4]), np.array([0, -1]), 1)]
    two = [MarkedImage("a", np.array([0.9, 0.7, 0.4]), np.array([0, 0, -1]), 1)]
    for rate in (0.0, 1.0):
        assert sensitivity_at(one, [rate], replicates=5)[0].value == sensitivity_at(two, [rate], replicates=5)[0].value


def test_nothing_marked_finds_nothing():
    curve = froc([MarkedImage("a", np.array([]), np.array([], int), 2)])
    assert (curve.thresholds.tolist(), curve.sensitivity.tolist()) == ([math.inf], [0.0])


def test_marks_go_to_the_nearest_lesion_within_its_reach():
    lesions, reach = [(0, 0), (10, 0)], [3.0, 8.0]
    marks = [(2, 0), (4, 0), (3, 3.1), (100, 0)]
    assert assign(marks, lesions, reach).tolist() == [0, 1, 1, -1]
    assert assign(marks, np.empty((0, 2)), 3.0).tolist() == [-1] * 4
    assert assign([], lesions, reach).tolist() == []


@pytest.mark.parametrize(
    ("scores", "hits", "lesions"), [([0.5], [1], 1), ([0.5, 0.1], [0], 1), ([math.nan], [-1], 0), ([0.5], [-2], 1)]
)
def test_marks_that_contradict_the_truth_are_refused(scores, hits, lesions):
    with pytest.raises(ValueError, match=r"\w"):
        MarkedImage("a", np.array(scores), np.array(hits), lesions)


def test_a_curve_without_a_lesion_is_refused():
    with pytest.raises(ValueError, match="at least one lesion"):
        froc([MarkedImage("a", np.array([0.5]), np.array([-1]), 0)])
