from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from analysis_models import MODELS, make_images, make_manifest, write_finder
from photopeak.engine import plan as plans
from photopeak.engine import zoo
from photopeak.engine.errors import DeviceError, ModelError
from photopeak.engine.fidelity import Fidelity, deviation, fidelity_loss_db
from photopeak.engine.head_fidelity import changed_finding, golden_heads_run, head_deviation, probability_change
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.plan import Plan, Request, choose
from photopeak.engine.providers import Target, find


@pytest.mark.parametrize(
    ("shift", "loss"), [(0.0, 0.0), (-0.5, 20 * np.log10(2)), (-1.0, 20 * np.log10(3)), (0.4, 0.0)]
)
def test_loss_is_the_ratio_of_squared_errors(bundle_factory, shift, loss):
    """The truth is the output + 0.5, so a shift of -0.5 doubles the error; an improvement is no loss."""
    bundle = bundle_factory("anscombe")
    output = bundle.golden.output + np.float32(shift)
    assert fidelity_loss_db(bundle, output) == pytest.approx(loss, abs=1e-3)
    assert deviation(bundle, output) == pytest.approx(abs(shift) / bundle.golden.output.max(), rel=1e-5)


def test_graph_that_does_not_give_its_golden_output_is_not_run(bundle_factory, graph_of):
    bundle = bundle_factory("smooth", model=graph_of("brightened").SerializeToString())
    with pytest.raises(
        ModelError, match=r"onnxruntime fp32 on cpu: its output differs from the golden one by .* of the peak"
    ):
        choose(bundle, Request(device="cpu", precision="fp32"))


def test_provider_that_cannot_prepare_is_passed_over(bundle_factory, monkeypatch):
    """A machine with an NVIDIA driver but without CUDA libraries must still work."""
    onnxruntime = find("onnxruntime")
    monkeypatch.setattr(type(onnxruntime), "check", lambda self, target: "")
    monkeypatch.setattr(type(onnxruntime), "prepare", _without_cuda)
    plan, _ = choose(bundle_factory(), Request(precision="fp32"))
    assert (plan.provider, plan.device) == ("openvino", "cpu")
    assert "onnxruntime fp32 on cuda: libcublasLt.so.13 is missing" in plan.reason
    with pytest.raises(DeviceError, match="libcublasLt"):
        choose(bundle_factory(), Request(device="cuda"))


def _without_cuda(self, graph, target):
    raise DeviceError("libcublasLt.so.13 is missing.")


def test_plan_says_what_was_passed_over(bundle_factory):
    plan, _ = choose(bundle_factory(), Request(threads=1))
    if plan.device == "cpu":
        assert "; cuda: " in plan.reason or " on cuda: " in plan.reason
    assert plan.threads == 1
    assert plan.provider_version


def test_plan_with_the_reference_says_whose_threads_it_has(bundle_factory):
    """NumPy's library takes no number of threads for one call."""
    plan, _ = choose(bundle_factory(), Request(provider="reference", threads=1))
    assert "its threads are those of NumPy's own library" in plan.reason
    plan, _ = choose(bundle_factory(), Request(provider="onnxruntime", device="cpu", threads=1))
    assert "NumPy" not in plan.reason


class Stub:
    """A provider that gives what the reference gives, and notes what it is asked for."""

    remark = ""

    def __init__(self, name, offers, tried, problem=""):
        self.name, self.offers, self._tried, self._problem = name, offers, tried, problem

    def version(self):
        return "1"

    def check(self, target):
        if (target.kind, target.precision) not in self.offers:
            return "not offered"
        return self._problem

    def graph(self, target):
        return "fp32"

    def prepare(self, graph, target):
        self._tried.append((self.name, target.precision))
        return find("reference").prepare(graph, Target())


ALL_CPU = tuple(("cpu", precision) for precision in ("fp32", "bf16", "fp16", "int8"))
ALL_CUDA = tuple(("cuda", precision) for precision in ("fp32", "bf16", "fp16"))


@pytest.fixture
def stubs(monkeypatch):
    """Return ``stubs(driver=True)``: the providers of a machine that has everything, and the list of what is tried."""

    def make(driver=True, capable=ALL_CPU):
        tried, problem = [], "" if driver else "there is no NVIDIA driver"
        known = {
            name: Stub(name, ALL_CUDA, tried, problem) for name in ("tensorrt", "tensorrt-rtx", "onnxruntime-tensorrt")
        }
        known["onnxruntime"] = Stub("onnxruntime", (*ALL_CPU, *(ALL_CUDA if driver else ())), tried)
        known["openvino"] = Stub("openvino", capable, tried)
        monkeypatch.setattr(plans, "find", known.__getitem__)
        monkeypatch.setattr(plans, "PROVIDERS", tuple(known.values()))
        return tried

    return make


def losing(losses, bundle, runnable, similarity):
    return Fidelity(losses.pop(0), 0.0, 0.0, 1.0, (), ())


@pytest.mark.parametrize(
    ("admitted", "losses", "expected"),
    [
        (0.05, [0.02], [("openvino", "bf16")]),
        (0.05, [0.06, 0.02], [("openvino", "bf16"), ("openvino", "fp16")]),
        (0.1, [0.07], [("openvino", "int8")]),
        (0.06, [0.07, 0.02], [("openvino", "int8"), ("openvino", "bf16")]),
        (
            0.06,
            [0.07, 0.09, 0.08],
            [("openvino", "int8"), ("openvino", "bf16"), ("openvino", "fp16"), ("openvino", "fp32")],
        ),
    ],
)
def test_fastest_arithmetic_that_may_be_admitted_is_tried_first(
    bundle_factory, stubs, monkeypatch, admitted, losses, expected
):
    """Where no more than 0.05 dB are admitted no graph of int8 is worth the time of looking at it."""
    bundle = bundle_factory("brightened")
    monkeypatch.setitem(bundle.contents, "int8.npz", b"")  # a graph of int8, which the stubs do not look at
    tried = stubs(driver=False)
    monkeypatch.setattr(plans, "measure_fidelity", partial(losing, list(losses)))
    plan, _ = choose(bundle, Request(max_loss_db=admitted, threads=1))
    assert tried == expected
    assert (plan.provider, plan.precision) == expected[-1]
    for name, precision in expected[:-1]:
        assert f"{name} {precision} on cpu: loses" in plan.reason


def test_schemes_of_int8_that_are_damaged_are_passed_over(bundle_factory, monkeypatch):
    bundle = bundle_factory("brightened")
    monkeypatch.setitem(bundle.contents, "int8.npz", b"damaged")
    plan, _ = choose(bundle, Request(device="cpu", provider="onnxruntime", max_loss_db=1.0, threads=1))
    assert plan.precision == "fp32"
    assert "int8.npz holds no schemes" in plan.reason


def test_bundle_without_a_graph_of_int8_is_not_asked_for_it(bundle_factory, stubs, monkeypatch):
    tried = stubs(driver=False)
    monkeypatch.setattr(plans, "measure_fidelity", partial(measured_as, 0.0))
    plan, _ = choose(bundle_factory("brightened"), Request(max_loss_db=1.0))
    assert tried == [("openvino", "bf16")]
    assert "int8" not in plan.reason


def test_gpu_comes_first_and_its_engines_before_its_kernels(bundle_factory, stubs, monkeypatch):
    tried = stubs()
    monkeypatch.setattr(plans, "measure_fidelity", partial(losing, [0.2, 0.2, 0.2, 0.2]))
    plan, _ = choose(bundle_factory("brightened"), Request())
    engines = ["tensorrt", "tensorrt-rtx", "onnxruntime-tensorrt"]
    assert tried == [*((name, "fp16") for name in (*engines, "onnxruntime")), ("onnxruntime", "fp32")]
    assert (plan.provider, plan.precision, plan.device) == ("onnxruntime", "fp32", "cuda")


def test_reason_that_several_share_is_told_once(bundle_factory, stubs, monkeypatch):
    stubs(driver=False)
    monkeypatch.setattr(plans, "measure_fidelity", partial(measured_as, 0.0))
    plan, _ = choose(bundle_factory("brightened"), Request())
    assert plan.reason.count("there is no NVIDIA driver") == 1
    assert (
        "; tensorrt fp16, tensorrt-rtx fp16, onnxruntime-tensorrt fp16 on cuda: there is no NVIDIA driver; "
        in plan.reason
    )


def test_reason_of_a_whole_device_names_the_device_alone(bundle_factory, stubs, monkeypatch):
    stubs(driver=False)
    monkeypatch.setattr(Stub, "check", lambda self, target: "no driver" if target.is_cuda else "")
    monkeypatch.setattr(plans, "measure_fidelity", partial(measured_as, 0.0))
    plan, _ = choose(bundle_factory("brightened"), Request())
    assert plan.reason == "openvino bf16 on cpu, the first choice that runs here; cuda: no driver"


@pytest.mark.parametrize("provider", ["onnxruntime", "openvino", "reference"])
def test_named_provider_is_taken(bundle_factory, provider):
    plan, _ = choose(bundle_factory(), Request(provider=provider, device="cpu", precision="fp32"))
    assert (plan.provider, plan.precision, plan.loss_db) == (provider, "fp32", 0.0)
    assert "as asked" in plan.reason


def measured_as(loss_db, bundle, runnable, similarity):
    return Fidelity(loss_db, 0.0, 0.0, 1.0, (), ())


def test_precision_that_loses_too_much_is_not_taken(bundle_factory, monkeypatch):
    openvino = find("openvino")
    monkeypatch.setattr(type(openvino), "check", lambda self, target: "")
    monkeypatch.setattr(plans, "measure_fidelity", partial(measured_as, 0.06))
    plan, _ = choose(bundle_factory(), Request(device="cpu"))
    assert (plan.provider, plan.precision) == ("openvino", "fp32")
    assert "openvino bf16, openvino fp16 on cpu: loses 0.060 dB against fp32, 0.05 dB are admitted" in plan.reason
    with pytest.raises(ModelError, match=r"loses 0\.060 dB"):
        choose(bundle_factory(), Request(device="cpu", precision="bf16", provider="openvino"))


def test_loss_that_is_not_a_number_is_not_taken(bundle_factory, monkeypatch):
    monkeypatch.setattr(type(find("openvino")), "check", lambda self, target: "")
    monkeypatch.setattr(plans, "measure_fidelity", partial(measured_as, float("nan")))
    with pytest.raises(ModelError, match="loses nan dB"):
        choose(bundle_factory(), Request(device="cpu", precision="bf16", provider="openvino"))


def test_admitted_loss_is_in_the_plan(bundle_factory):
    if reason := find("openvino").check(Target("cpu", "bf16")):
        pytest.skip(reason)
    plan, _ = choose(bundle_factory(), Request(device="cpu", precision="bf16", max_loss_db=3))
    assert plan.precision == "bf16"
    assert 0 <= plan.loss_db <= 3


def test_nothing_else_is_taken_for_what_was_asked(bundle_factory):
    with pytest.raises(DeviceError, match="reference fp16 on cpu: reference has fp32 on cpu, not fp16"):
        choose(bundle_factory(), Request(device="cpu", provider="reference", precision="fp16"))


@pytest.mark.parametrize(
    ("matrix", "batch", "tile"),
    [("64", 16, 0), ("128", 4, 0), ("256", 1, 0), ("1024x256", 1, 0), ("2048", 1, 0), ("2048x2049", 1, 1024)],
)
def test_batch_and_tile_follow_the_matrix(matrix, batch, tile):
    plan = Plan("onnxruntime", "1", "cpu", "fp32", 1, 0.0, "").for_matrix(MatrixSize.parse(matrix))
    assert (plan.batch, plan.tile) == (batch, tile)


def test_arithmetic_tells_what_decides_on_the_values():
    plan = Plan("openvino", "1", "cpu", "fp32", 2, 0.0, "", batch=4, streams=2, tuned=True, median_ms=1.0)
    assert plan.arithmetic == "openvino fp32 on cpu"
    lossy = replace(plan, precision="int8", probability_change=0.00312, tile=256)
    assert lossy.arithmetic == "openvino int8 on cpu in tiles of 256, probabilities within 0.0031 of fp32"


def scaled(bundle, name, factor):
    """Return the golden heads with one of them scaled."""
    golden = bundle.golden_heads.heads
    return {**golden, name: golden[name] * np.float32(factor)}


@pytest.mark.parametrize("task", MODELS)
@pytest.mark.parametrize("provider", ["onnxruntime", "openvino", "reference"])
def test_finder_runs_where_it_gives_its_golden_heads(tmp_path, task, provider):
    bundle = write_finder(tmp_path / "bundle", task)
    plan, runnable = choose(bundle, Request(provider=provider, device="cpu", precision="fp32"))
    assert (plan.provider, plan.loss_db, plan.probability_change) == (provider, 0.0, 0.0)
    heads = golden_heads_run(bundle, runnable)
    assert head_deviation(bundle, heads)[0] < 1e-5
    assert probability_change(bundle, heads) < 1e-5
    assert changed_finding(bundle, heads) == ""


@pytest.mark.parametrize("head", ["heat", "box", "cam", "embedding"])
def test_finder_with_another_golden_head_is_not_run(tmp_path, head):
    truth = MODELS["detection"].truth(make_images("detection"))
    bundle = write_finder(tmp_path / "bundle", "detection", golden={head: truth[head] * np.float32(1.01)})
    with pytest.raises(ModelError, match=rf"its head '{head}' differs from the golden one by .* of the peak"):
        choose(bundle, Request(device="cpu", precision="fp32"))


def test_difference_of_a_head_is_relative_to_its_own_peak(tmp_path):
    bundle = write_finder(tmp_path / "bundle", "classification")
    difference, name = head_deviation(bundle, scaled(bundle, "cam", 1.25))
    assert (pytest.approx(difference, rel=1e-5), name) == (0.25, "cam")
    assert head_deviation(bundle, scaled(bundle, "cam", np.nan)) == (np.inf, "cam")
    with pytest.raises(ModelError, match=r"'cam' is \(1, 2, 8, 8\) and not"):
        head_deviation(bundle, {**bundle.golden_heads.heads, "cam": np.zeros((1, 2, 8, 8), np.float32)})


def test_change_of_probability_is_that_of_two_classes(tmp_path):
    """Of two classes the probability is the logistic function of the difference of their logits over the temperature."""
    bundle = write_finder(tmp_path / "bundle", "classification")
    logits = bundle.golden_heads.heads["logits"][:, :, 0, 0].astype(float)
    half = (logits[:, 0] - logits[:, 1]) / 1.5 / 2
    for factor in (0.8, 1.5):
        expected = np.abs(np.tanh(factor * half) - np.tanh(half)).max() / 2
        assert probability_change(bundle, scaled(bundle, "logits", factor)) == pytest.approx(expected, rel=1e-4)
        assert expected > 0.01
        assert "probabilities change by" in changed_finding(bundle, scaled(bundle, "logits", factor))


def test_lesion_that_vanishes_or_moves_is_another_finding(tmp_path):
    """The threshold lies just below the least of the peaks, so that a small change of the heat hides it."""
    truth = MODELS["detection"].truth(make_images("detection"))
    least = 1 / (1 + np.exp(-truth["heat"].max(axis=(1, 2, 3)).min() / 1.5))
    analysis = make_manifest("detection").analysis.model_dump() | {"threshold": float(least) - 1e-4}
    bundle = write_finder(tmp_path / "bundle", "detection", analysis=analysis)
    assert changed_finding(bundle, scaled(bundle, "heat", 0.9999)) == ""
    assert "lesions in golden frame" in changed_finding(bundle, scaled(bundle, "heat", 0.999))
    moved = bundle.golden_heads.heads["box"] + np.array([1.5, 0, 0, 0], np.float32)[:, None, None]
    assert "lesions in golden frame 1" in changed_finding(bundle, {**bundle.golden_heads.heads, "box": moved})


def test_embedding_that_leaves_its_domain_is_another_finding(tmp_path):
    bundle = write_finder(tmp_path / "bundle", "detection")
    assert changed_finding(bundle, scaled(bundle, "embedding", 1.01)) == ""
    assert "another part of the training domain" in changed_finding(bundle, scaled(bundle, "embedding", 1e5))
    assert "another part of the training domain" in changed_finding(bundle, scaled(bundle, "embedding", np.nan))


def test_precision_that_finds_something_else_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(type(find("openvino")), "check", lambda self, target: "")
    monkeypatch.setattr(plans, "changed_finding", lambda bundle, heads: "probabilities change by 0.020 against fp32")
    bundle = write_finder(tmp_path / "bundle", "detection")
    plan, _ = choose(bundle, Request(device="cpu"))
    assert (plan.provider, plan.precision, plan.probability_change) == ("openvino", "fp32", 0.0)
    assert "openvino bf16 on cpu: probabilities change by 0.020" in plan.reason
    with pytest.raises(ModelError, match=r"probabilities change by 0\.020"):
        choose(bundle, Request(device="cpu", precision="bf16", provider="openvino"))


def test_change_of_probability_is_in_the_plan(tmp_path, monkeypatch):
    if reason := find("openvino").check(Target("cpu", "bf16")):
        pytest.skip(reason)
    monkeypatch.setattr(plans, "changed_finding", lambda bundle, heads: "")
    bundle = write_finder(tmp_path / "bundle", "classification")
    plan, runnable = choose(bundle, Request(device="cpu", precision="bf16", provider="openvino"))
    assert plan.loss_db == 0.0
    assert plan.probability_change == pytest.approx(probability_change(bundle, golden_heads_run(bundle, runnable)))
    assert f"changes probabilities by at most {plan.probability_change:.4f} and no finding" in plan.reason


def test_precision_that_is_asked_for_is_run_by_the_library_that_is_fast_with_it():
    if reason := find("openvino").check(Target("cpu", "int8")):
        pytest.skip(reason)
    plan, _ = choose(zoo.load_bundle("scint-denoise"), Request(device="cpu", precision="int8", max_loss_db=0.1))
    assert (plan.provider, plan.precision) == ("openvino", "int8")
    assert 0 < plan.loss_db <= 0.1
