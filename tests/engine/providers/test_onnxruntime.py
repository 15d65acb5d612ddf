import numpy as np
import onnxruntime
import pytest

from photopeak.engine.errors import DeviceError
from photopeak.engine.graph import check_graph
from photopeak.engine.providers import Target, find, onnxruntime_cuda


def test_session_that_lost_its_provider_is_an_error(bundle_factory, monkeypatch):
    """ONNX Runtime falls back to the CPU with no more than a log line; we must notice."""
    provider = find("onnxruntime")
    monkeypatch.setattr(type(provider), "check", lambda self, target: "")
    with pytest.raises(DeviceError, match="CUDAExecutionProvider"):
        provider.prepare(check_graph(bundle_factory()), Target("cuda"))


def test_driver_is_asked_for(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("ctypes.CDLL", _missing)
    assert "no NVIDIA driver" in find("onnxruntime").check(Target("cuda"))


def test_build_without_cuda_is_named(monkeypatch):
    monkeypatch.setattr(onnxruntime_cuda, "missing_driver", lambda: "")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert "install onnxruntime-gpu" in find("onnxruntime").check(Target("cuda"))


def test_threads_are_honoured(bundle_factory):
    graph = find("onnxruntime").prepare(check_graph(bundle_factory()), Target("cpu", "fp32", 1))
    assert graph.session.get_session_options().intra_op_num_threads == 1
    assert graph.session.get_session_options().inter_op_num_threads == 1


def test_buffers_are_kept_between_runs(bundle_factory):
    lane = find("onnxruntime").prepare(check_graph(bundle_factory()), Target()).lane()
    counts = np.ones((1, 1, 16, 16), np.float32)
    assert lane.run(counts) is lane.run(counts)


def _missing(name):
    raise OSError(f"{name}: cannot open shared object file")
