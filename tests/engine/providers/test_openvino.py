import numpy as np
import pytest

from photopeak.engine import zoo
from photopeak.engine.errors import DeviceError
from photopeak.engine.fidelity import fidelity_loss_db, golden_run, measure_fidelity
from photopeak.engine.graph import check_graph
from photopeak.engine.providers import Target, find
from photopeak.engine.providers import openvino as module


def test_precision_that_openvino_gave_up_is_an_error(bundle_factory, monkeypatch):
    """Asked for fp16 on a processor without it, OpenVINO takes bf16 or fp32 and says nothing; we must notice."""
    provider = find("openvino")
    if not provider.check(Target("cpu", "fp16")):
        pytest.skip("this processor computes in fp16")
    monkeypatch.setattr(type(provider), "check", lambda self, target: "")
    lane = provider.prepare(check_graph(bundle_factory()), Target("cpu", "fp16")).lane()
    with pytest.raises(DeviceError, match=r"OpenVINO computes in .* although f16 was asked for"):
        lane.run(np.ones((1, 1, 16, 16), np.float32))


def test_threads_are_honoured(bundle_factory):
    runnable = find("openvino").prepare(check_graph(bundle_factory()), Target("cpu", "fp32", 1))
    assert int(runnable.compiled((1, 1, 16, 16)).get_property("INFERENCE_NUM_THREADS")) == 1


@pytest.mark.parametrize(("target", "expected"), [
    (Target("cpu", "fp32", 2), ("LATENCY", 1, 2, False)),
    (Target("cpu", "fp32", 2, streams=2), ("THROUGHPUT", 2, 2, False)),
])  # fmt: skip
def test_streams_and_hints_are_those_of_the_target(bundle_factory, target, expected):
    compiled = find("openvino").prepare(check_graph(bundle_factory()), target).compiled((1, 1, 16, 16))
    found = [compiled.get_property(name) for name in ("NUM_STREAMS", "INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING")]
    assert (str(compiled.get_property("PERFORMANCE_HINT")), *found) == expected


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_bf16_goes_through_the_whole_graph_only_where_it_is_asked_for(precision):
    """The image itself is rounded then: a ramp of whole counts beyond 256 comes out in steps."""
    provider, bundle = find("openvino"), zoo.load_bundle("scint-denoise")
    target = Target("cpu", precision, throughout=True)
    if reason := provider.check(target):
        pytest.skip(reason)
    graph = check_graph(bundle, provider.graph(target))
    through = provider.prepare(graph, target)
    assert through.compiled((1, 1, 64, 64)).get_property("INFERENCE_PRECISION_HINT").get_type_name() == "bf16"
    usual = provider.prepare(graph, Target("cpu", precision))
    assert usual.compiled((1, 1, 64, 64)).get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    less, more = (measure_fidelity(bundle, runnable).loss_db for runnable in (usual, through))
    assert 0 < less < more < 0.2


def test_frames_of_a_batch_run_one_by_one_in_streams(bundle_factory, recipes):
    runnable = find("openvino").prepare(check_graph(bundle_factory("smooth")), Target("cpu", "fp32", 2, streams=2))
    counts = np.random.default_rng(0).poisson(9, (7, 1, 24, 12)).astype(np.float32)
    np.testing.assert_allclose(runnable.lane().run(counts), recipes["smooth"].truth(counts), rtol=1e-5)
    assert tuple(runnable._compiled._slots) == ((1, 1, 24, 12),)


def test_what_was_started_has_ended_when_another_stream_fails(bundle_factory):
    lane = find("openvino").prepare(check_graph(bundle_factory()), Target("cpu", "fp32", 2, streams=2)).lane()
    counts = np.ones((3, 1, 64, 64), np.float32)
    lane.run(counts)
    requests, _ = lane._bindings.of(counts)
    ended = []

    class Failing:
        def start_async(self):
            raise RuntimeError("device lost")

        def wait(self):
            ended.append(True)

    requests[-1] = Failing()
    with pytest.raises(RuntimeError, match="device lost"):
        lane.run(counts)
    assert ended


def test_each_shape_is_compiled_once_and_few_are_kept(bundle_factory):
    runnable = find("openvino").prepare(check_graph(bundle_factory()), Target())
    first = runnable.compiled((1, 1, 16, 16))
    assert runnable.compiled((1, 1, 16, 16)) is first
    for rows in range(17, 17 + module._SHAPES_KEPT):
        runnable.compiled((1, 1, rows, 16))
    assert runnable.compiled((1, 1, 16, 16)) is not first


def test_many_shapes_give_right_answers(bundle_factory, recipes):
    lane = find("openvino").prepare(check_graph(bundle_factory("smooth")), Target()).lane()
    for rows in range(8, 30):
        counts = np.random.default_rng(rows).poisson(9, (1, 1, rows, 12)).astype(np.float32)
        np.testing.assert_allclose(lane.run(counts), recipes["smooth"].truth(counts), rtol=1e-5)


def test_cuda_is_refused(bundle_factory):
    with pytest.raises(DeviceError, match="not fp32 on cuda"):
        find("openvino").prepare(check_graph(bundle_factory()), Target("cuda"))


def test_sum_of_input_and_correction_stays_float32_in_bf16():
    """Hounsfield units reach 1584, where neighbours of bfloat16 lie 8 apart; what the network adds to them is smaller."""
    provider, target = find("openvino"), Target("cpu", "bf16", 2)
    if reason := provider.check(target):
        pytest.skip(reason)
    bundle = zoo.load_bundle("ct-sr-x2")
    output = golden_run(bundle, provider.prepare(check_graph(bundle), target))
    assert fidelity_loss_db(bundle, output) < 0.1
