"""What smooth bodies look like before any view is seen: a Gaussian process of level-set functions about an ellipsoid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .geometry import Geometry

__all__ = ["Ellipsoid", "SmoothField", "Smoothness", "ellipsoid_of"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_KNOTS_PER_LENGTH = 5.0
_LEAST_VARIANCE = 1e-5  # of the largest, of a direction that is kept
_SQRT5 = 5**0.5
_TREND_MM = np.float32(50.0)  # standard deviation of the polynomial's coefficients at the borders of the box
_TERMS = tuple(np.array([powers for powers in np.ndindex(3, 3, 3) if sum(powers) < 3]).T)  # exponents of z, y and x


@dataclass(frozen=True)
class Smoothness:
    """How much surfaces wind: the level-set function is an ellipsoid's plus a Gaussian process.

    Parameters
    ----------
    length_mm : float
        Over which distance it changes (Matern covariance of order 5/2) [mm].
    amplitude_mm : float
        Its standard deviation [mm]: how far from an ellipsoid bodies are.
    """

    length_mm: float = 60.0
    amplitude_mm: float = 40.0

    def __post_init__(self) -> None:
        if not (0 < self.length_mm < np.inf and 0 < self.amplitude_mm < np.inf):
            raise UsageError(
                f"a length of {self.length_mm} mm and an amplitude of {self.amplitude_mm} mm are no smoothness; give numbers above 0."
            )


@dataclass(frozen=True)
class SmoothField:
    """Smooth functions on voxels, from independent standard normal numbers.

    A quadratic polynomial, which says where a body lies, how large and how stretched it is, and a stationary process. The
    covariance of that is amplitude^2 times a Matern function (order 5/2) of the distance along each axis. It is known at knots and
    interpolated, so that the same numbers mean the same function on coarse and fine voxels.

    Parameters
    ----------
    factors : tuple of ndarray, shape (voxels, numbers), float32
        Of the process, along z, y and x.
    powers : tuple of ndarray, shape (voxels, 3), float32
        Of the polynomial: 1, the coordinate and its square, along z, y and x.
    amplitude : float
        Standard deviation of the process.
    """

    factors: tuple[Image, Image, Image]
    powers: tuple[Image, Image, Image]
    amplitude: float

    @classmethod
    def over(cls, axes: Sequence[Array], spans: Sequence[tuple[float, float]], smoothness: Smoothness) -> "SmoothField":
        """Return the field at voxels.

        Parameters
        ----------
        axes : sequence of ndarray
            z, y and x of the voxels [mm].
        spans : sequence of tuple of float
            Where the knots of each axis lie [mm]: the same for all voxels that one solution is found on.
        smoothness : Smoothness
            Standard deviation, and over which distance functions change.
        """
        pairs = list(zip(axes, spans, strict=True))
        factors = [_factor(axis, span, smoothness.length_mm) for axis, span in pairs]
        powers = [_powers(axis, span) for axis, span in pairs]
        return cls((factors[0], factors[1], factors[2]), (powers[0], powers[1], powers[2]), smoothness.amplitude_mm)

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return int(np.prod(self._shape)) + len(_TERMS[0])

    @property
    def _shape(self) -> tuple[int, int, int]:
        z, y, x = (factor.shape[1] for factor in self.factors)
        return z, y, x

    def forward(self, numbers: Image) -> Image:
        """Return the function, shape (slices, rows, columns), of `count` numbers."""
        trend = np.zeros((3, 3, 3), np.float32)
        trend[_TERMS] = _TREND_MM * numbers[: len(_TERMS[0])]
        process = numbers[len(_TERMS[0]) :].reshape(self._shape)
        return self.amplitude * _along_axes(self.factors, process) + _along_axes(self.powers, trend)

    def adjoint(self, values: Image) -> Image:
        """Return the transpose of :meth:`forward`."""
        trend = _along_axes([power.T for power in self.powers], values)[_TERMS]
        process = _along_axes([factor.T for factor in self.factors], values)
        return np.concatenate([_TREND_MM * trend, self.amplitude * process.ravel()])


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid.

    Parameters
    ----------
    center_mm : ndarray, shape (3,)
        x, y and z [mm].
    covariance : ndarray, shape (3, 3)
        Of points spread evenly inside it [mm^2].
    """

    center_mm: Array
    covariance: Array

    @property
    def half_axes_mm(self) -> Array:
        """From the shortest to the longest [mm]."""
        return np.asarray(np.sqrt(5 * np.linalg.eigvalsh(self.covariance)))

    def level(self, axes: Sequence[Array]) -> Image:
        """Return a function of voxels at z, y and x of axes, negative inside, about the distance in mm at the surface."""
        z, y, x = np.meshgrid(*axes, indexing="ij")
        offset = np.stack([x, y, z], axis=-1) - self.center_mm
        square = np.einsum("...i,ij,...j->...", offset, np.linalg.inv(5 * self.covariance), offset, optimize=True)
        return np.asarray((np.sqrt(square) - 1) * self.half_axes_mm[0], np.float32)


def ellipsoid_of(images: Sequence[Image], geometry: Geometry) -> Ellipsoid:
    """Return the ellipsoid whose views have the means and the spreads of images.

    What the views leave open, such as the tilt about the axis that two views at right angles share, is taken as none.
    """
    rows: list[Array] = []
    right: list[float] = []
    spread_rows: list[Array] = []
    spread_right: list[float] = []
    for image, view in zip(images, geometry.views, strict=True):
        directions = np.array([view.down, view.right])
        mean, covariance = _moments(image, view.spacing_mm)
        rows += list(directions)
        right += list(mean + directions @ view.center_mm)
        for i, j in ((0, 0), (0, 1), (1, 1)):
            product = np.outer(directions[i], directions[j])
            spread_rows.append(((product + product.T) / 2).ravel())
            spread_right.append(covariance[i, j])
    center = np.linalg.lstsq(np.array(rows), np.array(right), rcond=1e-6)[0]
    round_one = np.mean([values for values, row in zip(spread_right, spread_rows, strict=True) if row.sum() > 0.5])
    system = np.array(spread_rows)
    rest = np.array(spread_right) - system @ (round_one * np.eye(3)).ravel()
    found = round_one * np.eye(3) + np.linalg.lstsq(system, rest, rcond=1e-6)[0].reshape(3, 3)
    values, vectors = np.linalg.eigh((found + found.T) / 2)
    pixel = min(min(view.spacing_mm) for view in geometry.views)
    values = np.maximum(values, max(0.05 * values.max(), pixel**2 / 12))  # what a pixel alone has
    return Ellipsoid(center, np.asarray((vectors * values) @ vectors.T))


def _moments(image: Image, spacing_mm: tuple[float, float]) -> tuple[Array, Array]:
    """Return mean and covariance of counts along rows and columns, from the middle of the image [mm]."""
    rows, columns = (
        spacing * (np.arange(count) - (count - 1) / 2) for spacing, count in zip(spacing_mm, image.shape, strict=True)
    )
    weight = image.astype(np.float64) / image.sum(dtype=np.float64)
    mean = np.array([weight.sum(axis=1) @ rows, weight.sum(axis=0) @ columns])
    mixed = rows @ weight @ columns - mean[0] * mean[1]
    spread = [weight.sum(axis=1) @ rows**2 - mean[0] ** 2, weight.sum(axis=0) @ columns**2 - mean[1] ** 2]
    return mean, np.array([[spread[0], mixed], [mixed, spread[1]]])


def _factor(axis: Array, span: tuple[float, float], length_mm: float) -> Image:
    """Return a matrix whose square is the covariance of values at points of an axis."""
    count = max(int(np.ceil((span[1] - span[0]) * _KNOTS_PER_LENGTH / length_mm)) + 1, 2)
    knots = np.linspace(*span, count)
    variances, vectors = np.linalg.eigh(_matern(knots, knots, length_mm))
    kept = variances > _LEAST_VARIANCE * variances[-1]
    return np.asarray(_matern(axis, knots, length_mm) @ (vectors[:, kept] / np.sqrt(variances[kept])), np.float32)


def _powers(axis: Array, span: tuple[float, float]) -> Image:
    """Return 1, the place from -1 to 1, and its square."""
    place = (2 * axis - sum(span)) / (span[1] - span[0])
    return np.stack([np.ones(len(axis)), place, place**2], axis=1).astype(np.float32)


def _matern(first: Array, second: Array, length_mm: float) -> Array:
    scaled = _SQRT5 / length_mm * np.abs(first[:, None] - second)
    return np.asarray((1 + scaled + scaled**2 / 3) * np.exp(-scaled))


def _along_axes(matrices: Sequence[Image], values: Image) -> Image:
    """Return values after a matrix along each axis."""
    z, y, x = matrices
    rows = np.matmul(y, np.matmul(values, x.T))
    return np.asarray(np.tensordot(z, rows, axes=1), np.float32)
