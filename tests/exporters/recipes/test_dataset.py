from itertools import islice

import numpy as np
import pytest

from photopeak.engine.errors import UsageError
from photopeak.exporters.recipes.catalogue import RECIPES, find
from photopeak.exporters.recipes.dataset import Pool, batches, build_pool, load_or_build_pool

each_recipe = pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES if recipe.family == "scintigraphy"])


@each_recipe
def test_batches_depend_on_seed_and_number_alone(name, small, pool):
    recipe = small(name)
    first = list(islice(batches(pool, recipe, 7), 4))
    resumed = next(batches(pool, recipe, 7, first=3))
    other = next(batches(pool, recipe, 8))
    assert np.array_equal(first[3].counts, resumed.counts)
    assert np.array_equal(first[3].target, resumed.target)
    assert not np.array_equal(first[0].target, other.target)


@each_recipe
def test_inputs_are_whole_counts_with_the_target_as_expectation(name, small, pool):
    recipe = small(name)
    drawn = list(islice(batches(pool, recipe, 1), 30))
    counts, target = np.concatenate([b.counts for b in drawn]), np.concatenate([b.target for b in drawn])
    assert counts.dtype == target.dtype == np.float32
    assert target.shape[-1] == recipe.scale * counts.shape[-1] == recipe.patch
    assert np.array_equal(counts, np.round(counts))
    total, expected = counts.sum(dtype=np.float64), target.sum(dtype=np.float64)
    assert abs(total - expected) < 5 * np.sqrt(expected)


def test_real_acquisitions_give_an_independent_target(small):
    flood = np.random.default_rng(0).poisson(300, (256, 256)).astype(np.float32)
    empty = np.zeros((64, 64), np.float32)
    empty[32, 32] = 1e-6
    drawn = list(islice(batches(Pool([empty], [flood]), small("scint-denoise"), 0), 150))
    counts, target = np.concatenate([b.counts for b in drawn]), np.concatenate([b.target for b in drawn])
    real = counts.mean(axis=(1, 2, 3)) > 5
    assert real.any()
    error = (counts - target)[real] / np.sqrt(counts[real].mean(axis=(1, 2, 3), keepdims=True))
    assert abs(error.mean()) < 0.02
    # Independent noise of counts and complement adds up: 1 + f / (1 - f) with f of 1/24 to 1/8.
    assert 1.0 < error.var() < 1.2


def test_a_pool_is_simulated_once(tmp_path):
    path, calls = tmp_path / "pool.npz", []

    def build():
        calls.append(1)
        return build_pool(None, share=0.001)

    made, read = load_or_build_pool(path, build), load_or_build_pool(path, build)
    assert len(calls) == 1
    assert len(made.expected) == len(read.expected) == 7
    assert all(np.array_equal(a, b) for a, b in zip(made.expected, read.expected, strict=True))


def test_unknown_recipes_are_refused():
    with pytest.raises(UsageError, match="no recipe 'pet', choose scint-denoise or scint-sr-x2"):
        find("pet")


def test_training_and_held_out_real_data_do_not_overlap():
    pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")
    from photopeak.exporters.evaluation import real
    from photopeak.exporters.recipes import dataset

    assert real.SCAN not in dataset._REAL
    assert not any("nema_wg04" in name for name in dataset._REAL)
