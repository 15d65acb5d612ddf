"""Whether two views can show one object: what planes that hold a ray of each must agree on.

Two views share a pencil of planes: for parallel rays all planes that hold both directions, for cone beams all planes through
both focal spots. Within such a plane each view measures the same integral of the object, so that two profiles over the
planes of the pencil must agree, whatever the object is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import View

__all__ = ["Agreement", "Pencil", "Profiles", "compare_views", "pixel_noise", "profiles"]

Array = NDArray[np.float64]

_LEAST_SINE = 0.02  # of the angle between directions: below it the pencil is undetermined
_LEAST_BINS = 8
_SIGNIFICANT = 5.0  # standard deviations
# How much of what views show may differ before it is doubtful, and before it is beyond doubt. Attenuation alone moves 15 % of
# a liver's counts between slices; the table moves between runs of an angiography, so that those are never refused.
_LIMITS = {"ideal": (0.05, 0.25), "attenuated": (0.3, 0.6), "cone": (0.15, np.inf)}


@dataclass(frozen=True)
class Pencil:
    """The planes that two views share.

    Parameters
    ----------
    axis : ndarray, shape (3,), float64
        Parallel rays: normal of the planes. Cone beams: direction from one focal spot to the other, which all planes hold.
    ahead, aside : ndarray, shape (3,), float64
        Cone beams: where planes have angle 0 and 90 degrees; zero for parallel rays.
    """

    axis: Array
    ahead: Array
    aside: Array

    @classmethod
    def of(cls, first: View, second: View) -> "Pencil | None":
        """Return the pencil of two views of one kind; None where views share more planes than one pencil.

        Examples
        --------
        >>> anterior, left = (View.gamma_camera((64, 64), (4.0, 4.0), angle) for angle in (0, 90))
        >>> (Pencil.of(anterior, left).axis + 0.0).tolist()
        [0.0, 0.0, 1.0]
        """
        if first.source_mm is None or second.source_mm is None:
            axis = np.cross(first.looking, second.looking)
            sine = float(np.linalg.norm(axis))
            return None if sine < _LEAST_SINE else cls(axis / sine, np.zeros(3), np.zeros(3))
        baseline = np.subtract(second.source_mm, first.source_mm)
        length = float(np.linalg.norm(baseline))
        if length == 0:
            return None
        axis = baseline / length
        middle = np.add(first.center_mm, second.center_mm) / 2 - first.source_mm
        ahead = middle - axis * (middle @ axis)
        distance = float(np.linalg.norm(ahead))
        if distance < _LEAST_SINE * float(np.linalg.norm(middle)):
            return None
        ahead /= distance
        return cls(axis, ahead, np.cross(axis, ahead))

    def planes(self, view: View) -> tuple[Array, Array] | None:
        """Return the plane and the weight of each pixel of a view; None if the view sees the other focal spot.

        Returns
        -------
        tuple of ndarray, shape (rows, columns), float64
            Parallel rays: position along the normal [mm], and 1. Cone beams: angle about the line through the focal spots
            [radians], and the pixel's solid angle over the squared sine of its ray's angle to that line.
        """
        pixels = view.pixels_mm()
        if view.source_mm is None:
            return pixels @ self.axis, np.ones(view.shape)
        rays = pixels - view.source_mm
        lengths = np.linalg.norm(rays, axis=-1)
        sine2 = 1 - (rays @ self.axis / lengths) ** 2
        forward = rays @ self.ahead
        if float(sine2.min()) < _LEAST_SINE**2 or float(forward.min()) <= 0:
            return None
        area = view.spacing_mm[0] * view.spacing_mm[1]
        solid = area * np.abs(rays @ np.array(view.looking)) / lengths**3
        return np.arctan2(rays @ self.aside, forward), solid / sine2


@dataclass(frozen=True)
class Profiles:
    """What two views measured of the planes that both see.

    Parameters
    ----------
    positions : ndarray, shape (n,), float64
        Parallel rays: along the normal [mm]; cone beams: angle about the line through the focal spots [radians].
    first, second : ndarray, shape (n,), float64
        Counts in each plane (parallel rays), or the integral over the plane of the object over the distance to the line
        through the focal spots (cone beams).
    first_weight, second_weight : ndarray, shape (n,), float64
        Sum of squared weights: times a pixel's variance it is the variance of the values of a cone beam.
    """

    positions: Array
    first: Array
    second: Array
    first_weight: Array
    second_weight: Array


def profiles(
    first: NDArray[Any],
    first_view: View,
    second: NDArray[Any],
    second_view: View,
    *,
    pixels: float = 1.0,
) -> Profiles | None:
    """Return what two views measured of the planes that they share.

    Parameters
    ----------
    first, second : ndarray, shape (rows, columns)
        Counts (parallel rays) or line integrals (cone beams).
    first_view, second_view : View
        Where they were seen from; of one kind.
    pixels : float, default 1
        Distance between planes, in pixels of the coarser view; 1 or more.

    Returns
    -------
    Profiles or None
        None where the views share no single pencil of planes, or hardly any planes.

    References
    ----------
    * Lesaint, Rit, Clackdoyle, Desbat: Calibration for circular cone-beam CT based on consistency conditions. IEEE TRPMS
      1(6), 2017 (cone beams: the object over the distance to the baseline).
    * Natterer: The Mathematics of Computerized Tomography, II.4, 1986 (parallel rays, order 0).

    Examples
    --------
    >>> views = [View.gamma_camera((64, 64), (4.0, 4.0), angle) for angle in (0, 90)]
    >>> found = profiles(np.ones((64, 64)), views[0], np.ones((64, 64)), views[1])
    >>> len(found.positions), bool(np.allclose(found.first, 64))
    (62, True)
    """
    pencil = Pencil.of(first_view, second_view)
    planes = (
        pencil
        and min(*first_view.shape, *second_view.shape) > 2  # fewer have no second differences, which tell the noise
        and (pencil.planes(first_view), pencil.planes(second_view))
    )
    if not planes or planes[0] is None or planes[1] is None:
        return None
    (one, one_weight), (two, two_weight) = planes[0], planes[1]
    step = max(pixels, 1.0) * float(max(_widths(one).max(), _widths(two).max()))
    low, high = max(one.min(), two.min()), min(one.max(), two.max())
    count = int(np.floor((high - low) / step + 1 + 1e-6))
    if count < _LEAST_BINS:
        return None
    start = (low + high - step * (count - 1)) / 2
    a, a2 = _binned(one, np.asarray(first, np.float64), one_weight, start, step, count)
    b, b2 = _binned(two, np.asarray(second, np.float64), two_weight, start, step, count)
    scale = 1.0 if first_view.source_mm is None else 1 / step
    whole = slice(1, -1)  # the outermost planes may be seen in part
    return Profiles(
        (start + step * np.arange(count))[whole],
        a[whole] * scale,
        b[whole] * scale,
        a2[whole] * scale**2,
        b2[whole] * scale**2,
    )


@dataclass(frozen=True)
class Agreement:
    """How well two views agree on the planes that they share.

    Parameters
    ----------
    disagreement : float
        Share of what they show that differs by more than noise, 0 to 1, after the brighter one was dimmed to the other.
    z_score : float
        By how many standard deviations of the noise they differ over all planes.
    kind : {"ideal", "attenuated", "cone"}
        What was expected of them.
    """

    disagreement: float
    z_score: float
    kind: str

    @property
    def significant(self) -> bool:
        """Whether they differ by more than noise and what is usual explain."""
        return self.z_score > _SIGNIFICANT and self.disagreement > _LIMITS[self.kind][0]

    @property
    def beyond_doubt(self) -> bool:
        """Whether they cannot show the same object."""
        return self.significant and self.disagreement > _LIMITS[self.kind][1]

    @property
    def measure(self) -> str:
        """What was compared, in words."""
        what = "of what common planes hold" if self.kind == "cone" else "of the counts in common slices"
        return f"{self.disagreement:.0%} {what} differ"


def compare_views(
    first: NDArray[Any], first_view: View, second: NDArray[Any], second_view: View, *, attenuated: bool = True
) -> Agreement | None:
    """Return how well two views agree on the planes that they share; they may differ in brightness as a whole.

    Parameters
    ----------
    first, second : ndarray, shape (rows, columns)
        Counts (parallel rays) or line integrals (cone beams).
    first_view, second_view : View
        Where they were seen from; of one kind.
    attenuated : bool, default True
        Whether photons of a gamma camera were attenuated, which takes more from one slice than from another.

    Returns
    -------
    Agreement or None
        None where the views share no single pencil of planes. The noise is Poisson's for parallel rays, measured between
        neighbouring pixels for cone beams.

    Examples
    --------
    >>> views = [View.gamma_camera((64, 64), (4.0, 4.0), angle) for angle in (0, 90)]
    >>> disc = 100.0 * (np.hypot(*np.mgrid[-32:32, -32:32]) < 20)
    >>> compare_views(disc, views[0], disc, views[1]).significant
    False
    >>> compare_views(disc, views[0], np.roll(disc, 20, axis=0), views[1], attenuated=False).beyond_doubt
    True
    """
    found = profiles(first, first_view, second, second_view)
    if found is None or not (found.first.sum() > 0 and found.second.sum() > 0):
        return None
    scale = float(found.second.sum() / found.first.sum())
    if first_view.source_mm is None:
        variance, kind = scale * (found.first + found.second), "attenuated" if attenuated else "ideal"
    else:
        variance = scale**2 * pixel_noise(first) * found.first_weight + pixel_noise(second) * found.second_weight
        kind = "cone"
    difference = scale * found.first - found.second
    seen = variance > 0
    if not seen.any():
        seen, variance = np.ones(len(variance), bool), np.full(len(variance), np.finfo(np.float64).eps)
    chi2 = float((difference[seen] ** 2 / variance[seen]).sum())
    freedom = max(1, int(seen.sum()) - 1)
    by_chance = float(np.sqrt(2 / np.pi * variance).sum())
    total = float(scale * np.abs(found.first).sum() + np.abs(found.second).sum())
    excess = max(0.0, float(np.abs(difference).sum()) - by_chance) / total
    return Agreement(excess, (chi2 - freedom) / float(np.sqrt(2 * freedom)), kind)


def pixel_noise(image: NDArray[Any]) -> float:
    """Return the variance of a pixel from differences between neighbours, of which most must show nothing else."""
    values = np.asarray(image, np.float64)
    second = values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]
    return float(np.median(np.abs(second)) / 0.6745) ** 2 / 6


def _widths(planes: Array) -> Array:
    """Return by how much planes differ from pixel to pixel along rows or columns, whichever is more: such boxes tile."""
    down, right = np.gradient(planes)
    return np.asarray(np.maximum(np.abs(down), np.abs(right)))


def _binned(planes: Array, values: Array, weights: Array, start: float, step: float, count: int) -> tuple[Array, Array]:
    """Return sums of `values` times `weights`, and of squared weights, for bins around planes.

    A pixel is a box as wide as the planes differ over it, at most a bin: it is shared between two bins, and an image without
    structure fills all bins alike.
    """
    widths = _widths(planes).ravel() / step
    lower_edge = (planes.ravel() - start) / step + 0.5 - widths / 2
    inside = (lower_edge > -1) & (lower_edge < count)
    lower_edge, width = lower_edge[inside], widths[inside]
    value, weight = values.ravel()[inside], weights.ravel()[inside]
    index = np.floor(lower_edge).astype(np.intp)
    share = np.clip((lower_edge + width - index - 1) / width, 0, 1)  # of the pixel that lies in the next bin
    sums, squares = np.zeros(count + 2), np.zeros(count + 2)
    for place, part in ((index + 1, weight * (1 - share)), (index + 2, weight * share)):
        sums += np.bincount(place, part * value, count + 2)
        squares += np.bincount(place, part**2, count + 2)
    return sums[1:-1], squares[1:-1]
