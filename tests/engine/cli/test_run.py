import json
from pathlib import Path

import numpy as np
import pytest

from photopeak.engine import zoo


@pytest.fixture
def flood(tmp_path):
    path = tmp_path / "flood.npy"
    np.save(path, np.random.default_rng(0).poisson(9, (2, 64, 96)).astype(np.uint16))
    return path


def test_run_writes_and_tells(photopeak, flood, tmp_path):
    code, out, err = photopeak("run", "scint-denoise", flood, "-o", tmp_path / "out", "--threads", 1)
    assert (code, err) == (0, "")
    assert "scint-denoise" in out
    assert "plan " in out
    assert np.load(tmp_path / "out" / "flood_scint-denoise.npy").shape == (2, 64, 96)


def test_json_is_complete(photopeak_json, flood, tmp_path):
    found = photopeak_json("run", "scint-sr-x2", flood, "-o", tmp_path / "out", "--threads", 1)
    (item,) = found["outcomes"]
    assert item["matrix"] == "64x96"
    assert item["output_matrix"] == "128x192"
    assert [Path(path).exists() for path in item["outputs"]] == [True]
    assert item["model"]["digest"] == zoo.load_bundle("scint-sr-x2").digest
    assert item["plan"]["threads"] == 1
    assert max(map(abs, item["conservation"]["bias"])) < 1e-5
    assert {"read", "check", "stage", "infer", "finish", "write"} == set(item["timings_ms"])
    assert item["domain"]["verdict"] in ("inside", "border", "outside")
    assert found["report"] is None


def test_dicom_in_dicom_out_with_report(photopeak_json, dicom_factory, tmp_path):
    (source,) = dicom_factory("whole-body")
    found = photopeak_json("run", "scint-denoise", source, "-o", tmp_path / "out", "--report")
    (item,) = found["outcomes"]
    assert item["frames"] == 2
    assert all(path.endswith(".dcm") for path in item["outputs"])
    assert "<html" in Path(found["report"]).read_text()


def test_missing_file_is_bad_input(photopeak, tmp_path):
    code, out, err = photopeak("run", "scint-denoise", tmp_path / "nothing.dcm", "-o", tmp_path / "out")
    assert (code, out) == (3, "")
    assert err.count("\n") == 1
    assert "nothing.dcm" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_unknown_model_is_a_model_error(photopeak, flood, tmp_path):
    code, _, err = photopeak("run", "scint-dream", flood, "-o", tmp_path)
    assert code == 4
    assert "scint-denoise" in err


def test_reference_in_bf16_is_a_device_error(photopeak, flood, tmp_path):
    options = ("--provider", "reference", "--precision", "bf16", "--device", "cpu")
    code, _, err = photopeak("run", "scint-denoise", flood, "-o", tmp_path, *options)
    assert code == 5
    assert "not bf16 on cpu" in err


@pytest.mark.parametrize(
    "words",
    [
        ("run", "scint-denoise"),
        ("run", "scint-denoise", "x.dcm"),
        ("run", "--frobnicate"),
        ("frobnicate",),
        ("run", "scint-denoise", "x.dcm", "-o", "y", "--threads", "many"),
        ("run", "scint-denoise", "x.dcm", "-o", "y", "--precision", "fp8"),
        ("run", "scint-denoise", "x.dcm", "-o", "y", "--device", "gpu"),
    ],
)
def test_wrong_usage_is_exit_code_2(photopeak, words):
    code, _, err = photopeak(*words)
    assert code == 2
    assert "Traceback" not in err


def test_debug_shows_the_traceback(photopeak, tmp_path):
    code, _, err = photopeak("run", "scint-denoise", tmp_path / "nothing.dcm", "-o", tmp_path, "--debug")
    assert code == 3
    assert "Traceback" in err


def test_one_bad_series_of_two_is_exit_code_7(photopeak, flood, dicom_factory, tmp_path):
    (ct, *_) = dicom_factory("ct")
    code, out, err = photopeak("run", "scint-denoise", flood, ct, "-o", tmp_path / "out", "--json")
    assert code == 7
    outcomes = json.loads(out)["outcomes"]
    assert sum("error" in outcome for outcome in outcomes) == 1
    assert "1 of 2 series failed" in err
    assert (tmp_path / "out" / "flood_scint-denoise.npy").exists()


def test_output_folder_that_is_a_file_is_an_error(photopeak, flood, tmp_path):
    (tmp_path / "out").write_text("I am a file")
    code, _, err = photopeak("run", "scint-denoise", flood, "-o", tmp_path / "out")
    assert code == 3
    assert "out" in err
    assert (tmp_path / "out").read_text() == "I am a file"


@pytest.mark.parametrize("command", ["run", "models", "info", "validate", "doctor", "demo", "train", "bench"])
def test_every_command_has_help_with_an_example(photopeak, command):
    code, out, _ = photopeak(command, "--help")
    assert code == 0
    assert f"photopeak {command}" in out.replace("Usage: ", "", 1)
    assert "Example" in out
