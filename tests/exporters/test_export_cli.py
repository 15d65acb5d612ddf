import json
import subprocess
import sys

import numpy as np
import pytest

from photopeak.engine import zoo
from photopeak.engine.bundle import open_bundle
from photopeak.engine.cli.app import main
from photopeak.exporters import export_cli
from photopeak.exporters.export_cli import TARGETS


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["export", *map(str, words)])
    return ended.value.code or 0


def test_the_command_is_light_to_import():
    heavy = ("torch", "onnx", "scipy", "skimage", "bioimageio", "pydantic")
    code = f"import sys, photopeak.exporters.export_cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_graph_and_its_report(tmp_path, capsys):
    assert run("pet-sr-x2-srcnn", "--to", "onnx", "--precision", "fp16, fp32", "-o", tmp_path / "out", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["graphs"]) == ["fp32", "fp16"]
    assert found["digest"] == zoo.load_bundle("pet-sr-x2-srcnn").digest
    assert (tmp_path / "out" / "parity.md").read_text().startswith("# Parity of pet-sr-x2-srcnn")


def test_a_complete_graph_says_so(tmp_path, capsys):
    import onnx

    assert run("pet-sr-x2-srcnn", "--to", "onnx", "--complete", "-o", tmp_path / "out") == 0
    assert "all within their tolerance" in capsys.readouterr().out.replace("\n", " ")
    model = onnx.load(tmp_path / "out" / "model.onnx")
    assert {entry.key: entry.value for entry in model.metadata_props}["photopeak.complete"] == "true"


def test_a_graph_outside_of_its_tolerance_is_not_written(tmp_path, capsys, monkeypatch):
    from photopeak.exporters import onnx_file
    from photopeak.exporters.provider_parity import Comparison, Parity

    off = Comparison("openvino", "1", "cpu", "fp32", 2e-5, False, 0.5)
    monkeypatch.setattr(onnx_file, "compare_providers", lambda *_, **__: Parity("m", "1", "d", "image", 1, (off,)))
    assert run("pet-sr-x2-srcnn", "--to", "onnx", "-o", tmp_path / "out") == 4
    assert "openvino fp32 on cpu by 5.0e-01 of the peak" in capsys.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_engines_are_told_with_their_records(tmp_path, capsys):
    pytest.importorskip("tensorrt_rtx", reason="engines need TensorRT-RTX: pip install tensorrt-rtx")
    words = ["--matrix", "64", "--precision", "fp16", "--capability", "SM89", "-o", tmp_path / "out", "--json"]
    assert run("pet-sr-x2-srcnn", "--to", "tensorrt-rtx", *words) == 0
    found = json.loads(capsys.readouterr().out)
    (engine,) = found["engines"]
    assert engine["record"]["key"]["precision"] == "fp16"
    assert engine["path"].startswith(str(tmp_path / "out"))
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".engine", ".json"}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["pet-denoise", "--to", "coreml"], 2, "there is no target 'coreml'; use onnx, bioimageio"),
        (["pet-denoise", "--to", "onnx", "--precision", "fp8"], 2, "'fp8' is not a precision; use fp32"),
        (["pet-denoise", "--to", "onnx", "--author", "me"], 2, "--author means nothing to onnx"),
        (["pet-denoise", "--to", "onnx", "--matrix", "64"], 2, "--matrix means nothing to onnx"),
        (["pet-denoise", "--to", "web", "--precision", "fp16"], 2, "--precision means nothing to web"),
        (["pet-denoise", "--to", "tensorrt-rtx", "--matrix", "64x"], 2, "'64x' is not a matrix size"),
        (["pet-denoise", "--to", "onnx", "--max-loss-db", "0"], 2, "--max-loss-db means nothing to onnx"),
        (["pet-denoise", "--to", "bundle"], 2, "needs --example and --task"),
        (["pet-denoise", "--to", "bundle", "--precision", "fp16"], 2, "a graph in int8 by --precision int8"),
        (["nothing", "--to", "onnx"], 4, "there is no model 'nothing'"),
        (["cxr-view", "--to", "web"], 2, "choose a model that gives images"),
    ],
    ids=lambda value: "-".join(value[1:4:2]) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path, capsys, words, code, sentence):
    assert run(*words, "-o", tmp_path / "out") == code
    error = capsys.readouterr().err
    assert sentence in error.replace("\n", " ")
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_help_says_what_brackets_would_hide(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "admitted, by default 0.1 dB." in " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.parametrize("target", [target.name for target in TARGETS if target.name not in ("bundle", "bioimageio")])
def test_what_is_there_is_not_replaced(tmp_path, capsys, target):
    (tmp_path / "out").write_text("mine")
    assert run("pet-denoise", "--to", target, "-o", tmp_path / "out") == 3
    assert "is there already" in capsys.readouterr().err.replace("\n", " ")
    assert (tmp_path / "out").read_text() == "mine"


def test_without_the_packages_of_bioimageio_one_sentence_says_what_to_install(tmp_path, capsys, monkeypatch):
    from photopeak.exporters import bioimageio

    monkeypatch.setattr(bioimageio, "find_spec", lambda name: None)
    assert run("pet-denoise", "--to", "bioimageio", "-o", tmp_path / "out.zip") == 2
    assert "pip install 'photopeak[bioimageio]'" in capsys.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_graphs_need_no_torch(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['skimage'] = None; from photopeak.engine.cli.app import main; "
        f"main(['export', 'pet-sr-x2-srcnn', '--to', 'onnx', '-o', {str(tmp_path / 'out')!r}])"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (tmp_path / "out" / "model.onnx").exists()


def test_a_loss_of_nothing_admits_no_graph_in_int8(tmp_path, capsys):
    pytest.importorskip("torch", reason="fitting graphs in int8 needs torch: pip install 'photopeak[train]'")
    words = ["--precision", "int8", "--max-loss-db", "0", "-o", tmp_path / "out"]
    assert run("pet-denoise", "--to", "bundle", *words) == 2
    assert "use more than 0" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_without_torch_one_sentence_says_what_to_install(network, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export_cli, "find_spec", lambda name: None)
    words = ["--task", "denoise", "--example", network / "counts.npy", "-o", tmp_path / "ours"]
    assert run(f"{network / 'net.py'}:trained", "--to", "bundle", *words) == 2
    assert "needs torch, onnxscript, scipy, skimage, not installed here" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "ours").exists()
    assert run("pet-denoise", "--to", "bundle", "--precision", "int8", "-o", tmp_path / "ours") == 2
    assert "int8 needs torch, scipy, skimage, not installed here" in capsys.readouterr().err.replace("\n", " ")


@pytest.fixture
def network(tmp_path):
    """Files of somebody's network: its code beside a helper, examples and truth."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "sizes.py").write_text("SIDE = 5\n")
    (folder / "net.py").write_text(
        "import torch\nfrom sizes import SIDE\n\n\ndef trained():\n"
        "    net = torch.nn.Conv2d(1, 1, SIDE, padding=SIDE // 2, padding_mode='reflect', bias=False)\n"
        "    net.weight.data.fill_(1 / SIDE**2)\n    return net\n"
    )
    truth = np.ones((12, 40, 48)) * np.random.default_rng(0).uniform(5, 50, (12, 1, 1))
    np.save(folder / "truth.npy", truth)
    np.save(folder / "counts.npy", np.random.default_rng(1).poisson(truth))
    (folder / "about.toml").write_text('title = "Mean of 25"\nlicence = "CC0-1.0"\nunits = "CNTS"\n')
    return folder


def test_a_network_of_ones_own_becomes_a_bundle(network, tmp_path, capsys):
    pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")
    pytest.importorskip("skimage", reason="measuring needs scikit-image: pip install 'photopeak[train]'")
    words = ["--example", network / "counts.npy", "--truth", network / "truth.npy", "--about", network / "about.toml"]
    assert (
        run(
            f"{network / 'net.py'}:trained",
            "--to",
            "bundle",
            "--task",
            "denoise",
            *words,
            "-o",
            tmp_path / "ours",
            "--json",
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    bundle = open_bundle(tmp_path / "ours")
    assert (found["name"], found["digest"]) == ("ours", bundle.digest)
    assert {one["engine"] for one in found["parity"]} == {"onnxruntime", "reference"}
    assert bundle.manifest.title == "Mean of 25"
    assert bundle.manifest.input.overlap == 2
    assert str(network) not in sys.path
