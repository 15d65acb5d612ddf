"""Small errors of a geometry, found from the images themselves."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .adjustments import PARAMETERS, Fault, Parameter, parameters
from .bundle_adjustment import Determined, determine
from .calibration import Calibration, Change, corrected_geometry, triangulate
from .consistency import compare_views, pixel_noise, profiles
from .geometry import Geometry, View

__all__ = ["calibrate_images"]

Array = NDArray[np.float64]

_COARSE = 64  # rows or columns of the first, coarsest images
_FINEST = 512
_STEPS, _HALVINGS = 12, 6
_SETTLED = 1e-4  # of the usual size of errors
_DIFFERENCE = 1e-3  # of it, for derivatives
_TRIED = np.linspace(-1, 1, 41)  # of it, along what the images determine best
_SMOOTHING = np.exp(-(np.arange(-4, 5) ** 2) / (2 * 1.5**2)) / np.exp(-(np.arange(-4, 5) ** 2) / (2 * 1.5**2)).sum()
_MODEL_ERROR = 0.01  # of the peak of a profile: what interpolation and scatter leave


def calibrate_images(
    images: Sequence[NDArray[Any]],
    geometry: Geometry,
    *,
    adjust: Sequence[Fault] = ("table",),
    attenuated: bool = True,
) -> Calibration:
    """Return a geometry in which images agree on the planes that their views share.

    Two views agree plane by plane whatever the object is, see :mod:`photopeak.kernels.reconstruction.consistency`: this finds
    what moves an image across these planes, such as the table along the patient between two upright views of a gamma camera.
    Three or more such views also have centres of gravity that must be one point. What neither tells is left alone and
    reported.

    Parameters
    ----------
    images : sequence of ndarray, shape (rows, columns)
        Counts (gamma camera) or line integrals (cone beams) of the whole object and nothing else: what leaves a view biases
        the result.
    geometry : Geometry
        Two or more views.
    adjust : sequence of {"table", "rotation", "shift", "magnification"}, default ("table",)
        What may be wrong with views, see :func:`photopeak.kernels.reconstruction.calibration.calibrate_landmarks`.
    attenuated : bool, default True
        Whether a gamma camera's photons were attenuated: centres of gravity are then not compared. What attenuation takes
        from one slice more than from another resembles a shift, so that the table's place is then wrong by several pixels,
        whatever its standard error says, the more the body round the organ takes up.

    Returns
    -------
    Calibration
        Residuals say how much of what common planes hold differs between the worst two views, beyond noise [%].

    Raises
    ------
    UsageError
        If there are not as many images as views, fewer than two, or nothing known is to be adjusted.
    InputError
        If an image has another shape than its view, no two views share a pencil of planes, or the images determine
        nothing.

    References
    ----------
    * Lesaint, Rit, Clackdoyle, Desbat: Calibration for circular cone-beam CT based on consistency conditions. IEEE TRPMS
      1(6), 2017.

    Examples
    --------
    >>> from photopeak.kernels import Geometry, Grid
    >>> geometry = Geometry.around(Grid((64, 64, 64), (4.0, 4.0, 4.0)), (0, 90))
    >>> row, column = np.mgrid[-32:32, -32:32]
    >>> first, second = (1000 * np.exp(-((row - shift) ** 2 + column**2) / 50) for shift in (0, -3))
    >>> print(calibrate_images([first, second], geometry).changes[2])  # three rows nearer to the head
    view 2, table to the head: +12 mm (standard error 0.13)
    """
    chosen = parameters(adjust)
    checked = _checked(images, geometry)
    coarsest, *finer = _factors(geometry)
    matched = _Matched(*_reduced(checked, geometry, coarsest), chosen, attenuated)
    values, last = matched.solved(matched.searched(np.zeros((len(geometry.views), len(PARAMETERS)))))
    for factor in finer:
        matched = _Matched(*_reduced(checked, geometry, factor), chosen, attenuated)
        values, last = matched.solved(values)
    if last.rank == 0:
        raise InputError("the images determine none of what may be adjusted; give landmarks.")
    corrected = corrected_geometry(geometry, values)
    errors = matched.errors(values, last)
    return Calibration(
        corrected,
        tuple(
            Change(view + 1, one, float(values[view, one.index]), float(errors[place]))
            for place, (view, one) in enumerate(matched.unknowns)
        ),
        100 * _disagreement(checked, geometry),
        100 * _disagreement(checked, corrected),
        "%",
        float("nan"),
        np.empty((0, 3)),
    )


def _checked(images: Sequence[NDArray[Any]], geometry: Geometry) -> list[Array]:
    if len(geometry.views) < 2:
        raise UsageError("one view alone cannot be calibrated; give two or more.")
    if len(images) != len(geometry.views):
        raise UsageError(f"there are {len(images)} images for {len(geometry.views)} views; give one for each.")
    arrays = [np.asarray(image, np.float64) for image in images]
    for number, (image, view) in enumerate(zip(arrays, geometry.views, strict=True), start=1):
        if image.shape != view.shape or not np.isfinite(image).all() or not image.sum() > 0:
            raise InputError(
                f"view {number}: its image should be {view.shape[0]} x {view.shape[1]} finite numbers whose sum is above 0."
            )
    return arrays


def _disagreement(images: Sequence[Array], geometry: Geometry) -> float:
    """Return what the worst two views disagree by, 0 to 1."""
    pairs = combinations(zip(images, geometry.views, strict=True), 2)
    found = [compare_views(*first, *second, attenuated=False) for first, second in pairs]
    return max((one.disagreement for one in found if one), default=0.0)


def _factors(geometry: Geometry) -> list[int]:
    """Return by how much pixels are enlarged in each round, coarse rounds first."""
    largest = max(max(view.shape) for view in geometry.views)
    factors = [ceil(largest / _COARSE)]
    while factors[-1] > max(1, largest // _FINEST):
        factors.append(factors[-1] // 2)
    return factors


def _reduced(images: Sequence[Array], geometry: Geometry, factor: int) -> tuple[list[Array], Geometry]:
    """Return images of larger pixels, counts summed and line integrals averaged, with their views."""
    small, views = [], []
    for image, view in zip(images, geometry.views, strict=True):
        rows, columns = (max(1, count // factor) for count in view.shape)
        steps = [min(factor, count) for count in view.shape]
        cut = image[: rows * steps[0], : columns * steps[1]].reshape(rows, steps[0], columns, steps[1])
        small.append(cut.mean(axis=(1, 3)) if geometry.cone_beam else cut.sum(axis=(1, 3)))
        views.append(_larger_pixels(view, (rows, columns), steps))
    return small, replace(geometry, views=tuple(views))


def _larger_pixels(view: View, shape: tuple[int, int], steps: Sequence[int]) -> View:
    spacing = (view.spacing_mm[0] * steps[0], view.spacing_mm[1] * steps[1])
    lost = [
        (kept * large - count * small) / 2
        for kept, large, count, small in zip(shape, spacing, view.shape, view.spacing_mm, strict=True)
    ]
    x, y, z = (
        float(part)
        for part in np.array(view.center_mm) + lost[0] * np.array(view.down) + lost[1] * np.array(view.right)
    )
    return replace(view, shape=shape, spacing_mm=spacing, center_mm=(x, y, z))


class _Matched:
    """Images of one size, and how well they match under errors of the views; in units of noise and usual errors."""

    def __init__(self, images: list[Array], geometry: Geometry, chosen: Sequence[Parameter], attenuated: bool) -> None:
        self._centered = not attenuated and not geometry.cone_beam and len(images) > 2
        self._images, self._geometry = images, geometry
        self._noise = [pixel_noise(image) for image in images]
        self.unknowns = [(view, one) for view in range(1, len(images)) for one in chosen]
        self._places: dict[tuple[int, int], Array] = {}
        self._compared: dict[tuple[int, int], float] = {}
        for one, two in combinations(range(len(images)), 2):
            found = profiles(images[one], geometry.views[one], images[two], geometry.views[two])
            if found is not None:
                self._places[one, two] = found.positions
                self._compared[one, two] = float(found.first.sum() + found.second.sum())
        if not self._places:
            raise InputError(
                "no two views share one pencil of planes, so that the images cannot be compared; give landmarks."
            )

    def searched(self, values: Array) -> Array:
        """Return the best of many values along what the images determine best, so that a wide shift is found."""
        _, _, unknowns = np.linalg.svd(self._slopes(values), full_matrices=False)
        tried = [values + self._spread(part * unknowns[0]) for part in _TRIED]
        return min(tried, key=lambda one: float((self._residual(one) ** 2).sum()))

    def solved(self, values: Array) -> tuple[Array, Determined]:
        """Return values after Gauss-Newton steps, and the last linear problem."""
        residual = self._residual(values)
        for _ in range(_STEPS):
            step = determine(self._slopes(values), -residual)
            share = 1.0
            for _ in range(_HALVINGS):
                tried = values + self._spread(share * step.solution)
                found = self._residual(tried)
                if (found**2).sum() < (residual**2).sum():
                    break
                share /= 2
            else:
                break
            values, residual = tried, found
            if np.abs(share * step.solution).max() < _SETTLED:
                break
        return values, determine(self._slopes(values), -residual)

    def errors(self, values: Array, last: Determined) -> Array:
        """Return standard errors in the parameters' units."""
        residual = self._residual(values)
        excess = max(1.0, float((residual**2).sum()) / max(len(residual) - last.rank, 1))
        return np.asarray(last.errors * [one.usual for _, one in self.unknowns] * np.sqrt(excess))

    def _spread(self, solution: Array) -> Array:
        values = np.zeros((len(self._images), len(PARAMETERS)))
        for part, (view, one) in zip(solution, self.unknowns, strict=True):
            values[view, one.index] = part * one.usual
        return values

    def _slopes(self, values: Array) -> Array:
        """Return derivatives of the residual by the unknowns."""
        columns = []
        for place in range(len(self.unknowns)):
            step = self._spread(_DIFFERENCE * np.eye(len(self.unknowns))[place])
            columns.append((self._residual(values + step) - self._residual(values - step)) / (2 * _DIFFERENCE))
        return np.stack(columns, axis=1)

    def _residual(self, values: Array) -> Array:
        geometry = corrected_geometry(self._geometry, values)
        parts = [self._planes(geometry, one, two, at) for (one, two), at in self._places.items()]
        if self._centered:
            parts.append(self._centroids(geometry))
        return np.concatenate(parts)

    def _planes(self, geometry: Geometry, one: int, two: int, positions: Array) -> Array:
        """Return how two profiles differ, at fixed places, over its standard error."""
        views = geometry.views
        found = profiles(self._images[one], views[one], self._images[two], views[two])
        if found is None:
            return np.full(len(positions), 1e6)
        first, second = (np.interp(positions, found.positions, part, 0, 0) for part in (found.first, found.second))
        scale = second.sum() / first.sum() if first.sum() > 0 else 1.0
        if geometry.cone_beam:
            variance = scale**2 * self._noise[one] * found.first_weight.mean()
            variance += self._noise[two] * found.second_weight.mean()
        else:
            variance = np.maximum(scale * (first + second), 1)
        floor = _MODEL_ERROR * np.abs(second).max()
        # Smoothed, since rows between bins are mixed, which would make noise seem less there; what this takes from the
        # variance it gives back as correlation.
        difference = np.convolve(scale * first - second, _SMOOTHING, mode="same")
        # Views that share no planes have nothing to disagree about: less in common must not fit better.
        compared = float(first.sum() + second.sum())
        missing = max(1.0, self._compared[one, two] / max(compared, 1e-6 * self._compared[one, two]))
        return np.asarray(missing * difference / np.sqrt(variance + floor**2))

    def _centroids(self, geometry: Geometry) -> Array:
        """Return how far centres of gravity are from where one point would be seen, over their standard error."""
        centers, errors = [], []
        for image, view in zip(self._images, geometry.views, strict=True):
            total = image.sum()
            places = [np.arange(count) for count in view.shape]
            sums = (image.sum(axis=1), image.sum(axis=0))
            middle = np.array([part @ at / total for part, at in zip(sums, places, strict=True)])
            spread = [
                np.sqrt(max(part @ (at - mean) ** 2 / total, 1))
                for part, at, mean in zip(sums, places, middle, strict=True)
            ]
            centers.append(middle)
            errors.append(np.maximum(np.array(spread) / np.sqrt(total), _MODEL_ERROR))
        seen = [center[None] for center in centers]
        point = triangulate(geometry, seen)
        return np.concatenate(
            [
                (view.project(point)[0] - center) / error
                for view, center, error in zip(geometry.views, centers, errors, strict=True)
            ]
        )
