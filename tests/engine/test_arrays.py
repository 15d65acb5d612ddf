"""NumPy and NIfTI files."""

import gzip
import tracemalloc

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, floating_dtypes, integer_dtypes
from numpy.lib import format as npy_format

from photopeak.engine.errors import InputError
from photopeak.engine.frames import Units
from photopeak.engine.reading import Limits, read


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(integer_dtypes(), floating_dtypes(sizes=(32, 64))).flatmap(
        lambda dtype: arrays(dtype, st.one_of([st.tuples(*[st.integers(1, 5)] * n) for n in (2, 3)]))
    ),
    st.booleans(),
)
def test_any_real_array_comes_back(tmp_path, array, fortran):
    path = tmp_path / "a.npy"
    np.save(path, np.asfortranarray(array) if fortran else array)
    with np.errstate(over="ignore"):
        frames = read(path)
        expected = array.astype(np.float32)
    np.testing.assert_array_equal(frames.pixels, expected if array.ndim == 3 else expected[np.newaxis])
    assert (frames.units, frames.modality, frames.source) == (Units.NONE, "OT", "a.npy")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(4), "shape"),
        (np.zeros((1, 2, 3, 4)), "shape"),
        (np.zeros((0, 4)), "shape"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.array([["a", "b"]]), "<U1"),
        (np.array([[{}]]), "object"),
        (np.zeros((2, 2), [("ä", int)]), "holds"),
    ],
)
@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_other_arrays_are_refused(tmp_path, array, reason):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=reason):
        read(tmp_path / "a.npy")


def test_array_header_that_promises_too_much(tmp_path):
    path = tmp_path / "a.npy"
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 20, 1 << 10, 1 << 10)}
    with path.open("wb") as file:
        npy_format.write_array_header_1_0(file, header)
    with pytest.raises(InputError, match="over the limit"):
        read(path)
    with path.open("wb") as file:
        npy_format.write_array_header_1_0(file, header | {"shape": (16, 16)})
        file.write(bytes(100))
    with pytest.raises(InputError, match="cut off"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\3\4", b"\x93NUMPY", b"\x93NUMPY\1\0\x76\0{'descr'", b"\x93NUMPY\7\7" + bytes(99)]
)
def test_broken_arrays_are_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npy"):
        read(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_nifti_axes(tmp_path, suffix, kind):
    data = np.random.default_rng(0).integers(0, 1000, (5, 4, 3)).astype(np.int16)  # x, y, z
    affine = np.array([[-2.0, 0, 0, 10], [0, 3.0, 0, 20], [0, 0, 4.0, 30], [0, 0, 0, 1]])
    path = tmp_path / f"volume{suffix}"
    kind(data, affine).to_filename(path)
    frames = read(path)
    assert (frames.matrix, len(frames), frames.pixel_spacing_mm) == ((4, 5), 3, (3.0, 2.0))
    assert all(frames.pixels[k, j, i] == data[i, j, k] for i in range(5) for j in range(4) for k in range(3))
    np.testing.assert_allclose(frames.affine, affine)


def test_nifti_scaling_and_flat_or_single_volumes(tmp_path):
    image = nibabel.Nifti1Image(np.arange(6, dtype=np.int16).reshape(3, 2, 1, 1), np.eye(4))
    image.header.set_slope_inter(0.5, -1)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_allclose(read(tmp_path / "a.nii").pixels, image.dataobj[..., 0, 0].T[np.newaxis] * 0.5 - 1)
    nibabel.Nifti1Image(np.ones((3, 2), np.float32), np.eye(4)).to_filename(tmp_path / "b.nii")
    assert read(tmp_path / "b.nii").pixels.shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.zeros((2, 2, 2, 3), np.float32), "split it"),
        (np.zeros((2, 2, 2), np.complex64), "complex64"),
        (np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "split it"),
    ],
)
def test_other_volumes_are_refused(tmp_path, data, reason):
    nibabel.Nifti1Image(data, np.eye(4)).to_filename(tmp_path / "a.nii")
    with pytest.raises(InputError, match=reason):
        read(tmp_path / "a.nii")


def test_volume_that_promises_too_much_or_holds_too_little(tmp_path):
    path = tmp_path / "a.nii.gz"
    nibabel.Nifti1Image(np.zeros((64, 64, 64), np.float32), np.eye(4)).to_filename(path)
    with pytest.raises(InputError, match="over the limit"):
        read(path, limits=Limits(pixel_bytes=1 << 20))
    packed = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(packed[:5000]))
    with pytest.raises(InputError, match=r"a\.nii\.gz"):
        read(path)


def test_gzip_bomb_takes_no_memory(tmp_path):
    path = tmp_path / "a.nii.gz"
    nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)).to_filename(path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(100 << 20)))
    tracemalloc.start()
    assert read(path).pixels.shape == (4, 4, 4)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
def test_extension_bomb_takes_no_memory(tmp_path, kind):
    header, path, size = kind(), tmp_path / "a.nii.gz", 100 << 20
    header.set_data_shape((4, 4, 4))
    header["vox_offset"] = len(header.binaryblock) + 4 + size
    extension = b"\1\0\0\0" + size.to_bytes(4, "little") + bytes(size - 4)
    path.write_bytes(gzip.compress(header.binaryblock + extension + bytes(256), 1))
    tracemalloc.start()
    with pytest.raises(InputError, match="start at byte"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_many_tiny_frames_are_over_the_limit(tmp_path):
    path = tmp_path / "a.nii"
    nibabel.Nifti1Image(np.zeros((1, 1, 30_000), np.uint8), np.eye(4)).to_filename(path)
    with pytest.raises(InputError, match="over the limit"):
        read(path, limits=Limits(pixel_bytes=1 << 20))
    np.save(tmp_path / "a.npy", np.zeros((30_000, 1, 1), np.uint8))
    with pytest.raises(InputError, match="over the limit"):
        read(tmp_path / "a.npy", limits=Limits(pixel_bytes=1 << 20))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("content", [b"", b"text", bytes(348), b"\x1f\x8b\x08" + bytes(20)])
def test_broken_volumes_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"a\.nii"):
        read(tmp_path / name)


def test_suv_needs_a_header(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    with pytest.raises(InputError, match="no header"):
        read(tmp_path / "a.npy", suv=True)
