"""Drawing activity and attenuation in three dimensions, and the phantoms of SPECT quality control.

Axes are slice (z, towards the head), row (y, towards the back) and column (x, towards the patient's left), all in millimetres
from the centre. Shapes are signed distances, negative inside, drawn with edges as wide as a voxel, so that volumes hold on any grid.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .camera import WATER_140KEV_PER_MM

Floats = NDArray[np.float32]
BONE_140KEV_PER_MM = 0.0250
LUNG_140KEV_PER_MM = 0.0045
JASZCZAK_SPHERES_MM = (9.5, 12.7, 15.9, 19.1, 25.4, 31.8)
JASZCZAK_RODS_MM = (4.8, 6.4, 7.9, 9.5, 11.1, 12.7)
NEMA_SPHERES_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)


@dataclass(frozen=True)
class Grid:
    """Cubic voxels around the origin.

    Parameters
    ----------
    shape : tuple of int
        Slices, rows and columns.
    voxel_mm : float
        Side of a voxel [mm].
    """

    shape: tuple[int, int, int]
    voxel_mm: float

    @property
    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Positions z, y and x, shaped to broadcast [mm]."""
        at = [np.asarray((np.arange(n) - (n - 1) / 2) * self.voxel_mm, np.float32) for n in self.shape]
        return at[0][:, None, None], at[1][None, :, None], at[2][None, None, :]


@dataclass(frozen=True)
class Volume:
    """Activity and attenuation on a grid.

    Parameters
    ----------
    name : str
        What it is.
    activity : ndarray, shape (slices, rows, columns), float32
        Activity concentration, arbitrary units.
    attenuation : ndarray, same shape, float32
        Linear attenuation coefficient at 140 keV [1/mm].
    voxel_mm : float
        Side of a voxel [mm].
    """

    name: str
    activity: Floats
    attenuation: Floats
    voxel_mm: float


@dataclass
class Canvas:
    """A volume being drawn.

    Parameters
    ----------
    grid : Grid
        Where.
    """

    grid: Grid
    activity: Floats = field(init=False)
    attenuation: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.activity = np.zeros(self.grid.shape, np.float32)
        self.attenuation = np.zeros(self.grid.shape, np.float32)
        self.z, self.y, self.x = self.grid.axes

    def ellipsoid(
        self,
        centre: tuple[float, float, float],
        axes: tuple[float, float, float],
        rotation: NDArray[np.float64] | None = None,
    ) -> Floats:
        """Return about the distance to an ellipsoid; centre, half axes and the rows of `rotation` are x, y, z [mm]."""
        turn = np.eye(3) if rotation is None else rotation
        dx, dy, dz = self.x - np.float32(centre[0]), self.y - np.float32(centre[1]), self.z - np.float32(centre[2])
        scaled = [
            (np.float32(r[0]) * dx + np.float32(r[1]) * dy + np.float32(r[2]) * dz) / np.float32(a)
            for r, a in zip(turn, axes, strict=True)
        ]
        level = np.sqrt(sum(part * part for part in scaled))
        slope = np.sqrt(sum((part / np.float32(a)) ** 2 for part, a in zip(scaled, axes, strict=True)))
        return np.asarray((level - 1) * level / np.maximum(slope, 1e-6), np.float32) - np.float32(1e-6)

    def ball(self, x: float, y: float, z: float, radius: float) -> Floats:
        """Return the distance to a sphere [mm]."""
        squares = (self.x - np.float32(x)) ** 2 + (self.y - np.float32(y)) ** 2 + (self.z - np.float32(z)) ** 2
        return np.asarray(np.sqrt(squares) - np.float32(radius), np.float32)

    def cylinder(self, radius: float, low: float, high: float, x: float = 0.0, y: float = 0.0) -> Floats:
        """Return the distance to an upright cylinder between two heights [mm]."""
        across = np.hypot(self.x - np.float32(x), self.y - np.float32(y)) - np.float32(radius)
        return self.between(across, low, high)

    def between(self, distance: Floats, low: float, high: float) -> Floats:
        """Return a shape cut off below and above [mm]."""
        return np.maximum(distance, np.maximum(np.float32(low) - self.z, self.z - np.float32(high)))

    def cover(self, distance: Floats) -> Floats:
        """Return the share of each voxel that lies inside."""
        return np.asarray(np.clip(0.5 - distance / np.float32(self.grid.voxel_mm), 0, 1), np.float32)

    def paint(self, distance: Floats, activity: float | Floats | None = None, attenuation: float | None = None) -> None:
        """Replace what lies inside a shape."""
        cover = self.cover(distance)
        if activity is not None:
            self.activity += cover * (np.asarray(activity, np.float32) - self.activity)
        if attenuation is not None:
            self.attenuation += cover * (np.float32(attenuation) - self.attenuation)

    def finished(self, name: str) -> Volume:
        """Return the drawn volume."""
        return Volume(name, np.maximum(self.activity, 0), self.attenuation, self.grid.voxel_mm)


def smooth_union(one: Floats, other: Floats, width_mm: float) -> Floats:
    """Return the union of two shapes with a fillet of about `width_mm` where they meet."""
    near = np.maximum(np.float32(width_mm) - np.abs(one - other), 0)
    return np.asarray(np.minimum(one, other) - near * near / np.float32(4 * width_mm), np.float32)


def smooth_cut(shape: Floats, knife: Floats, width_mm: float) -> Floats:
    """Return what remains of a shape outside of another, with rounded edges."""
    return -smooth_union(-shape, knife, width_mm)


def turned(x_degrees: float = 0.0, y_degrees: float = 0.0, z_degrees: float = 0.0) -> NDArray[np.float64]:
    """Return a rotation matrix about the three axes, z first."""
    matrix = np.eye(3)
    for axis, degrees in ((2, z_degrees), (1, y_degrees), (0, x_degrees)):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        one = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        one[i, i], one[j, j], one[i, j], one[j, i] = c, c, -s, s
        matrix = one @ matrix
    return matrix


def uniform_cylinder(grid: Grid, radius_mm: float = 100.0, length_mm: float = 180.0) -> Volume:
    """Return a cylinder of water with even activity.

    Examples
    --------
    >>> volume = uniform_cylinder(Grid((64, 64, 64), 4.0))
    >>> bool(abs(volume.activity.sum() * 4.0**3 / (np.pi * 100**2 * 180) - 1) < 2e-3)
    True
    """
    canvas = Canvas(grid)
    canvas.paint(canvas.cylinder(radius_mm, -length_mm / 2, length_mm / 2), 1.0, WATER_140KEV_PER_MM)
    return canvas.finished("cylinder")


def jaszczak(grid: Grid) -> Volume:
    """Return a Jaszczak phantom: a cylinder with cold rods, cold spheres and an even part.

    Notes
    -----
    Inner diameter 216 mm, inner height 186 mm, rods in the lowest 88 mm, spheres 127 mm above the bottom on a circle of 57 mm.

    References
    ----------
    * Greer, Jaszczak and Coleman, An overview of a camera-based SPECT system, Med Phys 9 (1982).
    """
    canvas = Canvas(grid)
    bottom = -93.0
    canvas.paint(canvas.cylinder(108.0, bottom, 93.0), 1.0, WATER_140KEV_PER_MM)
    for sector, diameter in enumerate(JASZCZAK_RODS_MM):
        canvas.paint(canvas.between(_rods(canvas, sector, diameter), bottom, bottom + 88), 0.0)
    for k, diameter in enumerate(JASZCZAK_SPHERES_MM):
        angle = np.deg2rad(60.0 * k)
        canvas.paint(canvas.ball(57 * np.cos(angle), 57 * np.sin(angle), bottom + 127, diameter / 2), 0.0)
    return canvas.finished("jaszczak")


def derenzo(grid: Grid) -> Volume:
    """Return a Derenzo phantom: the rods of the Jaszczak phantom, hot in a cold cylinder, 88 mm long.

    Examples
    --------
    >>> bool(derenzo(Grid((8, 64, 64), 4.0)).activity.max() > 0.99)
    True
    """
    canvas = Canvas(grid)
    canvas.paint(canvas.cylinder(108.0, -44.0, 44.0), 0.05, WATER_140KEV_PER_MM)
    for sector, diameter in enumerate(JASZCZAK_RODS_MM):
        canvas.paint(canvas.between(_rods(canvas, sector, diameter), -44.0, 44.0), 1.0)
    return canvas.finished("derenzo")


def nema_body(grid: Grid, contrast: float = 8.0) -> Volume:
    """Return the body phantom of NEMA NU 2 with six hot spheres and the lung insert.

    Parameters
    ----------
    grid : Grid
        Where to draw.
    contrast : float
        Concentration in the spheres over that of the background, which is 1.

    References
    ----------
    * NEMA NU 2, image quality phantom.
    """
    canvas = Canvas(grid)
    y = canvas.y - np.float32(35)
    upper = np.hypot(canvas.x, np.minimum(y, 0)) - np.float32(147)
    lower = np.hypot(np.maximum(np.abs(canvas.x) - 70, 0), np.maximum(y, 0)) - np.float32(77)
    outline = np.asarray(np.where(y < 0, upper, lower), np.float32)
    canvas.paint(canvas.between(outline, -90, 90), 1.0, WATER_140KEV_PER_MM)
    canvas.paint(canvas.cylinder(25.0, -90, 90), 0.0, LUNG_140KEV_PER_MM)
    for k, diameter in enumerate(NEMA_SPHERES_MM):
        angle = np.deg2rad(60.0 * k)
        canvas.paint(canvas.ball(57.2 * np.cos(angle), 57.2 * np.sin(angle), 20, diameter / 2), contrast)
    return canvas.finished("nema-body")


def _rods(canvas: Canvas, sector: int, diameter: float) -> Floats:
    """Return the distance to the rods in one of six sectors [mm]."""
    rods = np.full(canvas.grid.shape[1:], np.float32(1e6))
    for x, y in _rod_places(sector, diameter):
        rods = np.minimum(rods, np.hypot(canvas.x[0] - np.float32(x), canvas.y[0] - np.float32(y)))
    return np.asarray(rods - diameter / 2, np.float32)[None]


def _rod_places(sector: int, diameter: float) -> list[tuple[float, float]]:
    """Return the centres of the rods in one of six sectors, two diameters apart."""
    direction = np.deg2rad(60.0 * sector + 30)
    out, across = np.array([np.cos(direction), np.sin(direction)]), np.array([-np.sin(direction), np.cos(direction)])
    places, row = [], 0
    while (start := 14 + diameter / 2 + 2 * diameter * row * np.sqrt(0.75)) + diameter / 2 < 102:
        for k in range(row + 1):
            at = start * out + (k - row / 2) * 2 * diameter * across
            if np.hypot(*at) + diameter / 2 < 104:
                places.append((float(at[0]), float(at[1])))
        row += 1
    return places
