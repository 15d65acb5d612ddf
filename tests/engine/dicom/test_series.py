"""Grouping and order: geometry decides, never the file's name."""

import random
from shutil import copy

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photopeak.engine.errors import InputError
from photopeak.engine.reading import read, read_all, scan


def rewrite(path, **tags):
    ds = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    ds.save_as(path)
    return path


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_shuffled_files_give_the_same_stack(dicom_factory, tmp_path_factory, shuffler):
    paths = dicom_factory("pet", matrix=(16, 16), frames=8, folder="series")
    expected = read(paths)
    renamed = tmp_path_factory.mktemp("renamed")
    names = [f"{i:02d}" for i in range(8)]
    shuffler.shuffle(names)
    files = [renamed / name for name in names]
    for path, file in zip(paths, files, strict=True):
        copy(path, file)
    shuffler.shuffle(files)
    found = read(files)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert [i.position_mm for i in found.info] == [i.position_mm for i in expected.info]


def test_slices_are_sorted_along_their_own_normal(dicom_factory):
    paths = dicom_factory("ct", frames=5)
    for i, path in enumerate(paths):  # sagittal, from left to right against the numbering
        rewrite(path, ImageOrientationPatient=[0, 1, 0, 0, 0, -1], ImagePositionPatient=[50 - 7 * i, 0, 0])
    assert [i.position_mm[0] for i in read(paths).info] == [50, 43, 36, 29, 22]


def test_dynamic_pet_keeps_every_frame_sorted_by_place_then_time(dicom_factory):
    paths = dicom_factory("pet", frames=6)
    random.Random(1).shuffle(paths)
    for i, path in enumerate(paths):
        place, time = divmod(i, 3)
        rewrite(path, ImagePositionPatient=[0, 0, place * 5], AcquisitionTime=f"10{9 - time:02d}00", InstanceNumber=i)
    frames = read(paths)
    times = [instance.header.AcquisitionTime for instance in frames.instances]
    assert [i.position_mm[2] for i in frames.info] == [0] * 3 + [5] * 3
    assert times == ["100700", "100800", "100900"] * 2


def test_frames_of_one_place_may_differ_by_micrometres(dicom_factory):
    paths = dicom_factory("pet", frames=12)
    for i, path in enumerate(paths):
        place, time = divmod(i, 4)
        height = place * 5 + (0.004, 0.006)[time % 2]
        rewrite(path, ImagePositionPatient=[0, 0, height], AcquisitionTime=f"100{9 - time}00", InstanceNumber=i)
    frames = read(paths)
    times = [instance.header.AcquisitionTime for instance in frames.instances]
    assert times == ["100600", "100700", "100800", "100900"] * 3
    assert frames.notes == ()


def test_spacings_may_differ_by_their_last_digit(dicom_factory):
    paths = dicom_factory("ct", frames=3)
    for i, path in enumerate(paths):
        rewrite(path, PixelSpacing=["0.976562" if i else "0.9765625"] * 2)
    assert read(paths).pixel_spacing_mm == (0.9765625, 0.9765625)


def test_without_geometry_instance_numbers_decide(dicom_factory):
    paths = dicom_factory("pet", frames=5)
    for i, path in enumerate(paths):
        rewrite(path, ImagePositionPatient=None, InstanceNumber=10 - i)
    assert [instance.header.InstanceNumber for instance in read(paths).instances] == [6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    "tags",
    [
        {"SeriesInstanceUID": "1.2.3"},
        {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
        {"PixelSpacing": [2, 2]},
        {"Units": "CNTS"},
        {"ImagePositionPatient": None},
    ],
)
def test_what_cannot_share_a_stack_is_split(dicom_factory, tags):
    paths = dicom_factory("pet", frames=4)
    rewrite(paths[1], **tags)
    assert sorted(len(frames) for frames in read_all(paths)) == [1, 3]


def test_nuclear_objects_stand_alone(dicom_factory):
    paths = [dicom_factory("static", seed=i)[0] for i in range(3)]
    for path in paths:
        rewrite(path, SeriesInstanceUID="1.2.3")
    assert len(scan(paths).series) == 3


def test_missing_slice_is_noted(dicom_factory):
    paths = dicom_factory("pet", frames=6)
    assert read(paths).notes == ()
    assert "unevenly spaced (usually 5.00 mm, at most 10.00 mm)" in read(paths[:2] + paths[3:]).notes[0]


def test_real_pet_series(shared_data):
    found = scan(shared_data / "pynemaiqpet").series
    assert [(series.modality, series.frames, str(series.matrix)) for series in found] == [("PT", 61, "192x192")] * 2
    frames = read(shared_data / "pynemaiqpet" / "recon_1")
    heights = np.array([i.position_mm[2] for i in frames.info])
    np.testing.assert_allclose(np.diff(heights), 2.78, atol=1e-6)
    # Hot spheres in the middle of the phantom: stored MONOCHROME1, yet high is hot.
    assert frames.pixels[:, 60:130, 60:130].mean() > 5 * frames.pixels[:, :20, :20].mean()


def test_slices_with_and_without_slope_are_no_series(dicom_factory):
    paths = dicom_factory("pet", frames=4)
    rewrite(paths[2], RescaleSlope=None)
    with pytest.raises(InputError, match="differ in units"):
        read(paths)
