"""Start-up by its structure, since seconds depend on the machine: what is imported, and what is compiled."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from photopeak import kernels
from photopeak.kernels import compilation

CALLS = """
import numpy as np
from photopeak import kernels
from photopeak.kernels import compilation

image = np.random.default_rng(0).integers(0, 256, (128, 160), np.uint8)
row, column = np.mgrid[:96, :96]
disk = 100 / (1 + np.exp((np.hypot(row - 48, column - 47.7) - 24) / 0.9))
edge = 100 / (1 + np.exp((column - 48 + (row - 48) * np.tan(np.radians(5))) / 0.9))
line = 100 * np.exp(-((column - 48 + (row - 48) * np.tan(np.radians(5))) ** 2) / 8)
point = 1000 * np.exp(-((column - 48.3) ** 2 + (row - 47.8) ** 2) / 8)
kinds = [np.uint8, np.uint16, np.int16, np.float32, np.float64]
for kind in kinds:
    frame = image.astype(kind)
    for metric in (kernels.niqe, kernels.brisque, kernels.piqe):
        metric(frame)
    for metric in (kernels.psnr, kernels.nrmse, kernels.ssim):
        metric(frame, image)
    kernels.noise_power_spectrum(frame)
    kernels.disk_mtf(disk.astype(kind))
    kernels.edge_mtf(edge.astype(kind))
    kernels.line_mtf(line.astype(kind))
    kernels.point_mtf(point.astype(kind))
kernels.niqe(image, precision="single")
kernels.ms_ssim(np.tile(image, (2, 2)), np.tile(image, (2, 2)))
mask = np.ones(image.shape, bool)
mask[:20] = False
for metric in (kernels.niqe, kernels.brisque, kernels.piqe):
    metric(image, mask=mask)
for metric in (kernels.psnr, kernels.nrmse, kernels.ssim):
    metric(image, image[::-1], mask=mask)
missed = {name: sum(kernel.stats.cache_misses.values()) for name, (kernel, _) in compilation._KERNELS.items()}
import json
print(json.dumps([name for name, count in missed.items() if count]))
"""


def python(code):
    """Run code in a fresh interpreter with the same cache, and return the last line it prints."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_importing_the_kernels_loads_neither_numba_nor_numpy():
    loaded = python("import photopeak.kernels, sys; print(sorted({'numba', 'numpy', 'scipy'} & set(sys.modules)))")
    assert loaded == "[]"


def test_a_metric_loads_no_other_library_than_numpy_and_numba():
    code = "import photopeak.kernels.iqa.niqe, sys; print(sorted({'sklearn', 'skimage', 'PIL'} & set(sys.modules)))"
    assert python(code) == "[]"


def test_every_module_with_kernels_is_warmed_up():
    folder = Path(kernels.__file__).parent
    sources = [
        path for path in folder.rglob("*.py") if re.search(r"^@compiled\(", path.read_text("utf-8"), re.MULTILINE)
    ]
    modules = {".".join(path.relative_to(folder).with_suffix("").parts) for path in sources}
    assert modules == set(compilation._MODULES)


@pytest.mark.slow
def test_warmup_leaves_nothing_to_compile(photopeak, photopeak_json):
    first = photopeak_json("warmup")
    assert first["ready"] == len(first["kernels"]) > 20
    again = photopeak_json("warmup")
    assert again["compiled"] == 0
    assert again["folder"] == first["folder"]
    _, out, _ = photopeak("warmup")
    assert out.startswith("0 kernels compiled")
    assert first["folder"] in out.replace("\n", "")
    assert json.loads(python(CALLS)) == []
