"""Pictures of findings as Secondary Capture: what they say, and what DCMTK makes of them."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from PIL import Image

import photopeak
from dicom_findings import OUTSIDE, classified, complaints, detected, tool
from photopeak.engine.analysis.dicom_header import origin_of
from photopeak.engine.analysis.dicom_overlay import captioned, colour_capture
from photopeak.engine.dicom.write import encode
from photopeak.engine.errors import InputError


@pytest.fixture
def found(dicom_factory):
    return detected(dicom_factory)


@pytest.fixture
def capture(tmp_path):
    """Return ``capture(result, picture, index=0, **choices) -> path``."""

    def run(result, picture, index=0, **choices):
        origin = origin_of(result)
        path = tmp_path / "capture.dcm"
        path.write_bytes(encode(colour_capture(picture, origin, origin.frames[index], series_uid="2.25.7", **choices)))
        return path

    return run


def noise(rows=30, columns=41):
    return np.random.default_rng(0).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["static", "whole-body", "cr", "dx", "xa", "ct"])
@pytest.mark.parametrize("what", ["overlay", "CAM"])
def test_dciodvfy_accepts_pictures_of_every_kind_of_image(dicom_factory, capture, kind, what):
    result = classified(photopeak.read(dicom_factory(kind, matrix=(48, 64))))
    assert complaints(capture(result, noise(), what=what, remarks=["Evidence for trauma."])) == []


@pytest.mark.parametrize("shape", [(30, 41), (31, 41), (1, 1), (512, 512)])
def test_colours_are_kept_to_the_bit(found, capture, shape):
    picture = noise(*shape)
    np.testing.assert_array_equal(pydicom.dcmread(capture(found, picture)).pixel_array, picture)


def test_dcmtk_shows_the_same_colours(found, capture, tmp_path):
    picture = noise()
    target = tmp_path / "picture.ppm"
    run = tool("dcm2pnm", capture(found, picture), target)
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(np.asarray(Image.open(target)), picture)


def test_a_picture_says_that_it_is_one(found, capture):
    ds = pydicom.dcmread(capture(found, noise(), number=3, remarks=["Boxes."]))
    assert ds.SOPClassUID.name == "Secondary Capture Image Storage"
    assert (ds.BurnedInAnnotation, ds.Modality, ds.ConversionType) == ("YES", "OT", "WSD")
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY"]
    assert (ds.SeriesInstanceUID, ds.InstanceNumber) == ("2.25.7", 3)
    assert "finder 1.0.0" in ds.SeriesDescription
    assert "Boxes." in ds.DerivationDescription
    assert "Not for diagnosis" in ds.DerivationDescription
    assert "PixelSpacing" not in ds
    assert ds.ContributingEquipmentSequence[-1].ContributionDescription.count("ab" * 32) == 1


def test_a_picture_belongs_to_the_patient_and_names_both_phases(found, capture):
    ds = pydicom.dcmread(capture(found, noise()))
    early, late = (source.instances[0].header for source in found.sources)
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber"):
        assert ds[keyword].value == late[keyword].value
    referred = [reference.ReferencedSOPInstanceUID for reference in ds.SourceImageSequence]
    assert referred == [late.SOPInstanceUID, early.SOPInstanceUID]
    assert {reference.SpatialLocationsPreserved for reference in ds.SourceImageSequence} == {"NO"}
    assert "DeviceSerialNumber" not in late or ds.DeviceSerialNumber != late.DeviceSerialNumber


def test_a_picture_names_the_frame_that_it_shows(dicom_factory, capture):
    result = classified(photopeak.read(dicom_factory("whole-body", matrix=(64, 32))))
    ds = pydicom.dcmread(capture(result, noise(), index=1))
    assert ds.SourceImageSequence[0].ReferencedFrameNumber == 2


def test_outside_the_domain_the_series_says_so(found, capture):
    ds = pydicom.dcmread(capture(replace(found, domains=(OUTSIDE,)), noise()))
    assert "NOT VALID" in ds.SeriesDescription
    assert "not valid for this image" in ds.DerivationDescription
    assert "unusually low" in ds.ImageComments


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_picture_is_refused(found, capture, picture):
    with pytest.raises(InputError, match="rows x columns x 3"):
        capture(found, picture)


def test_a_caption_leaves_the_picture_alone_and_fits_its_width():
    picture = noise(64, 200)
    short = captioned(picture, ["metastasis: 0.91"])
    long = captioned(picture, ["metastasis " * 12])
    for result in (short, long):
        assert result.shape[1:] == (200, 3)
        np.testing.assert_array_equal(result[:64], picture)
        assert result[64:].max() == 255
        assert not result[64:, -4:].any()
    assert len(long) > len(short) + 60
