"""Engines that are really built, by TensorRT-RTX, which needs no GPU for it."""

import hashlib

import pytest
from onnx import TensorProto, helper

from photopeak.engine.errors import DeviceError, ModelError, UsageError
from photopeak.engine.graph import check_graph
from photopeak.engine.providers.tensorrt import TENSORRT, TENSORRT_RTX
from photopeak.engine.providers.tensorrt.build import BuildOptions, build
from photopeak.engine.providers.tensorrt.key import EngineKey, Profile, this_platform
from photopeak.engine.providers.tensorrt.library import find_library

pytestmark = pytest.mark.skipif(bool(TENSORRT_RTX.problem()), reason=TENSORRT_RTX.problem())


def key_of(graph, *profiles, capabilities=("SM86", "SM89", "SM120"), precision=None):
    return EngineKey(
        bundle=graph.bundle,
        graph=hashlib.sha256(graph.data).hexdigest(),
        precision=precision or graph.precision,
        profiles=profiles or (Profile(rows=32, columns=48, most=4),),
        library="tensorrt-rtx",
        version=TENSORRT_RTX.version(),
        capabilities=capabilities,
        platform=this_platform(),
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("name", ["smooth", "anscombe", "quarters"])
def test_engine_computes_in_the_asked_type(bundle_factory, name, precision):
    graph = check_graph(bundle_factory(name), precision)
    built = build(graph, key_of(graph), TENSORRT_RTX)
    assert len(built.data) > 1000
    assert built.layers
    assert built.seconds > 0


@pytest.mark.parametrize("capability", TENSORRT_RTX.capabilities)
def test_every_capability_that_is_offered_is_built_for(bundle_factory, capability):
    graph = check_graph(bundle_factory("smooth"))
    assert build(graph, key_of(graph, capabilities=(capability,)), TENSORRT_RTX).data


def test_each_matrix_has_its_layers(bundle_factory):
    graph = check_graph(bundle_factory("smooth"))
    one = build(graph, key_of(graph), TENSORRT_RTX)
    profiles = [Profile(rows=side, columns=side) for side in (32, 64, 128)]
    three = build(graph, key_of(graph, *profiles), TENSORRT_RTX)
    assert len(three.layers) > len(one.layers)


def test_key_of_another_graph_is_refused(bundle_factory):
    graph = check_graph(bundle_factory("smooth"))
    with pytest.raises(UsageError, match="the key is for another graph than this one of fp32"):
        build(graph, key_of(graph, precision="fp16"), TENSORRT_RTX)
    with pytest.raises(UsageError, match="for another graph"):
        build(graph, key_of(check_graph(bundle_factory("anscombe"))), TENSORRT_RTX)


def test_engine_that_computes_in_another_type_is_refused(bundle_factory, monkeypatch):
    monkeypatch.setattr("photopeak.engine.providers.tensorrt.build._plain_convolutions", lambda *_: 0)
    graph = check_graph(bundle_factory("smooth"), "bf16")  # its only convolution sees the image itself, in float32
    with pytest.raises(ModelError, match="computes in Float, not in bf16"):
        build(graph, key_of(graph), TENSORRT_RTX)


def test_graph_that_the_library_does_not_take_is_refused_with_its_words(bundle_factory):
    graph = check_graph(bundle_factory("pooled"), "bf16")  # the library transposes no convolutions of bfloat16
    with pytest.raises(ModelError, match=r"builds no bf16 engine \(.*deconv"):
        build(graph, key_of(graph), TENSORRT_RTX)


def test_damaged_graph_is_refused(bundle_factory):
    from dataclasses import replace

    damaged = replace(check_graph(bundle_factory("smooth")), data=b"no graph")
    with pytest.raises(ModelError, match="does not take the graph"):
        build(damaged, key_of(damaged), TENSORRT_RTX)


def test_graphs_whose_zero_is_not_stored_as_0_are_refused(bundle_factory, schemes_of):
    graph = check_graph(bundle_factory("averaged", int8=schemes_of("averaged")), "int8")
    with pytest.raises(UsageError, match="takes no int8 graphs; use fp32, bf16, fp16"):
        build(graph, key_of(graph), TENSORRT_RTX)


def test_engines_that_the_library_has_not_are_refused(bundle_factory):
    graph = check_graph(bundle_factory("smooth"))
    with pytest.raises(UsageError, match="no version-compatible engines"):
        build(graph, key_of(graph), TENSORRT_RTX, BuildOptions(version_compatible=True))


def test_key_that_does_not_say_how_the_engine_is_built_is_refused(bundle_factory):
    graph = check_graph(bundle_factory("smooth"))
    with pytest.raises(UsageError, match="differ in refit"):
        build(graph, key_of(graph), TENSORRT_RTX, BuildOptions(refit=True))


def test_engine_for_several_kinds_of_gpus_that_cannot_be_refitted_is_refused(bundle_factory):
    graph = check_graph(bundle_factory("smooth"))
    key = key_of(graph).model_copy(update={"refit": True})
    with pytest.raises(ModelError, match=r"builds no fp32 engine \(IBuilder"):
        build(graph, key, TENSORRT_RTX, BuildOptions(refit=True))


@pytest.mark.skipif(not TENSORRT.problem(), reason="TensorRT is installed here")
def test_absent_library_is_an_error_that_says_what_to_install(bundle_factory):
    graph = check_graph(bundle_factory("smooth"))
    with pytest.raises(DeviceError, match="TensorRT is not installed; run pip install tensorrt"):
        build(graph, key_of(graph), TENSORRT)


def test_unknown_library_is_a_usage_error():
    with pytest.raises(UsageError, match="tensorrt or tensorrt-rtx"):
        find_library("tensorrt-lite")


@pytest.mark.parametrize("path", ["../../outside.engine", "/tmp/outside.engine"])
def test_graph_that_points_to_an_engine_in_a_file_reaches_no_library(bundle_factory, path):
    attributes = {
        "embed_mode": 0,
        "ep_cache_context": path,
        "source": "NvTensorRTRTXExecutionProvider",
        "main_context": 1,
    }
    node = helper.make_node("EPContext", ["counts"], ["image"], domain="com.microsoft", **attributes)
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, "h", "w"]) for name in ("counts", "image")
    ]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(
        helper.make_graph([node], "g", values[:1], values[1:]), opset_imports=opsets, ir_version=10
    )
    bundle = bundle_factory("smooth", model=model.SerializeToString())
    with pytest.raises(ModelError, match=r"com\.microsoft"):
        check_graph(bundle)
