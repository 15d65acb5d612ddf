"""The CUDA code, compiled for the CPU, gives what its CPU twin gives: no GPU is needed to run its kernels."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from photopeak.engine.processors import available_processors

ROOT = Path(__file__).parents[3]
NATIVE, SHARED = ROOT / "engine" / "native", ROOT / "kernels" / "native"
EMULATION = ROOT / "tests" / "support" / "cuda_on_cpu"
SOURCES = (
    *(NATIVE / name for name in ("device_pipeline_gpu.cu", "frame_operations_gpu.cu")),
    *(NATIVE / name for name in ("device_pipeline_cpu.cpp", "device_staging.cpp", "frame_operations_cpu.cpp")),
    *(NATIVE / name for name in ("frame_finishing.cpp", "frame_loops.cpp", "frame_rounding.cpp")),
    EMULATION / "cuda_runtime.cpp",
    Path(__file__).with_name("compare_devices.cpp"),
)
OPTIONS = [
    *("-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-psabi", "-Werror"),
    *("-DPHOTOPEAK_LOOPS=loops_baseline", '-DPHOTOPEAK_LOOPS_NAME="baseline"', "-DPHOTOPEAK_LEVEL=baseline"),
    *(f"-I{folder}" for folder in (EMULATION, NATIVE, SHARED)),
]


@pytest.mark.slow
def test_kernels_give_what_the_cpu_gives(tmp_path):
    compiler = os.environ.get("CXX") or shutil.which("c++")
    if not compiler or sys.platform != "linux":
        pytest.skip("the threads of a GPU are run on Linux, where a C++ compiler is")

    def compiled(source):
        target = tmp_path / f"{source.name}.o"
        command = [compiler, *OPTIONS, "-x", "c++", "-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return str(target)

    with ThreadPoolExecutor(available_processors()) as pool:
        objects = list(pool.map(compiled, SOURCES))
    program = tmp_path / "compare"
    subprocess.run([compiler, *objects, "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("0 differences", "", 0)
