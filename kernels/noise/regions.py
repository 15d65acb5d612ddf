"""Regions of an image: where they lie, what is subtracted from them, and how much they tell together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from operator import index
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..mtf.regions import Roi, rois_of

__all__ = ["Detrend", "Recipe", "Taper", "independent", "place", "recipe_of", "shares"]

Floats = NDArray[np.float64]
Starts = tuple[tuple[int, int], ...]
Detrend = Literal["constant", "plane", "quadratic"]
Taper = Literal["none", "hann"]

_SHARE = 32  # regions, the work of a thread without a break
_DEGREES = {"constant": 0, "plane": 1, "quadratic": 2}


@dataclass(frozen=True, eq=False)
class Recipe:
    """What is done to every region of a size; polynomials are products of orthonormal ones along each direction."""

    size: tuple[int, int]
    degree: int
    basis: tuple[Floats, Floats]
    taper: tuple[Floats, Floats]

    @property
    def tapered(self) -> bool:
        """Whether there is a window."""
        return bool(self.taper[0][0] != 1)

    @cached_property
    def power(self) -> float:
        """The power of the window, summed over pixels; a window of ones leaves the number of pixels."""
        down, along = self.taper
        return float((down**2).sum() * (along**2).sum())

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The degree of each product of polynomials."""
        return np.add.outer(*(np.arange(basis.shape[1]) for basis in self.basis))

    @cached_property
    def kept(self) -> Floats:
        """The fraction of white noise that is left at each frequency, frequency 0 in the middle."""
        down, along = (
            abs(np.fft.fftshift(np.fft.fft(basis * taper[:, np.newaxis], axis=0), axes=0)) ** 2 / (taper**2).sum()
            for basis, taper in zip(self.basis, self.taper, strict=True)
        )
        return np.asarray(1 - np.einsum("ui,ij,vj->uv", down, self.order <= self.degree, along))


@lru_cache(maxsize=8)
def recipe_of(size: tuple[int, int], detrend: str, window: str) -> Recipe:
    """Return what to do to regions of a size."""
    if detrend not in _DEGREES:
        raise UsageError(f"there is no detrending {detrend!r}; use {', '.join(_DEGREES)}.")
    if window not in ("none", "hann"):
        raise UsageError(f"there is no window {window!r}; use none or hann.")
    degree = _DEGREES[detrend]
    bases, tapers = [], []
    for length in size:
        position = np.linspace(-1, 1, length)[:, np.newaxis]
        bases.append(np.ascontiguousarray(np.linalg.qr(position ** np.arange(degree + 2))[0]))
        tapers.append(
            np.ones(length) if window == "none" else 1 - np.cos(2 * np.pi * (np.arange(length) + 0.5) / length)
        )
    return Recipe(size, degree, (bases[0], bases[1]), (tapers[0], tapers[1]))


def place(
    shape: tuple[int, ...], roi_size: int | Sequence[int], overlap: float, rois: Roi | Sequence[Roi] | None
) -> tuple[tuple[int, int], Starts]:
    """Return the size of the regions and where they start."""
    if rois is not None:
        _, regions = rois_of(rois, shape)
        sizes = {(row1 - row0, column1 - column0) for (row0, row1), (column0, column1) in regions}
        if len(sizes) != 1:
            raise InputError(f"the regions have {len(sizes)} sizes; give one or more of a single size.")
        size, starts = sizes.pop(), tuple((rows[0], columns[0]) for rows, columns in regions)
    else:
        if not 0 <= overlap < 1:
            raise UsageError(f"overlap is {overlap}; use a fraction from 0 to below 1.")
        size = _size(roi_size)
        ranges = (
            range(0, length - side + 1, max(1, round(side * (1 - overlap))))
            for length, side in zip(shape, size, strict=True)
        )
        starts = tuple((row, column) for row, column in product(*ranges))
    if min(size) < 8:
        raise InputError(f"regions of {size[0]} x {size[1]} pixels are too small for a spectrum; use 8 x 8 or more.")
    if not starts or not _fit(starts, size, shape):
        raise InputError(f"regions of {size[0]} x {size[1]} pixels do not fit into frames of {shape[0]} x {shape[1]}.")
    return size, starts


def _fit(starts: Starts, size: tuple[int, int], shape: tuple[int, ...]) -> bool:
    """Return whether all regions lie in a frame."""
    rows, columns = zip(*starts, strict=True)
    inside = max(rows) + size[0] <= shape[0] and max(columns) + size[1] <= shape[1]
    return bool(inside and min(rows) >= 0 and min(columns) >= 0)


def _size(roi_size: int | Sequence[int]) -> tuple[int, int]:
    """Return rows and columns."""
    try:
        sides = [index(side) for side in roi_size] if isinstance(roi_size, Sequence) else [index(roi_size)] * 2
    except TypeError:
        sides = []
    if len(sides) != 2:
        raise UsageError(f"roi_size is {roi_size!r}; give one or two whole numbers [pixels].")
    return sides[0], sides[1]


@lru_cache(maxsize=8)
def shares(starts: Starts) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return rows and columns of the regions in portions of work for threads."""
    rows, columns = np.array(sorted(starts), np.int64).T.copy()
    return [(rows[at : at + _SHARE], columns[at : at + _SHARE]) for at in range(0, len(starts), _SHARE)]


@lru_cache(maxsize=8)
def independent(starts: Starts, recipe: Recipe, shape: tuple[int, ...]) -> float:
    """Return how many regions without overlap and window would give as precise an average around a ring.

    The power in a band comes from each pixel in proportion to the windows that cover it.
    """
    rows, columns = (sorted({start[axis] for start in starts}) for axis in (0, 1))
    if len(rows) * len(columns) == len(starts):
        grids = [np.zeros(length) for length in shape]
        for grid, begins, taper in zip(grids, (rows, columns), recipe.taper, strict=True):
            for begin in begins:
                grid[begin : begin + len(taper)] += taper**2
    else:
        grids = [np.zeros(shape)]
        for row, column in starts:
            grids[0][row : row + recipe.size[0], column : column + recipe.size[1]] += (
                np.multiply.outer(*recipe.taper) ** 2
            )
    pixels = np.prod([grid.sum() ** 2 / (grid**2).sum() for grid in grids])
    return float(pixels / np.prod(recipe.size))
