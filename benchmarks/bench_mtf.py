"""Modulation transfer functions, region by region, against the libraries that have them, taking turns.

Regions of 64, 100 and 200 pixels a side with a signal-to-noise ratio of 200, for the point source more. Conversion to the type
that a library takes is done beforehand.
"""

from functools import partial

import numpy as np
import pytest

from photopeak import kernels
from photopeak.benchmarks import images
from photopeak.benchmarks.peers import peers_of
from photopeak.engine.matrix import MatrixSize

SIDES = (64, 100, 200)
SIGMA = 1.5


def squared_distance(side):
    """Return the square of each pixel's distance from a point near the middle of a region [pixel^2]."""
    place = np.arange(side) - (side / 2 + 0.3)
    return place[:, np.newaxis] ** 2 + place**2


def disk(side):
    """Return a disk with a soft border."""
    profile = 1 / (1 + np.exp((np.sqrt(squared_distance(side)) - side / 4) / (0.6 * SIGMA)))
    return 100 + 1000 * profile + np.random.default_rng(side).normal(0, 5, (side, side))


def line(side):
    """Return a line source, slanted by 3 degrees."""
    y, x = np.mgrid[:side, :side] - side / 2.0
    distance = x * np.cos(np.deg2rad(3)) + y * np.sin(np.deg2rad(3))
    return 1000 * np.exp(-(distance**2) / (2 * SIGMA**2)) + np.random.default_rng(side).normal(0, 5, (side, side))


def point(side):
    """Return a point source, bright enough that its surroundings do not matter."""
    return 1000 * np.exp(-squared_distance(side) / (2 * SIGMA**2)) + np.random.default_rng(side).normal(
        0, 0.01, (side, side)
    )


def edge(side):
    """Return an edge, slanted by 5 degrees."""
    return images.edge(MatrixSize(side, side), sigma=SIGMA)[0]


OBJECTS = {"edge": edge, "disk": disk, "line": line, "point": point}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("method", OBJECTS)
def bench_mtf(against, method, side):
    image = OBJECTS[method](side)
    measured = partial(getattr(kernels, f"{method}_mtf"), image)
    against({"photopeak": measured} | {peer.name: peer.prepare(image) for peer in peers_of(f"{method}_mtf")})
    if method != "disk":
        truth = np.exp(-2 * np.pi**2 * SIGMA**2 * 0.1**2)
        assert float(measured().at(0.1)) == pytest.approx(truth, abs=0.03)


@pytest.mark.parametrize("method", OBJECTS)
def bench_mtf_batch(compare, method, threads):
    if threads == 1:
        pytest.skip("one thread shares nothing; use --threads 2")
    stack = np.stack([OBJECTS[method](100)] * 8 * threads)
    alone = partial(getattr(kernels, f"{method}_mtf"), stack)
    compare({"photopeak": partial(alone, threads=threads), "1 thread": alone}, baseline="photopeak", settle=True)
    assert len(alone()) == len(stack)
