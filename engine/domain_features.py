"""What of an image tells whether a model knows images like it.

The features see every image as counts, in the Anscombe domain, where Poisson noise has unit variance whatever the count
level: rescaled, filtered or interpolated images betray themselves by a noise that is not 1. They are the count level, the
variance over the mean in flat and in rough places, the energy of wavelet details octave by octave (the radial power
spectrum in steps of two) with its share along the diagonals, and the periodicity that interpolation leaves.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import _native, postprocess
from .bundle import Input
from .frame_operations import statistics
from .frames import Units

__all__ = ["ACTIVE", "COUNTS", "FEATURES", "Words", "features", "features_of", "words_for"]

Words = tuple[tuple[str, bool], ...]
Rows = NDArray[np.float64]

_OCTAVES = (1, 2, 3, 4)
_SHARES = 2  # coarser octaves have too few coefficients in a small matrix
FEATURES = (
    "log10 mean counts",
    "log10 peak to mean",
    "active fraction",
    "log10 spread",
    "log10 grain",
    "log10 smoothness",
    "fraction of non-integers",
    *(f"log10 dispersion, {place}" for place in ("flattest tenth", "median", "roughest tenth")),
    *(f"log10 periodicity, {which} axis" for which in ("more", "less")),
    "log10 detail, octave 1",
    *(f"log10 detail, octave {k} to {k - 1}" for k in _OCTAVES[1:]),
    *(f"log10 diagonal share, octave {k}" for k in _OCTAVES[:_SHARES]),
)
# These two are no logarithms.
ACTIVE, _FRACTIONS = FEATURES.index("active fraction"), FEATURES.index("fraction of non-integers")
# What each feature is called in a sentence, and whether it is a logarithm.
_SHARED: Words = (
    ("the noise (variance over mean) of the flattest places", True),
    ("the noise (variance over mean) of the median place", True),
    ("the variance over mean of the roughest places", True),
    ("the periodicity along one axis, as interpolation causes it,", True),
    ("the periodicity along both axes, as interpolation causes it,", True),
    ("the difference of neighbouring pixels", True),
    *((f"the detail of {2**k} pixels, relative to that of half the size,", True) for k in _OCTAVES[1:]),
    *((f"the diagonal detail of {2**k} pixels, relative to the other,", True) for k in _OCTAVES[:_SHARES]),
)
COUNTS: Words = (
    ("the mean count per pixel", True),
    ("the peak, relative to the mean,", True),
    ("the fraction of pixels with counts", False),
    ("the spread of the counts (variance after Anscombe's transform)", True),
    ("the grain, relative to counting noise,", True),
    ("the roughness at two pixels, relative to that at one,", True),
    ("the fraction of pixels that are not whole counts", False),
    *_SHARED,
)
_SCALED: Words = (("the mean, relative to the brightest pixels,", True), *COUNTS[1:])
_HOUNSFIELD: Words = (
    ("the mean, in Hounsfield units above air,", True),
    ("the peak, relative to the mean above air,", True),
    ("the fraction of pixels above air", False),
    ("the spread of the square roots of what is above air (as a variance)", True),
    ("the grain (the squared difference of neighbours, relative to their height above air)", True),
    COUNTS[5],
    ("the fraction of pixels that are not whole Hounsfield units", False),
    *_SHARED,
)
# Hounsfield units count from water; from air they are proportional to attenuation, which is never negative.
_AIR_HU = -1000.0
# Concentrations have no counting noise of their own: they are seen as if their brightest pixels held so many counts, which
# makes the features the same for any unit.
_COUNTS_OF_BRIGHTEST = 60.0
# Below this there is nothing but the rounding of stored values.
_LEAST_ENERGY = 1e-5
_LEAST_DIFFERENCE = 1e-3
_LOWEST_FREQUENCY = 0.15  # of the profiles, in cycles per pixel; slower is the object
_SHORTEST_PROFILE = 16
_FARTHEST = 99.0  # for values whose squares no float32 holds


def features(
    pixels: NDArray[np.float32],
    threads: int = 1,
    *,
    scaling: Literal["none", "robust"] = "none",
    units: Units = Units.COUNTS,
) -> Rows:
    """Return the domain features of each frame.

    Parameters
    ----------
    pixels : ndarray, shape (n, rows, columns), float32
        Counts per pixel [counts].
    threads : int
        Threads to use.
    scaling : {"none", "robust"}
        That of the model's input. With ``robust`` pixels may be in any unit, and what is negative counts as 0.
    units : Units
        With Hounsfield units it is their distance from air that stands for counts.

    Returns
    -------
    ndarray, shape (n, 18), float64
        In the order of ``FEATURES``. Grain is the mean squared difference of neighbours over its expectation for
        pure Poisson noise, smoothness the same at a lag of two pixels, relative to that at one. Dispersion is the variance
        over the mean in blocks of 16 x 16, from differences that are blind to what changes linearly. Details are mean
        squares of Haar coefficients; periodicity is the greatest over the mean of the spectrum of where third or fourth
        differences are large.

    References
    ----------
    * Anscombe, F. J. (1948). The transformation of Poisson, binomial and negative-binomial data. Biometrika 35.
    * Gallagher, A. C. (2005). Detection of linear and cubic interpolation in JPEG compressed images. Proc. Canadian
      Conference on Computer and Robot Vision.
    * Immerkaer, J. (1996). Fast noise variance estimation. Computer Vision and Image Understanding 64.

    Examples
    --------
    >>> flood = np.random.default_rng(1).poisson(50, (1, 128, 128)).astype(np.float32)
    >>> row = dict(zip(FEATURES, features(flood)[0]))
    >>> bool(abs(row["log10 mean counts"] - np.log10(50)) < 0.01 and abs(row["log10 dispersion, median"]) < 0.05)
    True
    """
    if units is Units.HOUNSFIELD:
        pixels = np.maximum(pixels - np.float32(_AIR_HU), np.float32(0))
    if scaling == "robust":
        scaled = postprocess.scale_in(pixels, scaling, threads).pixels
        pixels = np.maximum(scaled, np.float32(0)) * np.float32(_COUNTS_OF_BRIGHTEST)
    return features_of(statistics(pixels, threads=threads), pixels, threads)


def features_of(stats: NDArray[np.void], pixels: NDArray[np.float32], threads: int = 1) -> Rows:
    """Return the domain features of counts whose one-pass statistics are known."""
    found = np.ones((len(pixels), len(FEATURES)))
    _add_levels(found, stats, pixels[0].size)
    _add_texture(found, pixels, threads)
    np.log10(found, out=found)
    found[:, ACTIVE] = stats["nonzero"] / pixels[0].size
    found[:, _FRACTIONS] = stats["non_integer"]
    if not np.isfinite(found).all():
        np.nan_to_num(found, copy=False, nan=_FARTHEST, posinf=_FARTHEST, neginf=-_FARTHEST)
    return found


def words_for(taken: Input) -> Words:
    """Return what each feature of a model's input is called in a sentence, and whether it is a logarithm."""
    if taken.units is Units.HOUNSFIELD:
        return _HOUNSFIELD
    return _SCALED if taken.scaling == "robust" else COUNTS


def _add_levels(found: Rows, stats: NDArray[np.void], pixels: int) -> None:
    """Write the features that the one-pass statistics give, before their logarithms."""
    mean = np.maximum(stats["sum"], 0.0) / pixels + 1e-3
    first, second = stats["difference_1"], stats["difference_2"]
    found[:, 0] = mean
    found[:, 1] = (np.maximum(stats["maximum"], 0.0) + 1e-3) / mean
    found[:, 3] = stats["anscombe_variance"] + 0.01
    found[:, 4] = first / 2 + 0.01
    found[:, 5] = (second + 0.01) / (first + 0.01)


def _add_texture(found: Rows, pixels: NDArray[np.float32], threads: int) -> None:
    """Write dispersion, periodicity, and the details and their diagonal shares, before their logarithms."""
    sums, *profiles = _native.texture(pixels, threads)
    blocks = np.maximum(sums["blocks"], 1.0)
    detail = sums["detail"] / (2 * blocks) + _LEAST_ENERGY
    rows, columns = pixels.shape[1:]
    scaled = [profile / np.float32(across) for profile, across in zip(profiles, (rows, columns), strict=True)]
    if rows == columns:  # both axes at once: on small images it is the calls that cost
        one, other = np.split(_periodicity(np.concatenate(scaled)), 2)
    else:
        one, other = (_periodicity(profile) for profile in scaled)
    found[:, 7:10] = sums["dispersion"] + _LEAST_ENERGY
    found[:, 10] = np.fmax(one, other)
    found[:, 11] = np.minimum(one, other)
    found[:, 12] = detail[:, 0]
    found[:, 13:16] = detail[:, 1:] / detail[:, :-1]
    found[:, 16:] = ((sums["diagonal"] / blocks + _LEAST_ENERGY) / detail)[:, :_SHARES]


@lru_cache(maxsize=16)
def _window(length: int) -> NDArray[np.float64]:
    """Return the Hann window; nobody changes it."""
    return np.hanning(length)


def _periodicity(profiles: NDArray[np.float32]) -> Rows:
    """Return the greatest over the mean of the spectra of each frame's profiles, shape (n,)."""
    heights = np.log(profiles[..., 2:-2] + np.float32(_LEAST_DIFFERENCE))
    length = heights.shape[-1]
    if length < _SHORTEST_PROFILE:
        return np.ones(len(profiles))
    heights -= heights.mean(axis=-1, keepdims=True)
    spectra = np.abs(np.fft.rfft(heights * _window(length)))[..., int(_LOWEST_FREQUENCY * length) :] + 1e-2
    ratio: Rows = (spectra.max(axis=-1) / spectra.mean(axis=-1)).max(axis=1)
    return ratio
