"""Brains in one transverse plane: an analytic one with a folded cortex, and one made from a segmented head."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from .plane import BONE_511KEV_PER_MM, WATER_511KEV_PER_MM, Canvas, Disc, Field, Slice

FIELD_MM = 220.0
_KNOTS = 160  # of smooth random fields: 1.4 mm apart, finer than any fold
# x, y, half axes [mm], turn: thalamus, head of caudate, putamen; all at home a little in front of the middle.
_NUCLEI = ((10.0, 8.0, 8.0, 12.0, -20.0), (13.0, -20.0, 5.0, 9.0, 20.0), (25.0, -6.0, 6.0, 16.0, 15.0))
_VENTRICLES = ((8.0, -15.0, 4.0, 15.0, 15.0), (13.0, 32.0, 4.5, 14.0, -20.0))


@dataclass(frozen=True)
class Uptake:
    """Concentrations in a head, relative to white matter.

    Parameters
    ----------
    grey : float
        Grey matter; below 1 for tracers of amyloid in a healthy brain.
    fluid : float
        Ventricles and sulci.
    scalp : float
        Muscle and skin.
    variation : float
        Standard deviation of slow random changes across the brain, relative.
    asymmetry : float
        Difference between the sides, relative.
    """

    grey: float = 4.0
    fluid: float = 0.0
    scalp: float = 0.25
    variation: float = 0.0
    asymmetry: float = 0.0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Uptake":
        """Draw a tracer and a patient: three in four take more grey than white, as with FDG, by 1.2 to 5 times."""
        grey = np.exp(rng.uniform(np.log(1.2), np.log(5.0))) if rng.random() < 0.75 else rng.uniform(0.4, 1.2)
        return cls(
            float(grey), rng.uniform(0, 0.3), rng.uniform(0, 1.2), rng.uniform(0, 0.2), float(rng.normal(0, 0.08))
        )


def brain(rng: np.random.Generator, side: int = 512, uptake: Uptake = Uptake()) -> Slice:
    """Return an analytic brain: a folded ribbon of grey matter, white matter, ventricles, nuclei, bone and scalp.

    The sulci lie where a smooth random field is zero, and at the midline; the ribbon follows their walls and the surface.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws size, level of the plane, folds, nuclei and lesions.
    side : int
        Pixels along the square of 220 mm.
    uptake : Uptake
        Concentrations; by default those of a Hoffman phantom, grey to white as 4 to 1.

    References
    ----------
    * Hoffman et al., 3-D phantom to simulate cerebral blood flow and metabolic images for PET, IEEE TNS 37 (1990).

    Examples
    --------
    >>> brain(np.random.default_rng(0), 64).activity.shape
    (64, 64)
    """
    canvas = Canvas(side, FIELD_MM)
    a, b, high = head(canvas, uptake, rng)
    depth = -canvas.radius(0, 0, a, b) - 1.2 * np.abs(smooth_field(canvas, rng, 7.0))
    surface = _pial_distance(canvas, depth, b, rng)
    gap = rng.uniform(0.0, 1.2)  # half a sulcus
    canvas.paint(canvas.inside(gap - surface), 1.0)
    ribbon = gap + rng.uniform(2.2, 4.2) * (1 + 0.12 * smooth_field(canvas, rng, 12.0))
    canvas.paint(canvas.inside(gap - surface) * canvas.inside(surface - ribbon), uptake.grey)
    if not high:
        add_nuclei(canvas, uptake, rng)
    lesions = _lesions(a, b, rng) if rng.random() < 0.3 else ()
    for lesion in lesions:
        canvas.disc(lesion)
    vary(canvas, depth, uptake, rng)
    return canvas.finished("brain", lesions)


def folded_brain(rng: np.random.Generator, side: int = 512, uptake: Uptake = Uptake()) -> Slice:
    """Return a brain whose grey matter is thick and closely folded, as in Hoffman's phantom.

    Here white matter is what is drawn: a core, and blades that grow from it to within a ribbon of the surface. Grey matter fills the
    rest but for a few open sulci.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws size, level of the plane, folds and nuclei.
    side : int
        Pixels along the square of 220 mm.
    uptake : Uptake
        Concentrations; by default those of a Hoffman phantom, grey to white as 4 to 1.

    Examples
    --------
    >>> folded_brain(np.random.default_rng(0), 64).activity.shape
    (64, 64)
    """
    canvas = Canvas(side, FIELD_MM)
    a, b, high = head(canvas, uptake, rng)
    depth = -canvas.radius(0, 0, a, b) - rng.uniform(0.8, 2.5) * np.abs(smooth_field(canvas, rng, 5.0))
    fissure = np.abs(canvas.x - 2.0 * smooth_field(canvas, rng, 25.0))
    ends = np.maximum(rng.uniform(0.2, 0.6) * b - np.abs(canvas.y), 0)
    depth = np.minimum(depth, np.hypot(fissure, ends))
    core = depth - rng.uniform(9, 20) * (1 + 0.35 * smooth_field(canvas, rng, 10.0))
    blade = rng.uniform(1.0, 2.6) * (1 + 0.4 * smooth_field(canvas, rng, 8.0)) - _lines(
        canvas, rng, rng.uniform(2.4, 4.2)
    )
    ribbon = rng.uniform(2.5, 4.0) * (1 + 0.15 * smooth_field(canvas, rng, 8.0))
    sulcus = _lines(canvas, rng, rng.uniform(3.0, 6.0)) - rng.uniform(0.0, 0.6)
    canvas.paint(canvas.inside(-depth), uptake.grey)
    canvas.paint(canvas.inside(np.maximum(sulcus, np.maximum(core, -depth))), uptake.fluid)
    canvas.paint(canvas.inside(np.maximum(ribbon - depth, -np.maximum(core, blade))), 1.0)
    if not high:
        add_nuclei(canvas, uptake, rng)
    vary(canvas, depth, uptake, rng)
    return canvas.finished("folded brain")


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


def head(canvas: Canvas, uptake: Uptake, rng: np.random.Generator) -> tuple[float, float, bool]:
    """Paint scalp, bone and fluid; return the brain's half axes [mm], and whether the plane is above the nuclei."""
    high = rng.random() < 0.35
    a = rng.uniform(40, 66) if high else rng.uniform(58, 70)
    b = min(1.28 * a * rng.uniform(0.95, 1.06), 90.0)
    canvas.paint(canvas.ellipse(0, 0, a + 12, b + 12), uptake.scalp, WATER_511KEV_PER_MM)
    canvas.paint(canvas.ellipse(0, 0, a + 8, b + 8), 0.2 * uptake.scalp, BONE_511KEV_PER_MM)
    canvas.paint(canvas.ellipse(0, 0, a + 2, b + 2), uptake.fluid, WATER_511KEV_PER_MM)
    return a, b, high


def vary(canvas: Canvas, depth: Field, uptake: Uptake, rng: np.random.Generator) -> None:
    """Make the brain's uptake change slowly from place to place, and from side to side."""
    slow = 1 + uptake.variation * smooth_field(canvas, rng, 14.0) + uptake.asymmetry * np.tanh(canvas.x / 15)
    canvas.activity *= 1 + canvas.inside(-depth) * (np.maximum(slow, 0.3) - 1)


def _lines(canvas: Canvas, rng: np.random.Generator, width_mm: float) -> Field:
    """Return about how far each point is from winding lines, where a smooth random field is zero [mm]."""
    field = smooth_field(canvas, rng, width_mm)
    slope = np.hypot(*np.gradient(field, canvas.field_mm / canvas.side))
    return np.asarray(np.abs(field) / np.maximum(slope, 0.25 / width_mm), np.float64)


def _pial_distance(canvas: Canvas, depth: Field, b: float, rng: np.random.Generator) -> Field:
    """Return how far each point of the brain is from its surface, which sulci and fissure carry inside [mm]."""
    width = rng.uniform(2.8, 4.2)
    folds = smooth_field(canvas, rng, width) - 0.6 * smooth_field(canvas, rng, 3 * width)
    slope = np.hypot(*np.gradient(folds, canvas.field_mm / canvas.side))
    sulcus = np.abs(folds) / np.maximum(slope, 0.25 / width)
    reach = rng.uniform(14, 30) * (1 + 0.35 * smooth_field(canvas, rng, 10.0))
    bottom = np.maximum(depth - reach, 0)
    fissure = np.abs(canvas.x - 2.0 * smooth_field(canvas, rng, 25.0))
    ends = np.maximum(rng.uniform(0.2, 0.45) * b - np.abs(canvas.y), 0)
    return np.minimum(depth, np.minimum(np.hypot(sulcus, bottom), np.hypot(fissure, ends)))


def add_nuclei(canvas: Canvas, uptake: Uptake, rng: np.random.Generator) -> None:
    """Paint nuclei and ventricles of both sides, each a little different."""
    size, wide = rng.uniform(0.85, 1.15), rng.uniform(0.5, 1.6)
    for mirror in (-1, 1):
        for x, y, p, q, turn in _NUCLEI:
            dx, dy = rng.normal(0, 1.5, 2)
            level = uptake.grey * rng.uniform(0.85, 1.25)
            canvas.spot(mirror * (x + dx), y + dy, size * p, size * q, level, mirror * turn)
        for x, y, p, q, turn in _VENTRICLES:
            dx, dy = rng.normal(0, 1.0, 2)
            canvas.spot(mirror * (x + dx), y + dy, wide * p, q, uptake.fluid, mirror * turn)


def _lesions(a: float, b: float, rng: np.random.Generator) -> tuple[Disc, ...]:
    """Return one to three lesions, hot or cold."""
    found = []
    for _ in range(int(rng.integers(1, 4))):
        radius, turn = 0.8 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        level = rng.uniform(0, 0.6) if rng.random() < 0.4 else np.exp(rng.uniform(np.log(1.5), np.log(12)))
        at = float(a * radius * np.cos(turn)), float(b * radius * np.sin(turn))
        found.append(Disc(*at, float(rng.uniform(4, 24)), float(level)))
    return tuple(found)


def smooth_field(canvas: Canvas, rng: np.random.Generator, width_mm: float) -> Field:
    """Return a smooth random field of unit standard deviation, the same on any matrix."""
    noise = gaussian_filter(rng.standard_normal((_KNOTS, _KNOTS)), width_mm * _KNOTS / canvas.field_mm, mode="wrap")
    between = _interpolation(canvas.side)
    return np.asarray(between @ (noise / noise.std()) @ between.T, np.float64)


@lru_cache(maxsize=16)
def _interpolation(side: int) -> Field:
    """Return the weights of the knots in cubic interpolation along one axis, shape (side, knots)."""
    return np.asarray(zoom(np.eye(_KNOTS), (side / _KNOTS, 1), order=3, mode="grid-wrap", grid_mode=True), np.float64)
