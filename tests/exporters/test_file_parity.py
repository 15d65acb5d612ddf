import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from analysis_models import write_finder
from photopeak.engine import zoo
from photopeak.engine.fidelity import images_run
from photopeak.engine.graph import check_graph
from photopeak.engine.providers import Target, find
from photopeak.exporters.file_parity import FileParity, compare_file, files_table
from photopeak.exporters.onnx_file import graph_file


@pytest.fixture(scope="module")
def bundle():
    return zoo.load_bundle("pet-sr-x2-srcnn")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_each_precision_is_as_far_from_the_golden_output_as_its_bits_explain(bundle, precision):
    found = compare_file(bundle, "a.onnx", graph_file(bundle, precision), precision)
    assert found.passed
    least = {"fp32": 0.0, "fp16": 1e-5, "bf16": 1e-4}[precision]
    assert least <= found.difference < {"fp32": 1e-5, "fp16": 5e-3, "bf16": 4e-2}[precision]


def test_a_graph_of_int8_is_as_far_from_the_golden_output_as_in_another_runtime():
    bundle = zoo.load_bundle("scint-denoise")
    found = compare_file(bundle, "a.onnx", graph_file(bundle, "int8"), "int8")
    runnable = find("onnxruntime").prepare(check_graph(bundle, "int8"), Target(precision="int8"))
    frame, output = bundle.golden.input[:1], bundle.golden.output[:1]
    expected = np.abs(images_run(runnable, frame) - output).max() / np.abs(output).max()
    assert found.passed
    assert found.difference == pytest.approx(expected, rel=0.3)  # a step of int8 here and there rounds otherwise
    assert found.difference > 1e-3


def test_a_complete_graph_is_compared_with_the_engine(bundle):
    data = graph_file(bundle, complete=True)
    assert compare_file(bundle, "a.onnx", data, "fp32", complete=True).difference < 1e-5


def test_heads_are_compared_one_by_one(tmp_path):
    bundle = write_finder(tmp_path / "finder", "detection")
    found = compare_file(bundle, "a.onnx", bundle.model, "fp32")
    assert found.passed
    assert found.output in bundle.manifest.heads


@pytest.mark.parametrize(("factor", "difference"), [(1.5, 0.5), (np.inf, np.inf)])
def test_another_graph_is_outside(tmp_path, factor, difference):
    bundle = write_finder(tmp_path / "finder", "classification")
    model = onnx.load_model_from_string(bundle.model)
    for tensor in model.graph.initializer:
        if tensor.name == "filters":
            tensor.CopyFrom(numpy_helper.from_array(np.float32(factor) * numpy_helper.to_array(tensor), "filters"))
    found = compare_file(bundle, "a.onnx", model.SerializeToString(), "fp32")
    assert not found.passed
    assert found.difference == pytest.approx(difference, rel=1e-4)


def test_the_table_names_what_is_outside():
    files = (FileParity("a", "fp32", 1e-6, 2e-5, "image"), FileParity("b", "fp16", 1.0, 5e-3, "image"))
    rows = files_table(files).splitlines()[-2:]
    assert rows[0].endswith("| within |")
    assert rows[1].endswith("| OUTSIDE |")
