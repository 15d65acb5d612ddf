"""The bones of a standing adult of 1.70 m out of ellipsoids and tubes; :mod:`.skeleton` makes patients of them.

Positions are millimetres: x to the patient's left, y = 0 at the top of the head and growing towards the feet, z away from
an anterior detector. Every function draws the relative uptake of its bones.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from .scene import Ellipsoids, ellipsoid, tube

Triple = tuple[float, float, float]
_BOTH = (-1, 1)
# Outline of the iliac crest, from the sacroiliac joint to the anterior superior spine.
_CREST = ((46, 790, 72), (66, 762, 55), (94, 748, 26), (118, 755, -10), (131, 780, -40), (126, 812, -60))
_ACETABULUM = (96.0, 872.0, 6.0)


def skull(rng: np.random.Generator) -> list[Ellipsoids]:
    """Return vault, base, face and mandible."""
    vault, face, jaw = rng.uniform(0.3, 0.75), rng.uniform(0.45, 0.95), rng.uniform(0.35, 0.9)
    parts = [
        ellipsoid((0, 98, 4), (74, 94, 94), vault),
        ellipsoid((0, 98, 4), (67, 87, 87), -vault),
        ellipsoid((0, 150, 0), (54, 9, 58), 0.5 * vault),
        ellipsoid((0, 158, -66), (17, 24, 20), face),
        ellipsoid((0, 186, -66), (27, 11, 18), rng.uniform(0.6, 1.6) * face),
        smooth_tube(((-54, 160, 0), (-50, 192, -28), (-30, 214, -62), (0, 221, -76)), (7, 8, 8, 9), jaw),
        smooth_tube(((54, 160, 0), (50, 192, -28), (30, 214, -62), (0, 221, -76)), (7, 8, 8, 9), jaw),
    ]
    for side in _BOTH:
        parts += [
            ellipsoid((side * 31, 126, -76), (16, 12, 16), -0.5 * vault),
            ellipsoid((side * 47, 146, -52), (9, 8, 18), 0.7 * face),
            ellipsoid((side * 58, 152, 22), (12, 12, 14), 0.6 * vault),
        ]
    return parts


def spine(scoliosis_mm: float, rng: np.random.Generator) -> list[Ellipsoids]:
    """Return 24 vertebrae with their processes; `scoliosis_mm` is the lateral deviation."""
    levels = np.concatenate([np.linspace(212, 308, 7), np.linspace(328, 590, 12), np.linspace(617, 755, 5)])
    width = np.interp(np.arange(24), [0, 7, 18, 23], [14, 15.5, 21, 26])
    height = np.interp(np.arange(24), [0, 7, 18, 23], [6.5, 9.5, 13, 15])
    worn = rng.random(24) < 0.12
    parts = []
    for y, w, h, old in zip(levels, width, height, worn, strict=True):
        x = scoliosis_mm * np.sin((y - 205) / 555 * np.pi * 1.5)
        z = 28 + 28 * np.sin((y - 300) / 400 * np.pi)
        uptake = rng.lognormal(0, 0.1)
        parts += [
            ellipsoid((x, y, z), (w, h, 0.8 * w), 0.9 * uptake),
            ellipsoid((x, y + 0.25 * h, z), (0.95 * w, 0.6 * h, 0.75 * w), 0.4 * uptake),
            ellipsoid((x, y + 8, z + 1.5 * w), (4, 9, 11), 0.5 * uptake),
        ]
        for side in _BOTH:
            facet = uptake * (0.8 + (rng.uniform(0.4, 2.5) if old and rng.random() < 0.6 else 0.0))
            parts.append(ellipsoid((x + side * 0.75 * w, y + 3, z + 0.95 * w), (0.3 * w, 0.7 * h, 6), facet))
            parts.append(
                tube(np.array([[x + side * w, y, z + 0.8 * w], [x + side * 1.9 * w, y - 3, z + w]]), 4.0, 0.35 * uptake)
            )
    return parts


def chest(scoliosis_mm: float, rng: np.random.Generator) -> list[Ellipsoids]:
    """Return sternum and twelve pairs of ribs, each an arc from its vertebra down to its cartilage."""
    sternum, uptake, slope = rng.uniform(0.7, 1.3), rng.uniform(0.6, 1.0), rng.uniform(0.8, 1.2)
    parts = [
        ellipsoid((0, 345, -92), (24, 25, 7), sternum),
        ellipsoid((0, 432, -103), (16, 66, 7), 0.9 * sternum),
        ellipsoid((0, 372, -98), (17, 7, 8), rng.uniform(0.2, 0.8) * sternum),
    ]
    start = np.linspace(332, 588, 12)
    half = np.array([58, 84, 104, 118, 128, 134, 138, 139, 136, 128, 112, 92.0]) * rng.uniform(0.94, 1.06)
    fall = np.array([34, 58, 80, 98, 110, 118, 122, 120, 112, 100, 70, 50.0]) * slope
    ends = np.deg2rad([160, 158, 156, 153, 150, 146, 140, 133, 125, 115, 84, 66])
    for k in range(12):
        for side in _BOTH:
            angle = np.linspace(np.deg2rad(11), ends[k] * rng.uniform(0.97, 1.02), 30)
            points = rib_arc(half[k], start[k] + rng.normal(0, 1.5), fall[k], angle, side)
            points[:, 0] += scoliosis_mm * 0.4
            bone = uptake * rng.lognormal(0, 0.1)
            parts.append(tube(points, rng.uniform(4.6, 5.6), bone))
            parts.append(ball(points[-1], 6.0, bone * rng.uniform(0, 0.7)))
    return parts


def rib_arc(
    half_mm: float, start_mm: float, fall_mm: float, angle: NDArray[np.float64], side: int
) -> NDArray[np.float64]:
    """Return the points of a rib at angles about the long axis, shape (k, 3) [mm].

    Parameters
    ----------
    half_mm : float
        Half the width of the cage.
    start_mm : float
        Height of the vertebra, below the top of the head.
    fall_mm : float
        How far the rib descends to the front.
    angle : ndarray, shape (k,)
        0 is behind, pi in front [rad].
    side : int
        1 is the patient's left, -1 the right.
    """
    back = np.where(np.cos(angle) > 0, 0.72, 0.93)
    x = side * half_mm * np.sin(angle) ** 0.85
    y = start_mm + fall_mm * np.sin(angle / 2) ** 2 - 7 * np.sin(2 * angle)
    return np.stack([x, y, 12 + 0.8 * half_mm * np.cos(angle) * back], axis=1)


def shoulders(rng: np.random.Generator) -> list[Ellipsoids]:
    """Return clavicles, scapulae and the heads of the humeri."""
    parts = []
    for side in _BOTH:
        joint, blade = rng.lognormal(0.0, 0.25), rng.uniform(0.55, 0.9)
        parts += [
            smooth_tube(
                ((20, 328, -90), (62, 317, -94), (118, 300, -62), (168, 290, -14)), (8, 6, 6, 8), 0.75, side=side
            ),
            ball(_at(side * 22, 328, -89), 10, rng.uniform(0.3, 1.4)),
            smooth_tube(((62, 345, 97), (112, 326, 90), (158, 300, 42), (178, 292, 6)), (5, 6, 6, 8), blade, side=side),
            ellipsoid((side * 176, 291, -2), (14, 8, 13), 0.8 * joint),
            ball(_at(side * 150, 318, -30), 9, 0.7 * blade),
            ellipsoid((side * 157, 328, 14), (8, 19, 13), 0.8 * joint),
            smooth_tube(((155, 345, 30), (134, 400, 74), (104, 466, 98)), (7, 6, 7), blade, side=side),
            smooth_tube(((62, 345, 97), (70, 400, 104), (102, 466, 100)), (4, 4, 6), 0.6 * blade, side=side),
            ellipsoid((side * 104, 392, 97), (34, 58, 4), 0.4 * blade, turn_z(side * 12)),
            ellipsoid((side * 181, 322, 4), (22, 24, 22), 0.45 * joint),
            ball(_at(side * 199, 316, -3), 9, 0.5 * joint),
        ]
    return parts


def pelvis(rng: np.random.Generator) -> list[Ellipsoids]:
    """Return sacrum, iliac wings and crests, acetabula, ischia and pubis."""
    sacrum = rng.uniform(0.75, 1.15)
    parts = [
        ellipsoid((0, 797, 58), (38, 30, 18), 0.8 * sacrum),
        ellipsoid((0, 838, 70), (26, 34, 13), 0.8 * sacrum),
        ellipsoid((0, 884, 66), (8, 18, 7), 0.6 * sacrum),
        ellipsoid((0, 915, -68), (8, 18, 9), rng.uniform(0.4, 0.8)),
    ]
    for side in _BOTH:
        hip, wing = rng.lognormal(0.0, 0.2), rng.uniform(0.8, 1.1)
        parts.append(smooth_tube(_CREST, (9, 8, 7, 7, 7, 9), wing, side=side))
        for corner in smooth(_CREST, 12):
            sheet = np.array([corner, np.array(_ACETABULUM) + 0.25 * (corner - np.array(_ACETABULUM))])
            parts.append(tube(sheet * [side, 1, 1], np.array([5.0, 9.0]), 0.42 * wing))
        parts += [
            ellipsoid((side * 48, 806, 63), (7, 32, 15), rng.uniform(0.8, 1.6), turn_z(side * 10)),
            ellipsoid((side * 97, 878, 2), (31, 30, 28), 0.75 * hip),
            ellipsoid((side * 97, 880, 2), (25, 25, 23), -0.75 * hip),
            smooth_tube(((84, 890, -16), (50, 900, -56), (10, 910, -68)), (9, 8, 9), 0.6, side=side),
            smooth_tube(
                ((10, 925, -64), (38, 958, -28), (64, 972, 10), (82, 936, 30), (92, 898, 22)),
                (7, 7, 11, 10, 10),
                0.65,
                side=side,
            ),
            ellipsoid((side * 66, 970, 12), (10, 13, 11), rng.uniform(0.2, 0.6)),
        ]
    return parts


def legs(rng: np.random.Generator) -> list[Ellipsoids]:
    """Return femora, knees, lower legs and feet."""
    shaft = rng.uniform(0.35, 0.6)
    parts = []
    for side in _BOTH:
        hip, knee, foot = rng.lognormal(0, 0.2), rng.lognormal(0, 0.3), rng.lognormal(0, 0.25)
        parts += [
            ellipsoid((side * 97, 880, 2), (23, 23, 22), 0.5 * hip),
            smooth_tube(((105, 885, 2), (130, 902, 5), (148, 925, 8)), (15, 15, 18), 0.45, side=side),
            ellipsoid((side * 157, 912, 12), (13, 23, 16), 0.5 * hip),
            *_shaft(((148, 930, 8), (133, 1050, -8), (108, 1190, -6), (91, 1272, 2)), (17, 14, 14, 19), shaft, side),
            ellipsoid((side * 87, 1294, 2), (38, 28, 26), 0.3 * knee),
            ellipsoid((side * 66, 1306, 6), (17, 16, 24), 0.35 * knee * rng.lognormal(0, 0.3)),
            ellipsoid((side * 107, 1306, 6), (16, 16, 24), 0.35 * knee * rng.lognormal(0, 0.3)),
            ellipsoid((side * 86, 1294, -40), (19, 20, 8), 0.5 * knee * rng.lognormal(0, 0.3)),
            ellipsoid((side * 85, 1331, 4), (37, 10, 25), 0.5 * knee),
            ellipsoid((side * 84, 1352, 0), (27, 16, 20), 0.35 * knee),
            *_shaft(((84, 1350, -2), (80, 1420, -10), (75, 1510, 4), (70, 1600, 16)), (21, 14, 12, 15), shaft, side),
            smooth_tube(((113, 1352, 24), (107, 1450, 24), (92, 1622, 20)), (9, 5, 8), 0.9 * shaft, side=side),
            ellipsoid((side * 73, 1620, 18), (25, 13, 18), 0.45 * foot),
            ellipsoid((side * 70, 1652, 42), (17, 18, 26), 0.28 * foot),
            ellipsoid((side * 74, 1658, -14), (22, 24, 24), 0.28 * foot),
        ]
        parts += _rays(_at(74, 1668, -30), _at(88, 1728, -92), 52.0, 0.3 * foot, side, rng)
    return parts


def arms(abduction_mm: float, rng: np.random.Generator) -> list[Ellipsoids]:
    """Return arms and hands; `abduction_mm` is how much farther from the trunk the hands are."""
    shaft = rng.uniform(0.3, 0.55)
    parts = []
    for side in _BOTH:
        a, joint = abduction_mm * rng.uniform(0.8, 1.1), rng.lognormal(0, 0.25)
        elbow, wrist = _at(208 + 0.5 * a, 592, 22), _at(210 + a, 838, -4)
        parts += [
            *_shaft(((184, 340, 5), (196 + 0.2 * a, 450, 10), tuple(elbow - _at(0, 14, 0))), (15, 11, 14), shaft, side),
            ellipsoid(tuple(elbow * [side, 1, 1]), (25, 13, 15), 0.45 * joint),
            tube(np.stack([elbow + _at(-9, 10, 0), wrist + _at(-12, 0, 0)]) * [side, 1, 1], 6.5, shaft),
            tube(np.stack([elbow + _at(11, 10, 0), wrist + _at(10, 0, 0)]) * [side, 1, 1], 7.0, shaft),
            ellipsoid(tuple((wrist + _at(0, 14, 0)) * [side, 1, 1]), (20, 16, 11), 0.55 * joint),
        ]
        parts += _rays(wrist + _at(0, 32, -2), wrist + _at(-4, 105, -8), 58.0, 0.28 * joint, side, rng)
        parts += _rays(wrist + _at(-4, 108, -8), wrist + _at(-8, 165, -10), 66.0, 0.18 * joint, side, rng)
    return parts


def smooth(points: Sequence[Triple], number: int) -> NDArray[np.float64]:
    """Return points on a smooth curve through corners, shape (number, 3) [mm]."""
    knots = np.linspace(0, 1, len(points))
    spline = make_interp_spline(knots, np.asarray(points, float), k=min(3, len(points) - 1))
    return np.asarray(spline(np.linspace(0, 1, number)), np.float64)


def smooth_tube(points: Sequence[Triple], radii: Sequence[float], activity: float, *, side: int = 1) -> Ellipsoids:
    """Return a tube along a smooth curve, mirrored where `side` is -1."""
    curve = smooth(points, 8 * len(points)) * [side, 1, 1]
    radius = np.interp(np.linspace(0, 1, len(curve)), np.linspace(0, 1, len(radii)), radii)
    return tube(curve, radius, activity)


def ball(at: NDArray[np.float64], radius: float, activity: float) -> Ellipsoids:
    """Return a sphere."""
    return ellipsoid((float(at[0]), float(at[1]), float(at[2])), (radius, radius, radius), activity)


def turn_z(degrees: float) -> NDArray[np.float64]:
    """Return the rotation in the image plane."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _shaft(points: Sequence[Triple], radii: Sequence[float], activity: float, side: int) -> list[Ellipsoids]:
    """Return a long bone: cortex with less inside."""
    inner = tuple(0.55 * radius for radius in radii)
    cortex, marrow = 1.25 * activity, -0.8 * activity
    return [smooth_tube(points, radii, cortex, side=side), smooth_tube(points, inner, marrow, side=side)]


def _rays(
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    spread: float,
    activity: float,
    side: int,
    rng: np.random.Generator,
) -> list[Ellipsoids]:
    """Return five metatarsals, metacarpals or fingers with the joints at their far ends."""
    parts = []
    for k in np.linspace(-0.5, 0.5, 5):
        near = start + _at(0.55 * spread * k, 4 * abs(k), 0)
        far = stop + _at(spread * k, -24 * k**2, 0)
        line = np.stack([near, far]) * [side, 1, 1]
        parts.append(tube(line, 4.5, activity))
        parts.append(ball(line[1], 6.0, activity * rng.lognormal(0, 0.4)))
    return parts


def _at(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Make a point."""
    return np.array([x, y, z], float)
