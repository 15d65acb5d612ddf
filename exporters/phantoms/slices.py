"""Objects in one transverse plane for PET and SPECT: brains, torsos, and the phantoms of quality control.

Positions are millimetres from the centre, x to the right along columns, y down along rows. Shapes are drawn with edges as wide as a
pixel, so that areas and totals hold on any grid.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float32]
Field = NDArray[np.float64]
WATER_511KEV_PER_MM = 0.0096
BONE_511KEV_PER_MM = 0.0165
LUNG_511KEV_PER_MM = 0.0028
NEMA_SPHERES_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
NEMA_SPHERE_CIRCLE_MM = 57.2
DERENZO_RODS_MM = (4.8, 6.4, 7.9, 9.5, 11.1, 12.7)


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
class _Canvas:
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

    def inside(self, distance_mm: Field) -> Field:
        """Return coverage from a signed distance to an edge, negative inside [mm]."""
        return np.clip(0.5 - distance_mm * (self.side / self.field_mm), 0, 1)

    def ellipse(self, x: float, y: float, a: float, b: float, degrees: float = 0.0) -> Field:
        """Return the coverage of an ellipse with half axes a and b [mm]."""
        return self.inside(self.radius(x, y, a, b, degrees))

    def radius(self, x: float, y: float, a: float, b: float, degrees: float = 0.0) -> Field:
        """Return about the distance to an ellipse's edge [mm], negative inside."""
        turn = np.deg2rad(degrees)
        u = (self.x - x) * np.cos(turn) + (self.y - y) * np.sin(turn)
        v = (self.y - y) * np.cos(turn) - (self.x - x) * np.sin(turn)
        level = np.hypot(u / a, v / b)
        slope = np.hypot(u / a**2, v / b**2) / np.maximum(level, 1e-6)
        return np.asarray((level - 1) / np.maximum(slope, 1 / max(a, b)), np.float64)

    def paint(self, cover: Field, activity: float | Field | None = None, attenuation: float | None = None) -> None:
        """Replace what lies under a shape."""
        if activity is not None:
            self.activity += cover * (activity - self.activity)
        if attenuation is not None:
            self.attenuation += cover * (attenuation - self.attenuation)

    def disc(self, disc: Disc) -> None:
        """Paint a disc's activity."""
        self.paint(self.ellipse(disc.x_mm, disc.y_mm, disc.diameter_mm / 2, disc.diameter_mm / 2), disc.activity)

    def finished(self, name: str, discs: tuple[Disc, ...] = ()) -> Slice:
        """Return the drawn slice."""
        return Slice(name, self.activity.astype(np.float32), self.attenuation.astype(np.float32), self.field_mm, discs)


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
    canvas = _Canvas(side, 400.0)
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
    canvas = _Canvas(side, 256.0)
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


def brain(rng: np.random.Generator, side: int = 512, grey_to_white: float = 4.0) -> Slice:
    """Return an analytic brain: folded grey matter around white matter, ventricles, deep nuclei, skull and scalp.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws size, folds and nuclei.
    side : int
        Pixels along the square.
    grey_to_white : float
        Ratio of concentrations; 4 in a Hoffman phantom.

    References
    ----------
    * Hoffman et al., 3-D phantom to simulate cerebral blood flow and metabolic images for PET, IEEE TNS 37 (1990).

    Examples
    --------
    >>> brain(np.random.default_rng(0), 64).activity.shape
    (64, 64)
    """
    canvas = _Canvas(side, 256.0)
    a, b = rng.uniform(62, 70), rng.uniform(78, 90)
    canvas.paint(canvas.ellipse(0, 0, a + 12, b + 12), 0.25 * rng.uniform(0.2, 1.5), WATER_511KEV_PER_MM)
    canvas.paint(canvas.ellipse(0, 0, a + 8, b + 8), 0.05, BONE_511KEV_PER_MM)
    canvas.paint(canvas.ellipse(0, 0, a + 2, b + 2), 0.0, WATER_511KEV_PER_MM)
    depth = -canvas.radius(0, 0, a, b)
    angle = np.arctan2(canvas.y / b, canvas.x / a)
    folds = _folds(depth, angle, rng)
    fissure = np.abs(canvas.x) - rng.uniform(1.0, 2.0)
    canvas.paint(canvas.inside(-depth), 1.0)
    thickness = rng.uniform(3.5, 6.0)
    grey = canvas.inside(
        np.minimum(depth - folds - thickness, np.where(np.abs(canvas.y) > 0.25 * b, fissure - thickness, 99))
    )
    canvas.paint(grey * canvas.inside(-depth), grey_to_white)
    sulci = canvas.inside(depth - folds + rng.uniform(0.5, 1.5)) * canvas.inside(-depth)
    canvas.paint(sulci, 0.0)
    canvas.paint(canvas.inside(np.where(np.abs(canvas.y) > 0.3 * b, fissure, 99.0)) * canvas.inside(-depth), 0.0)
    for mirror in (-1, 1):
        for x, y, p, q, turn, level in _NUCLEI:
            jitter = rng.normal(0, 1.0, 2)
            shape = canvas.ellipse(mirror * (x + jitter[0]), y + jitter[1], p, q, mirror * turn)
            canvas.paint(shape, grey_to_white * level * rng.uniform(0.9, 1.1) if level else 0.0)
    return canvas.finished("brain")


def brain_from_labels(labels: NDArray[np.uint8], pixel_mm: float, side: int, grey_to_white: float = 4.0) -> Slice:
    """Return a Hoffman-like slice of a segmented head: grey matter, white matter, and a little in the scalp.

    Parameters
    ----------
    labels : ndarray, shape (rows, columns), uint8
        Tissues as in BrainWeb: 1 fluid, 2 grey matter, 3 white matter, 7 and 11 bone, 0 air.
    pixel_mm : float
        Side of a pixel [mm].
    side : int
        Pixels along the square, not less than rows and columns.
    grey_to_white : float
        Ratio of concentrations.

    Examples
    --------
    >>> float(brain_from_labels(np.full((4, 4), 2, np.uint8), 0.5, 8).activity.sum())
    64.0
    """
    rows, columns = labels.shape
    placed = np.zeros((side, side), np.uint8)
    placed[(side - rows) // 2 :, (side - columns) // 2 :][:rows, :columns] = labels
    soft = (placed > 3) & (placed != 7) & (placed != 11)
    activity = np.select([placed == 2, placed == 3, soft], [grey_to_white, 1.0, 0.25]).astype(np.float32)
    bone = (placed == 7) | (placed == 11)
    attenuation = np.select([bone, placed > 0], [BONE_511KEV_PER_MM, WATER_511KEV_PER_MM]).astype(np.float32)
    return Slice("hoffman-like", activity, attenuation, side * pixel_mm)


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
    canvas = _Canvas(side, float(rng.uniform(2.1, 2.6) * a))
    body = canvas.ellipse(0, 0, a, b)
    canvas.paint(body, 0.4, WATER_511KEV_PER_MM)
    canvas.paint(canvas.ellipse(0, 0, a - 14, b - 12), 1.0)
    (_chest if rng.random() < 0.5 else _abdomen)(canvas, a, b, rng)
    spine_level = rng.uniform(1.2, 2.5)
    canvas.paint(canvas.ellipse(0, 0.55 * b, 20, 17), spine_level, 0.0125)
    canvas.paint(canvas.ellipse(0, 0.55 * b + 24, 8, 6), 0.6, 0.0125)
    canvas.activity = canvas.activity * (1 + 0.15 * _texture(side, rng, 12.0 * side / canvas.field_mm)) * (body > 0)
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
    canvas = _Canvas(side, float(rng.uniform(180, 500)))
    half = canvas.field_mm / 2
    body = canvas.ellipse(0, 0, half * rng.uniform(0.5, 0.9), half * rng.uniform(0.5, 0.9))
    canvas.paint(body, rng.uniform(0, 1), WATER_511KEV_PER_MM * rng.uniform(0, 1.2))
    for _ in range(int(rng.integers(3, 28))):
        x, y = rng.uniform(-0.7, 0.7, 2) * half
        p, q = np.exp(rng.uniform(np.log(3), np.log(0.4 * half), 2))
        canvas.paint(canvas.ellipse(x, y, p, q, rng.uniform(0, 180)), rng.choice([0.0, 1.0]) * np.exp(rng.normal(0, 1)))
    if rng.random() < 0.4:
        period, turn = rng.uniform(6, 40), rng.uniform(0, np.pi)
        wave = canvas.x * np.cos(turn) + canvas.y * np.sin(turn)
        canvas.activity *= 1 + rng.uniform(0.1, 1) * np.sign(np.sin(2 * np.pi * wave / period))
    texture = _texture(side, rng, float(np.exp(rng.uniform(np.log(1.5), np.log(20)))) * side / 256)
    canvas.activity = np.maximum(canvas.activity * (1 + rng.uniform(0, 0.4) * texture), 0) * body
    return canvas.finished("shapes")


OBJECTS: dict[str, Callable[[np.random.Generator, int], Slice]] = {
    "brain": brain,
    "torso": torso,
    "nema-iq": lambda rng, side: nema_iq(side, float(rng.uniform(2, 10)), bool(rng.integers(2))),
    "derenzo": lambda rng, side: derenzo(side, tuple(np.sort(rng.uniform(3, 16, 6))), bool(rng.integers(2))),
    "shapes": shapes,
}

# x, y, half axes [mm], turn, level relative to grey matter: ventricles, thalamus, caudate, putamen.
_NUCLEI = (
    (8.0, -14.0, 5.0, 17.0, 15.0, 0.0),
    (9.0, 10.0, 8.0, 11.0, -20.0, 0.95),
    (13.0, -18.0, 4.5, 9.0, 20.0, 1.05),
    (25.0, -5.0, 6.0, 15.0, 15.0, 1.05),
    (12.0, 34.0, 5.0, 14.0, -20.0, 0.0),
)


def _folds(depth: Field, angle: Field, rng: np.random.Generator) -> Field:
    """Return how much deeper the cortex reaches at each point: gyri and sulci [mm]."""
    waves = np.zeros(np.broadcast(depth, angle).shape)
    for _ in range(9):
        number = int(rng.integers(6, 28))
        waves += np.sin(number * angle + rng.uniform(0, 2 * np.pi) + rng.uniform(-0.06, 0.06) * depth)
    return np.maximum(waves, 0) ** 1.5 * rng.uniform(1.8, 3.2)


def _chest(canvas: _Canvas, a: float, b: float, rng: np.random.Generator) -> None:
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


def _abdomen(canvas: _Canvas, a: float, b: float, rng: np.random.Generator) -> None:
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


def _texture(side: int, rng: np.random.Generator, width_px: float) -> Field:
    """Return smooth random variation of unit standard deviation."""
    noise = gaussian_filter(rng.standard_normal((side, side)), width_px, mode="wrap")
    return np.asarray(noise / noise.std(), np.float64)
