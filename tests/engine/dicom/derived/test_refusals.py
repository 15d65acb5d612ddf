"""What the writer refuses, and what it leaves behind then, read back by Photopeak and, independently, by pydicom alone."""

import shutil

import numpy as np
import pydicom
import pytest

import photopeak
from photopeak.engine.dicom.derived.values import unit_mapping
from photopeak.engine.errors import InputError
from photopeak.engine.frames import Units

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"])
def test_hostile_uids_are_refused(dicom_factory, make_result, tmp_path, keyword):
    frames = photopeak.read(dicom_factory("static"))
    header = frames.instances[0].header
    header[keyword]._value = "../../etc/passwd"
    with pytest.raises(InputError, match=f"{keyword} is '../../etc/passwd', which is not a UID"):
        photopeak.write(make_result(frames), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_object_without_a_study_is_refused(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("static", tags={"StudyInstanceUID": None}))
    with pytest.raises(InputError, match=r"image\.dcm: StudyInstanceUID is missing"):
        photopeak.write(make_result(frames), tmp_path / "out")


def test_names_of_files_are_made_harmless(dicom_factory, make_result, tmp_path):
    (path,) = dicom_factory("static")
    odd = path.with_name("..\\.. name; $(rm) ü.DCM")
    shutil.move(path, odd)
    (written,) = photopeak.write(make_result(photopeak.read(odd)), tmp_path / "out")
    assert written.parent == tmp_path / "out"
    assert written.name == "name_rm_scint-denoise.dcm"


def test_an_object_is_written_whole_or_not_at_all(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("whole-body"))
    half = photopeak.Frames(
        frames.pixels[:1], frames.units, frames.modality, frames.pixel_spacing_mm, frames.info[:1], frames.instances
    )
    with pytest.raises(InputError, match="1 of 2 frames were processed"):
        photopeak.write(make_result(half), tmp_path / "out")


def test_a_failing_slice_leaves_no_series_behind(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("pet"))
    frames.instances[-1].header["SOPInstanceUID"]._value = "x"
    with pytest.raises(InputError, match="not a UID"):
        photopeak.write(make_result(frames), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_pixels_beyond_16_bits_are_refused(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("ct", frames=1))
    frames.instances[0].header.BitsStored = 32
    with pytest.raises(InputError, match="32 bits cannot be written"):
        photopeak.write(make_result(frames), tmp_path / "out")


def test_frame_order_of_the_source_is_restored(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("dynamic"))
    order = [3, 0, 5, 1, 4, 2]
    shuffled = photopeak.Frames(
        np.ascontiguousarray(frames.pixels[order]),
        frames.units,
        frames.modality,
        frames.pixel_spacing_mm,
        tuple(frames.info[i] for i in order),
        frames.instances,
    )
    ds = pydicom.dcmread(photopeak.write(make_result(shuffled, frames=shuffled), tmp_path / "out")[0])
    np.testing.assert_array_equal(ds.pixel_array, frames.pixels)


def test_philips_factors_go_when_the_counts_of_a_pixel_are_split(dicom_factory, make_result, tmp_path):
    paths = dicom_factory("pet", frames=1, tags={"Units": "CNTS"})
    source = pydicom.dcmread(paths[0])
    source.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", "0.0005")
    source.RealWorldValueMappingSequence = [unit_mapping(Units.SUV_BODY_WEIGHT, 0.0005, signed=False)]
    source.save_as(paths[0])
    frames = photopeak.read(paths)
    kept = {}
    for scale, conserve in ((1, "sum"), (2, "sum"), (2, "mean")):
        (path,) = photopeak.write(make_result(frames, scale, conserve), tmp_path / "out")
        ds = pydicom.dcmread(path)
        kept[scale, conserve] = 0x70530010 in ds
        assert ("RealWorldValueMappingSequence" in ds) == kept[scale, conserve]
    assert kept == {(1, "sum"): True, (2, "sum"): False, (2, "mean"): True}
