"""Frames that stay on a device give what the host's stages give: on the CPU to the bit, on a GPU within rounding."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photopeak.engine import _native, zoo
from photopeak.engine import frame_operations as fo
from photopeak.engine.bundle import Output
from photopeak.engine.errors import DeviceError, InputError, ModelError, UsageError
from photopeak.engine.frames import Frames, Units
from photopeak.engine.graph import check_graph
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.plan import Plan
from photopeak.engine.providers import Target, find
from photopeak.engine.providers.device_lane import Buffers, DeviceBatch, DeviceLane
from photopeak.engine.providers.onnxruntime_sessions import bind
from photopeak.engine.session import Session
from photopeak.engine.tiling import Tiling

PLAN = Plan("onnxruntime", "1.0", "cpu", "fp32", 1, 0.0, "as asked")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


class HostEngine:
    """The CPU twin of ``CudaEngine``: ONNX Runtime's CPU provider on the addresses of a queue on the CPU."""

    def __init__(self, graph, session):
        self.queue = _native.DeviceQueue("cpu", 0)
        self.worn = False
        self.shapes = []
        self._graph, self._session = graph, session

    def bind(self, buffers):
        self.shapes.append(buffers.input_shape)
        binding = bind(self._session, self._graph, "cpu", 0, buffers)
        return lambda: self._session.run_with_iobinding(binding)

    def close(self):
        self.shapes.append("closed")


class Twin:
    """A runnable like ``CudaGraph`` whose lanes have their frames in host memory."""

    def __init__(self, bundle):
        self.graph = check_graph(bundle)
        self.plain = find("onnxruntime").prepare(self.graph, Target())
        self.engines = []

    def lane(self):
        def engine():
            self.engines.append(HostEngine(self.graph, self.plain.session))
            return self.engines[-1]

        return DeviceLane(engine, self.plain.lane())


def runnable_on(device, bundle):
    """Return a runnable with device lanes, or skip with the reason why there is none."""
    if device == "cpu":
        return Twin(bundle)
    provider, target = find("onnxruntime"), Target("cuda")
    if reason := provider.check(target):
        pytest.skip(reason)
    return provider.prepare(check_graph(bundle), target)


def sessions(bundle, device, batch=2, tile=0):
    """Return the session of the host and the one of a device, with the same plan."""
    plan = replace(PLAN, batch=batch, tile=tile)
    on_host = find("onnxruntime").prepare(check_graph(bundle), Target())
    on_device = runnable_on(device, bundle)
    return [Session(bundle, plan, each, lambda m, n, each=each: (plan, each)) for each in (on_host, on_device)]


def agree(device, ours, theirs):
    """Bits on the CPU; on a GPU convolutions and sums are taken in another order."""
    if device == "cpu":
        np.testing.assert_array_equal(ours.frames.pixels, theirs.frames.pixels)
    peak = np.abs(theirs.frames.pixels).max()
    np.testing.assert_allclose(ours.frames.pixels, theirs.frames.pixels, atol=2e-5 * peak)
    for name in ("before", "model", "after"):
        pair = [getattr(result.conservation, name) for result in (ours, theirs)]
        np.testing.assert_allclose(*pair, rtol=0 if device == "cpu" else 1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["smooth", "anscombe", "quarters", "pooled", "brightened"])
@pytest.mark.parametrize("tile", [0, 48])
def test_session_gives_what_the_stages_of_the_host_give(bundle_factory, device, name, tile):
    host, other = sessions(bundle_factory(name), device, tile=tile)
    rng = np.random.default_rng(5)
    for shape in ((1, 64, 80), (5, 50, 70), (2, 41, 57), (5, 50, 70)):
        counts = rng.poisson(20, shape).astype(np.float32)
        agree(device, other.run(counts), host.run(counts))
        agree(device, other.run(counts + np.float32(0.25)), host.run(counts + np.float32(0.25)))


@pytest.mark.parametrize("device", DEVICES)
def test_means_and_scaled_frames_agree_too(bundle_factory, device):
    output = Output(name="image", scale=2, conserve="mean")
    spec = {"name": "counts", "units": "BQML", "scaling": "robust"}
    host, other = sessions(bundle_factory("quarters", output=output.model_dump(), input=spec), device)
    activity = np.random.default_rng(1).gamma(2, 400, (3, 30, 33)).astype(np.float32) - np.float32(50)
    frames = Frames(activity, Units.BECQUEREL_PER_ML, "NM")
    agree(device, other.run(frames), host.run(frames))


@pytest.mark.parametrize("device", DEVICES)
def test_models_that_ship_agree(device):
    bundle = zoo.load_bundle("scint-denoise")
    host, other = sessions(bundle, device)
    for matrix in ((64, 64), (128, 96)):
        counts = np.random.default_rng(2).poisson(6, (3, *matrix)).astype(np.float32)
        agree(device, other.run(counts), host.run(counts))


@pytest.mark.parametrize("device", DEVICES)
def test_threads_share_a_session(bundle_factory, device):
    host, other = sessions(bundle_factory("smooth"), device)
    frames = [np.random.default_rng(seed).poisson(9, (3, 40, 56)).astype(np.float32) for seed in range(12)]
    expected = [host.run(each) for each in frames]
    together = threading.Barrier(4)

    def work(index):
        together.wait(timeout=60)
        return [other.run(frames[i]) for i in range(index, 12, 4)]

    with ThreadPoolExecutor(4) as pool:
        for index, results in enumerate(pool.map(work, range(4))):
            for i, result in zip(range(index, 12, 4), results, strict=True):
                agree(device, result, expected[i])


@pytest.mark.parametrize("device", DEVICES)
def test_values_that_are_not_finite_are_the_models_fault(bundle_factory, device):
    _, other = sessions(bundle_factory("pole"), device)
    with pytest.raises(ModelError, match="NaN, infinite"):
        other.run(np.zeros((1, 16, 16), np.float32))
    ones = np.ones((1, 16, 16), np.float32)
    np.testing.assert_array_equal(other.run(ones).frames.pixels, ones)


@pytest.mark.parametrize("device", DEVICES)
def test_results_stay_when_the_lane_runs_again(bundle_factory, device):
    _, other = sessions(bundle_factory("brightened"), device, batch=4)
    first = other.run(np.full((2, 16, 16), 3, np.float32))
    other.run(np.full((2, 16, 16), 9, np.float32))
    assert (first.frames.pixels == 3).all()


@pytest.mark.parametrize("device", DEVICES)
def test_tensors_of_the_host_run_too(bundle_factory, recipes, device):
    lane = runnable_on(device, bundle_factory("smooth")).lane()
    counts = np.random.default_rng(0).poisson(9, (2, 1, 24, 40)).astype(np.float32)
    np.testing.assert_allclose(lane.run(counts), recipes["smooth"].truth(counts), rtol=1e-4)


def test_a_shape_is_bound_once_and_many_shapes_start_anew(bundle_factory):
    twin = Twin(bundle_factory("smooth"))
    lane = twin.lane()
    for rows in (16, 17, 16, 16, 18):
        tiling = Tiling(MatrixSize(rows, 20))
        lane.process(DeviceBatch(np.ones((1, rows, 20), np.float32), tiling, "sum", target=1.0))
    assert [rows for _, _, rows, _ in twin.engines[0].shapes] == [16, 17, 18]
    for rows in range(20, 40):
        tiling = Tiling(MatrixSize(rows, 20))
        lane.process(DeviceBatch(np.ones((1, rows, 20), np.float32), tiling, "sum", target=1.0))
    assert 2 <= len(twin.engines) <= 5
    assert all(engine.shapes.index("closed") <= 8 for engine in twin.engines[:-1])


def test_worn_engine_is_replaced(bundle_factory):
    twin = Twin(bundle_factory("smooth"))
    lane, tiling = twin.lane(), Tiling(MatrixSize(16, 16))
    batch = DeviceBatch(np.ones((1, 16, 16), np.float32), tiling, "none")
    first = lane.process(batch)[0]
    twin.engines[0].worn = True
    np.testing.assert_array_equal(lane.process(batch)[0], first)
    assert len(twin.engines) == 2


# --- the native pipeline -------------------------------------------------------------------------------------------------


@pytest.fixture(params=DEVICES)
def queue(request):
    """A queue on each device that is here."""
    if request.param == "cuda" and (problem := fo.cuda_problem()):
        pytest.skip(problem)
    return _native.DeviceQueue(request.param, 0)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 90), st.integers(1, 90)),
    tile=st.integers(0, 3),
    step=st.integers(1, 5),
    keep=st.sampled_from(["sum", "mean", "none"]),
    seed=st.integers(0, 2**31),
    whole=st.booleans(),
)
def test_stages_and_finishing_are_those_of_tilings(queue, shape, tile, step, keep, seed, whole):
    """With a graph that copies; the CPU queue to the bit."""
    rng = np.random.default_rng(seed)
    edge = tile * 8 * step
    tiling = Tiling(MatrixSize(*shape[1:]), MatrixSize(edge, edge), edge // 4, step=step)
    pixels = rng.poisson(30, shape).astype(np.float32) + np.float32(0 if whole else 0.5)
    pixels[:, 0, 0] = 40
    target, gain, high = rng.uniform(1, 9, (3, shape[0]))
    copied = DeviceLane(lambda: Copier(queue), None)
    batch = DeviceBatch(pixels, tiling, keep, target, gain, high)
    ours = copied.process(batch)
    theirs = tiling.finish(tiling.stage(pixels, high=high), target, keep=keep, gain=gain)
    exact = queue.handle == 0
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0 if exact else 3e-7)


class Copier:
    """An engine whose graph gives what it takes, through host memory."""

    def __init__(self, queue):
        self.queue, self.worn = queue, False

    def bind(self, buffers: Buffers):
        size = int(np.prod(buffers.input_shape))
        return lambda: self.queue.copy(buffers.input, buffers.output, 4 * size)

    def close(self):
        pass


@pytest.mark.parametrize(
    ("pixels", "small"),
    [
        (np.array([0, 1, 65535], np.float32), True),
        (np.array([0, 1, 65535], np.uint16), True),
        (np.array([0, 1, 65536], np.float32), False),
        (np.array([0, 1.5, 3], np.float32), False),
        (np.array([0, -1, 3], np.float32), False),
        (np.array([0, np.nan, 3], np.float32), False),
        (np.array([0, np.inf, 3], np.float32), False),
        (np.array([-0.0, 2, 3], np.float32), False),
    ],
)
def test_whole_numbers_that_fit_go_up_as_16_bits(queue, pixels, small):
    tiling = Tiling(MatrixSize(1, 3))
    pipeline = _native.DevicePipeline(queue, tiling.layout, 1, "none")
    assert pipeline.fill(pixels.reshape(1, 1, 3), 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1) is small


def test_packing_does_not_depend_on_the_place_of_the_odd_one(queue):
    tiling = Tiling(MatrixSize(512, 512))
    pipeline = _native.DevicePipeline(queue, tiling.layout, 1, "none")
    pixels = np.full((1, 512, 512), 7, np.float32)
    assert pipeline.fill(pixels, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 4)
    for place in (0, 1, 32767, 32768, 262143):
        odd = pixels.copy()
        odd.ravel()[place] = 7.5
        assert not pipeline.fill(odd, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 4)


def test_stored_values_are_rescaled_on_the_device(queue):
    tiling = Tiling(MatrixSize(2, 3), step=4)
    stored = np.arange(6, dtype=np.uint16).reshape(1, 2, 3)
    pipeline = _native.DevicePipeline(queue, tiling.layout, 1, "none")
    pipeline.fill(stored, 0.5, -1.0, 0.0, 4.0, 0.0, 4.0, 1)
    pipeline.upload()
    pipeline.stage(0)
    queue.copy(pipeline.input, pipeline.output, 4 * 16)
    pipeline.finish()
    pipeline.download()
    pipeline.wait()
    frames, before, _ = pipeline.take(None, 1)
    np.testing.assert_array_equal(frames, (0.5 * stored - 1).astype(np.float32))
    assert before[0] == (0.5 * stored - 1).sum()


def test_pipelines_refuse_other_frames(queue):
    tiling = Tiling(MatrixSize(4, 4))
    pipeline = _native.DevicePipeline(queue, tiling.layout, 2, "sum")
    good = np.ones((2, 4, 4), np.float32)
    with pytest.raises(InputError, match=r"made for \(2, 4, 4\)"):
        pipeline.fill(good[:1], 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1)
    with pytest.raises(InputError, match="float32 or uint16"):
        pipeline.fill(good.astype(np.int16), 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1)
    with pytest.raises(InputError, match="C-contiguous"):
        pipeline.fill(good.transpose(0, 2, 1), 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1)
    with pytest.raises(InputError, match="one for each of the 2 frames"):
        pipeline.fill(good, 1.0, 0.0, 0.0, 1.0, [1.0, 2.0, 3.0], 1.0, 1)
    with pytest.raises(UsageError, match="none of the 1"):
        pipeline.stage(1)
    with pytest.raises(UsageError, match="0 frames"):
        _native.DevicePipeline(queue, tiling.layout, 0, "sum")


def test_queue_of_a_gpu_says_why_there_is_none():
    problem = fo.cuda_problem()
    if not problem:
        pytest.skip("a CUDA device is here")
    with pytest.raises(DeviceError) as raised:
        _native.DeviceQueue("cuda", 0)
    assert str(raised.value) == problem
