"""PET training pairs: same seed, same pair; target and input show the same object on the same scale."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from photopeak.exporters.phantoms.slices import torso
from photopeak.exporters.phantoms.tomography import Reconstruction, Scanner, measure
from photopeak.exporters.recipes.catalogue import RECIPES, find
from photopeak.exporters.recipes.slices import (
    FOLDED,
    GYRAL,
    Acquisition,
    Pair,
    SlicePool,
    build_slice_pool,
    draw,
    load_or_build_slice_pool,
    noise_free,
    padded,
    pair,
    ways,
)

PET = [recipe.name for recipe in RECIPES if recipe.family == "pet"]
each_recipe = pytest.mark.parametrize("name", PET)


def binned(image, factor):
    side = len(image) // factor
    return image.reshape(side, factor, side, factor).mean(axis=(1, 3))


@pytest.fixture(scope="module", params=PET)
def pool(request):
    return find(request.param), build_slice_pool(find(request.param), number=3)


def test_the_same_number_gives_the_same_case():
    first, again, held_out = draw(5, "train", 1), draw(5, "train", 1), draw(5, "held-out", 1)
    np.testing.assert_array_equal(first.plane.activity, again.plane.activity)
    assert (first.scanner, first.how) == (again.scanner, again.how)
    assert first.scanner != held_out.scanner


@pytest.mark.parametrize("scale", [1, 2])
def test_a_named_object_is_drawn_on_twice_the_grid_of_the_target(scale):
    case = draw(3, "held-out", scale, "nema-iq")
    assert case.plane.name.startswith("nema-iq")
    assert len(case.plane.activity) == 2 * scale * case.how.side


def test_many_counts_come_close_to_the_target():
    case = draw(12, "train", 1, "torso")
    few, many = (pair(case, np.array([total]), 1, np.random.default_rng(0)) for total in (1e5, 1e9))
    error = [np.sqrt(np.mean((made.noisy - made.target) ** 2)) for made in (few, many)]
    assert error[1] < 0.02
    assert error[0] > 4 * error[1]


def test_pairs_have_the_scale_that_the_engine_gives(pool):
    recipe, made = pool
    for one in made.pairs:
        assert one.target.shape[1] == recipe.scale * one.noisy.shape[1]
        np.testing.assert_allclose(np.quantile(one.noisy, 0.995, axis=(1, 2)), 1, rtol=1e-5)


def test_input_and_target_hold_the_same_activity_at_the_same_place(pool):
    recipe, made = pool
    for one in made.pairs:
        blurred = [
            gaussian_filter(binned(image, k), 4) for image, k in ((one.noisy[0], 1), (one.target[0], recipe.scale))
        ]
        assert np.corrcoef(blurred[0].ravel(), blurred[1].ravel())[0, 1] > 0.97
        assert one.noisy.mean() == pytest.approx(one.target.mean(), rel=0.08)


def test_the_larger_matrix_shows_what_was_there_before_the_filter():
    """Filtered and binned, the target of super-resolution is the noise-free image of the input's matrix."""
    plane, scanner = torso(np.random.default_rng(4), 512), Scanner(fwhm_mm=5.0)
    scanner = replace(scanner, field_mm=plane.field_mm)
    case = Acquisition(plane, scanner, Reconstruction(side=128, iterations=4, filter_fwhm_mm=12.0))
    expected = measure(plane.activity, plane.attenuation, scanner, 1.0)
    small, large = (noise_free(case, expected, scale) for scale in (1, 2))
    assert large.shape == (256, 256)
    assert large.mean() == pytest.approx(small.mean(), rel=5e-3)
    sigma = 12.0 / np.sqrt(8 * np.log(2)) / (plane.field_mm / 256)
    before, after = (
        float(np.sqrt(np.mean((binned(image, 2) - small) ** 2))) for image in (large, gaussian_filter(large, sigma))
    )
    assert after < 0.02 * np.quantile(small, 0.999)
    assert before > 2 * after


def test_super_resolution_sees_further_brains_some_of_them_in_three_reconstructions(pool):
    recipe, made = pool
    assert len(made.pairs) == {1: 3, 2: 3 + 1 + 3}[recipe.scale]
    assert draw(3, "train", 2, FOLDED).plane.name == "folded brain"
    assert draw(3, "train", 2, GYRAL).plane.name == "gyral brain"


def test_ways_of_reconstruction_share_the_acquisition():
    case = draw(4, "train", 2, GYRAL)
    first, *others = ways(case, np.random.default_rng(0))
    assert first is case
    assert all(other.plane is case.plane and other.scanner == case.scanner for other in others)
    assert all(other.how.side == case.how.side for other in others)
    assert len({(one.how.iterations, one.how.filter_fwhm_mm) for one in (first, *others)}) == 3


def test_a_larger_field_keeps_the_pixel():
    plane = draw(2, "train", 1, "brain").plane
    wide = padded(plane, len(plane.activity) + 20)
    assert wide.field_mm / len(wide.activity) == pytest.approx(plane.field_mm / len(plane.activity))
    assert wide.activity.sum() == pytest.approx(plane.activity.sum(), rel=1e-5)


def test_batches_depend_on_seed_and_number_alone(pool):
    recipe, made = pool
    first = list(islice(made.batches(recipe, 7), 3))
    resumed, other = next(made.batches(recipe, 7, first=2)), next(made.batches(recipe, 8))
    np.testing.assert_array_equal(first[2].counts, resumed.counts)
    np.testing.assert_array_equal(first[2].target, resumed.target)
    assert not np.array_equal(first[0].counts, other.counts)
    side = recipe.patch // recipe.scale
    assert first[0].counts.shape == (recipe.batch, 1, side, side)
    assert first[0].target.shape == (recipe.batch, 1, recipe.patch, recipe.patch)


@each_recipe
def test_patches_of_input_and_target_show_the_same_part(name):
    recipe = replace(find(name), patch=32)
    y, x = np.mgrid[:64, :64]
    coarse = (np.sin(x / 3.0) + np.cos(y / 5.0) + x / 30 + 2).astype(np.float32)
    fine = np.kron(coarse, np.ones((recipe.scale, recipe.scale), np.float32))
    drawn = islice(SlicePool([Pair(coarse[None], fine[None])]).batches(recipe, 0), 5)
    for batch in drawn:
        for counts, target in zip(batch.counts[:, 0], batch.target[:, 0], strict=True):
            np.testing.assert_allclose(binned(target, recipe.scale), counts, rtol=1e-5)


def test_a_kept_pool_is_read_back(tmp_path, pool):
    _, made = pool
    path = tmp_path / "pool.npz"
    load_or_build_slice_pool(path, lambda: made)
    again = load_or_build_slice_pool(path, lambda: pytest.fail("built again"))
    assert len(again.pairs) == len(made.pairs)
    for one, other in zip(made.pairs, again.pairs, strict=True):
        np.testing.assert_allclose(other.noisy, one.noisy, rtol=1e-3, atol=1e-5)
