"""Noise power spectra against pylinac and against the NumPy code that one would write, taking turns.

Regions of 64 x 64 pixels side by side, less their mean. Others get the regions cut out beforehand; only ours measures the
band of uncertainty and looks for trends.
"""

from functools import partial

import numpy as np
import pytest

from photopeak.benchmarks.peers import peers_of
from photopeak.kernels import noise_power_spectrum

SIDE = 64


def numpy_nps(regions):
    """Return the spectrum in two dimensions and the means of rings of one pixel's width."""
    spectra = np.fft.fftshift(np.fft.fft2(regions - regions.mean(axis=(1, 2), keepdims=True)), axes=(1, 2))
    plane = (abs(spectra) ** 2).mean(axis=0) / SIDE**2
    places = np.indices((SIDE, SIDE)) - SIDE // 2
    ring = np.rint(np.hypot(*places)).astype(int).ravel()
    return plane, np.bincount(ring, plane.ravel()) / np.bincount(ring)


@pytest.fixture
def noise(matrix):
    """White noise of variance 4, shape (4, rows, columns)."""
    return np.random.default_rng(matrix.pixels).normal(100, 2, (4, *matrix))


def bench_noise_nps(against, noise, matrix):
    rows, columns = (length // SIDE for length in matrix)
    regions = noise[0].reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE).copy()
    ours = partial(noise_power_spectrum, noise[0], roi_size=SIDE, overlap=0, detrend="constant")
    theirs = {peer.name: peer.prepare(regions) for peer in peers_of("nps")}
    against({"photopeak": ours, "NumPy": partial(numpy_nps, regions)} | theirs)
    np.testing.assert_allclose(ours().plane, numpy_nps(regions)[0], atol=1e-9)


def bench_noise_batch(compare, noise, threads):
    if threads == 1:
        pytest.skip("one thread shares nothing; use --threads 2")
    alone = partial(noise_power_spectrum, noise, roi_size=SIDE)
    compare({"photopeak": partial(alone, threads=threads), "1 thread": alone}, baseline="photopeak", settle=True)
    np.testing.assert_array_equal(alone(threads=threads).plane, alone().plane)
