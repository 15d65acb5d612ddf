"""A patient for double-phase parathyroid scintigraphy: anatomy, distractors, abnormal glands, and how each washes out.

Every part is a uniform source with a density at the time of the early image and a biological half-life of its own. Soft tissue has
density 1 then. Coordinates are those of :mod:`.camera`, the thyroid's isthmus lies near the origin; the patient's left has positive x.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .bones import ball, smooth_tube, turn_z
from .scene import Ellipsoids, ellipsoid, join

TC99M_HALF_LIFE_MIN = 360.4
LESION_MM = (4.0, 30.0)
KINDS = ("upper", "lower", "thymic", "mediastinal", "retro-oesophageal", "undescended", "intrathyroidal")
Kind = Literal["upper", "lower", "thymic", "mediastinal", "retro-oesophageal", "undescended", "intrathyroidal"]
Status = Literal["normal", "adenoma", "double adenoma", "hyperplasia"]
Rng = np.random.Generator
_STATUS = {"normal": 0.28, "adenoma": 0.56, "double adenoma": 0.04, "hyperplasia": 0.12}
_KIND_WEIGHTS = (0.34, 0.50, 0.065, 0.03, 0.035, 0.01, 0.02)


@dataclass(frozen=True)
class Part:
    """Something that takes up the tracer.

    Parameters
    ----------
    name : str
        Which organ.
    shape : Ellipsoids
        Its activity is the density at the time of the early image, in units of soft tissue.
    half_life_min : float
        Biological half-life of the washout from then on [min].
    """

    name: str
    shape: Ellipsoids
    half_life_min: float

    def after(self, minutes: float) -> Ellipsoids:
        """Return what is left some minutes after the early image, physical decay included."""
        return replace(self.shape, activity=self.shape.activity * retained(self.half_life_min, minutes))


@dataclass(frozen=True)
class Gland:
    """An abnormal parathyroid gland.

    Parameters
    ----------
    kind : str
        Where it lies: one of ``KINDS``.
    part : Part
        Its ellipsoid and washout.
    lesion_mm : float
        Diameter of the ball of the same volume [mm].
    """

    kind: Kind
    part: Part
    lesion_mm: float


@dataclass(frozen=True)
class Patient:
    """All sources of a patient.

    Parameters
    ----------
    status : str
        "normal", "adenoma", "double adenoma" or "hyperplasia".
    parts : tuple of Part
        Everything but soft tissue and abnormal glands.
    glands : tuple of Gland
        The abnormal glands; empty in a normal patient.
    body : Ellipsoids
        Outline; attenuates, and holds soft tissue of density 1 at the early image.
    tissue_half_life_min : float
        Washout of soft tissue [min].
    """

    status: Status
    parts: tuple[Part, ...]
    glands: tuple[Gland, ...]
    body: Ellipsoids
    tissue_half_life_min: float


@dataclass(frozen=True)
class _Thyroid:
    """Centre lines of the lobes (upper pole last), their radii, uptake and washout."""

    lines: tuple[NDArray[np.float64], NDArray[np.float64]]
    width: float
    uptake: float
    half_life_min: float

    def at(self, side: int, fraction: float) -> NDArray[np.float64]:
        """Return the point of a lobe; 0 is its lower pole and 1 its upper."""
        line = self.lines[(side + 1) // 2]
        steps = np.linspace(0, 1, len(line))
        return np.array([np.interp(fraction, steps, line[:, axis]) for axis in range(3)])


def retained(half_life_min: float, minutes: float) -> float:
    """Return the fraction of the emission that is left, by washout and physical decay of technetium-99m.

    Parameters
    ----------
    half_life_min : float
        Biological half-life [min].
    minutes : float
        Time that went by [min].

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> round(retained(60.0, 60.0) / retained(float("inf"), 60.0), 6)
    0.5
    """
    return float(2 ** -(minutes / half_life_min + minutes / TC99M_HALF_LIFE_MIN))


def draw_patient(rng: Rng) -> Patient:
    """Draw anatomy, uptake, washout and abnormal glands.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.

    Returns
    -------
    Patient
        One in four or so has no abnormal gland.

    Examples
    --------
    >>> patient = draw_patient(np.random.default_rng(1))
    >>> (patient.status == "normal") == (len(patient.glands) == 0)
    True
    """
    thyroid = _thyroid(rng)
    status: Status = rng.choice(list(_STATUS), p=list(_STATUS.values()))
    glands = _glands(rng, status, thyroid)
    parts = [*_thyroid_parts(rng, thyroid), *_head(rng, thyroid.uptake), *_chest(rng, thyroid.uptake)]
    parts += [*_soft_tissue(rng), *_distractors(rng, thyroid.uptake)]
    return Patient(status, tuple(parts), glands, _outline(rng), float(_log_normal(rng, 420, 0.25)))


def _log_normal(rng: Rng, median: float, spread: float) -> float:
    return float(rng.lognormal(np.log(median), spread))


def _thyroid(rng: Rng) -> _Thyroid:
    """Draw the shape of both lobes; one patient in eight holds the tracer longer (thyroiditis, goitre)."""
    slow = rng.random() < 0.12
    half_life = float(rng.uniform(90, 220)) if slow else _log_normal(rng, 52, 0.2)
    size = _log_normal(rng, 1.15 if slow else 1.0, 0.12)
    lines = []
    for side in (-1, 1):
        length, down, apart = size * rng.uniform(0.85, 1.2), rng.normal(0, 4), rng.normal(0, 1.5)
        corners = ((14, 24 * length, -36), (17, 8, -34), (20, -10 * length, -31), (24, -28 * length, -27))
        lines.append(np.array([(side * (x + apart), y + down, z) for x, y, z in corners]))
    return _Thyroid((lines[0], lines[1]), size * rng.uniform(0.85, 1.15), _log_normal(rng, 11, 0.35), half_life)


def _thyroid_parts(rng: Rng, thyroid: _Thyroid) -> list[Part]:
    """Return lobes, isthmus and nodules; a lobe may be missing after surgery."""
    parts, w = [], thyroid.width
    missing = rng.choice([-1, 0, 1], p=[0.03, 0.94, 0.03])
    for side, line in zip((-1, 1), thyroid.lines, strict=True):
        if side == missing:
            continue
        uptake = thyroid.uptake * _log_normal(rng, 1.0, 0.12)
        radii = tuple(w * r for r in rng.normal(1, 0.08, 4) * (7.5, 11.0, 9.5, 4.5))
        shape = smooth_tube([tuple(p) for p in line], radii, uptake)
        parts.append(Part("lobe", shape, thyroid.half_life_min * _log_normal(rng, 1, 0.05)))
    isthmus = ellipsoid((0, rng.normal(12, 3), -41), (14, rng.uniform(5, 9), 5), rng.uniform(0.2, 0.9) * thyroid.uptake)
    parts.append(Part("isthmus", isthmus, thyroid.half_life_min))
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.68, 0.2, 0.08, 0.04]))):
        parts.append(_nodule(rng, thyroid))
    return parts


def _nodule(rng: Rng, thyroid: _Thyroid) -> Part:
    """Return a thyroid nodule: cold, or warm with a washout that is often slower than the gland's."""
    at = thyroid.at(int(rng.choice([-1, 1])), rng.uniform(0.1, 0.9)) + rng.normal(0, 3, 3)
    radius = _log_normal(rng, 5.5, 0.3)
    cold = rng.random() < 0.45
    density = -rng.uniform(0.4, 0.8) if cold else rng.uniform(0.2, 0.9)
    half_life = thyroid.half_life_min if cold else thyroid.half_life_min * _log_normal(rng, 1.6, 0.35)
    axes = radius * rng.uniform(0.8, 1.25, 3)
    return Part("nodule", ellipsoid(_triple(at), _triple(axes), density * thyroid.uptake), half_life)


def _glands(rng: Rng, status: Status, thyroid: _Thyroid) -> tuple[Gland, ...]:
    """Draw the abnormal glands; those of hyperplasia are smaller, paler and wash out faster."""
    if status == "normal":
        return ()
    if status == "hyperplasia":
        places = [("upper", -1), ("upper", 1), ("lower", -1), ("lower", 1)]
        chosen = [places[k] for k in rng.permutation(4)[: int(rng.choice([2, 3, 4], p=[0.3, 0.3, 0.4]))]]
        return tuple(_gland(rng, kind, side, thyroid, hyperplasia=True) for kind, side in chosen)  # type: ignore[arg-type]
    sides = [int(side) for side in rng.permutation([-1, 1])][: 2 if status == "double adenoma" else 1]
    return tuple(
        _gland(rng, rng.choice(list(KINDS), p=_KIND_WEIGHTS), side, thyroid, hyperplasia=False) for side in sides
    )


def _gland(rng: Rng, kind: Kind, side: int, thyroid: _Thyroid, *, hyperplasia: bool) -> Gland:
    """Draw one gland."""
    median, spread = (8.5, 0.3) if hyperplasia else (12.0, 0.42)
    size = _log_normal(rng, median, spread)
    while not LESION_MM[0] <= size <= LESION_MM[1]:
        size = _log_normal(rng, median, spread)
    at = _place(rng, kind, side, thyroid, size)
    long, thick = rng.uniform(1.1, 1.9), rng.uniform(0.75, 1.0)
    axes = size / 2 * np.array([1.0, long, thick]) / (long * thick) ** (1 / 3)
    uptake = thyroid.uptake * _log_normal(rng, 1.1 if hyperplasia else 1.5, 0.35)
    fast = rng.random() < (0.2 if hyperplasia else 0.1)
    half_life = (
        thyroid.half_life_min * rng.uniform(0.9, 1.3) if fast else _log_normal(rng, 150 if hyperplasia else 230, 0.45)
    )
    shape = ellipsoid(_triple(at), _triple(axes), uptake, turn_z(float(rng.normal(0, 18))))
    return Gland(kind, Part("parathyroid", shape, float(half_life)), size)


def _place(rng: Rng, kind: Kind, side: int, thyroid: _Thyroid, size: float) -> NDArray[np.float64]:
    """Draw where a gland of a kind lies."""
    behind = 9 * thyroid.width + size / 3
    offsets: dict[str, tuple[float, float, float]] = {
        "upper": (rng.normal(-2, 3), rng.normal(0, 4), behind),
        "lower": (rng.normal(1, 5), rng.normal(3, 7) + size / 4, rng.uniform(0, behind)),
        "intrathyroidal": (rng.normal(0, 2), rng.normal(0, 2), rng.normal(0, 2)),
        "thymic": (rng.normal(7, 7), rng.uniform(50, 95), rng.uniform(-40, -20)),
        "mediastinal": (rng.normal(6, 16), rng.uniform(90, 155), rng.uniform(-25, 20)),
        "retro-oesophageal": (rng.uniform(0, 12), rng.uniform(-5, 50), rng.uniform(-6, 8)),
        "undescended": (rng.uniform(18, 32), rng.uniform(-62, -38), rng.uniform(-28, -8)),
    }
    from_thyroid = {"upper": rng.uniform(0.5, 0.85), "lower": 0.0, "intrathyroidal": rng.uniform(0.15, 0.8)}
    x, y, z = offsets[kind]
    place = np.array([side * x, y, z])
    return place + thyroid.at(side, from_thyroid[kind]) if kind in from_thyroid else place


def _head(rng: Rng, uptake: float) -> list[Part]:
    """Return salivary glands, mouth and nose, with the saliva that is sometimes swallowed."""
    level, kept = uptake * _log_normal(rng, 0.95, 0.35), _log_normal(rng, 190, 0.3)
    parts = []
    for side in (-1, 1):
        dx, dy = rng.normal(0, 2), rng.normal(0, 4)
        axes = _triple(np.array([10, 14, 10]) * rng.uniform(0.8, 1.15, 3))
        submandibular = ellipsoid(
            (side * (27 + dx), -72 + dy, -30), axes, level * _log_normal(rng, 1, 0.15), turn_z(25 * side)
        )
        parts.append(Part("submandibular", submandibular, kept))
        line = tuple((x, y + dy, z) for x, y, z in ((49, -132, 2), (53, -112, -2), (46, -92, -8)))
        parotid = smooth_tube(line, (9, 12, 7), level * _log_normal(rng, 0.8, 0.2), side=side)
        parts.append(Part("parotid", parotid, kept))
    mouth = ellipsoid((0, -100 + rng.normal(0, 4), -55), (19, 8, 18), level * rng.uniform(0.05, 0.6))
    nose = ellipsoid((0, -150, -70), (13, 20, 18), level * rng.uniform(0.2, 0.6))
    return [*parts, Part("mouth", mouth, 3 * kept), Part("nose", nose, kept)]


def _chest(rng: Rng, uptake: float) -> list[Part]:
    """Return heart, lungs, liver, great vessels and marrow of the sternum."""
    heart, fixed = _log_normal(rng, 7.5, 0.3), _log_normal(rng, 500, 0.2)
    turn = turn_z(-float(rng.uniform(35, 60)))
    x, y = 42 + rng.normal(0, 5), 196 + rng.normal(0, 10)
    wall = join(
        ellipsoid((x, y, -30), (31, 43, 32), heart, turn),
        ellipsoid((x + 4, y + 4, -30), (22, 36, 22), -0.85 * heart, turn),
    )
    lungs = join(ellipsoid((-78, 165, 10), (50, 95, 68), -0.62), ellipsoid((80, 160, 10), (46, 90, 68), -0.62))
    liver = ellipsoid((-70, 292 + rng.normal(0, 10), -10), (95, 60, 80), _log_normal(rng, 5, 0.3))
    pool = _log_normal(rng, 1.3, 0.3)
    vessels = join(
        ellipsoid((12, 120, -15), (17, 22, 20), pool),
        _rods(((-14, 120, -10), (-22, 70, -20), (-32, -50, -12)), 5.0, pool),
        _rods(((14, 110, -10), (22, 65, -20), (32, -50, -12)), 5.0, pool),
    )
    sternum = ellipsoid((0, 140, -62), (14, 62, 6), _log_normal(rng, 0.8, 0.4))
    return [
        Part("heart", wall, fixed),
        Part("lungs", lungs, 420.0),
        Part("liver", liver, _log_normal(rng, 110, 0.3)),
        Part("vessels", vessels, _log_normal(rng, 110, 0.2)),
        Part("sternum", sternum, 400.0),
    ]


def _soft_tissue(rng: Rng) -> list[Part]:
    """Return the trachea, and what makes soft tissue uneven: muscles, fat, clavicles."""
    trachea = _rods(((0, -40, -24), (0, 35, -24), (rng.normal(0, 4), 105, -8)), 7.5, -0.9)
    lumps = [trachea]
    for side in (-1, 1):
        muscle = ((side * 40, -85, 5), (side * 31, -25, -18), (side * 14, 55, -38))
        lumps.append(_rods(muscle, 8.0, rng.uniform(0.1, 0.8)))
        lumps.append(ellipsoid((side * 85, 62, 20), (60, 22, 25), rng.uniform(0.0, 0.7), turn_z(18 * side)))
        clavicle = ((side * 16, 70, -48), (side * 75, 82, -40), (side * 140, 88, -20))
        lumps.append(_rods(clavicle, 6.0, rng.uniform(-0.4, 0.3)))
    for _ in range(7):
        at, axes = rng.uniform((-120, 95, -25), (120, 230, 40)), rng.uniform(14, 40, 3)
        lumps.append(ellipsoid(_triple(at), _triple(axes), rng.uniform(-0.35, 0.35)))
    for _ in range(3):
        at, axes = rng.uniform((-25, -90, -5), (25, 50, 30)), rng.uniform(8, 18, 3)
        lumps.append(ellipsoid(_triple(at), _triple(axes), rng.uniform(-0.4, 0.4)))
    return [Part("soft tissue", join(*lumps), 420.0)]


def _distractors(rng: Rng, uptake: float) -> list[Part]:
    """Return what may be taken for a lesion: vein of the injection, saliva in the oesophagus, brown fat, a marker on the skin."""
    parts = []
    side = float(rng.choice([-1, 1]))
    if rng.random() < 0.08:
        vein = ((side * 200, 125, -20), (side * 110, 88, -25), (side * 35, 85, -25), (side * 12, 105, -20))
        parts.append(Part("vein", _rods(vein, 3.5, uptake * rng.uniform(0.3, 1.5)), 25.0))
    if rng.random() < 0.05:
        at = (rng.normal(2, 3), rng.uniform(20, 110), -6.0)
        parts.append(
            Part("oesophagus", ellipsoid(at, (4, rng.uniform(6, 20), 4), uptake * rng.uniform(0.3, 1.2)), 60.0)
        )
    if rng.random() < 0.04:
        for sign in (-1, 1):
            fat = ellipsoid(
                (sign * rng.normal(58, 5), 80 + rng.normal(0, 4), 0), (18, 9, 12), uptake * rng.uniform(0.1, 0.3)
            )
            parts.append(Part("brown fat", fat, 200.0))
    if rng.random() < 0.05:
        x, y, z = [(0.0, 72.0, -62.0), (0.0, -118.0, -84.0), (side * 60.0, 60.0, -55.0)][int(rng.integers(3))]
        parts.append(Part("marker", ball(np.array([x, y, z]), 2.0, rng.uniform(300, 1500)), float("inf")))
    return parts


def _outline(rng: Rng) -> Ellipsoids:
    """Outline of head, neck, shoulders and chest; its ellipsoids overlap freely, since the body is their union."""
    girth, neck = rng.uniform(0.92, 1.12), rng.uniform(46, 60)
    return join(
        ellipsoid((0, -20, 12), (neck, 260, neck)),
        ellipsoid((0, -150, 0), (74, 105, 95)),
        ellipsoid((0, 130, 15), (205 * girth, 66, 82 * girth)),
        ellipsoid((0, 250, 5), (168 * girth, 170, 112 * girth)),
        ellipsoid((-62 * girth, 64, 25), (78, 26, 36), 0.0, turn_z(-24)),
        ellipsoid((62 * girth, 64, 25), (78, 26, 36), 0.0, turn_z(24)),
        ball(np.array([-178 * girth, 160, 10]), 52, 0),
        ball(np.array([178 * girth, 160, 10]), 52, 0),
    )


def _rods(corners: tuple[tuple[float, float, float], ...], radius: float, activity: float) -> Ellipsoids:
    """Return an elongated ellipsoid along each piece of a polyline, with the volume of a tube."""
    parts = []
    for start, stop in pairwise(np.array(corners, float)):
        long = stop - start
        length = float(np.linalg.norm(long))
        axes = np.linalg.qr(np.column_stack([long, np.eye(3)[:, np.argsort(np.abs(long))[:2]]]))[0]
        parts.append(
            ellipsoid(_triple((start + stop) / 2), (0.6 * length, 1.12 * radius, 1.12 * radius), activity, axes)
        )
    return join(*parts)


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
