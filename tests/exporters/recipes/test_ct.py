"""Pairs for CT: input and target show one measurement through two kernels."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from photopeak.exporters.interpolation import doubled
from photopeak.exporters.phantoms.ct import AIR_HU, SOFT, spectrum
from photopeak.exporters.phantoms.ct_quality import water
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.recipes.ct import (
    WIDER,
    CtPair,
    CtPool,
    Scan,
    draw,
    draw_scan,
    load_or_build_ct_pool,
    pair,
    truth,
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
    np.testing.assert_allclose(
        made.target, small.image(SOFT.wider(WIDER), 128), atol=1.2
    )  # whole numbers, interpolated


def test_the_target_has_the_noise_of_the_input_and_no_other(small):
    scan = Scan(SOFT, 20.0, 64)
    made = pair(small, scan, np.random.default_rng(1))
    noise = made.image - small.image(SOFT, 64)
    assert noise.std() == pytest.approx(20, rel=0.1)
    np.testing.assert_allclose(made.target - truth(small, scan), doubled(noise), atol=1e-3)


def test_values_are_cut_off_as_scanners_do(small):
    made = pair(small, Scan(SOFT, 50.0, 64, AIR_HU), np.random.default_rng(3))
    assert made.image.min() == AIR_HU
    assert made.target.min() < AIR_HU


def test_what_is_cut_off_does_not_change_the_mean(small):
    """Cutting off raises the mean of noisy air: to undo it would be a bias against the image that came in."""
    made = pair(small, Scan(SOFT, 60.0, 64, AIR_HU), np.random.default_rng(3))
    assert made.target.mean() == pytest.approx(made.image.mean(), abs=1)
    assert made.image[:8, :8].mean() > AIR_HU + 15


def test_far_from_the_body_there_is_less_noise_and_another_offset(small):
    scan = Scan(SOFT, 20.0, 64, air_noise=0.1, offset_hu=-12.0)
    made = pair(small, scan, np.random.default_rng(4))
    assert made.image[:8, :8].std() == pytest.approx(2, rel=0.3)
    assert made.image[24:40, 24:40].std() == pytest.approx(20, rel=0.3)
    assert made.image[:8, :8].mean() == pytest.approx(AIR_HU - 12, abs=1)


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
