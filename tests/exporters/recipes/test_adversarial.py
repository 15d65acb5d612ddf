"""The adversarial half of SRGAN: what degrades, what learns, and that the same seed gives the same weights."""

import copy
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.exporters.architectures import build
from photopeak.exporters.recipes.adversarial import Schedule, degraded, refine, train_features
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.recipes.slices import Pair, SlicePool

RECIPE = replace(find("pet-sr-x2-srgan"), channels=(8,), blocks=(1,), patch=32, batch=4)


@pytest.fixture(scope="module")
def pool():
    rng, pairs = np.random.default_rng(0), []
    for _ in range(4):
        blocks = rng.uniform(0.2, 1.5, (16, 16)).repeat(4, 0).repeat(4, 1).astype(np.float32)
        noisy = blocks.reshape(32, 2, 32, 2).mean((1, 3)) + rng.normal(0, 0.05, (32, 32)).astype(np.float32)
        pairs.append(Pair(noisy[None], blocks[None]))
    return SlicePool(pairs)


def test_the_first_kind_of_degradation_is_none():
    image = torch.rand(1, 16, 16)
    assert torch.equal(degraded(image, 0), image)


def test_blur_keeps_the_sum_and_lowers_the_peak():
    image = torch.zeros(1, 41, 41)
    image[0, 20, 20] = 1
    blurred = [degraded(image, kind) for kind in (2, 4, 6)]
    assert all(b.sum().item() == pytest.approx(1, abs=1e-4) for b in blurred)
    assert blurred[0].max() > blurred[1].max() > blurred[2].max()


def test_noise_grows_with_the_root_of_the_image():
    torch.manual_seed(0)
    spread = [(degraded(torch.full((1, 80, 80), level), 1) - level).std().item() for level in (1.0, 4.0)]
    assert spread == pytest.approx([0.1, 0.2], rel=0.05)


def test_the_feature_network_tells_sharp_from_blurred(pool):
    net = train_features(pool, replace(RECIPE, patch=24), 120)
    images = [torch.from_numpy(pair.target) for pair in pool.pairs]
    sharp, soft = (torch.stack([degraded(i, kind) for i in images]) for kind in (0, 6))
    with torch.no_grad():
        verdict = lambda x: net(x).softmax(1)[:, 6:].sum(1).mean()
        assert verdict(soft) > verdict(sharp) + 0.1
    assert not any(p.requires_grad for p in net.parameters())


def test_refining_changes_the_generator_the_same_way_for_the_same_seed(pool):
    torch.manual_seed(0)
    start = build(RECIPE)
    shares = []
    schedule = Schedule(steps=50, feature_steps=3, width=4)
    first, second = (
        refine(copy.deepcopy(start), pool, RECIPE, schedule, report=lambda s, x: shares.append((s, x)))
        for _ in range(2)
    )
    x = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(first(x), second(x))
        assert not torch.allclose(first(x), start(x))
    assert [step for step, _ in shares] == [50, 50]
    assert all(0 <= share <= 1 for _, share in shares)
