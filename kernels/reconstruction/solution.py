"""What the solvers return."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .geometry import Grid
from .progress import Step

__all__ = ["Curve", "CurveSolution", "ShapeSolution", "VolumeSolution"]

Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class VolumeSolution:
    """A volume whose projections fit the measured views.

    Parameters
    ----------
    grid : Grid
        Its voxels.
    values : ndarray, shape (slices, rows, columns), float32
        Counts per mm of path (gamma camera) or attenuation per mm (cone beam) [1/mm].
    history : tuple of Step
        One for each step that was made, in order.
    interrupted : bool
        Whether `watch` stopped the solver before it was done.
    projections : tuple of ndarray, shape (rows, columns), float32
        What the camera would see of `values`, one for each view, in the unit of the measured views.
    residuals : tuple of ndarray, shape (rows, columns), float32
        Measured minus projected, over the standard deviation that the data term expects: of a Poisson term the Pearson
        residual, of a least-squares term that of its weights [1].
    regularisation : float
        Weight of the total variation that was used; 0 without.
    """

    grid: Grid
    values: Image
    history: tuple[Step, ...]
    interrupted: bool
    projections: tuple[Image, ...]
    residuals: tuple[Image, ...]
    regularisation: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class ShapeSolution:
    """A body of uniform activity whose projections fit the measured views.

    Parameters
    ----------
    grid : Grid
        Its voxels.
    distance_mm : ndarray, shape (slices, rows, columns), float32
        Signed distance of each voxel's centre to the surface, negative inside [mm].
    occupancy : ndarray, shape (slices, rows, columns), float32
        Share of each voxel that lies inside, 0 to 1.
    activity : float
        Inside, above the background [1/mm], in the unit of the views per mm of path.
    background : float
        Uniform, of the whole body outline or of what else the solver was told [1/mm]; 0 if none was fitted.
    volume_ml : float
        Of the shape [ml].
    history : tuple of Step
        One for each step that was made, in order.
    interrupted : bool
        Whether `watch` stopped the solver before it was done.
    projections : tuple of ndarray, shape (rows, columns), float32
        What the camera would see, background included, one for each view, in the unit of the measured views.
    residuals : tuple of ndarray, shape (rows, columns), float32
        Measured minus projected, over the standard deviation that the data term expects [1].
    attenuation : float
        Factor of the camera's attenuation that explains the views best; 1 if it was taken as known.
    """

    grid: Grid
    distance_mm: Image
    occupancy: Image
    activity: float
    background: float
    volume_ml: float
    history: tuple[Step, ...]
    interrupted: bool
    projections: tuple[Image, ...]
    residuals: tuple[Image, ...]
    attenuation: float = 1.0


@dataclass(frozen=True, eq=False)
class Curve:
    """One wire.

    Parameters
    ----------
    points_mm : ndarray, shape (n, 3), float64
        Its centreline from end to end, x, y and z [mm].
    radius_mm : float
        Of the wire [mm].
    certainty : ndarray, shape (n,), float32
        At each point, how sure the views make its place: 1 where they leave no other, 0 where they do not decide.
    """

    points_mm: NDArray[np.float64]
    radius_mm: float
    certainty: Image

    @property
    def length_mm(self) -> float:
        """Length of the centreline [mm].

        Examples
        --------
        >>> Curve(np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]]), 0.25, np.ones(2, np.float32)).length_mm
        5.0
        """
        return float(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum())


@dataclass(frozen=True, eq=False, kw_only=True)
class CurveSolution:
    """Wires whose projections fit the measured views.

    Parameters
    ----------
    curves : tuple of Curve
        The wires; none if the views show none.
    history : tuple of Step
        One for each step that was made, in order.
    interrupted : bool
        Whether `watch` stopped the solver before it was done.
    projections : tuple of ndarray, shape (rows, columns), float32
        What the detector would see of the wires, one for each view, as line integrals like the measured views.
    residuals : tuple of ndarray, shape (rows, columns), float32
        Measured minus projected, over the standard deviation of the noise [1].
    """

    curves: tuple[Curve, ...]
    history: tuple[Step, ...]
    interrupted: bool
    projections: tuple[Image, ...]
    residuals: tuple[Image, ...]
