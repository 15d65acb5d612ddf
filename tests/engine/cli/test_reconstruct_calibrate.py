"""``photopeak reconstruct`` with a table that moved between two views."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from photopeak.kernels.reconstruction.geometry import Geometry, Grid

GEOMETRY = Geometry.around(Grid((32, 32, 32), (4.0, 4.0, 4.0)), (0, 90))
TOML = "\n".join(f'[[view]]\nkind = "gamma-camera"\nspacing_mm = [4.0, 4.0]\nangle = {angle}\n' for angle in (0, 90))
ROWS = 3


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder, in which the program runs: a blob, three rows lower in the second view."""
    monkeypatch.chdir(tmp_path)
    row, column = np.mgrid[-16:16, -16:16] + 0.5
    blobs = [200 * np.exp(-((row - down) ** 2 + column**2) / 18) for down in (0, ROWS)]
    np.save("views.npy", np.random.default_rng(0).poisson(blobs).astype(np.float32))
    Path("stand.toml").write_text(TOML)
    points = np.random.default_rng(1).uniform(-40, 40, (4, 3))
    first, second = (view.project(points) for view in GEOMETRY.views)
    landmarks = [
        f"[[landmark]]\nat = [[{one[0]}, {one[1]}], [{two[0] + ROWS}, {two[1]}]]\n"
        for one, two in zip(first, second, strict=True)
    ]
    Path("landmarks.toml").write_text("\n".join(landmarks))
    return tmp_path


WORDS = (
    "reconstruct",
    "views.npy",
    "--geometry",
    "stand.toml",
    "-o",
    "v.nii.gz",
    "--method",
    "volume",
    "--iterations",
    5,
)


@pytest.mark.parametrize("how", [("--calibrate", "table"), ("--landmarks", "landmarks.toml")])
def test_table_is_calibrated_and_told(photopeak, here, how):
    code, out, err = photopeak(*WORDS, *how, "--threads", 1, "--json")
    assert (code, err) == (0, "")
    told = json.dumps(json.loads(out))
    assert "Residual before and after calibration" in told
    [moved] = re.findall(r"view 2, table to the head: (-[\d.]+) mm", told)
    assert float(moved) == pytest.approx(-4 * ROWS, abs=0.3)


@pytest.mark.parametrize("fault", ["colour", ""])
def test_unknown_fault_is_a_usage_error(photopeak, here, fault):
    code, _, err = photopeak(*WORDS, "--calibrate", fault)
    assert code == 2
    assert f"'{fault}' cannot be calibrated" in err
    assert not Path("v.nii.gz").exists()
