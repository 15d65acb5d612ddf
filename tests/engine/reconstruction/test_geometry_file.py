"""Geometry files: what they may say, and what is refused."""

import numpy as np
import pytest

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.reconstruction.geometry_file import read_geometry
from photopeak.engine.reconstruction.views import read_views
from photopeak.kernels import View

CAMERA = '[[view]]\nkind = "gamma-camera"\nangle = {}\nspacing_mm = [4.0, 3.0]\n'
ARM = (
    '[[view]]\nkind = "c-arm"\nprimary = {}\nsecondary = {}\nsource_detector_mm = 1100\nsource_isocenter_mm = 750\n'
    "spacing_mm = [0.4, 0.4]\n"
)
DETECTOR = (
    '[[view]]\nkind = "detector"\ncenter_mm = [0, -300, 0]\nright = [1, 0, 0]\ndown = [0, 0, -1]\n'
    "source_mm = [0, 700, 0]\nspacing_mm = [0.5, 0.5]\n"
)


@pytest.fixture
def files(tmp_path):
    """Return ``make(text, images)``: a geometry file and an array of images."""

    def make(text, images=2, shape=(24, 32)):
        np.save(tmp_path / "views.npy", np.random.default_rng(0).poisson(5, (images, *shape)))
        (tmp_path / "geometry.toml").write_text(text, encoding="utf-8")
        return [tmp_path / "views.npy"], tmp_path / "geometry.toml"

    return make


def test_gamma_cameras_of_an_array(files):
    paths, geometry = files(CAMERA.format(0) + CAMERA.format(90) + "radius_mm = 200\nisocenter_mm = [1, 2, 3]\n")
    measured = read_views(paths, geometry)
    assert measured.kind == "other"
    assert measured.datasets == ()
    assert measured.frames == ()
    assert measured.geometry.views == (
        View.gamma_camera((24, 32), (4.0, 3.0), 0),
        View.gamma_camera((24, 32), (4.0, 3.0), 90, radius_mm=200, isocenter_mm=(1, 2, 3)),
    )
    assert np.array_equal(measured.images[1], np.load(paths[0])[1])


def test_c_arms_of_an_array(files):
    measured = read_views(*files(ARM.format(30, -10) + ARM.format(-60, 0)))
    assert measured.geometry.views[0] == View.c_arm(
        (24, 32), (0.4, 0.4), 30, -10, source_detector_mm=1100, source_isocenter_mm=750
    )
    assert measured.geometry.cone_beam


def test_any_detector_by_its_vectors(files):
    [view] = read_views(*files(DETECTOR, images=1)).geometry.views
    assert view == View((24, 32), (0.5, 0.5), (0, -300, 0), (1, 0, 0), (0, 0, -1), (0, 700, 0))


def test_grid_is_taken_as_it_is(files):
    grid = "[grid]\nshape = [8, 16, 24]\nspacing_mm = [5.0, 6.0, 7.0]\ncenter_mm = [1, 2, 3]\n"
    found = read_views(*files(grid + CAMERA.format(0) + CAMERA.format(90))).geometry.grid
    assert (found.shape, found.spacing_mm, found.center_mm) == ((8, 16, 24), (5, 6, 7), (1, 2, 3))


def test_frames_of_arrays_may_be_named(files):
    paths, geometry = files(CAMERA.format(0) + CAMERA.format(90), images=5)
    measured = read_views([f"{paths[0]}@2,5"], geometry)
    assert np.array_equal(measured.images[1], np.load(paths[0])[4])


def test_file_takes_the_place_of_the_header(files, dicom_factory):
    [path] = dicom_factory("static", tags={"PixelSpacing": None})
    _, geometry = files(CAMERA.format(90))
    measured = read_views([path], geometry)
    assert measured.kind == "nm"
    assert measured.geometry.views[0].looking == (-1, 0, 0)
    assert len(measured.datasets) == 1


def test_spacing_comes_from_the_image_where_the_file_is_silent(files, dicom_factory):
    _, geometry = files(CAMERA.format(0).replace("spacing_mm = [4.0, 3.0]\n", ""))
    assert read_views(dicom_factory("static"), geometry).geometry.views[0].spacing_mm == (4.8, 4.0)
    paths, _ = files("", images=1)
    geometry.write_text(CAMERA.format(0).replace("spacing_mm = [4.0, 3.0]\n", ""))
    with pytest.raises(UsageError, match=r"view 1 lacks spacing_mm, and views.npy does not say it"):
        read_views(paths, geometry)


def test_x_rays_are_turned_into_line_integrals_all_the_same(files, dicom_factory):
    [path] = dicom_factory("xa", frames=1, matrix=(24, 32), tags={"PositionerPrimaryAngle": None})
    _, geometry = files(ARM.format(30, 0))
    by_file = read_views([path], geometry)
    [whole] = dicom_factory("xa", frames=1, matrix=(24, 32))
    assert np.array_equal(by_file.images[0], read_views([whole]).images[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CAMERA.format(0), r"describes 1 view\(s\) but 2 image\(s\)"),
        (CAMERA.format(0) + CAMERA.format("nan"), "view.2.gamma-camera.angle"),
        (CAMERA.format(0) + CAMERA.format(90) + "turn = 3\n", "view.2.gamma-camera.turn: extra inputs"),
        (CAMERA.format(0) + '[[view]]\nkind = "x-ray"\n', "view.2: .*gamma-camera"),
        (CAMERA.format(0) + "[[view]]\nangle = 90\n", "view.2: unable to extract tag"),
        (CAMERA.format(0) + ARM.format(0, 0).replace("primary = 0\n", ""), "view.2.c-arm.primary: field required"),
        (CAMERA.format(0) + CAMERA.format(90).replace("4.0", "-4.0"), "spacing_mm.1"),
        (CAMERA.format(0) + ARM.format(0, 0), "mixed"),
        (ARM.format(0, 0) + ARM.format(90, 0).replace("750", "1200"), "no C-arm"),
        (DETECTOR + DETECTOR.replace("right = [1, 0, 0]", "right = [1, 1, 0]"), "right angles"),
        ("voxels = 3\n" + CAMERA.format(0), "voxels: extra inputs"),
        ("", "view: field required"),
        ("view = []", "view: tuple should have at least 1 item"),
        ("view = [", "is no TOML"),
        ("a = " + "[" * 100_000, "is no TOML"),
        ("[grid]\nshape = [0, 4, 4]\nspacing_mm = [1, 1, 1]\n" + CAMERA.format(0), "grid.shape.1"),
        ("[grid]\nshape = [4, 4]\nspacing_mm = [1, 1, 1]\n" + CAMERA.format(0), "grid.shape"),
    ],
)
def test_wrong_file_is_refused_with_its_place(files, text, words):
    with pytest.raises(UsageError, match=words):
        read_views(*files(text))


def test_file_that_cannot_be_read_is_refused(tmp_path, files):
    paths, geometry = files("")
    with pytest.raises(UsageError, match="cannot be read"):
        read_views(paths, tmp_path / "none.toml")
    geometry.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is no TOML"):
        read_geometry(geometry)
    geometry.write_bytes(b"#" * (1 << 21))
    with pytest.raises(UsageError, match="is larger than"):
        read_geometry(geometry)


def test_array_without_a_file_has_no_geometry(files):
    paths, _ = files("")
    with pytest.raises(UsageError, match="no header that says where the detector was"):
        read_views(paths)


def test_damaged_image_is_refused(tmp_path):
    (tmp_path / "image.dcm").write_bytes(b"nothing")
    with pytest.raises(InputError):
        read_views([tmp_path / "image.dcm"])
