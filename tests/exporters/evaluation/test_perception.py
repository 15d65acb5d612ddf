"""What judges how slices look: the truth is best, worse images are worse, and brightness does not matter."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")
torch = pytest.importorskip("torch", reason="judging needs torch: pip install 'photopeak[train]'")

from scipy.ndimage import gaussian_filter

from photopeak.exporters.evaluation.perception import learned_distance, references, train_judges, unnatural
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.recipes.slices import Pair, SlicePool

RECIPE = replace(find("pet-sr-x2"), patch=48, batch=4)


def slice_of_shapes(seed, side=128):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    image = 1.0 * (np.hypot(x, y) < 0.45 * side)
    for _ in range(12):
        left, top = rng.uniform(-side / 3, side / 3, 2)
        image += rng.uniform(0.2, 1) * (np.hypot(x - left, y - top) < rng.uniform(2, 12))
    return gaussian_filter(image, 1.0).astype(np.float32)


@pytest.fixture(scope="module")
def judges():
    targets = [slice_of_shapes(seed) for seed in range(8)]
    pool = SlicePool([Pair(t[None, ::2, ::2], t[None]) for t in targets])
    return train_judges(pool, RECIPE, steps=20)


@pytest.fixture(scope="module")
def truth():
    return slice_of_shapes(100)


def worse(truth, amount):
    """Noisier and noisier."""
    noise = np.random.default_rng(0).normal(0, 1, truth.shape)
    return (truth + amount * truth.max() * noise).astype(np.float32)


@pytest.mark.parametrize("judge", [unnatural, learned_distance])
def test_noise_makes_it_worse(judges, truth, judge):
    found = [judge(judges, worse(truth, amount), truth) for amount in (0.0, 0.02, 0.08)]
    assert found == sorted(found)
    assert found[0] < 0.9 * found[2]


def test_blur_makes_the_distance_grow_from_nothing(judges, truth):
    found = [learned_distance(judges, gaussian_filter(truth, width), truth) for width in (0.0, 1.0, 3.0)]
    assert found[0] == 0
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("judge", [unnatural, learned_distance])
def test_a_multiple_of_both_images_is_judged_alike(judges, truth, judge):
    image = worse(truth, 0.02)
    assert judge(judges, 1000 * image, 1000 * truth) == pytest.approx(judge(judges, image, truth), rel=1e-3)


def test_where_no_block_shows_the_object_there_is_no_niqe(judges):
    image = np.zeros((64, 64), np.float32)
    image[30:34, 30:34] = 1
    assert np.isnan(unnatural(judges, image, image))


def test_references_pair_matrices_of_the_recipe_and_are_the_same_again():
    first, again = (references(RECIPE, 1).pairs[0] for _ in range(2))
    assert first.target.shape[1] == 2 * first.noisy.shape[1]
    np.testing.assert_array_equal(first.target, again.target)
