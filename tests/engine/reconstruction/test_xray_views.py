"""Angiography: the C-arm from the header, line integrals from the pixels."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.reconstruction.views import read_views
from photopeak.engine.reconstruction.xray_views import line_integrals, upright, xray_view
from photopeak.kernels import View

SHAPE = (48, 64)
TAGS = {
    "PositionerPrimaryAngle": 30.0,
    "PositionerSecondaryAngle": -15.0,
    "DistanceSourceToDetector": 1000.0,
    "DistanceSourceToPatient": 750.0,
    "ImagerPixelSpacing": [0.4, 0.3],
}


def header(**changes):
    ds = Dataset()
    for keyword, value in {**TAGS, **changes}.items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds


def c_arm(primary=30.0, secondary=-15.0, spacing_mm=(0.4, 0.3), **changes):
    options = {"source_detector_mm": 1000.0, "source_isocenter_mm": 750.0, **changes}
    return View.c_arm(SHAPE, spacing_mm, primary, secondary, **options)


def test_file_becomes_views(dicom_factory):
    [path] = dicom_factory("xa", frames=1, matrix=SHAPE, spacing_mm=(0.4, 0.3))
    measured = read_views([path])
    assert measured.kind == "xa"
    assert measured.geometry.views == (c_arm(),)
    assert measured.images[0].shape == SHAPE
    # 64 columns of 0.3 mm and 48 rows of 0.4 mm, magnified by 1000 / 750.
    assert np.allclose(measured.geometry.grid.spacing_mm, (0.3, 0.225, 0.225))
    assert measured.geometry.grid.shape == (48, 64, 64)


def test_frame_of_a_run_must_be_named_or_representative(dicom_factory):
    [path] = dicom_factory("xa", frames=4)
    with pytest.raises(UsageError, match=r"holds 4 frames; name the one that is meant, such as image.dcm@2"):
        read_views([path])
    assert read_views([f"{path}@3"]).frames == (3,)
    [path] = dicom_factory("xa", frames=4, tags={"RepresentativeFrameNumber": 2})
    assert read_views([path]).frames == (2,)


def test_rotating_run_has_no_representative(dicom_factory):
    tags = {
        "RepresentativeFrameNumber": 2,
        "PositionerMotion": "DYNAMIC",
        "PositionerPrimaryAngleIncrement": [0.0, 20, 40],
    }
    [path] = dicom_factory("xa", frames=3, matrix=SHAPE, spacing_mm=(0.4, 0.3), tags=tags)
    with pytest.raises(UsageError, match="name the one"):
        read_views([path])
    measured = read_views([f"{path}@1,3"])
    assert measured.geometry.views == (c_arm(), c_arm(70.0))
    assert any("since the start" in note for note in measured.warnings)


@pytest.mark.parametrize(
    ("increments", "frame", "expected"),
    [
        ([0, 10, 20, 30], 3, 50),  # since the start
        ([0, 10, 20, 30], 1, 30),
        ([10, 10, 10, 10], 3, 50),  # since the frame before
        ([10.1, 9.9, 10, 10], 1, 30),
        ([0, 0, 0, 0], 4, 30),
        ([5], 3, 40),
    ],
)
def test_increments_are_added(increments, frame, expected):
    found = xray_view(header(PositionerPrimaryAngleIncrement=increments), frame, SHAPE).view
    assert np.allclose(found.looking, c_arm(expected).looking, atol=2e-3)


def test_increments_of_too_few_frames_are_refused():
    with pytest.raises(InputError, match="Positioner Primary Angle Increment"):
        xray_view(header(PositionerPrimaryAngleIncrement=[0.0, 1.0]), 3, SHAPE)


@pytest.mark.parametrize(
    ("keyword", "name", "option"),
    [
        ("PositionerPrimaryAngle", r"Positioner Primary Angle \(0018,1510\)", "primary"),
        ("PositionerSecondaryAngle", r"Positioner Secondary Angle \(0018,1511\)", "secondary"),
        ("DistanceSourceToDetector", r"Distance Source to Detector \(0018,1110\)", "source_detector_mm"),
        ("DistanceSourceToPatient", r"Distance Source to Patient \(0018,1111\)", "source_isocenter_mm"),
        ("ImagerPixelSpacing", r"Imager Pixel Spacing \(0018,1164\)", "spacing_mm"),
    ],
)
def test_missing_tag_is_named_with_its_remedy(dicom_factory, keyword, name, option):
    [path] = dicom_factory("xa", frames=1, tags={keyword: None})
    with pytest.raises(InputError, match=f"{path.name}: {name} is missing; give `{option}` in a file for --geometry"):
        read_views([path])


def test_magnification_replaces_the_distance_to_the_patient():
    ds = header(DistanceSourceToPatient=None, EstimatedRadiographicMagnificationFactor=1.25)
    assert xray_view(ds, 1, SHAPE).view == c_arm(source_isocenter_mm=800.0)


def test_distances_of_no_c_arm_are_refused():
    with pytest.raises(InputError, match="which is no C-arm"):
        xray_view(header(DistanceSourceToPatient=1200.0), 1, SHAPE)


def test_other_postures_are_told():
    assert not xray_view(header(PatientPosition="HFS"), 1, SHAPE).notes
    assert "HFP" in xray_view(header(PatientPosition="HFP"), 1, SHAPE).notes[0]


def test_enhanced_object_keeps_its_geometry_in_groups():
    shared, own, positioner = Dataset(), Dataset(), Dataset()
    positioner.PositionerPrimaryAngle, positioner.PositionerSecondaryAngle = 30.0, -15.0
    distances, pixel = Dataset(), Dataset()
    distances.DistanceSourceToDetector, distances.DistanceSourceToIsocenter = 1000.0, 750.0
    pixel.ImagerPixelSpacing = [0.4, 0.3]
    own.PositionerPositionSequence = [positioner]
    shared.XRayGeometrySequence, shared.FramePixelDataPropertiesSequence = [distances], [pixel]
    ds = Dataset()
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], [Dataset(), own]
    assert xray_view(ds, 2, SHAPE).view == c_arm()
    with pytest.raises(InputError, match="Positioner Primary Angle"):
        xray_view(ds, 1, SHAPE)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flip", ["NO", "YES"])
def test_rotation_and_flip_of_the_field_of_view_are_undone(turns, flip):
    detector = np.arange(12, dtype=np.float32).reshape(3, 4)
    stored = np.rot90(detector, -turns)  # clockwise
    stored = stored[:, ::-1] if flip == "YES" else stored
    found = upright(stored, header(FieldOfViewRotation=90 * turns, FieldOfViewHorizontalFlip=flip))
    assert np.array_equal(found, detector)


def test_quarter_turn_swaps_the_spacing():
    """Stored columns run along the detector's rows."""
    assert xray_view(header(FieldOfViewRotation=90), 1, SHAPE).view.spacing_mm == (0.3, 0.4)


def test_odd_rotation_is_refused():
    with pytest.raises(InputError, match="Field of View Rotation"):
        upright(np.zeros((3, 4), np.float32), header(FieldOfViewRotation=45))


def linear(integrals, white=3000.0):
    return (white * np.exp(-integrals)).astype(np.float32)


TRUTH = np.zeros(SHAPE)
TRUTH[20:30, 20:40] = np.linspace(0.1, 2.0, 20)


def test_linear_pixels_give_line_integrals():
    found, notes = line_integrals(linear(TRUTH)[None], header(PixelIntensityRelationship="LIN"), 1)
    assert np.allclose(found, TRUTH, atol=1e-5)
    assert len(notes) == 1
    assert "No mask" in notes[0]


def mask(frames, **more):
    item = Dataset()
    item.MaskOperation, item.MaskFrameNumbers = "AVG_SUB", frames
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return [item]


def test_mask_takes_the_background_away():
    background = np.random.default_rng(0).uniform(0.5, 2.5, SHAPE)
    pixels = np.stack([linear(background), linear(background), linear(background + TRUTH)])
    ds = header(PixelIntensityRelationship="LIN", MaskSubtractionSequence=mask([1, 2]))
    found, notes = line_integrals(pixels, ds, 3)
    assert np.allclose(found, TRUTH, atol=1e-4)
    assert not notes


def test_mask_of_other_frames_is_left_alone():
    pixels = np.stack([linear(TRUTH)] * 3)
    ds = header(PixelIntensityRelationship="LIN", MaskSubtractionSequence=mask([1], ApplicableFrameRange=[2, 2]))
    assert np.allclose(line_integrals(pixels, ds, 2)[0], 0, atol=1e-6)
    assert np.allclose(line_integrals(pixels, ds, 3)[0], TRUTH, atol=1e-5)


def test_mask_that_is_not_there_is_refused():
    ds = header(MaskSubtractionSequence=mask([9]))
    with pytest.raises(InputError, match="Mask Frame Numbers"):
        line_integrals(linear(TRUTH)[None], ds, 1)


def test_logarithmic_pixels_are_right_up_to_a_factor():
    pixels = (4000 - 700 * TRUTH).astype(np.float32)[None]
    found, notes = line_integrals(pixels, header(PixelIntensityRelationship="LOG"), 1)
    inside = TRUTH > 0
    factor = found[inside] / TRUTH[inside]
    assert np.allclose(factor, factor.mean(), rtol=1e-4)
    assert factor.mean() > 0
    assert "up to one factor" in notes[0]


@pytest.mark.parametrize("relation", [None, "DISP"])
def test_pixels_for_display_are_told(relation):
    _, notes = line_integrals(linear(TRUTH)[None], header(PixelIntensityRelationship=relation), 1)
    assert "need not be proportional" in notes[0]


def test_nothing_is_seen_behind_the_shutter():
    pixels = linear(TRUTH)
    pixels[:10], pixels[:, :10] = 0, 0
    edges = {
        "ShutterShape": "RECTANGULAR",
        "ShutterUpperHorizontalEdge": 10,
        "ShutterLowerHorizontalEdge": 49,
        "ShutterLeftVerticalEdge": 10,
        "ShutterRightVerticalEdge": 65,
    }
    found, _ = line_integrals(pixels[None], header(PixelIntensityRelationship="LIN", **edges), 1)
    assert np.allclose(found, TRUTH, atol=1e-5)


def test_round_shutter_leaves_a_circle():
    ds = header(ShutterShape="CIRCULAR", CenterOfCircularShutter=[24, 32], RadiusOfCircularShutter=10)
    found, _ = line_integrals(np.full((1, *SHAPE), 100, np.float32), ds, 1)
    assert not found.any()
    with pytest.raises(InputError, match="shutter leaves nothing"):
        line_integrals(
            np.ones((1, *SHAPE), np.float32),
            header(ShutterShape="CIRCULAR", CenterOfCircularShutter=[900, 900], RadiusOfCircularShutter=3),
            1,
        )


def test_dark_pixels_stay_finite():
    pixels = linear(TRUTH)
    pixels[0, 0] = 0
    found, _ = line_integrals(pixels[None], header(PixelIntensityRelationship="LIN"), 1)
    assert np.isfinite(found).all()


def test_views_of_a_run_use_its_own_mask(dicom_factory):
    """Mask, shutter and rotation reach the views through a file as well."""
    [path] = dicom_factory("xa", frames=3, matrix=SHAPE)
    ds = pydicom.dcmread(path)
    ds.MaskSubtractionSequence = mask([1])
    ds.FieldOfViewRotation, ds.FieldOfViewHorizontalFlip = 90, "YES"
    ds.save_as(path)
    stored = ds.pixel_array.astype(np.float64)
    measured = read_views([f"{path}@2"])
    expected = np.log(np.maximum(stored[0], 1) / np.maximum(stored[1], 1))
    assert np.allclose(measured.images[0], np.rot90(expected[:, ::-1]), atol=1e-5)
    assert measured.geometry.views[0].shape == SHAPE[::-1]
    assert not any("No mask" in note for note in measured.warnings)
