import numpy as np
import pytest

pytest.importorskip("scipy", reason="measuring needs scipy: pip install 'photopeak[train]'")
metrics = pytest.importorskip("sklearn.metrics")

from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from photopeak.exporters.evaluation.score_statistics import (
    auc,
    balanced_accuracy,
    bootstrap,
    confusion,
    expected_calibration_error,
    reliability,
    roc,
    wilson,
)

CASES = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({truth for _, truth in rows}) == 2
)


@settings(deadline=None, max_examples=60)
@given(CASES)
def test_the_area_is_that_of_scikit_learn_and_the_curve_s_trapezia(rows):
    scores, truth = map(np.array, zip(*rows, strict=True))
    area = auc(scores, truth)
    curve = roc(scores, truth)
    assert area.value == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert area.value == pytest.approx(np.trapezoid(curve.sensitivity, curve.false_positives))
    assert 0 <= area.low <= area.value <= area.high <= 1


@settings(deadline=None, max_examples=40)
@given(CASES)
def test_the_curve_is_that_of_scikit_learn(rows):
    scores, truth = map(np.array, zip(*rows, strict=True))
    false, found, thresholds = metrics.roc_curve(truth, scores, drop_intermediate=False)
    curve = roc(scores, truth)
    np.testing.assert_allclose(curve.sensitivity, found)
    np.testing.assert_allclose(curve.false_positives, false)
    np.testing.assert_array_equal(curve.thresholds, thresholds)


def test_delong_s_variance_is_that_of_all_pairs():
    rng = np.random.default_rng(0)
    cases, controls = np.round(rng.normal(1, 1, 37), 1), np.round(rng.normal(0, 1, 53), 1)
    kernel = (cases[:, None] > controls) + 0.5 * (cases[:, None] == controls)
    variance = kernel.mean(axis=1).var(ddof=1) / 37 + kernel.mean(axis=0).var(ddof=1) / 53
    found = auc(np.concatenate([cases, controls]), np.arange(90) < 37)
    assert found.value == pytest.approx(kernel.mean())
    assert (found.high - found.low) / 2 == pytest.approx(1.959963985 * variance**0.5)


def test_delong_s_interval_covers_the_area_of_two_normals():
    rng = np.random.default_rng(1)
    truth = np.arange(160) < 80
    area = 0.7602499  # Phi(1 / sqrt 2), of two normals one deviation apart
    found = [auc(rng.normal(0, 1, 160) + truth, truth) for _ in range(300)]
    assert 0.92 < np.mean([one.low <= area <= one.high for one in found]) <= 0.98


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_share_is_wilson_s_as_scipy_has_it(pair):
    successes, trials = pair
    expected = binomtest(successes, trials).proportion_ci(0.95, "wilson")
    found = wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_no_trials_tell_nothing():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)
    with pytest.raises(ValueError, match="no share"):
        wilson(3, 2)


def test_confusion_and_balanced_accuracy_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    truth, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    found = confusion(truth, predicted, 3)
    np.testing.assert_array_equal(found, metrics.confusion_matrix(truth, predicted))
    assert balanced_accuracy(found) == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert balanced_accuracy(confusion([0, 0, 2], [0, 1, 2], 3)) == pytest.approx(0.75)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80).filter(bool), st.sampled_from((5, 15))
)
def test_the_calibration_error_is_its_definition(rows, bins):
    given_, came = map(np.array, zip(*rows, strict=True))
    expected = 0.0
    for k in range(bins):
        low, high = np.linspace(0, 1, bins + 1)[k : k + 2]
        here = ((given_ > low) | ((k == 0) & (given_ == 0))) & (given_ <= high)
        if here.any():
            expected += here.sum() / len(rows) * abs(given_[here].mean() - came[here].mean())
    assert expected_calibration_error(given_, came, bins) == pytest.approx(expected, abs=1e-9)
    assert sum(row.number for row in reliability(given_, came, bins)) == len(rows)


def test_true_probabilities_are_calibrated_and_sharpened_ones_are_not():
    rng = np.random.default_rng(3)
    given_ = rng.random(20_000)
    came = rng.random(20_000) < given_
    assert expected_calibration_error(given_, came) < 0.02
    assert expected_calibration_error(given_**3, came) > 0.2


def test_drawing_patients_is_wider_than_drawing_images():
    rng = np.random.default_rng(4)
    values = np.repeat(rng.normal(0, 1, 40), 10)
    clustered = bootstrap(lambda rows: float(values[rows].mean()), [f"{k // 10}" for k in range(400)], replicates=500)
    single = bootstrap(lambda rows: float(values[rows].mean()), [f"{k}" for k in range(400)], replicates=500)
    assert clustered.high - clustered.low > 2 * (single.high - single.low)
    assert clustered.value == single.value == pytest.approx(values.mean())


@pytest.mark.parametrize("truth", [[True, True], [False, False], [True]])
def test_an_area_needs_both_kinds(truth):
    with pytest.raises(ValueError, match="both positive and negative"):
        auc([0.1, 0.2], truth)


@pytest.mark.parametrize("given_", [[1.2], [-0.1], [np.nan], []])
def test_what_is_no_probability_is_refused(given_):
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability(given_, [True] * len(given_))
