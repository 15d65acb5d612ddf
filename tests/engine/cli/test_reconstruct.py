"""``photopeak reconstruct`` from files to files."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from photopeak.engine.cli import reconstruct as command
from photopeak.exporters.phantoms.coils import biplane, random_coil, simulate_views
from photopeak.kernels.reconstruction.geometry import Geometry, Grid

GEOMETRY = Geometry.around(Grid((24, 24, 24), (4.0, 4.0, 4.0)), (0, 90))
TOML = "\n".join(f'[[view]]\nkind = "gamma-camera"\nspacing_mm = [4.0, 4.0]\nangle = {angle}\n' for angle in (0, 90))
C_ARM = "\n".join(
    f'[[view]]\nkind = "c-arm"\nprimary = {angle}\nsource_detector_mm = 1100.0\nsource_isocenter_mm = 750.0\n'
    "spacing_mm = [0.2, 0.2]\n"
    for angle in (0, 90)
)
# Semi-axes along x, y and z.
AXES, CENTER = (28.0, 20.0, 24.0), (4.0, -3.0, 5.0)
TRUE_ML = 4e-3 / 3 * np.pi * AXES[0] * AXES[1] * AXES[2]


def shadows():
    """Return the exact projections of an ellipsoid of 5 counts per mm along y and x."""
    z, y, x = GEOMETRY.grid.axes()
    found = []
    for across, k, depth in ((x, 0, 1), (y, 1, 0)):
        square = 1 - ((z[::-1, None] - CENTER[2]) / AXES[2]) ** 2 - ((across[None] - CENTER[k]) / AXES[k]) ** 2
        found.append(5 * 2 * AXES[depth] * np.sqrt(np.maximum(square, 0)))
    return np.array(found)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder, in which the program runs, with two noisy views and their geometry."""
    monkeypatch.chdir(tmp_path)
    np.save("views.npy", np.random.default_rng(0).poisson(shadows()).astype(np.float32))
    Path("stand.toml").write_text(TOML)
    return tmp_path


VIEWS = ("views.npy", "--geometry", "stand.toml")


def test_volume_is_written_with_its_surface_and_page(photopeak, here):
    words = ("--method", "volume", "--mesh", "v.stl", "--report", "v.html", "--threads", 1)
    code, out, err = photopeak("reconstruct", *VIEWS, "-o", "v.nii.gz", *words)
    assert (code, err) == (0, "")
    assert "volume from 2 views" in out
    assert "Written: v.nii.gz" in out
    image = nibabel.load("v.nii.gz")
    values = image.get_fdata()
    # LPS to RAS, in mm.
    middle = image.affine @ [*(np.argwhere(values > values.max() / 2).mean(axis=0)), 1]
    np.testing.assert_allclose(middle[:3], (-CENTER[0], -CENTER[1], CENTER[2]), atol=1.5)
    # The paths through the voxels of a row add up to the counts of a pixel.
    assert values.sum() * 4 == pytest.approx(np.load("views.npy").sum() / 2, rel=0.08)
    assert Path("v.html").stat().st_size > 1e6


@pytest.fixture
def objects(dicom_factory):
    """Return two planar views of the ellipsoid as DICOM objects; angles count from the back."""
    paths, study = [], None
    for number, (image, angle) in enumerate(zip(shadows(), (180, 90), strict=True)):
        (path,) = dicom_factory("static", matrix=(24, 24), spacing_mm=(4.0, 4.0), seed=number)
        ds = pydicom.dcmread(path)
        study = study or ds.StudyInstanceUID
        ds.StudyInstanceUID, ds.BodyPartExamined = study, "LIVER"
        ds.PixelData = np.random.default_rng(number).poisson(image).astype("<u2").tobytes()
        (detector,) = ds.DetectorInformationSequence
        detector.StartAngle, detector.RadialPosition = angle, 250.0
        for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "ViewCodeSequence"):
            delattr(detector, keyword)
        ds.save_as(path)
        paths.append(path)
    return paths


def test_shape_goes_from_dicom_to_dicom(photopeak_json, objects, tmp_path):
    before = [path.read_bytes() for path in objects]
    words = ("--mesh", tmp_path / "s.ply", "--dicom", tmp_path / "dicom", "--report", tmp_path / "s.html")
    found = photopeak_json("reconstruct", *objects, "-o", tmp_path / "s.nii.gz", *words)
    assert found["method"] == "shape"
    assert found["volume_ml"] == pytest.approx(TRUE_ML, rel=0.06)
    assert found["geometry"]["looking"] == [[0, 1, 0], [-1, 0, 0]]
    written = {path.name for path in (tmp_path / "dicom").iterdir()}
    assert written == {"volume.dcm", "segmentation.dcm", "surface.dcm"}
    image = nibabel.load(tmp_path / "s.nii.gz")
    inside = image.get_fdata() > 0.5
    middle = image.affine @ [*np.argwhere(inside).mean(axis=0), 1]
    # LPS to RAS, in mm.
    np.testing.assert_allclose(middle[:3], (-CENTER[0], -CENTER[1], CENTER[2]), atol=1.0)
    assert [path.read_bytes() for path in objects] == before


def test_table_that_moved_is_found_and_told(photopeak_json, here):
    views = np.load("views.npy")
    np.save("moved.npy", np.stack([views[0], np.roll(views[1], 2, axis=0)]))
    words = ("--geometry", "stand.toml", "-o", "v.nii", "--iterations", 10)
    plain = photopeak_json("reconstruct", "moved.npy", *words)
    found = photopeak_json("reconstruct", "moved.npy", *words, "--calibrate", "table")
    assert max(found["residual_chi2"]) < 0.5 * max(plain["residual_chi2"])
    facts = " ".join(found["geometry"]["facts"].values())
    assert "table to the head" in facts


@pytest.mark.parametrize("name", ["volume", "segmentation", "surface"])
def test_dciodvfy_finds_no_error(photopeak_json, objects, tmp_path, name):
    if not (program := shutil.which("dciodvfy")):
        pytest.skip("dciodvfy is not installed: Debian's package dicom3tools")
    words = ("--iterations", 5, "--mesh", tmp_path / "s.ply", "--dicom", tmp_path)
    photopeak_json("reconstruct", *objects, "-o", tmp_path / "s.nii.gz", *words)
    done = subprocess.run([program, "-new", tmp_path / f"{name}.dcm"], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []


def test_wire_is_found_and_written(photopeak_json, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    coil = random_coil(0, loops=1)
    np.save("wire.npy", np.array(simulate_views(coil, biplane(), seed=1)))
    Path("arm.toml").write_text(C_ARM)
    words = ("--method", "curve", "--wire-radius", 0.25, "--curve", "w.json", "--mesh", "w.stl")
    found = photopeak_json("reconstruct", "wire.npy", "--geometry", "arm.toml", "-o", "w.nii.gz", *words)
    (curve,) = found["curves"]
    assert curve["length_mm"] == pytest.approx(coil.length_mm, abs=0.5)
    again = photopeak_json(
        "reconstruct", "wire.npy", "--geometry", "arm.toml", "-o", "x.nii", *words[:4], "--start", "w.json"
    )
    assert again["curves"][0]["length_mm"] == pytest.approx(curve["length_mm"], abs=0.2)


def test_json_is_the_result(photopeak_json, here):
    found = photopeak_json("reconstruct", *VIEWS, "-o", "v.nii", "--method", "volume")
    assert (found["method"], found["interrupted"], found["outputs"]) == ("volume", False, ["v.nii"])
    assert found["volume_ml"] == pytest.approx(TRUE_ML, rel=0.15)
    assert found["grid"]["shape"] == [24, 24, 24]
    assert found["geometry"]["looking"] == [[0, 1, 0], [-1, 0, 0]]


def test_attenuation_is_corrected(photopeak_json, here):
    plain, corrected = (
        photopeak_json("reconstruct", *VIEWS, "-o", f"{i}.nii", "--method", "volume", *words)
        for i, words in enumerate(((), ("--attenuation", 0.15, "--body", "90x70")))
    )
    # Behind 3 cm of water, two thirds of the photons are left.
    assert 1.2 < corrected["peak_per_mm"] / plain["peak_per_mm"] < 2.5


def test_earlier_result_is_a_better_start(photopeak_json, here):
    options = ("reconstruct", *VIEWS, "--method", "volume")
    first = photopeak_json(*options, "-o", "a.nii")
    cold = photopeak_json(*options, "-o", "b.nii", "--iterations", 10)
    warm = photopeak_json(*options, "-o", "c.nii", "--iterations", 10, "--start", "a.nii")
    done = nibabel.load("a.nii").get_fdata()
    off = [np.abs(nibabel.load(name).get_fdata() - done).mean() for name in ("b.nii", "c.nii")]
    assert off[1] < 0.5 * off[0]
    assert first["volume_ml"] == pytest.approx(warm["volume_ml"], rel=0.05)
    assert cold["steps"] <= 10


def test_interruption_writes_what_there_is(photopeak, here, monkeypatch):
    real = command._shown

    def with_signal(bar, stopped):
        watch = real(bar, stopped)

        def look(step):
            os.kill(os.getpid(), signal.SIGINT)
            return watch(step)

        return look

    monkeypatch.setattr(command, "_shown", with_signal)
    before = signal.getsignal(signal.SIGINT)
    code, out, err = photopeak("reconstruct", *VIEWS, "-o", "v.nii", "--method", "volume", "--json")
    assert signal.getsignal(signal.SIGINT) is before
    found = json.loads(out)
    assert code == found["exit_code"] == 130
    assert found["interrupted"]
    assert "interrupted" in err
    assert b"INTERRUPTED" in nibabel.load("v.nii").header["descrip"].item()


def test_second_interruption_ends_at_once():
    with command._until_interrupted() as stopped:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("-o", "v.mha"), 2, "v.mha"),
        (("-o", "views.npy"), 2, "views.npy"),
        (("-o", "v.nii", "--mesh", "v.obj"), 2, "v.obj"),
        (("-o", "v.nii", "--report", "stand.toml"), 2, "stand.toml: this is read"),
        (("-o", "v.nii", "--report", "views.npy/v.html"), 3, "v.html: cannot be written"),
        (("-o", "v.nii", "--attenuation", "0.15"), 2, "--body"),
        (("-o", "v.nii", "--collimator", "1.5"), 2, "--collimator"),
        (("-o", "v.nii", "--attenuation", "gone.nii"), 3, "gone.nii"),
        (("-o", "v.nii", "--device", "tpu"), 2, "tpu"),
        (("-o", "v.nii", "--wire-radius", "0.2"), 2, "--wire-radius"),
        (("-o", "v.nii", "--start", "gone.nii"), 3, "gone.nii"),
        (("-o", "v.nii", "--start", "wire.json"), 2, "wire.json"),
        (("-o", "v.nii", "--bootstrap", "3"), 2, "--bootstrap"),
        (("-o", "v.nii", "--dicom", "d"), 3, "not DICOM"),
        (("-o", "v.nii", "--curve", "c.json"), 2, "--curve"),
        (("-o", "v.nii", "--voxel", "0"), 2, "voxels"),
        (("-o", "v.nii", "--iterations", "0"), 2, "iterations"),
        (("-o", "v.nii", "--calibrate", "mirror"), 2, "mirror"),
        (("-o", "v.nii", "--landmarks", "gone.toml"), 2, "gone.toml"),
        ((), 2, "-o"),
    ],
)
def test_errors_are_one_sentence_and_leave_nothing(photopeak, here, words, code, sentence):
    before = sorted(here.iterdir())
    found, _, err = photopeak("reconstruct", *VIEWS, "--method", "volume", *words)
    assert found == code
    assert sentence in " ".join(err.split())
    assert sorted(here.iterdir()) == before


def test_one_view_and_one_direction_are_refused(photopeak, here):
    Path("stand.toml").write_text(TOML.replace("angle = 90", "angle = 180"))
    code, _, err = photopeak("reconstruct", *VIEWS, "-o", "v.nii", "--method", "volume")
    assert code in (2, 3)
    assert err.count("\n") == 1
    assert not Path("v.nii").exists()
