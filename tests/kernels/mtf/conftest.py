"""Edges whose pixels average over their area exactly, behind blurs of known modulation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.special import erfcx, ndtr


@dataclass(frozen=True)
class Blur:
    """A one-dimensional spread.

    ``ramp(x)`` is the second antiderivative of its edge profile (from minus infinity), so that averages over a pixel,
    whose projection onto the normal is a trapezium, are differences of it; ``mtf(f)`` takes cycles/pixel.
    """

    ramp: Callable[..., Any]
    mtf: Callable[..., Any]


def _density(x, sigma):
    return np.exp(-0.5 * (x / sigma) ** 2) / np.sqrt(2 * np.pi)


def _once(x, sigma):
    """Return the antiderivative of a Gaussian edge."""
    return x * ndtr(x / sigma) + sigma * _density(x, sigma)


def _twice(x, sigma):
    return 0.5 * ((x * x + sigma**2) * ndtr(x / sigma) + x * sigma * _density(x, sigma))


def _thrice(x, sigma):
    return (x * (x * x + 3 * sigma**2) * ndtr(x / sigma) + (x * x + 2 * sigma**2) * sigma * _density(x, sigma)) / 6


def _one_sided(x, sigma, tau):
    """Return the edge profile of a Gaussian convolved with a decay to the right."""
    z = (sigma / tau - x / sigma) / np.sqrt(2)
    tail = np.exp(np.minimum(0.5 * (sigma / tau) ** 2 - x / tau, 300)) * ndtr(x / sigma - sigma / tau)
    return ndtr(x / sigma) - np.where(z > 0, 0.5 * erfcx(np.maximum(z, 0)) * np.exp(-0.5 * (x / sigma) ** 2), tail)


def gaussian(sigma):
    return Blur(lambda x: _twice(x, sigma), lambda f: np.exp(-2 * (np.pi * sigma * f) ** 2))


def flat(sigma, length):
    """Return a Gaussian convolved with a box."""
    return Blur(
        lambda x: (_thrice(x + length / 2, sigma) - _thrice(x - length / 2, sigma)) / length,
        lambda f: np.exp(-2 * (np.pi * sigma * f) ** 2) * np.abs(np.sinc(f * length)),
    )


def lopsided(sigma, tau):
    """Return a Gaussian convolved with a one-sided exponential, whose edge F solves F + tau F' = Gaussian edge."""
    return Blur(
        lambda x: _twice(x, sigma) - tau * (_once(x, sigma) - tau * _one_sided(x, sigma, tau)),
        lambda f: np.exp(-2 * (np.pi * sigma * f) ** 2) / np.hypot(1, 2 * np.pi * f * tau),
    )


def scattered(sigma, decay, share=0.1):
    """Return a Gaussian of which a share is convolved with a two-sided exponential, whose edge solves F - decay^2 F'' = it."""

    def both(x):
        return 0.5 * (_one_sided(x, sigma, decay) + 1 - _one_sided(-x, sigma, decay))

    return Blur(
        lambda x: _twice(x, sigma) + share * decay**2 * both(x),
        lambda f: np.exp(-2 * (np.pi * sigma * f) ** 2) * (1 - share + share / (1 + (2 * np.pi * f * decay) ** 2)),
    )


def sharpened(sigma, boost=0.4):
    """Return a Gaussian with overshoot, as a sharpening kernel makes it."""
    return Blur(
        lambda x: (1 + boost) * _twice(x, sigma) - boost * _twice(x, 2 * sigma),
        lambda f: np.abs((1 + boost) * gaussian(sigma).mtf(f) - boost * gaussian(2 * sigma).mtf(f)),
    )


@dataclass(frozen=True)
class Edges:
    """Makes edges and knows their modulation."""

    gaussian: Callable[..., Any] = gaussian
    flat: Callable[..., Any] = flat
    lopsided: Callable[..., Any] = lopsided
    scattered: Callable[..., Any] = scattered
    sharpened: Callable[..., Any] = sharpened

    @staticmethod
    def image(blur, *, shape=(100, 100), angle=5.0, shift=0.0, low=0.0, high=1.0, bend=0.0):
        """Return pixels with the edge `shift` right of the middle, tilted by `angle` [degree] from vertical."""
        across, along = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        row, column = np.indices(shape, np.float64)
        row -= (shape[0] - 1) / 2
        x = (column - (shape[1] - 1) / 2 - shift) * across + row * along + bend * row**2
        if angle == 0.0:
            raise ValueError("the pixel of an edge that is not tilted is no trapezium")
        a, b = across / 2, along / 2
        total = blur.ramp(x + a + b) - blur.ramp(x + a - b) - blur.ramp(x - a + b) + blur.ramp(x - a - b)
        return low + (high - low) * total / (across * along)

    @staticmethod
    def mtf(blur, frequencies, angle=5.0):
        """Return the modulation along the normal, pixel included."""
        angle = np.radians(angle)
        return blur.mtf(frequencies) * np.abs(
            np.sinc(frequencies * np.cos(angle)) * np.sinc(frequencies * np.sin(angle))
        )


@pytest.fixture(scope="session")
def edges() -> Edges:
    return Edges()
