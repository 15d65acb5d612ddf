"""Files written: names, formats, and what happens when they cannot be."""

import threading
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import photopeak
from photopeak.engine import writing
from photopeak.engine.errors import InputError
from photopeak.engine.files import atomic_write
from photopeak.engine.frames import Units


@pytest.fixture
def flood(tmp_path):
    """Return frames read from a .npy file."""
    np.save(tmp_path / "flood.npy", np.random.default_rng(0).poisson(9, (3, 32, 24)))
    return photopeak.read(tmp_path / "flood.npy")


def test_an_array_gives_an_array(flood, make_result, tmp_path):
    result = make_result(flood, 2)
    (path,) = photopeak.write(result, tmp_path / "out" / "deep")
    assert path == tmp_path / "out" / "deep" / "flood_scint-sr-x2.npy"
    np.testing.assert_array_equal(np.load(path), result.frames.pixels)
    np.testing.assert_array_equal(photopeak.read(path).pixels, result.frames.pixels)


@pytest.fixture
def oblique(tmp_path):
    """Return the path of a NIfTI volume with an oblique affine."""
    angle = 0.3
    affine = np.array(
        [
            [3 * np.cos(angle), -2 * np.sin(angle), 0.4, -80],
            [3 * np.sin(angle), 2 * np.cos(angle), 0, 12],
            [0, 0.2, 5, 30],
            [0, 0, 0, 1],
        ]
    )
    data = np.random.default_rng(1).poisson(7, (20, 16, 5)).astype(np.float32)
    path = tmp_path / "liver.scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    return path


@pytest.mark.parametrize("scale", [1, 2])
def test_nifti_edges_of_voxels_align(oblique, make_result, tmp_path, scale):
    source = nibabel.load(oblique)
    result = make_result(photopeak.read(oblique), scale)
    (path,) = photopeak.write(result, tmp_path / "out")
    assert path.name == f"liver.scan_{result.bundle.manifest.name}.nii.gz"
    written = nibabel.load(path)
    assert written.shape == (20 * scale, 16 * scale, 5)
    for corner in (np.array([-0.5, -0.5, -0.5]), np.array(source.shape) - 0.5):
        same = (corner + 0.5) * [scale, scale, 1] - 0.5
        np.testing.assert_allclose(
            nibabel.affines.apply_affine(written.affine, same),
            nibabel.affines.apply_affine(source.affine, corner),
            atol=1e-4,
        )
    np.testing.assert_array_equal(written.get_fdata(dtype=np.float32), result.frames.pixels.transpose(2, 1, 0))
    again = photopeak.read(path)
    np.testing.assert_array_equal(again.pixels, result.frames.pixels)
    assert again.pixel_spacing_mm == pytest.approx(result.frames.pixel_spacing_mm, rel=1e-5)


def test_equal_results_give_equal_nifti_files(oblique, make_result, tmp_path):
    result = make_result(photopeak.read(oblique))
    first, second = (photopeak.write(result, tmp_path / name)[0].read_bytes() for name in ("a", "b"))
    assert first == second


def test_nothing_is_ever_overwritten(flood, make_result, tmp_path):
    result = make_result(flood)
    names = [photopeak.write(result, tmp_path / "out")[0].name for _ in range(3)]
    assert names == ["flood_scint-denoise.npy", "flood_scint-denoise-2.npy", "flood_scint-denoise-3.npy"]


def test_many_threads_get_files_of_their_own(flood, make_result, tmp_path):
    result, start = make_result(flood), threading.Barrier(8)

    def run(_):
        start.wait()
        return photopeak.write(result, tmp_path / "out")[0]

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(run, range(8)))
    assert len(set(paths)) == 8
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in paths)
    for path in paths:
        np.testing.assert_array_equal(np.load(path), result.frames.pixels)


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "a"

    def write_late():
        with atomic_write(path, replace=False) as file:
            file.write(b"late")
            path.write_bytes(b"early")

    with pytest.raises(FileExistsError):
        write_late()
    assert path.read_bytes() == b"early"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_links_still_never_overwrites(tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    path = tmp_path / "a"
    with atomic_write(path, replace=False) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), atomic_write(path, replace=False) as file:
        file.write(b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(flood, make_result, tmp_path, value):
    result = make_result(flood)
    result.frames.pixels[1, 3, 4] = value
    with pytest.raises(InputError, match=r"flood\.npy: output frame 2 holds NaN or infinite values"):
        photopeak.write(result, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder_is_an_error(flood, make_result, tmp_path):
    (tmp_path / "out").write_text("I am a file")
    with pytest.raises(InputError, match=r"out: cannot be written \(File exists\)"):
        photopeak.write(make_result(flood), tmp_path / "out")


def test_a_folder_that_refuses_files_is_an_error(flood, make_result, tmp_path, monkeypatch):
    def refuse(path, *, replace):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(writing, "atomic_write", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        photopeak.write(make_result(flood), tmp_path / "out")


def test_a_full_disk_halfway_leaves_no_series(dicom_factory, make_result, tmp_path, monkeypatch):
    result = make_result(photopeak.read(dicom_factory("pet")))
    calls = []

    def fills_up(path, *, replace):
        calls.append(path)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        return atomic_write(path, replace=replace)

    monkeypatch.setattr(writing, "atomic_write", fills_up)
    with pytest.raises(InputError, match="No space left on device"):
        photopeak.write(result, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@given(name=st.text(min_size=1, max_size=200))
def test_any_name_becomes_one_harmless_component(name):
    stem = writing.safe_name(name)
    assert 0 < len(stem) <= 80
    assert stem.isascii()
    assert not set(stem) & set('/\\:*?"<>| \0')
    assert stem[0] not in "._-"


def test_frames_without_a_file_are_named_after_their_source(make_result, tmp_path):
    frames = photopeak.Frames.from_array(np.ones((8, 8)), units=Units.COUNTS)
    (path,) = photopeak.write(make_result(frames), tmp_path)
    assert path.name == "array_scint-denoise.npy"
