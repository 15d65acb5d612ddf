"""Whole-body bone scan: a skeleton of ellipsoids and tubes with varied anatomy, uptake and lesions.

Anthropometric proportions are those of a standing adult of 1.70 m, drawn anew for every seed; y = 0 is the top of the head.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scene import Ellipsoids, Scene, ellipsoid, join, tube

REFERENCE_HEIGHT_MM = 1700.0


@dataclass(frozen=True)
class Habitus:
    """What varies between patients.

    Parameters
    ----------
    height_mm : float
        Standing height [mm].
    girth : float
        Lateral and antero-posterior size relative to the reference adult [1].
    scoliosis_mm : float
        Lateral deviation of the spine [mm].
    abduction_mm : float
        Extra distance of the hands from the trunk [mm].
    bone_to_soft : float
        Emission density of bone relative to soft tissue [1].
    """

    height_mm: float
    girth: float
    scoliosis_mm: float
    abduction_mm: float
    bone_to_soft: float


def whole_body_bone(rng: np.random.Generator) -> Scene:
    """Return a whole-body bone scan of a random patient.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws habitus, uptake of each bone, kidneys, bladder, joints and lesions.

    Returns
    -------
    Scene
        Centred so that a 256x1024 matrix of 2.26 mm holds the patient; emission density of soft tissue is 1.

    Examples
    --------
    >>> scene = whole_body_bone(np.random.default_rng(1))
    >>> len(scene.sources) > 500
    True
    """
    habitus = Habitus(
        float(rng.uniform(1480, 1900)),
        float(rng.uniform(0.9, 1.35)),
        float(rng.normal(0, 8)),
        float(rng.uniform(0, 50)),
        float(rng.uniform(6, 16)),
    )
    bones = join(*_axial(habitus, rng), *_ribs(habitus, rng), *_pelvis(rng), *_limbs(habitus, rng))
    organs = join(*_organs(rng))
    uptake = habitus.bone_to_soft * _regional(bones.centre, rng)
    bones = Ellipsoids(bones.centre, bones.semi_axes, bones.rotation, bones.activity * uptake)
    lesions = _lesions(bones, habitus, rng)
    scale = np.array([habitus.girth, habitus.height_mm / REFERENCE_HEIGHT_MM, habitus.girth])
    shift = np.array([0, -habitus.height_mm / 2 + rng.normal(0, 60), 0])
    sources = _scaled(join(bones, organs, lesions), scale, shift)
    return Scene(sources, _scaled(join(*_trunk(habitus, rng)), scale, shift), background=1.0, attenuation_per_mm=0.0125)


def _scaled(parts: Ellipsoids, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> Ellipsoids:
    """Stretch positions along the axes and sizes by their mean."""
    axes = parts.semi_axes * np.cbrt(scale.prod())
    return Ellipsoids(parts.centre * scale + shift, axes, parts.rotation, parts.activity)


def _regional(centre: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw uptake that varies smoothly over the body plus a little from part to part."""
    waves = np.zeros(len(centre))
    for _ in range(6):
        wave = rng.normal(0, 1, 3) / np.array([120.0, 180.0, 120.0])
        waves += 0.12 * np.sin(centre @ wave + rng.uniform(0, 2 * np.pi))
    return np.exp(waves)


def _axial(habitus: Habitus, rng: np.random.Generator) -> list[Ellipsoids]:
    """Skull, spine, sternum and shoulder girdle."""
    skull = rng.uniform(0.4, 1.0)
    parts = [
        ellipsoid((0, 100, 0), (76, 98, 95), skull),
        ellipsoid((0, 100, 0), (69, 91, 88), -skull * rng.uniform(0.75, 1.0)),
        ellipsoid((0, 165, -55), (36, 38, 30), rng.uniform(0.3, 0.9)),
        tube(
            np.array([[-52, 165, 5], [-42, 205, -35], [0, 222, -75], [42, 205, -35], [52, 165, 5.0]]),
            9.0,
            rng.uniform(0.3, 1.1),
        ),
        ellipsoid((-32, 125, -75), (15, 13, 15), -0.2),
        ellipsoid((32, 125, -75), (15, 13, 15), -0.2),
    ]
    levels = np.concatenate([np.linspace(205, 310, 7), np.linspace(328, 590, 12), np.linspace(618, 760, 5)])
    width = np.interp(np.arange(24), [0, 7, 18, 23], [15, 18, 25, 31])
    for y, w in zip(levels, width, strict=True):
        x = habitus.scoliosis_mm * np.sin((y - 205) / 555 * np.pi * 1.5)
        z = 25 + 30 * np.sin((y - 300) / 400 * np.pi)
        uptake = rng.lognormal(0, 0.12)
        parts.append(ellipsoid((x, y, z), (w, 0.42 * w + 2.5, 0.8 * w), 1.1 * uptake))
        parts.append(ellipsoid((x, y + 4, z + 1.5 * w), (5, 9, 14), 0.9 * uptake))
        for side in (-1, 1):
            parts.append(ellipsoid((x + side * 1.1 * w, y, z + w), (10, 5, 6), 0.9 * uptake))
    parts.append(ellipsoid((0, 345, -92), (24, 27, 7), rng.uniform(0.7, 1.4)))
    parts.append(ellipsoid((0, 435, -102), (17, 68, 7), rng.uniform(0.6, 1.3)))
    for side in (-1, 1):
        joint = rng.uniform(0.8, 1.8)
        parts += [
            tube(
                side * np.array([[22, 0, 0], [80, 0, 0], [165, 0, 0.0]])
                + np.array([[0, 322, -88], [0, 300, -70], [0, 292, -15]]),
                7.0,
                0.9,
            ),
            ellipsoid((side * 105, 385, 92), (42, 70, 6), 0.55, _turn_z(side * 12)),
            tube(np.array([[side * 60, 335, 95], [side * 120, 315, 80], [side * 175, 300, 20]]), 7.0, 0.8),
            tube(np.array([[side * 145, 330, 70], [side * 118, 400, 92], [side * 95, 455, 98]]), 6.0, 0.7),
            ellipsoid((side * 178, 312, 5), (24, 24, 22), 0.75 * joint),
        ]
    return parts


def _ribs(habitus: Habitus, rng: np.random.Generator) -> list[Ellipsoids]:
    """Twelve pairs of ribs, each an arc from its vertebra to the front."""
    parts = []
    start = np.linspace(332, 588, 12)
    half_width = np.array([62, 88, 106, 118, 126, 132, 136, 138, 136, 128, 112, 92.0]) * rng.uniform(0.95, 1.08)
    ends = np.deg2rad([168, 166, 164, 162, 160, 157, 150, 140, 130, 118, 80, 62])
    drop = rng.uniform(35, 60)
    uptake = rng.uniform(0.7, 1.2)
    for k in range(12):
        for side in (-1, 1):
            angle = np.linspace(np.deg2rad(12), ends[k] * rng.uniform(0.97, 1.02), 24)
            x = side * half_width[k] * np.sin(angle) + habitus.scoliosis_mm * 0.5
            z = 10 + 0.8 * half_width[k] * np.cos(angle) * np.where(np.cos(angle) > 0, 0.75, 0.95)
            y = start[k] + drop * (0.25 * angle + 0.75 * np.sin(angle / 2) ** 2) * (0.5 + k / 16)
            points = np.stack([x, y + rng.normal(0, 1.5), z], axis=1)
            parts.append(tube(points, rng.uniform(4.5, 6.0), uptake * rng.lognormal(0, 0.15)))
    return parts


def _pelvis(rng: np.random.Generator) -> list[Ellipsoids]:
    """Sacrum, iliac wings and crests, acetabula, ischia and pubis."""
    sacrum = rng.uniform(0.8, 1.3)
    parts = [
        ellipsoid((0, 810, 55), (42, 42, 18), sacrum),
        ellipsoid((0, 865, 65), (22, 35, 12), 0.8 * sacrum),
    ]
    for side in (-1, 1):
        hip = rng.uniform(0.8, 1.6)
        crest = np.array([[46, 790, 68], [85, 755, 50], [120, 752, 10], [132, 778, -40], [122, 810, -60.0]])
        ramus = np.array(
            [[100, 900, 0], [60, 905, -45], [12, 915, -60], [38, 948, -25], [62, 960, 15], [84, 925, 25.0]]
        )
        mirror = np.array([side, 1, 1.0])
        parts += [
            tube(crest * mirror, np.array([12, 8, 8, 8, 7.0]), rng.uniform(0.7, 1.1)),
            ellipsoid((side * 95, 805, 10), (38, 48, 8), rng.uniform(0.3, 0.6), _turn_y(side * 50)),
            ellipsoid((side * 48, 805, 60), (9, 32, 14), rng.uniform(1.0, 1.7), _turn_z(side * 12)),
            ellipsoid((side * 98, 880, 0), (26, 26, 24), 0.6 * hip),
            tube(ramus * mirror, 9.0, rng.uniform(0.6, 0.9)),
        ]
    return parts


def _limbs(habitus: Habitus, rng: np.random.Generator) -> list[Ellipsoids]:
    """Arms and legs with shafts, joints, hands and feet."""
    parts = []
    for side in (-1, 1):
        a = habitus.abduction_mm * rng.uniform(0.8, 1.1)
        knee, shaft = rng.uniform(0.7, 1.8), rng.uniform(0.35, 0.7)
        mirror = _at(side, 1, 1.0)
        shoulder, elbow = _at(182, 318, 5.0), _at(205 + 0.5 * a, 590, 20.0)
        wrist, fingers = _at(205 + a, 840, -5.0), _at(200 + a, 960, -10.0)
        hip, neck = _at(98, 880, 0.0), _at(150, 915, 8.0)
        knee_at, ankle = _at(85, 1310, 0.0), _at(68, 1610, 20.0)
        segments = [
            (shoulder, elbow, 11.0, shaft),
            (elbow, wrist + _at(8, 0, 0), 6.5, shaft * 1.1),
            (elbow, wrist - _at(8, 0, 0), 6.0, shaft * 1.1),
            (wrist, fingers, 16.0, 0.25),
            (hip, neck, 14.0, 0.8),
            (neck, knee_at, 14.0, shaft),
            (knee_at + _at(0, 30, 0), ankle, 13.0, shaft),
            (knee_at + _at(25, 50, 10), ankle + _at(20, 0, 5), 5.5, shaft),
            (ankle, ankle + _at(10, 70, -110), 16.0, 0.45),
        ]
        parts += [
            tube(np.stack([start, stop]) * mirror, radius, activity) for start, stop, radius, activity in segments
        ]
        joints = [
            (shoulder, 22, 0.9),
            (elbow, 17, 0.7),
            (wrist, 15, 0.7),
            (hip, 24, 0.9),
            (neck, 22, 0.7),
            (ankle, 20, 0.7),
        ]
        parts += [_ball(at * mirror, r, act * rng.lognormal(0, 0.2)) for at, r, act in joints]
        for dx in (-20, 20):
            parts.append(_ball((knee_at + _at(dx, -12, 0)) * mirror, 20, 0.6 * knee * rng.lognormal(0, 0.2)))
            parts.append(_ball((knee_at + _at(dx, 28, 0)) * mirror, 18, 0.6 * knee * rng.lognormal(0, 0.2)))
        parts.append(_ball((knee_at + _at(0, -8, -38)) * mirror, 15, 0.6 * knee))
        parts.append(ellipsoid(tuple((ankle + _at(0, 55, 25)) * mirror), (20, 20, 28), 0.5))
    return parts


def _organs(rng: np.random.Generator) -> list[Ellipsoids]:
    """Kidneys and bladder, and sometimes the injection site."""
    kidney, bladder = rng.uniform(2, 25), rng.lognormal(np.log(20), 0.9)
    size = rng.uniform(18, 45)
    parts = [ellipsoid((rng.normal(0, 6), 905, -35), (1.2 * size, 0.8 * size, size), bladder)]
    for side in (-1, 1):
        centre = (side * rng.uniform(58, 72), 650 + rng.normal(0, 15), 50)
        parts.append(ellipsoid(centre, (26, 52, 24), kidney * rng.uniform(0.6, 1.3), _turn_z(-side * 15)))
        parts.append(ellipsoid(centre, (12, 30, 12), -0.5 * kidney, _turn_z(-side * 15)))
    if rng.random() < 0.4:
        parts.append(
            _ball(
                np.array([rng.choice([-1, 1]) * 215.0, rng.uniform(580, 880), -5]),
                rng.uniform(4, 10),
                rng.uniform(30, 400),
            )
        )
    return parts


def _lesions(bones: Ellipsoids, habitus: Habitus, rng: np.random.Generator) -> Ellipsoids:
    """Hot and a few cold spots on random bones."""
    number = int(rng.integers(0, 14))
    at = bones.centre[rng.integers(0, len(bones), number)] + rng.normal(0, 4, (number, 3))
    size = np.clip(rng.lognormal(np.log(7), 0.45, (number, 1)) * rng.uniform(0.7, 1.4, (number, 3)), 3, 30)
    contrast = np.where(rng.random(number) < 0.85, rng.lognormal(np.log(3), 0.8, number), -0.7)
    return Ellipsoids(at, size, np.broadcast_to(np.eye(3), (number, 3, 3)), contrast * habitus.bone_to_soft)


def _trunk(habitus: Habitus, rng: np.random.Generator) -> list[Ellipsoids]:
    """Body outline: head, neck, trunk, arms and legs."""
    a, belly = habitus.abduction_mm, rng.uniform(0.9, 1.15)
    parts = [
        ellipsoid((0, 105, 0), (85, 108, 103)),
        tube(np.array([[0, 170, 10], [0, 300, 10.0]]), 60.0, 0),
        ellipsoid((0, 420, 0), (165, 190, 118)),
        ellipsoid((0, 330, 5), (190, 70, 85)),
        ellipsoid((0, 640, 0), (162 * belly, 230, 115 * belly)),
        ellipsoid((0, 830, 5), (178, 165, 118)),
    ]
    for side in (-1, 1):
        mirror = np.array([side, 1, 1.0])
        arm = np.array([[185, 320, 5], [207 + 0.5 * a, 590, 18], [207 + a, 840, -5], [200 + a, 965, -10]])
        leg = np.array([[90, 870, 5], [92, 1100, 5], [85, 1310, 5], [72, 1450, 15], [68, 1620, 20], [78, 1690, -60]])
        parts.append(tube(arm * mirror, np.array([50, 42, 28, 22.0]), 0))
        parts.append(tube(leg * mirror, np.array([92, 82, 60, 56, 38, 34.0]), 0))
    return parts


def _at(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Make a point."""
    return np.array([x, y, z], float)


def _ball(at: NDArray[np.float64], radius: float, activity: float) -> Ellipsoids:
    """Make a sphere."""
    return ellipsoid((float(at[0]), float(at[1]), float(at[2])), (radius, radius, radius), activity)


def _turn_z(degrees: float) -> NDArray[np.float64]:
    """Rotation in the image plane."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _turn_y(degrees: float) -> NDArray[np.float64]:
    """Rotation about the long axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
