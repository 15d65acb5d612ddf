"""Quality-control sources: flood, bars, lines, Jaszczak-like rods and spheres, contrast-detail discs.

Each is drawn as a thin sheet at a known distance, so one blur of the camera gives the expected image.
"""

import numpy as np
from numpy.typing import NDArray

from .camera import Camera, detect


def pattern(rng: np.random.Generator, camera: Camera) -> NDArray[np.float32]:
    """Return the expected image of a random quality-control source.

    Parameters
    ----------
    rng : numpy.random.Generator
        Chooses the source, its size, angle and distance.
    camera : Camera
        Matrix and resolution.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Expected counts per pixel, mean about 1.

    Examples
    --------
    >>> image = pattern(np.random.default_rng(0), Camera(shape=(64, 64)))
    >>> image.shape, bool(image.min() >= 0)
    ((64, 64), True)
    """
    draw = PATTERNS[int(rng.integers(len(PATTERNS)))]
    x, y = _turned_axes(camera, rng)
    sheet = draw(x, y, rng) * _sensitivity(x, y, rng)
    distance = rng.uniform(0, 200)
    image = detect(sheet[None].astype(np.float32), np.array([distance]), camera)
    return np.asarray(image / max(float(image.mean()), 1e-9), np.float32)


def flood(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a uniform disc or rectangle at positions x, y [mm]."""
    half = rng.uniform(60, 260)
    inside = (
        x**2 + y**2 < half**2 if rng.random() < 0.4 else (np.abs(x) < half) & (np.abs(y) < half * rng.uniform(0.5, 1))
    )
    return inside.astype(float) + rng.uniform(0, 0.01)


def bars(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a four-quadrant bar pattern at positions x, y [mm]."""
    widths = np.sort(rng.uniform(2.0, 14.0, 4))
    quadrant = (x > 0) + 2 * (y > 0)
    along = np.where(quadrant % 3 == 0, x, y)
    open_bar = np.floor(along / widths[quadrant]) % 2
    return np.where(np.hypot(x, y) < rng.uniform(120, 260), open_bar, 0) + rng.uniform(0, 0.05)


def lines(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return line sources over a weak background at positions x, y [mm]."""
    sheet = np.full(x.shape, rng.uniform(0, 0.05))
    pitch, width = rng.uniform(25, 120), rng.uniform(1.5, 5)
    near = np.abs((x + pitch / 2) % pitch - pitch / 2) < width / 2
    if rng.random() < 0.3:
        near |= np.abs((y + pitch / 2) % pitch - pitch / 2) < width / 2
    return sheet + near * (np.hypot(x, y) < rng.uniform(100, 260))


def rods(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return six sectors of rods on a hexagonal lattice, hot or cold, at positions x, y [mm]."""
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    sector = np.floor((angle + np.pi) / (np.pi / 3)).astype(int) % 6
    diameter = np.sort(rng.uniform(4, 16, 6))[sector]
    u = x / (2 * diameter)
    v = y / (2 * diameter * np.sqrt(3) / 2)
    row = np.round(v)
    du = u - 0.5 * (row % 2)
    offset = np.hypot((du - np.round(du)) * 2 * diameter, (v - row) * diameter * np.sqrt(3))
    rod = (offset < diameter / 2).astype(float)
    pattern_ = 1 - rng.uniform(0.5, 1) * rod if rng.random() < 0.5 else rod + rng.uniform(0, 0.3)
    return np.where(radius < rng.uniform(90, 150), pattern_, 0.0)


def discs(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return discs of several sizes and contrasts on a uniform background at positions x, y [mm]."""
    sheet = (np.hypot(x, y) < rng.uniform(100, 250)).astype(float)
    for _ in range(rng.integers(3, 40)):
        cx, cy = rng.uniform(-150, 150, 2)
        sheet = sheet * np.where(np.hypot(x - cx, y - cy) < rng.lognormal(np.log(8), 0.6), rng.lognormal(0, 0.8), 1)
    return sheet


def sheet(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return an even sheet without an edge at positions x, y [mm]; nothing is drawn from `rng`."""
    return np.ones(np.broadcast(x, y).shape)


PATTERNS = (flood, bars, lines, rods, discs)


def _turned_axes(camera: Camera, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel centres in millimetres, turned and shifted at random."""
    rows, columns = camera.shape
    x = (np.arange(columns) - (columns - 1) / 2)[None] * camera.pixel_mm
    y = (np.arange(rows) - (rows - 1) / 2)[:, None] * camera.pixel_mm
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    shift = rng.normal(0, 10, 2)
    return x * np.cos(angle) - y * np.sin(angle) + shift[0], x * np.sin(angle) + y * np.cos(angle) + shift[1]


def _sensitivity(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Residual non-uniformity of a camera: a few per cent, smooth."""
    wave = rng.normal(0, 1 / 60, (4, 2))
    phase, size = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0, 0.02)
    return np.asarray(1 + size * sum(np.sin(a * x + b * y + p) for (a, b), p in zip(wave, phase, strict=True)))
