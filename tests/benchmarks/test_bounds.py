"""Bounds of percentiles against SciPy, against the floors that MLPerf's rules give, and by how often they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from photopeak.benchmarks.bounds import binomial_cdf, percentile_bound, queries_needed, slower_allowed


@given(st.integers(1, 400), st.floats(0, 1), st.sampled_from([0.01, 0.1, 0.5]))
def test_binomial_cdf_is_scipys(n, share, probability):
    k = int(share * n)
    assert binomial_cdf(k, n, probability) == pytest.approx(stats.binom.cdf(k, n, probability), rel=1e-9)


def test_no_success_in_no_trial_is_certain():
    assert binomial_cdf(0, 0, 0.5) == 1.0
    assert binomial_cdf(-1, 3, 0.5) == 0.0


@pytest.mark.parametrize(
    ("percentile", "slower", "queries"),
    [(0.9, 0, 44), (0.9, 1, 64), (0.99, 0, 459), (0.99, 1, 662)],
)
def test_least_numbers_of_queries_are_those_of_mlperf(percentile, slower, queries):
    assert queries_needed(slower, percentile) == queries
    assert slower_allowed(queries, percentile) == slower
    assert slower_allowed(queries - 1, percentile) == slower - 1


def test_too_few_times_state_nothing():
    assert percentile_bound([1.0] * 43) is None


@given(st.lists(st.floats(1e-3, 1e3), min_size=64, max_size=300))
def test_bound_is_above_the_estimate_and_so_many_times_are_above_it(times):
    bound = percentile_bound(times)
    assert bound is not None
    assert bound.bound >= bound.estimate - 1e-9
    assert sum(time > bound.bound for time in times) <= bound.slower


def test_bound_holds_as_often_as_it_says():
    generator = np.random.default_rng(5)
    true = float(np.quantile(generator.lognormal(0, 0.5, 2_000_000), 0.9))
    held = sum(percentile_bound(generator.lognormal(0, 0.5, 150)).bound >= true for _ in range(1500))
    assert 0.982 * 1500 <= held
    # And not by being far too high: the bound for a confidence of one half is below in half of the runs.
    half = sum(percentile_bound(generator.lognormal(0, 0.5, 150), confidence=0.5).bound >= true for _ in range(1500))
    assert 0.45 * 1500 <= half <= 0.68 * 1500
