"""Where detectors, sources and voxels lie.

All vectors are (x, y, z) in mm, in the patient's coordinates of DICOM: x grows to the left hand, y to the back, z to the
head. Arrays are C-contiguous: a volume is ``volume[slice, row, column]``, that is (z, y, x), a view ``view[row, column]``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, radians, sin
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

__all__ = ["Geometry", "Grid", "Vector", "View"]

Vector = tuple[float, float, float]
Array = NDArray[np.float64]

_TOLERANCE = 1e-6  # of the length of a direction, and of a right angle


@dataclass(frozen=True)
class Grid:
    """The voxels of a volume; its axes are those of the patient.

    Parameters
    ----------
    shape : tuple of int
        Slices, rows and columns: voxels along z, y and x.
    spacing_mm : tuple of float
        Distance between voxels along z, y and x [mm].
    center_mm : tuple of float, default (0, 0, 0)
        x, y and z of the middle of the volume [mm].

    Raises
    ------
    UsageError
        If there is no voxel, or a spacing that is not above 0.

    Examples
    --------
    >>> Grid((64, 128, 128), (4.0, 2.0, 2.0)).first_mm
    (-127.0, -127.0, -126.0)
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    center_mm: Vector = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or not _whole(self.shape):
            raise UsageError(
                f"a volume of {self.shape} voxels is empty; give slices, rows and columns, whole numbers from 1 up."
            )
        if len(self.spacing_mm) != 3 or not all(0 < spacing < np.inf for spacing in self.spacing_mm):
            raise UsageError(f"voxels of {self.spacing_mm} mm have no size; give three numbers above 0.")
        if np.shape(self.center_mm) != (3,) or not np.isfinite(self.center_mm).all():
            raise UsageError(f"{self.center_mm} mm is no position; give x, y and z.")

    @property
    def first_mm(self) -> Vector:
        """x, y and z of the centre of voxel [0, 0, 0] [mm]."""
        z, y, x = (
            center - spacing * (count - 1) / 2
            for center, spacing, count in zip(self.center_mm[::-1], self.spacing_mm, self.shape, strict=True)
        )
        return x, y, z

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel [ml]."""
        return float(np.prod(self.spacing_mm)) / 1000

    def axes(self) -> tuple[Array, Array, Array]:
        """Return z of each slice, y of each row, x of each column [mm]."""
        z, y, x = (
            np.asarray(first + spacing * np.arange(count), np.float64)
            for first, spacing, count in zip(self.first_mm[::-1], self.spacing_mm, self.shape, strict=True)
        )
        return z, y, x


@dataclass(frozen=True)
class View:
    """One detector, and the focal spot if its rays come from one.

    An image is what an observer at the detector sees who looks at the patient: ``right`` and ``down`` are where column
    and row numbers grow.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    spacing_mm : tuple of float
        Distance between rows and between columns on the detector [mm].
    center_mm : tuple of float
        The middle of the detector [mm].
    right, down : tuple of float
        Unit vectors at right angles.
    source_mm : tuple of float or None
        The focal spot of a cone beam [mm]; None for parallel rays, which meet the detector at right angles.

    Raises
    ------
    UsageError
        If there is no pixel, directions are not at right angles, or the focal spot is not in front of the detector.

    Examples
    --------
    >>> View.gamma_camera((128, 128), (4.0, 4.0), 0).looking  # anterior: towards the back
    (0.0, 1.0, 0.0)
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    center_mm: Vector
    right: Vector
    down: Vector
    source_mm: Vector | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or not _whole(self.shape):
            raise UsageError(f"a view of {self.shape} pixels is empty; give rows and columns, whole numbers from 1 up.")
        if len(self.spacing_mm) != 2 or not all(0 < spacing < np.inf for spacing in self.spacing_mm):
            raise UsageError(f"pixels of {self.spacing_mm} mm have no size; give two numbers above 0.")
        points = [self.center_mm, self.right, self.down, *([self.source_mm] if self.source_mm else [])]
        if any(np.shape(point) != (3,) or not np.isfinite(point).all() for point in points):
            raise UsageError("a position or direction of a view is not three finite numbers; give x, y and z.")
        products = np.array([self.right, self.down]) @ np.array([self.right, self.down]).T
        if not np.allclose(products, np.eye(2), atol=_TOLERANCE):
            raise UsageError(
                f"{self.right} and {self.down} are not unit vectors at right angles; correct the directions."
            )
        if self.source_mm and self.distance_to(self.source_mm) < _TOLERANCE:
            raise UsageError(
                f"the focal spot {self.source_mm} mm lies in or behind the plane of the detector; correct the distance from "
                "source to detector, or turn `right` or `down` round: right x down must point from detector to patient."
            )

    @classmethod
    def gamma_camera(
        cls,
        shape: tuple[int, int],
        spacing_mm: tuple[float, float],
        angle: float,
        *,
        radius_mm: float = 250.0,
        isocenter_mm: Vector = (0.0, 0.0, 0.0),
    ) -> "View":
        """Return a parallel-hole camera that looks at the isocentre, upright, from around the patient.

        Parameters
        ----------
        shape, spacing_mm : tuple
            Of its pixels, see above.
        angle : float
            Where the camera is, in degrees around z: 0 anterior, 90 on the left hand, 180 posterior, 270 on the right hand.
        radius_mm : float
            Distance from the isocentre to the face of the collimator [mm].
        isocenter_mm : tuple of float
            What the middle of the detector looks at [mm].
        """
        outwards = _clean((sin(radians(angle)), -cos(radians(angle)), 0.0))
        right = _clean((cos(radians(angle)), sin(radians(angle)), 0.0))
        center = tuple(point + radius_mm * along for point, along in zip(isocenter_mm, outwards, strict=True))
        return cls(shape, spacing_mm, _vector(center), right, (0.0, 0.0, -1.0))

    @classmethod
    def c_arm(
        cls,
        shape: tuple[int, int],
        spacing_mm: tuple[float, float],
        primary: float,
        secondary: float,
        *,
        source_detector_mm: float,
        source_isocenter_mm: float,
        isocenter_mm: Vector = (0.0, 0.0, 0.0),
    ) -> "View":
        """Return a cone-beam view of an angiography stand.

        Parameters
        ----------
        shape, spacing_mm : tuple
            Of the pixels at the detector, see above.
        primary : float
            Positioner Primary Angle [degrees]: where the detector is, towards the left hand (LAO) positive.
        secondary : float
            Positioner Secondary Angle [degrees]: towards the head (CRA) positive.
        source_detector_mm, source_isocenter_mm : float
            Distances from the focal spot to the detector and to the isocentre [mm].
        isocenter_mm : tuple of float
            What the stand turns about [mm].

        References
        ----------
        * PS3.3 C.8.7.5.1.2, Positioner Primary and Secondary Angle.
        """
        if not 0 < source_isocenter_mm < source_detector_mm < np.inf:
            raise UsageError(
                f"a focal spot {source_isocenter_mm} mm from the isocentre and {source_detector_mm} mm from the detector "
                "is no C-arm; the first must be above 0 and below the second."
            )
        turn, tilt = radians(primary), radians(secondary)
        outwards = _clean((sin(turn) * cos(tilt), -cos(turn) * cos(tilt), sin(tilt)))
        right = _clean((cos(turn), sin(turn), 0.0))
        down = _clean((sin(turn) * sin(tilt), -cos(turn) * sin(tilt), -cos(tilt)))
        behind = source_detector_mm - source_isocenter_mm
        center = tuple(point + behind * along for point, along in zip(isocenter_mm, outwards, strict=True))
        source = tuple(point - source_isocenter_mm * along for point, along in zip(isocenter_mm, outwards, strict=True))
        return cls(shape, spacing_mm, _vector(center), right, down, _vector(source))

    @property
    def looking(self) -> Vector:
        """Unit vector from the detector to the patient, at right angles to the detector."""
        return _clean(np.cross(self.right, self.down))

    @property
    def magnification(self) -> float:
        """How much larger a thing at the origin of coordinates is on the detector; 1 for parallel rays."""
        return self.magnification_at((0.0, 0.0, 0.0))

    def magnification_at(self, point: Vector) -> float:
        """Return how much larger a thing at a point [mm] is on the detector; infinite beside or behind the focal spot."""
        if self.source_mm is None:
            return 1.0
        whole = self.distance_to(self.source_mm)
        left = whole - self.distance_to(point)
        return whole / left if left > 0 else float("inf")

    def pixel_at(self, point: Vector) -> float:
        """Return the larger edge of a pixel where a point is [mm]."""
        return max(self.spacing_mm) / self.magnification_at(point)

    def distance_to(self, point: Vector) -> float:
        """Return how far in front of the detector a point lies [mm]."""
        return float(np.dot(np.subtract(point, self.center_mm), self.looking))

    def pixels_mm(self) -> Array:
        """Return where the centres of the pixels are.

        Returns
        -------
        ndarray, shape (rows, columns, 3), float64
            x, y and z [mm].
        """
        rows, columns = (
            spacing * (np.arange(count) - (count - 1) / 2)
            for spacing, count in zip(self.spacing_mm, self.shape, strict=True)
        )
        across = columns[None, :, None] * np.array(self.right) + rows[:, None, None] * np.array(self.down)
        return np.asarray(self.center_mm + across)

    def project(self, points_mm: Array) -> Array:
        """Return where points are seen.

        Parameters
        ----------
        points_mm : ndarray, shape (..., 3), float64
            x, y and z [mm].

        Returns
        -------
        ndarray, shape (..., 2), float64
            Row and column [pixels], whole numbers at the centres of pixels; NaN for points beside or behind the focal spot.

        Examples
        --------
        >>> view = View.c_arm((512, 512), (0.4, 0.4), 30, 0, source_detector_mm=1100, source_isocenter_mm=750)
        >>> view.project(np.zeros(3)).round(6).tolist()
        [255.5, 255.5]
        """
        offset = np.asarray(points_mm, np.float64) - self.center_mm
        if self.source_mm is not None:
            source = np.subtract(self.source_mm, self.center_mm)
            depth, whole = offset @ np.array(self.looking), source @ np.array(self.looking)
            left = whole - depth
            share = (whole / np.where(left > 0, left, np.nan))[..., None]
            offset = source + (offset - source) * share
        rows = offset @ np.array(self.down) / self.spacing_mm[0] + (self.shape[0] - 1) / 2
        columns = offset @ np.array(self.right) / self.spacing_mm[1] + (self.shape[1] - 1) / 2
        return np.stack([rows, columns], axis=-1)

    def moved(self, offset_mm: Vector) -> "View":
        """Return the view after the detector, and the focal spot with it, moved by so much [mm]."""
        shift = np.array(offset_mm)
        source = None if self.source_mm is None else _vector(self.source_mm + shift)
        return replace(self, center_mm=_vector(self.center_mm + shift), source_mm=source)


@dataclass(frozen=True)
class Geometry:
    """A volume and the views of it.

    Parameters
    ----------
    grid : Grid
        The voxels.
    views : tuple of View
        One or more; solvers say how many they need.

    Raises
    ------
    UsageError
        If there is no view, or parallel and cone-beam views are mixed.

    Examples
    --------
    >>> grid = Grid((128, 128, 128), (4.0, 4.0, 4.0))
    >>> Geometry.around(grid, (0, 90)).views[1].center_mm
    (250.0, 0.0, 0.0)
    """

    grid: Grid
    views: tuple[View, ...]

    def __post_init__(self) -> None:
        if not self.views:
            raise UsageError("a geometry without views sees nothing; give two or more.")
        if len({view.source_mm is None for view in self.views}) > 1:
            raise UsageError("parallel and cone-beam views are mixed; give views of one kind.")

    @classmethod
    def around(
        cls,
        grid: Grid,
        angles: Sequence[float],
        *,
        shape: tuple[int, int] | None = None,
        spacing_mm: tuple[float, float] | None = None,
        radius_mm: float = 250.0,
    ) -> "Geometry":
        """Return a parallel-hole camera at several angles around a volume, see :meth:`View.gamma_camera`.

        Without `shape` and `spacing_mm`, pixels are as large as voxels and cover the middle of the volume.
        """
        slices, rows, columns = grid.shape
        pixels = shape or (slices, max(rows, columns))
        size = spacing_mm or (grid.spacing_mm[0], grid.spacing_mm[2])
        return cls(
            grid,
            tuple(
                View.gamma_camera(pixels, size, angle, radius_mm=radius_mm, isocenter_mm=grid.center_mm)
                for angle in angles
            ),
        )

    @property
    def cone_beam(self) -> bool:
        """Whether rays come from focal spots."""
        return self.views[0].source_mm is not None


def _whole(counts: Sequence[int]) -> bool:
    return all(isinstance(count, Integral) and count > 0 for count in counts)


def _vector(values: object) -> Vector:
    x, y, z = (float(value) for value in np.asarray(values, np.float64))
    return x, y, z


def _clean(values: object) -> Vector:
    """Return a direction without the rounding of sines: an axis of the patient stays exactly that."""
    return _vector(np.round(np.asarray(values, np.float64), 15) + 0.0)
