"""How well a body of uniform activity explains counts, and the activity and the background that explain them best."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shape_model import ShapeModel
from .shape_prior import SmoothField

__all__ = ["Fit", "Likelihood", "occupancy_of"]

Image = NDArray[np.float32]

_FLOOR = 1e-3  # of the mean count, in every pixel: what no model explains
_NEWTON_STEPS = 8


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
        self._last = (1.0, 0.0)

    def start(self, distance: Image | None = None) -> Image:
        """Return the numbers of the mean, or of a body that is known by the distance to its surface."""
        if distance is None:
            return np.zeros(int(np.prod(self.field.shape)) + 1, np.float32)
        return np.append(self.field.numbers_of(distance - self.mean), np.float32(0))

    def level(self, numbers: Image) -> Image:
        """Return the level-set function of numbers."""
        return self.mean + self.field.forward(numbers[:-1].reshape(self.field.shape))

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
        """Return the two factors, neither below zero, by expectation maximisation and Newton's method."""
        total = max(float(body.sum(dtype=np.float64)), 1e-12)
        if not self.with_background:
            free = max(float(counts.sum(dtype=np.float64)) - self._floor * counts.size, 1e-12)
            return free / total, 0.0
        factors = np.array(
            self._last
            if self._last[1] > 0
            else (0.5, 0.5) * np.array([counts.sum() / total, counts.sum() / max(float(veil.sum()), 1e-12)])
        )
        parts = np.stack([body, veil]).astype(np.float64)
        sums = parts.sum(axis=1)
        for _ in range(_NEWTON_STEPS):
            expected = factors @ parts + self._floor
            ratio = counts / expected
            gradient = sums - parts @ ratio
            hessian = (parts * (ratio / expected)) @ parts.T
            step = np.linalg.solve(hessian + 1e-12 * np.trace(hessian) * np.eye(2), gradient)
            moved = factors - step
            factors = moved if (moved > 0).all() else factors * (parts @ ratio) / sums
            if np.abs(step / factors).max() < 1e-6:
                break
        self._last = (float(factors[0]), float(factors[1]))
        return self._last


def _half_deviance(counts: Image, expected: Image) -> float:
    """Return half of Poisson's deviance."""
    logs = np.log(np.maximum(counts, 1e-30) / expected)
    return float((expected - counts + np.where(counts > 0, counts * logs, 0)).sum(dtype=np.float64))
