"""Learning dictionaries: same slices, same dictionary; it beats interpolation on slices that it has not seen."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="dictionaries are learned with scikit-learn: pip install 'photopeak[fit]'")

from photopeak.exporters.recipes.scsr import Settings, learn
from photopeak.exporters.recipes.slices import Pair
from photopeak.kernels import scsr
from photopeak.kernels.sparse.interpolation import doubled

SMALL = Settings(atoms=32, patches=100, joint=400, passes=1)


def made(seed):
    """A few smooth blobs on 64 x 64 pixels, and what a noisy acquisition on 32 x 32 shows of them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    target = np.full((64, 64), 0.2, np.float32)
    for _ in range(6):
        top, left, width = rng.uniform(10, 54), rng.uniform(10, 54), rng.uniform(3, 8)
        target += (np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * width**2))).astype(np.float32)
    noisy = target.reshape(32, 2, 32, 2).mean((1, 3)) + rng.normal(0, 0.08, (32, 32))
    return Pair(noisy[None].astype(np.float32), target[None])


@pytest.fixture(scope="module")
def learned():
    return learn([made(seed) for seed in range(12)], SMALL, "blobs")


def test_the_same_slices_give_the_same_dictionary(learned):
    again = learn([made(seed) for seed in range(12)], SMALL, "blobs")
    np.testing.assert_array_equal(again.low, learned.low)
    np.testing.assert_array_equal(again.high, learned.high)


def test_another_seed_gives_another_dictionary(learned):
    other = learn([made(seed) for seed in range(12)], replace(SMALL, seed=1))
    assert other.low.shape != learned.low.shape or not np.array_equal(other.low, learned.low)


def test_a_dictionary_says_what_it_was_learned_from(learned):
    assert (learned.name, learned.penalty) == ("blobs", SMALL.penalty)
    assert learned.provenance == "12 simulated slices, seed 0"
    assert learned.high.shape == (learned.low.shape[1], 25)


def test_unseen_slices_come_closer_to_the_truth_than_by_interpolation(learned):
    errors = []
    for seed in range(100, 103):
        unseen = made(seed)
        noisy, truth = unseen.noisy[0], unseen.target[0]
        errors.append([np.mean((large - truth) ** 2) for large in (scsr(noisy, learned), doubled(noisy))])
    ours, bicubic = np.mean(errors, axis=0)
    assert ours < 0.6 * bicubic
