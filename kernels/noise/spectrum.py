"""The noise power spectrum of images of something uniform."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..iqa.intensity import check_frames
from ..mtf.curve import QualityWarning
from ..mtf.regions import Roi, spacing_of
from ..parallel import over
from .power import Floats, NoisePowerSpectrum, RingWeights, chi_square_band, ring_weights
from .regions import Detrend, Recipe, Taper, independent, place, recipe_of, shares
from .sums import Sums, totals, whole_plane

__all__ = ["noise_power_spectrum"]

Subtract = Literal["nothing", "pairs", "mean"]

_FEW = 10
_BIAS = 0.01


def noise_power_spectrum(
    frames: NDArray[Any],
    *,
    pixel_spacing_mm: float | Sequence[float] | None = None,
    roi_size: int | Sequence[int] = 64,
    overlap: float = 0.5,
    rois: Roi | Sequence[Roi] | None = None,
    detrend: Detrend = "plane",
    window: Taper = "none",
    subtract: Subtract = "nothing",
    threads: int = 1,
) -> NoisePowerSpectrum:
    """Return the noise power spectrum, averaged over regions and over the frames of a stack.

    Without a window, the integral of the spectrum is the variance that detrending leaves, as IEC 62220-1 and AAPM TG-233
    have it. Noise that is correlated over a length c then loses about c / (size of a region) of its power at low
    frequencies, in each direction; a Hann window loses about its square.

    Parameters
    ----------
    frames : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats; the frames of a stack show the same thing, each with noise of its own.
    pixel_spacing_mm : float or tuple of float, optional
        Row and column spacing [mm].
    roi_size : int or tuple of int
        Rows and columns of the regions that the frames are divided into [pixels].
    overlap : float
        How much of a region the next one shares, along each direction, from 0 to below 1.
    rois : tuple or sequence of tuples, optional
        Regions ``((row0, row1), (column0, column1))`` of one size to use instead, half-open [pixels].
    detrend : str
        What is fitted to each region and subtracted: ``constant``, ``plane`` or ``quadratic``.
    window : str
        ``none`` or ``hann``; the power that the window takes is made good.
    subtract : str
        ``pairs``: the differences of frames 0 and 1, 2 and 3, ... over the square root of 2, free of whatever both show;
        ``mean``: each frame less the mean of all, made good for the noise in that; or ``nothing``.
    threads : int
        Most threads to use.

    Returns
    -------
    NoisePowerSpectrum
        In two dimensions and radial, with a 95 % band and warnings: ``few-rois``, ``trend``, ``short-roi``.

    Raises
    ------
    InputError
        If the arrays are not images, are not finite or do not hold the regions.
    UsageError
        If a choice makes no sense.

    References
    ----------
    * IEC 62220-1, 6.2: determination of the noise power spectrum.
    * AAPM Task Group 233, Performance evaluation of computed tomography systems (2019), section 3.2.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 2, (256, 256))
    >>> spectrum = noise_power_spectrum(noise, pixel_spacing_mm=0.5)
    >>> float(spectrum.power.mean().round(1)), float(spectrum.power_mm2.mean().round(1))
    (4.0, 1.0)
    """
    stack = check_frames(frames)
    if stack.dtype.kind == "f" and not np.isfinite(stack).all():
        raise InputError("there are values that are not finite among the pixels; replace them or give other regions.")
    spacing = spacing_of(pixel_spacing_mm)
    size, starts = place(stack.shape[1:], roi_size, overlap, rois)
    recipe = recipe_of(size, detrend, window)
    values, repeats = _noise(stack, subtract)
    noise = np.require(values, requirements=("C", "W", "A"))  # as kernels take it

    def one(item: tuple[int, tuple[NDArray[np.int64], NDArray[np.int64]]]) -> Sums:
        return totals(noise[item[0]], *item[1], recipe)

    parts = over(one, product(range(len(noise)), shares(starts)), threads)
    sums = Sums(*(sum(values[1:], values[0]) for values in zip(*parts, strict=True)))
    count = len(noise) * len(starts)
    # Without subtraction the noise still has the level of the frames.
    mean = sums.level / count
    if subtract != "nothing":
        middle = stack.mean(axis=0, dtype=np.float64)
        mean = float(np.mean([middle[row : row + size[0], at : at + size[1]].mean() for row, at in starts]))
    return _spectrum(sums, count, repeats * independent(starts, recipe, stack.shape[1:]), recipe, mean, spacing)


@lru_cache(maxsize=8)
def _around(recipe: Recipe, sides: tuple[float, float]) -> RingWeights:
    return ring_weights(recipe.kept, sides)


def _spectrum(
    sums: Sums, count: int, effective: float, recipe: Recipe, mean: float, spacing: tuple[float, float] | None
) -> NoisePowerSpectrum:
    """Return the average spectrum of `count` regions."""
    norm = count * recipe.power
    plane = whole_plane(sums.half, recipe.size[1], norm)
    sides = (1.0, 1.0) if spacing is None else (math.sqrt(spacing[0] / spacing[1]), math.sqrt(spacing[1] / spacing[0]))
    ring = _around(recipe, sides).means(plane)
    lower, upper = chi_square_band(ring.power, effective * ring.samples)
    found = NoisePowerSpectrum(
        plane, ring.frequencies, ring.power, lower, upper, sums.square / norm, mean, count, effective, spacing
    )
    return NoisePowerSpectrum(**vars(found) | {"warnings": tuple(_warnings(found, sums.next_order, recipe))})


def _warnings(found: NoisePowerSpectrum, next_order: float, recipe: Recipe) -> list[QualityWarning]:
    """Return why a spectrum deserves less trust."""
    warnings = []
    if found.independent < _FEW:
        width = 100 * (found.upper - found.lower)[0] / 2 / found.power[0] if found.power[0] > 0 else 0.0
        sentence = f"{found.independent:.3g} independent regions leave the lowest frequency uncertain to {width:.0f} %"
        warnings.append(QualityWarning("few-rois", f"{sentence}; measure more frames or smaller regions."))
    # A trend that detrending left shows up as power in the next order of polynomials, far above that of the noise.
    terms = recipe.degree + 2
    if found.power.size > 3 and next_order / (found.regions * terms) > _excess(found, terms) * found.power[1:4].max():
        more = "detrend='quadratic'" if recipe.degree < 2 else "subtract='pairs'"
        warnings.append(QualityWarning("trend", f"the regions are not uniform beyond their noise; use {more}."))
    reach = np.sqrt(found.power.max() / found.variance) if found.variance > 0 else 0.0
    shortest = min(recipe.size)
    tapered = recipe.tapered
    bias = 2.1 * (reach / shortest) ** 2 if tapered else 0.64 * reach / shortest
    if bias > _BIAS and found.power.size > 1 and reach > 2:
        remedy = "larger regions" if tapered else "larger regions or window='hann'"
        sentence = (
            f"noise correlated over {reach:.1f} pixels loses about {100 * bias:.1f} % of its power at low frequencies"
        )
        warnings.append(QualityWarning("short-roi", f"{sentence} in regions of {shortest} pixels; use {remedy}."))
    return warnings


def _excess(found: NoisePowerSpectrum, terms: int) -> float:
    """Return how far above its expectation chance takes the mean square of some polynomial amplitudes."""
    return 2 + 4 * float(np.sqrt(2 / (found.independent * terms)))


def _noise(stack: NDArray[Any], subtract: str) -> tuple[Floats, float]:
    """Return the frames whose noise is measured, and how many independent ones they are worth."""
    count = len(stack)
    if subtract == "nothing":
        return stack.astype(np.float64, copy=False), count
    if subtract == "pairs":
        if count % 2:
            raise InputError(f"{count} frames do not make pairs; give an even number.")
        return (stack[::2].astype(np.float64) - stack[1::2]) / np.sqrt(2), count / 2
    if subtract == "mean":
        if count < 2:
            raise InputError("a single frame has no noise about its own mean; give more frames or subtract='nothing'.")
        return (stack - stack.mean(axis=0, dtype=np.float64)) * np.sqrt(count / (count - 1)), count - 1
    raise UsageError(f"there is nothing called {subtract!r} to subtract; use nothing, pairs or mean.")
