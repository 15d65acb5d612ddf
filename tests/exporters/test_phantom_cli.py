"""``photopeak phantom``: valid DICOM of every kind, read back as it was simulated."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pydicom
import pytest

import photopeak
from photopeak.engine.cli import main

SMALL = {
    "bone-wholebody": ["--matrix", "256x64"],
    "thyroid": ["--matrix", "64"],
    "lungs": ["--matrix", "64"],
    "flood": ["--matrix", "64"],
    "spect-cylinder": [],
    "pet-nema": ["--matrix", "128"],
    "ct-head-sharp": ["--matrix", "128"],
}


def photopeak_exits(*words):
    """Run the command line; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    return ended.value.code


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return one file of every kind, made once."""
    folder = tmp_path_factory.mktemp("phantoms")
    for name, options in SMALL.items():
        assert photopeak_exits("phantom", name, "-o", folder / f"{name}.dcm", "--seed", 3, *options) == 0
    assert photopeak_exits("phantom", "spect-cylinder", "--projections", "-o", folder / "views.dcm") == 0
    assert photopeak_exits("phantom", "lungs", "--noise-free", "--matrix", 64, "-o", folder / "ideal.dcm") == 0
    return folder


EVERY = [*SMALL, "views", "ideal"]


@pytest.mark.parametrize("name", EVERY)
def test_dciodvfy_finds_no_error(written, name):
    if not (program := shutil.which("dciodvfy")):
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    found = subprocess.run([program, written / f"{name}.dcm"], capture_output=True, text=True, check=False).stderr
    assert [line for line in found.splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize("name", EVERY)
def test_the_header_says_that_it_is_simulated(written, name):
    ds = pydicom.dcmread(written / f"{name}.dcm")
    assert str(ds.PatientName).startswith("PHANTOM^")
    assert ds.QualityControlSubject == "YES"
    assert ds.ImageComments.startswith("Simulated image of a phantom, no patient")
    assert ds.DerivationDescription.startswith("Simulated image of a phantom, no patient")
    assert ds.ImageType[0] == "DERIVED"


@pytest.mark.parametrize(
    ("name", "kind", "frames"),
    [
        ("bone-wholebody", "WHOLE BODY", 2),
        ("thyroid", "STATIC", 1),
        ("lungs", "STATIC", 2),
        ("spect-cylinder", "RECON TOMO", 42),
        ("views", "TOMO", 64),
    ],
)
def test_nuclear_objects_are_of_the_right_kind(written, name, kind, frames):
    ds = pydicom.dcmread(written / f"{name}.dcm")
    assert (ds.Modality, ds.ImageType[2], ds.NumberOfFrames) == ("NM", kind, frames)
    assert photopeak.read(written / f"{name}.dcm").units.value == "CNTS"


def test_views_of_a_whole_body_are_told_apart(written):
    frames = photopeak.read(written / "bone-wholebody.dcm")
    assert [info.view for info in frames.info] == ["anterior", "posterior"]
    assert frames.pixel_spacing_mm == pytest.approx((579 / 64,) * 2, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "options"),
    [("thyroid", ["--matrix", "64"]), ("lungs", ["--matrix", "64", "--counts", "4"]), ("views", [])],
)
def test_counts_come_back_exactly(written, tmp_path, name, options):
    what = ["spect-cylinder", "--projections"] if name == "views" else [name]
    for suffix in ("npy", "dcm"):
        assert photopeak_exits("phantom", *what, "-o", tmp_path / f"a.{suffix}", *options) == 0
    np.testing.assert_array_equal(photopeak.read(tmp_path / "a.dcm").pixels, np.load(tmp_path / "a.npy"))


def test_the_expectation_keeps_its_sum(written, tmp_path):
    assert photopeak_exits("phantom", "lungs", "--noise-free", "--matrix", 64, "-o", tmp_path / "a.npy") == 0
    truth = np.load(tmp_path / "a.npy")
    stored = photopeak.read(written / "ideal.dcm").pixels
    assert stored.sum(dtype=float) == pytest.approx(truth.sum(dtype=float), rel=1e-6)
    np.testing.assert_allclose(stored, truth, atol=0.02)


def test_slices_of_pet_are_in_becquerel_and_stacked(tmp_path):
    assert photopeak_exits("phantom", "pet-nema", "--slices", 3, "--matrix", 128, "-o", tmp_path / "pet") == 0
    frames = photopeak.read(tmp_path / "pet")
    assert frames.pixels.shape == (3, 128, 128)
    assert frames.units.value == "BQML"
    assert frames.pixels[:, 60:68, 95:100].mean() == pytest.approx(5000, rel=0.05)
    assert not np.array_equal(frames.pixels[0], frames.pixels[1])
    assert np.diff([info.position_mm[2] for info in frames.info]) == pytest.approx(400 / 128, abs=1e-3)


def test_ct_slices_are_in_hounsfield_units(written):
    frames = photopeak.read(written / "ct-head-sharp.dcm")
    assert frames.units.value == "HU"
    assert frames.pixels[0, 0, 0] < -900
    assert -100 < frames.pixels[0, 54:74, 54:74].mean() < 120


def test_the_same_command_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        photopeak_exits("phantom", "thyroid", "--matrix", 64, "--seed", 5, "-o", tmp_path / f"{name}.dcm")
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    photopeak_exits("phantom", "thyroid", "--matrix", 64, "--seed", 6, "-o", tmp_path / "c.dcm")
    uids = {pydicom.dcmread(tmp_path / f"{name}.dcm").SOPInstanceUID for name in "abc"}
    assert len(uids) == 2


def test_a_model_runs_on_a_phantom(written, tmp_path):
    words = ["run", "scint-denoise", written / "thyroid.dcm", "-o", tmp_path, "--device", "cpu", "--json"]
    assert photopeak_exits(*words) == 0
    (path,) = tmp_path.glob("*.dcm")
    before, after = (photopeak.read(p).pixels.sum(dtype=float) for p in (written / "thyroid.dcm", path))
    assert after == pytest.approx(before, rel=1e-4)


def test_json_tells_what_was_made(tmp_path, capsys):
    assert photopeak_exits("phantom", "flood", "--matrix", 64, "-o", tmp_path / "f.dcm", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "STATIC"
    assert found["total_counts"] == photopeak.read(tmp_path / "f.dcm").pixels.sum(dtype=float)


def test_the_list_names_every_phantom(capsys):
    assert photopeak_exits("phantom", "--list", "--json") == 0
    names = [entry["name"] for entry in json.loads(capsys.readouterr().out)["phantoms"]]
    assert {*SMALL} < {*names}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["knee", "-o", "x.dcm"], 2, "there is no phantom 'knee', choose bone-wholebody"),
        (["flood"], 2, "give a phantom and -o FILE"),
        (["flood", "-o", "x.dcm", "--matrix", "77"], 2, "no matrix 77x77"),
        (["flood", "-o", "x.dcm", "--matrix", "big"], 2, "not a matrix size"),
        (["flood", "-o", "x.dcm", "--counts", "0"], 2, "--counts is 0"),
        (["flood", "-o", "x.dcm", "--counts", "nan"], 2, "--counts is nan"),
        (["flood", "-o", "x.png"], 2, "no such format"),
        (["flood", "-o", "x.dcm", "--projections"], 2, "flood has no views to write"),
        (["flood", "-o", "x.dcm", "--slices", "2"], 2, "is no PET or CT slice"),
        (["pet-nema", "-o", "x.dcm", "--slices", "2"], 2, "2 slices need a folder"),
        (["flood", "-o", "/dev/null/x.dcm", "--matrix", "64"], 3, "cannot be written"),
        (["flood", "-o", "/dev/null/x.npy", "--matrix", "64"], 3, "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(words, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert photopeak_exits("phantom", *words) == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [(["knee", "-o", "x.dcm"], 2), (["flood", "--sead", "3"], 2), (["flood", "-o", "/dev/null/x.dcm"], 3)],
)
def test_errors_are_json_where_it_is_asked_for(words, code, capsys):
    assert photopeak_exits("phantom", *words, "--matrix", 64, "--json") == code
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == code
    assert found["error"]


def test_a_ct_slice_becomes_one_of_twice_the_matrix(written, tmp_path, capsys):
    source = written / "ct-head-sharp.dcm"
    assert photopeak_exits("run", "ct-sr-x2", source, "-o", tmp_path, "--precision", "fp32", "--json") == 0
    (item,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert (item["matrix"], item["output_matrix"]) == ("128x128", "256x256")
    before, after = pydicom.dcmread(source), pydicom.dcmread(*item["outputs"])
    assert after.Modality == "CT"
    assert after.DerivationDescription
    assert [2 * float(value) for value in after.PixelSpacing] == pytest.approx([float(v) for v in before.PixelSpacing])
    hu = [ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in (before, after)]
    assert hu[1].mean() == pytest.approx(hu[0].mean(), abs=3)
    assert hu[1].std() > hu[0].std()


def test_the_command_is_light_to_import():
    code = "import sys, photopeak.exporters.phantom_cli; print([m for m in ('torch', 'scipy', 'pydicom') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
