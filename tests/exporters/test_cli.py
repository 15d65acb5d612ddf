import subprocess
import sys

import pytest

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
    with pytest.raises(UsageError, match=r"training needs torch.*pip install 'photopeak\[train\]'"):
        train("scint-denoise", tmp_path / "out", work=tmp_path / "work")
    assert not (tmp_path / "out").exists()


def test_a_missing_data_folder_is_named(tmp_path):
    pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
    with pytest.raises(UsageError, match="nowhere is no folder"):
        train("scint-denoise", tmp_path / "out", data=tmp_path / "nowhere", work=tmp_path / "work")


def test_the_larger_matrix_model_has_no_parent(tmp_path):
    pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
    with pytest.raises(UsageError, match="leave --start-from out"):
        train("scint-sr-x2", tmp_path / "out", work=tmp_path / "work", start_from=tmp_path / "x.pt")
