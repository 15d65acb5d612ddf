"""Patients of bone scans of the thorax, with every rib as a curve, so that lesions can follow the ribs.

Wider in what varies than :mod:`.skeleton`, whose bones outside the thorax are used: thin and obese, breasts, lungs, arms beside the
body or raised, bones that hardly rise above the soft tissue or stand out from it. Positions are those of :mod:`.bones`, then centred.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from . import bones
from .bones import ball, rib_arc, smooth_tube, turn_z
from .scene import Ellipsoids, ellipsoid, join, tube
from .skeleton import REFERENCE_HEIGHT_MM, regional, scaled

__all__ = ["Patient", "Rib", "draw_patient"]

Rng = np.random.Generator
_BOTH = (-1, 1)
_MIRROR = np.diag([-1.0, 1.0, -1.0])


@dataclass(frozen=True)
class Rib:
    """A rib as a curve.

    Parameters
    ----------
    number : int
        1 to 12.
    side : int
        1 is the patient's left, -1 the right.
    points : ndarray, shape (k, 3)
        From the vertebra to the end of the bone, at even steps [mm].
    density : float
        Emission density of its bone [1], soft tissue is 1.
    """

    number: int
    side: int
    points: NDArray[np.float64]
    density: float


@dataclass(frozen=True)
class Patient:
    """A patient as a detector sees it that lies at negative z.

    Parameters
    ----------
    ribs : tuple of Rib
        All 24.
    bones : Ellipsoids
        Small parts of all bones and hot organs.
    body : Ellipsoids
        Outline of head, trunk and limbs.
    lungs : Ellipsoids
        Where soft tissue is thinner.
    lung_density : float
        Emission density of the lungs relative to soft tissue [1].
    attenuation_per_mm : float
        Effective attenuation of the body [1/mm].
    """

    ribs: tuple[Rib, ...]
    bones: Ellipsoids
    body: Ellipsoids
    lungs: Ellipsoids
    lung_density: float
    attenuation_per_mm: float

    def posterior(self) -> "Patient":
        """Return the patient as a detector behind the back sees it."""
        ribs = tuple(replace(rib, points=rib.points @ _MIRROR.T) for rib in self.ribs)
        bones, body, lungs = (part.turned(_MIRROR) for part in (self.bones, self.body, self.lungs))
        return replace(self, ribs=ribs, bones=bones, body=body, lungs=lungs)


@dataclass(frozen=True)
class _Habitus:
    height_mm: float
    girth: float
    belly: float
    scoliosis_mm: float
    abduction_mm: float
    arms_up: bool
    bone_to_soft: float


def draw_patient(rng: Rng) -> Patient:
    """Return a random patient from in front, without lesions of the ribs.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws habitus, uptake of every bone, and what is common beside the ribs whatever their state: joints, worn and
        metastatic vertebrae, sternum, kidneys, injection site, breasts.

    Returns
    -------
    Patient
        Centred so that a 256x1024 matrix of 2.26 mm holds it; emission density of soft tissue is 1.

    Examples
    --------
    >>> patient = draw_patient(np.random.default_rng(0))
    >>> len(patient.ribs)
    24
    """
    habitus = _Habitus(
        height_mm=float(rng.uniform(1450, 1950)),
        girth=float(np.clip(rng.lognormal(np.log(1.12), 0.17), 0.85, 1.65)),
        belly=float(rng.uniform(0.9, 1.2)),
        scoliosis_mm=float(rng.normal(0, 9)),
        abduction_mm=float(rng.uniform(0, 70)),
        arms_up=bool(rng.random() < 0.08),
        bone_to_soft=float(np.exp(rng.uniform(np.log(2.2), np.log(14)))),
    )
    cage = _cage(habitus, rng)
    skeleton = join(
        *bones.skull(rng),
        *bones.spine(habitus.scoliosis_mm, rng),
        *_sternum(rng),
        *(tube(rib.points, rng.uniform(4.2, 6.2), rib.density) for rib in cage),
        *bones.shoulders(rng),
        *bones.pelvis(rng),
        *bones.legs(rng),
        *_arms(habitus, rng),
        *_elsewhere(rng),
    )
    density = habitus.bone_to_soft * regional(skeleton.centre, rng)
    skeleton = replace(skeleton, activity=skeleton.activity * density)
    organs = join(*_organs(habitus, rng))
    stretch = np.array([habitus.girth**0.8, habitus.height_mm / REFERENCE_HEIGHT_MM, habitus.girth])
    shift = np.array([rng.normal(0, 8), -habitus.height_mm / 2 + rng.normal(0, 60), 0])
    lean = turn_z(float(np.clip(rng.normal(0, 1.5), -4, 4)))

    def place(parts: Ellipsoids) -> Ellipsoids:
        return scaled(parts, stretch, shift).turned(lean)

    ribs = tuple(_placed(rib, habitus, stretch, shift, lean) for rib in cage)
    return Patient(
        ribs,
        place(join(skeleton, organs)),
        place(join(*_body(habitus, rng))),
        place(join(*_lungs(rng))),
        float(rng.uniform(0.25, 0.9)),
        float(rng.uniform(0.0105, 0.0135)),
    )


def _placed(
    rib: Rib, habitus: _Habitus, stretch: NDArray[np.float64], shift: NDArray[np.float64], lean: NDArray[np.float64]
) -> Rib:
    """Move a rib as the parts of the skeleton are moved."""
    as_parts = Ellipsoids(
        rib.points, np.ones((len(rib.points), 3)), np.broadcast_to(np.eye(3), (len(rib.points), 3, 3)), np.ones(1)
    )
    points = scaled(as_parts, stretch, shift).turned(lean).centre
    return replace(rib, points=_even(points), density=rib.density * habitus.bone_to_soft)


def _even(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points at even steps along a curve."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, length[-1], len(points))
    return np.stack([np.interp(at, length, points[:, axis]) for axis in range(3)], axis=1)


def _cage(habitus: _Habitus, rng: Rng) -> list[Rib]:
    """Return twelve pairs of ribs."""
    uptake, slope = rng.uniform(0.35, 1.0), rng.uniform(0.7, 1.4)
    start = np.linspace(332, 588, 12)
    half = np.array([58, 84, 104, 118, 128, 134, 138, 139, 136, 128, 112, 92.0]) * rng.uniform(0.92, 1.08)
    fall = np.array([34, 58, 80, 98, 110, 118, 122, 120, 112, 100, 70, 50.0]) * slope
    ends = np.deg2rad([160, 158, 156, 153, 150, 146, 140, 133, 125, 115, 84, 66])
    deep = rng.uniform(1.0, 1.3)  # how near the skin the ribs reach in front
    ribs = []
    for k in range(12):
        own = rng.lognormal(0, 0.08)
        for side in _BOTH:
            angle = np.linspace(np.deg2rad(11), ends[k] * rng.uniform(0.95, 1.04), 40)
            points = rib_arc(half[k], start[k] + rng.normal(0, 1.5), fall[k], angle, side)
            points[:, 0] += 0.4 * habitus.scoliosis_mm
            points[:, 2] = np.where(points[:, 2] < 12, 12 + deep * (points[:, 2] - 12), points[:, 2])
            ribs.append(Rib(k + 1, side, points, float(uptake * own * rng.lognormal(0, 0.08))))
    return ribs


def _sternum(rng: Rng) -> list[Ellipsoids]:
    """Return manubrium, body and xiphoid, often with a hot joint or a calcified xiphoid."""
    uptake, length = rng.uniform(0.5, 1.5), rng.uniform(110, 150)
    parts = [ellipsoid((0, 345, -92), (24, 25, 7), uptake)]
    for x in (-8, 0, 8):
        line = np.array([[x, 368, -97], [x, 368 + length, -104.0]])
        parts.append(tube(line, np.array([7.0, 7.0]), 0.75 * uptake * rng.uniform(0.85, 1.15)))
    parts.append(ellipsoid((0, 372, -98), (17, 7, 8), rng.uniform(0.0, 1.2) * uptake))
    if rng.random() < 0.25:
        parts.append(ellipsoid((rng.normal(0, 3), 378 + length, -102), (6, 9, 6), rng.uniform(0.4, 2.5)))
    return parts


def _elsewhere(rng: Rng) -> list[Ellipsoids]:
    """Return hot spots beside the ribs that are there whatever the ribs have: worn and metastatic bones."""
    sites = np.array(
        [
            *((0, y, 35) for y in np.linspace(300, 760, 20)),
            *((0, y, -98) for y in (345, 372, 400, 450)),
            *((side * x, y, z) for side in _BOTH for x, y, z in ((176, 291, -2), (181, 322, 4), (22, 328, -89))),
            *((side * x, y, z) for side in _BOTH for x, y, z in ((104, 466, 98), (196, 450, 10), (97, 880, 2))),
            *((side * 48, 806, 63) for side in _BOTH),
        ],
        float,
    )
    number = int(rng.choice([0, 1, 2, 4, 7], p=[0.4, 0.2, 0.15, 0.15, 0.1]))
    parts = []
    for at in sites[rng.choice(len(sites), number)]:
        size = np.clip(rng.lognormal(np.log(8), 0.35, 3), 4, 18)
        centre = at + rng.normal(0, [5, 4, 5])
        parts.append(ellipsoid(tuple(centre), tuple(size), float(rng.lognormal(np.log(1.8), 0.7))))
    return parts


def _organs(habitus: _Habitus, rng: Rng) -> list[Ellipsoids]:
    """Return kidneys, bladder, breasts, thyroid, and sometimes stomach, liver or the injection site [soft tissue]."""
    kidney, bladder = np.exp(rng.uniform(np.log(1), np.log(16))), rng.lognormal(np.log(20), 0.9)
    size = rng.uniform(18, 45)
    parts = [ellipsoid((rng.normal(0, 6), 905, -35), (1.2 * size, 0.8 * size, size), bladder)]
    for side in _BOTH:
        centre = (side * rng.uniform(54, 76), 645 + rng.normal(0, 22), 50)
        parts.append(ellipsoid(centre, (25, 50, 22), kidney * rng.uniform(0.5, 1.4), turn_z(-side * 15)))
        if rng.random() < 0.6:
            parts.append(ellipsoid((centre[0] - side * 8, centre[1], 45), (9, 16, 9), kidney * rng.uniform(0, 1.5)))
    if rng.random() < 0.45:  # breasts hold tracer of their own
        breast, y = rng.uniform(0.1, 1.2), rng.uniform(430, 520)
        for side in _BOTH:
            at = (side * rng.uniform(70, 100), y, -118)
            parts.append(ellipsoid(at, (55, 42, 30), breast * rng.uniform(0.7, 1.3)))
    if rng.random() < 0.2:
        parts.append(ellipsoid((-65, 590, -20), (70, 55, 60), rng.uniform(0.05, 0.5)))
    if rng.random() < 0.2:
        parts.append(ellipsoid((60, 575, -40), (40, 35, 30), rng.uniform(0.1, 1.5)))
    if rng.random() < 0.3:
        for side in _BOTH:
            parts.append(ellipsoid((side * 18, 270, -45), (10, 20, 9), rng.uniform(0.5, 3)))
    if rng.random() < 0.4:
        x = rng.choice([-1, 1]) * (210 + 0.5 * habitus.abduction_mm)
        spot = np.array([x, rng.uniform(540, 880), -5])
        parts.append(ball(spot, rng.uniform(4, 10), rng.uniform(30, 400)))
    return parts


def _arms(habitus: _Habitus, rng: Rng) -> list[Ellipsoids]:
    """Return arms beside the body, or raised."""
    if not habitus.arms_up:
        return bones.arms(habitus.abduction_mm, rng)
    shaft = rng.uniform(0.3, 0.55)
    raised = ((186, 310, 5), (205, 200, 0), (190, 60, -10), (110, 0, -10), (40, -20, -10))
    return [smooth_tube(raised, (15, 12, 14, 9, 8), shaft, side=side) for side in _BOTH]


def _body(habitus: _Habitus, rng: Rng) -> list[Ellipsoids]:
    """Return the outline: head, neck, trunk, arms and legs."""
    a, belly = habitus.abduction_mm, habitus.belly
    parts = [
        ellipsoid((0, 105, 0), (85, 108, 103)),
        tube(np.array([[0, 170, 10], [0, 300, 10.0]]), 60.0 * rng.uniform(0.9, 1.25), 0),
        ellipsoid((0, 420, 0), (165, 190, 118)),
        ellipsoid((0, 330, 5), (190, 70, 85)),
        ellipsoid((0, 640, 0), (162 * belly, 230, 115 * belly)),
        ellipsoid((0, 830, 5), (178, 165, 118)),
    ]
    for side in _BOTH:
        mirror = np.array([side, 1, 1.0])
        arm = np.array([[185, 320, 5], [207 + 0.5 * a, 590, 18], [209 + a, 840, -5], [203 + a, 995, -10]])
        if habitus.arms_up:
            arm = np.array([[180, 320, 5], [205, 200, 0], [190, 60, -10], [110, 0, -10.0]])
        leg = np.array([[90, 870, 5], [92, 1100, 5], [85, 1310, 5], [72, 1450, 15], [70, 1620, 18], [84, 1715, -70]])
        parts.append(tube(arm * mirror, np.array([52, 42, 28, 22.0]), 0))
        parts.append(tube(leg * mirror, np.array([92, 82, 62, 58, 40, 36.0]), 0))
    return parts


def _lungs(rng: Rng) -> list[Ellipsoids]:
    """Return both lungs."""
    return [ellipsoid((side * 72, 450 + rng.normal(0, 8), 5), (50, 118 * rng.uniform(0.85, 1.1), 78)) for side in _BOTH]
