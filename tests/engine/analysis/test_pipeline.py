import io
import json

import numpy as np
import pydicom
import pytest
from PIL import Image

from analysis_models import write_finder
from photopeak.engine.analysis.pipeline import Options, analyse, write_analysis
from photopeak.engine.errors import InputError, PartialError, UsageError
from photopeak.engine.failures import Failure
from photopeak.engine.frames import Units
from photopeak.engine.pipeline import process
from photopeak.engine.session import load
from photopeak.engine.writing import write

CPU = {"device": "cpu", "precision": "fp32", "provider": "onnxruntime", "threads": 1}
GREY = {"name": "image", "units": Units.NONE, "multiple": 8, "scaling": "robust", "grid": {"kind": "fit", "side": 32}}
THORAX = {
    "name": "image",
    "units": Units.COUNTS,
    "multiple": 8,
    "grid": {"kind": "thorax", "side": 32, "pitch_mm": 9.0},
}


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    return load(write_finder(tmp_path_factory.mktemp("finder"), "detection"), **CPU)


@pytest.fixture(scope="module")
def xray(tmp_path_factory):
    return load(
        write_finder(tmp_path_factory.mktemp("xray"), "classification", modalities=("CR", "DX"), input=GREY), **CPU
    )


@pytest.fixture
def phases(dicom_factory):
    """Return the folder of an early and a late image of one study, and both files."""
    study = {"StudyInstanceUID": "1.2.3"}
    paths = [
        dicom_factory(
            "static", seed=seed, folder=f"in/{seed}", matrix=(64, 64), tags=study | {"AcquisitionTime": time}
        )[0]
        for seed, time in ((1, "093000"), (2, "113000"))
    ]
    return paths[0].parents[1], *paths


def test_phases_give_a_report_pictures_and_json(finder, phases, tmp_path):
    _, early, late = phases
    (done,) = analyse([early, late], tmp_path / "out", finder)
    stem = f"{late.stem}_test-finder"
    assert {path.name for path in done.paths} >= {f"{stem}.json", f"{stem}.png", f"{stem}_report.dcm"}
    assert all(path.exists() for path in done.paths)
    said = json.loads((tmp_path / "out" / f"{stem}.json").read_text())
    assert said["sources"] == {"early": early.name, "late": late.name}
    assert said["reference"] == "late"
    assert pydicom.dcmread(tmp_path / "out" / f"{stem}_report.dcm").Modality == "SR"
    with Image.open(tmp_path / "out" / f"{stem}.png") as picture:
        assert picture.size == (1024, 512)
    assert set(done.result.timings_ms) == {"prepare", "infer", "decode", "write"}


def test_json_gives_boxes_in_pixels_and_millimetres(finder, phases, tmp_path):
    _, early, late = phases
    (done,) = analyse([early, late], tmp_path, finder, Options(threshold=0.01))
    (frame,) = json.loads(done.paths[0].read_text())["frames"]
    lesions = done.result.detections[0]
    assert len(frame["detections"]) == len(lesions) > 0
    for said, lesion in zip(frame["detections"], lesions, strict=True):
        assert said["score"] == lesion.score >= 0.01
        assert said["box_px"] == pytest.approx(lesion.box, abs=1e-3)
        scaled = np.array(said["box_px"]).reshape(2, 2) * (4.8, 4.0)
        assert said["box_mm"] == pytest.approx(scaled.ravel(), abs=0.01)
        assert said["box_px_of"]["early"] == pytest.approx(lesion.box, abs=1e-3)
    assert (frame["valid"], frame["note"], frame["view"]) == (True, "", "anterior")


def test_a_folder_of_two_patients_gives_two_results(finder, phases, dicom_factory, tmp_path):
    folder = phases[0]
    other = {"StudyInstanceUID": "1.2.4", "PatientID": "B", "PatientName": "B"}
    for seed, time in ((3, "090000"), (4, "110000")):
        dicom_factory("static", seed=seed, folder=f"in/{seed}", tags=other | {"AcquisitionTime": time})
    found = list(analyse(folder, tmp_path / "out", finder))
    assert len(found) == 2
    for done in found:
        headers = [source.instances[0].header for source in done.result.sources]
        assert len({header.PatientID for header in headers}) == 1


def test_an_examination_that_is_not_clear_does_not_stop_the_others(finder, phases, dicom_factory, tmp_path):
    folder = phases[0]
    dicom_factory(
        "static",
        seed=9,
        folder="in/9",
        tags={"StudyInstanceUID": "1.2.9", "PatientID": "C", "RadiopharmaceuticalInformationSequence": None},
    )
    found = list(analyse(folder, tmp_path / "out", finder))
    assert sorted(isinstance(one, Failure) for one in found) == [False, True]
    with pytest.raises(PartialError, match="1 of 2 images failed"):
        process(folder, tmp_path / "again", model=finder.bundle, **CPU)


def test_findings_outside_the_domain_are_said_to_be_invalid(phases, tmp_path):
    bundle = write_finder(tmp_path / "bundle", "detection")
    analysis = bundle.manifest.analysis.model_dump()
    analysis["embedding"] |= {"limits": [1e-6, 2e-6]}
    session = load(write_finder(tmp_path / "narrow", "detection", analysis=analysis), **CPU)
    (done,) = analyse(phases[1:], tmp_path / "out", session, Options(threshold=0.01))
    said = json.loads(done.paths[0].read_text())
    assert said["valid"] is False
    assert said["frames"][0]["note"] == "not valid for this image"
    assert said["frames"][0]["domain"]["verdict"] == "outside"


def test_radiographs_come_as_dicom_and_as_pictures(xray, dicom_factory, tmp_path):
    picture = tmp_path / "chest.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 70), dtype=np.uint8)).save(picture)
    found = list(analyse([dicom_factory("cr")[0], picture], tmp_path / "out", xray))
    assert [one.result.reference.modality for one in found] == ["CR", "OT"]
    for done in found:
        said = json.loads(done.paths[0].read_text())["frames"][0]
        assert said["finding"] in ("AP", "PA")
        assert sum(said["probabilities"].values()) == pytest.approx(1)
        assert said["score"] == pytest.approx(said["probabilities"]["PA"])
        assert (said["finding"] == "PA") == (said["score"] >= 0.5)
    assert {path.name for path in found[1].paths} == {"chest_test-finder.json", "chest_test-finder.png"}


def test_evidence_is_divided_among_regions(xray, dicom_factory, tmp_path):
    path = dicom_factory("cr", matrix=(64, 48))[0]
    labels = np.zeros((64, 48), np.uint8)
    labels[:32] = 1
    np.save(tmp_path / "upper.npy", labels)
    (done,) = analyse(path, tmp_path / "out", xray, Options(regions=tmp_path / "upper.npy"))
    said = json.loads(done.paths[0].read_text())["frames"][0]["regions"]
    cam = done.result.cam[0, done.result.found()[0]]
    assert [row["energy"] for row in said] == pytest.approx(
        [cam[32:].sum() / cam.sum(), cam[:32].sum() / cam.sum()], rel=1e-4
    )


def test_a_chest_has_six_regions(xray, dicom_factory, tmp_path):
    (done,) = analyse(dicom_factory("cr", matrix=(128, 128))[0], tmp_path / "out", xray, Options(regions="chest"))
    assert {row.name for row in done.regions[0]} <= {
        "elsewhere",
        "right upper",
        "right middle",
        "right lower",
        "left upper",
        "left middle",
        "left lower",
    }
    assert sum(row.energy for row in done.regions[0]) == pytest.approx(1)


def test_a_chest_is_looked_for_in_radiographs_alone(finder, phases, tmp_path):
    with pytest.raises(UsageError, match="--regions chest means nothing to test-finder"):
        list(analyse(phases[1:], tmp_path / "out", finder, Options(regions="chest")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("threshold", [0.0, 1.5, float("nan")])
def test_a_threshold_that_is_no_probability_is_told_of_once(finder, tmp_path, threshold):
    with pytest.raises(UsageError, match="is no probability"):
        list(analyse(tmp_path / "never-looked-at", tmp_path / "out", finder, Options(threshold=threshold)))


def test_values_and_units_are_looked_at_before_the_ribs(tmp_path, dicom_factory):
    ribs = write_finder(tmp_path / "bundle", "classification", input=THORAX)
    np.save(tmp_path / "nan.npy", np.full((256, 64), np.nan, np.float32))
    for path, said in ((tmp_path / "nan.npy", "holds NaN"), (dicom_factory("ct")[0], "CT values in units HU")):
        (failed,) = analyse(path, tmp_path / "out", load(ribs, **CPU), Options(pixel_mm=4.0))
        assert said in str(failed.error)


def test_every_frame_has_a_result(tmp_path, dicom_factory):
    session = load(write_finder(tmp_path / "bundle", "classification"), **CPU)
    (done,) = analyse(dicom_factory("whole-body")[0], tmp_path / "out", session)
    frames = json.loads(done.paths[0].read_text())["frames"]
    assert [(frame["frame"], frame["view"]) for frame in frames] == [(1, "anterior"), (2, "posterior")]
    assert {path.suffix for path in done.paths} == {".json", ".png", ".dcm"}
    assert sum(path.suffix == ".png" for path in done.paths) == 2


def test_spacing_can_be_given(finder, tmp_path):
    np.save(tmp_path / "late.npy", np.random.default_rng(0).poisson(9, (64, 64)))
    (failed,) = analyse(tmp_path / "late.npy", tmp_path / "out", finder)
    assert "has no pixel spacing" in str(failed.error)
    assert not (tmp_path / "out").exists()
    (done,) = analyse(tmp_path / "late.npy", tmp_path / "out", finder, Options(pixel_mm=2.5))
    assert done.result.reference.pixel_spacing_mm == (2.5, 2.5)


def test_process_takes_paths_and_gives_paths(finder, phases, tmp_path):
    paths = process(list(phases[1:]), tmp_path / "out", model=finder.bundle, threshold=0.3, **CPU)
    assert all(path.exists() for path in paths)
    assert json.loads(paths[0].read_text())["threshold"] == 0.3


def test_process_refuses_what_means_nothing_to_a_model(phases, tmp_path):
    with pytest.raises(UsageError, match="knows no threshold"):
        process(phases[1], tmp_path / "out", model="scint-denoise", threshold=0.3, **CPU)


def test_write_writes_findings_and_never_over_what_is_there(finder, phases, tmp_path):
    (done,) = analyse(phases[1:], tmp_path / "out", finder)
    again = write(done.result, tmp_path / "out")
    assert not {path.name for path in again} & {path.name for path in done.paths}
    assert len(again) == len(done.paths)


def test_a_folder_that_cannot_be_written_keeps_nothing(finder, phases, tmp_path):
    (done,) = analyse(phases[1:], tmp_path / "out", finder)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be written"):
        write_analysis(done.result, tmp_path / "file")


def test_json_holds_no_patient(finder, phases, tmp_path):
    (done,) = analyse(phases[1:], tmp_path / "out", finder)
    text = done.paths[0].read_text()
    assert "PHANTOM-1" not in text
    assert "Phantom" not in text


@pytest.mark.parametrize("inputs", [[], ["missing.dcm"]])
def test_what_is_not_there_is_told_of(finder, inputs, tmp_path):
    with pytest.raises((InputError, UsageError)):
        list(analyse(inputs, tmp_path / "out", finder))


def test_phases_mean_nothing_to_models_of_one_image(xray, dicom_factory, tmp_path):
    with pytest.raises(UsageError, match="knows no phases"):
        list(analyse(dicom_factory("cr"), tmp_path, xray, Options(phase="late")))


def test_pictures_of_findings_are_whole(finder, phases, tmp_path):
    (done,) = analyse(phases[1:], tmp_path / "out", finder)
    data = next(path for path in done.paths if path.suffix == ".png").read_bytes()
    assert np.asarray(Image.open(io.BytesIO(data))).shape == (512, 1024, 3)
