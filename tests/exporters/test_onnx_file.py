import io
import json

import numpy as np
import onnx
import onnxruntime
import pytest

from photopeak.engine import zoo
from photopeak.engine.errors import InputError, ModelError, UsageError
from photopeak.exporters import onnx_file
from photopeak.exporters.onnx_file import export_onnx, facts, graph_file
from photopeak.exporters.provider_parity import Comparison, Parity


@pytest.fixture(scope="module")
def bundle():
    return zoo.load_bundle("pet-sr-x2-srcnn")


def test_graphs_report_and_card_lie_in_a_folder(bundle, tmp_path):
    made = export_onnx(bundle, tmp_path / "out", precisions=("fp32", "fp16"))
    names = {"model.onnx", "model.fp16.onnx", "parity.json", "parity.md", "card.md"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert made.graphs == {"fp32": tmp_path / "out" / "model.onnx", "fp16": tmp_path / "out" / "model.fp16.onnx"}
    stored = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert stored["digest"] == bundle.digest
    assert len(stored["parity"]["comparisons"]) == len(made.parity.comparisons)
    assert [one["name"] for one in stored["files"]] == ["model.onnx", "model.fp16.onnx"]
    report = (tmp_path / "out" / "parity.md").read_text()
    assert "| model.fp16.onnx | fp16 |" in report
    assert "| openvino " in report
    assert "all within their tolerance" in made.summary()


def test_the_file_computes_the_golden_output(bundle, tmp_path):
    made = export_onnx(bundle, tmp_path / "out")
    session = onnxruntime.InferenceSession(made.graphs["fp32"], providers=["CPUExecutionProvider"])
    found = session.run(None, {bundle.manifest.input.name: bundle.golden.input})[0]
    assert np.abs(found - bundle.golden.output).max() < 1e-5 * np.abs(found).max()
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["photopeak.scaling"] == "robust"
    assert metadata["photopeak.precision"] == "fp32"


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_typed_graphs_keep_float32_at_their_border(bundle, precision):
    graph = onnx.load_model_from_string(graph_file(bundle, precision)).graph
    border = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
    assert border == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT]


@pytest.mark.parametrize("name", zoo.names())
def test_facts_of_every_model_are_words(name):
    found = facts(zoo.load_bundle(name))
    assert all(key.startswith("photopeak.") and isinstance(value, str) for key, value in found.items())
    assert found["photopeak.digest"] == zoo.load_bundle(name).digest
    assert ("photopeak.labels" in found) != ("photopeak.conserve" in found)


def test_a_complete_graph_is_one_of_float32(bundle, tmp_path):
    with pytest.raises(UsageError, match="one of fp32, not of fp16"):
        export_onnx(bundle, tmp_path / "out", precisions=("fp32", "fp16"), complete=True)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_the_bundle_lacks_is_named_and_nothing_is_left(tmp_path):
    with pytest.raises(ModelError, match="int8"):
        export_onnx(_without_int8("pet-sr-x2-srcnn"), tmp_path / "out", precisions=("fp32", "int8"))
    assert not list(tmp_path.iterdir())


def test_a_place_that_is_taken_is_refused(bundle, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        export_onnx(bundle, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_graph_that_does_not_give_the_golden_output_is_an_error_and_nothing_is_left(bundle, tmp_path):
    contents = {**bundle.contents, "golden.npz": _shifted(bundle)}
    changed = type(bundle)(bundle.folder, bundle.manifest, bundle.digest, contents)
    with pytest.raises(
        ModelError, match=r"model\.onnx by .*e-01 of the peak, 2e-05 are admitted; onnxruntime fp32 on cpu by"
    ):
        export_onnx(changed, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def _shifted(bundle):
    golden, file = bundle.golden, io.BytesIO()
    output = golden.output + np.float32(0.1 * golden.output.max())
    np.savez(file, input=golden.input, output=output, truth=golden.truth)
    return file.getvalue()


@pytest.mark.parametrize(("precision", "difference", "refused"), [
    ("fp32", 0.5, True),
    ("fp16", 0.5, False),  # was not written: whoever runs the graph in another precision reads the report
    ("fp32", None, False),  # did not run here, which says nothing of the graph
])  # fmt: skip
def test_provider_that_is_off_in_a_precision_that_was_written_is_an_error(
    bundle, tmp_path, monkeypatch, precision, difference, refused
):
    one = Comparison("openvino", "1", "cpu", precision, 2e-5, False, difference, loss_db=0.0, count_bias=0.0, ssim=1.0)
    parity = Parity(bundle.name, "1", bundle.digest, "image", 1, (one,))
    monkeypatch.setattr(onnx_file, "compare_providers", lambda *_, **__: parity)
    if refused:
        with pytest.raises(
            ModelError, match=rf"openvino {precision} on cpu by 5\.0e-01 of the peak, 2e-05 are admitted"
        ):
            export_onnx(bundle, tmp_path / "out")
        assert not list(tmp_path.iterdir())
    else:
        assert "1 OUTSIDE of their tolerance" in export_onnx(bundle, tmp_path / "out").summary()
        assert "| OUTSIDE |" in (tmp_path / "out" / "parity.md").read_text()


def _without_int8(name):
    bundle = zoo.load_bundle(name)
    contents = {file: content for file, content in bundle.contents.items() if "int8" not in file}
    return type(bundle)(bundle.folder, bundle.manifest, bundle.digest, contents)
