"""Findings sent to an archive and fetched again; findings on real images."""

import io
import json

import pydicom
import pytest

import photopeak
from dicom_findings import classified, complaints, detected, tool
from photopeak.engine.analysis.dicom_files import write_findings

REAL = [
    "nema_wg04/NM1_UNC.dcm",
    "nema_wg04/XA1_UNC.dcm",
    "misc_nm_pt/barre_NM-MONO2-16-13x-heart.dcm",
    "nmqc/FourBar.dcm",
]


@pytest.fixture
def results(dicom_factory):
    """Return ``results(kind)``: a detector's on two phases, or a classifier's on an image of a kind."""

    def make(kind):
        if kind == "phases":
            return detected(dicom_factory)
        return classified(photopeak.read(dicom_factory(kind, matrix=(64, 48), frames=3 if kind == "ct" else None)))

    return make


def kept_by(archive, uid):
    """Return the object that the archive holds under a SOP Instance UID."""
    found = json.loads(archive.send("POST", "/tools/lookup", uid.encode(), {}))
    (identifier,) = (entry["ID"] for entry in found if entry["Type"] == "Instance")
    return pydicom.dcmread(io.BytesIO(archive.get(f"/instances/{identifier}/file")))


@pytest.mark.parametrize("kind", ["phases", "whole-body", "cr", "dx", "ct"])
def test_orthanc_takes_findings_by_c_store_and_returns_them_unchanged(orthanc, results, tmp_path, kind):
    paths = write_findings(results(kind), tmp_path / "out")
    titles = ("--aetitle", "PHOTOPEAK", "--call", "TESTARCHIVE")
    run = tool("storescu", "--required", *titles, "127.0.0.1", orthanc.dicom_port, *paths)
    assert run.returncode == 0, run.stderr
    for path in paths:
        sent = pydicom.dcmread(path)
        assert kept_by(orthanc, sent.SOPInstanceUID) == sent


def test_orthanc_files_findings_under_the_study_of_the_images(orthanc, dicom_factory, tmp_path):
    study = {"StudyInstanceUID": "1.2.99"}
    result = detected(dicom_factory, early=study, late=study)
    sources = [source.instances[0].path for source in result.sources]
    paths = write_findings(result, tmp_path / "out")
    for path in (*sources, *paths):
        orthanc.send("POST", "/instances", path.read_bytes(), {"Content-Type": "application/dicom"})
    series = orthanc.json("/dicom-web/studies/1.2.99/series")
    modalities = [one["00080060"]["Value"][0] for one in series]
    assert sorted(modalities) == ["NM", "NM", "OT", "OT", "SR"]


@pytest.mark.parametrize("name", REAL)
def test_findings_on_real_images_are_valid_objects(shared_data, tmp_path, name):
    result = classified(photopeak.read(shared_data / name))
    for path in write_findings(result, tmp_path)[:3]:
        assert [line for line in complaints(path) if line.startswith("Error")] == []
