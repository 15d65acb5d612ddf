import ctypes

import pytest

from photopeak.engine import machine as machines
from photopeak.engine.machine import machine, processor_name, versions
from photopeak.engine.processors import available_processors
from photopeak.engine.providers import PROVIDERS

CPUINFO = """processor\t: 0
model name\t: Known CPU @ 2.0GHz
cpu family\t: 6
model\t\t: 143
stepping\t: 8
flags\t\t: fpu sse4_2 avx2 amx_bf16 rdrand smep

processor\t: 1
model name\t: Other
"""


@pytest.fixture(autouse=True)
def nothing_known():
    """Forget what was asked of the system, before and after a test."""
    asked = (processor_name, versions, machines._extensions, machines._nvidia)
    for one in asked:
        one.cache_clear()
    yield
    for one in asked:
        one.cache_clear()


class Driver:
    """NVIDIA's management library, with two GPUs."""

    def __init__(self, fails=""):
        self.fails = fails
        self.ended = False

    def _code(self, name):
        return 9 if self.fails == name else 0

    def nvmlInit_v2(self):
        return self._code("init")

    def nvmlShutdown(self):
        self.ended = True

    def nvmlDeviceGetCount_v2(self, count):
        count._obj.value = 2
        return self._code("count")

    def nvmlDeviceGetHandleByIndex_v2(self, index, device):
        device._obj.value = index + 1
        return self._code("handle")

    def nvmlDeviceGetName(self, device, name, size):
        name.value = f"GPU {device.value}".encode()
        return self._code("name")

    def nvmlSystemGetDriverVersion(self, text, size):
        text.value = b"580.42"
        return self._code("driver")


def test_gpus_and_driver_are_those_of_the_library(monkeypatch):
    driver = Driver()
    monkeypatch.setattr(machines, "_management", lambda: driver)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found = machine()
    assert (found.gpus, found.driver, found.visible) == (("GPU 1", "GPU 2"), "580.42", "1")
    assert driver.ended


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        ("init", ((), "")),
        ("count", ((), "")),
        ("handle", (("", ""), "580.42")),
        ("name", (("", ""), "580.42")),
        ("driver", (("GPU 1", "GPU 2"), "")),
    ],
)
def test_library_that_fails_tells_less(monkeypatch, fails, expected):
    monkeypatch.setattr(machines, "_management", lambda: Driver(fails))
    found = machine()
    assert (found.gpus, found.driver) == expected


def test_machine_without_a_driver_has_no_gpu(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert machine().gpus == ()


def test_processor_is_the_first_of_the_system(monkeypatch, tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text(CPUINFO)
    monkeypatch.setattr(machines, "_CPU_FACTS", file)
    found = machine()
    assert found.processor == "Known CPU @ 2.0GHz, cpu family 6, model 143, stepping 8"
    assert found.extensions == ("amx_bf16", "avx2", "sse4_2")
    assert found.processors == available_processors()


def test_processor_has_a_name_where_the_system_has_no_such_file(monkeypatch, tmp_path):
    monkeypatch.setattr(machines, "_CPU_FACTS", tmp_path / "none")
    assert machine().processor
    assert machine().extensions == ()


def test_versions_are_of_every_provider():
    assert set(versions()) == {"photopeak", "sources", "python", *(provider.name for provider in PROVIDERS)}
    assert versions()["openvino"]


@pytest.mark.parametrize(
    "edited", ["session.py", "providers/openvino.py", "providers/tensorrt/runtime.py", "_native.so"]
)
def test_code_of_the_engine_is_part_of_the_versions(tmp_path, monkeypatch, edited):
    for name in ("session.py", "dicom/read.py", "providers/openvino.py", "providers/tensorrt/runtime.py", "_native.so"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(machines, "__file__", str(tmp_path / "machine.py"))
    monkeypatch.setattr(machines._native, "__file__", str(tmp_path / "_native.so"))

    def stamp():
        versions.cache_clear()
        return versions()["sources"]

    before = stamp()
    (tmp_path / "dicom" / "read.py").write_text("what does not run graphs")
    assert stamp() == before
    (tmp_path / edited).write_text("something else")
    assert stamp() != before
