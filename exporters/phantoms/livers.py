"""Random livers as analytic bodies, and what a gamma camera sees of them: the truth that shape solvers are measured with.

A liver is a smooth union of a right lobe and a tapering left lobe, minus the concave visceral face, bent by slow waves. No
projector takes part: each view samples the body anew on its own fine raster, so that solvers do not meet their own model.
Coordinates are those of patients [mm]: x to the left hand, y to the back, z to the head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from ...kernels.reconstruction.geometry import Grid, View
from .camera import FWHM_PER_SIGMA, Camera

__all__ = ["Liver", "Lobe", "Scan", "body_views", "liver_views", "random_liver", "voxelise"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_BLEND_MM = 12.0  # over which lobes melt into each other
_STEP_MM = 2.0  # of the raster along a view's depth
_SKIP = 8  # samples, in the search for where a plane meets a liver
_REACH = (150.0, 190.0)  # of a liver and its blurred edge from its centre, along rows and columns of a view [mm]


@dataclass(frozen=True)
class Lobe:
    """A superellipsoid that tapers towards its own x axis.

    Parameters
    ----------
    center_mm, half_axes_mm : ndarray, shape (3,)
        In the liver's frame [mm].
    angles : ndarray, shape (3,)
        Turns about x, y and z [degrees].
    exponent : float
        2 for an ellipsoid; more is boxier.
    taper : float
        How much thinner the end at +x is than the middle, and thicker the other, 0 to 1.
    """

    center_mm: Array
    half_axes_mm: Array
    angles: Array
    exponent: float = 2.0
    taper: float = 0.0

    def level(self, points_mm: Array) -> Array:
        """Return how far outside points lie, about in mm; negative inside."""
        local = (points_mm - self.center_mm) @ Rotation.from_euler("xyz", self.angles, degrees=True).as_matrix()
        scaled = np.abs(local / self.half_axes_mm)
        thinner = 1 - self.taper * np.clip(local[..., :1] / self.half_axes_mm[0], -1, 1)
        scaled[..., 1:] /= thinner
        radius = (scaled**self.exponent).sum(-1) ** (1 / self.exponent)
        return np.asarray((radius - 1) * self.half_axes_mm.min())


@dataclass(frozen=True)
class Liver:
    """A body in the patient.

    Parameters
    ----------
    lobes, dents : tuple of Lobe
        What it is made of, and what is taken from it.
    waves : tuple of ndarray, shape (n, 3), (n, 3) and (n,)
        Wave vectors [1/mm], amplitudes [mm] and phases that bend it.
    center_mm : ndarray, shape (3,)
        Of its frame in the patient [mm].
    body_mm : tuple of float
        Half axes along x and y of the patient, an elliptic cylinder about z that attenuates [mm].
    """

    lobes: tuple[Lobe, ...]
    dents: tuple[Lobe, ...]
    waves: tuple[Array, Array, Array]
    center_mm: Array
    body_mm: tuple[float, float] = (170.0, 115.0)

    def level(self, points_mm: Array) -> Array:
        """Return a function of points, shape (..., 3), that is negative inside the liver."""
        points = points_mm - self.center_mm
        vectors, amplitudes, phases = self.waves
        points = points + np.sin(points @ vectors.T + phases) @ amplitudes
        solid = -_BLEND_MM * np.logaddexp.reduce([-lobe.level(points) / _BLEND_MM for lobe in self.lobes])
        for dent in self.dents:
            solid = _BLEND_MM * np.logaddexp(solid / _BLEND_MM, -dent.level(points) / _BLEND_MM)
        return np.asarray(solid)


@dataclass(frozen=True)
class Scan:
    """How a body is seen.

    Parameters
    ----------
    camera : Camera or None
        Whose intrinsic and collimator resolution blurs, see :meth:`Camera.fwhm_mm`; None for ideal parallel rays.
    attenuation_per_cm : float
        Inside the outline of the patient [1/cm].
    """

    camera: Camera | None = None
    attenuation_per_cm: float = 0.0


def random_liver(seed: int) -> Liver:
    """Return an anatomy: 0.9 to 2.2 litres, one for each seed.

    Examples
    --------
    >>> liver = random_liver(0)
    >>> bool(liver.level(liver.center_mm + liver.lobes[0].center_mm) < 0)
    True
    """
    rng = np.random.default_rng([seed, 0x11FE])

    def about(mean: tuple[float, float, float], spread: tuple[float, float, float]) -> Array:
        return np.array(mean) + np.array(spread) * rng.uniform(-1, 1, 3)

    right = Lobe(
        about((-38, 8, 0), (4, 4, 4)),
        about((62, 66, 76), (9, 9, 11)),
        about((0, 0, 0), (15, 15, 15)),
        rng.uniform(2, 2.7),
    )
    left = Lobe(
        about((32, -28, 22), (8, 7, 9)),
        about((88, 36, 44), (14, 6, 8)),
        about((0, -8, 5), (8, 10, 14)),
        rng.uniform(2, 2.5),
        rng.uniform(0.25, 0.5),
    )
    face = Lobe(about((42, 52, -52), (10, 10, 10)), about((72, 56, 62), (10, 8, 10)), about((0, 0, 0), (20, 20, 20)))
    count = 6
    directions = rng.normal(size=(count, 3))
    directions *= 2 * np.pi / rng.uniform(70, 160, (count, 1)) / np.linalg.norm(directions, axis=1, keepdims=True)
    waves = directions, rng.normal(0, 1.5, (count, 3)), rng.uniform(0, 2 * np.pi, count)
    return Liver((right, left), (face,), waves, about((-45, -4, 0), (6, 5, 8)))


def voxelise(liver: Liver, grid: Grid, *, finer: int = 2) -> Image:
    """Return which share of each voxel lies in a liver, from a raster `finer` times as fine along each axis.

    Returns
    -------
    ndarray, shape (slices, rows, columns), float32
        0 to 1.
    """
    (slices, rows, columns), (z_mm, y_mm, x_mm) = grid.shape, grid.spacing_mm
    shape, spacing = (finer * slices, finer * rows, finer * columns), (z_mm / finer, y_mm / finer, x_mm / finer)
    z, y, x = Grid(shape, spacing, grid.center_mm).axes()
    fine = np.zeros(shape, np.float32)
    z_near, y_near, x_near = (_near(liver, axis, along) for axis, along in ((z, 2), (y, 1), (x, 0)))
    points = np.stack(np.meshgrid(z[z_near], y[y_near], x[x_near], indexing="ij")[::-1], axis=-1)
    fine[z_near, y_near, x_near] = _share(liver.level(points), spacing)
    blocks = fine.reshape(grid.shape[0], finer, grid.shape[1], finer, grid.shape[2], finer)
    return np.asarray(blocks.mean(axis=(1, 3, 5)), np.float32)


def liver_views(liver: Liver, views: Sequence[View], scan: Scan) -> tuple[Image, ...]:
    """Return what parallel-hole cameras see of a liver, without noise.

    Returns
    -------
    tuple of ndarray, shape (rows, columns), float32
        Path through the liver [mm] that counts; attenuated and blurred as the scan says.
    """

    def share(points: Array, along: Array, spacing: tuple[float, float]) -> Array:
        found = np.zeros(points.shape[:2])
        coarse = liver.level(points[::_SKIP, ::_SKIP]) < 2 * _SKIP * max(spacing)
        if not coarse.any():
            return found
        rows, columns = (np.flatnonzero(coarse.any(axis=axis)) * _SKIP for axis in (1, 0))
        part = tuple(slice(max(span[0] - _SKIP, 0), span[-1] + _SKIP + 1) for span in (rows, columns))
        points = points[part]
        level = liver.level(points)
        slopes = [np.gradient(level, step, axis=axis) for axis, step in enumerate(spacing)]
        near = np.abs(level) < 4 * _STEP_MM  # elsewhere the slope decides nothing
        ahead = np.zeros(level.shape)
        ahead[near] = (liver.level(points[near] + 0.5 * along) - level[near]) / 0.5
        steepness = np.sqrt(sum(slope**2 for slope in [*slopes, ahead]))
        found[part] = np.clip(0.5 - level / np.maximum(steepness, 0.2) / _STEP_MM, 0, 1)
        return found

    def window(view: View) -> tuple[slice, slice]:
        row, column = view.project(liver.center_mm)
        spans = []
        for middle, spacing, count, reach in zip((row, column), view.spacing_mm, view.shape, _REACH, strict=True):
            low, high = int(middle - reach / spacing) // 2 * 2, int(middle + reach / spacing) // 2 * 2
            spans.append(slice(max(low, 0), min(high, count)))
        return spans[0], spans[1]

    return tuple(_summed(view, scan, liver.body_mm, share, window) for view in views)


def body_views(body_mm: tuple[float, float], views: Sequence[View], scan: Scan) -> tuple[Image, ...]:
    """Return what parallel-hole cameras see of a patient of uniform activity, the liver included, without noise.

    Parameters
    ----------
    body_mm : tuple of float
        Half axes of the elliptic cylinder [mm].
    views, scan
        See :func:`liver_views`.
    """

    def share(points: Array, along: Array, spacing: tuple[float, float]) -> Array:
        level = (np.sqrt(((points[..., :2] / body_mm) ** 2).sum(-1)) - 1) * min(body_mm)
        return np.asarray(np.clip(0.5 - level / _STEP_MM, 0, 1))

    def window(view: View) -> tuple[slice, slice]:
        return slice(0, view.shape[0]), slice(0, view.shape[1])

    return tuple(_summed(view, scan, body_mm, share, window) for view in views)


def _summed(
    view: View,
    scan: Scan,
    body_mm: tuple[float, float],
    share: Callable[[Array, Array, tuple[float, float]], Array],
    window: Callable[[View], tuple[slice, slice]],
) -> Image:
    """Return one view, summed plane by plane on a raster of half its pixels."""
    shape = (2 * view.shape[0], 2 * view.shape[1])
    fine = replace(view, shape=shape, spacing_mm=(view.spacing_mm[0] / 2, view.spacing_mm[1] / 2))
    rows, columns = window(fine)
    pixels, looking = fine.pixels_mm()[rows, columns], np.array(view.looking)
    middle = view.distance_to((0.0, 0.0, 0.0))
    total = np.zeros(fine.shape)
    for depth in np.arange(max(middle - max(body_mm), 0) + _STEP_MM / 2, middle + max(body_mm), _STEP_MM):
        points = pixels + depth * looking
        plane = share(points, looking, fine.spacing_mm)
        if not plane.any():
            continue
        if scan.attenuation_per_cm:
            plane *= np.exp(-scan.attenuation_per_cm / 10 * _path(body_mm, points, -looking))
        if scan.camera is not None:
            sigma = scan.camera.fwhm_mm(float(depth)) / FWHM_PER_SIGMA
            for axis, spacing in enumerate(fine.spacing_mm):
                plane = gaussian_filter1d(plane, sigma / spacing, axis=axis, mode="constant")
        total[rows, columns] += plane * _STEP_MM
    return np.asarray(total.reshape(view.shape[0], 2, view.shape[1], 2).mean(axis=(1, 3)), np.float32)


def _share(level: Array, spacing: tuple[float, ...]) -> Array:
    """Return which share of small voxels lies below zero, from the slope of a function."""
    slope = np.sqrt(sum(part**2 for part in np.gradient(level, *spacing)))
    return np.asarray(np.clip(0.5 - level / np.maximum(slope, 0.2) / np.mean(spacing), 0, 1))


def _near(liver: Liver, axis: Array, along: int) -> slice:
    """Return the part of an axis that a liver can reach."""
    reach = np.abs(axis - liver.center_mm[along]) < (190.0, 130.0, 150.0)[along]
    return slice(int(reach.argmax()), int(len(axis) - reach[::-1].argmax()))


def _path(body_mm: tuple[float, float], points_mm: Array, towards: Array) -> Array:
    """Return how far rays from points run in the body until they leave it, in closed form [mm]."""
    start, way = points_mm[..., :2] / body_mm, towards[:2] / body_mm
    a, b, c = way @ way, start @ way, (start**2).sum(-1) - 1
    root = np.sqrt(np.maximum(b * b - a * c, 0))
    near, far = (-b - root) / a, (-b + root) / a
    return np.asarray(np.maximum(far, 0) - np.maximum(near, 0))
