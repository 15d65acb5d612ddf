"""Runs against earlier ones: statistics with known answers, false alarms at the nominal rate, and what must be found."""

import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from photopeak.benchmarks.document import entry, write_document
from photopeak.benchmarks.regression import change_table, compare_documents, holm, t_survival
from photopeak.engine.errors import UsageError

PEERS = ("p0", "p1", "p2", "p3")


def run_of(generator, *, slower=1.0, drift=1.0, between=0.02, noise=0.05, cases=6, rounds=24, peers=PEERS):
    """A run of two plans beside peers; what is between runs is drawn anew for every process."""
    entries = []
    for case in range(cases):
        machine = drift * generator.lognormal(0, 0.1, rounds)
        for name in ("plan", "other plan", *peers):
            factor = slower if name == "plan" and case == 0 else 1.0
            own = np.exp(generator.normal(0, between) + generator.normal(0, noise, rounds))
            extra = {"case": f"{case}", "matrix": "64x64", "contestant": name, "peer": name in peers}
            extra |= {"threads": 2, "versions": {"photopeak": "1", "onnxruntime": "1"}}
            entries.append(
                entry("plans", {"case": f"{case}", "contestant": name}, 1e-3 * own * machine * factor, extra)
            )
    return {"machine_info": {"cpu": {"brand_raw": "A CPU", "count": 2}}, "benchmarks": entries, "datetime": "2026"}


@given(st.floats(-30, 30), st.integers(1, 60))
def test_t_distribution_is_scipys(t, degrees):
    assert t_survival(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-4, abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_corrected_p_values_keep_their_order_and_are_no_smaller(p):
    found = holm(p)
    assert all(after >= before - 1e-15 for before, after in zip(p, found, strict=True))
    assert [found[i] for i in np.argsort(p, kind="stable")] == sorted(found)
    assert found[int(np.argmin(p))] == pytest.approx(min(1.0, len(p) * min(p)))


@pytest.mark.parametrize("between", [0.0, 0.03])
def test_false_alarms_are_as_rare_as_their_level_says(between):
    generator = np.random.default_rng(3)
    runs, alarms = 30, 0
    for _ in range(runs):
        earlier, later = (run_of(generator, between=between, cases=3, drift=drift) for drift in (1.0, 1.4))
        verdict = compare_documents(earlier, later)
        alarms += any(change.slower for change in verdict.changes)
    # At 5 %, more than 5 of 30 are seen in one of 300 such tests.
    assert alarms <= 5


def test_noise_between_runs_is_measured_from_peers():
    generator = np.random.default_rng(4)
    verdict = compare_documents(run_of(generator, between=0.05, cases=25), run_of(generator, between=0.05, cases=25))
    # Of a peer against the mean of three others, in two runs.
    assert verdict.between_runs == pytest.approx(0.05 * np.sqrt(2 * (1 + 1 / 3)), rel=0.25)
    assert verdict.nulls == 25 * len(PEERS)


def test_slowdown_is_found_and_nothing_else():
    generator = np.random.default_rng(5)
    verdict = compare_documents(run_of(generator), run_of(generator, slower=1.3, drift=0.7))
    assert [change.slower for change in verdict.changes] == [True] + [False] * 11
    change = verdict.changes[0]
    assert change.low < 1.3 < change.high
    assert verdict.drift == pytest.approx(0.7, rel=0.1)
    assert change_table(verdict).rows[0][-1] == "slower"


def test_speed_up_is_no_regression():
    generator = np.random.default_rng(6)
    verdict = compare_documents(run_of(generator, slower=1.4), run_of(generator))
    assert verdict.changes[0].faster
    assert not any(change.slower for change in verdict.changes)


def test_run_against_itself_has_changed_nothing():
    run = run_of(np.random.default_rng(7))
    verdict = compare_documents(run, deepcopy(run))
    assert {change.ratio for change in verdict.changes} == {1.0}
    assert not any(change.slower or change.faster for change in verdict.changes)


def test_turns_of_several_calls_count_as_one():
    generator = np.random.default_rng(8)
    runs = [run_of(generator, rounds=40) for _ in range(2)]
    for run in runs:
        for one in run["benchmarks"]:
            one["extra_info"]["turns"] = [4] * 10
    assert len(compare_documents(*runs).changes) == 12


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda run: run["machine_info"]["cpu"].update(brand_raw="Another"), "processor differs"),
        (lambda run: run["benchmarks"][0]["extra_info"].update(threads=1), "number of threads differs"),
        (lambda run: run.update(benchmarks=run["benchmarks"][:1]), "no figure that a peer took turns with"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(change, what):
    run = run_of(np.random.default_rng(9), cases=1)
    other = deepcopy(run)
    change(other)
    with pytest.raises(UsageError, match=what):
        compare_documents(run, other)


def test_other_versions_and_few_peers_are_told():
    generator = np.random.default_rng(10)
    earlier, later = (run_of(generator, cases=1, peers=("p0",)) for _ in range(2))
    later["benchmarks"][0]["extra_info"]["versions"] = {"photopeak": "1", "onnxruntime": "2"}
    earlier["benchmarks"][2]["extra_info"]["others_share"] = 0.3
    notes = compare_documents(earlier, later).notes
    assert "onnxruntime 1 -> 2" in notes[0]
    assert "took up to 30 % of the processors in the earlier run" in notes[1]
    assert "Too few peers" in notes[2]


@pytest.mark.parametrize(("slower", "code"), [(1.0, 0), (1.5, 1)])
def test_module_compares_two_files_and_its_exit_code_tells(tmp_path, slower, code):
    generator = np.random.default_rng(13)
    for name, factor in (("earlier", 1.0), ("later", slower)):
        write_document(run_of(generator, slower=factor), tmp_path / f"{name}.json")
    command = [sys.executable, "-m", "photopeak.benchmarks.regression"]
    done = subprocess.run(
        [*command, tmp_path / "earlier.json", tmp_path / "later.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "| figure |" in done.stdout
