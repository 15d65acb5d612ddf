from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import photopeak
from analysis_models import write_finder
from photopeak.engine import tuned
from photopeak.engine.errors import DeviceError, UsageError
from photopeak.engine.frames import Frames
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.plan import Plan, Request
from photopeak.engine.providers import PROVIDERS, Target, find
from photopeak.engine.racing import Runner
from photopeak.engine.selection import best
from photopeak.engine.tuned import Cell, cells, key_of, read
from photopeak.engine.tuner import _affordable, thread_counts, tune, variants

SMALL = MatrixSize(64, 64)
sizes = st.sampled_from([64, 128, 256, 512, 1024])


@pytest.fixture
def quick(bundle_factory):
    """Return a bundle, and a function that tunes it within no time."""
    bundle = bundle_factory("smooth")
    return bundle, lambda *matrices, **options: tune(bundle, matrices, **{"budget_s": 0.3} | options)


def test_bf16_throughout_is_a_candidate_and_can_be_a_plan(quick):
    bundle, tune_it = quick
    if reason := find("openvino").check(Target("cpu", "bf16", throughout=True)):
        pytest.skip(reason)
    (table,) = tune_it(SMALL, frames=(1,), threads=1)
    (through,) = (one for one in table.candidates if one.throughout and one.runs and one.precision == "bf16")
    assert through.loss_db >= next(
        one.loss_db for one in table.candidates if one.precision == "bf16" and one.runs and not one.throughout
    )
    tuned.store(table.model_copy(update={"candidates": (through,)}))
    plan = photopeak.load(bundle, threads=1, max_loss_db=9.0).plan_for(SMALL)
    assert (plan.tuned, plan.throughout, plan.precision) == (True, True, "bf16")
    assert "openvino bf16 throughout on cpu" in plan.arithmetic


def test_tuned_plan_is_the_fastest_and_a_session_takes_it(quick, counts):
    bundle, tune_it = quick
    single, stack = tune_it(SMALL, frames=(4, 1))
    assert (single.cell, stack.cell) == (Cell(SMALL, 1), Cell(SMALL, 4))
    assert cells(key_of(bundle.digest)) == (single.cell, stack.cell)
    assert read(key_of(bundle.digest), single.cell) == single
    session = photopeak.load(bundle)
    for table in (single, stack):
        chosen = best(table.candidates, Request())
        admitted = [one for one in table.candidates if one.runs and one.loss_db <= 0.05]
        assert chosen.median_ms <= 1.01 * min(one.median_ms for one in admitted)
        result = session.run(np.ones((table.frames, *SMALL), np.float32))
        assert result.plan.tuned
        assert (result.plan.provider, result.plan.precision) == (chosen.provider, chosen.precision)
        assert (result.plan.threads, result.plan.batch) == (chosen.threads, chosen.batch)
        assert (result.plan.median_ms, result.plan.p99_ms) == (chosen.median_ms, chosen.p99_ms)


def test_every_arithmetic_is_measured_or_has_a_reason(quick):
    _, tune_it = quick
    (table,) = tune_it(SMALL, frames=(1,))
    offers = {
        (provider.name, *offer) for provider in PROVIDERS if provider.name != "reference" for offer in provider.offers
    }
    assert {(one.provider, one.device, one.precision) for one in table.candidates} == offers
    for one in table.candidates:
        assert bool(one.runs) != bool(one.problem)
        if one.runs:
            assert 0 < one.model_ms <= one.median_ms <= one.p99_ms
            assert one.provider_version == find(one.provider).version()
        if one.precision == "fp32" and one.runs:
            assert one.loss_db == 0
            assert one.max_error < 2e-5
            assert one.ssim > 0.999


def test_table_tells_how_busy_others_were(quick, monkeypatch):
    _, tune_it = quick
    monkeypatch.setattr("photopeak.engine.bystanders.Bystanders.share", lambda self: 0.4)
    (table,) = tune_it(SMALL, frames=(1,), threads=1)
    assert table.others == 0.4


def test_threads_that_are_asked_for_are_the_only_ones(quick):
    _, tune_it = quick
    (table,) = tune_it(SMALL, frames=(1,), threads=1)
    assert {one.threads for one in table.candidates} == {1}


@pytest.mark.parametrize(("overlap", "admitted"), [(8, True), (0, False)])
def test_tiles_are_admitted_where_their_seams_are_not_seen(bundle_factory, overlap, admitted):
    """A mean over nine pixels needs one pixel of context; without it a tile darkens at its edges."""
    bundle = bundle_factory("smooth", input={"name": "counts", "units": "CNTS", "overlap": overlap})
    (table,) = tune(bundle, [MatrixSize(512, 256)], frames=(1,), threads=1, budget_s=20.0)
    tiled = [one for one in table.candidates if one.tile]
    assert {one.tile for one in tiled} == {256}
    assert all("seams differ" in one.problem for one in tiled) != admitted
    assert all(bool(one.runs) == admitted for one in tiled)
    assert all(one.max_error < 1e-6 for one in tiled if one.runs and one.precision == "fp32")


def test_finder_is_tuned_on_the_grid_that_images_of_a_camera_are_brought_to(tmp_path):
    bundle = write_finder(tmp_path / "bundle", "detection")
    tables = tune(bundle, [SMALL, MatrixSize(128, 128)], frames=(1,), threads=1, budget_s=0.3)
    assert len(tables) == 1
    assert best(tables[0].candidates, Request()) is not None
    session = photopeak.load(bundle, threads=1)
    for side, spacing in ((64, 9.6), (128, 4.8), (256, 2.4)):
        plan = session.run(*[Frames.from_array(np.ones((side, side)), pixel_spacing_mm=(spacing, spacing))] * 2).plan
        assert plan.tuned
        assert plan == session.plan_for(MatrixSize(side, side))
    assert not photopeak.load(bundle).plan_for(SMALL).tuned


def test_provider_that_fails_is_told_and_the_others_are_measured(quick, monkeypatch):
    _, tune_it = quick

    def broken(self, tensor):
        raise RuntimeError("\x1b[31mout of\nmemory\0")

    monkeypatch.setattr("photopeak.engine.providers.onnxruntime._Lane.run", broken)
    (table,) = tune_it(SMALL, frames=(1,), threads=1)
    failed = [one for one in table.candidates if one.provider == "onnxruntime" and one.device == "cpu"]
    assert all("out of memory" in one.problem for one in failed if one.precision == "fp32")
    assert best(table.candidates, Request()).provider == "openvino"


def test_candidate_that_fails_in_its_second_call_is_no_rival(quick, monkeypatch):
    _, tune_it = quick
    whole, failed = Runner.time, []

    def fails_once(self, *clock):
        if not failed:
            failed.append(self)
            raise DeviceError("device lost")
        whole(self, *clock)

    monkeypatch.setattr(Runner, "time", fails_once)
    (table,) = tune_it(SMALL, frames=(1,), threads=1)
    assert [one.problem for one in table.candidates if one.problem == "device lost"] == ["device lost"]
    assert best(table.candidates, Request()) is not None


def test_time_that_is_over_is_told(quick):
    _, tune_it = quick
    (table,) = tune_it(SMALL, frames=(16,), budget_s=1e-3)
    late = [one for one in table.candidates if "was used up" in one.problem]
    assert late
    assert all(one.runs == 0 for one in late)
    assert best(table.candidates, Request()) is not None


def test_stack_is_cut_where_a_call_would_take_the_whole_time(quick):
    _, tune_it = quick
    single, stack = tune_it(MatrixSize(256, 256), frames=(1, 1024), threads=1, budget_s=0.05)
    assert single.frames == 1
    assert stack.frames < 1024
    assert stack.frames & (stack.frames - 1) == 0


def test_tables_that_cannot_be_kept_are_returned_with_a_warning(quick, plans_folder, monkeypatch):
    _, tune_it = quick
    file = plans_folder / "file"
    file.write_text("")
    monkeypatch.setattr(tuned, "cache_folder", lambda: file)
    with pytest.warns(RuntimeWarning, match=r"cannot be kept in .*; set PHOTOPEAK_CACHE_DIR"):
        (table,) = tune_it(SMALL, frames=(1,), threads=1)
    assert best(table.candidates, Request()) is not None


def test_progress_tells_the_matrix_and_a_share(quick):
    _, tune_it = quick
    told = []
    tune_it(SMALL, frames=(1,), threads=1, progress=lambda what, share: told.append((what, share)))
    assert all("64x64, 1 frame: " in what for what, _ in told)
    assert all(0 <= share <= 1 for _, share in told)


@pytest.mark.parametrize(
    "options",
    [
        {"frames": ()},
        {"frames": (0,)},
        {"frames": (1 << 20,)},
        {"threads": -1},
        {"budget_s": 0},
        {"budget_s": float("nan")},
    ],
)
def test_numbers_without_sense_are_refused(quick, options):
    _, tune_it = quick
    with pytest.raises(UsageError, match="no sense"):
        tune_it(SMALL, **options)


def test_matrix_beyond_all_memory_is_refused_before_any_is_taken(quick):
    _, tune_it = quick
    with pytest.raises(UsageError, match=r"100000x100000 has too many pixels; give at most \d+"):
        tune_it(SMALL, MatrixSize(100_000, 100_000))
    assert cells(key_of(quick[0].digest)) == ()


@given(st.integers(1, 1 << 13), st.integers(1, 1024))
def test_stack_of_a_call_fits_the_memory(edge, frames):
    cell = MatrixSize(edge, edge)
    found = _affordable(frames, cell, 0.0, 1.0)
    assert 1 <= found <= frames
    assert found <= 2 or found * cell.pixels <= 1 << 26
    assert found == frames or 2 * found * cell.pixels >= 1 << 26


@given(st.integers(1, 300))
def test_thread_counts_reach_from_all_to_one(processors):
    counts = thread_counts(processors)
    assert (counts[0], counts[-1]) == (processors, 1)
    assert counts == sorted(set(counts), reverse=True)
    assert len(counts) <= 10


@given(sizes, sizes, st.integers(1, 64), st.integers(1, 64), st.sampled_from(["cpu", "cuda"]))
def test_variants_are_different_plans_that_make_sense(rows, columns, frames, processors, device):
    matrix = MatrixSize(rows, columns)
    guess = Plan("onnxruntime", "1", device, "fp32", processors, 0.0, "").for_matrix(matrix)
    base = replace(guess, batch=min(guess.batch, frames))
    found = variants(base, Cell(matrix, frames), thread_counts(processors))
    assert len(set(found)) == len(found)
    assert base not in found
    for plan in found:
        assert 1 <= plan.streams <= min(plan.threads, plan.batch)
        assert plan.batch == 1 or plan.batch <= frames
        assert plan.tile < max(matrix)
        assert not (plan.tile and plan.batch > 1)
        assert device == "cpu" or (plan.threads, plan.streams) == (processors, 1)
