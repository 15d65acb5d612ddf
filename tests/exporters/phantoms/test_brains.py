"""Brains: the same on any matrix, with the concentrations asked for, and a cortex as thick as a cortex is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, distance_transform_edt

from photopeak.exporters.phantoms.brains import FIELD_MM, Uptake, brain, folded_brain
from photopeak.exporters.phantoms.gyri import gyral_brain

PLAIN = Uptake(grey=4.0, fluid=0.0, scalp=0.25)


def binned(image, factor):
    side = len(image) // factor
    return image.reshape(side, factor, side, factor).mean(axis=(1, 3))


def test_grey_matter_holds_four_times_as_much_as_white():
    values = np.round(brain(np.random.default_rng(2), 512).activity, 2)
    common, number = np.unique(values[values > 0.6], return_counts=True)
    assert set(common[np.argsort(number)[-2:]]) == {1.0, 4.0}


@pytest.mark.parametrize(("draw", "alike"), [(brain, 0.99), (folded_brain, 0.99), (gyral_brain, 0.95)])
@pytest.mark.parametrize("seed", range(4))
def test_the_matrix_changes_nothing_but_the_pixel(seed, draw, alike):
    fine, coarse = (draw(np.random.default_rng(seed), side).activity for side in (440, 220))
    assert np.corrcoef(binned(fine, 2).ravel(), coarse.ravel())[0, 1] > alike
    assert coarse.mean() == pytest.approx(fine.mean(), rel=0.02)


def test_the_cortex_is_a_ribbon_of_a_few_millimetres():
    drawn = brain(np.random.default_rng(3), 512)
    grey, pixel = np.isclose(drawn.activity, 4.0), FIELD_MM / 512
    edge = np.abs(np.diff(grey.astype(int), axis=0)).sum() + np.abs(np.diff(grey.astype(int), axis=1)).sum()
    mean_width = 2 * grey.sum() / (edge * np.pi / 4) * pixel  # of a ribbon that runs in all directions
    assert 1.5 < mean_width < 9.0


@pytest.mark.parametrize("seed", range(3))
def test_folds_hold_mostly_grey_matter_along_the_surface_and_white_inside(seed):
    drawn = folded_brain(np.random.default_rng(seed), 256)
    grey, white = np.isclose(drawn.activity, 4.0), np.isclose(drawn.activity, 1.0)
    radius = np.hypot(*np.mgrid[-127.5:128, -127.5:128])
    assert grey.sum() > 0.25 * white.sum() > 0
    assert np.median(radius[grey]) > 1.2 * np.median(radius[white])


@pytest.mark.parametrize("seed", range(4))
def test_gyri_are_white_matter_with_a_coat_of_grey(seed):
    """No white matter is bare but beside the nuclei, and no grey matter of the cortex is farther from it than it is thick."""
    drawn = gyral_brain(np.random.default_rng(seed), 256)
    white, pixel = np.isclose(drawn.activity, 1.0), FIELD_MM / 256
    grey = np.isclose(drawn.activity, 4.0)
    assert white.sum() > grey.sum() > 0.15 * white.sum()
    assert distance_transform_edt(~white)[grey].max() * pixel < 8.0  # 5 mm, and three deviations of their variation
    radius = np.hypot(*np.mgrid[-127.5:128, -127.5:128])
    outside = (drawn.activity == 0) & (radius > radius[grey].min())
    bare = binary_dilation(outside, iterations=1) & white
    assert bare.sum() < 0.03 * white.sum()


def test_grey_follows_the_tracer():
    amyloid = brain(np.random.default_rng(4), 256, replace(PLAIN, grey=0.5)).activity
    glucose = brain(np.random.default_rng(4), 256, replace(PLAIN, grey=3.0)).activity
    assert np.isclose(amyloid, 0.5).mean() == pytest.approx(np.isclose(glucose, 3.0).mean(), abs=0.01)


def test_the_sides_differ_as_asked():
    even, skewed = (
        brain(np.random.default_rng(6), 256, replace(PLAIN, asymmetry=asymmetry)).activity for asymmetry in (0.0, 0.3)
    )
    ratio = [image[:, 128:].sum() / image[:, :128].sum() for image in (even, skewed)]
    assert ratio[1] > 1.3 * ratio[0]


def test_drawn_tracers_span_what_is_met():
    grey = [Uptake.drawn(np.random.default_rng(seed)).grey for seed in range(200)]
    assert min(grey) < 0.6
    assert max(grey) > 4.5
    assert 0.5 < np.mean(np.array(grey) > 1.2) < 0.95
