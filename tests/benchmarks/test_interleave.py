"""Comparisons in turns: order, statistics with known answers, and the coverage of the interval."""

from functools import partial
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from photopeak.benchmarks import interleave
from photopeak.benchmarks.interleave import Comparison, compare

times = arrays(np.float64, st.integers(1, 40), elements=st.floats(1e-3, 1e3))


def test_contestants_take_turns_and_the_first_turn_rotates():
    calls = []
    compare({name: partial(calls.append, name) for name in "abc"}, rounds=4, warmup=0)
    assert "".join(calls) == "abcbcacababc"


def test_turns_can_start_with_a_call_that_is_not_timed(monkeypatch):
    calls = []
    ticks = count(step=2_000_000)
    monkeypatch.setattr(interleave, "perf_counter_ns", lambda: next(ticks))
    comparison = compare({name: partial(calls.append, name) for name in "ab"}, rounds=2, warmup=0, settle=True)
    assert "".join(calls) == "aabbbbaa"
    assert comparison.times_ms["a"].tolist() == [2.0, 2.0]


def test_slow_contestants_are_not_called_twice_in_a_turn(monkeypatch):
    calls = []
    ticks = count(step=2_000_000_000)
    monkeypatch.setattr(interleave, "perf_counter_ns", lambda: next(ticks))
    compare({name: partial(calls.append, name) for name in "ab"}, rounds=3, warmup=0, settle=True)
    assert "".join(calls) == "aabb" + "ba" + "ab"


def test_warmup_is_not_timed():
    calls = []
    comparison = compare({name: partial(calls.append, name) for name in "ab"}, rounds=2, warmup=3)
    assert "".join(calls) == "aaabbbabba"
    assert [len(samples) for samples in comparison.times_ms.values()] == [2, 2]


def test_times_are_those_of_the_clock(monkeypatch):
    clock = count(step=2_000_000)
    monkeypatch.setattr(interleave, "perf_counter_ns", lambda: next(clock))
    comparison = compare({"a": lambda: None, "b": lambda: None}, rounds=3)
    assert comparison.times_ms["a"].tolist() == [2.0, 2.0, 2.0]
    assert comparison.times_ms["b"].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(("contestants", "rounds"), [({}, 1), ({"a": int}, 1), ({"a": int, "b": int}, 0)])
def test_nothing_to_compare_is_refused(contestants, rounds):
    with pytest.raises(ValueError, match="give two or more"):
        compare(contestants, rounds=rounds)


def test_a_failing_contestant_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        compare({"fine": int, "broken": lambda: 1 / 0}, rounds=1)


@given(times, st.floats(0.1, 10))
def test_a_constant_factor_is_found_exactly(samples, factor):
    comparison = Comparison({"slow": factor * samples, "fast": samples})
    assert comparison.ratio("slow", "fast") == pytest.approx([factor] * 3)


@given(times, st.floats(0, 100))
def test_a_constant_difference_is_found_exactly(samples, extra):
    comparison = Comparison({"slow": samples + extra, "fast": samples})
    assert comparison.difference_ms("slow", "fast") == pytest.approx([extra] * 3, abs=1e-9)


@given(times)
def test_interval_brackets_a_ratio_to_itself_and_percentiles_are_ordered(samples):
    comparison = Comparison({"a": samples, "b": samples[::-1].copy()})
    value, low, high = comparison.ratio("a", "b")
    assert low <= value * (1 + 1e-12)
    assert value <= high * (1 + 1e-12)
    assert comparison.percentile("a", 50) <= comparison.percentile("a", 99) <= samples.max()


def test_interval_covers_the_true_ratio_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(150):
        machine = generator.lognormal(0, 0.2, 80)  # what slows both in the same round
        fast, slow = (machine * generator.lognormal(0, 0.05, 80) for _ in range(2))
        _, low, high = Comparison({"slow": 1.5 * slow, "fast": fast}).ratio("slow", "fast")
        covered += low <= 1.5 <= high
    assert 0.88 * 150 <= covered


def test_summary_is_ready_for_json():
    summary = Comparison({"a": np.array([2.0, 4.0]), "b": np.array([1.0, 2.0])}).summary("b")
    assert summary["baseline"] == "b"
    assert summary["contestants"]["a"]["median_ms"] == 3.0
    assert summary["contestants"]["a"]["ratio"] == [2.0, 2.0, 2.0]
    assert summary["contestants"]["b"]["difference_ms"] == [0.0, 0.0, 0.0]
