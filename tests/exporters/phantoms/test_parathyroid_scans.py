"""Phantoms of both phases: one patient, valid objects, two hours apart, that the engine pairs."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from photopeak.engine.analysis.phases import find_pairs
from photopeak.engine.errors import UsageError
from photopeak.exporters.phantoms.catalogue import find
from photopeak.exporters.phantoms.dicom import files
from photopeak.exporters.phantoms.simulation import Request

QUIET = lambda text: None


def simulated(phase, **asked):
    phantom, request = find(f"parathyroid-{phase}"), Request(**{"matrix": (64, 64)} | asked)
    return phantom.acquire(request, QUIET), phantom, request


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with one file for each phase."""
    path = tmp_path_factory.mktemp("pair")
    for phase in ("early", "late"):
        (content,) = files(*simulated(phase, seed=3))
        (path / f"{phase}.dcm").write_bytes(content)
    return path


def test_both_phases_are_one_patient_with_noise_of_their_own():
    early, late = (simulated(phase, seed=1, noise_free=True)[0].pixels for phase in ("early", "late"))
    assert np.corrcoef(early.ravel(), late.ravel())[0, 1] > 0.7
    residual = [simulated(phase, seed=1)[0].pixels for phase in ("early", "late")]
    noise = [(drawn - ideal).ravel() for drawn, ideal in zip(residual, (early, late), strict=True)]
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.06


def test_counts_scale_the_expectation():
    one, four = (simulated("late", seed=2, noise_free=True, counts=c)[0].pixels for c in (1.0, 4.0))
    np.testing.assert_allclose(four, 4 * one, rtol=1e-6)


def test_a_matrix_that_no_camera_has_is_refused():
    with pytest.raises(UsageError, match="100x100"):
        simulated("early", matrix=(100, 100))


def test_the_header_tells_the_phases_two_hours_apart(folder):
    early, late = (pydicom.dcmread(folder / f"{phase}.dcm") for phase in ("early", "late"))
    assert (early.SeriesDescription, late.SeriesDescription) == ("MIBI early", "MIBI late")
    assert int(late.AcquisitionTime) - int(early.AcquisitionTime) == 20000
    assert early.StudyInstanceUID == late.StudyInstanceUID
    assert early.SeriesInstanceUID != late.SeriesInstanceUID
    assert early.StudyTime <= early.AcquisitionTime < late.AcquisitionTime
    assert "Abnormal parathyroid glands: " in early.ImageComments


@pytest.mark.parametrize("phase", ["early", "late"])
def test_dciodvfy_finds_no_error(folder, phase):
    if not (program := shutil.which("dciodvfy")):
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    found = subprocess.run([program, folder / f"{phase}.dcm"], capture_output=True, text=True, check=False).stderr
    assert [line for line in found.splitlines() if line.startswith("Error")] == []


def test_the_engine_pairs_them(folder):
    (found,) = find_pairs([folder])
    pixels = {phase: pydicom.dcmread(folder / f"{phase}.dcm").pixel_array for phase in ("early", "late")}
    for phase, frames in found.images.items():
        assert np.array_equal(frames.pixels[0], pixels[phase])
