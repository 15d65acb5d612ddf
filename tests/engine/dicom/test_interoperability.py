"""Derived objects before judges that had no part in making them: dciodvfy, DCMTK and Orthanc."""

import io
import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pydicom
import pytest

import photopeak

KINDS = [
    "static",
    "whole-body",
    "dynamic",
    "gated",
    "tomo",
    "recon-tomo",
    "pet",
    "enhanced-pet",
    "ct",
    "xa",
    "cr",
    "dx",
]
# Warnings that say nothing about these objects: this dciodvfy knows no Device UID (0018,1002) in Contributing Equipment.
HARMLESS = ("(0x0018,0x1002)", "Dicom dataset contains attributes not present in standard DICOM IOD")


def tool(name: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a program of Debian's medical packages, or skip."""
    # Python packages bring programs of the same names, such as storescu, that take other options.
    system = [folder for folder in os.get_exec_path() if Path(folder) != Path(sys.executable).parent]
    program = shutil.which(name, path=os.pathsep.join(system))
    if program is None:
        packages = {"dciodvfy": "dicom3tools"}
        pytest.skip(f"{name} is not installed: apt-get install {packages.get(name, 'dcmtk')}")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, errors="replace", check=False
    )


def complaints(path) -> list[str]:
    """Return errors and warnings of dciodvfy, without the harmless ones."""
    run = tool("dciodvfy", path)
    lines = [line for line in (run.stdout + run.stderr).splitlines() if "Error" in line or "Warning" in line]
    return [line for line in lines if not any(harmless in line for harmless in HARMLESS)]


def errors(path) -> list[str]:
    return [line for line in complaints(path) if "Error" in line]


@pytest.fixture
def written(dicom_factory, make_result, tmp_path):
    """Return ``written(kind, scale) -> (sources, result, paths)``."""

    def run(kind, scale, **choices):
        sources = dicom_factory(kind, **choices)
        result = make_result(photopeak.read(sources), scale)
        return sources, result, photopeak.write(result, tmp_path / "out")

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_synthetic_sources_are_valid_themselves(dicom_factory, kind):
    for path in dicom_factory(kind):
        assert errors(path) == []


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_dciodvfy_finds_no_error_and_no_warning_that_the_source_lacks(written, kind, scale):
    sources, _, paths = written(kind, scale)
    assert len(paths) == len(sources)
    known = {line for path in sources for line in complaints(path)}
    for path in paths:
        assert errors(path) == []
        fresh = [line for line in complaints(path) if line not in known]
        if kind == "enhanced-pet":
            # This dciodvfy knows no General Reference module, home of Derivation Description, in the IOD.
            fresh = [line for line in fresh if "Attribute is not present in standard DICOM IOD" not in line]
        assert fresh == []


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("name", ["NM1_UNC", "NM1_J2KI", "CT1_UNC", "XA1_UNC"])
def test_dciodvfy_finds_no_error_in_derivatives_of_real_images(shared_data, make_result, tmp_path, name, scale):
    frames = photopeak.read(shared_data / "nema_wg04" / f"{name}.dcm")
    for path in photopeak.write(make_result(frames, scale), tmp_path):
        assert errors(path) == []


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(
    "name",
    [
        "misc_nm_pt/tcia_acrin_flt_pet_1.dcm",
        "misc_nm_pt/fodicom_GH184_pet_jpegll.dcm",
        "misc_nm_pt/barre_NM-MONO2-16-13x-heart.dcm",
        "linaqa/nm/sens_Background.dcm",
        "nmqc/UNIFORMIDAD_1.dcm",
        "nmqc/FourBar.dcm",
    ],
)
def test_derivatives_of_real_images_are_valid_although_their_sources_are_not(
    shared_data, make_result, tmp_path, name, scale
):
    path = shared_data / name
    assert errors(path) != []
    (written,) = photopeak.write(make_result(photopeak.read(path), scale), tmp_path)
    assert errors(written) == []


def test_a_source_without_required_values_gets_no_invented_ones(shared_data, make_result, tmp_path):
    folder = shared_data / "pynemaiqpet" / "recon_1"
    result = make_result(photopeak.read(folder))
    paths = photopeak.write(result, tmp_path)
    assert len(paths) == len(result.frames) == 61
    known = errors(result.source.instances[30].path)
    assert [line for line in errors(paths[30]) if line not in known] == []


@pytest.mark.parametrize("kind", KINDS)
def test_dcmtk_reads_the_file(written, kind):
    _, _, paths = written(kind, 2)
    for path in paths:
        dump = tool("dcmdump", "--print-all", path)
        assert dump.returncode == 0, dump.stderr
        assert dump.stderr == ""
        assert "DERIVED" in dump.stdout


@pytest.mark.parametrize("kind", ["whole-body", "pet", "ct", "enhanced-pet"])
def test_dcmtk_shows_the_image(written, tmp_path, kind):
    _, result, paths = written(kind, 2)
    picture = tmp_path / "picture.pgm"
    run = tool("dcm2pnm", "--min-max-window", paths[0], picture)
    assert run.returncode == 0, run.stderr
    header, _, pixels = picture.read_bytes().partition(b"\n255\n")
    columns, rows = map(int, header.split()[-2:])
    shown = np.frombuffer(pixels, np.uint8).reshape(rows, columns)
    assert np.corrcoef(shown.ravel(), result.frames.pixels[0].ravel())[0, 1] > 0.99


def kept_by(archive, uid: str) -> pydicom.Dataset:
    """Return the object that the archive holds under a SOP Instance UID."""
    found = json.loads(archive.send("POST", "/tools/lookup", uid.encode(), {}))
    (identifier,) = (entry["ID"] for entry in found if entry["Type"] == "Instance")
    return pydicom.dcmread(io.BytesIO(archive.get(f"/instances/{identifier}/file")))


@pytest.mark.parametrize("kind", KINDS)
def test_orthanc_takes_a_c_store_and_returns_the_same_pixels(orthanc, written, kind):
    _, _, paths = written(kind, 2)
    titles = ("--aetitle", "PHOTOPEAK", "--call", "TESTARCHIVE")
    run = tool("storescu", "--required", *titles, "127.0.0.1", orthanc.dicom_port, *paths)
    assert run.returncode == 0, run.stderr
    for path in paths:
        sent = pydicom.dcmread(path)
        kept = kept_by(orthanc, sent.SOPInstanceUID)
        np.testing.assert_array_equal(kept.pixel_array, sent.pixel_array)
        assert kept.DerivationDescription == sent.DerivationDescription
    series = orthanc.json(f"/dicom-web/series?SeriesInstanceUID={sent.SeriesInstanceUID}")
    assert len(series) == 1


@pytest.mark.parametrize("kind", ["whole-body", "pet"])
def test_orthanc_takes_a_stow_and_serves_the_same_pixels_by_wado(orthanc, written, kind):
    _, _, paths = written(kind, 1, seed=5)
    boundary = uuid.uuid4().hex
    parts = [
        b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), p.read_bytes()) for p in paths
    ]
    kind_of_body = f'multipart/related; type="application/dicom"; boundary={boundary}'
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    orthanc.send("POST", "/dicom-web/studies", body, {"Content-Type": kind_of_body, "Accept": "application/dicom+json"})
    for path in paths:
        ds = pydicom.dcmread(path)
        place = f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
        frames = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
        for number, frame in enumerate(frames, start=1):
            answer = orthanc.get(f"{place}/frames/{number}", 'multipart/related; type="application/octet-stream"')
            content = answer.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
            np.testing.assert_array_equal(np.frombuffer(content, "<u2").reshape(frame.shape), frame.view(np.uint16))
