import subprocess
import sys

import pytest

from photopeak.engine import zoo
from photopeak.engine.cli import app


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


def test_doctor_gives_reasons(photopeak_json):
    findings = photopeak_json("doctor")
    assert {finding["part"] for finding in findings} >= {"machine", "native code", "providers", "models"}
    by_name = {finding["name"]: finding for finding in findings}
    assert by_name["onnxruntime fp32 on cpu"]["works"] is True
    assert by_name["onnxruntime fp32 on cuda"]["detail"]
    assert all(finding["detail"] for finding in findings)


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


def test_help_imports_no_inference_library():
    script = (
        "import sys\nfrom photopeak.engine.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'onnxruntime', 'openvino', 'onnx', 'plotly'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
