import json
import re

import pytest

from analysis_models import write_finder
from measured_plans import measured, table
from photopeak.engine import tuned
from photopeak.engine.tuned import store
from photopeak.engine.zoo import load_bundle

QUICK = ("--budget", "0.2", "--threads", "1")


@pytest.fixture(autouse=True)
def wide_and_alone(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("photopeak.engine.bystanders.Bystanders.share", lambda self: 0.0)


def test_tuned_plan_is_told_and_kept(bundle_factory, photopeak):
    bundle = bundle_factory()
    code, out, err = photopeak("tune", bundle.folder, "--matrix", "64", "--frames", "1,2", *QUICK)
    assert (code, err) == (0, "")
    assert "test-model: fastest plans" in out
    assert re.search(r"64x64 +1 +[0-9.]+ +[0-9.]+ +0\.\d{3} +[0-9.]+x +\d+ +\w+ ", out)
    code, out, _ = photopeak("plan", bundle.folder, "--matrix", "64", "--frames", "2", "--threads", "1")
    assert code == 0
    assert "Measured at 64x64, 2 frames" in out
    assert out.count("chosen: ") == 1


def test_json_holds_every_candidate_with_its_verdict(bundle_factory, photopeak_json):
    bundle = bundle_factory()
    found = photopeak_json("tune", bundle.folder, "--matrix", "64", "--frames", "1", *QUICK)
    (model,) = found["models"]
    assert (model["model"], model["digest"]) == ("test-model", bundle.digest)
    (cell,) = model["tables"]
    assert (cell["matrix"], cell["frames"]) == ("64x64", 1)
    chosen = [one for one in cell["candidates"] if one["chosen"]]
    assert len(chosen) == 1
    assert chosen[0]["median_ms"] == cell["chosen"]["median_ms"]
    assert all(one["reason"] for one in cell["candidates"])
    told = photopeak_json("plan", bundle.folder, "--matrix", "64", "--threads", "1")["plans"][0]
    assert told["plan"]["tuned"] is True
    assert told["plan"]["median_ms"] == cell["chosen"]["median_ms"]
    assert len(told["measured"]["candidates"]) == len(cell["candidates"])


def test_several_models_are_tuned_one_after_the_other(bundle_factory, tmp_path, photopeak_json):
    finder = write_finder(tmp_path / "finder", "classification")
    found = photopeak_json("tune", bundle_factory().folder, finder.folder, "--matrix", "64", "--frames", "1", *QUICK)
    assert [model["model"] for model in found["models"]] == ["test-model", finder.name]
    assert found["models"][1]["tables"][0]["chosen"] is not None


def test_plan_says_why_each_candidate_was_passed_over(bundle_factory, photopeak):
    bundle = bundle_factory()
    slow = measured(provider="openvino", median_ms=5.0, runs=3)
    lossy = measured(provider="openvino", precision="bf16", median_ms=0.5, loss_db=0.4)
    absent = [measured(device="cuda", precision=one, runs=0, problem="there is no driver") for one in ("fp32", "fp16")]
    store(table(bundle.digest, measured(), slow, lossy, *absent))
    code, out, _ = photopeak("plan", bundle.folder, "--matrix", "64", "--device", "cpu")
    assert code == 0
    assert "onnxruntime fp32 on cpu, 1 thread: the fastest of 3 measured at 64x64, 1 frame, 2.00 ms" in out
    assert "2.50 times the time of onnxruntime fp32 on cpu, 1 thread; given up early" in out
    assert "loses 0.400 dB, 0.05 are admitted" in out
    assert re.search(r"onnxruntime fp32, fp16 on cuda +there is no driver", out)


def test_reasons_can_be_read_on_a_narrow_terminal(bundle_factory, photopeak, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    bundle = bundle_factory()
    store(table(bundle.digest, measured(), measured(provider="openvino", precision="bf16", loss_db=0.4)))
    code, out, _ = photopeak("plan", bundle.folder, "--matrix", "64", "--device", "cpu")
    assert code == 0
    assert re.search(r"openvino +bf16 +1 +1 +2\.00 +3\.00 +1\.00 +0\.400", out)
    assert re.search(r"onnxruntime fp32 on cpu, 1 thread +chosen: the fastest that is", out)
    assert re.search(r"openvino bf16 on cpu, 1 thread +loses 0\.400 dB", out)


def test_plan_without_a_table_says_how_to_tune(bundle_factory, photopeak, photopeak_json):
    bundle = bundle_factory()
    code, out, _ = photopeak("plan", bundle.folder, "--matrix", "128")
    assert code == 0
    assert "'photopeak tune test-model --matrix 128x128'" in out
    told = photopeak_json("plan", bundle.folder, "--matrix", "64,128")
    assert [(plan["matrix"], plan["plan"]["tuned"], plan["measured"]) for plan in told["plans"]] == [
        ("64x64", False, None),
        ("128x128", False, None),
    ]


def test_other_programs_are_told_of(bundle_factory, photopeak, monkeypatch):
    bundle = bundle_factory()
    monkeypatch.setattr("photopeak.engine.bystanders.Bystanders.share", lambda self: 0.42)
    code, _, err = photopeak("tune", bundle.folder, "--matrix", "64", "--frames", "1", *QUICK)
    assert code == 0
    assert "test-model: other programs used 42% of the processors while 64x64, 1 frame, 1 thread was measured" in err
    _, out, _ = photopeak("plan", bundle.folder, "--matrix", "64", "--threads", "1")
    assert "other programs used 42% of the processors" in out


def test_doctor_tells_for_which_matrices_plans_were_measured(photopeak_json):
    store(table(load_bundle("scint-denoise").digest, measured(), matrix=(1024, 256)))
    details = {finding["name"]: finding["detail"] for finding in photopeak_json("doctor")}
    assert details["scint-denoise"].endswith(", plans measured for 1024x256")
    assert details["pet-denoise"].endswith(", plans not measured")


def test_tables_that_cannot_be_kept_are_told_on_standard_error(bundle_factory, photopeak, plans_folder, monkeypatch):
    file = plans_folder / "file"
    file.write_text("")
    monkeypatch.setattr(tuned, "cache_folder", lambda: file)
    code, out, err = photopeak("tune", bundle_factory().folder, "--matrix", "64", "--frames", "1", *QUICK)
    assert code == 0
    assert "fastest plans" in out
    assert "Measured plans cannot be kept" in err


@pytest.mark.parametrize(
    "words",
    [
        ("tune", "--matrix", "0"),
        ("tune", "--frames", "one"),
        ("tune", "--frames", "0"),
        ("tune", "--threads", "-1"),
        ("tune", "--budget", "0"),
        ("tune", "--max-loss-db", "-1"),
        ("plan", "--matrix", "64y"),
        ("plan", "--frames", "0"),
        ("plan", "--precision", "fp8"),
    ],
)
def test_wrong_values_are_usage_errors(bundle_factory, photopeak, words):
    command, *options = words
    code, out, err = photopeak(command, bundle_factory().folder, *options)
    assert code == 2
    assert out == ""
    assert err.startswith("photopeak: ")


def test_unknown_model_is_an_error_in_json_too(photopeak):
    code, out, _ = photopeak("tune", "scint-dream", "--json")
    assert code == 4
    assert "scint-dream" in json.loads(out)["error"]
