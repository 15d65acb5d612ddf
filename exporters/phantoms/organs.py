"""Static studies of the neck, of the organs of :mod:`.anatomy`, and of shapes without a name."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import anatomy
from .bones import ball, smooth_tube
from .scene import Ellipsoids, Scene, ellipsoid, join, tube
from .volumes import Grid, Volume

TRUNK = Grid((176, 96, 128), 3.4)
Phase = Literal["early", "late"]


def neck(rng: np.random.Generator) -> Scene:
    """Return a pertechnetate thyroid scan, or in one case of three a parathyroid scan of either phase."""
    kind = rng.integers(6)
    return thyroid(rng) if kind < 4 else parathyroid(rng, "early" if kind == 4 else "late")


def thyroid(rng: np.random.Generator) -> Scene:
    """Return a pertechnetate scan: thyroid lobes, isthmus, hot and cold nodules, salivary glands.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws anatomy and uptake.

    Returns
    -------
    Scene
        Centred on the thyroid; emission density of soft tissue is 1.

    Examples
    --------
    >>> bool(len(thyroid(np.random.default_rng(0)).sources) >= 5)
    True
    """
    uptake = rng.lognormal(np.log(25), 0.5)
    parts, lobes = _gland(rng, uptake)
    for lobe in lobes:
        for _ in range(int(rng.choice([0, 0, 1, 2]))):
            cold = rng.random() < 0.5
            at = lobe[int(rng.integers(3, len(lobe) - 3))] + rng.normal(0, 1 if cold else 4, 3)
            size, density = ((3, 7), -0.7) if cold else ((4, 9), rng.uniform(0.5, 3))
            parts.append(_blob(at, rng, size, uptake * density))
    parts += _salivary(rng, uptake * rng.uniform(0.2, 0.8))
    return Scene(join(*parts), _neck_and_chest(rng), background=1.0)


def parathyroid(rng: np.random.Generator, phase: Phase) -> Scene:
    """Return a sestamibi scan: the thyroid washes out between the phases, an adenoma does not.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws anatomy and uptake; the same state gives the same patient in both phases.
    phase : {"early", "late"}
        About 15 minutes, or two to three hours, after injection.

    Returns
    -------
    Scene
        Centred on the thyroid, with salivary glands and heart; soft tissue has density 1.

    Examples
    --------
    >>> early, late = (parathyroid(np.random.default_rng(0), phase) for phase in ("early", "late"))
    >>> bool(early.sources.activity.sum() > late.sources.activity.sum())
    True
    """
    late = phase == "late"
    uptake, washout = rng.uniform(8, 16), rng.uniform(0.15, 0.45)
    parts, lobes = _gland(rng, uptake * (washout if late else 1.0))
    for _ in range(int(rng.choice([0, 1, 1, 1, 2]))):
        lobe = lobes[int(rng.integers(2))]
        at = lobe[int(rng.choice([2, len(lobe) - 3, len(lobe) // 2]))] + [rng.normal(0, 4), rng.normal(4, 10), 14]
        axes, density, kept = rng.uniform(4, 8, 3), uptake * rng.uniform(0.8, 2.2), rng.uniform(0.6, 0.95)
        parts.append(
            ellipsoid(tuple(at), (axes[0], 1.5 * axes[1], axes[2]), density * (kept if late else 1.0), _tilt(15))
        )
    parts += _salivary(rng, uptake * rng.uniform(0.5, 1.1) * (0.8 if late else 1.0))
    myocardium = uptake * rng.uniform(0.6, 1.0)
    turn = _tilt(-rng.uniform(35, 55))
    parts.append(ellipsoid((44, 196, -35), (32, 46, 32), myocardium, turn))
    parts.append(ellipsoid((48, 201, -35), (21, 37, 21), -0.85 * myocardium, turn))
    return Scene(join(*parts), _neck_and_chest(rng), background=1.0)


def liver_spleen(rng: np.random.Generator) -> Volume:
    """Return a liver and spleen study, see :func:`.anatomy.liver`."""
    return anatomy.liver(TRUNK, rng)


def kidneys(rng: np.random.Generator) -> Volume:
    """Return a cortical renal study, see :func:`.anatomy.kidneys`."""
    return anatomy.kidneys(TRUNK, rng)


def lungs(rng: np.random.Generator) -> Volume:
    """Return a perfusion study of the lungs, see :func:`.anatomy.lungs`."""
    return anatomy.lungs(TRUNK, rng)


def shapes(rng: np.random.Generator) -> Scene:
    """Return random ellipsoids and curved tubes in an elliptic body, so that no anatomy is taken for granted.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.

    Returns
    -------
    Scene
        Fills a field of about 400 mm.

    Examples
    --------
    >>> len(shapes(np.random.default_rng(0)).body)
    1
    """
    parts = [ellipsoid((0, 0, 0), (60, 60, 40), rng.uniform(0.2, 3))]
    for _ in range(rng.integers(3, 30)):
        at = rng.uniform(-1, 1, 3) * np.array([170, 170, 60])
        parts.append(_blob(at, rng, (4, 45), rng.lognormal(np.log(6), 1.0)))
    for _ in range(rng.integers(0, 8)):
        corner = np.cumsum(rng.normal(0, 45, (5, 3)), axis=0) + rng.uniform(-120, 120, 3)
        corner[:, 2] = np.clip(corner[:, 2], -80, 80)
        t = np.linspace(0, 4, 25)
        points = np.stack([np.interp(t, range(5), corner[:, k]) for k in range(3)], axis=1)
        parts.append(tube(points, rng.uniform(2.5, 10), rng.lognormal(np.log(10), 0.8)))
    body = ellipsoid((0, 0, 0), (rng.uniform(150, 230), rng.uniform(150, 260), rng.uniform(80, 130)))
    return Scene(join(*parts), body, background=float(rng.choice([0.02, 1.0])))


def _gland(rng: np.random.Generator, uptake: float) -> tuple[list[Ellipsoids], list[NDArray[np.float64]]]:
    """Return thyroid lobes that taper upwards with their isthmus, and the lines along the lobes."""
    parts, lines = [ellipsoid((0, rng.normal(12, 3), -40), (15, rng.uniform(4, 8), 5), 0.6 * uptake)], []
    for side in (-1, 1):
        length, width, down = rng.uniform(0.8, 1.25), rng.uniform(0.8, 1.25), rng.normal(0, 4)
        line = ((15, 24 * length, -36), (18, 8, -35), (21, -10 * length, -31), (25, -28 * length, -26))
        lobe = tuple((x, y + down, z) for x, y, z in line)
        radii = tuple(width * r for r in (7.5, 11, 9, 4.5))
        parts.append(smooth_tube(lobe, radii, uptake * rng.lognormal(0, 0.12), side=side))
        lines.append(np.array([np.array(p) * [side, 1, 1] for p in np.repeat(lobe, 3, axis=0)]))
    return parts, lines


def _salivary(rng: np.random.Generator, uptake: float) -> list[Ellipsoids]:
    """Return parotid and submandibular glands, and what is in the mouth."""
    parts = [ellipsoid((0, -100 + rng.normal(0, 4), -55), (20, 9, 18), uptake * rng.uniform(0.1, 0.8))]
    for side in (-1, 1):
        jitter = rng.normal(0, 4, 2)
        parts.append(
            ellipsoid((side * 27, -72 + jitter[0], -30), (11, 15, 11), uptake * rng.uniform(0.6, 1.1), _tilt(25 * side))
        )
        parotid = ((50, -132, 2), (54, -112, -2), (47, -92, -10))
        line = tuple((x, y + jitter[1], z) for x, y, z in parotid)
        parts.append(smooth_tube(line, (10, 13, 8), uptake * rng.uniform(0.7, 1.3), side=side))
    return parts


def _neck_and_chest(rng: np.random.Generator) -> Ellipsoids:
    """Outline of head, neck, shoulders and chest."""
    girth = rng.uniform(0.92, 1.12)
    return join(
        tube(np.array([[0, -120, 12], [0, 80, 12.0]]), rng.uniform(50, 62), 0),
        ellipsoid((0, -150, 0), (74, 105, 95)),
        ellipsoid((0, 130, 15), (205 * girth, 62, 82 * girth)),
        ellipsoid((0, 250, 5), (168 * girth, 170, 112 * girth)),
        ball(np.array([-178 * girth, 160, 10]), 52, 0),
        ball(np.array([178 * girth, 160, 10]), 52, 0),
    )


def _blob(at: NDArray[np.float64], rng: np.random.Generator, size: tuple[float, float], activity: float) -> Ellipsoids:
    """Make a small ellipsoid of random size and direction."""
    axes = np.exp(rng.uniform(np.log(size[0]), np.log(size[1]), 3))
    turn = np.linalg.qr(rng.normal(0, 1, (3, 3)))[0]
    return ellipsoid((float(at[0]), float(at[1]), float(at[2])), (axes[0], axes[1], axes[2]), float(activity), turn)


def _tilt(degrees: float) -> NDArray[np.float64]:
    """Rotation in the image plane."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
