import csv
import json

import numpy as np
import pytest

from photopeak import kernels


def disk(width, size=96):
    row, column = np.mgrid[:size, :size]
    return 5 + 100 / (1 + np.exp((np.hypot(row - size / 2, column - size / 2 + 0.3) - size / 4) / width))


@pytest.fixture
def sharp(tmp_path):
    path = tmp_path / "sharp.npy"
    np.save(path, disk(1.0))
    return path


def test_json_is_that_of_the_kernel(photopeak_json, sharp):
    found = photopeak_json("mtf", sharp, "--method", "disk", "--spacing", 2.4, "--roi", "2:94,3:95")
    (curve,) = found["curves"]
    expected = kernels.disk_mtf(np.load(sharp), pixel_spacing_mm=2.4, rois=((2, 94), (3, 95)))
    assert curve["roi"] == "2:94,3:95"
    assert curve["modulation"] == expected.modulation.tolist()
    assert curve["mtf50_per_pixel"] == expected.mtf50
    assert curve["mtf50_per_mm"] == pytest.approx(expected.mtf50 / 2.4)
    assert len(curve["lower"]) == len(curve["upper"]) == len(curve["frequencies"])
    assert found["curves_after"] == []


def test_spacing_comes_from_the_header(photopeak_json, dicom_factory, monkeypatch):
    (path,) = dicom_factory("static", matrix=(96, 96), spacing_mm=(3.0, 3.0))
    from pydicom import dcmread

    ds = dcmread(path)
    ds.PixelData = np.rint(disk(1.5) * 20).astype("<u2").tobytes()
    ds.save_as(path)
    (curve,) = photopeak_json("mtf", path, "--method", "disk")["curves"]
    assert curve["pixel_spacing_mm"] == 3.0


def test_table_tells_before_from_after(photopeak, sharp, tmp_path):
    np.save(tmp_path / "blurred.npy", disk(2.5))
    words = ("--method", "disk", "--spacing", 2, "--compare", tmp_path / "blurred.npy", "--csv", tmp_path / "mtf.csv")
    code, out, err = photopeak("mtf", sharp, *words)
    assert (code, err) == (0, "")
    assert "[cycles/mm]" in out
    lines = [line.split() for line in out.splitlines() if line.strip().startswith("0:96,0:96 ")]
    assert [line[1] for line in lines] == ["before", "after"]
    assert float(lines[0][2]) > 1.5 * float(lines[1][2])
    with (tmp_path / "mtf.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {"before", "after"}
    assert float(rows[3]["cycles_per_mm"]) == pytest.approx(float(rows[3]["cycles_per_pixel"]) / 2)


def test_several_regions_are_measured_at_once(photopeak_json, tmp_path):
    np.save(tmp_path / "two.npy", np.hstack([disk(1.0), disk(2.0)]))
    words = ("--roi", "0:96,0:96", "--roi", "0:96,96:192")
    curves = photopeak_json("mtf", tmp_path / "two.npy", "--method", "disk", *words)["curves"]
    assert curves[0]["mtf50_per_pixel"] > 1.5 * curves[1]["mtf50_per_pixel"]
    assert curves[0]["mtf50_per_mm"] is None


def test_regions_are_found(photopeak_json, tmp_path):
    noisy = np.random.default_rng(0).poisson(np.pad(disk(1.0) - 5, 40) + 5)
    np.save(tmp_path / "noisy.npy", noisy)
    (curve,) = photopeak_json("mtf", tmp_path / "noisy.npy", "--method", "disk", "--auto")["curves"]
    assert curve["details"]["radius"] == pytest.approx(24, abs=0.3)


def test_warnings_are_words(photopeak, photopeak_json, tmp_path):
    clipped = np.minimum(np.random.default_rng(0).poisson(disk(1.0)), 100)
    np.save(tmp_path / "clipped.npy", clipped)
    (curve,) = photopeak_json("mtf", tmp_path / "clipped.npy", "--method", "disk")["curves"]
    warning = next(warning for warning in curve["warnings"] if warning["code"] == "clipping")
    _, out, _ = photopeak("mtf", tmp_path / "clipped.npy", "--method", "disk")
    assert warning["sentence"] in " ".join(out.split())


def test_point_has_a_width_in_each_direction(photopeak, tmp_path):
    row, column = np.mgrid[:64, :64]
    sigma = 2.0, 3.0
    np.save(
        tmp_path / "point.npy",
        1e4 * np.exp(-0.5 * (((row - 31.6) / sigma[0]) ** 2 + ((column - 32.2) / sigma[1]) ** 2)),
    )
    code, out, _ = photopeak("mtf", tmp_path / "point.npy", "--method", "point", "--spacing", 2)
    assert code == 0
    line = next(line.split() for line in out.splitlines() if line.strip().startswith("0:64"))
    down, along = float(line[3]), float(line[5])
    # FWHM of a Gaussian: 2 sqrt(2 ln 2) sigma; NEMA's lines between samples err by a percent.
    assert (down, along) == pytest.approx((2.3548 * 2 * sigma[0], 2.3548 * 2 * sigma[1]), rel=0.02)


@pytest.mark.parametrize(
    ("words", "expected", "named"),
    [
        (("--method", "square"), 2, "square"),
        (("--method", "disk", "--roi", "all"), 2, "all"),
        (("--method", "disk", "--frame", "2"), 2, "frame 2"),
        (("--method", "disk", "--spacing", "0"), 2, "spacing"),
        (("--method", "disk", "--roi", "0:20,0:999"), 3, "999"),
        (("--method", "disk", "--compare", "gone.npy"), 3, "gone.npy"),
        ((), 2, "--method"),
    ],
)
def test_wrong_options_are_one_sentence(photopeak, sharp, words, expected, named):
    code, out, _ = photopeak("mtf", sharp, *words, "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == expected
    assert named in found["error"]


def test_report_is_written(photopeak, sharp, tmp_path):
    code, out, err = photopeak("mtf", sharp, "--method", "disk", "--report", tmp_path / "mtf.html")
    assert (code, err) == (0, "")
    assert "mtf.html" in out.replace("\n", "")
    assert "sharp.npy" in (tmp_path / "mtf.html").read_text("utf-8")


def test_real_line_sources_have_the_widths_that_their_profiles_show(photopeak_json, shared_data):
    path = shared_data / "nmqc" / "Spatial_Resol_X.dcm"
    curves = photopeak_json("mtf", path, "--method", "line", "--auto")["curves"]
    assert len(curves) >= 2
    pixels = _pixels(path)
    for curve in curves:
        (row0, row1), (column0, column1) = (map(int, part.split(":")) for part in curve["roi"].split(","))
        profile = pixels[row0:row1, column0:column1].sum(0)
        profile = profile - np.median(profile)
        spread = curve["details"]["fwhm_mm"]
        # Summed along a line that tilts, a profile can only be wider.
        above = np.count_nonzero(profile > profile.max() / 2) * curve["pixel_spacing_mm"]
        assert 0.8 * above - 1 < spread < above + 1.1


def _pixels(path):
    from photopeak import read

    return read(path).pixels[0]
