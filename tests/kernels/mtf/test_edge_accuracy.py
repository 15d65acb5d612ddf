"""What the slanted edge promises, for blurs of any shape, by simulation with fixed seeds.

Each case asserts the median over region sizes, blurs and seeds of the largest error up to Nyquist, as peers are compared
by it, and, without noise, the largest error of all.
"""

import itertools

import numpy as np
import pytest

from photopeak.kernels import edge_mtf

SIGMAS = (0.6, 1.0, 1.5, 2.0)
SIZES = (64, 100, 200)


def _error(edges, blur, image, angle):
    curve = edge_mtf(image)
    seen = curve.frequencies <= 0.5
    return np.abs(curve.modulation[seen] - edges.mtf(blur, curve.frequencies[seen], angle)).max()


def _blurs(edges, kind):
    make = {
        "gaussian": edges.gaussian,
        "scattered": lambda sigma: edges.scattered(sigma, 5.0),
        "far-scattered": lambda sigma: edges.scattered(sigma, 8.0),
        "flat": lambda sigma: edges.flat(0.5 * sigma, 2.5 * sigma),
        "lopsided": lambda sigma: edges.lopsided(0.6 * sigma, sigma),
        "sharpened": edges.sharpened,
    }[kind]
    return [make(sigma) for sigma in SIGMAS]


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("gaussian", 1e-4),
        ("scattered", 5e-4),
        ("far-scattered", 5e-4),
        ("flat", 1e-4),
        ("lopsided", 1e-4),
        ("sharpened", 1e-3),
    ],
)
def test_edge_without_noise_is_exact(edges, kind, most):
    rng = np.random.default_rng(1)
    for blur, size, angle in itertools.product(_blurs(edges, kind), SIZES, (2.0, 5.0, 11.3, 20.0)):
        image = edges.image(blur, shape=(size, size), angle=angle, shift=rng.uniform(-0.5, 0.5))
        assert _error(edges, blur, image, angle) < most


@pytest.mark.parametrize(
    ("kind", "snr", "most"),
    [
        ("gaussian", 100, 6e-3),
        ("scattered", 100, 6e-3),
        ("far-scattered", 100, 6e-3),
        ("flat", 100, 6e-3),
        ("lopsided", 100, 7e-3),
        ("sharpened", 100, 1e-2),
        ("gaussian", 20, 2.5e-2),
        ("scattered", 20, 2.5e-2),
        ("flat", 20, 2.5e-2),
    ],
)
def test_edge_with_noise_is_near(edges, kind, snr, most):
    rng = np.random.default_rng(2)
    errors = []
    for blur, size, _ in itertools.product(_blurs(edges, kind), SIZES, range(2)):
        image = edges.image(blur, shape=(size, size), shift=rng.uniform(-0.5, 0.5))
        errors.append(_error(edges, blur, image + rng.normal(0, 1 / snr, image.shape), 5.0))
    assert np.median(errors) < most


@pytest.mark.parametrize("kind", ["gaussian", "scattered", "flat", "lopsided"])
def test_edge_in_a_hundred_counts_is_near(edges, kind):
    rng = np.random.default_rng(3)
    errors = []
    for blur, size, _ in itertools.product(_blurs(edges, kind), SIZES, range(2)):
        image = edges.image(blur, shape=(size, size), shift=rng.uniform(-0.5, 0.5), high=100.0)
        errors.append(_error(edges, blur, rng.poisson(np.maximum(image, 0.0)), 5.0))
    assert np.median(errors) < 0.05


@pytest.mark.parametrize(("kind", "snr"), [("gaussian", 100), ("scattered", 20), ("lopsided", 100)])
def test_band_holds_the_truth(edges, kind, snr):
    rng = np.random.default_rng(4)
    inside = []
    for blur, _ in itertools.product(_blurs(edges, kind), range(12)):
        angle = rng.uniform(3, 8)
        image = edges.image(blur, angle=angle, shift=rng.uniform(-0.5, 0.5))
        curve = edge_mtf(image + rng.normal(0, 1 / snr, image.shape))
        truth = edges.mtf(blur, curve.frequencies, angle)
        below = (curve.frequencies > 0) & (curve.frequencies <= 0.5)
        inside.append(((curve.lower <= truth) & (truth <= curve.upper))[below].mean())
    assert 0.9 <= np.mean(inside) <= 0.99


def test_tails_that_leave_the_region_are_completed_only_where_they_are_clear(edges):
    blur = edges.scattered(1.5, 8.0)
    image = edges.image(blur, shape=(64, 64))
    share = 0.1 * np.exp(-(63 / 2) * (np.cos(np.radians(5)) + np.sin(np.radians(5))) / 8.0)
    found = edge_mtf(image)
    assert found.details["beyond"] == pytest.approx(share, rel=0.1)
    assert any("was extrapolated" in warning.sentence for warning in found.warnings)
    noisy = image + np.random.default_rng(5).normal(0, 0.02, image.shape)
    assert edge_mtf(noisy).details["beyond"] == 0
    assert edge_mtf(edges.image(edges.gaussian(2.0), shape=(64, 64))).details["beyond"] < 1e-7
