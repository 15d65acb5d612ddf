"""Objects in one transverse plane for PET and SPECT: brains, torsos, and the phantoms of quality control.

Positions are millimetres from the centre, x to the right along columns, y down along rows. Shapes are drawn with edges as wide as a
pixel, so that areas and totals hold on any grid.
"""

from collections.abc import Callable

import numpy as np

from .brains import Uptake, brain
from .plane import LUNG_511KEV_PER_MM, WATER_511KEV_PER_MM, Canvas, Disc, Slice, texture

NEMA_SPHERES_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
NEMA_SPHERE_CIRCLE_MM = 57.2
DERENZO_RODS_MM = (4.8, 6.4, 7.9, 9.5, 11.1, 12.7)


def nema_iq(side: int = 512, contrast: float = 4.0, cold: bool = False) -> Slice:
    """Return the sphere plane of the NEMA image quality phantom: six spheres around a lung insert.

    Parameters
    ----------
    side : int
        Pixels along the square.
    contrast : float
        Concentration in hot spheres over that of the background, which is 1.
    cold : bool
        Whether the two largest spheres hold no activity, as NEMA NU 2-2001 to 2012 prescribe.

    References
    ----------
    * NEMA NU 2-2018, section 7. The body is drawn as the standard's outline: a half circle of 147 mm above, and below a
      flat part between two quarter circles of 77 mm.

    Examples
    --------
    >>> [disc.diameter_mm for disc in nema_iq(64).discs]
    [10.0, 13.0, 17.0, 22.0, 28.0, 37.0]
    """
    canvas = Canvas(side, 400.0)
    y = canvas.y - 35.0  # puts the middle of the body at the centre
    upper = np.hypot(canvas.x, np.minimum(y, 0)) - 147.0
    lower = np.hypot(np.maximum(np.abs(canvas.x) - 70.0, 0), np.maximum(y, 0)) - 77.0
    body = canvas.inside(np.where(y < 0, upper, lower))
    canvas.paint(body, 1.0, WATER_511KEV_PER_MM)
    canvas.paint(canvas.ellipse(0, 0, 25, 25), 0.0, LUNG_511KEV_PER_MM)
    discs = []
    for k, diameter in enumerate(NEMA_SPHERES_MM):
        angle = np.deg2rad(60.0 * k)
        level = 0.0 if cold and diameter > 25 else contrast
        at = NEMA_SPHERE_CIRCLE_MM * np.cos(angle), NEMA_SPHERE_CIRCLE_MM * np.sin(angle)
        discs.append(Disc(float(at[0]), float(at[1]), diameter, level))
    for disc in discs:
        canvas.disc(disc)
    return canvas.finished(f"nema-iq-{contrast:g}", tuple(discs))


def derenzo(side: int = 512, rods_mm: tuple[float, ...] = DERENZO_RODS_MM, hot: bool = True) -> Slice:
    """Return six sectors of rods, each twice its diameter from the next, in a cylinder of 216 mm.

    Parameters
    ----------
    side : int
        Pixels along the square.
    rods_mm : tuple of float
        Diameters of the six sectors [mm].
    hot : bool
        Hot rods in a cold cylinder, as a Derenzo phantom has them; otherwise cold rods as in a Jaszczak phantom.

    Examples
    --------
    >>> len({disc.diameter_mm for disc in derenzo(64).discs})
    6
    """
    canvas = Canvas(side, 256.0)
    canvas.paint(canvas.ellipse(0, 0, 108, 108), 0.05 if hot else 1.0, WATER_511KEV_PER_MM)
    discs = []
    for sector, diameter in enumerate(rods_mm):
        direction = np.deg2rad(60.0 * sector + 30.0)
        across, outwards = (
            np.array([-np.sin(direction), np.cos(direction)]),
            np.array([np.cos(direction), np.sin(direction)]),
        )
        pitch, row = 2 * diameter, 0
        while (start := 14.0 + diameter / 2 + row * pitch * np.sqrt(0.75)) + diameter / 2 < 102.0:
            for k in range(row + 1):
                x, y = start * outwards + (k - row / 2) * pitch * across
                if np.hypot(x, y) + diameter / 2 < 104.0:
                    discs.append(Disc(float(x), float(y), diameter, 1.0 if hot else 0.0))
            row += 1
    for disc in discs:
        canvas.disc(disc)
    return canvas.finished("derenzo" if hot else "jaszczak", tuple(discs))


def torso(rng: np.random.Generator, side: int = 512) -> Slice:
    """Return a chest or an upper abdomen with organs and up to six lesions.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the body, the level of the plane, uptakes and lesions.
    side : int
        Pixels along the square.

    Examples
    --------
    >>> torso(np.random.default_rng(0), 64).field_mm > 300
    True
    """
    a, b = rng.uniform(140, 210), rng.uniform(95, 135)
    canvas = Canvas(side, float(rng.uniform(2.1, 2.6) * a))
    body = canvas.ellipse(0, 0, a, b)
    canvas.paint(body, 0.4, WATER_511KEV_PER_MM)
    canvas.paint(canvas.ellipse(0, 0, a - 14, b - 12), 1.0)
    (_chest if rng.random() < 0.5 else _abdomen)(canvas, a, b, rng)
    spine_level = rng.uniform(1.2, 2.5)
    canvas.paint(canvas.ellipse(0, 0.55 * b, 20, 17), spine_level, 0.0125)
    canvas.paint(canvas.ellipse(0, 0.55 * b + 24, 8, 6), 0.6, 0.0125)
    canvas.activity = canvas.activity * (1 + 0.15 * texture(side, rng, 12.0 * side / canvas.field_mm)) * (body > 0)
    np.maximum(canvas.activity, 0, out=canvas.activity)
    lesions = _lesions(rng, int(rng.integers(0, 7)), 0.8 * a, 0.8 * b)
    for lesion in lesions:
        canvas.disc(lesion)
    return canvas.finished("torso", lesions)


def shapes(rng: np.random.Generator, side: int = 512) -> Slice:
    """Return random ellipses, bars, gradients and textures: what no anatomy prepares for.

    Examples
    --------
    >>> bool(shapes(np.random.default_rng(1), 64).activity.min() >= 0)
    True
    """
    canvas = Canvas(side, float(rng.uniform(180, 500)))
    half = canvas.field_mm / 2
    body = canvas.ellipse(0, 0, half * rng.uniform(0.5, 0.9), half * rng.uniform(0.5, 0.9))
    canvas.paint(body, rng.uniform(0, 1), WATER_511KEV_PER_MM * rng.uniform(0, 1.2))
    for _ in range(int(rng.integers(3, 28))):
        x, y = rng.uniform(-0.7, 0.7, 2) * half
        p, q = np.exp(rng.uniform(np.log(3), np.log(0.4 * half), 2))
        turn = rng.uniform(0, 180)
        canvas.spot(x, y, p, q, float(rng.choice([0.0, 1.0]) * np.exp(rng.normal(0, 1))), turn)
    if rng.random() < 0.4:
        period, turn = rng.uniform(6, 40), rng.uniform(0, np.pi)
        wave = canvas.x * np.cos(turn) + canvas.y * np.sin(turn)
        canvas.activity *= 1 + rng.uniform(0.1, 1) * np.sign(np.sin(2 * np.pi * wave / period))
    grain = texture(side, rng, float(np.exp(rng.uniform(np.log(1.5), np.log(20)))) * side / 256)
    canvas.activity = np.maximum(canvas.activity * (1 + rng.uniform(0, 0.4) * grain), 0) * body
    return canvas.finished("shapes")


OBJECTS: dict[str, Callable[[np.random.Generator, int], Slice]] = {
    "brain": lambda rng, side: brain(rng, side, Uptake.drawn(rng)),
    "torso": torso,
    "nema-iq": lambda rng, side: nema_iq(side, float(rng.uniform(2, 10)), bool(rng.integers(2))),
    "derenzo": lambda rng, side: derenzo(side, tuple(np.sort(rng.uniform(3, 16, 6))), bool(rng.integers(2))),
    "shapes": shapes,
}


def _chest(canvas: Canvas, a: float, b: float, rng: np.random.Generator) -> None:
    """Paint lungs and heart."""
    for mirror in (-1, 1):
        lung = canvas.ellipse(mirror * 0.45 * a, -0.05 * b, 0.36 * a, 0.68 * b, mirror * 8)
        canvas.paint(lung, rng.uniform(0.25, 0.45), LUNG_511KEV_PER_MM)
    x, y, turn = 0.12 * a, -0.3 * b, rng.uniform(20, 50)
    outer = rng.uniform(34, 42)
    canvas.paint(
        canvas.ellipse(x, y, outer, 0.85 * outer, turn), float(np.exp(rng.uniform(0, np.log(8)))), WATER_511KEV_PER_MM
    )
    canvas.paint(canvas.ellipse(x, y, outer - 11, 0.85 * outer - 11, turn), rng.uniform(1.2, 2.0))
    canvas.paint(canvas.ellipse(0.12 * a, 0.32 * b, 11, 11), rng.uniform(1.2, 2.0))


def _abdomen(canvas: Canvas, a: float, b: float, rng: np.random.Generator) -> None:
    """Paint liver, spleen, stomach and kidneys."""
    canvas.paint(canvas.ellipse(-0.45 * a, -0.1 * b, 0.42 * a, 0.62 * b, 12), rng.uniform(1.6, 2.6))
    canvas.paint(canvas.ellipse(-0.05 * a, -0.38 * b, 0.3 * a, 0.22 * b, -10), rng.uniform(1.6, 2.6))
    canvas.paint(canvas.ellipse(0.62 * a, 0.15 * b, 0.18 * a, 0.4 * b, -15), rng.uniform(1.4, 2.4))
    canvas.paint(canvas.ellipse(0.3 * a, -0.3 * b, 0.22 * a, 0.25 * b, 30), rng.uniform(0.5, 1.8))
    for mirror in (-1, 1):
        canvas.paint(canvas.ellipse(mirror * 0.38 * a, 0.48 * b, 22, 32, mirror * 20), rng.uniform(2, 9))
        canvas.paint(canvas.ellipse(mirror * 0.33 * a, 0.45 * b, 10, 18, mirror * 20), rng.uniform(0.8, 14))


def _lesions(rng: np.random.Generator, number: int, a: float, b: float) -> tuple[Disc, ...]:
    """Return hot lesions that do not touch each other."""
    found: list[Disc] = []
    for _ in range(4 * number):
        radius, turn = np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        x, y = float(a * radius * np.cos(turn)), float(b * radius * np.sin(turn))
        diameter, level = (
            float(np.exp(rng.uniform(np.log(5), np.log(32)))),
            float(np.exp(rng.uniform(np.log(2), np.log(14)))),
        )
        apart = all(np.hypot(x - o.x_mm, y - o.y_mm) > (diameter + o.diameter_mm) / 2 + 6 for o in found)
        if apart and len(found) < number:
            found.append(Disc(x, y, diameter, level))
    return tuple(found)
