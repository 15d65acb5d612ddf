from dataclasses import replace
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")

from photopeak.engine.bundle import open_bundle
from photopeak.engine.graph import check_graph
from photopeak.exporters import ct_bundling, planar_bundling, slice_bundling
from photopeak.exporters.families import scintigraphy
from photopeak.exporters.produce import Job, _pool, produce
from photopeak.exporters.recipes.catalogue import RECIPES
from photopeak.exporters.recipes.ct import build_ct_pool, load_or_build_ct_pool
from photopeak.exporters.recipes.dataset import Pool, build_pool, load_or_build_pool
from photopeak.exporters.recipes.slices import build_slice_pool, load_or_build_slice_pool


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_becomes_a_bundle_that_the_engine_admits(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(planar_bundling, "DOMAIN_FRAMES", 20)
    monkeypatch.setattr(planar_bundling, "held_out_features", partial(planar_bundling.held_out_features, number=1))
    monkeypatch.setattr(slice_bundling, "held_out_features", partial(slice_bundling.held_out_features, number=4))
    monkeypatch.setattr(ct_bundling, "held_out_features", partial(ct_bundling.held_out_features, number=3))
    if recipe.family == "pet":
        path = tmp_path / f"pool-{recipe.studies or recipe.name}.npz"
        load_or_build_slice_pool(path, lambda: build_slice_pool(recipe, number=4))
    elif recipe.family == "ct":
        load_or_build_ct_pool(tmp_path / f"pool-{recipe.name}.npz", lambda: build_ct_pool(recipe, number=2))
    else:
        load_or_build_pool(tmp_path / "pool.npz", lambda: build_pool(None, share=0.001))
    narrow, shallow = tuple(16 for _ in recipe.channels), tuple(min(number, 1) for number in recipe.blocks)
    further = min(recipe.adversarial_steps, 3)
    tiny = replace(recipe, channels=narrow, blocks=shallow, patch=48, batch=2, adversarial_steps=further)
    produce(Job(tiny, tmp_path / "bundle", None, tmp_path, threads=1), steps=2)
    bundle = open_bundle(tmp_path / "bundle")
    check_graph(bundle)
    assert bundle.manifest.training.steps == 2 + further
    assert bundle.manifest.output.scale == recipe.scale
    assert bundle.golden.output.shape == bundle.golden.truth.shape
    assert "Not measured yet" in bundle.card


def test_sources_are_those_that_the_folder_holds(tmp_path):
    (tmp_path / "nmqc").mkdir()
    assert scintigraphy.shared_sources(tmp_path) == ("gamma camera quality control, nmqc (Apache-2.0)",)
    assert scintigraphy.shared_sources(None) == ()


def test_studies_made_without_data_do_not_pass_for_those_made_with_it(tmp_path, monkeypatch):
    made = []

    def build(data, advance):
        made.append(data)
        return Pool([np.ones((8, 8), np.float32)], [])

    monkeypatch.setattr(scintigraphy, "build_pool", build)
    (tmp_path / "data" / "nmqc").mkdir(parents=True)
    without = Job(RECIPES[0], tmp_path / "bundle", None, tmp_path)
    for job in (without, replace(without, data=tmp_path / "data"), without):
        _pool(job)
    assert made == [None, tmp_path / "data"]
