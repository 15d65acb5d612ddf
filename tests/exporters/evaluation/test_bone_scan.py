"""Doubling the matrix of the real bone scan, and judging it through binning."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")

from photopeak.engine import zoo
from photopeak.engine.errors import UsageError
from photopeak.exporters.evaluation import bone_scan
from photopeak.exporters.evaluation.bone_scan import BEYOND, TO_THE_MATRIX, as_markdown, enlarge_scan, read_scan
from photopeak.exporters.evaluation.metrics import psnr


@pytest.fixture(scope="module")
def expected():
    """Return a smooth body of 20 counts per pixel with hot spots."""
    rng = np.random.default_rng(3)
    spots = gaussian_filter((rng.random((128, 64)) < 0.01).astype(float), 1.5)
    return np.asarray(20 + 2000 * spots, np.float32)


@pytest.fixture(scope="module")
def found(expected):
    """Enlarge a noisy scan of it by the model that ships."""
    scan = np.random.default_rng(4).poisson(expected).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bone_scan, "REPEATS", 2)
        return enlarge_scan(scan, {"ours": zoo.load_bundle("scint-sr-x2").model})


def mean_psnr(found, test, fraction, method):
    return np.mean([e.psnr for e in found if (e.test, e.fraction, e.method) == (test, fraction, method)])


def test_pixels_repeated_and_binned_back_are_the_input(found, expected):
    kept = np.random.default_rng(6).poisson(expected / 4).astype(np.float32)
    assert mean_psnr(found, BEYOND, 1 / 4, "nearest") == pytest.approx(psnr(kept, expected / 4), abs=0.7)


@pytest.mark.parametrize("test", [TO_THE_MATRIX, BEYOND])
def test_the_model_is_nearer_to_the_counts_left_out_than_interpolation(found, test):
    for fraction in bone_scan.FRACTIONS:
        plain = (mean_psnr(found, test, fraction, name) for name in ("nearest", "bilinear", "bicubic", "Lanczos"))
        assert mean_psnr(found, test, fraction, "ours") > max(plain) + 0.5


def test_a_tuned_filter_is_at_least_as_good_as_none(found):
    for fraction in bone_scan.FRACTIONS:
        tuned, plain = (mean_psnr(found, BEYOND, fraction, name) for name in (bone_scan.TUNED, "bicubic"))
        assert tuned > plain


def test_repeated_pixels_keep_the_counts_exactly(found):
    assert max(abs(entry.bias) for entry in found if entry.method == "nearest") < 1e-6


def test_the_table_has_a_row_for_each_test_and_method(found):
    rows = as_markdown(found).splitlines()
    assert len(rows) == 2 + 2 * 6
    assert rows[2].startswith(f"| {TO_THE_MATRIX} | ours | ")


def test_a_folder_without_the_scan_is_refused(tmp_path):
    with pytest.raises(UsageError, match="give the folder that holds it"):
        read_scan(tmp_path)
    with pytest.raises(UsageError, match="give the folder that holds it"):
        read_scan(None)


def test_the_scan_has_whole_counts_on_256_columns(shared_data):
    scan = read_scan(shared_data)
    assert scan.shape == (800, 256)
    assert np.array_equal(scan, np.rint(scan))
