import json

import pytest

from photopeak.engine.providers.tensorrt.layers import (
    Layer,
    layers_of_inspector,
    layers_of_report,
    problem_of_layers,
    summary,
)

REPORT = """Layers:
Name: shape_call0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0, Metadata:
Name: conv_1, LayerType: correlation, Inputs: [ { Name: a, Dimensions: [-1,1,8,8], Datatype: Half, Format: (NHWC) x }], \
Constants: [ { Name: w, Datatype: Float }], Outputs: [ { Name: b, Datatype: Half }], TacticName: , StreamId: 0, Metadata:
Name: cast, LayerType: kgen, Inputs: [ { Name: b, Datatype: Half }, { Name: c, Datatype: Float }], Constants: [], \
Outputs: [ { Name: d, Datatype: Float }], TacticName: myl_Cast, StreamId: 0, Metadata: x

I/O Tensors:
 Name: counts, IOMode: Input, DataType: Float
"""


def layer(kind="correlation", *inputs):
    return Layer(name="one", kind=kind, inputs=inputs or ("Half",), outputs=("Half",))


def test_builders_report_is_read():
    assert layers_of_report(["noise", REPORT]) == (
        Layer(name="shape_call0", kind="shape_call", inputs=(), outputs=()),
        Layer(name="conv_1", kind="correlation", inputs=("Half",), outputs=("Half",)),
        Layer(name="cast", kind="kgen", inputs=("Half", "Float"), outputs=("Float",)),
    )


def test_weights_do_not_count_as_what_a_layer_computes_in():
    assert not problem_of_layers(layers_of_report([REPORT]), "fp16")


@pytest.mark.parametrize(
    "tensor", [{"Datatype": "Half"}, {"Format/Datatype": "Channel major FP16 format where C % 8 == 0"}]
)
def test_inspectors_report_is_read(tensor):
    found = layers_of_inspector(
        json.dumps(
            {"Layers": [{"Name": "c", "LayerType": "CaskConvolution", "Inputs": [tensor], "Outputs": [tensor]}, "x"]}
        )
    )
    assert len(found) == 1
    assert not problem_of_layers(found, "fp16")
    assert "not in fp32" in problem_of_layers(found, "fp32")


@pytest.mark.parametrize(
    ("layers", "precision", "problem"),
    [
        ((), "fp32", "reports no layers"),
        ((layer("correlation", "Float"),), "fp16", "computes in Float, not in fp16"),
        ((layer(), layer("deconv", "Half", "Float")), "fp16", "computes in Float and Half, not in fp16"),
        ((layer("correlation", "Half"),), "fp32", "computes in Half, not in fp32"),
        ((layer("gemm", "Float"),), "bf16", "computes in Float, not in bf16"),
        ((layer("PluginV3"),), "fp16", "is a plug-in"),
        ((layer("kgen", "Float"), layer("correlation", "BFloat16")), "bf16", ""),
        ((layer("kgen", "Float"),), "fp16", ""),
    ],
)
def test_what_must_not_be_in_an_engine(layers, precision, problem):
    found = problem_of_layers(layers, precision)
    assert (problem in found) if problem else not found


def test_convolutions_that_the_graph_keeps_in_float32_may_stay():
    layers = [layer("correlation", "Float"), layer("correlation", "Half"), layer("correlation", "Float")]
    assert not problem_of_layers(layers, "fp16", plain=2)
    assert "not in fp16" in problem_of_layers(layers, "fp16", plain=1)
    assert "computes in BFloat16" in problem_of_layers([layer("correlation", "BFloat16")], "fp16", plain=1)


def test_summary_counts_kinds():
    assert summary([layer(), layer("kgen"), layer()]) == {"correlation": 2, "kgen": 1}
