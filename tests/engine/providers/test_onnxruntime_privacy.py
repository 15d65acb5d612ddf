import os
import subprocess
import sys

import pytest

RUN = """
import numpy as np, photopeak
photopeak.load("scint-denoise", provider="onnxruntime", precision="fp32", device="cpu", threads=1).run(np.ones((16, 16)))
"""
EXPORT = """
from photopeak.engine.zoo import locate
from photopeak.exporters.inference import Runner
Runner((locate("scint-denoise") / "model.onnx").read_bytes(), threads=1)
"""
TOLD = """
import os, photopeak
photopeak.load("scint-denoise", provider="onnxruntime", precision="fp32", device="cpu", threads=1)
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


def in_a_fresh_home(program, home, **more):
    """Run a program in an empty home, without the variables that switch ONNX Runtime's telemetry off in CI."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    folders = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PHOTOPEAK_CACHE_DIR": str(home / "ours")}
    return subprocess.run(
        [sys.executable, "-c", program], env=kept | folders | more, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("program", [RUN, EXPORT], ids=["engine", "exporters"])
def test_onnxruntime_neither_numbers_the_device_nor_keeps_events(program, tmp_path):
    in_a_fresh_home(program, tmp_path)

    left = [path for path in tmp_path.rglob("*") if path.is_file() and "ours" not in path.parts]
    assert left == []


def test_what_a_user_says_about_telemetry_stands(tmp_path):
    assert in_a_fresh_home(TOLD, tmp_path, ORT_DISABLE_TELEMETRY="0").strip() == "0"
