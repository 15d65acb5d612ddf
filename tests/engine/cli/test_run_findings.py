import json

import numpy as np
import pytest

from analysis_models import write_finder
from photopeak.engine.cli import main

CPU = ["--device", "cpu", "--precision", "fp32", "--provider", "onnxruntime", "--threads", "1"]


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    return write_finder(tmp_path_factory.mktemp("finder"), "detection").folder


@pytest.fixture(scope="module")
def sorter(tmp_path_factory):
    return write_finder(tmp_path_factory.mktemp("sorter"), "classification").folder


@pytest.fixture
def run(capfd, monkeypatch):
    """Return a function that runs the command line and returns exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(*words):
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def phases(dicom_factory):
    study = {"StudyInstanceUID": "1.2.3"}
    return [
        dicom_factory("static", seed=seed, folder=f"in/{seed}", tags=study | {"AcquisitionTime": time})[0]
        for seed, time in ((1, "093000"), (2, "113000"))
    ]


def test_findings_are_told_to_people(run, finder, phases, tmp_path):
    code, out, _ = run("run", finder, *phases, "-o", tmp_path / "out", *CPU, "--report")
    assert code == 0
    assert "Findings: adenoma, from 0.5 on" in out
    assert f"early {phases[0].name} 64x64, late {phases[1].name} 64x64" in out
    assert (tmp_path / "out" / "report.html").exists()


def test_findings_are_told_to_programs(run, finder, phases, tmp_path):
    code, out, _ = run("run", finder, *phases, "-o", tmp_path / "out", *CPU, "--json", "--threshold", "0.9")
    assert code == 0
    (said,) = json.loads(out)["outcomes"]
    assert said["threshold"] == 0.9
    assert all(lesion["score"] >= 0.9 and len(lesion["box_mm"]) == 4 for lesion in said["frames"][0]["detections"])
    assert all((tmp_path / "out").samefile(str(path).rpartition("/")[0]) for path in said["outputs"])


def test_the_wrong_order_is_told_of(run, finder, phases, tmp_path):
    code, out, err = run("run", finder, *reversed(phases), "-o", tmp_path / "out", *CPU, "--json")
    assert code == 3
    assert "give them the other way round" in err
    assert json.loads(out)["exit_code"] == 3


@pytest.mark.parametrize("option", [["--iqa"], ["--max-loss-db", "0.05"]])
def test_options_for_images_are_refused(run, finder, phases, tmp_path, option):
    code, _, err = run("run", finder, *phases, "-o", tmp_path / "out", *CPU, *option)
    assert code == 2
    assert f"{option[0]} means nothing to test-finder, which gives findings and no images" in err


@pytest.mark.parametrize(
    "option", [["--threshold", "0.5"], ["--phase", "late"], ["--pixel-mm", "2"], ["--regions", "chest"]]
)
def test_options_for_findings_are_refused(run, phases, tmp_path, option):
    code, _, err = run("run", "scint-denoise", phases[0], "-o", tmp_path / "out", *option)
    assert code == 2
    assert f"{option[0]} means nothing to scint-denoise, which gives images and no findings" in err


def test_classes_are_told_with_regions(run, sorter, phases, tmp_path):
    np.save(tmp_path / "map.npy", np.eye(64, dtype=np.uint8))
    words = ["--regions", tmp_path / "map.npy", "--threshold", "0.99", "--report"]
    code, out, _ = run("run", sorter, phases[0], "-o", tmp_path / "out", *CPU, *words)
    assert code == 0
    assert "Findings: PA from 0.99 on" in out
    assert "Where the evidence lies" in out
    assert "region 1" in out
    assert "region 1" in (tmp_path / "out" / "report.html").read_text()


def test_a_phase_alone_is_named(run, finder, tmp_path):
    np.save(tmp_path / "neck.npy", np.random.default_rng(0).poisson(5, (64, 64)))
    words = ["run", finder, tmp_path / "neck.npy", "-o", tmp_path / "out", *CPU, "--pixel-mm", "2.5"]
    code, _, err = run(*words)
    assert code == 3
    assert "add --phase early or --phase late" in err
    code, out, _ = run(*words, "--phase", "late")
    assert code == 0
    assert "early absent, late neck.npy 64x64" in out
    assert "Only the late phase was given" in out


def test_what_is_not_valid_is_said_so(run, phases, tmp_path):
    bundle = write_finder(tmp_path / "bundle", "classification")
    analysis = bundle.manifest.analysis.model_dump()
    analysis["embedding"] |= {"limits": [1e-6, 2e-6]}
    narrow = write_finder(tmp_path / "narrow", "classification", analysis=analysis).folder
    code, out, _ = run("run", narrow, phases[0], "-o", tmp_path / "out", *CPU)
    assert code == 0
    assert "not valid for this image" in out
