"""A GPU that is none, and keys of engines that are none."""

import sys
from dataclasses import dataclass

import pytest

from fake_gpu import FakeCapture, FakeDriver, fake_tensorrt, modules_of
from photopeak.engine.providers.tensorrt import cuda, provider, runtime, store
from photopeak.engine.providers.tensorrt.build import Built
from photopeak.engine.providers.tensorrt.key import EngineKey, Need, Profile
from photopeak.engine.providers.tensorrt.layers import Layer
from photopeak.engine.providers.tensorrt.library import Library

LAYERS = (Layer(name="c", kind="correlation", inputs=("Float",), outputs=("Float",)),)


@pytest.fixture
def need():
    """Return what an engine must be for a run on an Ada GPU."""
    same = {"bundle": "a" * 64, "graph": "b" * 64, "precision": "fp32", "library": "tensorrt-rtx", "version": "1.7"}
    return Need(**same, capability="SM89", platform="Linux x86_64")


@pytest.fixture
def key(need):
    """Return the key of an engine that serves that need for 1 to 8 frames of 128 x 128."""
    return need.key(Profile(rows=128, columns=128, most=8))


@pytest.fixture
def built():
    """Return ``built(key, data)``, an engine that was never built."""

    def make(key: EngineKey, data: bytes = b"an engine") -> Built:
        return Built(key, data, 0.25, LAYERS)

    return make


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of a user's engines."""
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path / "cache"))
    return store.cache_folder()


@dataclass(frozen=True)
class FakeLibrary(Library):
    """A library whose module is a stand-in."""

    trt: object = None

    def problem(self):
        return ""

    def version(self):
        return "1.7.0"

    def load(self):
        return self.trt


@pytest.fixture
def gpu(cache, monkeypatch):
    """Return ``gpu(portable=True, complaint="", capability=(8, 9))``, which gives a provider and its driver."""

    def make(portable=True, complaint="", capability=(8, 9)):
        driver = FakeDriver(capability)
        for name, module in modules_of(driver).items():
            monkeypatch.setitem(sys.modules, name, module)
        for module in (cuda, provider):
            monkeypatch.setattr(module, "missing_gpu", lambda: "")
            monkeypatch.setattr(module, "missing_driver", lambda: "")
        monkeypatch.setattr(cuda, "_driver", lambda: driver.library)
        monkeypatch.setattr(runtime, "Capture", FakeCapture)
        monkeypatch.setattr(provider, "build", lambda graph, key, *_: Built(key, graph.data, 0.1, LAYERS))
        capabilities = ("SM75", "SM86", "SM89") if portable else ()
        library = FakeLibrary(
            "tensorrt-rtx" if portable else "tensorrt",
            "Fake TensorRT",
            "fake",
            "fake",
            ("fp32", "fp16", "bf16"),
            capabilities,
            fake_tensorrt(driver, complaint=complaint),
        )
        return provider.TensorRt(library), driver

    cuda._devices.cache_clear()
    yield make
    cuda._devices.cache_clear()
