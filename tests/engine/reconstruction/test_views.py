"""Views from synthetic NM and XA objects and from geometry files."""

import numpy as np
import pytest

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.reconstruction.placement import grid_around
from photopeak.engine.reconstruction.views import read_views
from photopeak.kernels import View

MISSING = "missing|unknown"


def named(measured):
    return [view.looking for view in measured.geometry.views]


def test_static_scan_is_two_views_upright(dicom_factory):
    """Anterior and posterior heads with Image Orientation and Position: placed as the header says."""
    [path] = dicom_factory("whole-body", matrix=(96, 64), spacing_mm=(4.8, 4.0))
    measured = read_views([path])
    assert measured.kind == "nm"
    assert measured.frames == (1, 2)
    assert named(measured) == [(0, 1, 0), (0, -1, 0)]
    assert [view.right for view in measured.geometry.views] == [(1, 0, 0), (-1, 0, 0)]
    # First pixel at x = -128 and z = 900: the middle lies half a matrix further.
    assert np.allclose(measured.geometry.views[0].center_mm, (-128 + 31.5 * 4, -250, 900 - 47.5 * 4.8), atol=2.1)
    assert measured.geometry.grid.shape == (96, 64, 64)
    assert measured.geometry.grid.spacing_mm == (4.8, 4.0, 4.0)
    assert measured.geometry.grid.center_mm[2] == pytest.approx(900 - 47.5 * 4.8)
    assert any("Radial Position" in note for note in measured.warnings)
    assert all("PixelData" not in ds and ds.file_meta for ds in measured.datasets)


def lateral(ds):
    head = ds.DetectorInformationSequence[0]
    head.ViewCodeSequence[0].CodeMeaning = "left lateral"
    head.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


@pytest.fixture
def edited(dicom_factory):
    """Return ``make(kind, change, **choices)``: a synthetic object after `change(ds)`."""
    import pydicom

    def make(kind, change, **choices):
        [path] = dicom_factory(kind, **choices)
        ds = pydicom.dcmread(path)
        change(ds)
        ds.save_as(path)
        return path

    return make


def test_two_files_are_two_views(dicom_factory, edited):
    [anterior] = dicom_factory("static")
    measured = read_views([anterior, edited("static", lateral, seed=1)])
    assert named(measured) == [(0, 1, 0), (-1, 0, 0)]
    assert len(set(measured.sources)) == 2
    # Two frames of reference: both look at the origin instead.
    assert any("frame of reference" in note for note in measured.warnings)
    assert measured.geometry.grid.center_mm == (0, 0, 0)
    for view in measured.geometry.views:
        assert np.allclose(view.project(np.zeros(3)), [31.5, 31.5])


def test_positions_of_one_frame_of_reference_are_kept(dicom_factory, edited):
    def placed(ds):
        lateral(ds)
        ds.DetectorInformationSequence[0].ImagePositionPatient = [300.0, -100.0, 890.0]
        ds.DetectorInformationSequence[0].RadialPosition = 180.0
        ds.FrameOfReferenceUID = reference

    import pydicom

    [anterior] = dicom_factory("static")
    reference = pydicom.dcmread(anterior).FrameOfReferenceUID
    measured = read_views([anterior, edited("static", placed, seed=1)])
    first, second = measured.geometry.views
    # x from the anterior view, y from the lateral one, z from both.
    middle = np.array([-128 + 31.5 * 4, -100 + 31.5 * 4, (900 + 890) / 2 - 31.5 * 4.8])
    assert np.allclose(measured.geometry.grid.center_mm, middle)
    assert first.distance_to(tuple(middle)) == pytest.approx(250)
    assert second.distance_to(tuple(middle)) == pytest.approx(180)
    assert np.allclose(first.project(middle), [31.5 + 5 / 4.8, 31.5])
    assert np.allclose(second.project(middle), [31.5 - 5 / 4.8, 31.5])


def test_mirrored_posterior_view_is_turned_round(edited):
    """Stored as seen through from the front: called posterior, but its columns grow to the left hand."""

    def see_through(ds):
        ds.DetectorInformationSequence[1].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    path = edited("whole-body", see_through)
    measured = read_views([path])
    import pydicom

    stored = pydicom.dcmread(path).pixel_array
    assert named(measured)[1] == (0, -1, 0)
    assert measured.geometry.views[1].right == (-1, 0, 0)
    assert np.array_equal(measured.images[1], stored[1][:, ::-1])
    assert np.array_equal(measured.images[0], stored[0])


def test_view_and_orientation_must_agree(edited):
    def turn(ds):
        ds.DetectorInformationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    with pytest.raises(InputError, match="frame 1 is called anterior but Image Orientation"):
        read_views([edited("static", turn)])


@pytest.mark.parametrize(
    ("meaning", "angle"),
    [("right lateral", 270), ("Left anterior oblique", 45), ("RPO", 225), ("posterior", 180)],
)
def test_view_code_is_enough(edited, meaning, angle):
    def only_code(ds):
        head = ds.DetectorInformationSequence[0]
        head.ViewCodeSequence[0].CodeMeaning = meaning
        del head.ImageOrientationPatient, head.ImagePositionPatient

    measured = read_views([edited("static", only_code)])
    assert measured.geometry.views[0] == View.gamma_camera((64, 64), (4.8, 4.0), angle)


@pytest.mark.parametrize(("start", "looking"), [(0, (0, -1, 0)), (90, (-1, 0, 0)), (180, (0, 1, 0)), (270, (1, 0, 0))])
def test_start_angle_counts_from_the_back_to_the_left(edited, start, looking):
    def only_angle(ds):
        head = ds.DetectorInformationSequence[0]
        head.StartAngle = start
        del head.ImageOrientationPatient, head.ImagePositionPatient, head.ViewCodeSequence

    assert named(read_views([edited("static", only_angle)])) == [looking]


def test_tomography_chooses_frames_by_number(edited):
    """16 views, two heads from 0 and 180 degrees, clockwise by 22.5: frame 5 is the fifth of the first head."""

    def radii(ds):
        ds.RotationInformationSequence[0].RadialPosition = [200.0 + index for index in range(8)]

    path = edited("tomo", radii)
    whole = read_views([path])
    assert len(whole.images) == 16
    chosen = read_views([f"{path}@1,5"])
    assert chosen.frames == (1, 5)
    # 0 is the back; four steps clockwise, seen from the feet, lead to 270, the right hand.
    assert np.allclose(named(chosen), [(0, -1, 0), (1, 0, 0)])
    assert [view.distance_to((0, 0, 0)) for view in chosen.geometry.views] == pytest.approx([200, 204])
    assert np.array_equal(chosen.images[1], whole.images[4])
    assert np.allclose(named(whole)[8], (0, 1, 0))  # the second head started in front


def test_counterclockwise_goes_to_the_left_hand(edited):
    def counterclockwise(ds):
        ds.RotationInformationSequence[0].RotationDirection = "CC"

    assert np.allclose(named(read_views([f"{edited('tomo', counterclockwise)}@1-5"]))[4], (-1, 0, 0))


@pytest.mark.parametrize("keyword", ["AngularStep", "RotationDirection"])
def test_tomography_without_angles_names_the_tag(edited, keyword):
    import pydicom

    def without(ds):
        delattr(ds.RotationInformationSequence[0], keyword)

    name = pydicom.datadict.dictionary_description(keyword)
    with pytest.raises(InputError, match=f"{name} .* missing; give `angle`"):
        read_views([edited("tomo", without)])


@pytest.mark.parametrize("kind", ["dynamic", "gated"])
def test_frames_in_time_must_be_named(dicom_factory, kind):
    [path] = dicom_factory(kind)
    with pytest.raises(UsageError, match="name those that are views"):
        read_views([path])
    assert len(read_views([f"{path}@2"]).images) == 1


def test_reconstructed_slices_are_no_views(dicom_factory):
    with pytest.raises(InputError, match="reconstructed slices"):
        read_views(dicom_factory("recon-tomo"))


def test_several_frames_of_one_head_must_be_named(dicom_factory):
    [path] = dicom_factory("static", frames=2)
    with pytest.raises(InputError, match="2 frames of 1 detector"):
        read_views([path])


def test_missing_pixel_spacing_names_the_tag(dicom_factory):
    [path] = dicom_factory("static", tags={"PixelSpacing": None})
    with pytest.raises(InputError, match=r"Pixel Spacing \(0028,0030\) is missing; give `spacing_mm`"):
        read_views([path])


def test_camera_of_unknown_place_says_what_to_give(edited):
    def nothing(ds):
        head = ds.DetectorInformationSequence[0]
        del head.ImageOrientationPatient, head.ImagePositionPatient, head.ViewCodeSequence, head.StartAngle

    with pytest.raises(InputError, match=r"View Code Sequence .* Start Angle .* give `angle`"):
        read_views([edited("static", nothing)])


def test_different_durations_are_told(dicom_factory):
    [first] = dicom_factory("static")
    [second] = dicom_factory("static", seed=1, tags={"ActualFrameDuration": 300_000})
    assert any("(600, 300 s)" in note for note in read_views([first, second]).warnings)


SAME = {"PatientID": "1", "StudyInstanceUID": "1.2.3"}


def test_views_of_two_studies_are_told(dicom_factory):
    paths = [path for seed in (0, 1) for path in dicom_factory("static", seed=seed, tags=SAME)]
    assert not any("different" in note for note in read_views(paths).warnings)
    [other] = dicom_factory("static", seed=2, tags=SAME | {"StudyInstanceUID": "1.2.4567"})
    [note] = [note for note in read_views([paths[0], other]).warnings if "different" in note]
    assert "different studies" in note
    assert "4567" not in note


def test_views_of_two_patients_are_refused_without_naming_them(dicom_factory):
    [first] = dicom_factory("static", tags=SAME)
    [other] = dicom_factory("static", seed=2, tags=SAME | {"PatientID": "4567"})
    with pytest.raises(InputError, match=r"different patients") as refused:
        read_views([first, other])
    assert first.name in str(refused.value)
    assert other.name in str(refused.value)
    assert "(0010,0020)" in str(refused.value)
    assert "4567" not in str(refused.value)


def test_voxels_larger_than_the_field_of_view_are_refused(dicom_factory):
    [path] = dicom_factory("tomo")
    with pytest.raises(UsageError, match="voxels of 5000 mm"):
        read_views([f"{path}@1,5"], voxel_mm=5000)


def test_one_frame_twice_is_refused(dicom_factory):
    [path] = dicom_factory("tomo")
    with pytest.raises(UsageError, match="frame 3 is given twice"):
        read_views([f"{path}@3", f"{path}@1-4"])


@pytest.mark.parametrize("suffix", ["@0", "@17", "@4-2"])
def test_frame_that_is_not_there_is_refused(dicom_factory, suffix):
    [path] = dicom_factory("tomo")
    with pytest.raises(UsageError, match="frame"):
        read_views([f"{path}{suffix}"])


def test_at_sign_of_a_file_name_is_no_number(tmp_path, dicom_factory):
    [path] = dicom_factory("static")
    odd = path.rename(tmp_path / "knee@2")
    assert read_views([odd]).frames == (1,)


def test_no_path_is_no_view():
    with pytest.raises(UsageError, match="no view is given"):
        read_views([])


def test_other_images_have_no_geometry(dicom_factory):
    with pytest.raises(InputError, match="CR image, whose geometry is not known"):
        read_views(dicom_factory("cr"))


def test_kinds_are_not_mixed(dicom_factory):
    with pytest.raises(UsageError, match="mixed"):
        read_views([*dicom_factory("static"), *dicom_factory("xa", frames=1)])


@pytest.mark.parametrize("voxel_mm", [0.0, -1.0, float("nan"), 1e-3])
def test_impossible_voxels_are_refused(dicom_factory, voxel_mm):
    with pytest.raises(UsageError, match="voxels"):
        read_views(dicom_factory("static"), voxel_mm=voxel_mm)


def test_voxels_may_be_chosen(dicom_factory):
    grid = read_views(dicom_factory("static"), voxel_mm=8.0).geometry.grid
    assert grid.spacing_mm == (8, 8, 8)
    assert grid.shape == (39, 32, 32)


@pytest.mark.parametrize("sizes", [(4.0, 4.0), (0.5, 0.5), (0.1, 4.0), (1e-2, 4.0)])
def test_voxels_are_the_least_multiple_of_a_pixel_that_few_hold(sizes):
    views = [View.gamma_camera((256, 256), (size, size), angle) for size, angle in zip(sizes, (0, 90), strict=True)]
    height, across, pixel = 256 * min(sizes), 256 * max(sizes), min(sizes)
    factor = next(f for f in range(1, 10_000) if height * across**2 / (f * pixel) ** 3 <= 1 << 23)
    assert grid_around(views, (0.0, 0.0, 0.0)).spacing_mm == pytest.approx((factor * pixel,) * 3)


@pytest.mark.parametrize("sizes", [(1e-12, 4.0), (1e-300, 1e300)])
def test_pixels_of_absurdly_different_size_are_refused_at_once(sizes):
    views = [View.gamma_camera((64, 64), (size, size), angle) for size, angle in zip(sizes, (0, 90), strict=True)]
    with pytest.raises(UsageError, match="differ too much in size"):
        grid_around(views, (0.0, 0.0, 0.0))
