"""A transverse plane being drawn: shapes on a square grid, with activity and attenuation.

Positions are millimetres from the centre, x to the right along columns, y down along rows. Shapes are drawn with edges as wide as a
pixel, so that areas and totals hold on any grid.
"""

from copy import copy
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .geometry import coverage, ellipse_distance, turned

Floats = NDArray[np.float32]
Field = NDArray[np.float64]
WATER_511KEV_PER_MM = 0.0096
BONE_511KEV_PER_MM = 0.0165
LUNG_511KEV_PER_MM = 0.0028


@dataclass(frozen=True)
class Disc:
    """A round region with an activity of its own.

    Parameters
    ----------
    x_mm, y_mm, diameter_mm : float
        Where and how large [mm].
    activity : float
        Its concentration, in the units of the slice.
    """

    x_mm: float
    y_mm: float
    diameter_mm: float
    activity: float


@dataclass(frozen=True)
class Slice:
    """A transverse plane.

    Parameters
    ----------
    name : str
        What it is.
    activity : ndarray, shape (side, side), float32
        Activity concentration, arbitrary units.
    attenuation : ndarray, shape (side, side), float32
        Linear attenuation coefficient [1/mm].
    field_mm : float
        Side of the square [mm].
    discs : tuple of Disc
        Spheres and lesions, to be measured.
    """

    name: str
    activity: Floats
    attenuation: Floats
    field_mm: float
    discs: tuple[Disc, ...] = ()


@dataclass
class Canvas:
    """A plane being drawn."""

    side: int
    field_mm: float
    activity: Field = field(init=False)
    attenuation: Field = field(init=False)

    def __post_init__(self) -> None:
        self.activity = np.zeros((self.side, self.side))
        self.attenuation = np.zeros((self.side, self.side))
        at = (np.arange(self.side) - (self.side - 1) / 2) * self.field_mm / self.side
        self.x, self.y = at[None, :], at[:, None]

    def near(self, x: float, y: float, reach: float) -> "Canvas":
        """Return the part around a point that shapes within `reach` can touch [mm]; painting on it paints on the whole."""
        part, pixel = copy(self), self.field_mm / self.side
        columns, rows = (
            slice(*(int(np.clip(round((at + d) / pixel + self.side / 2), 0, self.side)) for d in (-reach, reach)))
            for at in (x, y)
        )
        part.x, part.y = self.x[:, columns], self.y[rows]
        part.activity, part.attenuation = self.activity[rows, columns], self.attenuation[rows, columns]
        return part

    def inside(self, distance_mm: Field) -> Field:
        """Return coverage from a signed distance to an edge, negative inside [mm]."""
        return coverage(distance_mm, self.field_mm / self.side)

    def ellipse(self, x: float, y: float, a: float, b: float, degrees: float = 0.0) -> Field:
        """Return the coverage of an ellipse with half axes a and b [mm]."""
        return self.inside(self.radius(x, y, a, b, degrees))

    def radius(self, x: float, y: float, a: float, b: float, degrees: float = 0.0) -> Field:
        """Return about the distance to an ellipse's edge [mm], negative inside."""
        return ellipse_distance(*turned(self.x - x, self.y - y, degrees), a, b)

    def paint(self, cover: Field, activity: float | Field | None = None, attenuation: float | None = None) -> None:
        """Replace what lies under a shape."""
        if activity is not None:
            self.activity += cover * (activity - self.activity)
        if attenuation is not None:
            self.attenuation += cover * (attenuation - self.attenuation)

    def disc(self, disc: Disc) -> None:
        """Paint a disc's activity."""
        self.spot(disc.x_mm, disc.y_mm, disc.diameter_mm / 2, disc.diameter_mm / 2, disc.activity)

    def spot(self, x: float, y: float, a: float, b: float, activity: float, degrees: float = 0.0) -> None:
        """Paint the activity of a small ellipse."""
        part = self.near(x, y, max(a, b) + 2 * self.field_mm / self.side)
        part.paint(part.ellipse(x, y, a, b, degrees), activity)

    def finished(self, name: str, discs: tuple[Disc, ...] = ()) -> Slice:
        """Return the drawn slice."""
        return Slice(name, self.activity.astype(np.float32), self.attenuation.astype(np.float32), self.field_mm, discs)


def texture(side: int, rng: np.random.Generator, width_px: float) -> Field:
    """Return smooth random variation of unit standard deviation."""
    noise = gaussian_filter(rng.standard_normal((side, side)), width_px, mode="wrap")
    return np.asarray(noise / noise.std(), np.float64)
