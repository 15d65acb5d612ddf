"""The three feature vectors of Ma et al. for one plane."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .dct import dct_features
from .gsm import normalise, shapes
from .pca import singular_values
from .resampling import enlarge, halve
from .steerable import steerable_pyramid
from .structure import local, similarity

__all__ = ["SMALLEST", "Features", "count", "features"]

Floats = NDArray[np.float64]

# Below, nothing is left of a subband between its borders that a window of eleven pixels fits into.
SMALLEST = 45


class Features(NamedTuple):
    """The numbers that the forests see.

    Parameters
    ----------
    dct : ndarray, shape (..., 18), float64
        Local frequencies: six statistics of block transforms, at full, half and quarter size.
    gsm : ndarray, shape (..., 45), float64
        Global frequencies: 18 shapes of normalised subbands; 12 similarities of subbands to the highest frequencies;
        15 similarities between the orientations of the fine scale.
    pca : ndarray, shape (..., 75), float64
        Spatial discontinuity: 25 singular values of 5x5 patches, at full, half and quarter size. Fewer for planes that
        have fewer patches.
    """

    dct: Floats
    gsm: Floats
    pca: Floats


def features(grey: Floats) -> Features:
    """Return the features of a plane.

    Parameters
    ----------
    grey : ndarray, shape (rows, columns), float64
        Grey values 0 to 255, at least 45 pixels along both sides, not constant.
    """
    whole = grey / 255.0
    half = halve(whole)
    sizes = (whole, half, halve(half))
    return Features(
        np.concatenate([dct_features(plane) for plane in sizes]),
        _gsm(grey),
        np.concatenate([singular_values(plane) for plane in sizes]),
    )


def count(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return how many features of each kind a plane of some shape has."""
    rows, columns = shape
    patches = (-(-(rows >> k) // 5) * -(-(columns >> k) // 5) for k in range(3))
    return 18, 45, sum(min(25, number) for number in patches)


def _gsm(grey: Floats) -> Floats:
    pyramid = steerable_pyramid(grey)
    subbands = normalise(pyramid)
    residual = local(pyramid.residual)
    stretched = enlarge(pyramid.coarse, pyramid.residual.shape)
    across = [similarity(local(band), residual) for band in (*pyramid.fine, *stretched)]
    orientations = [local(band) for band in subbands.fine]
    between = [similarity(one, other) for one, other in combinations(orientations, 2)]
    return np.concatenate([shapes(subbands), across, between])
