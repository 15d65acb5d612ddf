"""Geometry of derived objects, read back by Photopeak and, independently, by pydicom alone."""

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from photopeak.engine.dicom.derived import header as header_module
from photopeak.engine.dicom.derived import magnify as magnify_module
from photopeak.engine.dicom.derived.magnify import decimals, magnify

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")


def corners(position, orientation, spacing, rows, columns):
    """Return the two outer corners of an image plane [mm]."""
    along_row, along_column = np.reshape(np.array(orientation, float), (2, 3))
    origin, (between_rows, between_columns) = np.array(position, float), map(float, spacing)
    return np.array(
        [
            origin + along_row * between_columns * c + along_column * between_rows * r
            for r, c in ((-0.5, -0.5), (rows - 0.5, columns - 0.5))
        ]
    )


@given(
    position=st.lists(st.floats(-500, 500), min_size=3, max_size=3),
    angles=st.tuples(st.floats(0, 6.28), st.floats(0, 6.28)),
    spacing=st.tuples(st.floats(0.2, 10), st.floats(0.2, 10)),
    scale=st.sampled_from([1, 2, 4]),
)
def test_magnified_images_cover_the_same_area(position, angles, spacing, scale):
    a, b = angles
    along_row = np.array([np.cos(a), np.sin(a), 0])
    along_column = np.cos(b) * np.array([-np.sin(a), np.cos(a), 0]) + np.sin(b) * np.array([0, 0, 1])
    ds = Dataset()
    ds.ImagePositionPatient, ds.PixelSpacing = decimals(position), decimals(spacing)
    ds.ImageOrientationPatient = decimals([*along_row, *along_column])
    before = corners(ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing, 64, 32)
    magnify(ds, scale)
    after = corners(ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing, 64 * scale, 32 * scale)
    np.testing.assert_allclose(after, before, atol=1e-6)


@pytest.mark.parametrize("kind", ["pet", "ct", "enhanced-pet", "recon-tomo", "whole-body"])
def test_edges_align_after_super_resolution(derive, kind):
    result, written = derive(kind, 2)
    pairs = zip((i.header for i in result.source.instances), written, strict=True)
    for before, after in pairs:
        for (p0, o0, s0), (p1, o1, s1) in zip(planes(before), planes(after), strict=True):
            expected = corners(p0, o0, s0, before.Rows, before.Columns)
            np.testing.assert_allclose(corners(p1, o1, s1, after.Rows, after.Columns), expected, atol=1e-6)
            np.testing.assert_allclose(np.array(s1, float) * 2, np.array(s0, float))


def planes(ds):
    if "SharedFunctionalGroupsSequence" in ds:
        shared = ds.SharedFunctionalGroupsSequence[0]
        for group in ds.PerFrameFunctionalGroupsSequence:
            yield (
                group.PlanePositionSequence[0].ImagePositionPatient,
                shared.PlaneOrientationSequence[0].ImageOrientationPatient,
                shared.PixelMeasuresSequence[0].PixelSpacing,
            )
    for holder in [ds] if "ImagePositionPatient" in ds else ds.get("DetectorInformationSequence") or []:
        yield holder.ImagePositionPatient, holder.ImageOrientationPatient, ds.PixelSpacing


def test_xray_spacing_at_the_detector_is_halved_and_edges_in_pixels_are_left_out(derive):
    tags = {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 3}
    _, (ds,) = derive("xa", 2, tags=tags)
    assert [float(value) for value in ds.ImagerPixelSpacing] == [2.4, 2.0]
    assert "ShutterShape" not in ds
    assert "ShutterLeftVerticalEdge" not in ds
    _, (same,) = derive("xa", 1, tags=tags, out="same", seed=1)
    assert same.ShutterLeftVerticalEdge == 3


def test_shutters_and_collimators_of_frames_are_left_out_when_magnified():
    ds, shared, group, shutter, calibration = (Dataset() for _ in range(5))
    shutter.ShutterShape, shutter.ShutterLeftVerticalEdge = "RECTANGULAR", 3
    shutter.CollimatorShape, shutter.CollimatorLeftVerticalEdge = "RECTANGULAR", 3
    calibration.ObjectPixelSpacingInCenterOfBeam = [0.3, 0.2]
    shared.FrameDisplayShutterSequence, group.CollimatorShapeSequence = [shutter], [shutter]
    group.ProjectionPixelCalibrationSequence = [calibration]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], [group]
    magnify(ds, 2)
    assert "FrameDisplayShutterSequence" not in shared
    assert "CollimatorShapeSequence" not in group
    assert calibration.ObjectPixelSpacingInCenterOfBeam == [0.15, 0.1]


def test_every_listed_keyword_is_in_the_dictionary():
    listed = header_module._NO_LONGER_TRUE + magnify_module._IN_PIXELS
    assert [keyword for keyword in listed.split() if pydicom.datadict.tag_for_keyword(keyword) is None] == []
