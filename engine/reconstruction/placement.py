"""Where views lie relative to each other, and the voxels that they see."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ...kernels.reconstruction.geometry import Grid, Vector, View
from ..errors import UsageError
from .nuclear_views import Camera

__all__ = ["grid_around", "middle", "place"]

_FEW_VOXELS, _MOST_VOXELS = 1 << 23, 1 << 30
_MOST_FACTOR = 1e6
_UPRIGHT = 0.7  # cosine: rows run along the patient within 45 degrees
_ROUNDING = 1e-3  # of a voxel
_APART = 0.25  # of the field of view: detectors that miss each other by more were not placed in one frame of reference


def place(views: Sequence[View], cameras: Sequence[Camera], *, one_frame: bool) -> tuple[list[View], Vector, list[str]]:
    """Return the views, the point that all look at, and notes about what was assumed.

    Parameters
    ----------
    views : sequence of View
        All views.
    cameras : sequence of Camera
        One for each view where headers of a gamma camera describe them; empty otherwise, and views stay where they are.
    one_frame : bool
        Whether all headers name one frame of reference. Cameras are placed by Image Position only then, if all have one,
        and look at the origin otherwise.

    Examples
    --------
    >>> anterior = View.gamma_camera((64, 64), (4.0, 4.0), 0, isocenter_mm=(5.0, 0.0, 30.0))
    >>> place([anterior], [Camera(anterior, 200.0, placed=True)], one_frame=False)[0][0].center_mm
    (0.0, -200.0, 0.0)
    """
    if len(cameras) < len(views):
        return [*views], middle(views), []
    notes: list[str] = []
    if one_frame and all(camera.placed for camera in cameras):
        center = middle(views)
        if max(_distance(view, center) for view in views) < _APART * min(_width(view) for view in views):
            faced = [
                view.moved(_scaled(view.looking, view.distance_to(center) - camera.radius_mm))
                for view, camera in zip(views, cameras, strict=True)
            ]
            return faced, center, notes
        notes.append("Image Position places the detectors too far apart; each is taken to look at the same point.")
    elif any(camera.placed for camera in cameras):
        notes.append("The views have no common frame of reference; each is taken to look at the same point.")
    centered = [
        replace(view, center_mm=_scaled(view.looking, -camera.radius_mm))
        for view, camera in zip(views, cameras, strict=True)
    ]
    return centered, (0.0, 0.0, 0.0), notes


def middle(views: Sequence[View]) -> Vector:
    """Return the point nearest to the lines along which the middles of all detectors look.

    Returns
    -------
    tuple of float
        x, y and z [mm]; what the lines leave open, such as the depth between opposed views, is as near to 0 as can be.

    Examples
    --------
    >>> middle([View.gamma_camera((8, 8), (4.0, 4.0), angle, isocenter_mm=(1.0, 2.0, 3.0)) for angle in (0, 90)])
    (1.0, 2.0, 3.0)
    """
    total, pulled = np.zeros((3, 3)), np.zeros(3)
    for view in views:
        along = np.array(view.looking)
        across = np.eye(3) - np.outer(along, along)
        total += across
        pulled += across @ np.array(view.center_mm)
    x, y, z = (float(part) for part in np.round(np.linalg.pinv(total, rcond=1e-6, hermitian=True) @ pulled, 9) + 0.0)
    return x, y, z


def grid_around(views: Sequence[View], center: Vector, voxel_mm: float | None = None) -> Grid:
    """Return the voxels that views see around a point.

    Parameters
    ----------
    views : sequence of View
        Where rows of all run along the patient, slices are as high as rows and cover what every view sees; otherwise the
        volume is a cube.
    center : tuple of float
        The middle of the volume, x, y and z [mm].
    voxel_mm : float, optional
        Edge of the voxels [mm]; otherwise as large as the smallest pixel where the object is, or a whole multiple that keeps
        the volume under 8 million voxels.

    Raises
    ------
    UsageError
        If the point lies beside or behind a focal spot, or voxels have no size, are too many or larger than what views see.

    Examples
    --------
    >>> views = [View.gamma_camera((64, 128), (4.0, 2.0), angle) for angle in (0, 90)]
    >>> grid_around(views, (0.0, 0.0, 0.0)).shape, grid_around(views, (0.0, 0.0, 0.0), 8.0).shape
    ((64, 128, 128), (32, 32, 32))
    """
    sizes = np.array([np.array(view.spacing_mm) / view.magnification_at(center) for view in views])
    extents = sizes * np.array([view.shape for view in views])
    if extents.min() <= 0:
        raise UsageError("the views do not look at one place; correct the geometry.")
    if voxel_mm is not None and not 0 < voxel_mm < np.inf:
        raise UsageError(f"voxels of {voxel_mm:g} mm have no size; give a number above 0.")
    upright = all(abs(view.down[2]) > _UPRIGHT for view in views)
    height, across = (extents[:, 0].min(), extents[:, 1].max()) if upright else (extents.max(), extents.max())
    if voxel_mm is not None:
        if voxel_mm > min(height, across):
            raise UsageError(f"voxels of {voxel_mm:g} mm are larger than what the views see; give smaller ones.")
        edge = np.full(2, voxel_mm)
    else:
        edge = sizes.min(axis=0) if upright else np.full(2, sizes.min())
        # Pixels of two views may differ by many orders of magnitude: the factor is not counted up from 1.
        least = (_voxels(height, across, edge) / _FEW_VOXELS) ** (1 / 3)
        if not least < _MOST_FACTOR:
            raise UsageError("pixels of the views differ too much in size; correct the geometry, or give --voxel.")
        factors = count(max(1, int(least)))
        edge = next(edge * factor for factor in factors if _voxels(height, across, edge * factor) <= _FEW_VOXELS)
    if _voxels(height, across, edge) > _MOST_VOXELS:
        raise UsageError(f"voxels of {voxel_mm:g} mm would be over a billion; give larger ones.")
    slices, columns = ceil(height / edge[0] - _ROUNDING), ceil(across / edge[1] - _ROUNDING)
    return Grid((slices, columns, columns), (float(edge[0]), float(edge[1]), float(edge[1])), center)


def _voxels(height: float, across: float, edge: NDArray[np.float64]) -> float:
    with np.errstate(over="ignore"):  # infinitely many are too many
        return float(height / edge[0] * (across / edge[1]) ** 2)


def _scaled(vector: Vector, factor: float) -> Vector:
    x, y, z = (float(part * factor) + 0.0 for part in vector)
    return x, y, z


def _distance(view: View, point: Vector) -> float:
    """Return how far the ray through the middle of a detector passes by a point [mm]."""
    return float(np.linalg.norm(np.cross(np.subtract(point, view.center_mm), view.looking)))


def _width(view: View) -> float:
    return min(count * spacing for count, spacing in zip(view.shape, view.spacing_mm, strict=True))
