"""Phantoms of quality control for CT: slanted edge, wire, bars, discs of little contrast, and water."""

from dataclasses import dataclass

import numpy as np

from .ct import Plane, Point
from .ct_drawing import Canvas

FIELD_MM = 153.6
BODY_MM = 72.0
EDGE_DEGREES = 5.0


@dataclass(frozen=True)
class Region:
    """Where something is to be measured.

    Parameters
    ----------
    x_mm, y_mm : float
        Its middle [mm].
    half_width_mm, half_height_mm : float
        Half its sides [mm].
    """

    x_mm: float
    y_mm: float
    half_width_mm: float
    half_height_mm: float

    def pixels(self, side: int, field_mm: float) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return rows and columns, the last not included, on a matrix of ``side`` by ``side``."""
        per_mm = side / field_mm
        rows, columns = (
            (round((middle - half + field_mm / 2) * per_mm), round((middle + half + field_mm / 2) * per_mm))
            for middle, half in ((self.y_mm, self.half_height_mm), (self.x_mm, self.half_width_mm))
        )
        return rows, columns


EDGE = Region(-24.0, 0.0, 14.4, 14.4)
WIRE = Region(0.0, 0.0, 9.6, 9.6)
MIDDLE = Region(0.0, 0.0, 38.4, 38.4)


def edge(background_hu: float, step_hu: float, side: int = 1024) -> Plane:
    """Return a slanted insert in a cylinder; its left edge lies in ``EDGE``.

    Parameters
    ----------
    background_hu, step_hu : float
        Value of the cylinder, and how much higher the insert is [HU].
    side : int
        Pixels along the square.

    Examples
    --------
    >>> plane = edge(0.0, 50.0, 256)
    >>> float(plane.hu[128, 128]), float(plane.hu[128, 60])
    (50.0, 0.0)
    """
    canvas = Canvas(side, FIELD_MM)
    canvas.ellipse(0, 0, BODY_MM, BODY_MM, background_hu)
    canvas.box(0, 0, -EDGE.x_mm, 30, background_hu + step_hu, EDGE_DEGREES)
    return canvas.finished(f"edge of {step_hu:+g} HU")


def wire(weight: float, x_mm: float = 0.0, y_mm: float = 0.0, side: int = 1024) -> Plane:
    """Return a thin wire in water, near the middle of ``WIRE``.

    Parameters
    ----------
    weight : float
        Integral of its values [HU mm^2]: 45 for 0.05 mm of tungsten, which is limited by the scale of a scanner.
    x_mm, y_mm : float
        Where it is [mm].
    side : int
        Pixels along the square.
    """
    canvas = Canvas(side, FIELD_MM)
    canvas.ellipse(0, 0, BODY_MM, BODY_MM, 0.0)
    canvas.points.append(Point(x_mm, y_mm, weight))
    return canvas.finished("wire")


def bars(per_mm: float, step_hu: float, side: int = 1024) -> Plane:
    """Return bars in water, upright in ``MIDDLE``: as wide as the gaps between them, so many pairs per millimetre."""
    canvas = Canvas(side, FIELD_MM)
    canvas.ellipse(0, 0, BODY_MM, BODY_MM, 0.0)
    half = 0.25 / per_mm
    for k in range(-int(20 * per_mm), int(20 * per_mm) + 1):
        canvas.box(k / per_mm, 0, half, 20, step_hu)
    return canvas.finished(f"{per_mm:g} line pairs per mm")


def contrast_detail(
    diameters_mm: tuple[float, ...], steps_hu: tuple[float, ...], side: int = 1024
) -> tuple[Plane, list[list[Region]]]:
    """Return discs of little contrast in water: a row for each diameter, a column for each step.

    Returns
    -------
    Plane
        The phantom.
    list of list of Region
        The square around each disc's inner 0.7 diameters.
    """
    canvas = Canvas(side, FIELD_MM)
    canvas.ellipse(0, 0, BODY_MM, BODY_MM, 0.0)
    found = []
    places = (np.linspace(-40, 40, len(axis)).tolist() for axis in (diameters_mm, steps_hu))
    rows, columns = places
    for y, diameter in zip(rows, diameters_mm, strict=True):
        half = 0.35 * diameter / np.sqrt(2)
        found.append([Region(x, y, half, half) for x in columns])
        for x, step in zip(columns, steps_hu, strict=True):
            canvas.ellipse(x, y, diameter / 2, diameter / 2, step)
    return canvas.finished("contrast-detail"), found


def water(side: int = 1024) -> Plane:
    """Return a cylinder of water."""
    canvas = Canvas(side, FIELD_MM)
    canvas.ellipse(0, 0, BODY_MM, BODY_MM, 0.0)
    return canvas.finished("water")
