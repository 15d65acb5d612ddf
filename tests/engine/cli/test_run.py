import gc
import json
import weakref
from pathlib import Path

import numpy as np
import pytest

from photopeak import kernels
from photopeak.engine import zoo
from photopeak.engine.session import Session


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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "scint-denoise", "nothing.dcm", "-o", "out"), 3),
        (("run", "scint-dream", "nothing.dcm", "-o", "out"), 4),
        (("run", "scint-denoise"), 2),
        (("info", "scint-dream"), 4),
    ],
)
def test_error_is_one_json_object_for_programs_and_a_sentence_for_people(photopeak, words, expected):
    code, out, err = photopeak(*words, "--json")
    found = json.loads(out)
    assert found.keys() == {"error", "exit_code"}
    assert code == found["exit_code"] == expected
    assert found["error"].split()[0] in err


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
    found = json.loads(out)
    assert sum("error" in outcome for outcome in found["outcomes"]) == 1
    assert found["exit_code"] == 7
    assert found["error"] in err
    assert "1 of 2 series failed" in err
    assert (tmp_path / "out" / "flood_scint-denoise.npy").exists()


def test_output_folder_that_is_a_file_is_an_error(photopeak, flood, tmp_path):
    (tmp_path / "out").write_text("I am a file")
    code, _, err = photopeak("run", "scint-denoise", flood, "-o", tmp_path / "out")
    assert code == 3
    assert "out" in err
    assert (tmp_path / "out").read_text() == "I am a file"


@pytest.fixture
def floods(flood, tmp_path):
    """Return the paths of three arrays."""
    paths = [tmp_path / f"flood-{i}.npy" for i in range(3)]
    for path in paths:
        path.write_bytes(flood.read_bytes())
    return paths


@pytest.fixture
def alive(monkeypatch):
    """Return a list that gets, at the start of each run, the number of earlier outputs that are still in memory."""
    run, known, found = Session.run, [], []

    def watched(self, frames, progress=None):
        gc.collect()
        found.append(sum(pixels() is not None for pixels in known))
        result = run(self, frames, progress)
        known.extend((weakref.ref(frames.pixels), weakref.ref(result.frames.pixels)))
        return result

    monkeypatch.setattr(Session, "run", watched)
    return found


@pytest.mark.parametrize(
    ("options", "expected"), [((), [0, 0, 0]), (("--json",), [0, 0, 0]), (("--report",), [0, 2, 4])]
)
def test_only_a_report_keeps_pixels(photopeak, floods, tmp_path, alive, options, expected):
    code, _, err = photopeak("run", "scint-denoise", *floods, "-o", tmp_path / "out", *options)
    assert (code, err) == (0, "")
    assert alive == expected


@pytest.fixture
def third_breaks(monkeypatch):
    """Make the third run end in an error that nobody expects, or in the one given to the returned function."""
    run, errors, calls = Session.run, [ZeroDivisionError("division by zero")], []

    def broken(self, frames, progress=None):
        calls.append(frames.source)
        if len(calls) == 3:
            raise errors[-1]
        return run(self, frames, progress)

    monkeypatch.setattr(Session, "run", broken)
    return errors.append


def test_series_are_told_of_as_they_end(photopeak, floods, tmp_path, third_breaks):
    code, out, err = photopeak("run", "scint-denoise", *floods, "-o", tmp_path / "out")
    assert code == 1
    assert "flood-0.npy: scint-denoise" in out
    assert "flood-1.npy: scint-denoise" in out
    assert "unexpected ZeroDivisionError" in err


@pytest.mark.parametrize(
    ("error", "expected", "word"),
    [(ZeroDivisionError("division by zero"), 1, "ZeroDivisionError"), (KeyboardInterrupt(), 130, "interrupted")],
)
def test_json_tells_of_the_series_before_an_unexpected_end(
    photopeak, floods, tmp_path, third_breaks, error, expected, word
):
    third_breaks(error)
    code, out, err = photopeak("run", "scint-denoise", *floods, "-o", tmp_path / "out", "--json")
    found = json.loads(out)
    assert [outcome["source"] for outcome in found["outcomes"]] == ["flood-0.npy", "flood-1.npy"]
    assert code == found["exit_code"] == expected
    assert word in found["error"]
    assert found["error"] in err


def test_interrupt_is_a_sentence_too(photopeak, floods, tmp_path, third_breaks):
    third_breaks(KeyboardInterrupt())
    code, _, err = photopeak("run", "scint-denoise", *floods, "-o", tmp_path / "out")
    assert code == 130
    assert err.startswith("photopeak: interrupted")


def test_failed_series_are_told_of(photopeak, flood, dicom_factory, tmp_path):
    (ct, *_) = dicom_factory("ct")
    _, out, _ = photopeak("run", "scint-denoise", flood, ct, "-o", tmp_path / "out")
    assert "takes CNTS" in " ".join(out.split())


def test_help_says_what_brackets_would_hide(photopeak):
    _, out, _ = photopeak("run", "--help")
    words = " ".join(out.replace("│", " ").split())
    assert "admitted, in dB." in words
    assert "keeps all series in memory" in words


@pytest.mark.parametrize(
    "command",
    ["run", "iqa", "mtf", "nps", "models", "info", "validate", "doctor", "demo", "warmup", "train", "bench"],
)
def test_every_command_has_help_with_an_example(photopeak, command):
    code, out, _ = photopeak(command, "--help")
    assert code == 0
    assert f"photopeak {command}" in out.replace("Usage: ", "", 1)
    assert "Example" in out


def test_iqa_scores_before_and_after_in_table_json_and_report(photopeak, photopeak_json, tmp_path):
    np.save(tmp_path / "body.npy", np.random.default_rng(0).poisson(9, (2, 128, 96)))
    words = ("run", "scint-denoise", tmp_path / "body.npy", "-o", tmp_path / "out", "--iqa")
    found = photopeak_json(*words, "--report")
    scores = found["outcomes"][0]["iqa"]
    assert [(score["metric"], score["frame"]) for score in scores] == [
        (metric, frame) for frame in (1, 2) for metric in ("niqe", "brisque", "piqe")
    ]
    niqe = next(score for score in scores if score["metric"] == "niqe")
    before, after = np.load(tmp_path / "body.npy")[0], np.load(tmp_path / "out" / "body_scint-denoise.npy")[0]
    window = (niqe["low"], niqe["high"])
    assert niqe["before"] == float(kernels.niqe(before.astype(np.float32), window=window))
    assert niqe["after"] == float(kernels.niqe(after, window=window))
    code, out, _ = photopeak(*words)
    assert code == 0
    assert f"{niqe['before']:.4f}" in out
    page = Path(found["report"]).read_text("utf-8")
    assert f">{niqe['before']:.3f}<" in page
    assert "through the same window" in page


def test_nothing_is_scored_unless_asked_for(photopeak_json, flood, tmp_path):
    (item,) = photopeak_json("run", "scint-denoise", flood, "-o", tmp_path / "out")["outcomes"]
    assert item["iqa"] is None
