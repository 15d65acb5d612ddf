"""Pairs for CT: input and target show one measurement through two kernels."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from photopeak.exporters.phantoms.ct import AIR_HU, SOFT, Kernel, spectrum, white
from photopeak.exporters.phantoms.ct_quality import water
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.recipes.ct import (
    NOISE_LEFT,
    WIDER,
    CtPair,
    CtPool,
    Scan,
    draw,
    draw_scan,
    load_or_build_ct_pool,
    pair,
    truth,
    wider_noise,
)


@pytest.fixture(scope="module")
def recipe():
    return replace(find("ct-sr-x2"), patch=32, batch=4)


@pytest.fixture(scope="module")
def small():
    """Return the spectrum of a cylinder of water on a small grid."""
    return spectrum(water(256))


@pytest.fixture
def pool():
    y, x = np.mgrid[:64, :64]
    coarse = (100 * np.sin(x / 3.0) + 100 * np.cos(y / 5.0) + x).astype(np.float32)
    return CtPool([CtPair(coarse, np.kron(coarse, np.ones((2, 2), np.float32)))])


def binned(image):
    side = len(image) // 2
    return image.reshape(side, 2, side, 2).mean(axis=(1, 3))


def test_the_same_number_gives_the_same_case():
    first, again, other = (draw(5, split, "head")[0] for split in ("train", "train", "held-out"))
    np.testing.assert_array_equal(first.hu, again.hu)
    assert first.field_mm != other.field_mm


def test_a_scan_stays_in_its_ranges():
    rng, plane = np.random.default_rng(0), water(64)
    for _ in range(50):
        scan = draw_scan(plane, 64, (2.0, 80.0), rng)
        assert 2 <= scan.noise_hu <= 80
        assert 0.13 <= scan.kernel.f50_per_mm * plane.field_mm / 64 <= 0.42


def test_without_noise_the_target_is_the_wider_kernel(small):
    made = pair(small, Scan(SOFT, 1e-6, 64), np.random.default_rng(0))
    np.testing.assert_allclose(made.image, np.rint(small.image(SOFT, 64)), atol=1)
    np.testing.assert_allclose(made.target, small.image(SOFT.wider(WIDER), 128), atol=1e-3)


def test_input_and_target_share_their_noise(small):
    rng = np.random.default_rng(1)
    coarse = Kernel("coarse", 0.25 * 64 / small.field_mm, 2.0)
    scan = Scan(coarse, 20.0, 64)
    made = pair(small, scan, rng)
    noise = binned(made.target - truth(small, scan)), made.image - small.image(coarse, 64)
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] > 0.9
    assert noise[1].std() == pytest.approx(20, rel=0.1)


def test_the_power_below_both_cut_offs_is_the_same_through_both_kernels(small):
    f = np.array([0.02, 0.05])
    narrow, wide = SOFT.nps(f, 20.0), SOFT.wider(WIDER).nps(f, 20.0 * WIDER**1.5)
    np.testing.assert_allclose(wide / narrow, (SOFT.wider(WIDER).mtf(f) / SOFT.mtf(f)) ** 2, rtol=1e-6)
    rng = np.random.default_rng(2)
    measured = np.std([wider_noise(white(256, small.field_mm, rng), Scan(SOFT, 20.0, 64)) for _ in range(8)])
    assert measured == pytest.approx(20 * WIDER**1.5, rel=0.05)
    assert NOISE_LEFT * WIDER**1.5 < 1


def test_values_are_cut_off_as_scanners_do(small):
    made = pair(small, Scan(SOFT, 50.0, 64, AIR_HU), np.random.default_rng(3))
    assert made.image.min() == AIR_HU
    assert made.target.min() < AIR_HU


def test_batches_depend_on_seed_and_number_alone(recipe, pool):
    first = list(islice(pool.batches(recipe, 7), 3))
    resumed, other = next(pool.batches(recipe, 7, first=2)), next(pool.batches(recipe, 8))
    np.testing.assert_array_equal(first[2].counts, resumed.counts)
    np.testing.assert_array_equal(first[2].target, resumed.target)
    assert not np.array_equal(first[0].counts, other.counts)
    assert first[0].counts.shape == (4, 1, 16, 16)
    assert first[0].target.shape == (4, 1, 32, 32)


def test_patches_of_input_and_target_show_the_same_part(recipe, pool):
    for batch in islice(pool.batches(recipe, 0), 5):
        for image, target in zip(batch.counts[:, 0], batch.target[:, 0], strict=True):
            np.testing.assert_allclose(binned(target), image, rtol=1e-4, atol=1e-3)


def test_a_kept_pool_is_read_back(tmp_path, pool):
    rounded = CtPool([CtPair(np.rint(made.image), made.target) for made in pool.pairs])
    path = tmp_path / "pool.npz"
    load_or_build_ct_pool(path, lambda: rounded)
    again = load_or_build_ct_pool(path, lambda: pytest.fail("built again"))
    np.testing.assert_array_equal(again.pairs[0].image, rounded.pairs[0].image)
    np.testing.assert_allclose(again.pairs[0].target, rounded.pairs[0].target, atol=1 / 16)
