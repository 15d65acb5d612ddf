"""Derived PET, read back by Photopeak and, independently, by pydicom alone."""

import numpy as np
import pydicom
import pytest

import photopeak
from photopeak.engine.frames import Units

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")


def test_pet_slices_use_their_own_range_and_keep_what_suv_needs(derive):
    result, written = derive("pet", 2)
    slopes = [float(ds.RescaleSlope) for ds in written]
    assert len(set(slopes)) == len(slopes)
    for ds, source in zip(written, result.source.instances, strict=True):
        assert ds.pixel_array.max() == 32767
        assert float(ds.RescaleIntercept) == 0
        for keyword in [
            "Units",
            "DecayCorrection",
            "DecayFactor",
            "CorrectedImage",
            "PatientWeight",
            "SeriesDate",
            "SeriesTime",
            "AcquisitionDate",
            "AcquisitionTime",
            "FrameReferenceTime",
            "ActualFrameDuration",
            "RadiopharmaceuticalInformationSequence",
            "ImageIndex",
            "FrameOfReferenceUID",
            "SliceThickness",
            "NumberOfSlices",
            "SeriesType",
        ]:
            assert ds[keyword].value == source.header[keyword].value, keyword


def test_suv_frames_are_written_as_activity_so_that_suv_comes_out_the_same(derive):
    result, written = derive("pet", 1, suv=True)
    assert result.frames.units == Units.SUV_BODY_WEIGHT
    assert all(ds.Units == "BQML" for ds in written)
    again = photopeak.read([ds.filename for ds in written], suv=True)
    assert np.abs(again.pixels - result.frames.pixels).max() < 2e-4 * result.frames.pixels.max()


def test_pet_series_is_one_new_series_in_the_same_order(derive):
    result, written = derive("pet", 2, frames=12)
    assert len({ds.SeriesInstanceUID for ds in written}) == 1
    assert len({ds.SOPInstanceUID for ds in written}) == 12
    heights = [ds.ImagePositionPatient[2] for ds in written]
    assert heights == [source.header.ImagePositionPatient[2] for source in result.source.instances]
    references = [ds.SourceImageSequence[0].ReferencedSOPInstanceUID for ds in written]
    assert references == [source.sop_instance_uid for source in result.source.instances]


def test_empty_slices_have_slope_one(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("pet"))
    paths = photopeak.write(
        make_result(frames, frames=frames.with_pixels(np.zeros_like(frames.pixels))), tmp_path / "out"
    )
    assert all(pydicom.dcmread(path).RescaleSlope == 1 for path in paths)


def test_enhanced_pet_describes_every_frame(derive):
    result, (ds,) = derive("enhanced-pet", 2)
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
    assert ds.ContentQualification == "RESEARCH"
    assert ds.PresentationLUTShape == "IDENTITY"
    shared = ds.SharedFunctionalGroupsSequence[0]
    assert list(shared.PETFrameTypeSequence[0].FrameType) == list(ds.ImageType)
    for number, group in enumerate(ds.PerFrameFunctionalGroupsSequence, start=1):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == result.source.instances[0].sop_instance_uid
        assert source.ReferencedFrameNumber == number
        slope = group.PixelValueTransformationSequence[0].RescaleSlope
        assert float(slope) == pytest.approx(group.RealWorldValueMappingSequence[0].RealWorldValueSlope)
    evidence = ds.SourceImageEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert evidence.ReferencedSOPInstanceUID == result.source.instances[0].sop_instance_uid
