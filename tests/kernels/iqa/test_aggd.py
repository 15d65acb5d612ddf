"""Shapes of generalised Gaussians against a plain search of the table and against samples of known shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gamma
from scipy.stats import gennorm

from photopeak.kernels.iqa.aggd import CENTRE, INVERSE, RATIO, SHAPE, SPREAD, aggd, nearest, symmetric, tables


def test_table_holds_the_moments_of_each_shape():
    table = tables()
    shapes = np.arange(200, 10001) / 1000
    first, second, third = (gamma(k / shapes) for k in (1, 2, 3))
    np.testing.assert_array_equal(table[:, SHAPE], shapes)
    np.testing.assert_allclose(table[:, RATIO], second**2 / (first * third), rtol=1e-13)
    np.testing.assert_allclose(table[:, SPREAD], np.sqrt(first / third), rtol=1e-13)
    np.testing.assert_allclose(table[:, CENTRE], second / first, rtol=1e-13)
    assert (np.diff(table[:, [RATIO, INVERSE]], axis=0) > 0).all()


@settings(deadline=None, max_examples=300)
@given(st.floats(0, 1.2) | st.floats(0.45, 0.76))
def test_search_gives_what_the_whole_table_gives(wanted):
    ratios = tables()[:, RATIO]
    assert nearest(tables(), RATIO, wanted) == np.argmin((ratios - wanted) ** 2)


@settings(deadline=None, max_examples=300)
@given(st.floats(0, 30) | st.floats(1.3, 1.8))
def test_search_gives_what_the_whole_table_gives_for_symmetric_distributions(wanted):
    assert symmetric(wanted, 1.0, tables()) == np.argmin(abs(-tables()[:, INVERSE] - wanted))


def test_search_finds_every_entry_and_takes_the_first_of_two():
    table = tables()
    ratios = table[:, RATIO].tolist()
    assert [nearest(table, RATIO, ratio) for ratio in ratios] == list(range(len(ratios)))
    steps = np.zeros((200, 5))
    steps[:, RATIO] = np.arange(200)
    assert [nearest(steps, RATIO, wanted) for wanted in (2.5, 128.5, np.nextafter(2.5, 3))] == [2, 128, 3]


@pytest.mark.parametrize(("wanted", "index"), [(np.nan, 0), (-np.inf, 0), (np.inf, 9800)])
def test_values_beyond_the_table_find_its_ends(wanted, index):
    assert nearest(tables(), RATIO, wanted) == index


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 4.0])
def test_samples_of_known_shape_are_recognised(shape):
    samples = gennorm.rvs(shape, size=400_000, random_state=1)
    samples = np.where(samples < 0, 2 * samples, samples)
    left, right = samples[samples < 0], samples[samples > 0]
    # Samples are twice as wide on the left, and the asymmetric distribution has that share of them too.
    weights = 2 * len(right) / len(left)
    magnitude = weights * abs(left).sum() + right.sum()
    squares = weights * (left**2).sum(), (right**2).sum()
    counts = weights * len(left), float(len(right))
    index, below, above = aggd(np.array([*squares, magnitude, *counts]), sum(counts), tables())
    assert tables()[index, SHAPE] == pytest.approx(shape, rel=0.03)
    assert below / above == pytest.approx(2, rel=0.02)


def test_one_side_without_samples_gives_nan_and_the_first_shape():
    index, left, right = aggd(np.array([0.0, 4.0, 2.0, 0.0, 1.0]), 10.0, tables())
    assert index == 0
    assert np.isnan(left)
    assert right == 2
