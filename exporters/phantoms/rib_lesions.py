"""Lesions of ribs as a gamma camera sees them: fractures, metastases, and what is normal but hot.

* Trauma: short round foci, mostly on several neighbouring ribs and in line, at the costochondral junctions in front and at the
  angles behind; uptake alike within one accident, less when healing.
* Metastasis: mostly longer than wide along the rib and irregular, on random ribs of either side, each with uptake of its own; some
  are as short as a fracture, so that single ones cannot all be told apart.

References
----------
* Matin, P. (1979). The appearance of bone scans following fractures, including immediate and long-term studies. J. Nucl. Med. 20,
  1227-1231. (Uptake rises within a day and falls over months to years.)
* Baxter, A. D. et al. (1995). The aetiology of solitary hot spots in the ribs on planar bone scans. Nuclear Medicine
  Communications 16, 834-837.
  (41 % of single spots were malignant in patients with a known malignancy, 35 % benign.)
* Kara, G. et al. (2003). Solitary rib lesions in bone scans of patients with breast carcinoma. Nuclear Medicine Communications 24,
  887-892.
  (Linear lesions were mostly metastases, 7 of 9; focal ones mostly benign, 46 of 56; so were those at the anterior end, 14 of 16.)
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .bone_thorax import Patient, Rib
from .scene import Ellipsoids, join, tube

__all__ = ["LABELS", "Label", "Lesion", "draw_lesions", "draw_variants"]

Label = Literal["normal", "trauma", "metastasis"]
LABELS: tuple[Label, ...] = ("normal", "trauma", "metastasis")
Rng = np.random.Generator
_SINGLE_FRACTURE, _SINGLE_METASTASIS, _SHORT_METASTASIS = 0.2, 0.25, 0.15


@dataclass(frozen=True)
class Lesion:
    """A lesion of one rib.

    Parameters
    ----------
    rib, side : int
        Which rib, see :class:`~.bone_thorax.Rib`.
    length_mm : float
        Along the rib [mm].
    parts : Ellipsoids
        Balls along the rib.
    """

    rib: int
    side: int
    length_mm: float
    parts: Ellipsoids

    def times(self, factor: float) -> "Lesion":
        """Return the lesion with another uptake."""
        return replace(self, parts=replace(self.parts, activity=self.parts.activity * factor))


def draw_lesions(patient: Patient, label: Label, rng: Rng) -> tuple[Lesion, ...]:
    """Return lesions in the half of the rib cage that faces the detector.

    Parameters
    ----------
    patient : Patient
        As the detector sees it.
    label : {"normal", "trauma", "metastasis"}
        What the ribs have; "normal" gives none.
    rng : numpy.random.Generator
        Draws number, places, lengths and uptakes.

    Examples
    --------
    >>> from .bone_thorax import draw_patient
    >>> rng = np.random.default_rng(1)
    >>> lesions = draw_lesions(draw_patient(rng), "trauma", rng)
    >>> all(lesion.length_mm < 16 for lesion in lesions)
    True
    """
    if label == "trauma":
        return _fractures(patient, rng)
    return _metastases(patient, rng) if label == "metastasis" else ()


def draw_variants(patient: Patient, rng: Rng) -> Ellipsoids:
    """Return what is uneven in the ribs of the healthy: hot ends, junctions and insertions of muscles, waves of uptake.

    Parameters
    ----------
    patient : Patient
        Whose ribs.
    rng : numpy.random.Generator
        Draws how much.
    """
    parts = []
    ends, waves = rng.choice([0.0, 0.4, 1.0]), rng.uniform(0.05, 0.35)
    insertions = rng.choice([0.0, 0.0, 0.6])
    front, reach = rng.choice([0.0, 0.5, 1.3]), rng.uniform(20, 60)
    for rib in patient.ribs:
        end = rib.points[-1]
        if rib.number <= 10:
            hot = ends * rng.uniform(0, 1) + (rng.uniform(0, 1.5) if rib.number == 1 else 0.0)
            parts.append(_along(rib, (0.98, 10.0), 5.5, hot * rib.density))
            inwards = np.array([-0.25 * end[0], 6.0 if rib.number > 2 else -2.0, 0.0])
            cartilage = np.stack([end, end + inwards])
            parts.append(tube(cartilage, 5.0, 0.35 * ends * rng.uniform(0, 1) * rib.density))
        if front and 2 <= rib.number <= 10:  # bone before its cartilage, seen end-on
            bone = front * rng.lognormal(-0.3, 0.35) * rib.density
            parts.append(_along(rib, (0.97, reach * rng.uniform(0.6, 1.2)), rng.uniform(4.5, 6.5), bone))
        if insertions:
            parts.append(_along(rib, (0.22, 14.0), 5.0, insertions * rng.uniform(0, 1) * rib.density))
        for _ in range(3):
            place = float(rng.uniform(0.1, 0.95)), float(rng.uniform(25, 70))
            parts.append(_along(rib, place, 5.0, float(rng.normal(0, waves)) * rib.density))
    return join(*parts)


def _fractures(patient: Patient, rng: Rng) -> tuple[Lesion, ...]:
    """Draw one or two series of neighbouring ribs, each in line."""
    uptake = float(np.clip(rng.lognormal(np.log(4.5), 0.6), 0.8, 18))
    series = 2 if rng.random() < 0.12 else 1
    lesions: list[Lesion] = []
    for _ in range(series):
        number = 1 if rng.random() < _SINGLE_FRACTURE else int(rng.integers(2, 7))
        first, side = int(np.clip(rng.normal(5, 2), 2, 12 - number)), int(rng.choice([-1, 1]))
        chosen = [rib for rib in patient.ribs if rib.side == side and first <= rib.number < first + number]
        drift = float(rng.normal(0, 6))
        target = _site(chosen[0], rng)
        for step, rib in enumerate(chosen):
            wanted = target + step * drift + rng.normal(0, 4)
            place, length = _nearest(rib, wanted), float(rng.uniform(5, 13))
            own = uptake * rib.density * float(rng.lognormal(0, 0.3))
            lesions.append(Lesion(rib.number, side, length, _along(rib, (place, length), rng.uniform(5, 7), own)))
    return tuple(lesions)


def _metastases(patient: Patient, rng: Rng) -> tuple[Lesion, ...]:
    """Draw lesions on random ribs."""
    number = 1 if rng.random() < _SINGLE_METASTASIS else int(rng.integers(2, 9))
    lesions = []
    weights = np.array([1.0 if rib.number > 1 else 0.4 for rib in patient.ribs])
    for index in rng.choice(len(patient.ribs), number, replace=False, p=weights / weights.sum()):
        rib = patient.ribs[index]
        short = rng.random() < _SHORT_METASTASIS
        length = float(rng.uniform(8, 16) if short else np.clip(rng.lognormal(np.log(38), 0.4), 20, 100))
        uptake = float(np.clip(rng.lognormal(np.log(4.0), 0.65), 0.8, 18)) * rib.density
        parts = _along(rib, (float(rng.choice(_near(rib))), length), rng.uniform(4.5, 7.5), uptake)
        count = len(parts)
        centre = parts.centre + rng.normal(0, 1.2, (count, 3))
        lumps = np.exp(rng.normal(0, 0.45, count))
        parts = Ellipsoids(
            centre, parts.semi_axes * rng.uniform(0.85, 1.2, (count, 1)), parts.rotation, parts.activity * lumps
        )
        lesions.append(Lesion(rib.number, rib.side, length, parts))
    return tuple(lesions)


def _near(rib: Rib) -> NDArray[np.float64]:
    """Return the places along a rib, 0 to 1, that face the detector."""
    along = np.linspace(0, 1, len(rib.points))
    z = rib.points[:, 2]
    facing = z < min(z.mean(), 10.0)
    return along[facing] if facing.any() else along[np.argmin(z)][None]


def _site(rib: Rib, rng: Rng) -> float:
    """Return where a fracture lies across the body [mm]: often at the end in front or at the angle behind."""
    near = _near(rib)
    typical = near.max() if near.max() > 0.9 else 0.3
    at = np.clip(rng.normal(typical, 0.05), 0, 1) if rng.random() < 0.4 else rng.choice(near)
    return float(np.interp(at, np.linspace(0, 1, len(rib.points)), rib.points[:, 0]))


def _nearest(rib: Rib, x_mm: float) -> float:
    """Return the place along the facing part of a rib that lies nearest to a position across the body."""
    near = _near(rib)
    x = np.interp(near, np.linspace(0, 1, len(rib.points)), rib.points[:, 0])
    return float(near[np.argmin(np.abs(x - x_mm))])


def _along(rib: Rib, where: tuple[float, float], radius_mm: float, density: float) -> Ellipsoids:
    """Return a stretch of a rib: place of its middle, 0 to 1, and length [mm]."""
    steps = np.linalg.norm(np.diff(rib.points, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    middle, half = where[0] * length[-1], where[1] / 2
    middle = float(np.clip(middle, half, max(length[-1] - half, half)))
    at = np.linspace(middle - half, middle + half, max(int(where[1] / 3), 3))
    points = np.stack([np.interp(at, length, rib.points[:, axis]) for axis in range(3)], axis=1)
    return tube(points, radius_mm, density)
