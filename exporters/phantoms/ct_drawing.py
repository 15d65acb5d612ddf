"""Drawing a plane in Hounsfield units: shapes of which only the neighbourhood is touched, so that many are cheap.

Positions are millimetres from the centre, x to the right along columns, y down along rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from .ct import AIR_HU, Field, Floats, Plane, Point
from .geometry import coverage, ellipse_distance, turned


@dataclass
class Pen:
    """The part of a plane that a shape may touch.

    Parameters
    ----------
    x, y : ndarray, shapes (1, columns) and (rows, 1)
        Places of the pixels [mm].
    hu : ndarray, shape (rows, columns), float32
        What is there; painting changes it.
    pixel_mm : float
        Side of a pixel [mm].
    """

    x: Field
    y: Field
    hu: Floats
    pixel_mm: float

    def inside(self, distance_mm: Field) -> Field:
        """Return coverage from a signed distance to an edge, negative inside [mm]."""
        return coverage(distance_mm, self.pixel_mm)

    def radius(self, x: float, y: float, a: float, b: float, degrees: float = 0.0) -> Field:
        """Return about the distance to the edge of an ellipse with half axes a and b [mm], negative inside."""
        return ellipse_distance(*self.turned(x, y, degrees), a, b)

    def turned(self, x: float, y: float, degrees: float) -> tuple[Field, Field]:
        """Return coordinates along and across an axis through a place [mm]."""
        return turned(self.x - x, self.y - y, degrees)

    def paint(self, cover: Field, hu: float | Field) -> None:
        """Replace what lies under a shape."""
        self.hu += (cover * (hu - self.hu)).astype(np.float32)


@dataclass
class Canvas:
    """A plane being drawn.

    Parameters
    ----------
    side : int
        Pixels along the square.
    field_mm : float
        Its side [mm].
    """

    side: int
    field_mm: float
    hu: Floats = field(init=False)
    points: list[Point] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.hu = np.full((self.side, self.side), AIR_HU, np.float32)
        self.pixel_mm = self.field_mm / self.side
        self.at = np.asarray((np.arange(self.side) - (self.side - 1) / 2) * self.pixel_mm, np.float64)

    @contextmanager
    def around(self, x: float = 0.0, y: float = 0.0, reach: float = np.inf) -> Iterator[Pen]:
        """Draw within a distance of a place; everywhere unless given."""
        rows, columns = (
            slice(*np.searchsorted(self.at, (middle - reach, middle + reach)).tolist()) for middle in (y, x)
        )
        yield Pen(self.at[None, columns], self.at[rows, None], self.hu[rows, columns], self.pixel_mm)

    def ellipse(self, x: float, y: float, a: float, b: float, hu: float, degrees: float = 0.0) -> None:
        """Fill an ellipse with half axes a and b [mm]."""
        with self.around(x, y, max(a, b) + 2 * self.pixel_mm) as pen:
            pen.paint(pen.inside(pen.radius(x, y, a, b, degrees)), hu)

    def box(self, x: float, y: float, a: float, b: float, hu: float, degrees: float = 0.0) -> None:
        """Fill a rectangle with half sides a and b [mm]."""
        with self.around(x, y, float(np.hypot(a, b)) + 2 * self.pixel_mm) as pen:
            along, across = pen.turned(x, y, degrees)
            pen.paint(pen.inside(np.abs(along) - a) * pen.inside(np.abs(across) - b), hu)

    def ring(self, x: float, y: float, a: float, b: float, wall: float, hu: float, degrees: float = 0.0) -> None:
        """Draw the wall of an ellipse, so thick to the inside of half axes a and b [mm]."""
        with self.around(x, y, max(a, b) + 2 * self.pixel_mm) as pen:
            outside = pen.radius(x, y, a, b, degrees)
            inner = pen.radius(x, y, max(a - wall, 0.1), max(b - wall, 0.1), degrees)
            pen.paint(pen.inside(outside) * (1 - pen.inside(inner)), hu)

    def grain(self, where: Field, hu: float, size_mm: float, rng: np.random.Generator) -> None:
        """Add a random texture of a standard deviation [HU] and a size of its grains [mm] to a part of the plane."""
        coarse = max(round(self.field_mm / size_mm), 4)
        noise = zoom(rng.standard_normal((coarse, coarse)), (self.side + 1) / coarse, order=1)[: self.side, : self.side]
        self.hu += (where * (hu * noise)).astype(np.float32)

    def finished(self, name: str) -> Plane:
        """Return the drawn plane."""
        return Plane(name, np.maximum(self.hu, np.float32(AIR_HU)), self.field_mm, tuple(self.points))


def covered(canvas: Canvas, x: float, y: float, a: float, b: float) -> NDArray[np.float64]:
    """Return the coverage of an ellipse over the whole plane."""
    with canvas.around() as pen:
        return pen.inside(pen.radius(x, y, a, b))
