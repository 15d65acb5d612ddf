import shutil
import subprocess
import sys

import pytest

from photopeak.engine import zoo
from photopeak.engine.cli.app import main
from photopeak.engine.errors import UsageError
from photopeak.exporters.cli import train


def test_the_command_is_light_to_import():
    code = "import sys, photopeak.exporters.cli; print([m for m in ('torch', 'scipy', 'skimage', 'bm3d') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_unknown_recipes_are_named(tmp_path):
    with pytest.raises(UsageError, match="there is no recipe 'unet'"):
        train("unet", tmp_path / "out")


def test_without_torch_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("onnx", "recipes.training", "architectures.count_net"):
        monkeypatch.delitem(sys.modules, f"photopeak.exporters.{name}", raising=False)
    with pytest.raises(UsageError, match=r"training needs torch.*pip install 'photopeak\[evaluate\]'"):
        train("scint-denoise", tmp_path / "out", work=tmp_path / "work")
    assert not (tmp_path / "out").exists()


def test_what_only_the_measurement_needs_is_missed_before_the_training(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(UsageError, match="training needs bm3d, not installed here: pip install"):
        train("scint-denoise", tmp_path / "out", work=tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_measuring_refuses_a_missing_data_folder_and_the_bundle_of_another_recipe(tmp_path):
    pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")
    folder = shutil.copytree(zoo.locate("scint-denoise"), tmp_path / "copy")
    with pytest.raises(UsageError, match="nowhere is no folder"):
        train("scint-denoise", folder, data=tmp_path / "nowhere", work=tmp_path / "work", evaluate_only=True)
    with pytest.raises(UsageError, match=r"copy holds scint-denoise, not scint-sr-x2"):
        train("scint-sr-x2", folder, work=tmp_path / "work", evaluate_only=True)


def test_a_missing_data_folder_is_named(tmp_path):
    pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
    with pytest.raises(UsageError, match="nowhere is no folder"):
        train("scint-denoise", tmp_path / "out", data=tmp_path / "nowhere", work=tmp_path / "work")


def test_the_larger_matrix_model_has_no_parent(tmp_path):
    pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
    with pytest.raises(UsageError, match="leave --start-from out"):
        train("scint-sr-x2", tmp_path / "out", work=tmp_path / "work", start_from=tmp_path / "x.pt")


def test_studies_are_commands_of_a_group(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["study", "--help"])
    assert ended.value.code == 0
    assert "niqe" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["study", "astrology"])
    assert ended.value.code == 2
