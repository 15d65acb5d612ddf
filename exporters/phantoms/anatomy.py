"""Organs in three dimensions, for planar views and for SPECT: liver and spleen, lungs, kidneys, heart and brain.

Each function draws one patient's anatomy and uptake. Axes and units are those of :mod:`.volumes`; soft tissue is about 1.
"""

import numpy as np

from .camera import WATER_140KEV_PER_MM
from .volumes import (
    BONE_140KEV_PER_MM,
    LUNG_140KEV_PER_MM,
    Canvas,
    Floats,
    Grid,
    Volume,
    smooth_cut,
    smooth_union,
    turned,
)

BIG = 1e3  # half a length that no field of view reaches


def liver(grid: Grid, rng: np.random.Generator) -> Volume:
    """Return liver, spleen and marrow after a colloid, with hot or cold lesions.

    Parameters
    ----------
    grid : Grid
        Where to draw; a field of 400 mm holds all of it.
    rng : numpy.random.Generator
        Draws anatomy and uptake.

    Returns
    -------
    Volume
        Centred between liver and spleen.

    Examples
    --------
    >>> volume = liver(Grid((40, 40, 40), 10.0), np.random.default_rng(0))
    >>> bool(volume.activity.max() > 5)
    True
    """
    canvas = Canvas(grid)
    girth, uptake = rng.uniform(0.92, 1.15), rng.uniform(12, 28)
    _trunk(canvas, girth)
    _marrow(canvas, 62.0, uptake * rng.uniform(0.02, 0.12))
    outline = liver_shape(canvas, girth, rng)
    canvas.paint(outline, uptake)
    spleen = canvas.ellipsoid((112 * girth, 42, 22), (26, 33, 52 * rng.uniform(0.8, 1.2)), turned(0, -14, 24))
    canvas.paint(smooth_cut(spleen, canvas.ball(72 * girth, 20, 22, 30), 12), uptake * rng.uniform(0.5, 1.5))
    for _ in range(int(rng.integers(0, 6))):
        at = (rng.uniform(-120, 10), rng.uniform(-50, 45), rng.uniform(-70, 60))
        lesion = canvas.ball(*at, rng.uniform(5, 20))
        canvas.paint(np.maximum(lesion, outline + 3), uptake * rng.choice([0.1, 0.3, 2.5]))
    return canvas.finished("liver")


def liver_shape(canvas: Canvas, girth: float, rng: np.random.Generator) -> Floats:
    """Return the distance to a liver: a dome under the diaphragm, a left lobe, an edge that rises to the left [mm]."""
    size, width = rng.uniform(0.9, 1.12), rng.uniform(0.8, 1.25)
    right = canvas.ellipsoid((-68 * girth, 4, 4), (82 * size, 82, 92 * size))
    left = canvas.ellipsoid((8, -38, 36), (78 * width, 36, 34), turned(0, rng.uniform(4, 14), 0))
    shape = smooth_union(right, left, 26)
    slope = rng.uniform(0.55, 0.85)
    edge = (canvas.z + 92 * size - slope * (canvas.x + 130)) / np.float32(np.hypot(1, slope))
    shape = smooth_cut(shape, np.asarray(edge, np.float32), 24)
    shape = smooth_cut(shape, canvas.ellipsoid((-20, 34, -70), (52, 48, 60)), 18)  # porta, right kidney and bowel
    fossa = canvas.ellipsoid((-42 * girth, -50, -46), (13, 22, 26), turned(30, 0, 0))
    shape = smooth_cut(shape, fossa, 8)
    chest = canvas.ellipsoid((0, 0, 0), (152 * girth, 100 * girth, BIG))
    heart = canvas.ball(34, -44, 96, 46)
    return smooth_cut(np.maximum(shape, chest), heart, 14)


def lungs(grid: Grid, rng: np.random.Generator) -> Volume:
    """Return a perfusion study of the lungs with segmental defects; more goes to the bases, as in a sitting patient."""
    canvas = Canvas(grid)
    girth, uptake = rng.uniform(0.92, 1.12), rng.uniform(12, 30)
    _trunk(canvas, girth)
    _marrow(canvas, 66.0, 1.0)
    gradient = uptake * (1 + rng.uniform(0.05, 0.3) * np.clip(-canvas.z / 120, -1, 1))
    flow = np.asarray(gradient * np.ones(grid.shape, np.float32), np.float32)
    both = np.full(grid.shape, np.float32(BIG))
    for side in (-1, 1):
        lobe = lung_shape(canvas, side, girth, rng)
        both = np.minimum(both, lobe)
        for _ in range(int(rng.choice([0, 0, 1, 2, 4]))):
            flow *= 1 - canvas.cover(_segment(canvas, side, girth, rng)) * np.float32(rng.uniform(0.5, 1.0))
    canvas.paint(both, flow, LUNG_140KEV_PER_MM)
    return canvas.finished("lungs")


def lung_shape(canvas: Canvas, side: int, girth: float, rng: np.random.Generator) -> Floats:
    """Return the distance to a lung: narrow apex, concave base over the diaphragm, room for the heart [mm]."""
    height = rng.uniform(0.92, 1.08)
    base = canvas.ellipsoid((side * 74 * girth, 8, -40), (62 * girth, 88 * girth, 128 * height))
    apex = canvas.ellipsoid((side * 56 * girth, 16, 50), (44 * girth, 58, 88 * height))
    shape = smooth_union(base, apex, 30)
    dome = canvas.ellipsoid((side * 76 * girth, -8, -140 + (6 if side < 0 else -4)), (82 * girth, 100, 62))
    shape = smooth_cut(shape, dome, 10)
    shape = smooth_cut(shape, canvas.ellipsoid((0, 10, 10), (24, 70, 150)), 10)  # mediastinum
    return smooth_cut(shape, canvas.ellipsoid((30, -42, -58), (56, 50, 54), turned(0, -30, 0)), 14)


def kidneys(grid: Grid, rng: np.random.Generator) -> Volume:
    """Return a cortical renal study: cortex around a paler medulla and pelvis, scars, ureters and bladder."""
    canvas = Canvas(grid)
    _trunk(canvas, rng.uniform(0.92, 1.15))
    uptake = rng.lognormal(np.log(30), 0.4)
    canvas.paint(canvas.ellipsoid((0, -35, -215), (42, 36, 28)), uptake * rng.uniform(0.05, 0.8))
    canvas.paint(liver_shape_below(canvas), rng.uniform(1.2, 2.5))
    for side in (-1, 1):
        share, size = rng.choice([1.0, 1.0, rng.uniform(0.15, 0.8)]), rng.uniform(0.85, 1.15)
        centre = (side * rng.uniform(60, 70), 48.0, 5.0 + 8 * side + rng.normal(0, 8))
        _kidney(canvas, side, centre, size, (float(uptake * share), rng))
    return canvas.finished("kidneys")


def liver_shape_below(canvas: Canvas) -> Floats:
    """Return the distance to a plain liver above the right kidney [mm]."""
    return smooth_cut(canvas.ellipsoid((-70, -5, 90), (84, 78, 84)), canvas.ellipsoid((-30, 40, 10), (60, 55, 70)), 15)


def _kidney(
    canvas: Canvas,
    side: int,
    centre: tuple[float, float, float],
    size: float,
    uptake_and_rng: tuple[float, np.random.Generator],
) -> None:
    """Paint one kidney with its ureter: a bean whose hilum looks to the spine and a little forwards."""
    uptake, rng = uptake_and_rng
    tilt = turned(0, side * rng.uniform(8, 20), 0)
    x, y, z = centre
    bean = canvas.ellipsoid(centre, (27 * size, 24 * size, 54 * size), tilt)
    bean = smooth_cut(bean, canvas.ellipsoid((x - side * 31 * size, y - 6, z), (15, 17, 20)), 10)
    canvas.paint(bean, uptake)
    for k in (-1, 0, 1):
        pyramid = canvas.ellipsoid((x - side * 5 * size, y - 2, z + 22 * k * size), (13 * size, 11, 9 * size), tilt)
        canvas.paint(np.maximum(pyramid, bean), 0.55 * uptake)
    pelvis = canvas.ellipsoid((x - side * 14 * size, y - 4, z), (10, 10, 17 * size), tilt)
    canvas.paint(pelvis, uptake * float(rng.choice([0.3, 0.4, rng.uniform(0.5, 1.5)])))
    if rng.random() < 0.4:  # a scar: a wedge of cortex is missing
        pole = z + rng.choice([-1, 1]) * rng.uniform(20, 45) * size
        canvas.paint(
            np.maximum(canvas.ball(x + side * rng.uniform(10, 24), y, pole, rng.uniform(9, 15)), bean - 1),
            0.25 * uptake,
        )
    if rng.random() < 0.5:
        along = np.clip((z - 20 - canvas.z) / 190, 0, 1)
        drift = np.hypot(canvas.x - (x - side * (20 + 22 * along)), canvas.y - (y - 10 - 60 * along))
        ureter = canvas.between(np.asarray(drift - 3, np.float32), -205, z - 12)
        canvas.paint(ureter, uptake * rng.uniform(0.1, 0.6))


def heart(grid: Grid, rng: np.random.Generator) -> Volume:
    """Return a myocardial perfusion study: left and right ventricle, defects, liver, gut, lungs that attenuate little.

    Parameters
    ----------
    grid : Grid
        Where to draw, centred on the heart's level.
    rng : numpy.random.Generator
        Draws anatomy, uptake and defects.

    Returns
    -------
    Volume
        The myocardium of the left ventricle has about 10.
    """
    canvas = Canvas(grid)
    girth, uptake = rng.uniform(0.92, 1.12), 10.0
    _trunk(canvas, girth)
    for side in (-1, 1):
        canvas.paint(lung_shape(canvas, side, girth, rng), 0.5, LUNG_140KEV_PER_MM)
    _marrow(canvas, 66.0, 1.5)
    dome = canvas.ellipsoid((-62 * girth, 0, -112), (86, 82, 70))
    canvas.paint(smooth_union(dome, canvas.ellipsoid((10, -36, -86), (70, 38, 30)), 20), uptake * rng.uniform(0.2, 0.7))
    canvas.paint(canvas.ellipsoid((70 * girth, -10, -112), (30, 40, 34)), uptake * rng.uniform(0.05, 0.3))
    canvas.paint(canvas.ellipsoid((32, -40, -18), (52, 46, 48), turned(0, -35, 0)), 1.2, WATER_140KEV_PER_MM)
    ventricle(canvas, uptake, rng)
    return canvas.finished("heart")


def ventricle(canvas: Canvas, uptake: float, rng: np.random.Generator) -> None:
    """Paint the left ventricle, open at its base, with up to two defects, and a faint right one."""
    size, wall = rng.uniform(0.9, 1.15), rng.uniform(9, 12)
    axis = np.array([0.62, -0.58, -0.53]) + rng.normal(0, 0.06, 3)
    axis /= np.linalg.norm(axis)
    septal = np.cross(axis, [0.0, 0.0, 1.0])
    septal /= np.linalg.norm(septal)
    frame = np.stack([septal, np.cross(axis, septal), axis])
    outer_axes = (29 * size, 29 * size, 52 * size)
    centre = (40.0, -42.0, -14.0)
    offset = (canvas.x - centre[0], canvas.y - centre[1], canvas.z - centre[2])
    a, b, c = (sum(np.float32(f) * d for f, d in zip(row, offset, strict=True)) for row in frame)
    outer = canvas.ellipsoid(centre, outer_axes, frame)
    inner = canvas.ellipsoid(centre, tuple(x - wall for x in outer_axes), frame)  # type: ignore[arg-type]
    base = np.asarray(-c - 18 * size, np.float32)
    right_centre = tuple(np.array(centre) - 30 * size * septal - 4 * axis)
    right = canvas.ellipsoid(right_centre, (30 * size, 26 * size, 44 * size), frame)  # type: ignore[arg-type]
    free_wall = np.maximum(np.maximum(right, -(right + 5)), np.maximum(base, -outer))
    canvas.paint(free_wall, 0.3 * uptake)
    canvas.paint(np.maximum(inner, base), 1.0)
    perfusion = np.full(canvas.grid.shape, np.float32(uptake))
    around = np.arctan2(b, a)
    for _ in range(int(rng.choice([0, 1, 1, 2]))):
        where, width = rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 1.1)
        low = rng.uniform(-20, 30) * size
        inside = (np.abs(np.angle(np.exp(1j * (around - where)))) < width) & (c > low) & (c < low + rng.uniform(20, 60))
        perfusion = np.where(inside, perfusion * np.float32(rng.uniform(0.1, 0.7)), perfusion)
    canvas.paint(np.maximum(np.maximum(outer, -inner), base), perfusion)


def brain(grid: Grid, rng: np.random.Generator, grey_to_white: float = 4.0) -> Volume:
    """Return a brain perfusion study: folded cortex, white matter, ventricles, deep nuclei, cerebellum, skull and scalp.

    Parameters
    ----------
    grid : Grid
        Where to draw; a field of 220 mm holds it.
    rng : numpy.random.Generator
        Draws size, folds, uptake of each lobe and sometimes a defect.
    grey_to_white : float
        Ratio of concentrations; 4 in a Hoffman phantom.

    References
    ----------
    * Hoffman et al., 3-D phantom to simulate cerebral blood flow and metabolic images for PET, IEEE TNS 37 (1990).
    """
    canvas = Canvas(grid)
    a, b, c = rng.uniform(62, 69), rng.uniform(79, 88), rng.uniform(58, 64)
    _head(canvas, a, b, c)
    cerebrum = smooth_cut(canvas.ellipsoid((0, 0, 12), (a, b, c)), np.asarray(canvas.z + 38 - 0.12 * canvas.y), 14)
    folds = _folds(canvas, rng)
    thickness = rng.uniform(5.0, 7.0)
    fissure = np.abs(canvas.x) - np.float32(rng.uniform(1.0, 2.0)) + np.where(canvas.z < 10, np.float32(20), 0)
    fissure = np.maximum(fissure, -(np.hypot(canvas.y / 0.9, canvas.z - 5) - 38))
    grey = grey_to_white * _lobes(canvas, rng)
    canvas.paint(cerebrum, grey)
    white = np.maximum(cerebrum + thickness + folds, thickness - np.asarray(fissure, np.float32))
    canvas.paint(white, 1.0)
    canvas.paint(np.maximum(np.maximum(cerebrum, -(cerebrum + 0.7 * folds)), 2.5 - folds), 0.3)  # sulci
    canvas.paint(np.maximum(cerebrum, np.asarray(fissure, np.float32)), 0.0)
    for side in (-1, 1):
        for (x, y, z), axes, turn, level in _NUCLEI:
            shape = canvas.ellipsoid((side * x, y, z), axes, turned(0, 0, side * turn))
            canvas.paint(shape, grey_to_white * level * rng.uniform(0.9, 1.1))
        lobe = canvas.ellipsoid((side * 24, 52, -44), (28, 26, 20))
        canvas.paint(lobe, grey_to_white * rng.uniform(0.9, 1.15) * (0.8 + 0.2 * np.sin(canvas.z * np.float32(1.1))))
    canvas.paint(canvas.ellipsoid((0, 30, -52), (12, 14, 34), turned(20, 0, 0)), 0.6 * grey_to_white)
    return canvas.finished("brain")


_NUCLEI = (
    ((9.0, -14.0, 22.0), (5.0, 20.0, 9.0), -12.0, 0.0),
    ((13.0, 32.0, 16.0), (5.0, 15.0, 8.0), 20.0, 0.0),
    ((9.0, 12.0, 10.0), (8.0, 12.0, 9.0), 20.0, 0.95),
    ((13.0, -20.0, 12.0), (5.0, 9.0, 10.0), -20.0, 1.05),
    ((25.0, -6.0, 8.0), (6.0, 16.0, 10.0), -15.0, 1.05),
)


def _head(canvas: Canvas, a: float, b: float, c: float) -> None:
    """Paint scalp, skull and fluid around a brain."""
    neck = canvas.cylinder(52.0, -BIG, -20, 0, 25)
    canvas.paint(
        smooth_union(canvas.ellipsoid((0, 0, 6), (a + 13, b + 13, c + 22)), neck, 25), 0.3, WATER_140KEV_PER_MM
    )
    canvas.paint(canvas.ellipsoid((0, 0, 8), (a + 8, b + 8, c + 13)), 0.1, BONE_140KEV_PER_MM)
    canvas.paint(canvas.ellipsoid((0, 0, 8), (a + 2, b + 2, c + 7)), 0.2, WATER_140KEV_PER_MM)


def _folds(canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Return how much deeper the cortex reaches at each point: gyri and sulci [mm]."""
    waves = np.zeros(canvas.grid.shape, np.float32)
    for _ in range(10):
        direction = rng.normal(0, 1, 3)
        direction *= 2 * np.pi / rng.uniform(14, 30) / np.linalg.norm(direction)
        u, v, w = (np.float32(d) for d in direction)
        waves += np.sin(u * canvas.x + v * canvas.y + w * canvas.z + np.float32(rng.uniform(0, 2 * np.pi)))
    return np.asarray(np.maximum(waves, 0) ** 1.5 * rng.uniform(1.5, 2.4), np.float32)


def _lobes(canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Return uptake that differs between regions of the cortex, and a defect in one patient of three."""
    level = np.ones(canvas.grid.shape, np.float32)
    for _ in range(5):
        at = rng.uniform(-60, 60, 3)
        level += np.float32(rng.normal(0, 0.08)) * canvas.cover(canvas.ball(at[0], at[1], at[2], 35))
    if rng.random() < 1 / 3:
        side = rng.choice([-1, 1])
        x, y, z = side * rng.uniform(35, 55), rng.uniform(-55, 55), rng.uniform(0, 40)
        level *= 1 - np.float32(rng.uniform(0.3, 0.7)) * canvas.cover(canvas.ball(x, y, z, rng.uniform(15, 30)))
    return level


def _trunk(canvas: Canvas, girth: float) -> None:
    """Paint a torso of soft tissue."""
    x, y = canvas.x / np.float32(168 * girth), canvas.y / np.float32(114 * girth)
    level = np.asarray((np.abs(x) ** 2.4 + np.abs(y) ** 2.4) ** (1 / 2.4), np.float32)
    waist = 1 + 0.05 * np.cos(canvas.z / 70) - 0.12 * np.clip((np.abs(canvas.z) - 170) / 100, 0, 1) ** 2
    canvas.paint(np.asarray((level - waist) * 114 * girth, np.float32), 1.0, WATER_140KEV_PER_MM)


def _marrow(canvas: Canvas, y: float, activity: float) -> None:
    """Paint a spine of vertebrae behind the middle."""
    phase = np.abs((canvas.z / 30) % 1 - 0.5)
    column = np.hypot(canvas.x / np.float32(1.25), canvas.y - np.float32(y)) - np.float32(16)
    canvas.paint(np.maximum(column, np.asarray((phase - 0.42) * 30, np.float32)), activity, BONE_140KEV_PER_MM)
    canvas.paint(canvas.ellipsoid((0, y + 28, 0), (7, 14, BIG)), 0.7 * activity)


def _segment(canvas: Canvas, side: int, girth: float, rng: np.random.Generator) -> Floats:
    """Return the distance to a wedge with its base on the pleura: a segment without flow [mm]."""
    turn, height = rng.uniform(-1.2, 1.2), rng.uniform(-120, 90)
    at = (side * (74 + 50 * np.cos(turn)) * girth, 75 * np.sin(turn), height)
    a, b, c = rng.uniform(18, 42, 3)
    return canvas.ellipsoid(at, (a, b, c), turned(rng.uniform(-30, 30), rng.uniform(-30, 30), rng.uniform(-90, 90)))
