"""Which files are written, what is refused before anything is computed, and what is said in numbers and words."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from known_bodies import BALL_ML, ball, coil, reconstruction
from photopeak.engine.cli.console import plain
from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.reconstruction.outputs import Targets, write_outputs
from photopeak.engine.reconstruction.summary import described, spelled


@pytest.fixture
def shape(dicom_factory):
    """Return the ball, as if its views had come from two DICOM objects."""
    (first,) = dicom_factory("static")
    (second,) = dicom_factory("static", seed=1, tags={"StudyInstanceUID": pydicom.dcmread(first).StudyInstanceUID})
    found = reconstruction("shape")
    headers = tuple(pydicom.dcmread(path, stop_before_pixels=True) for path in (first, second))
    return replace(found, measured=replace(found.measured, sources=(first, second), datasets=headers, frames=(1, 1)))


def test_shape_becomes_five_files(shape, tmp_path):
    out = tmp_path / "out"
    targets = Targets(out / "a.nii.gz", out / "a.stl", dicom=out / "dicom")
    targets.check(shape.measured, "shape")
    paths = write_outputs(shape, targets)
    expected = ["a.nii.gz", "a.stl", "volume.dcm", "segmentation.dcm", "surface.dcm"]
    assert [path.name for path in paths] == expected
    assert sorted(path.name for path in out.rglob("*.*")) == sorted(expected)
    image = nibabel.load(paths[0])
    assert image.get_fdata().sum() * ball().grid.voxel_ml == pytest.approx(BALL_ML, rel=0.005)


def test_wires_become_voxels_surface_and_polylines(tmp_path):
    found = reconstruction("curve")
    targets = Targets(tmp_path / "a.nii", tmp_path / "a.ply", tmp_path / "a.json")
    targets.check(found.measured, "curve")
    write_outputs(found, targets)
    assert len(json.loads((tmp_path / "a.json").read_text())["curves"]) == 2
    filled = float(nibabel.load(tmp_path / "a.nii").get_fdata().sum()) * found.grid.voxel_ml
    assert filled == pytest.approx(found.volume_ml, rel=0.1)
    assert (tmp_path / "a.ply").read_bytes().startswith(b"ply")


def test_failure_leaves_nothing_behind(tmp_path):
    nothing = reconstruction("curve", solution=replace(coil(), curves=()))
    with pytest.raises(InputError, match="no wire"):
        write_outputs(nothing, Targets(tmp_path / "a.nii", tmp_path / "a.stl"))
    assert list(tmp_path.iterdir()) == []


def test_interruption_stands_in_the_header(tmp_path):
    write_outputs(reconstruction("volume"), Targets(tmp_path / "a.nii"))
    assert b"INTERRUPTED" in nibabel.load(tmp_path / "a.nii").header["descrip"].item()


@pytest.mark.parametrize(
    ("method", "targets", "words"),
    [
        ("shape", {"volume": Path("a.mha")}, r"a\.mha: -o writes"),
        ("shape", {"mesh": Path("a.obj")}, r"a\.obj: --mesh writes"),
        ("shape", {"curve": Path("a.json")}, "--curve writes the wires"),
        ("curve", {"curve": Path("a.csv")}, r"a\.csv: --curve writes"),
        ("curve", {"dicom": Path("new")}, "--mesh too"),
        ("shape", {"report": Path("x/../o.nii")}, "one file"),
        ("shape", {"volume": Path("a.nii"), "report": Path("a.npy")}, r"a\.npy: this is one of the views"),
    ],
)
def test_wrong_targets_are_refused_at_once(method, targets, words):
    found = reconstruction(method)
    with pytest.raises(UsageError, match=words):
        Targets(**{"volume": Path("o.nii"), **targets}).check(found.measured, method)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ({"volume": Path("folder.nii")}, r"folder\.nii: this is a folder"),
        ({"report": Path("file/a.html")}, r"file/a\.html: cannot be written \(Not a directory\)"),
        ({"mesh": Path("file/new/a.stl")}, r"a\.stl: cannot be written"),
    ],
)
def test_places_that_take_no_file_are_refused_at_once(tmp_path, monkeypatch, targets, words):
    monkeypatch.chdir(tmp_path)
    Path("folder.nii").mkdir()
    Path("file").touch()
    with pytest.raises((UsageError, InputError), match=words):
        Targets(**{"volume": Path("o.nii"), **targets}).check(reconstruction("shape").measured, "shape")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.nii"]


def test_dicom_objects_replace_no_view_and_no_result(shape, tmp_path):
    view = tmp_path / "volume.dcm"
    view.touch()
    measured = replace(shape.measured, sources=(view, shape.measured.sources[1]))
    with pytest.raises(UsageError, match=r"volume\.dcm: this is one of the views"):
        Targets(tmp_path / "a.nii", dicom=tmp_path).check(measured, "shape")
    with pytest.raises(UsageError, match="one file"):
        Targets(tmp_path / "a.nii", dicom=tmp_path / "a.nii").check(shape.measured, "shape")


def test_file_that_cannot_be_written_leaves_the_others_unwritten(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"a\.stl: cannot be written"):
        write_outputs(reconstruction("shape"), Targets(tmp_path / "a.nii", tmp_path / "file" / "a.stl"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_broken_header_is_named_and_nothing_is_written(shape, tmp_path):
    first, second = shape.measured.datasets
    broken = pydicom.Dataset()
    broken.update(first)
    broken.file_meta = first.file_meta
    broken.add_new("PatientSex", "CS", "WHO")
    found = replace(shape, measured=replace(shape.measured, datasets=(broken, second)))
    with pytest.raises(InputError, match=r"\.dcm: "):
        write_outputs(found, Targets(tmp_path / "out" / "a.nii", dicom=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_dicom_needs_dicom(tmp_path):
    with pytest.raises(InputError, match="not DICOM"):
        Targets(Path("a.nii"), dicom=tmp_path).check(reconstruction("shape").measured, "shape")


def test_dicom_needs_a_folder(shape, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="takes a folder"):
        Targets(Path("a.nii"), dicom=tmp_path / "file").check(shape.measured, "shape")


def test_numbers_are_json():
    for method in ("shape", "volume", "curve"):
        found = json.loads(json.dumps(plain(described(reconstruction(method))), allow_nan=False))
        assert found["method"] == method
        assert found["steps"] == 8
        assert found["residual_chi2"] == pytest.approx([1, 1], abs=0.1)
    assert found["curves"][0]["certain"] == pytest.approx(0.8, abs=0.01)
    # A helix of two turns, and half a ring of 1.5 mm that goes half round.
    assert found["volume_ml"] * 1000 == pytest.approx(
        np.pi * 0.25**2 * (2 * np.hypot(4 * np.pi, 1.2) + 1.5 * np.pi), rel=0.01
    )


def test_places_rather_likely_than_sure_are_not_called_certain():
    """Of what the command calls certain, the study of coils counts how much is right."""
    from photopeak.exporters.evaluation.coil_study import CERTAIN

    one = coil().curves[1]
    halves = np.repeat(np.float32([CERTAIN - 0.01, CERTAIN]), (30, 31))
    found = reconstruction("curve", solution=replace(coil(), curves=(replace(one, certainty=halves),)))
    assert described(found)["curves"][0]["certain"] == pytest.approx(31 / 61)
    assert "51 % certain" in dict(spelled(found))["wire 1"]


def test_interval_is_the_spread_of_the_repetitions_around_the_fit():
    found = reconstruction("shape", volumes_ml=np.arange(101.0))
    assert described(found)["interval_ml"] == pytest.approx((BALL_ML - 47.5, BALL_ML + 47.5))
    assert described(found)["shift_ml"] == pytest.approx(50 - BALL_ML)
    assert "65.6 to 160.6 with counting noise" in dict(spelled(found))["volume"]
    assert described(reconstruction("shape"))["shift_ml"] is None


def test_words_hold_warnings_and_facts():
    rows = spelled(reconstruction("shape", warnings=("Depth is uncertain.",)))
    assert ("warning", "Depth is uncertain.") in rows
    assert ("shift of view 2", "1.2 mm, from the data") in rows
    assert dict(spelled(reconstruction("curve", solution=replace(coil(), curves=()))))["wires"] == "none found"


def test_volume_of_a_volume_is_that_above_half_of_its_peak():
    assert reconstruction("volume").volume_ml == pytest.approx(BALL_ML, rel=0.01)
    assert reconstruction("volume").mesh.volume_ml == pytest.approx(BALL_ML, rel=0.01)
    empty = replace(reconstruction("volume").solution, values=np.zeros_like(ball().occupancy))
    found = reconstruction("volume", solution=empty)
    assert found.volume_ml == 0
    with pytest.raises(InputError, match="empty"):
        found.mesh  # noqa: B018


def test_a_disk_that_is_full_when_files_are_closed_is_one_sentence(shape, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match=r"a.nii: cannot be written \(No space left on device\)"):
        write_outputs(shape, Targets(tmp_path / "out" / "a.nii"))
    assert list((tmp_path / "out").iterdir()) == []
