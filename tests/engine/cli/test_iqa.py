import csv
import json

import numpy as np
import pytest
from PIL import Image as Picture

from photopeak import kernels
from photopeak.engine.quality import images


@pytest.fixture
def body(tmp_path):
    """The path of two frames of counts, 128 x 128."""
    y, x = np.mgrid[:128, :128]
    mean = 4 + 40 * np.exp(-((x - 60) ** 2 + (y - 70) ** 2) / 900)
    path = tmp_path / "body.npy"
    np.save(path, np.random.default_rng(5).poisson(np.stack([mean, mean / 2])).astype(np.uint16))
    return path


def test_table_has_scores_window_and_file(photopeak, body):
    code, out, err = photopeak("iqa", body, "--metrics", "niqe,piqe")
    assert (code, err) == (0, "")
    niqe = kernels.niqe(np.load(body)).values
    assert all(f"{value:.4f}" in out for value in niqe)
    assert "counts 0 to" in out
    assert "body.npy" in out
    assert "lower is better" in out


def test_json_holds_everything_to_repeat_a_score(photopeak_json, body):
    found = photopeak_json("iqa", body, "--metrics", "niqe,brisque,piqe")
    (image,) = found["images"]
    assert (image["matrix"], image["modality"], found["failed"]) == ("128x128", "OT", [])
    expected = kernels.niqe(np.load(body))
    for i, frame in enumerate(image["frames"]):
        score = frame["scores"]["niqe"]
        assert frame["frame"] == i + 1
        assert score["score"] == expected.values[i]
        assert (score["model"], score["rule"], score["window"]) == ("live", "canonical", "counts")
        assert (score["low"], score["high"]) == (0, expected.intensity.high[i])
        assert frame["scores"]["piqe"]["activity_fraction"] >= 0


def test_dicom_is_scored_in_physical_units(photopeak_json, dicom_factory):
    (path,) = dicom_factory("whole-body", matrix=(256, 128))
    (image,) = photopeak_json("iqa", path, "--metrics", "niqe", "--window", "0:20")["images"]
    assert (image["modality"], image["units"]) == ("NM", "CNTS")
    assert [frame["scores"]["niqe"]["window"] for frame in image["frames"]] == ["window", "window"]
    assert [frame["frame"] for frame in image["frames"]] == [1, 2]


def test_folder_of_dicom_becomes_a_csv(photopeak, dicom_factory, tmp_path):
    dicom_factory("pet", folder="scans", frames=5)
    dicom_factory("static", folder="scans/static", matrix=(128, 128))
    code, _, err = photopeak("iqa", tmp_path / "scans", "--metrics", "niqe,piqe", "--csv", tmp_path / "scores.csv")
    assert (code, err) == (0, "")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (5 + 1) * 2
    assert len({row["file"] for row in rows}) == 6
    assert {row["reason"] for row in rows if row["metric"] == "niqe"} == {"", "too-small"}


def test_reference_adds_comparisons(photopeak_json, body, tmp_path):
    np.save(tmp_path / "truth.npy", np.load(body)[0])
    (image,) = photopeak_json("iqa", body, "--reference", tmp_path / "truth.npy")["images"]
    first, second = (frame["scores"] for frame in image["frames"])
    assert list(first) == ["niqe", "brisque", "piqe", "psnr", "ssim"]
    assert first["ssim"]["score"] == 1
    assert second["ssim"]["score"] < 0.9
    assert second["psnr"]["data_range"] == np.ptp(np.load(body)[0])


def test_data_range_is_taken_as_given(photopeak_json, body):
    words = ("--reference", body, "--metrics", "psnr,ssim", "--data-range", 500)
    (image,) = photopeak_json("iqa", body, *words)["images"]
    assert image["frames"][0]["scores"]["ssim"]["data_range"] == 500


def test_colour_pictures_and_masks(photopeak_json, tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    Picture.fromarray(rgb).save(tmp_path / "photo.png")
    mask = np.zeros((128, 128), np.uint8)
    mask[:, :112] = 255
    Picture.fromarray(mask).save(tmp_path / "mask.png")
    words = ("--metrics", "piqe", "--mask", tmp_path / "mask.png")
    (image,) = photopeak_json("iqa", tmp_path / "photo.png", *words)["images"]
    assert image["frames"][0]["scores"]["piqe"]["window"] == "identity"


def test_file_that_fails_is_a_sentence_and_exit_code_7(photopeak, body, tmp_path):
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    code, out, err = photopeak("iqa", tmp_path / "broken.npy", body, "--metrics", "piqe", "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == 7
    assert "1 of 2 images failed" in found["error"]
    assert [failed["file"] for failed in found["failed"]] == [str(tmp_path / "broken.npy")]
    assert len(found["images"]) == 1
    assert err.count("broken.npy") >= 1


def test_only_file_that_fails_has_its_own_exit_code(photopeak, tmp_path):
    code, _, err = photopeak("iqa", tmp_path / "gone.dcm")
    assert code == 3
    assert err.count("\n") == 1
    assert "gone.dcm" in err


@pytest.mark.parametrize(
    ("words", "expected", "named"),
    [
        (("--metrics", "beauty"), 2, "beauty"),
        (("--metrics", "psnr"), 2, "--reference"),
        (("--window", "bright"), 2, "bright"),
        (("--window", "9:1"), 2, "9:1"),
        (("--model", "piqe=x"), 2, "piqe=x"),
        (("--metrics", "ma"), 4, "forests"),
        (("--metrics", "pi", "--ma-model", "nothing.mat"), 4, "nothing.mat"),
        (("--metrics", "niqe", "--model", "niqe=nothing.npz"), 4, "nothing.npz"),
        (("--reference", "nothing.npy"), 3, "nothing.npy"),
        (("--metrics", "psnr", "--reference", "SMALL"), 3, "SMALL"),
    ],
)
def test_wrong_options_are_one_sentence(photopeak, body, tmp_path, monkeypatch, words, expected, named):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "SMALL.npy", np.ones((8, 8)))
    words = [f"{word}.npy" if word == "SMALL" else word for word in words]
    code, out, err = photopeak("iqa", body, *words, "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == expected
    assert named in found["error"]
    assert "Traceback" not in err


def test_report_is_one_page_without_names_of_dicom_files(photopeak, dicom_factory, body, tmp_path):
    (path,) = dicom_factory("static", matrix=(128, 128), folder="Zborowska^Jane")
    report = tmp_path / "quality.html"
    code, out, err = photopeak("iqa", path, body, "--report", report)
    assert (code, err) == (0, "")
    assert str(report) in out.replace("\n", "")
    page = report.read_text("utf-8")
    assert "body.npy" in page
    assert "Zborowska" not in page
    assert path.name not in page


def test_many_frames_are_summarised(photopeak, tmp_path):
    np.save(tmp_path / "long.npy", np.random.default_rng(0).poisson(20, (61, 32, 32)))
    code, out, _ = photopeak("iqa", tmp_path / "long.npy", "--metrics", "piqe")
    assert code == 0
    assert "long.npy, 61 frames: medians" in out
    assert f"{np.median(kernels.piqe(np.load(tmp_path / 'long.npy')).values):.4f}" in out


def test_json_tells_of_the_images_before_an_interruption(photopeak, body, tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.npy" for i in range(3)]
    for path in paths:
        path.write_bytes(body.read_bytes())
    load, calls = images.npy_pixels, []

    def interrupted(path, limits):
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return load(path, limits)

    monkeypatch.setattr(images, "npy_pixels", interrupted)
    code, out, err = photopeak("iqa", *paths, "--metrics", "piqe", "--threads", 1, "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == 130
    assert [image["source"] for image in found["images"]] == [str(path) for path in paths[:2]]
    assert "interrupted" in err
