"""Turns and scenarios with contestants and clocks that do what they are told."""

import numpy as np
import pytest

from photopeak.benchmarks.models.energy import EnergyMeter
from photopeak.benchmarks.models.load import ProcessorTime, others_share, processor_time
from photopeak.benchmarks.models.memory import peak_bytes, resident_bytes
from photopeak.benchmarks.models.scenarios import StreamRules, samples_per_second, single_stream
from photopeak.benchmarks.models.turns import Pace, Turns, take_turns


class Clock:
    """Time that passes only when somebody works or rests."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Fake:
    """A contestant whose calls take a given time; short ones are settled by a call that is not timed."""

    def __init__(self, name, seconds, clock, log, rest_s=0.0):
        self.name, self.seconds, self.clock, self.log, self.rest_s = name, seconds, clock, log, rest_s

    def ask(self, do, call, calls):
        assert (do, call) == ("turn", "model")
        settled = self.seconds < 0.1
        self.log.append((self.name, calls))
        self.clock.sleep(self.seconds * (calls + settled))
        return {"times_ns": [int(self.seconds * 1e9)] * calls, "made": calls + settled}


@pytest.fixture
def clock():
    return Clock()


def test_everybody_has_as_many_rounds_and_the_first_rotates(clock):
    log = []
    people = {(name, "model"): Fake(name, 0.01, clock, log) for name in "abc"}
    found = take_turns(people, Pace(measure_s=0.4, fewest=2), wait=clock.sleep)
    rounds = log[3:]
    assert "".join(name for name, _ in rounds[:9]) == "abcbcacab"
    assert {len(turns.times_s) for turns in found.values()} == {len(rounds) // 3}
    assert {calls for _, calls in rounds} == {2}
    assert all(turns.data_s == pytest.approx([0.01] * len(turns.data_s)) for turns in found.values())


def test_time_for_a_case_is_kept_rests_included(clock):
    people = {
        ("quick", "model"): Fake("quick", 0.001, clock, [], 0.04),
        ("slow", "model"): Fake("slow", 0.2, clock, []),
    }
    pace = Pace(measure_s=5)
    lengths = 4 * 0.001 + 3 * 0.2 + 0.04
    take_turns(people, pace, wait=clock.sleep)
    assert 0.8 * 5 <= clock.now - lengths <= 5


@pytest.mark.parametrize("seconds", [1e-9, 1e-4, 0.01, 10.0])
def test_turns_have_calls_and_rounds_within_bounds(seconds):
    pace = Pace(measure_s=1, fewest=3, most=40, most_calls=50)
    assert 1 <= pace.calls(seconds) <= 50
    assert 3 <= pace.rounds([seconds]) <= 40


def test_single_stream_stops_at_the_least_number_of_queries(clock):
    log = []
    people = {("a", "model"): Fake("a", 0.01, clock, log), ("b", "model"): Fake("b", 0.02, clock, log)}
    rules = StreamRules(least_s=0.1, most_s=100)
    found = single_stream(people, rules, turn_s=0.01, wait=clock.sleep, clock=clock)
    # One query a turn: exactly the 64 that a statement on the 90th percentile needs.
    assert {len(turns.data_s) for turns in found.values()} == {64}


def test_single_stream_fills_the_least_time_and_gives_up_after_the_longest(clock):
    people = {("a", "model"): Fake("a", 0.001, clock, []), ("b", "model"): Fake("b", 1.0, clock, [])}
    found = single_stream(people, StreamRules(least_s=2, most_s=10), wait=clock.sleep, clock=clock)
    quick, slow = (len(turns.data_s) for turns in found.values())
    assert 1800 <= quick <= 2100  # half of the first turn's calls are not timed
    assert slow == 10
    assert not any(rest for rest in [people["a", "model"].rest_s])


def test_percentile_of_single_stream_is_that_of_its_distribution(clock):
    rules = StreamRules(percentile=0.99)
    assert not rules.done(661, 5)
    assert rules.done(662, 5)


def test_throughput_counts_samples_over_all_timed_calls():
    assert samples_per_second(Turns(times_s=[[1.0, 2.0], [1.0]]), samples=200) == 150


@pytest.fixture
def powercap(tmp_path):
    """Two packages, one of them with a part, which is inside it."""
    for name, energy in (("intel-rapl:0", 900), ("intel-rapl:1", 100), ("intel-rapl:0:0", 5), ("intel-rapl", 7)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "energy_uj").write_text(f"{energy}\n")
        (folder / "max_energy_range_uj").write_text("1000\n")
    return tmp_path


def test_energy_is_the_sum_of_packages_and_counters_wrap(powercap):
    meter = EnergyMeter(powercap)
    before = meter.read()
    assert (meter.reason, before) == ("", (900, 100))
    (powercap / "intel-rapl:0" / "energy_uj").write_text("50")
    (powercap / "intel-rapl:1" / "energy_uj").write_text("350")
    assert meter.joules(before, meter.read()) == pytest.approx((150 + 250) / 1e6)


def test_energy_of_calls_is_that_of_turns_over_all_their_calls(powercap, clock):
    class Burning(Fake):
        def ask(self, **request):
            path = powercap / "intel-rapl:1" / "energy_uj"
            answer = super().ask(**request)
            path.write_text(str(int(path.read_text()) + 10 * answer["made"]))
            return answer

    people = {(name, "model"): Burning(name, 0.01, clock, []) for name in "ab"}
    found = take_turns(people, Pace(measure_s=0.2, fewest=2, most=2), EnergyMeter(powercap), clock.sleep)
    assert [turns.joules_per_call for turns in found.values()] == pytest.approx([1e-5] * 2)


def test_load_of_others_is_what_neither_we_nor_nobody_used():
    before = ProcessorTime(elapsed_s=10, idle_s=4, own_s=5)
    assert others_share(before, ProcessorTime(elapsed_s=14, idle_s=6, own_s=6)) == pytest.approx(0.25)
    assert others_share(before, ProcessorTime(elapsed_s=14, idle_s=7, own_s=7)) == 0.0
    assert others_share(before, before) == 0.0


def test_own_processor_time_is_counted():
    before = processor_time([])
    total = sum(range(3_000_000))
    after = processor_time([])
    assert total
    assert after.own_s > before.own_s
    assert after.elapsed_s >= before.elapsed_s


def test_missing_counters_are_told_and_give_no_energy(tmp_path):
    meter = EnergyMeter(tmp_path)
    assert "no RAPL counters" in meter.reason
    assert meter.joules(meter.read(), meter.read()) is None
    assert Turns(times_s=[[1.0]], calls=[1]).joules_per_call is None


def test_counters_that_may_not_be_read_are_told(powercap):
    for zone in ("intel-rapl:0", "intel-rapl:1"):
        (powercap / zone / "energy_uj").unlink()
        (powercap / zone / "energy_uj").mkdir()
    assert "administrator" in EnergyMeter(powercap).reason


def test_memory_is_read_in_bytes_and_grows(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n")
    assert (peak_bytes(status), resident_bytes(status)) == (2 << 20, 1 << 20)
    before = peak_bytes()
    if before:
        block = np.ones(50 << 20, np.uint8)
        assert peak_bytes() >= before
        assert resident_bytes() >= block.nbytes
