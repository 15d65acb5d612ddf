"""Whole-body bone scan: a skeleton of ellipsoids and tubes with varied anatomy, uptake and lesions.

Anthropometric proportions are those of a standing adult of 1.70 m, drawn anew for every seed; y = 0 is the top of the head.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import bones as bones_of
from .bones import ball, turn_z
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
    bones = join(
        *bones_of.skull(rng),
        *bones_of.spine(habitus.scoliosis_mm, rng),
        *bones_of.chest(habitus.scoliosis_mm, rng),
        *bones_of.shoulders(rng),
        *bones_of.pelvis(rng),
        *bones_of.legs(rng),
        *bones_of.arms(habitus.abduction_mm, rng),
    )
    organs = join(*_organs(rng))
    uptake = habitus.bone_to_soft * regional(bones.centre, rng)
    bones = Ellipsoids(bones.centre, bones.semi_axes, bones.rotation, bones.activity * uptake)
    lesions = _lesions(bones, habitus, rng)
    scale = np.array([habitus.girth, habitus.height_mm / REFERENCE_HEIGHT_MM, habitus.girth])
    shift = np.array([0, -habitus.height_mm / 2 + rng.normal(0, 60), 0])
    sources = scaled(join(bones, organs, lesions), scale, shift)
    return Scene(sources, scaled(join(*_trunk(habitus, rng)), scale, shift), background=1.0, attenuation_per_mm=0.0125)


def scaled(parts: Ellipsoids, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> Ellipsoids:
    """Stretch positions along the axes and sizes by their mean, then shift; girth hardly shows on the head.

    Parameters
    ----------
    parts : Ellipsoids
        Of the reference adult.
    scale : ndarray, shape (3,)
        Stretch along x, y and z [1].
    shift : ndarray, shape (3,)
        Added afterwards [mm].
    """
    share = np.clip((parts.centre[:, 1] - 160) / 150, 0.25, 1)[:, None]
    stretch = np.where([True, False, True], 1 + share * (scale - 1), scale)
    axes = parts.semi_axes * np.cbrt(stretch.prod(axis=1, keepdims=True))
    return Ellipsoids(parts.centre * stretch + shift, axes, parts.rotation, parts.activity)


def regional(centre: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a factor of uptake for each position, shape (k, 3) [mm], that varies smoothly over the body."""
    waves = np.zeros(len(centre))
    for _ in range(6):
        wave = rng.normal(0, 1, 3) / np.array([120.0, 180.0, 120.0])
        waves += 0.12 * np.sin(centre @ wave + rng.uniform(0, 2 * np.pi))
    return np.exp(waves)


def _organs(rng: np.random.Generator) -> list[Ellipsoids]:
    """Kidneys and bladder, and sometimes the injection site."""
    kidney, bladder = rng.uniform(2, 14), rng.lognormal(np.log(20), 0.9)
    size = rng.uniform(18, 45)
    parts = [ellipsoid((rng.normal(0, 6), 905, -35), (1.2 * size, 0.8 * size, size), bladder)]
    for side in (-1, 1):
        centre = (side * rng.uniform(58, 72), 650 + rng.normal(0, 15), 50)
        parts.append(ellipsoid(centre, (26, 52, 24), kidney * rng.uniform(0.6, 1.3), turn_z(-side * 15)))
        parts.append(ellipsoid(centre, (12, 30, 12), -0.5 * kidney, turn_z(-side * 15)))
    if rng.random() < 0.4:
        parts.append(
            ball(
                np.array([rng.choice([-1, 1]) * 215.0, rng.uniform(580, 880), -5]),
                rng.uniform(4, 10),
                rng.uniform(30, 400),
            )
        )
    return parts


def _lesions(bones: Ellipsoids, habitus: Habitus, rng: np.random.Generator) -> Ellipsoids:
    """Hot and a few cold spots on random bones."""
    number = int(rng.integers(0, 14))
    # Metastases follow the red marrow: mostly axial.
    axial = (np.abs(bones.centre[:, 0]) < 190) & (bones.centre[:, 1] < 1050)
    weight = np.where(axial, 1.0, 0.1)
    at = bones.centre[rng.choice(len(bones), number, p=weight / weight.sum())] + rng.normal(0, 4, (number, 3))
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
        arm = np.array([[185, 320, 5], [207 + 0.5 * a, 590, 18], [209 + a, 840, -5], [203 + a, 995, -10]])
        leg = np.array([[90, 870, 5], [92, 1100, 5], [85, 1310, 5], [72, 1450, 15], [70, 1620, 18], [84, 1715, -70]])
        parts.append(tube(arm * mirror, np.array([50, 42, 28, 22.0]), 0))
        parts.append(tube(leg * mirror, np.array([92, 82, 62, 58, 40, 36.0]), 0))
    return parts
