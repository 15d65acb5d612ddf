"""How near any estimator can come to a tailed edge at a signal-to-noise ratio of 100, and how near ours comes.

The inverse of Fisher's information, of all pixels about all that is not known, bounds the covariance of what is
estimated. What is known decides: an estimator that is told "a Gaussian core and exponential tails" has seven unknowns. One
that may not be told has more, of which two are enough here: third and fourth cumulant of the core, with a prior as wide
as Gaussian, box-averaged and one-sided cores differ. More unknowns can only raise the bound.
"""

import itertools

import numpy as np
import pytest
from scipy.special import ndtr

from photopeak.benchmarks.closed_forms import BLURS, edge
from photopeak.kernels import edge_mtf

SIDES, WIDTHS = (64, 100, 200), (0.6, 1.0, 1.5, 2.0)
NOISE, SHARE, DECAY = 0.01, 0.1, 5.0
FREQUENCIES = np.arange(65) / 128
# Standard deviations of skewness and excess kurtosis among the cores.
SKEWNESS, KURTOSIS = 0.7, 0.5


def _pixels(side, level, contrast, place, angle, width, share, decay, skewness, kurtosis):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    x = (x - place) * np.cos(angle) + y * np.sin(angle)
    u = x / width
    density = np.exp(-u * u / 2) / np.sqrt(2 * np.pi)
    core = ndtr(u) - (skewness / 6 * (u * u - 1) + kurtosis / 24 * (u**3 - 3 * u)) * density
    tails = 0.5 + 0.5 * np.sign(x) * (1 - np.exp(-abs(x) / decay))
    return level + contrast * ((1 - share) * core + share * tails)


def _modulation(level, contrast, place, angle, width, share, decay, skewness, kurtosis):
    w = 2 * np.pi * FREQUENCIES
    core = np.exp(-((w * width) ** 2) / 2) * (
        1 + skewness * (-1j * w * width) ** 3 / 6 + kurtosis * (w * width) ** 4 / 24
    )
    return abs((1 - share) * core + share / (1 + (w * decay) ** 2))


def _slopes(function, at):
    steps = 1e-5 * np.eye(len(at))
    return np.array([((function(*(at + step)) - function(*(at - step))) / 2e-5).ravel() for step in steps])


@pytest.fixture(scope="module")
def bounds():
    """Return the median greatest error up to Nyquist that is possible, if the family of blurs is known and if it is not."""
    rng = np.random.default_rng(0)
    errors = {"known": [], "unknown": []}
    for side, width in itertools.product(SIDES, WIDTHS):
        at = np.array([0.0, 1.0, 0.21, np.radians(5.0), width, SHARE, DECAY, 0.0, 0.0])
        pixels = _slopes(lambda *p, side=side: _pixels(side, *p), at)
        modulation = _slopes(_modulation, at)
        information = np.einsum("in,jn->ij", pixels, pixels) / NOISE**2
        information[7, 7] += SKEWNESS**-2
        information[8, 8] += KURTOSIS**-2
        for name, unknowns in (("known", 7), ("unknown", 9)):
            root = np.linalg.cholesky(np.linalg.inv(information[:unknowns, :unknowns]))
            draws = rng.normal(size=(2000, unknowns)) @ root.T @ modulation[:unknowns]
            errors[name].append(np.abs(draws).max(axis=1))
    return {name: float(np.median(found)) for name, found in errors.items()}


def test_without_the_blur_no_estimator_reaches_what_one_that_knows_it_does(bounds):
    assert bounds["known"] < 2.5e-3 < bounds["unknown"]


def test_derivatives_are_those_of_the_edge_that_is_measured():
    at = (0.0, 1.0, 0.21, np.radians(5.0), 1.5, SHARE, DECAY, 0.0, 0.0)
    truth = edge("10 % tails", 1.5, 64, 5.0)
    assert _pixels(64, *at) == pytest.approx(truth.image, abs=1e-12)
    assert _modulation(*at) == pytest.approx(BLURS["10 % tails"].mtf(FREQUENCIES, 1.5), abs=1e-12)


def test_tailed_edge_is_within_twice_the_bound(bounds):
    rng = np.random.default_rng(0)
    errors = []
    for side, width, _ in itertools.product(SIDES, WIDTHS, range(3)):
        truth = edge("10 % tails", width, side, 5.0)
        found = edge_mtf(1000 * (truth.image + rng.normal(0, NOISE, truth.image.shape)))
        errors.append(np.abs(found.modulation[:65] - truth.mtf(FREQUENCIES)).max())
    assert np.median(errors) < 2 * bounds["unknown"]
