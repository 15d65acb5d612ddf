from dataclasses import replace
from functools import partial

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")

from photopeak.engine.bundle import open_bundle
from photopeak.engine.graph import check_graph
from photopeak.exporters import bundling
from photopeak.exporters.produce import Job, produce
from photopeak.exporters.recipes.catalogue import RECIPES
from photopeak.exporters.recipes.dataset import build_pool, load_or_build_pool


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_becomes_a_bundle_that_the_engine_admits(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(bundling, "DOMAIN_FRAMES", 20)
    monkeypatch.setattr(bundling, "held_out_features", partial(bundling.held_out_features, number=1))
    load_or_build_pool(tmp_path / "pool.npz", lambda: build_pool(None, share=0.001))
    tiny = replace(recipe, channels=(16, 16, 16), blocks=(0, 1, 1, 1), patch=48, batch=2)
    produce(Job(tiny, tmp_path / "bundle", None, tmp_path, threads=1), steps=2)
    bundle = open_bundle(tmp_path / "bundle")
    check_graph(bundle)
    assert bundle.manifest.training.steps == 2
    assert bundle.manifest.output.scale == recipe.scale
    assert bundle.golden.output.shape == bundle.golden.truth.shape
    assert "Not measured yet" in bundle.card
