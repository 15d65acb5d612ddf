"""Identity and provenance of derived objects, read back by Photopeak and, independently, by pydicom alone."""

import hashlib

import numpy as np
import pydicom
import pytest
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement

import photopeak
from dicom_objects import KINDS

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_identity_and_provenance(derive, kind, scale):
    result, written = derive(kind, scale)
    code = "113087" if scale == 1 else "113085"
    for ds, source in zip(written, result.source.instances, strict=True):
        header = source.header
        for keyword in (
            "StudyInstanceUID",
            "PatientID",
            "PatientName",
            "AccessionNumber",
            "StudyDate",
            "SpecificCharacterSet",
        ):
            assert ds[keyword].value == header[keyword].value
        assert ds.get("FrameOfReferenceUID") == header.get("FrameOfReferenceUID")
        assert ds.SOPInstanceUID != header.SOPInstanceUID
        assert ds.SeriesInstanceUID != header.SeriesInstanceUID
        assert ds.SOPInstanceUID.startswith("2.25.")
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.SOPClassUID == header.SOPClassUID
        assert ds.ImageType[:2] == ["DERIVED", "PRIMARY"]
        assert ds.ImageType[2:3] == header.ImageType[2:3]
        assert ds.DerivationCodeSequence[-1].CodeValue == code
        (reference,) = ds.SourceImageSequence
        assert reference.ReferencedSOPClassUID == header.SOPClassUID
        assert reference.ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert reference.SpatialLocationsPreserved == ("YES" if scale == 1 else "NO")
        equipment = ds.ContributingEquipmentSequence[-1]
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert "ab" * 32 in equipment.ContributionDescription
        assert ("scint-denoise" if scale == 1 else "scint-sr-x2") in ds.SeriesDescription
        assert "AI" in ds.SeriesDescription
        assert ds.SeriesNumber != header.SeriesNumber
        assert "SmallestImagePixelValue" not in ds
        assert ds.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


def test_multiframe_sources_list_their_frames(derive):
    _, (ds,) = derive("whole-body", 1)
    assert list(ds.SourceImageSequence[0].ReferencedFrameNumber) == [1, 2]
    _, (single,) = derive("static", 1, out="single")
    assert "ReferencedFrameNumber" not in single.SourceImageSequence[0]


def test_sources_are_not_touched(dicom_factory, make_result, tmp_path):
    paths = dicom_factory("pet")
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    frames = photopeak.read(paths)
    headers = [str(instance.header) for instance in frames.instances]
    pixels = frames.pixels.copy()
    photopeak.write(make_result(frames, 2), paths[0].parent)
    assert [hashlib.sha256(path.read_bytes()).digest() for path in paths] == digests
    assert [str(instance.header) for instance in frames.instances] == headers
    np.testing.assert_array_equal(frames.pixels, pixels)


def test_device_uid_names_the_model_to_the_bit(derive):
    found = {}
    for label, changes in {"a": {}, "same": {}, "b": {"digest": "cd" * 32}}.items():
        _, (ds,) = derive("static", 1, out=label, changes=changes, folder=label)
        found[label] = ds.ContributingEquipmentSequence[0].DeviceUID
    assert found["a"] == found["same"] != found["b"]


def test_processing_twice_gives_other_uids(derive):
    _, (first,) = derive("static", 1, out="first")
    _, (second,) = derive("static", 1, out="second")
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID


def test_models_get_series_numbers_of_their_own(derive):
    _, (denoised,) = derive("static", 1, out="first")
    _, (magnified,) = derive("static", 2, out="second")
    assert denoised.SeriesNumber != magnified.SeriesNumber


def test_long_texts_stay_within_their_representations(derive):
    name = "a-model-with-a-name-as-long-as-allowed-40"[:40]
    changes = {"name": name, "warnings": ("Something is odd. " * 200,)}
    _, (ds,) = derive(
        "static", 1, changes=changes, tags={"SeriesDescription": "é" * 64, "DerivationDescription": "x" * 1000}
    )
    assert len(ds.SeriesDescription) <= 64
    assert f"AI denoise {name} 1.0.0" in ds.SeriesDescription
    assert len(ds.DerivationDescription) <= 1024
    assert len(ds.ImageComments) <= 10240
    assert "Something is odd." in ds.ImageComments


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_overlong_names_and_dates_of_nothing_are_mended(dicom_factory, make_result, tmp_path):
    path = dicom_factory("static", tags={"PatientBirthDate": "00010101"})[0]
    ds = pydicom.dcmread(path)
    long = {"ImageID": "JASZCZAK_PHAN_DH[ATTC]", "ProtocolName": "p" * 70, "AccessionNumber": "A" * 20}
    for keyword, value in long.items():
        ds.add(DataElement(keyword, dictionary_VR(keyword), value, validation_mode=IGNORE))
    ds.save_as(path)
    written = pydicom.dcmread(photopeak.write(make_result(photopeak.read(path)), tmp_path / "out")[0])
    assert (written.ImageID, written.ProtocolName) == ("JASZCZAK_PHAN_DH", "p" * 64)
    assert not written.PatientBirthDate
    assert written.AccessionNumber == "A" * 20  # what identifies is never changed


def test_domain_verdict_and_warnings_reach_the_reader(derive):
    from photopeak.engine.result import DomainVerdict

    verdict = DomainVerdict(
        "outside", np.full(1, 9.0), (3.0, 5.0), ("mean counts per pixel 0.01 are below the training range",)
    )
    changes = {"judge": lambda: verdict, "warnings": ("The source went through lossy compression.",)}
    _, (ds,) = derive("static", 1, changes=changes)
    for text in (ds.DerivationDescription, ds.ImageComments):
        assert "OUTSIDE the training domain" in text
        assert "distance 9, border from 3, outside from 5" in text
        assert "mean counts per pixel 0.01" in text
        assert "lossy compression" in text
    assert "total counts of each frame are preserved" in ds.DerivationDescription


def test_lossy_sources_stay_marked(derive):
    tags = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": 12,
        "LossyImageCompressionMethod": "ISO_15444_1",
    }
    _, (ds,) = derive("static", 2, tags=tags)
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 12)
    assert ds.LossyImageCompressionMethod == "ISO_15444_1"


def test_non_latin_names_survive(derive):
    tags = {
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientName": "Yamada^Tarou=山田^太郎",
        "SeriesDescription": "骨シンチ",
    }
    _, (ds,) = derive("whole-body", 1, tags=tags)
    assert ds.PatientName == "Yamada^Tarou=山田^太郎"
    assert ds.SeriesDescription.startswith("骨シンチ [AI denoise")
