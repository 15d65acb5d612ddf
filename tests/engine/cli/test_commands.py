import json
import os
import signal
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from analysis_models import write_finder
from photopeak.engine import zoo
from photopeak.engine.cli import app
from photopeak.engine.errors import DeviceError
from photopeak.engine.providers.onnxruntime import OnnxRuntime
from photopeak.engine.providers.openvino import OpenVino


def test_models_lists_the_zoo(photopeak, photopeak_json):
    assert [model["name"] for model in photopeak_json("models")] == list(zoo.names())
    code, out, _ = photopeak("models")
    assert code == 0
    assert all(name in out for name in zoo.names())


@pytest.mark.parametrize("model", zoo.names())
def test_info_shows_the_card(photopeak, photopeak_json, model):
    found = photopeak_json("info", model)
    assert found["card"] == zoo.load_bundle(model).card
    code, out, _ = photopeak("info", model)
    assert code == 0
    assert found["digest"] in out.replace("\n", "")


@pytest.mark.parametrize(("task", "words"), [("detection", "lesions"), ("classification", "2 classes")])
def test_models_of_findings_are_listed_shown_and_validated(
    photopeak, photopeak_json, monkeypatch, tmp_path, task, words
):
    bundle = write_finder(tmp_path / "zoo" / "test-finder", task)
    monkeypatch.setattr(zoo, "HOME", tmp_path / "zoo")
    (listed,) = photopeak_json("models")
    assert (listed["task"], listed["analysis"]["threshold"], listed["output"]) == (task, 0.5, None)
    assert words in photopeak("models")[1]
    assert photopeak_json("info", "test-finder")["digest"] == bundle.digest
    assert photopeak_json("validate", "test-finder")["valid"] is True
    assert (zoo.names("findings"), zoo.names("images")) == (("test-finder",), ())


def test_validate_accepts_a_good_bundle(photopeak_json, bundle_factory):
    found = photopeak_json("validate", bundle_factory().folder)
    assert found["valid"] is True


def test_validate_refuses_a_tampered_bundle(photopeak, bundle_factory):
    folder = bundle_factory().folder
    (folder / "model.onnx").write_bytes(b"other")
    code, out, err = photopeak("validate", folder)
    assert code == 4
    assert "FAILED" in out
    assert "1 of 1 checks failed" in err


def test_validate_tells_programs_the_checks_and_the_error(photopeak, bundle_factory):
    folder = bundle_factory().folder
    (folder / "model.onnx").write_bytes(b"other")
    code, out, err = photopeak("validate", folder, "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == 4
    assert found["valid"] is False
    assert found["checks"]
    assert found["error"] in err


def test_doctor_gives_reasons(photopeak_json):
    findings = photopeak_json("doctor")
    assert {finding["part"] for finding in findings} >= {"machine", "native code", "providers", "models"}
    by_name = {finding["name"]: finding for finding in findings}
    assert by_name["onnxruntime fp32 on cpu"]["works"] is True
    assert by_name["onnxruntime fp32 on cuda"]["detail"]
    assert all(finding["detail"] for finding in findings)


def test_doctor_names_libraries_that_are_missing_or_broken(photopeak_json, monkeypatch):
    def missing(self):
        raise DeviceError("ONNX Runtime is not installed; run pip install onnxruntime-gpu.")

    def broken(self, target):
        raise ImportError("libopenvino.so: cannot open shared object file")

    monkeypatch.setattr(OnnxRuntime, "version", missing)
    monkeypatch.setattr(OpenVino, "check", broken)
    by_name = {finding["name"]: finding for finding in photopeak_json("doctor")}
    assert by_name["onnxruntime fp32 on cpu"]["works"] is False
    assert "not installed" in by_name["onnxruntime fp32 on cpu"]["detail"]
    assert by_name["openvino fp32 on cpu"]["works"] is False
    assert "ImportError: libopenvino.so" in by_name["openvino fp32 on cpu"]["detail"]
    assert by_name["reference fp32 on cpu"]["works"] is True


def test_command_that_cannot_be_loaded_says_why_and_leaves_the_others(photopeak, photopeak_json, monkeypatch):
    broken = EntryPoint("shine", "no_such_package.cli:shine", "photopeak.commands")
    monkeypatch.setattr(app, "entry_points", lambda group: [broken])
    assert photopeak_json("models")
    code, out, _ = photopeak("--help")
    assert code == 0
    assert "shine" in out
    code, _, err = photopeak("shine", "brightly", "--for", "hours")
    assert code == 5
    assert "photopeak shine cannot be loaded" in err
    assert "no_such_package" in err
    assert err.count("\n") == 1


def test_help_lists_all_exit_codes(photopeak):
    _, out, _ = photopeak("--help")
    words = " ".join(out.split())
    assert all(f" {code} " in words for code in (0, 1, 2, 3, 4, 5, 6, 7, 130, 143))


def test_demo_processes_the_real_bone_scan(photopeak_json, tmp_path):
    found = photopeak_json("demo", "-o", tmp_path / "demo")
    denoised, enlarged = found["outcomes"]
    assert denoised["matrix"] == denoised["output_matrix"] == enlarged["matrix"] == "1024x256"
    assert enlarged["output_matrix"] == "2048x512"
    assert any("loss" in warning for warning in denoised["warnings"])
    assert found["report"] == str(tmp_path / "demo" / "report.html")


def test_version_is_that_of_the_package(photopeak):
    code, out, _ = photopeak("--version")
    assert (code, out.split()[0]) == (0, "photopeak")


def test_unexpected_error_is_one_sentence(photopeak, monkeypatch):
    def broken():
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(app, "build", lambda: lambda args: broken())
    code, _, err = photopeak("models")
    assert code == 1
    assert "unexpected ZeroDivisionError" in err
    assert "Traceback" not in err


def test_an_error_of_the_file_system_is_one_sentence_about_the_file(photopeak, monkeypatch):
    def broken():
        raise PermissionError(13, "Permission denied", "/protected/c.csv")

    monkeypatch.setattr(app, "build", lambda: lambda args: broken())
    code, _, err = photopeak("models")
    assert code == 3
    assert err.startswith("photopeak: /protected/c.csv: cannot be read or written (Permission denied)")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
@pytest.mark.parametrize(
    ("words", "code"), [(("models",), 3), (("models", "--json"), 3), (("info", "no", "--json"), 4)]
)
def test_standard_output_that_is_full_is_one_sentence(words, code):
    run = [sys.executable, "-c", "from photopeak.engine.cli import main; main()", *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == code
    assert "No space left on device" in done.stderr or code == 4
    assert done.stderr.startswith("photopeak: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_termination_undoes_what_is_under_way(photopeak, bundle_factory, monkeypatch, as_json):
    def ended(folder):
        os.kill(os.getpid(), signal.SIGTERM)
        yield from ()

    monkeypatch.setattr("photopeak.engine.validation.validate", ended)
    code, out, err = photopeak("validate", bundle_factory().folder, *["--json"] * as_json)
    assert (code, err) == (143, "photopeak: terminated; what was written before is complete.\n")
    assert not as_json or json.loads(out)["exit_code"] == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_second_termination_does_not_cut_undoing_short(photopeak, bundle_factory, monkeypatch):
    undone = []

    def ended(folder):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            yield from ()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            undone.append(folder)

    monkeypatch.setattr("photopeak.engine.validation.validate", ended)
    code, _, _ = photopeak("validate", bundle_factory().folder)
    assert (code, len(undone)) == (143, 1)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_that_are_no_text_and_poor_terminals_stop_nothing(tmp_path, encoding):
    folder = tmp_path / "studies"
    folder.mkdir()
    np.save(folder / os.fsdecode(b"n\xfe.npy"), np.random.default_rng(0).poisson(20, (64, 64)).astype(np.uint16))
    run = [sys.executable, "-c", "from photopeak.engine.cli import main; main()"]
    words = ("iqa", "studies", "--csv", "scores.csv", "--report", "page.html")
    for end in ([], ["--json"]):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run([*run, *words, *end], cwd=tmp_path, capture_output=True, env=environment, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["images"][0]["frames"][0]["file"] == "studies/n\udcfe.npy"
    assert "n\\udcfe.npy" in (tmp_path / "scores.csv").read_text()
    assert "n\\udcfe.npy" in (tmp_path / "page.html").read_text()


def test_help_imports_no_inference_library():
    script = (
        "import sys\nfrom photopeak.engine.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'onnxruntime', 'openvino', 'onnx', 'plotly', 'numpy', 'numba', 'PIL'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_short_commands_import_no_markdown_and_no_numpy():
    script = "import sys, photopeak.engine.cli; print(sorted({'numpy', 'rich.markdown'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
