"""The recipe of the README works as it stands."""

import re
import runpy
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")
pytest.importorskip("skimage", reason="measuring needs scikit-image: pip install 'photopeak[train]'")

import photopeak
from photopeak.engine.bundle import open_bundle
from photopeak.exporters.export_cli import TARGETS

README = (Path(__file__).parents[2] / "exporters" / "README.md").read_text(encoding="utf-8")


def test_the_recipe_makes_a_bundle_that_keeps_counts_and_takes_noise_away(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (recipe,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "recipe.py").write_text(recipe)
    found = runpy.run_path("recipe.py")
    assert capsys.readouterr().out == "my-denoiser []\n"
    bundle = open_bundle(tmp_path / "my-denoiser")
    assert "CC0-1.0" in bundle.card
    assert "Whether the examples were part of the training" in bundle.card
    noisy, truth = found["rng"].poisson(found["expected"][:4]).astype("float32"), found["expected"][:4]
    result = photopeak.load(bundle, device="cpu", precision="fp32", threads=1).run(noisy)
    assert abs(result.conservation.bias).max() < 1e-6
    assert ((result.frames.pixels - truth) ** 2).mean() < 0.3 * ((noisy - truth) ** 2).mean()


@pytest.mark.parametrize("target", [target.name for target in TARGETS])
def test_every_target_has_a_section(target):
    assert re.search(rf"^## .*`--to {target}`", README, re.MULTILINE)
    assert f"| `{target}` |" in README
