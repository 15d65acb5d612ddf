"""Everything round an engine: reasons, parts, lanes, memory and kept kernels, on stand-ins for PyCUDA and TensorRT."""

import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from fake_gpu import FakeCapture, collected
from photopeak.engine.errors import DeviceError, ModelError
from photopeak.engine.graph import check_graph
from photopeak.engine.providers import Target, find
from photopeak.engine.providers.tensorrt import cuda, store
from photopeak.engine.providers.tensorrt import provider as provider_module
from photopeak.engine.providers.tensorrt.build import Built
from photopeak.engine.providers.tensorrt.provider import profile_of

CUDA = Target("cuda")
GRAPHS = ("smooth", "anscombe", "quarters", "brightened")


@pytest.mark.parametrize("portable", [True, False], ids=["rtx", "tensorrt"])
@pytest.mark.parametrize("name", GRAPHS)
def test_output_is_the_closed_form(gpu, bundle_factory, recipes, portable, name):
    provider, _ = gpu(portable)
    lane = provider.prepare(check_graph(bundle_factory(name)), CUDA).lane()
    rng = np.random.default_rng(3)
    for n, rows, columns in ((1, 16, 16), (1, 16, 16), (2, 24, 40), (5, 10, 130), (1, 16, 16)):
        counts = rng.poisson(20, (n, 1, rows, columns)).astype(np.float32)
        np.testing.assert_allclose(lane.run(counts), recipes[name].truth(counts), rtol=2e-5)


def test_stack_runs_in_parts(gpu, bundle_factory, recipes):
    provider, driver = gpu()
    graph = provider.prepare(check_graph(bundle_factory("quarters")), CUDA)
    counts = np.random.default_rng(5).poisson(9, (131, 1, 32, 16)).astype(np.float32)
    output = graph.lane().run(counts)
    np.testing.assert_allclose(output, recipes["quarters"].truth(counts), rtol=1e-6)
    assert driver.copies == 3 + 2  # 64, 64 and 3 frames; the two shapes are run once more when they first come


def test_work_is_captured_once_for_a_shape(gpu, bundle_factory):
    provider, _ = gpu(portable=False)
    lane = provider.prepare(check_graph(bundle_factory("smooth")), CUDA).lane()
    before = FakeCapture.made
    for value in (1, 2, 3):
        output = lane.run(np.full((1, 1, 16, 16), value, np.float32))
        assert output[0, 0, 8, 8] == pytest.approx(value)
    assert FakeCapture.made == before + 1


def test_lanes_share_engines_and_nothing_else(gpu, bundle_factory):
    provider, _ = gpu()
    graph = provider.prepare(check_graph(bundle_factory("brightened")), CUDA)
    first, second = graph.lane(), graph.lane()
    one = first.run(np.full((1, 1, 16, 16), 8, np.float32))
    two = second.run(np.full((1, 1, 16, 16), 16, np.float32))
    assert (one == 10).all()
    assert (two == 20).all()
    assert graph.engine_for((1, 1, 16, 16)) is graph.engine_for((1, 1, 16, 16))


def test_memory_is_dropped_while_its_context_is_current(gpu, bundle_factory):
    provider, driver = gpu()
    lane = provider.prepare(check_graph(bundle_factory("smooth")), CUDA).lane()
    for side in (16, 17, 18, 19, 20, 21):  # more shapes than are kept
        output = lane.run(np.full((1, 1, side, side), side, np.float32))
    del lane
    collected()
    assert output[0, 0, 8, 8] == pytest.approx(21)  # what a caller still holds stays valid
    assert not driver.memories
    assert not driver.library.locked
    assert driver.dropped_outside == 0
    assert not driver.stack


def test_memory_is_dropped_when_another_thread_is_the_last(gpu, bundle_factory):
    provider, driver = gpu()
    lanes = [provider.prepare(check_graph(bundle_factory("smooth")), CUDA).lane()]
    lanes[0].run(np.ones((1, 1, 16, 16), np.float32))
    thread = threading.Thread(target=lanes.clear)
    thread.start()
    thread.join()
    collected()
    assert not driver.memories
    assert driver.dropped_outside == 0


def test_sessions_share_one_context_and_the_last_lets_go_of_it(gpu):
    _, driver = gpu()
    assert cuda.device(0) is cuda.device(0)
    cuda._devices.cache_clear()
    collected()
    assert driver.detached == 1


def test_missing_memory_is_an_error_with_the_reason_and_the_lane_lives_on(gpu, bundle_factory):
    provider, driver = gpu()
    lane = provider.prepare(check_graph(bundle_factory("smooth")), CUDA).lane()
    driver.largest = 4096
    with pytest.raises(DeviceError, match="out of memory"):
        lane.run(np.ones((1, 1, 64, 64), np.float32))
    assert not driver.stack
    assert lane.run(np.ones((1, 1, 16, 16), np.float32))[0, 0, 8, 8] == pytest.approx(1)


def test_engine_that_the_library_refuses_is_an_error_with_its_words(gpu, bundle_factory):
    provider, _ = gpu(complaint="built for SM 12.0")
    lane = provider.prepare(check_graph(bundle_factory("smooth")), CUDA).lane()
    with pytest.raises(DeviceError, match=r"built for SM 12\.0"):
        lane.run(np.ones((1, 1, 16, 16), np.float32))


def test_compiled_kernels_are_kept_and_damaged_ones_are_not_used(gpu, bundle_factory, cache):
    provider, _ = gpu()
    graph = check_graph(bundle_factory("smooth"))
    tensor = np.ones((1, 1, 16, 16), np.float32)
    provider.prepare(graph, CUDA).lane().run(tensor)
    (kept,) = cache.glob("*.jit")
    assert kept.read_bytes().endswith(b"compiled")
    again = provider.prepare(graph, CUDA).engine_for(tensor.shape)
    assert again._config.cache.kernels == b"compiled"
    kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    assert provider.prepare(graph, CUDA).engine_for(tensor.shape)._config.cache.kernels == b""


def test_what_was_measured_of_layers_shortens_the_next_build(gpu, bundle_factory, monkeypatch):
    provider, _ = gpu(portable=False)
    given = []

    def build(graph, key, library, options):
        given.append(options.timing)
        return Built(key, graph.data, 0.1, (), b"measured")

    monkeypatch.setattr("photopeak.engine.providers.tensorrt.provider.build", build)
    graph = check_graph(bundle_factory("smooth"))
    for side in (16, 32):
        provider.prepare(graph, CUDA).engine_for((1, 1, side, side))
    assert given == [b"", b"measured"]


def test_engine_is_built_once_for_all_processes(gpu, bundle_factory, cache, monkeypatch):
    provider, _ = gpu()
    graph = check_graph(bundle_factory("smooth"))
    provider.prepare(graph, CUDA).engine_for((1, 1, 16, 16))
    monkeypatch.setattr("photopeak.engine.providers.tensorrt.provider.build", None)
    provider.prepare(graph, CUDA).engine_for((1, 1, 16, 16))
    assert len(list(cache.glob("*.engine"))) == 1


def test_engines_of_many_matrices_do_not_fill_the_memory(gpu, bundle_factory):
    provider, driver = gpu()
    graph = provider.prepare(check_graph(bundle_factory("brightened")), CUDA)
    first = graph.engine_for((1, 1, 16, 16))
    here = []
    gone = weakref.finalize(first, lambda: here.append(len(driver.stack)))
    assert graph.engine_for((1, 1, 16, 16)) is first
    del first
    for side in range(17, 17 + provider_module._ENGINES_KEPT):
        graph.engine_for((1, 1, side, 16))
    collected()
    assert not gone.alive
    assert here == [1]  # its memory went back while the device was current
    assert (graph.lane().run(np.full((1, 1, 16, 16), 8, np.float32)) == 10).all()


def test_tampered_engine_is_built_again(gpu, bundle_factory, cache):
    provider, _ = gpu()
    graph = check_graph(bundle_factory("brightened"))
    tensor = np.full((1, 1, 16, 16), 8, np.float32)
    provider.prepare(graph, CUDA).lane().run(tensor)
    (engine,) = cache.glob("*.engine")
    whole = engine.read_bytes()
    engine.write_bytes(check_graph(bundle_factory("smooth")).data)
    assert (provider.prepare(graph, CUDA).lane().run(tensor) == 10).all()
    assert engine.read_bytes() == whole


def test_engine_of_another_gpu_or_driver_is_not_used(gpu, bundle_factory, cache, monkeypatch):
    provider, _ = gpu(portable=False)
    graph = check_graph(bundle_factory("smooth"))
    for driver in ("580.1", "580.2"):
        monkeypatch.setattr("photopeak.engine.providers.tensorrt.provider.driver_version", lambda found=driver: found)
        provider.prepare(graph, CUDA).engine_for((1, 1, 16, 16))
    assert len(list(cache.glob("*.engine"))) == 2


def test_heads_come_in_memory_of_the_callers_own(gpu, bundle_factory):
    provider, _ = gpu()
    graph = provider.prepare(check_graph(bundle_factory("brightened")), CUDA)
    one = graph.heads(np.full((1, 1, 16, 16), 8, np.float32))
    graph.heads(np.full((1, 1, 16, 16), 16, np.float32))
    assert (one["image"] == 10).all()


def test_lane_of_heads_is_refused(gpu, bundle_factory, monkeypatch):
    from dataclasses import replace

    provider, _ = gpu()
    with pytest.raises(ModelError, match="gives the heads"):
        provider.prepare(replace(check_graph(bundle_factory("smooth")), scale=0), CUDA).lane()


@pytest.mark.parametrize(
    ("capability", "target", "reason"),
    [
        ((9, 0), Target("cuda"), "of kind SM90; Fake TensorRT runs on SM75, SM86, SM89"),
        ((7, 5), Target("cuda", "bf16"), "of kind SM75, which has no bf16"),
        ((8, 9), Target("cuda:1"), "there is no cuda:1; the driver lists 1 GPUs"),
        ((8, 9), Target("cuda", layout="nhwc"), "no layout nhwc"),
        ((8, 9), Target("cuda", "int8"), "has fp32 on cuda and fp16 on cuda and bf16 on cuda, not int8 on cuda"),
        ((8, 9), Target("cpu"), "not fp32 on cpu"),
    ],
)
def test_reasons(gpu, capability, target, reason):
    provider, _ = gpu(capability=capability)
    assert reason in provider.check(target)


def test_what_is_missing_is_named_in_turn(monkeypatch):
    provider = find("tensorrt-rtx")
    library = type(provider.library)
    monkeypatch.setattr(library, "problem", lambda self: "TensorRT-RTX is not installed; run pip install tensorrt-rtx")
    monkeypatch.setattr(cuda, "_DRIVER", "libof-nobody.so.1")
    assert provider.check(CUDA) == "there is no NVIDIA driver (libof-nobody.so.1 not found)"
    monkeypatch.setattr(cuda, "_DRIVER", "libc.so.6")
    assert "pip install tensorrt-rtx" in provider.check(CUDA)
    monkeypatch.setattr(library, "problem", lambda self: "")
    monkeypatch.setattr(cuda, "find_spec", lambda name: None)
    assert provider.check(CUDA).startswith("PyCUDA is not installed; run pip install 'photopeak[tensorrt]'")


@pytest.mark.parametrize(
    ("shape", "batches"),
    [
        ((1, 1, 64, 64), (1, 1, 1)),
        ((2, 1, 64, 64), (1, 64, 64)),
        ((9, 1, 512, 512), (1, 4, 4)),
        ((3, 1, 4096, 4096), (1, 2, 2)),
    ],
)
def test_profiles_fill_a_gpu_and_no_more(shape, batches):
    profile = profile_of(shape)
    assert (profile.least, profile.best, profile.most) == batches


def test_folder_that_others_may_write_to_is_not_used(gpu, bundle_factory, cache):
    provider, _ = gpu()
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    graph = provider.prepare(check_graph(bundle_factory("brightened")), CUDA)
    store.unusable.cache_clear()
    with pytest.warns(RuntimeWarning, match="others may write to it"):
        output = graph.lane().run(np.full((1, 1, 16, 16), 8, np.float32))
    assert (output == 10).all()
    assert not list(cache.iterdir())


class RecordedDriver:
    """As the driver's library: notes what is called, and fails where it is told to."""

    def __init__(self, failing=""):
        self.called, self.failing = [], failing

    def __getattr__(self, name):
        def call(*arguments):
            self.called.append(name)
            if name == "cuGetErrorString":
                arguments[1]._obj.value = b"operation not permitted when stream is capturing"
            handles = {"cuStreamEndCapture": 1, "cuGraphInstantiateWithFlags": 0}
            if name in handles and name != self.failing:
                arguments[handles[name]]._obj.value = 5
            return int(name == self.failing)

        return call


def test_capture_records_once_and_cleans_up(monkeypatch):
    driver = RecordedDriver()
    monkeypatch.setattr(cuda, "_driver", lambda: driver)
    stream = SimpleNamespace(handle=7)
    capture = cuda.Capture(stream, lambda: driver.called.append("work"))
    capture.launch(stream)
    del capture
    assert driver.called == [
        "cuStreamBeginCapture_v2",
        "work",
        "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags",
        "cuGraphDestroy",
        "cuGraphLaunch",
        "cuGraphExecDestroy",
    ]


@pytest.mark.parametrize("failing", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"])
def test_capture_that_fails_says_why(monkeypatch, failing):
    driver = RecordedDriver(failing)
    monkeypatch.setattr(cuda, "_driver", lambda: driver)
    with pytest.raises(DeviceError, match=f"{failing} failed .operation not permitted when stream is capturing"):
        cuda.Capture(SimpleNamespace(handle=7), lambda: None)


def test_capture_ends_when_the_work_fails(monkeypatch):
    driver = RecordedDriver()
    monkeypatch.setattr(cuda, "_driver", lambda: driver)

    def fail():
        raise DeviceError("no kernel")

    with pytest.raises(DeviceError, match="no kernel"):
        cuda.Capture(SimpleNamespace(handle=7), fail)
    assert driver.called == ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphDestroy"]
