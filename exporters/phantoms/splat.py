"""Planar images of many small sources at once: each is the Gaussian of its own second moments, blurred by the camera.

A part of a bone is small beside what a gamma camera resolves, so that its shape shows by its second moments alone: the projection
of an ellipsoid of half axes a has the variance a^2 / 5. Thousands of parts take milliseconds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import FWHM_PER_SIGMA, Camera
from .scene import Ellipsoids

__all__ = ["Surface", "cover", "splat"]

Floats = NDArray[np.float64]
_REACH = 3.5  # standard deviations
_STEP = 3  # [px] by which the patches of small and large sources differ


@dataclass(frozen=True)
class Surface:
    """The front of the body, which attenuates.

    Parameters
    ----------
    depth_mm : ndarray, shape (rows, columns)
        Position of the surface along z [mm], positive infinity beside the body.
    cell_mm : float
        Size of a cell [mm]; the middle of the array looks at x = y = 0.
    attenuation_per_mm : float
        Linear attenuation coefficient [1/mm].
    """

    depth_mm: NDArray[np.float64]
    cell_mm: float
    attenuation_per_mm: float

    def transmission(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what reaches the detector of each point, shape (k, 3) [mm]."""
        rows, columns = self.depth_mm.shape
        row = np.clip(np.rint(points[:, 1] / self.cell_mm + (rows - 1) / 2).astype(int), 0, rows - 1)
        column = np.clip(np.rint(points[:, 0] / self.cell_mm + (columns - 1) / 2).astype(int), 0, columns - 1)
        front = self.depth_mm[row, column]
        depth = np.where(np.isfinite(front), points[:, 2] - front, 0.0)
        return np.asarray(np.exp(-self.attenuation_per_mm * np.maximum(depth, 0)), np.float64)


def splat(
    parts: Ellipsoids,
    camera: Camera,
    surface: Surface,
    *,
    nearest_mm: float,
    centre_mm: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float32]:
    """Return the image of small sources, without scatter.

    Parameters
    ----------
    parts : Ellipsoids
        Sources; the detector lies at negative z.
    camera : Camera
        Matrix and resolution.
    surface : Surface
        What the sources lie behind.
    nearest_mm : float
        z of the nearest point of the body, at the camera's gap from the collimator [mm].
    centre_mm : tuple of float
        x and y that the middle of the matrix looks at [mm].

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Expected counts per pixel.

    Examples
    --------
    >>> from .scene import ellipsoid
    >>> air = Surface(np.full((4, 4), np.inf), 100.0, 0.0)
    >>> ball = ellipsoid((0.0, 0.0, 0.0), (5.0, 5.0, 5.0), 2.0)
    >>> image = splat(ball, Camera(shape=(64, 64)), air, nearest_mm=0.0)
    >>> bool(abs(image.sum() / (2 * ball.volume_mm3()[0]) - 1) < 1e-3)
    True
    """
    p, (rows, columns) = camera.pixel_mm, camera.shape
    blur = np.hypot(camera.intrinsic_fwhm_mm, camera.hole_mm + camera.divergence * _distance(parts, camera, nearest_mm))
    moments = np.einsum("kij,kj,klj->kil", parts.rotation, parts.semi_axes**2 / 5, parts.rotation)[:, :2, :2]
    # A pixel collects over its own width.
    moments = moments + ((blur / FWHM_PER_SIGMA) ** 2 + p**2 / 12)[:, None, None] * np.eye(2)
    weight = parts.activity * parts.volume_mm3() * surface.transmission(parts.centre)
    image = np.zeros(camera.shape)
    at = (parts.centre[:, :2] - centre_mm) / p + [(columns - 1) / 2, (rows - 1) / 2]
    _add(image, at, moments / p**2, weight)
    return image.astype(np.float32)


def cover(
    parts: Ellipsoids, camera: Camera, margin_mm: float, centre_mm: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie within a margin of the balls' projections.

    Parameters
    ----------
    parts : Ellipsoids
        Balls.
    camera : Camera
        Matrix.
    margin_mm : float
        Distance from the projected balls that counts as inside [mm].
    centre_mm : tuple of float
        x and y that the middle of the matrix looks at [mm].

    Examples
    --------
    >>> from .scene import ellipsoid
    >>> ball = ellipsoid((0.0, 0.0, 0.0), (5.0, 5.0, 5.0))
    >>> int(cover(ball, Camera(pixel_mm=2.0, shape=(9, 9)), 0.0).sum())
    21
    """
    rows, columns = camera.shape
    p = camera.pixel_mm
    at = (parts.centre[:, :2] - centre_mm) / p + [(columns - 1) / 2, (rows - 1) / 2]
    mask = np.zeros(camera.shape, np.bool_)
    _mark(mask, at, (parts.semi_axes.max(axis=1) + margin_mm) / p)
    return mask


def _distance(parts: Ellipsoids, camera: Camera, nearest_mm: float) -> NDArray[np.float64]:
    """Return how far each part lies from the collimator [mm]."""
    return np.asarray(np.maximum(parts.centre[:, 2] - nearest_mm, 0) + camera.gap_mm, np.float64)


def _add(
    image: NDArray[np.float64], at: NDArray[np.float64], moments: NDArray[np.float64], weight: NDArray[np.float64]
) -> None:
    """Add a Gaussian for each source, those of similar size together."""
    (a, b), (_, c) = moments[:, 0].T, moments[:, 1].T
    det = a * c - b * b
    half = _STEP * np.ceil(_REACH * np.sqrt(np.maximum(a, c)) / _STEP).astype(int)
    for size in np.unique(half):
        own = np.flatnonzero(half == size)
        row, column, dy, dx = _patches(at[own], size)
        own_a, own_b, own_c, own_det, own_weight = (v[own][:, None, None] for v in (a, b, c, det, weight))
        q = (own_c * dx**2 - 2 * own_b * dx * dy + own_a * dy**2) / own_det
        value = own_weight / (2 * np.pi * np.sqrt(own_det)) * np.exp(-0.5 * q)
        inside = (row >= 0) & (row < image.shape[0]) & (column >= 0) & (column < image.shape[1])
        index = (row * image.shape[1] + column)[inside]
        image += np.bincount(index, np.broadcast_to(value, inside.shape)[inside], image.size).reshape(image.shape)


def _mark(mask: NDArray[np.bool_], at: NDArray[np.float64], radius: NDArray[np.float64]) -> None:
    """Mark a disc for each source."""
    if not len(at):
        return
    row, column, dy, dx = _patches(at, int(np.ceil(radius.max())))
    inside = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
    inside &= dx**2 + dy**2 <= (radius**2)[:, None, None]
    row, column = np.broadcast_arrays(row, column)
    mask[row[inside], column[inside]] = True


def _patches(at: NDArray[np.float64], half: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Return rows and columns of square patches about positions, and how far these pixels lie from them [px]."""
    near, offset = np.rint(at).astype(np.int64), np.arange(-half, half + 1)
    column, row = near[:, 0, None, None] + offset[None, None], near[:, 1, None, None] + offset[None, :, None]
    return row, column, row - at[:, 1, None, None], column - at[:, 0, None, None]
