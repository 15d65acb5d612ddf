"""Contestants in processes of their own: what they answer, what they compute, how they fail, and whole suites of them."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from photopeak.benchmarks.document import new_document
from photopeak.benchmarks.models import start, suites
from photopeak.benchmarks.models.cases import Case, cases_of, tensor_of
from photopeak.benchmarks.models.command import Wanted, measure_models
from photopeak.benchmarks.models.contestants import PEERS, Contestant, contestants, from_text
from photopeak.benchmarks.models.pool import ContestantError, process
from photopeak.benchmarks.models.start import STAGES, run_start
from photopeak.benchmarks.models.suites import Job, run_plans
from photopeak.benchmarks.models.turns import Pace
from photopeak.benchmarks.models.worker import Worker
from photopeak.engine.errors import PhotopeakError, UsageError
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.session import load_for_images
from photopeak.engine.zoo import load_bundle, locate

SMALL = MatrixSize(32, 32)
SRCNN = Case("pet-sr-x2-srcnn", SMALL)


def job(cases, people, **options):
    return Job(tuple(cases), tuple(people), 1, Pace(0.05, fewest=3), **options)


@pytest.fixture
def pixels(tmp_path):
    np.save(tmp_path / "tensor.npy", tensor_of(SRCNN))
    return str(tmp_path / "tensor.npy")


@pytest.mark.parametrize("contestant", [*contestants([0.05], []), *PEERS[:5]], ids=lambda one: one.name)
def test_everybody_computes_what_the_golden_frames_say(contestant, tmp_path):
    if reason := contestant.check():
        pytest.skip(reason)
    bundle = load_bundle("pet-sr-x2-srcnn")
    np.save(tmp_path / "golden.npy", bundle.golden.input[:1])
    with process(contestant, bundle.name, locate(bundle.name) / "model.onnx", 1, os.environ) as one:
        try:
            answer = one.ask(do="ready", tensor=str(tmp_path / "golden.npy"))
        except ContestantError as error:
            if "no native bf16" not in str(error):
                raise
            pytest.skip(str(error))
        output = one.output(answer["calls"][0], tmp_path)["image"]
        times = one.ask(do="turn", call=answer["calls"][0], calls=3)
    golden = bundle.golden.output[:1]
    assert np.abs(output - golden).max() <= (2e-5 if contestant.precision == "fp32" else 0.05) * golden.max()
    assert len(times["times_ns"]) == 3
    assert times["made"] == 4
    assert ("plan" in answer["facts"]) == contestant.ours


@pytest.mark.parametrize("contestant", PEERS[:5:2], ids=lambda one: one.name)
def test_stacks_give_in_every_way_what_single_frames_give(contestant, tmp_path):
    if reason := contestant.check():
        pytest.skip(reason)
    case = Case("pet-sr-x2-srcnn", SMALL, frames=19)
    tensor = tensor_of(case)
    np.save(tmp_path / "stack.npy", tensor)
    loaded = contestant.load(case.model, locate(case.model) / "model.onnx", 1)
    calls = loaded.calls(tensor)
    single = np.concatenate([loaded.sample(frame[np.newaxis])()["image"] for frame in tensor])
    assert len(calls) == (3 if contestant.kind == "openvino" else 2)
    for name, call in calls.items():
        np.testing.assert_allclose(call()["image"], single, rtol=0, atol=2e-2 * single.max(), err_msg=name)


def test_errors_come_back_as_sentences_and_the_process_lives_on(pixels):
    with process(PEERS[0], SRCNN.model, locate(SRCNN.model) / "model.onnx", 1, os.environ) as one:
        with pytest.raises(ContestantError, match=r"ONNX Runtime fp32: FileNotFoundError: .*no-such"):
            one.ask(do="ready", tensor="no-such.npy")
        assert one.ask(do="ready", tensor=pixels)["calls"] == ["model"]


def test_process_that_ends_is_told_with_its_last_words(tmp_path):
    missing = Contestant("Missing", ("no_such_module",), "onnxruntime", "fp32")
    assert missing.check() == "no_such_module is not installed"
    with (
        process(missing, SRCNN.model, tmp_path, 1, os.environ) as one,
        pytest.raises(ContestantError, match=r"Missing ended \(exit code 1: ModuleNotFoundError: .*no_such_module"),
    ):
        one.ask(do="started")


class Loaded:
    """A library whose calls are counted and take a known time of a clock."""

    def __init__(self, ticks):
        self.ticks, self.now, self.made = ticks, 0, 0

    def clock(self):
        return self.now

    def run(self):
        self.made += 1
        self.now += self.ticks
        return {"image": np.zeros(1, np.float32)}

    def calls(self, tensor):
        return {"model": self.run, "session": self.run}

    def sample(self, tensor):
        return partial(self.run)

    def facts(self, tensor):
        return {"frames": len(tensor)}


@pytest.mark.parametrize(("ticks", "made"), [(1_000_000, 6), (200_000_000, 5)])
def test_short_calls_are_settled_and_long_ones_are_not(pixels, ticks, made):
    loaded = Loaded(ticks)
    worker = Worker(loaded, {}, loaded.clock)
    answer = worker.answer({"do": "ready", "tensor": pixels})
    assert (answer["calls"], answer["facts"]) == (["model", "session"], {"frames": 1})
    loaded.made = 0
    answer = worker.answer({"do": "turn", "call": "model", "calls": 5})
    assert answer["times_ns"] == [ticks] * 5
    assert answer["made"] == loaded.made == made


def test_pools_are_queried(tmp_path):
    np.save(tmp_path / "pool.npy", np.zeros((5, 1, 8, 8), np.float32))
    loaded = Loaded(1000)
    worker = Worker(loaded, {}, loaded.clock)
    assert worker.answer({"do": "pool", "tensor": str(tmp_path / "pool.npy")})["calls"] == ["query"]
    assert loaded.made == 5
    assert len(worker.answer({"do": "turn", "call": "query", "calls": 7})["times_ns"]) == 7


def test_contestants_survive_their_text():
    for one in contestants([0.05, 0.1], ["onnxruntime", "torch-compile"]):
        assert from_text(one.text()) == one
        json.loads(one.text())


def test_suites_measure_save_resume_and_say_who_is_left_out():
    people = [*contestants([0.05], ["onnxruntime", "openvino"]), Contestant("Missing", ("no_such_module",), "torch")]
    document, lines, saved = new_document(), [], []
    wanted = job([SRCNN], people, launches=2)
    skipped = run_plans(wanted, document, lines.append, lambda: saved.append(len(document["benchmarks"])))
    assert [one.contestant for one in skipped if one.contestant == "Missing"] == ["Missing"]
    found = {(e["extra_info"]["contestant_name"], e["extra_info"]["call"]) for e in document["benchmarks"]}
    assert {("Photopeak 0.05 dB", "model"), ("Photopeak 0.05 dB", "session"), ("ONNX Runtime fp32", "model")} <= found
    for one in document["benchmarks"]:
        extra = one["extra_info"]
        assert sum(extra["turns"]) == len(one["stats"]["data"])
        assert sum(extra["launches"]) == len(extra["turns"])
        assert len(extra["launches"]) == 2
        assert extra["deviation"] <= 0.25
        assert extra["loss_db"] >= 0
        assert 0 <= extra["others_share"] <= 1
    assert saved == [len(document["benchmarks"])]
    run_plans(wanted, document, lines.append, lambda: saved.append(-1))
    assert len(saved) == 1
    assert len(lines) == 1
    # Other people or conditions: the case is measured again and is there once.
    run_plans(job([SRCNN], people[:2]), document, lines.append, lambda: None)
    assert len(lines) == 1
    document["benchmarks"] = document["benchmarks"][:2]
    run_plans(job([SRCNN], people[:2]), document, lines.append, lambda: None)
    names = [one["fullname"] for one in document["benchmarks"]]
    assert len(lines) == 2
    assert len(names) == len(set(names)) == 3


def test_time_that_is_up_leaves_the_rest_for_the_next_run(monkeypatch):
    ticks = iter([0.0, 100.0])
    monkeypatch.setattr(suites, "monotonic", lambda: next(ticks))
    document, lines = new_document(), []
    run_plans(job([SRCNN], PEERS[:1], budget_s=10.0), document, lines.append, lambda: None)
    assert document["benchmarks"] == []
    assert "--resume" in lines[0]


def test_who_computes_something_else_is_not_measured(monkeypatch):
    monkeypatch.setitem(suites.DEVIATIONS, "", -1.0)
    with pytest.raises(PhotopeakError, match=r"Photopeak 0\.05 dB differs from that of ONNX Runtime fp32"):
        run_plans(job([SRCNN], contestants([0.05], ["onnxruntime"])), new_document(), lambda line: None, lambda: None)


def test_models_of_findings_are_measured_on_their_grid():
    (case,) = cases_of(["cxr-view"], [SMALL, MatrixSize(1024, 256)])
    assert case == Case("cxr-view", MatrixSize(64, 64), findings=True)
    document = new_document()
    run_plans(job([case], contestants([0.05], ["onnxruntime"])), document, lambda line: None, lambda: None)
    assert [one["extra_info"]["call"] for one in document["benchmarks"]] == ["model", "model"]


@pytest.mark.parametrize("scenario", ["single-stream", "offline"])
def test_scenarios_give_their_figures(scenario):
    wanted = Wanted(
        suites=("plans",),
        models=(SRCNN.model,),
        matrices=(SMALL,),
        peers=("onnxruntime",),
        losses_db=(0.05,),
        scenario=scenario,
        frames=4,
        quick=True,
    )
    document = measure_models(wanted, None, resume=False, say=lambda line: None)
    assert {one["group"] for one in document["benchmarks"]} == {scenario}
    for one in document["benchmarks"]:
        if scenario == "offline":
            assert one["extra_info"]["samples_per_second"] > 0
        else:
            bound = one["extra_info"]["p90"]
            assert bound["queries"] == len(one["stats"]["data"]) >= 64
            assert bound["bound"] >= bound["estimate"]


def test_starts_are_taken_apart_with_a_cache_that_is_filled_and_one_that_is_empty(monkeypatch, plans_folder):
    (plans_folder / "plan.json").write_text("measured")
    caches = {}

    def noted(contestant, model, file, threads, environment):
        cache = Path(environment["PHOTOPEAK_CACHE_DIR"])
        kept = sorted(path.name for path in cache.rglob("*") if path.is_file())
        caches.setdefault(contestant.name.partition(", ")[2], []).append((cache, kept))
        return process(contestant, model, file, threads, environment)

    monkeypatch.setattr(start, "process", noted)
    document = new_document()
    run_start(job([SRCNN], contestants([0.05], ["onnxruntime"]), launches=1), document, lambda line: None, lambda: None)
    assert [one["extra_info"]["contestant_name"] for one in document["benchmarks"]] == [
        "Photopeak 0.05 dB, cache filled",
        "Photopeak 0.05 dB, cache empty",
        "ONNX Runtime fp32",
    ]
    assert len({cache for cache, _ in caches["cache filled"]}) == 1
    assert len({cache for cache, _ in caches["cache empty"]}) == 2
    assert [kept for _, kept in caches["cache empty"]] == [["plan.json"]] * 2
    (_, first), (_, later) = caches["cache filled"]
    assert first == ["plan.json"]
    bundle = load_bundle(SRCNN.model)
    if load_for_images(bundle, device="cpu", threads=1).plan.provider == "openvino":
        assert any(name.endswith(".model") for name in later)
    run_start(job([SRCNN], contestants([0.05], ["onnxruntime"])), document, pytest.fail, pytest.fail)
    for one in document["benchmarks"]:
        stages = one["extra_info"]["stages_s"]
        assert tuple(stages) == STAGES
        assert min(stages.values()) > 0
        assert one["stats"]["median"] == pytest.approx(sum(stages.values()))
        assert one["extra_info"]["peak_bytes"] >= one["extra_info"]["imported_bytes"]


@pytest.mark.parametrize(
    "options", [{"scenario": "nonsense"}, {"losses_db": ()}, {"losses_db": (-1.0,)}, {"frames": -1}, {"budget_s": -1}]
)
def test_nonsense_is_a_usage_error(options):
    with pytest.raises(UsageError):
        Wanted(suites=("plans",), **options)


def test_unknown_peer_is_a_usage_error():
    with pytest.raises(UsageError, match="no peer 'caffe'"):
        contestants([0.05], ["caffe"])
