import pytest
from hypothesis import given
from hypothesis import strategies as st

from measured_plans import measured
from photopeak.engine import selection
from photopeak.engine.plan import Request
from photopeak.engine.selection import best, label, pareto, verdicts

candidates = st.lists(
    st.builds(
        measured,
        precision=st.sampled_from(["fp32", "bf16", "int8"]),
        provider=st.sampled_from(["onnxruntime", "openvino"]),
        threads=st.sampled_from([1, 2]),
        runs=st.sampled_from([0, 30]),
        median_ms=st.floats(0.1, 100),
        loss_db=st.sampled_from([0.0, 0.01, 0.04, 0.2]),
        problem=st.sampled_from(["", "", "", "there is no driver"]),
    ),
    max_size=12,
)
requests = st.builds(
    Request,
    precision=st.sampled_from(["auto", "fp32", "bf16"]),
    provider=st.sampled_from(["auto", "openvino"]),
    threads=st.sampled_from([0, 1, 2]),
    max_loss_db=st.sampled_from([0.0, 0.05, 1.0]),
)


@pytest.fixture(autouse=True)
def two_processors(monkeypatch):
    monkeypatch.setattr(selection, "available_processors", lambda: 2)


def may(one, request):
    """Say by the book whether a candidate may be taken."""
    return (
        one.runs > 0
        and not one.problem
        and request.precision in ("auto", one.precision)
        and request.provider in ("auto", one.provider)
        and request.threads in (0, one.threads)
        and one.loss_db <= request.max_loss_db
    )


@given(candidates, requests)
def test_best_is_what_was_asked_and_nothing_admitted_is_clearly_faster(found, request):
    chosen = best(found, request)
    admitted = [one for one in found if may(one, request)]
    assert (chosen is None) == (not admitted)
    if chosen:
        assert may(chosen, request)
        assert chosen.median_ms <= 1.01 * min(one.median_ms for one in admitted)


@given(candidates)
def test_pareto_set_is_what_nothing_beats_in_both(found):
    there = [one for one in found if one.runs]
    kept = pareto(found)
    for one in there:
        beaten = any(
            other.median_ms <= one.median_ms
            and other.loss_db <= one.loss_db
            and (other.median_ms, other.loss_db) != (one.median_ms, one.loss_db)
            for other in there
        )
        if any(one is other for other in kept):
            assert not beaten
        elif not beaten:
            assert (one.median_ms, one.loss_db) in [(other.median_ms, other.loss_db) for other in kept]


@given(candidates, requests)
def test_every_candidate_has_one_verdict_with_a_reason(found, request):
    told = verdicts(found, request)
    assert sorted(map(id, found)) == sorted(id(verdict.measured) for verdict in told)
    assert all(verdict.reason for verdict in told)
    assert sum(verdict.chosen for verdict in told) == (best(found, request) is not None)
    assert [verdict.admitted for verdict in told] == [may(verdict.measured, request) for verdict in told]


def test_reasons_name_what_stands_against_a_candidate():
    quick = measured(precision="bf16", median_ms=1.0, loss_db=0.04)
    found = [
        quick,
        measured(precision="int8", median_ms=0.5, loss_db=0.2),
        measured(median_ms=2.0),
        measured(median_ms=3.0, provider="openvino", runs=4),
        measured(runs=0, device="cuda", problem="there is no driver"),
        measured(threads=3),
    ]
    reasons = {id(verdict.measured): verdict.reason for verdict in verdicts(found, Request())}
    assert [reasons[id(one)] for one in found] == [
        "chosen: the fastest that is admitted, 2.00 times as fast as the fastest exact one",
        "loses 0.200 dB, 0.05 are admitted",
        "2.00 times the time of onnxruntime bf16 on cpu, 1 thread, and loses less",
        "1.50 times the time of onnxruntime fp32 on cpu, 1 thread; given up early",
        "there is no driver",
        "more threads than the 2 processors",
    ]
    asked = {id(verdict.measured): verdict.reason for verdict in verdicts(found, Request(precision="fp32", threads=2))}
    assert asked[id(quick)] == "not asked for: precision fp32"
    assert asked[id(found[2])] == "not asked for: 2 threads"


def test_a_plan_that_loses_nothing_is_not_compared_with_itself():
    found = [measured(precision="bf16", median_ms=1.0), measured(median_ms=2.0)]
    (told,) = [verdict.reason for verdict in verdicts(found, Request()) if verdict.chosen]
    assert told == "chosen: the fastest that is admitted"


def test_exact_one_is_taken_when_speed_is_the_same():
    exact, lossy = measured(median_ms=1.005), measured(precision="bf16", median_ms=1.0, loss_db=0.01)
    assert best([lossy, exact], Request()) is exact
    fewer = measured(median_ms=1.004, threads=1)
    assert best([measured(threads=2, median_ms=1.0), fewer], Request()) is fewer


@pytest.mark.parametrize(("asked", "taken"), [("cuda", True), ("cuda:0", True), ("cuda:1", False), ("cpu", False)])
def test_first_gpu_is_the_one_without_a_number(asked, taken):
    assert (best([measured(device="cuda")], Request(device=asked)) is not None) == taken


def test_probability_change_counts_as_a_loss():
    exact, lossy = measured(median_ms=2.0), measured(precision="bf16", median_ms=2.0, probability_change=0.004)
    assert pareto([lossy, exact]) == (exact,)


def test_label_names_what_differs_from_the_plain_way():
    assert label(measured(streams=2, threads=2, batch=4, tile=256)) == (
        "onnxruntime fp32 on cpu, 2 threads, 2 streams, batch 4, tiles of 256"
    )
    assert label(measured(device="cuda", layout="nhwc")) == "onnxruntime fp32 on cuda, nhwc"
    assert (
        label(measured(precision="int8", throughout=True)) == "onnxruntime int8 with bf16 throughout on cpu, 1 thread"
    )


def test_more_threads_than_processors_are_taken_where_they_are_asked_for():
    many = measured(threads=3)
    assert best([many], Request(threads=3)) == many
    assert best([many], Request()) is None
