import numpy as np
import pytest

from photopeak.engine import plan as plans
from photopeak.engine.errors import DeviceError, ModelError
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.plan import Plan, Request, choose, deviation, fidelity_loss_db
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
        assert "onnxruntime fp32 on cuda: " in plan.reason
    assert plan.threads == 1
    assert plan.provider_version


@pytest.mark.parametrize("provider", ["onnxruntime", "openvino", "reference"])
def test_named_provider_is_taken(bundle_factory, provider):
    plan, _ = choose(bundle_factory(), Request(provider=provider, device="cpu", precision="fp32"))
    assert (plan.provider, plan.precision, plan.loss_db) == (provider, "fp32", 0.0)
    assert "as asked" in plan.reason


def test_precision_that_loses_too_much_is_not_taken(bundle_factory, monkeypatch):
    openvino = find("openvino")
    monkeypatch.setattr(type(openvino), "check", lambda self, target: "")
    monkeypatch.setattr(plans, "fidelity_loss_db", lambda bundle, output: 0.06)
    plan, _ = choose(bundle_factory(), Request(device="cpu"))
    assert (plan.provider, plan.precision) == ("openvino", "fp32")
    assert "openvino bf16 on cpu: loses 0.060 dB against fp32, 0.05 dB are admitted" in plan.reason
    with pytest.raises(ModelError, match=r"loses 0\.060 dB"):
        choose(bundle_factory(), Request(device="cpu", precision="bf16", provider="openvino"))


def test_loss_that_is_not_a_number_is_not_taken(bundle_factory, monkeypatch):
    monkeypatch.setattr(type(find("openvino")), "check", lambda self, target: "")
    monkeypatch.setattr(plans, "fidelity_loss_db", lambda bundle, output: float("nan"))
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
