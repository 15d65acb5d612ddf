"""Derived nuclear medicine, read back by Photopeak and, independently, by pydicom alone."""

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.tag import Tag

import photopeak
from dicom_objects import NUCLEAR
from dicom_objects.physical import values

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")


POINTERS = {
    "static": ["54,10", "54,20"],
    "whole-body": ["54,10", "54,20"],
    "dynamic": ["54,10", "54,20", "54,30", "54,100"],
    "gated": ["54,10", "54,20", "54,60", "54,70"],
    "tomo": ["54,10", "54,20", "54,50", "54,90"],
    "recon-tomo": ["54,80"],
}


@pytest.mark.parametrize("kind", NUCLEAR)
def test_nuclear_medicine_keeps_frames_vectors_and_counts(derive, kind):
    result, written = derive(kind, 2)
    (ds,), source = written, result.source.instances[0].header
    pointer = (
        ds.FrameIncrementPointer
        if isinstance(ds.FrameIncrementPointer, list | pydicom.multival.MultiValue)
        else [ds.FrameIncrementPointer]
    )
    assert [f"{Tag(tag).group:x},{Tag(tag).element:x}" for tag in pointer] == POINTERS[kind]
    assert ds.NumberOfFrames == source.NumberOfFrames
    assert list(ds.ImageType)[2:] == list(source.ImageType)[2:]
    for keyword in (
        "CountsAccumulated",
        "ActualFrameDuration",
        "EnergyWindowInformationSequence",
        "DetectorVector",
        "RotationInformationSequence",
    ):
        assert ds.get(keyword) == source.get(keyword)


def test_patient_position_gives_way_to_the_same_in_codes(derive):
    tags = {
        "PatientOrientationCodeSequence": None,
        "PatientGantryRelationshipCodeSequence": None,
        "PatientPosition": "FFP",
    }
    _, (ds,) = derive("static", 1, tags=tags)
    assert "PatientPosition" not in ds
    assert ds.PatientGantryRelationshipCodeSequence[0].CodeMeaning == "feet-first"
    orientation = ds.PatientOrientationCodeSequence[0]
    assert orientation.PatientOrientationModifierCodeSequence[0].CodeMeaning == "prone"


@pytest.mark.parametrize(("part", "laterality"), [("CHEST", None), ("WHOLE BODY", None), ("KNEE", ""), (None, "")])
def test_an_unknown_side_is_there_only_where_there_are_sides(derive, part, laterality):
    _, (ds,) = derive("static", 1, tags={"BodyPartExamined": part})
    assert ds.get("Laterality") == laterality
    if part == "WHOLE BODY":
        assert ds.BodyPartExamined == "WHOLEBODY"


def test_a_known_side_is_kept(derive):
    _, (ds,) = derive("static", 1, tags={"BodyPartExamined": "KNEE", "Laterality": "L"})
    assert ds.Laterality == "L"


def test_the_real_bone_scan_becomes_nuclear_medicine(shared_data, make_result, tmp_path):
    frames = photopeak.read(shared_data / "nema_wg04" / "NM1_UNC.dcm")
    (path,) = photopeak.write(make_result(frames, 2), tmp_path)
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == pydicom.uid.NuclearMedicineImageStorage
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "WHOLE BODY", "EMISSION"]
    assert "ConversionType" not in ds
    assert "Secondary Capture" in ds.DerivationDescription
    assert list(ds.EnergyWindowInformationSequence) == list(ds.RadiopharmaceuticalInformationSequence) == []
    assert ds.CountsAccumulated == 3596452
    assert values(ds).sum() == pytest.approx(frames.pixels.sum(dtype=np.float64), rel=1e-7)
    assert b"BERRA" not in path.read_bytes()
    assert path.name == "NM1_UNC_scint-sr-x2.dcm"


def test_a_lossy_secondary_capture_stays_marked_lossy(make_result, tmp_path):
    path = get_testdata_file("JPEG2000.dcm")
    assert isinstance(path, str)
    ds = pydicom.dcmread(photopeak.write(make_result(photopeak.read(path)), tmp_path)[0])
    assert ds.SOPClassUID == pydicom.uid.NuclearMedicineImageStorage
    assert (ds.LossyImageCompression, float(ds.LossyImageCompressionRatio)) == ("01", 2097)
    assert [code.CodeValue for code in ds.DerivationCodeSequence] == ["113040", "113087"]
    assert "2097:1" in ds.DerivationDescription
