"""The skeleton of a random patient's trunk, with lesions, as a volume."""

import numpy as np
from numpy.typing import NDArray

from . import bones
from .scene import Ellipsoids, ellipsoid, join
from .volumes import Canvas, Grid, Volume

__all__ = ["bone_lesions", "voxelise"]

_MIDDLE_MM = 560.0  # below the top of the head: the middle of the trunk
_SOFT_TISSUE = 0.12
_LESIONS = (3, 7)


def bone_lesions(grid: Grid, rng: np.random.Generator) -> Volume:
    """Return spine and ribs in soft tissue, with three to six lesions.

    Parameters
    ----------
    grid : Grid
        Where to draw; 256 mm hold the spine from T5 to L4 and most of the ribs.
    rng : numpy.random.Generator
        Draws uptakes and lesions.

    Examples
    --------
    >>> volume = bone_lesions(Grid((16, 16, 16), 16.0), np.random.default_rng(0))
    >>> bool(volume.activity.max() > 1)
    True
    """
    parts = join(*bones.spine(float(rng.normal(0, 8)), rng), *bones.chest(0.0, rng))
    half = np.array(grid.shape[::-1]) * grid.voxel_mm / 2
    at = _as_patient(parts).centre
    inside = np.flatnonzero((np.abs(at) < 0.8 * half).all(axis=1) & (parts.activity > 0.3))
    chosen = rng.choice(inside, int(rng.integers(*_LESIONS)), replace=False)
    lesions = [
        ellipsoid(tuple(parts.centre[index]), tuple(rng.uniform(5, 11, 3)), float(rng.uniform(2, 5)))
        for index in chosen
    ]
    canvas = Canvas(grid)
    canvas.paint(canvas.ellipsoid((0, 0, 0), (120.0, 95.0, 1000.0)), _SOFT_TISSUE)
    activity = canvas.activity + voxelise(_as_patient(join(parts, *lesions)), grid)
    return Volume("bone", np.maximum(activity, 0), canvas.attenuation, grid.voxel_mm)


def voxelise(parts: Ellipsoids, grid: Grid) -> NDArray[np.float32]:
    """Return the sum of ellipsoids on a grid, each drawn where it lies.

    Parameters
    ----------
    parts : Ellipsoids
        In the grid's coordinates.
    grid : Grid
        The voxels.

    Examples
    --------
    >>> ball = ellipsoid((0, 0, 0), (20, 20, 20), 2.0)
    >>> volume = voxelise(ball, Grid((32, 32, 32), 2.0))
    >>> bool(abs(volume.sum() * 8 / (2 * ball.volume_mm3()[0]) - 1) < 0.01)
    True
    """
    found = np.zeros(grid.shape, np.float32)
    axes = [axis.ravel().astype(np.float64) for axis in grid.axes]
    for centre, half, rotation, activity in zip(
        parts.centre, parts.semi_axes, parts.rotation, parts.activity, strict=True
    ):
        reach = half.max() + grid.voxel_mm
        ranges = [np.searchsorted(axis, (at - reach, at + reach)) for axis, at in zip(axes, centre[::-1], strict=True)]
        box = tuple(slice(low, high) for low, high in ranges)
        z, y, x = (axis[part] for axis, part in zip(axes, box, strict=True))
        if not (z.size and y.size and x.size):
            continue
        offset = np.stack(np.broadcast_arrays(x[None, None, :], y[None, :, None], z[:, None, None]), axis=-1) - centre
        scaled = offset @ rotation / half
        level = np.linalg.norm(scaled, axis=-1)
        slope = np.linalg.norm(scaled / half, axis=-1)
        distance = (level - 1) * level / np.maximum(slope, 1e-6) - 1e-6
        found[box] += (activity * np.clip(0.5 - distance / grid.voxel_mm, 0, 1)).astype(np.float32)
    return found


def _as_patient(parts: Ellipsoids) -> Ellipsoids:
    """Turn the axes of planar scans (left, down, away from an anterior detector) into left, back and up."""
    turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    centre = (parts.centre - (0.0, _MIDDLE_MM, 0.0)) @ turn.T
    return Ellipsoids(centre, parts.semi_axes, turn @ parts.rotation, parts.activity)
