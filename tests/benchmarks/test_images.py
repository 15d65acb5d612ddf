"""The images that benchmarks run on."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from photopeak.benchmarks import images
from photopeak.engine.matrix import SCANNER_MATRICES, MatrixSize


@pytest.mark.parametrize("matrix", SCANNER_MATRICES, ids=str)
def test_counts_are_the_same_on_every_call_and_look_like_counts(matrix):
    counts = images.counts(matrix, frames=2)
    assert counts.shape == (2, *matrix)
    assert counts.dtype == np.uint16
    assert np.array_equal(counts, images.counts(matrix, frames=2))
    assert not np.array_equal(counts[0], counts[1])
    assert 1.5 < counts.mean() < 4


@pytest.mark.parametrize(("matrix", "kind"), [(MatrixSize(128, 128), "STATIC"), (MatrixSize(1024, 256), "WHOLE BODY")])
def test_nm_file_holds_the_counts(tmp_path, matrix, kind):
    images.write_nm(tmp_path / "nm.dcm", matrix)
    if dciodvfy := shutil.which("dciodvfy"):
        report = subprocess.run([dciodvfy, tmp_path / "nm.dcm"], capture_output=True, text=True, check=False).stderr
        assert not [line for line in report.splitlines() if line.startswith("Error")]
    ds = pydicom.dcmread(tmp_path / "nm.dcm")
    assert ds.ImageType[2] == kind
    assert np.array_equal(ds.pixel_array, images.counts(matrix, frames=2))
    assert ds.CountsAccumulated == ds.pixel_array.sum()
    assert ds.PixelSpacing[1] * matrix.columns == pytest.approx(images.FIELD_OF_VIEW_MM, rel=1e-4)


@pytest.mark.parametrize("matrix", [MatrixSize(64, 64), MatrixSize(96, 160)])
def test_texture_is_the_same_on_every_call_and_nowhere_flat(matrix):
    texture = images.texture(matrix, frames=2)
    assert texture.shape == (2, *matrix)
    assert texture.dtype == np.uint8
    assert np.array_equal(texture, images.texture(matrix, frames=2))
    blocks = texture[:, : matrix.rows // 16 * 16].reshape(2, -1, 16, matrix.columns // 16, 16)
    assert blocks.std(axis=(2, 4)).min() > 1


def test_edge_has_its_angle_and_blur():
    edge = images.edge(MatrixSize(64, 64), angle_deg=8, sigma=0.01)[0]
    crossing = [np.flatnonzero(row > 600)[0] for row in edge]
    assert np.polyfit(np.arange(64), crossing, 1)[0] == pytest.approx(-np.tan(np.deg2rad(8)), abs=0.01)
