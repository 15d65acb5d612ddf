"""NIfTI, JSON and VTK: what is written is what readers find."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.reconstruction.curve_files import curve_file, filled, read_curves
from photopeak.engine.reconstruction.volume_files import nifti_file, read_volume
from photopeak.kernels.reconstruction.geometry import Grid

NII, JSON, VTK = Path("a.nii.gz"), Path("a.json"), Path("a.vtk")


@pytest.fixture
def write(tmp_path):
    def run(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return run


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_hot_voxel_lies_where_it_lay(write, grid, name):
    values = np.zeros(grid.shape, np.float32)
    values[5, 11, 2] = 7
    image = nibabel.load(write(name, nifti_file(values, grid, Path(name), "test")))
    (found,) = np.argwhere(image.get_fdata() == 7)
    x, y, z = (image.affine @ [*found, 1])[:3]
    axes = grid.axes()
    # LPS to RAS.
    np.testing.assert_allclose([-x, -y, z], [axes[2][2], axes[1][11], axes[0][5]], atol=1e-5)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert image.header["sform_code"] == image.header["qform_code"] == 1


def test_same_volume_is_the_same_bytes(ball):
    assert nifti_file(ball.occupancy, ball.grid, NII, "x") == nifti_file(ball.occupancy, ball.grid, NII, "x")


@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    spacing=st.tuples(*[st.floats(0.125, 8, width=16)] * 3),
    center=st.tuples(*[st.floats(-512, 512, width=16)] * 3),
)
def test_volume_comes_back(tmp_path_factory, shape, spacing, center):
    grid = Grid(shape, spacing, center)
    values = np.random.default_rng(1).random(shape, np.float32)
    path = tmp_path_factory.mktemp("n") / "a.nii"
    path.write_bytes(nifti_file(values, grid, path, "x"))
    found, where = read_volume(path)
    np.testing.assert_array_equal(found, values)
    assert where.shape == shape
    np.testing.assert_allclose(where.spacing_mm, spacing, rtol=1e-6)
    np.testing.assert_allclose(where.first_mm, grid.first_mm, atol=1e-3)


def test_turned_volume_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.float32), np.eye(4)), tmp_path / "ras.nii")
    with pytest.raises(InputError, match=r"ras\.nii.*axes"):
        read_volume(tmp_path / "ras.nii")


@pytest.mark.parametrize("content", [b"", b"not a volume", b"\x1f\x8b broken"])
def test_damaged_volume_is_one_sentence(write, content):
    with pytest.raises(InputError, match=r"a\.nii\.gz.*NIfTI"):
        read_volume(write("a.nii.gz", content))


def test_volume_with_nan_is_refused(write, grid):
    values = np.full(grid.shape, np.nan, np.float32)
    with pytest.raises(InputError, match="finite"):
        read_volume(write("a.nii", nifti_file(values, grid, Path("a.nii"), "x")))


def test_other_suffixes_are_refused(ball, helix):
    with pytest.raises(UsageError, match=r"b\.mha"):
        nifti_file(ball.occupancy, ball.grid, Path("b.mha"), "x")
    with pytest.raises(UsageError, match=r"b\.csv"):
        curve_file(helix, Path("b.csv"), interrupted=False)


def test_centrelines_come_back(write, helix):
    found = read_curves(write("a.json", curve_file(helix, JSON, interrupted=True))).curves
    for one, other in zip(found, helix, strict=True):
        np.testing.assert_allclose(one.points_mm, other.points_mm, atol=1e-5)
        np.testing.assert_allclose(one.certainty, other.certainty, atol=1e-4)
        assert one.radius_mm == other.radius_mm


def test_json_says_what_it_holds(helix):
    found = json.loads(curve_file(helix, JSON, interrupted=True))
    assert (found["unit"], found["axes"], found["interrupted"]) == ("mm", "LPS", True)
    length = 2 * np.hypot(4 * np.pi, 1.2)
    assert found["curves"][0]["length_mm"] == pytest.approx(length, rel=1e-3)


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b"\xff",
        b"{",
        b"[" * 100_000,
        b'{"format": "photopeak centrelines 1"}',
        b'{"format": "photopeak centrelines 1", "curves": [{"points_mm": [[0, 0]], "certainty": [], "radius_mm": 1}]}',
        b'{"format": "photopeak centrelines 1", "curves": [{"points_mm": [[0,0,0],[1,0,0]], "certainty": [1,1], "radius_mm": 0}]}',
        b'{"format": "photopeak centrelines 1", "curves": [{"points_mm": [[0,0,0],[NaN,0,0]], "certainty": [1,1], "radius_mm": 1}]}',
    ],
)
def test_damaged_centrelines_are_one_sentence(write, content):
    with pytest.raises(InputError, match=r"a\.json"):
        read_curves(write("a.json", content))


def test_missing_centrelines_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json"):
        read_curves(tmp_path / "gone.json")


def test_vtk_holds_the_polylines(helix):
    words = curve_file(helix, VTK, interrupted=False).decode().split()
    first = words.index("POINTS")
    count = int(words[first + 1])
    points = np.array(words[first + 3 : first + 3 + 3 * count], float).reshape(-1, 3)
    np.testing.assert_allclose(points, np.concatenate([curve.points_mm for curve in helix]), atol=1e-5)
    lines = words.index("LINES")
    n, size = int(words[lines + 1]), int(words[lines + 2])
    cells = [int(word) for word in words[lines + 3 : lines + 3 + size]]
    assert (n, cells[0], cells[1], cells[cells[0]]) == (2, 241, 0, 240)
    assert cells[242:244] == [61, 241]
    assert len(words[words.index("CELL_DATA") :]) == 2 + 4 + 2 + 2


def test_filled_voxels_have_the_volume_of_the_wire(helix):
    grid = Grid((60, 60, 60), (0.1, 0.1, 0.1))
    volume = float(filled(helix[:1], grid).sum()) * grid.voxel_ml
    # The ends are round: one ball more than the cylinder.
    expected = np.pi * 0.25**2 * helix[0].length_mm + 4 / 3 * np.pi * 0.25**3
    assert volume * 1000 == pytest.approx(expected, rel=0.02)


def test_wire_outside_of_the_grid_fills_nothing(helix):
    assert not filled(helix, Grid((8, 8, 8), (0.1, 0.1, 0.1), (50.0, 0.0, 0.0))).any()
