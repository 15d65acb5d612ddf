"""How much of what voxels emit reaches each detector."""

import numpy as np
from numpy.typing import NDArray

from .geometry import Grid, View

__all__ = ["optical_paths", "resample"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]


def optical_paths(attenuation: Image, grid: Grid, view: View, within: Grid) -> Image:
    """Return the integral of attenuation from voxels to a detector.

    Parameters
    ----------
    attenuation : ndarray, shape (slices, rows, columns), float32
        Of each voxel of `grid` [1/mm].
    grid : Grid
        Its voxels.
    view : View
        Parallel rays.
    within : Grid
        The voxels that emit.

    Returns
    -------
    ndarray, shape of `within`, float32
        Without unit; what reaches the detector is the exponential of minus this.
    """
    z, y, x = np.meshgrid(*within.axes(), indexing="ij")
    points = np.stack([x, y, z], axis=-1).astype(np.float32)
    towards = -np.array(view.looking, np.float32)
    distance = (points - np.array(view.center_mm, np.float32)) @ -towards
    step = min(grid.spacing_mm)
    total = np.zeros(within.shape, np.float32)
    for number in range(int(np.ceil(_reach(grid, within, towards) / step))):
        along = (number + 0.5) * step
        share = np.clip((distance - number * step) / step, 0, 1)
        if not share.any():
            break
        total += share * resample(attenuation, grid, points + np.float32(along) * towards)
    return total * np.float32(step)


def resample(values: Image, grid: Grid, points_mm: Image) -> Image:
    """Return values between voxels, linearly; 0 beyond the outermost.

    Parameters
    ----------
    values : ndarray, shape (slices, rows, columns), float32
    grid : Grid
        Their voxels.
    points_mm : ndarray, shape (..., 3), float32
        x, y and z [mm].
    """
    spacing, first = np.array(grid.spacing_mm[::-1], np.float32), np.array(grid.first_mm, np.float32)
    counts = np.array(values.shape[::-1])
    place = np.clip((points_mm - first) / spacing, -1, counts) + 1  # of the padded values
    padded = np.pad(values, 1)
    corner = np.minimum(place.astype(np.int64), counts)
    part = place - corner
    _, rows, columns = padded.shape
    base = (corner[..., 2] * rows + corner[..., 1]) * columns + corner[..., 0]
    flat = padded.ravel()
    total = np.zeros(points_mm.shape[:-1], np.float32)
    for z in (0, 1):
        for y in (0, 1):
            for x in (0, 1):
                weight = np.ones(base.shape, np.float32)
                for axis, upper in enumerate((x, y, z)):
                    weight *= part[..., axis] if upper else 1 - part[..., axis]
                total += weight * flat[base + (z * rows + y) * columns + x]
    return total


def _reach(grid: Grid, within: Grid, towards: Image) -> float:
    """Return how far from a voxel along a direction attenuation can be [mm]."""
    ahead = np.sign(towards)
    extent, size = (np.multiply(part.shape, part.spacing_mm)[::-1] / 2 for part in (grid, within))
    edge = grid.center_mm + ahead * (extent + grid.spacing_mm[::-1])
    return float(np.maximum((edge - within.center_mm + ahead * size) * towards, 0).sum())
