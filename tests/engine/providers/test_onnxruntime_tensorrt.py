import os
from dataclasses import replace

import pytest

from photopeak.engine import machine as machines
from photopeak.engine.graph import check_graph
from photopeak.engine.providers import Target, onnxruntime_tensorrt
from photopeak.engine.providers.onnxruntime_tensorrt import cache_folder, engine_key, tensorrt_options

SHAPE = (2, 1, 128, 256)


@pytest.fixture
def graph(bundle_factory, tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path / "cache"))
    return check_graph(bundle_factory())


def test_engines_of_other_shapes_graphs_and_machines_have_other_names(graph, bundle_factory, monkeypatch):
    target = Target("cuda")
    keys = {engine_key(graph, target, SHAPE)}
    assert engine_key(graph, Target("cuda", threads=4), SHAPE) in keys
    keys |= {
        engine_key(graph, target, (1, 1, 128, 256)),
        engine_key(graph, target, (2, 1, 256, 128)),
        engine_key(graph, Target("cuda", "fp16"), SHAPE),
        engine_key(check_graph(bundle_factory("pooled", folder="other")), target, SHAPE),
    }
    here = machines.machine()
    changes = {"driver": "999.1", "gpus": ("NVIDIA H200",), "visible": "GPU-1"}
    for name, value in changes.items():
        monkeypatch.setattr(machines, "machine", lambda name=name, value=value: here.model_copy(update={name: value}))
        keys.add(engine_key(graph, target, SHAPE))
    monkeypatch.setattr(machines, "machine", lambda: here)
    monkeypatch.setattr(onnxruntime_tensorrt, "_tensorrt_version", lambda: "101400")
    keys.add(engine_key(graph, target, SHAPE))
    monkeypatch.setattr(onnxruntime_tensorrt, "_onnxruntime_version", lambda: "2.0")
    keys.add(engine_key(graph, target, SHAPE))
    assert len(keys) == 10


def test_profile_is_the_one_shape(graph):
    options = tensorrt_options(graph, Target("cuda:2", "fp16"), SHAPE, 0)
    assert {options[f"trt_profile_{name}_shapes"] for name in ("min", "opt", "max")} == {"counts:2x1x128x256"}
    assert (options["device_id"], options["trt_fp16_enable"]) == ("2", "True")
    assert "user_compute_stream" not in options
    assert all(isinstance(value, str) for value in options.values())
    recorded = tensorrt_options(graph, Target("cuda"), SHAPE, 77)
    assert (recorded["user_compute_stream"], recorded["trt_cuda_graph_enable"]) == ("77", "True")
    assert recorded["trt_fp16_enable"] == "False"


def test_engines_are_kept_where_only_the_user_writes(graph):
    options = tensorrt_options(graph, Target("cuda"), SHAPE, 0)
    assert options["trt_engine_cache_path"] == str(cache_folder())
    assert cache_folder().stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
def test_engines_that_somebody_else_may_have_put_there_are_not_used(graph):
    cache_folder().mkdir(parents=True)
    cache_folder().chmod(0o777)
    with pytest.warns(RuntimeWarning, match="others may write to it"):
        options = tensorrt_options(graph, Target("cuda"), SHAPE, 0)
    assert not [name for name in options if "cache" in name]


def test_name_of_the_model_does_not_matter(graph):
    assert engine_key(replace(graph, name="other"), Target("cuda"), SHAPE) == engine_key(graph, Target("cuda"), SHAPE)
