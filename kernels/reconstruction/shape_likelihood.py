"""How well a body of uniform activity explains counts, and the activity and the background that explain them best."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .quasi_newton import minimise
from .shape_model import ShapeModel
from .shape_prior import SmoothField

__all__ = ["Fit", "Likelihood", "occupancy_of"]

Image = NDArray[np.float32]

_FLOOR = 1e-3  # of the mean count, in every pixel: what no model explains
_NEWTON_STEPS = 20
_NEAR_MM, _TRUST_MM = 15.0, 4.0  # of a known surface: within which its distance counts, and how exact it is
_START_STEPS = 40


def occupancy_of(level: Image, width_mm: float) -> Image:
    """Return the share of each voxel inside a body whose level-set function is negative there: a logistic step."""
    return np.asarray(1 / (1 + np.exp(np.clip(level / np.float32(width_mm), -40, 40))), np.float32)


@dataclass(frozen=True, eq=False)
class Fit:
    """Uniform activity and background, and what they give.

    Parameters
    ----------
    activity, background : float
        Per mm.
    expected : tuple of ndarray, shape (rows, columns), float32
        Counts.
    deviance : float
        Half of Poisson's, summed over pixels.
    """

    activity: float
    background: float
    expected: tuple[Image, ...]
    deviance: float


class Likelihood:
    """Minus the logarithm of the posterior of independent standard normal numbers, and its gradient.

    The last number is the logarithm of the factor of the attenuation, over its standard deviation; the others are those of a
    smooth field.

    Parameters
    ----------
    model : ShapeModel
        Counts of occupied voxels.
    field : SmoothField
        What is added to `mean`, on the voxels of the model.
    mean : ndarray, shape (slices, rows, columns), float32
        Level-set function of the numbers zero.
    width_mm : float
        Of the step from inside to outside.
    attenuation_error : float
        Relative standard deviation of the attenuation; 0 if it is known.
    with_background : bool
        Whether background is fitted.
    """

    def __init__(
        self,
        model: ShapeModel,
        field: SmoothField,
        mean: Image,
        width_mm: float,
        *,
        attenuation_error: float,
        with_background: bool,
    ) -> None:
        self.model, self.field, self.mean = model, field, mean
        self.width_mm, self.with_background = width_mm, with_background
        self.attenuation_error = attenuation_error if model.attenuates else 0.0
        counts = model.data.counts
        self._floor = _FLOOR * sum(float(image.sum()) for image in counts) / sum(image.size for image in counts)
        self._last: NDArray[np.float64] | None = None

    def start(self, distance: Image | None = None) -> Image:
        """Return the numbers of the mean, or the most probable ones of a body whose signed distance [mm] is known."""
        numbers = np.zeros(self.field.count + 1, np.float32)
        if distance is None:
            return numbers
        weight = np.exp(-np.square(distance / _NEAR_MM)) / np.float32(_TRUST_MM**2)
        wanted = distance - self.mean

        def objective(at: Image) -> tuple[float, Image]:
            misfit = self.field.forward(at) - wanted
            pull = weight * misfit
            return 0.5 * float(np.vdot(pull, misfit) + np.vdot(at, at)), self.field.adjoint(pull) + at

        numbers[:-1] = minimise(objective, numbers[:-1], limit=_START_STEPS, tolerance=0.5).at
        return numbers

    def level(self, numbers: Image) -> Image:
        """Return the level-set function of numbers."""
        return self.mean + self.field.forward(numbers[:-1])

    def attenuation(self, numbers: Image) -> float:
        """Return the factor of the attenuation."""
        return float(np.exp(self.attenuation_error * float(numbers[-1])))

    def __call__(self, numbers: Image) -> tuple[float, Image]:
        """Return the objective and its gradient."""
        inside, factor = occupancy_of(self.level(numbers), self.width_mm), self.attenuation(numbers)
        fit = self.fit(self.model.forward(inside, factor))
        ratios = [
            np.float32(fit.activity) * (1 - counts / expected)
            for counts, expected in zip(self.model.data.counts, fit.expected, strict=True)
        ]
        back, change = self.model.adjoint(ratios, factor)
        slope = self.field.adjoint(back * (inside * (inside - 1) / np.float32(self.width_mm)))
        last = self.attenuation_error * factor * float(np.vdot(change, inside))
        objective = fit.deviance + 0.5 * float(np.vdot(numbers, numbers))
        return objective, np.append(slope, np.float32(last)) + numbers

    def fit(self, images: tuple[Image, ...]) -> Fit:
        """Return the activity, and the background, that explain the counts best if the body looks like `images`."""
        data = self.model.data
        images = tuple(np.maximum(image, 0) for image in images)  # a camera's kernels have small negative lobes
        body, veil, counts = (
            np.concatenate([part.ravel() for part in parts]) for parts in (images, data.veil, data.counts)
        )
        activity, background = self._solve(body, veil, counts)
        expected = tuple(
            np.float32(activity) * image + np.float32(background) * dim + np.float32(self._floor)
            for image, dim in zip(images, data.veil, strict=True)
        )
        return Fit(
            activity, background, expected, _half_deviance(counts, np.concatenate([e.ravel() for e in expected]))
        )

    def _solve(self, body: Image, veil: Image, counts: Image) -> tuple[float, float]:
        """Return the two factors, neither below zero, by Newton's method, or expectation maximisation where that fails."""
        parts = np.stack([body, veil] if self.with_background else [body]).astype(np.float64)
        sums = np.maximum(parts.sum(axis=1), 1e-12)
        factors = counts.sum(dtype=np.float64) / len(parts) / sums if self._last is None else self._last
        for _ in range(_NEWTON_STEPS):
            expected = factors @ parts + self._floor
            ratio = counts / expected
            hessian = (parts * (ratio / expected)) @ parts.T
            hessian += 1e-9 * np.diag(np.diag(hessian)) + 1e-30 * np.eye(len(parts))
            moved = factors - np.linalg.solve(hessian, sums - parts @ ratio)
            if not (moved > 0.2 * factors).all():
                moved = factors * (parts @ ratio) / sums
            change = np.abs(moved / np.maximum(factors, 1e-30) - 1).max()
            factors = moved
            if change < 1e-5:
                break
        self._last = np.maximum(factors, 1e-12)
        return float(factors[0]), float(factors[1]) if self.with_background else 0.0


def _half_deviance(counts: Image, expected: Image) -> float:
    """Return half of Poisson's deviance."""
    logs = np.log(np.maximum(counts, 1e-30) / expected)
    return float((expected - counts + np.where(counts > 0, counts * logs, 0)).sum(dtype=np.float64))
