import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.engine.errors import DeviceError
from photopeak.engine.racing import Runner, race


class Clock:
    """A clock that only calls move on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def runner(self, *seconds, group="", loss=0.0):
        """Return a runner whose calls take these times in turn."""
        calls = iter(range(1_000_000))

        def call():
            took = seconds[next(calls) % len(seconds)]
            self.now += took
            return 500 * took

        return Runner(call, group, loss)


durations = st.lists(st.floats(1e-4, 2.0), min_size=1, max_size=8)


@given(durations, st.floats(0.01, 100))
def test_every_runner_is_timed_and_none_starts_after_the_end(seconds, budget):
    clock = Clock()
    runners = [clock.runner(one) for one in seconds]
    race(runners, budget_s=budget, clock=clock)
    assert all(runner.whole_ms for runner in runners)
    # The first turns are due whatever they take; a short turn is four calls.
    assert clock.now <= max(budget, sum(seconds)) + 4 * max(seconds) + 1e-9


@given(durations)
def test_fastest_of_a_class_is_timed_longest(seconds):
    clock = Clock()
    runners = [clock.runner(one) for one in seconds]
    race(runners, budget_s=1e9, clock=clock)
    fastest = min(runners, key=lambda one: one.best_ms)
    assert len(fastest.whole_ms) >= 24
    for runner, one in zip(runners, seconds, strict=True):
        assert runner.median_ms == pytest.approx(1e3 * one)
        assert runner.inner_median_ms == pytest.approx(500 * one)
        if one > 1.61 * min(seconds):
            assert len(runner.whole_ms) <= 8


def test_classes_do_not_end_each_other_early():
    clock = Clock()
    exact, lossy = clock.runner(0.05, group="exact"), clock.runner(0.02, group="lossy", loss=0.01)
    race([exact, lossy], budget_s=1e9, clock=clock)
    assert len(exact.whole_ms) >= 24
    better = clock.runner(0.02, group="exact, two threads")
    worse = clock.runner(0.05, group="exact, one thread")
    race([better, worse], budget_s=1e9, clock=clock)
    assert 7 <= len(worse.whole_ms) < len(better.whole_ms)


def test_noise_that_lengthens_some_calls_does_not_decide():
    clock = Clock()
    noisy, steady = clock.runner(0.05, 0.5, 0.05), clock.runner(0.06)
    race([noisy, steady], budget_s=1e9, clock=clock)
    assert len(noisy.whole_ms) > len(steady.whole_ms)
    assert noisy.median_ms == pytest.approx(50)


@given(st.lists(st.floats(0.1, 1e3), min_size=1, max_size=300))
def test_p99_is_the_least_time_that_99_percent_keep_to(times):
    p99 = Runner(lambda: 0.0, whole_ms=list(times)).p99_ms
    within = [sum(time <= limit for time in times) >= 0.99 * len(times) for limit in sorted(times)]
    assert p99 == sorted(times)[within.index(True)]


def test_progress_never_runs_backwards():
    clock, shares = Clock(), []
    race([clock.runner(0.3), clock.runner(0.31)], budget_s=5, clock=clock, progress=shares.append)
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1


def test_runner_that_fails_leaves_the_race_to_the_others():
    clock = Clock()
    steady, calls = clock.runner(0.05), iter(range(9))

    def fails():
        if next(calls) == 2:
            raise DeviceError("the device is lost.")
        clock.now += 0.05
        return 25.0

    failing = Runner(fails)
    race([failing, steady], budget_s=1e9, clock=clock)
    assert str(failing.error) == "the device is lost."
    assert len(steady.whole_ms) >= 24


def test_error_of_a_call_is_not_hidden():
    def broken():
        raise ValueError("gone")

    with pytest.raises(ValueError, match="gone"):
        race([Runner(broken)], budget_s=1)
