"""Test objects whose modulation transfer function or noise power spectrum is a formula, and how far off we are.

No estimator is told the blur: a Gaussian, one averaged over a pixel, one with a tenth of its area in exponential tails (as
scatter and septal penetration have), and one with a tail on one side only. Errors are the greatest up to the Nyquist
frequency; with noise, the median over noises, sizes of the region and widths.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from math import erfc, pi, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..kernels.noise.regions import Detrend, Taper
from ..kernels.noise.spectrum import noise_power_spectrum
from .peers import Peer, peers_of
from .tables import Table

__all__ = ["BLURS", "Blur", "Object", "Row", "closed_form_tables", "disk", "edge", "line", "point"]

Floats = NDArray[np.float64]
ANGLES = (2.0, 5.0, 10.0, 20.0)
SIDES = (64, 100, 200)
WIDTHS = (0.6, 1.0, 1.5, 2.0)
TAIL, SHARE = 5.0, 0.1
_erfc = np.frompyfunc(erfc, 1, 1)


class Blur(NamedTuple):
    """A line spread function: its integral from the left and its transform, for a width in pixels."""

    step: Callable[[Floats, float], Floats]
    mtf: Callable[[Floats, float], Floats]


class Object(NamedTuple):
    """An image, and its modulation transfer function of frequencies in cycles/pixel."""

    image: Floats
    mtf: Callable[[Floats], Floats]


def _normal(x: Floats) -> Floats:
    """Return the cumulative distribution of the normal distribution."""
    return np.asarray(0.5 * _erfc(-x / sqrt(2)), np.float64)


def _gaussian(f: Floats, sigma: float) -> Floats:
    return np.asarray(np.exp(-2 * pi**2 * sigma**2 * f**2))


def _box_step(x: Floats, sigma: float) -> Floats:
    def integral(x: Floats) -> Floats:
        return x * _normal(x / sigma) + sigma / sqrt(2 * pi) * np.exp(-(x**2) / (2 * sigma**2))

    return integral(x + 0.5) - integral(x - 0.5)


def _tailed_step(x: Floats, sigma: float) -> Floats:
    tails = 0.5 + 0.5 * np.sign(x) * (1 - np.exp(-abs(x) / TAIL))
    return (1 - SHARE) * _normal(x / sigma) + SHARE * tails


def _skewed_step(x: Floats, sigma: float) -> Floats:
    # The exponential and the normal distribution would overflow and vanish on their own.
    late = np.exp(np.minimum(0.5 - x / sigma, 600)) * _normal(x / sigma - 1)
    return _normal(x / sigma) - late


BLURS = {
    "Gaussian": Blur(lambda x, s: _normal(x / s), _gaussian),
    "averaged over a pixel": Blur(_box_step, lambda f, s: _gaussian(f, s) * np.sinc(f)),
    "10 % tails": Blur(
        _tailed_step, lambda f, s: (1 - SHARE) * _gaussian(f, s) + SHARE / (1 + (2 * pi * TAIL * f) ** 2)
    ),
    "one-sided tail": Blur(_skewed_step, lambda f, s: _gaussian(f, s) / np.sqrt(1 + (2 * pi * s * f) ** 2)),
}


def edge(blur: str, width: float, side: int, angle_deg: float) -> Object:
    """Return an edge from 0 to 1, slanted against the columns."""
    found = BLURS[blur]
    return Object(found.step(_across(side, angle_deg), width), lambda f: found.mtf(f, width))


def line(width: float, side: int, angle_deg: float) -> Object:
    """Return a line source of height 1 with a Gaussian blur."""
    return Object(np.exp(-(_across(side, angle_deg) ** 2) / (2 * width**2)), lambda f: _gaussian(f, width))


def point(width: float, side: int) -> Object:
    """Return a point source of height 1 with a Gaussian blur."""
    return Object(np.exp(-(_radius(side) ** 2) / (2 * width**2)), lambda f: _gaussian(f, width))


def disk(width: float, side: int) -> Object:
    """Return a disk of height 1 with a radius of a quarter of the side and a Gaussian blur."""
    places, profile = _disk_profile(width, side)
    radius = _radius(side)
    index = np.clip((radius / places[1]).astype(int), 1, len(places) - 3)
    t = radius / places[1] - index
    before, here, after, next_one = (profile[index + offset] for offset in (-1, 0, 1, 2))
    # Cubic interpolation between samples a fiftieth of a pixel apart.
    image = (
        here * (1 + t) * (1 - t) * (2 - t) / 2
        + after * t * (1 + t) * (2 - t) / 2
        - before * t * (1 - t) * (2 - t) / 6
        - next_one * t * (1 + t) * (1 - t) / 6
    )
    return Object(image, lambda f: _gaussian(f, width))


@cache
def _disk_profile(width: float, side: int) -> tuple[Floats, Floats]:
    """Return a blurred disk along its radius: the blur across by formula, along by quadrature."""
    radius, places = side / 4, np.arange(0, side, 0.02)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    # Beyond eight widths along the disk there is nothing; beyond its ends neither.
    reach = min(radius, 8 * width)
    along, weights = nodes * reach, weights * reach
    half = np.sqrt(radius**2 - along**2)[:, np.newaxis]
    chord = _normal((places + half) / width) - _normal((places - half) / width)
    gaussian = np.exp(-(along**2) / (2 * width**2)) / (sqrt(2 * pi) * width)
    return places, np.asarray((weights * gaussian) @ chord)


def _across(side: int, angle_deg: float) -> Floats:
    """Return each pixel's distance from a slanted line that misses the middle by a part of a pixel."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2.0
    angle = np.deg2rad(angle_deg)
    return np.asarray((x - 0.21) * np.cos(angle) + y * np.sin(angle))


def _radius(side: int) -> Floats:
    """Return each pixel's distance from a point that misses the middle by parts of a pixel."""
    place = np.arange(side) - (side - 1) / 2.0
    return np.asarray(np.hypot(place[:, np.newaxis] - 0.17, place - 0.31))


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, how, and the error that is allowed."""

    method: str
    condition: str
    objects: list[Object]
    noise: Callable[[Floats, np.random.Generator], NDArray[Any]] | None
    bar: float


def _gaussian_noise(image: Floats, generator: np.random.Generator) -> NDArray[Any]:
    """Return an image with a signal-to-noise ratio of 100."""
    return image + generator.normal(0, 0.01, image.shape)


def _poisson_noise(image: Floats, generator: np.random.Generator) -> NDArray[Any]:
    """Return counts, 10 where there is nothing and 100 where the object is."""
    return generator.poisson(10 + 90 * image)


def _rows() -> Iterator[Row]:
    """Yield what is measured: noise-free the worst of many, with noise the median."""
    for blur in BLURS:
        clean = [edge(blur, width, 100, angle) for width, angle in product(WIDTHS[1:], ANGLES)]
        yield Row("edge", f"{blur}, no noise", clean, None, 5e-4 if blur == "10 % tails" else 1e-4)
    for blur, bar in (("Gaussian", 6e-3), ("10 % tails", 6e-3)):
        noisy = [edge(blur, width, side, 5.0) for width, side in product(WIDTHS, SIDES)]
        yield Row("edge", f"{blur}, SNR 100", noisy, _gaussian_noise, bar)
    counted = [edge("Gaussian", width, side, 5.0) for width, side in product(WIDTHS, SIDES)]
    yield Row("edge", "Gaussian, Poisson with 100 counts", counted, _poisson_noise, 0.05)
    disks = [disk(width, 100) for width in WIDTHS[1:]]
    yield Row("disk", "Gaussian, no noise", disks, None, 1e-4)
    yield Row("disk", "Gaussian, Poisson with 100 counts", disks, _poisson_noise, 0.065)
    yield Row("line", "Gaussian, no noise, 3 degrees", [line(width, 100, 3.0) for width in WIDTHS[1:]], None, 3e-5)
    yield Row("point", "Gaussian, no noise", [point(width, 64) for width in WIDTHS[2:]], None, 3e-6)


def closed_form_tables(repeats: int = 3) -> tuple[list[Table], list[str]]:
    """Return how far MTF and noise are from their formulas, and a sentence for every row that misses its bar."""
    lines, missed = [], []
    for row in _rows():
        error = _errors(row, partial(_curve, row.method), repeats)
        if error > row.bar:
            missed.append(f"{row.method} MTF ({row.condition}) is off by {error:.1e}")
        others = "; ".join(
            f"{peer.name} {_errors(row, partial(_others, peer), 1):.1e}" for peer in peers_of(f"{row.method}_mtf")
        )
        lines.append((row.method, row.condition, str(len(row.objects)), f"{error:.1e}", f"{row.bar:.1e}", others))
    columns = ("method", "object", "images", "photopeak", "bar", "others")
    title = "MTF: greatest error up to the Nyquist frequency; with noise, its median"
    return [Table(title, columns, tuple(lines)), _noise_table()], missed


def _curve(method: str, image: Floats) -> Floats:
    found: Any = getattr(kernels, f"{method}_mtf")(image)
    return np.stack([found.frequencies, found.modulation])


def _others(peer: Peer, image: Floats) -> Floats:
    return np.asarray(peer.prepare(image)()).T


def _errors(row: Row, measure: Callable[[Floats], Floats], repeats: int) -> float:
    """Return the greatest error without noise, the median error with it."""
    generator, errors = np.random.default_rng(0), []
    for truth in row.objects:
        for _ in range(repeats if row.noise else 1):
            image = row.noise(truth.image, generator) if row.noise else truth.image
            frequencies, modulation = measure(np.asarray(1000 * image, np.float64))
            seen = frequencies <= 0.5
            errors.append(np.abs(modulation - truth.mtf(frequencies))[seen].max())
    return float(np.median(errors) if row.noise else np.max(errors))


def _noise_table() -> Table:
    """Return how far noise power spectra are from what they must be."""
    frames = np.random.default_rng(0).normal(50, 2, (24, 256, 256))
    detrendings: tuple[Detrend, ...] = ("constant", "plane", "quadratic")
    windows: tuple[Taper, ...] = ("none", "hann")
    rows = []
    for detrend, window in product(detrendings, windows):
        found = noise_power_spectrum(frames, detrend=detrend, window=window)
        parseval = abs(found.plane.mean() / found.variance - 1)
        inside = np.mean((found.lower < 4) & (found.upper > 4))
        rows.append((detrend, window, f"{parseval:.1e}", f"{found.power.mean() / 4 - 1:+.2%}", f"{inside:.0%}"))
    columns = ("detrending", "window", "Parseval", "mean of the radial spectrum", "band holds the truth")
    return Table("Noise power spectrum of white noise: relative errors", columns, tuple(rows))
