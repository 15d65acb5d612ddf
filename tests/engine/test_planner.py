import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import photopeak
from analysis_models import write_finder
from measured_plans import measured, table
from photopeak.engine import planner as planners
from photopeak.engine.errors import DeviceError
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.plan import Request
from photopeak.engine.planner import TunedPlanner, nearest, working_matrix
from photopeak.engine.providers import Target, find
from photopeak.engine.tuned import Cell, store

sizes = st.builds(MatrixSize, st.integers(1, 2048), st.integers(1, 2048))
cells = st.builds(Cell, sizes, st.integers(1, 256))
SMALL, LARGE = MatrixSize(40, 56), MatrixSize(64, 64)


@given(st.lists(cells, max_size=8), cells)
def test_same_matrix_comes_first_and_far_ones_are_not_taken(found, wanted):
    taken = nearest(found, wanted)
    same = [cell for cell in found if cell.matrix == wanted.matrix]
    if same:
        assert taken in same
        ratios = [max(cell.frames / wanted.frames, wanted.frames / cell.frames) for cell in same]
        assert max(taken.frames / wanted.frames, wanted.frames / taken.frames) == min(ratios)
    elif taken is None:
        pixels = wanted.matrix.pixels
        assert all(max(one.matrix.pixels / pixels, pixels / one.matrix.pixels) > 4 for one in found)
    else:
        assert wanted.matrix.pixels / 4 <= taken.matrix.pixels * (1 + 1e-12)
        assert taken.matrix.pixels <= wanted.matrix.pixels * 4 * (1 + 1e-12)


@given(st.lists(cells, max_size=6, unique=True), cells, st.randoms())
def test_order_of_the_tables_does_not_matter(found, wanted, random):
    shuffled = random.sample(found, len(found))
    assert nearest(shuffled, wanted) == nearest(found, wanted)


def keep(bundle, *candidates, matrix=SMALL, frames=1, threads=0):
    store(table(bundle.digest, *candidates, matrix=tuple(matrix), frames=frames, threads=threads))


def test_session_runs_each_matrix_and_stack_with_its_own_plan(bundle_factory, counts):
    bundle = bundle_factory()
    keep(bundle, measured(median_ms=1.0), measured(provider="openvino"))
    keep(bundle, measured(batch=2), measured(provider="openvino", median_ms=1.5, batch=3), frames=3)
    keep(bundle, measured(provider="reference"), matrix=LARGE)
    session = photopeak.load(bundle, device="cpu")
    one, stack = session.run(counts[:1]), session.run(counts)
    large = session.run(np.ones(LARGE, np.float32))
    assert [result.plan.provider for result in (one, stack, large)] == ["onnxruntime", "openvino", "reference"]
    assert [result.plan.batch for result in (one, stack)] == [1, 3]
    assert all(result.plan.tuned for result in (one, stack, large))
    assert (one.plan.median_ms, one.plan.p99_ms) == (1.0, 3.0)
    assert session.plan_for(SMALL, 3) == stack.plan
    assert session.plan_for(SMALL, 200).batch == 3
    np.testing.assert_allclose(stack.frames.pixels[0], one.frames.pixels[0], rtol=1e-5)


def test_wishes_pick_within_the_table(bundle_factory):
    bundle = bundle_factory()
    keep(
        bundle,
        measured(threads=1, median_ms=4.0),
        measured(provider="openvino", threads=1, median_ms=3.0),
        measured(provider="reference", threads=1, median_ms=2.0, loss_db=0.3),
    )

    def plan(**wishes):
        return photopeak.load(bundle, **wishes).plan_for(SMALL)

    assert plan().provider == "openvino"
    assert plan(provider="onnxruntime").median_ms == 4.0
    assert plan(max_loss_db=0.5).provider == "reference"
    assert plan(precision="fp32", device="cpu", threads=1).tuned
    other = plan(threads=2)
    assert not other.tuned
    assert other.threads == 2
    assert "nothing that was measured at 40x56, 1 frame is as asked" in other.reason
    assert other.reason.endswith("'photopeak tune test-model --matrix 40x56 --threads 2' would do it")


class OnGpu:
    """The reference, which says that it runs on a GPU."""

    name, offers = "reference", (("cuda", "fp32"),)

    def __init__(self):
        self.targets = []

    def version(self):
        return "1"

    def check(self, target):
        return ""

    def graph(self, target):
        return "fp32"

    def prepare(self, graph, target):
        self.targets.append(target)
        return find("reference").prepare(graph, Target())


def test_gpu_is_as_fast_with_the_threads_that_are_asked_for(bundle_factory, monkeypatch):
    bundle, provider = bundle_factory(), OnGpu()
    monkeypatch.setattr(planners, "find", lambda name: provider if name == "reference" else find(name))
    keep(bundle, measured(provider="reference", device="cuda", threads=2, median_ms=1.0), measured(threads=1))
    plan = photopeak.load(bundle, threads=1).plan_for(SMALL)
    assert (plan.provider, plan.device, plan.threads, plan.tuned) == ("reference", "cuda", 1, True)
    assert provider.targets == [Target("cuda", threads=1)]


def test_table_of_one_number_of_threads_is_for_who_asks_for_it(bundle_factory):
    """One thread may be far slower than all of them: nobody else wants what is fastest with it."""
    bundle = bundle_factory()
    keep(bundle, measured(provider="reference", threads=1), threads=1)
    assert photopeak.load(bundle, device="cpu", threads=1).plan_for(SMALL).provider == "reference"
    assert not photopeak.load(bundle, device="cpu").plan_for(SMALL).tuned
    keep(bundle, measured(threads=1), measured(threads=1, provider="openvino", median_ms=1.0))
    assert photopeak.load(bundle, device="cpu", threads=1).plan_for(SMALL).provider == "reference"
    assert photopeak.load(bundle, device="cpu").plan_for(SMALL).provider == "openvino"


def test_plan_without_a_table_is_the_same_each_time_and_tells_how_to_tune(bundle_factory):
    bundle = bundle_factory()
    plans = [photopeak.load(bundle, device="cpu").plan_for(SMALL, 2) for _ in range(2)]
    assert plans[0] == plans[1]
    assert not plans[0].tuned
    assert plans[0].median_ms == 0
    assert "'photopeak tune test-model --matrix 40x56'" in plans[0].reason


def test_matrix_that_was_not_measured_takes_the_provider_of_the_next(bundle_factory):
    bundle = bundle_factory()
    keep(bundle, measured(provider="reference", batch=7, tile=256))
    plan = photopeak.load(bundle, device="cpu").plan_for(LARGE)
    assert (plan.provider, plan.tuned, plan.tile, plan.median_ms) == ("reference", False, 0, 0.0)
    assert "not measured at 64x64" in plan.reason
    assert photopeak.load(bundle, device="cpu").plan_for(MatrixSize(512, 512)).provider != "reference"


def test_measured_plan_that_cannot_run_gives_way_and_is_named(bundle_factory, monkeypatch):
    bundle = bundle_factory()
    keep(bundle, measured(provider="openvino"))

    def prepare(self, graph, target):
        raise DeviceError("the library is broken.")

    monkeypatch.setattr(type(find("openvino")), "prepare", prepare)
    plan = photopeak.load(bundle, device="cpu").plan_for(SMALL)
    assert (plan.provider, plan.tuned) == ("onnxruntime", False)
    assert "openvino fp32 on cpu, 1 thread, which was measured as the fastest, was passed over" in plan.reason
    assert "the library is broken" in plan.reason


def test_table_cannot_talk_a_session_into_a_lossy_plan(bundle_factory, monkeypatch):
    """What a table says of losses is checked again when the graph is prepared."""
    bundle = bundle_factory()
    keep(bundle, measured(provider="openvino", precision="bf16", loss_db=0.0))
    monkeypatch.setattr(type(find("openvino")), "check", lambda self, target: "")
    monkeypatch.setattr("photopeak.engine.plan.measure_fidelity", lambda *_, **__: Lossy())
    plan = photopeak.load(bundle, device="cpu").plan_for(SMALL)
    assert (plan.precision, plan.tuned) == ("fp32", False)
    assert "loses 0.600 dB" in plan.reason


@pytest.mark.parametrize("tile", [1, 3, 100])
def test_table_with_tiles_that_nobody_measured_is_passed_over(bundle_factory, tile):
    """It was edited: frames cut into such tiles would be an error, or take for ever."""
    bundle = bundle_factory()
    path = store(table(bundle.digest, measured(tile=256, median_ms=0.1), matrix=(512, 512)))
    frame = np.ones((512, 512), np.float32)
    assert photopeak.load(bundle, device="cpu").run(frame).plan.tile == 256
    path.write_text(path.read_text().replace('"tile": 256', f'"tile": {tile}'))
    result = photopeak.load(bundle, device="cpu").run(frame)
    assert (result.plan.tile, result.plan.tuned) == (0, False)


class Lossy:
    loss_db, max_error, count_bias, ssim = 0.6, 0.0, 0.0, 1.0


@pytest.mark.parametrize("changes", [{"provider": "no-such-library"}, {"threads": 4096}, {"streams": 64}])
def test_table_with_what_is_not_here_is_passed_over(bundle_factory, changes):
    bundle = bundle_factory()
    keep(bundle, measured(**changes))
    plan = photopeak.load(bundle, device="cpu").plan_for(SMALL)
    assert not plan.tuned


def test_only_what_is_asked_for_is_prepared_and_only_once(bundle_factory, monkeypatch):
    bundle = bundle_factory()
    keep(bundle, measured())
    keep(bundle, measured(provider="openvino"), matrix=LARGE)
    prepared, lock, real = [], threading.Lock(), planners.prepared

    def counted(*arguments, **more):
        with lock:
            prepared.append(arguments[2].name)
        return real(*arguments, **more)

    monkeypatch.setattr(planners, "prepared", counted)
    session = photopeak.load(bundle, device="cpu")
    assert prepared == ["onnxruntime"]
    with ThreadPoolExecutor(8) as pool:
        shapes = [SMALL, LARGE] * 16
        results = list(pool.map(lambda shape: session.run(np.ones(shape, np.float32)), shapes))
    assert sorted(prepared) == ["onnxruntime", "openvino"]
    assert {result.plan.provider for result in results} == {"onnxruntime", "openvino"}


def test_finder_runs_its_grid_with_the_plan_measured_for_it(tmp_path):
    bundle = write_finder(tmp_path / "bundle", "classification")
    grid = working_matrix(bundle, MatrixSize(1024, 256))
    assert grid == MatrixSize(*bundle.golden_heads.input.shape[2:])
    keep(bundle, measured(provider="reference"), matrix=grid)
    session = photopeak.load(bundle, device="cpu")
    plan = session.plan_for(MatrixSize(1024, 256))
    assert (plan.provider, plan.tuned) == ("reference", True)


def test_working_matrix_of_an_image_is_its_own(bundle_factory):
    assert working_matrix(bundle_factory(), MatrixSize(1024, 250)) == (1024, 250)


def test_nothing_that_runs_is_an_error_every_time(bundle_factory):
    planner = TunedPlanner(bundle_factory(), Request(device="cpu", provider="reference", precision="fp16"))
    for _ in range(2):
        with pytest.raises(DeviceError, match="reference has fp32 on cpu"):
            planner(SMALL, 1)


def test_shapes_of_any_number_do_not_fill_the_memory(bundle_factory):
    session = photopeak.load(bundle_factory(), device="cpu", provider="onnxruntime", precision="fp32", threads=1)
    for columns in range(1, 101):
        session.run(np.ones((3, columns), np.float32))
    assert len(session._ways) <= 64
    assert len(session._pools) == 1
