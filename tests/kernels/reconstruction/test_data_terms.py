"""Data terms of the solvers for volumes."""

import numpy as np
import pytest

from photopeak.kernels.errors import InputError
from photopeak.kernels.reconstruction.data_terms import GaussianTerm, PoissonTerm, expected_deviance, noise_variance


@pytest.mark.parametrize("mean", [1e-9, 1e-3, 0.05, 0.7, 3.0, 40.0, 299.0, 301.0, 1e5])
def test_expected_deviance_is_the_sum_over_the_distribution(mean):
    n = np.arange(1, int(mean + 40 * np.sqrt(mean) + 60))
    logs = np.cumsum(np.log(n))
    likelihood = np.exp(n * np.log(mean) - mean - logs)
    deviance = 2 * (mean - n + n * np.log(n / mean))
    exact = (likelihood * deviance).sum() + np.exp(-mean) * 2 * mean
    assert expected_deviance(np.array([mean]))[0] == pytest.approx(exact, rel=1e-4)


def test_nothing_is_expected_where_nothing_is_seen():
    assert expected_deviance(np.array([0.0, -1.0])).tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["poisson", "gaussian"])
def test_conjugate_meets_the_value_at_the_gradient(kind):
    """Fenchel: value(mean) + conjugate(dual) is never below the product, and equal where dual is the derivative."""
    rng = np.random.default_rng(0)
    measured, ones = rng.poisson(5, 50).astype(np.float32), np.ones(50, np.float32)
    variance = rng.uniform(1, 2, 50).astype(np.float32)
    term = PoissonTerm(measured, ones) if kind == "poisson" else GaussianTerm(measured, ones, variance)
    mean = rng.uniform(1, 9, 50).astype(np.float32)
    slope = 1 - measured / mean if kind == "poisson" else (mean - measured) / variance
    product = float((mean * slope).sum())
    assert term.value(mean) + term.conjugate(slope) == pytest.approx(product, rel=1e-4, abs=1e-3)
    for _ in range(20):
        other = (slope - rng.uniform(0, 0.5, 50)).astype(np.float32)
        assert term.value(mean) + term.conjugate(other) >= float((mean * other).sum()) - 1e-3


def test_pixels_that_see_nothing_count_for_nothing():
    measured, inverse = np.array([3, 7], np.float32), np.array([1, 0], np.float32)
    term = PoissonTerm(measured, inverse)
    assert term.value(np.array([3, 0], np.float32)) == pytest.approx(0, abs=1e-6)
    assert term.residuals(np.array([3, 0], np.float32)).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(1, 16), (16, 1), (1, 1)])
def test_one_row_does_not_tell_its_noise(shape):
    with pytest.raises(InputError, match="give variance"):
        noise_variance(np.ones(shape, np.float32))


def test_noise_is_measured_beside_an_edge():
    view = np.random.default_rng(0).normal(0, 2, (96, 96)).astype(np.float32)
    view[:, 40:] += 500
    assert noise_variance(view) == pytest.approx(4, rel=0.1)
