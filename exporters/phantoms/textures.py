"""Textures drawn by formulas: what no anatomy prepares for, as augmentation and as a test of generality.

All have mean 0 and standard deviation 1; the same generator state gives the same texture.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def fractal(shape: tuple[int, int], rng: np.random.Generator, exponent: float = 2.0) -> Floats:
    """Return noise whose power falls with frequency as ``f ** -exponent``.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    rng : numpy.random.Generator
        Draws the phases and amplitudes.
    exponent : float
        0 is white, 2 about that of natural scenes, 3 that of mammograms.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Periodic, Gaussian, mean 0 and standard deviation 1.

    References
    ----------
    * Field, Relations between the statistics of natural images and the response properties of cortical cells, JOSA A 4 (1987).

    Examples
    --------
    >>> texture = fractal((64, 64), np.random.default_rng(0))
    >>> abs(round(float(texture.mean()), 3)), round(float(texture.std()), 3)
    (0.0, 1.0)
    """
    noise = np.fft.rfft2(rng.standard_normal(shape))
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    frequency[0, 0] = np.inf
    return _standard(np.fft.irfft2(noise * frequency ** (-exponent / 2), s=shape))


def perlin(shape: tuple[int, int], rng: np.random.Generator, cell_px: float = 32.0, octaves: int = 4) -> Floats:
    """Return gradient noise: octaves of smoothly joined random slopes.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    rng : numpy.random.Generator
        Draws the slopes.
    cell_px : float
        Side of the largest cell [px]; each octave halves it and its amplitude.
    octaves : int
        How many.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Mean 0 and standard deviation 1.

    Raises
    ------
    ValueError
        If the cell or the number of octaves is less than one.

    References
    ----------
    * Perlin, Improving noise, SIGGRAPH (2002).
    """
    if cell_px < 1 or octaves < 1:
        raise ValueError(f"cells of {cell_px:g} px and {octaves} octaves, give at least 1 of each")
    total = np.zeros(shape)
    for octave in range(octaves):
        total += 0.5**octave * gradient_noise(shape, rng, cell_px / 2**octave)
    return _standard(total)


def gradient_noise(shape: tuple[int, int], rng: np.random.Generator, cell_px: float) -> NDArray[np.float64]:
    """Return one octave of Perlin's noise: 0 at the corners of the cells, where it has random slopes."""
    at = [np.arange(n) / cell_px for n in shape]
    angle = rng.uniform(0, 2 * np.pi, (int(at[0][-1]) + 2, int(at[1][-1]) + 2))
    down, along = np.cos(angle), np.sin(angle)
    cell = [position.astype(int) for position in at]
    inside = at[0] - cell[0], at[1] - cell[1]
    ease = [t**3 * (t * (6 * t - 15) + 10) for t in inside]
    total = np.zeros(shape)
    for i in (0, 1):
        for j in (0, 1):
            corner = np.ix_(cell[0] + i, cell[1] + j)
            slope = down[corner] * (inside[0] - i)[:, None] + along[corner] * (inside[1] - j)[None]
            weight = [part if k else 1 - part for part, k in zip(ease, (i, j), strict=True)]
            total += weight[0][:, None] * weight[1][None] * slope
    return total


def random_fourier(
    shape: tuple[int, int], rng: np.random.Generator, band: tuple[float, float] = (0.02, 0.2), waves: int = 12
) -> Floats:
    """Return a sum of plane waves of random direction and phase.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    rng : numpy.random.Generator
        Draws frequency, direction, phase and amplitude of each wave.
    band : tuple of float
        Lowest and highest frequency [cycles/px].
    waves : int
        How many.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Mean 0 and standard deviation 1.

    Raises
    ------
    ValueError
        If the band does not lie between 0 and 0.5 cycles per pixel.
    """
    low, high = band
    if not 0 < low <= high <= 0.5:
        raise ValueError(f"the band {low:g} to {high:g} is not within 0 to 0.5 cycles per pixel")
    frequency = np.exp(rng.uniform(np.log(low), np.log(high), waves))
    angle, phase = rng.uniform(0, 2 * np.pi, (2, waves))
    down = np.exp(2j * np.pi * np.outer(np.arange(shape[0]), frequency * np.sin(angle)))
    along = np.exp(2j * np.pi * np.outer(np.arange(shape[1]), frequency * np.cos(angle)))
    return _standard(((down * (rng.rayleigh(1, waves) * np.exp(1j * phase))) @ along.T).real)


def iterated(shape: tuple[int, int], rng: np.random.Generator, points: int = 200_000) -> Floats:
    """Return the density of a random iterated function system: self-similar filaments and clusters.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    rng : numpy.random.Generator
        Draws two to six contracting maps.
    points : int
        Points of the chaos game.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Logarithm of the density, mean 0 and standard deviation 1.

    References
    ----------
    * Kataoka et al., Pre-training without natural images, ACCV (2020).
    """
    number = int(rng.integers(2, 7))
    maps = rng.uniform(-1, 1, (number, 2, 2))
    # A norm below 1 makes every map contract, so that the system has an attractor.
    maps *= (rng.uniform(0.4, 0.85, number) / np.linalg.norm(maps, 2, axis=(1, 2)))[:, None, None]
    shift, chance = rng.uniform(-1, 1, (number, 2)), np.abs(np.linalg.det(maps)) + 0.02
    walkers = max(points // 64, 1)
    at, kept = rng.uniform(-1, 1, (walkers, 2)), []
    for step in range(84):
        chosen = rng.choice(number, walkers, p=chance / chance.sum())
        at = np.einsum("nij,nj->ni", maps[chosen], at) + shift[chosen]
        if step >= 20:
            kept.append(at)
    cloud = np.concatenate(kept)
    low, high = np.percentile(cloud, [0.5, 99.5], axis=0)
    edges = [np.linspace(a, max(b, a + 1e-6), n + 1) for a, b, n in zip(low, high, shape, strict=True)]
    return _standard(np.log1p(np.histogram2d(cloud[:, 0], cloud[:, 1], bins=edges)[0]))


TEXTURES = (fractal, perlin, random_fourier, iterated)


def textured(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a sheet with a random texture, log-normal so that it has no negative activity, at positions x, y [mm]."""
    texture = TEXTURES[int(rng.integers(len(TEXTURES)))](np.broadcast(x, y).shape, rng)  # type: ignore[operator]
    return np.exp(rng.uniform(0.3, 0.9) * np.clip(texture, -3, 3).astype(np.float64))


def _standard(values: NDArray[np.float64]) -> Floats:
    """Return values with mean 0 and standard deviation 1; what is even stays 0."""
    centred = values - values.mean()
    deviation = float(centred.std())
    return np.asarray(centred / deviation if deviation > 0 else centred, np.float32)
