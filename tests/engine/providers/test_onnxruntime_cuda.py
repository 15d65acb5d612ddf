"""What surrounds ONNX Runtime on a GPU, with its CPU provider in the place of the GPU's; and the GPU itself where one is."""

import gc
import threading
import weakref
from collections import defaultdict, deque
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from photopeak.engine import _native
from photopeak.engine import frame_operations as fo
from photopeak.engine.errors import DeviceError, UsageError
from photopeak.engine.graph import check_graph
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.providers import Target, find, onnxruntime_cuda, onnxruntime_sessions
from photopeak.engine.providers.device_lane import DeviceBatch, DeviceLane
from photopeak.engine.providers.onnxruntime_cuda import CudaEngine, CudaGraph
from photopeak.engine.providers.onnxruntime_sessions import (
    CUDA,
    RECORDING,
    TENSORRT,
    DeviceErrors,
    cuda_options,
    cuda_reason,
)
from photopeak.engine.providers.onnxruntime_tensorrt import tensorrt_options
from photopeak.engine.tiling import Tiling

TILING = Tiling(MatrixSize(16, 24))
FRAMES = np.random.default_rng(0).poisson(9, (2, 16, 24)).astype(np.float32)
MESSAGE = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. "
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=scanner-7 ; file=/src/cuda_call.cc ; line=9 ; expr=cudaMalloc();"
)
NAME = _native.cuda_error_name(2)


class Leave:
    """Counts who asked for leave to run or to record."""

    def __init__(self):
        self.asked = []

    @contextmanager
    def alone(self):
        self.asked.append("alone")
        yield

    @contextmanager
    def absent(self):
        self.asked.append("absent")
        yield


@pytest.fixture
def stand_in(monkeypatch):
    """Put ONNX Runtime's CPU provider and memory of the host where the GPU's would be; return who asked for leave."""
    import onnxruntime

    leave = Leave()
    given = []

    class Session(onnxruntime.InferenceSession):
        def get_providers(self):
            return [CUDA]

    def session(graph, target, backend, options):
        given.append(options)
        return Session(graph.data, providers=["CPUExecutionProvider"])

    on_cpu, queue = onnxruntime_cuda.bind, _native.DeviceQueue
    monkeypatch.setattr(onnxruntime_sessions, "_session", session)
    monkeypatch.setattr(onnxruntime_cuda, "bind", lambda s, g, device, index, b: on_cpu(s, g, "cpu", 0, b))
    monkeypatch.setattr(onnxruntime_cuda._native, "DeviceQueue", lambda device, index: queue("cpu", 0))
    monkeypatch.setattr(RECORDING, "alone", leave.alone)
    monkeypatch.setattr(RECORDING, "absent", leave.absent)
    monkeypatch.setattr(onnxruntime_cuda, "cuda_problem", lambda: "")
    monkeypatch.setattr(onnxruntime_cuda, "_IDLE_QUEUES", defaultdict(deque))
    leave.options = given
    return leave


def batch(threads=1):
    return DeviceBatch(FRAMES, TILING, "sum", target=FRAMES.sum(axis=(1, 2), dtype=float), threads=threads)


def test_each_thread_records_once_and_replays_without_leave(stand_in, bundle_factory):
    lane = CudaGraph(check_graph(bundle_factory()), CUDA, Target("cuda")).lane()
    first = lane.process(batch())[0]
    stand_in.asked.clear()
    np.testing.assert_array_equal(lane.process(batch())[0], first)
    assert stand_in.asked == []
    others = []
    thread = threading.Thread(target=lambda: others.extend(lane.process(batch())[0] for _ in range(3)))
    thread.start()
    thread.join()
    assert len(others) == 3
    assert stand_in.asked == ["alone"]


def test_lane_records_on_a_stream_of_its_own(stand_in, bundle_factory, monkeypatch):
    class Queue:
        handle = 4711

    graph = check_graph(bundle_factory())
    monkeypatch.setattr(onnxruntime_cuda._native, "DeviceQueue", lambda device, index: Queue())
    CudaGraph(graph, CUDA, Target("cuda"))
    engine = CudaEngine(graph, CUDA, Target("cuda"))
    engine._sessions.of((1, 1, 8, 8))
    shared, own = stand_in.options
    assert "user_compute_stream" not in shared
    assert "enable_cuda_graph" not in shared
    assert own["user_compute_stream"] == "4711"
    assert own["enable_cuda_graph"] == "1"


def test_streams_are_used_again(stand_in, bundle_factory):
    graph = check_graph(bundle_factory())
    engines = [CudaEngine(graph, CUDA, Target("cuda")) for _ in range(2)]
    queues = {id(engine.queue) for engine in engines}
    assert len(queues) == 2
    del engines
    gc.collect()
    assert id(CudaEngine(graph, CUDA, Target("cuda")).queue) in queues


def test_engine_that_served_many_threads_is_worn(stand_in, bundle_factory):
    lane = CudaGraph(check_graph(bundle_factory()), CUDA, Target("cuda")).lane()
    results = []
    for _ in range(20):
        thread = threading.Thread(target=lambda: results.append(lane.process(batch())[0]))
        thread.start()
        thread.join()
    assert len(results) == 20
    assert all(np.array_equal(result, results[0]) for result in results)
    assert len(stand_in.options) == 3  # one for tensors of the host, and two that recorded


def test_failure_of_a_run_has_cudas_reason_and_no_name_of_the_machine(stand_in, bundle_factory, monkeypatch):
    graph = check_graph(bundle_factory())
    lane = CudaGraph(graph, CUDA, Target("cuda:1")).lane()
    lane.process(batch())

    def fails(self, binding, options=None):
        raise RuntimeError(MESSAGE)

    monkeypatch.setattr("onnxruntime.InferenceSession.run_with_iobinding", fails)
    with pytest.raises(DeviceError, match=rf"cuda:1 at \(2, 1, 16, 24\) \({NAME}: out of memory\)") as e:
        lane.process(batch())
    assert "scanner-7" not in str(e.value)
    with pytest.raises(DeviceError, match=NAME):
        lane.run(np.ones((1, 1, 8, 8), np.float32))


def test_heads_run_from_any_thread(stand_in, bundle_factory, recipes):
    graph = CudaGraph(check_graph(bundle_factory()), CUDA, Target("cuda"))
    tensor = FRAMES[:, None]
    np.testing.assert_allclose(graph.heads(tensor)["image"], recipes["smooth"].truth(tensor), rtol=1e-5)
    assert stand_in.asked[-1] == "absent"


def test_without_cuda_code_of_our_own_tensors_come_from_the_host(stand_in, bundle_factory, recipes, monkeypatch):
    monkeypatch.setattr(onnxruntime_cuda, "cuda_problem", lambda: "built without")
    lane = CudaGraph(check_graph(bundle_factory()), CUDA, Target("cuda")).lane()
    assert not isinstance(lane, DeviceLane)
    tensor = FRAMES[:, None]
    np.testing.assert_allclose(lane.run(tensor), recipes["smooth"].truth(tensor), rtol=1e-5)


def test_names_of_cuda_errors_come_from_cuda():
    wanted = "cudaErrorMemoryAllocation" if fo.build().cuda else "CUDA error 2"
    assert wanted == NAME


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (MESSAGE, f"{NAME}: out of memory"),
        (
            "CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; hostname=x",
            "CUDNN 5000: CUDNN_STATUS_EXECUTION_FAILED",
        ),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", "CUBLAS 3: CUBLAS_STATUS_ALLOC_FAILED"),
        ("nothing\nknown", "nothing known"),
    ],
)
def test_reason_is_found_in_messages(text, reason):
    assert cuda_reason(RuntimeError(text)) == reason


def test_options_are_texts():
    for options in (cuda_options(Target("cuda:3"), 0), cuda_options(Target("cuda"), 99)):
        assert all(isinstance(value, str) for value in options.values())
    assert cuda_options(Target("cuda:3"), 0)["device_id"] == "3"
    assert cuda_options(Target("cuda"), 0)["use_tf32"] == "0"
    assert [cuda_options(Target("cuda", layout=layout), 0)["prefer_nhwc"] for layout in ("nchw", "nhwc")] == ["0", "1"]


def test_onnxruntime_knows_every_option(bundle_factory, tmp_path, monkeypatch):
    """Names that a new version no longer has would be refused, or worse, ignored; its library holds them as text."""
    import onnxruntime

    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path))
    tensorrt = tensorrt_options(check_graph(bundle_factory()), Target("cuda"), (1, 1, 8, 8), 1)
    folder = Path(onnxruntime.__file__).parent / "capi"
    for library, options in (
        ("libonnxruntime_providers_cuda.so", cuda_options(Target("cuda"), 1)),
        ("libonnxruntime_providers_tensorrt.so", tensorrt),
    ):
        if not (folder / library).exists():
            pytest.skip(f"{library} is not part of this build of ONNX Runtime")
        text = (folder / library).read_bytes() + next(folder.glob("onnxruntime_pybind11_state*")).read_bytes()
        assert [name for name in options if name.encode() not in text] == []


def test_sessions_of_many_shapes_do_not_fill_the_memory(stand_in, bundle_factory, monkeypatch):
    """TensorRT has one for each; what it gives back would spoil a graph that somebody records meanwhile."""

    class Session:
        def get_providers(self):
            return [TENSORRT]

    monkeypatch.setattr(onnxruntime_sessions, "_session", lambda *_: Session())
    sessions, freed = onnxruntime_sessions.Sessions(check_graph(bundle_factory()), TENSORRT, Target("cuda")), []
    for side in range(8, 8 + onnxruntime_sessions._SESSIONS_KEPT):
        weakref.finalize(sessions.of((1, 1, side, 8)), freed.append, side)
    assert freed == []
    assert "absent" not in stand_in.asked
    sessions.of((1, 1, 8, 8))
    sessions.of((1, 1, 7, 8))
    assert freed == [9]  # the one that was not used for longest
    assert stand_in.asked.count("absent") == 1


def test_usage_errors_stay_what_they_are(stand_in):
    with pytest.raises(UsageError, match="mine"), DeviceErrors("x"):
        raise UsageError("mine")


# --- with a GPU ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def gpu():
    provider, target = find("onnxruntime"), Target("cuda")
    if reason := provider.check(target):
        pytest.skip(reason)
    return provider


@pytest.mark.gpu
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_recorded_runs_repeat_the_first_one(gpu, bundle_factory, precision, layout):
    lane = gpu.prepare(
        check_graph(bundle_factory("pooled"), precision), Target("cuda", precision, layout=layout)
    ).lane()
    first = [array.copy() for array in lane.process(batch())]
    for _ in range(5):
        for ours, theirs in zip(lane.process(batch()), first, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.gpu
def test_lanes_of_threads_record_side_by_side(gpu, bundle_factory):
    runnable = gpu.prepare(check_graph(bundle_factory()), Target("cuda"))
    expected = runnable.lane().process(batch())[0]
    found, start = [], threading.Barrier(6)

    def work():
        lane = runnable.lane()
        start.wait(timeout=60)
        found.extend(lane.process(batch())[0] for _ in range(4))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 24
    assert all(np.array_equal(result, expected) for result in found)


@pytest.mark.gpu
def test_too_large_a_batch_is_an_error_with_cudas_reason(gpu):
    tiling = Tiling(MatrixSize(32768, 32768))
    with pytest.raises(DeviceError, match="cudaErrorMemoryAllocation"):
        _native.DevicePipeline(_native.DeviceQueue("cuda", 0), tiling.layout, 64, "sum")
