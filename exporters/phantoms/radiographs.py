"""Chest radiographs of a digital thorax: a point source, ellipsoids, and rays whose lengths in them are known exactly.

What tells an antero-posterior (AP) from a postero-anterior (PA) image is geometry: the side that touches the detector, the
distance of the source, and the posture. In PA the source stands 1.8 m behind the patient and the shoulders are rolled
forward, which takes the scapulae out of the lungs; in AP, often in bed, the source is a metre in front of the patient, the
heart lies far from the detector and is magnified, the scapulae cover the lungs and the clavicles lie high and level.

Coordinates [mm]: x to the patient's left, y to the back, z up, 0 in the middle of the lungs.

References
----------
* Siddon, R. L. (1985). Fast calculation of the exact radiological path for a three-dimensional CT array. Med. Phys. 12.
* Hubbell, J. H. and Seltzer, S. M. (1995). Tables of X-ray mass attenuation coefficients. NISTIR 5632. (At 60 keV.)
* Raoof, S. et al. (2012). Interpretation of plain chest roentgenogram. Chest 141, 545-558. (AP against PA.)
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Anatomy", "View", "draw_anatomy", "radiograph"]

View = Literal["AP", "PA", "lateral"]
Floats = NDArray[np.float64]

# Attenuation [1/mm] at 60 keV, relative to what surrounds the part.
_SOFT, _LUNG, _BONE = 0.0206, -0.0155, 0.024
_HEART = 0.0145  # of blood where the template of the lungs has air
_RIBS = 10
_BEADS = 26


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A thorax as ellipsoids.

    Parameters
    ----------
    centres : ndarray, shape (k, 3), float64
        Centres [mm].
    shapes : ndarray, shape (k, 3, 3), float64
        Matrices that make each ellipsoid a unit ball [1/mm].
    attenuation : ndarray, shape (k,), float64
        What each adds to the attenuation [1/mm].
    depth_mm : float
        Half the depth of the chest [mm].
    """

    centres: Floats
    shapes: Floats
    attenuation: Floats
    depth_mm: float


def draw_anatomy(rng: np.random.Generator, view: View) -> Anatomy:
    """Draw a patient in the posture that a view is taken in.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws sizes, the heart, the ribs' slope and the shoulders.
    view : {"AP", "PA", "lateral"}
        Posture: shoulders rolled forward for ``PA``, back for ``AP``, arms up for ``lateral``.

    Returns
    -------
    Anatomy
        About 300 ellipsoids.
    """
    wide, deep, high = rng.uniform(0.88, 1.12, 3)
    parts = _Parts(np.array([wide, deep, high]))
    parts.add((0, 0, -40), (172, 112, 420), _SOFT)
    breath = rng.uniform(-15, 15)
    for side in (-1, 1):
        parts.add((side * 76, 5, 5 + breath / 2), (60, 84, 128 + breath / 2), _LUNG)
        parts.add((side * 72, -5, -128 - 8 * side), (72, 90, 55), -0.9 * _LUNG)
        parts.add((side * 198, 15, -60), (42, 42, 230), _SOFT if view != "lateral" else 0.0)
    heart = rng.uniform(0.85, 1.3)
    parts.add((22 * heart, -38, -58), (62 * heart, 44, 56 * heart), _HEART, turn=rng.uniform(0.3, 0.7))
    parts.add((0, -10, 45), (26, 34, 70), _HEART)
    parts.add((0, 72, -60), (17, 19, 420), 0.8 * _BONE)
    parts.add((0, -88, 20), (14, 7, 70), 0.6 * _BONE)
    _add_ribs(parts, rng.uniform(0.30, 0.55))
    _add_shoulders(parts, rng, view)
    return parts.anatomy(112 * deep)


def radiograph(
    anatomy: Anatomy,
    view: View,
    rng: np.random.Generator,
    *,
    side: int = 128,
    field_mm: float | None = None,
    photons: float = 2e4,
) -> NDArray[np.float32]:
    """Return the radiograph of a thorax, bones white.

    Parameters
    ----------
    anatomy : Anatomy
        From :func:`draw_anatomy`.
    view : {"AP", "PA", "lateral"}
        AP: source in front of the patient at 0.9 to 1.2 m from the detector; PA: behind at 1.8 m; lateral: on the right at
        1.8 m.
    rng : numpy.random.Generator
        Draws distance, centring and quanta.
    side : int
        Rows and columns.
    field_mm : float, optional
        Edge of the detector [mm]; 350 to 430 by default.
    photons : float
        Quanta per pixel in the open beam [1].

    Returns
    -------
    ndarray, shape (side, side), float32
        Attenuation along each ray, noise included [1]; the patient's right is on the left.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> image = radiograph(draw_anatomy(rng, "PA"), "PA", rng, side=64)
    >>> image.shape, bool(image[32, 32] > image[32, 20])
    ((64, 64), True)
    """
    field_mm = field_mm or rng.uniform(350, 430)
    distance = rng.uniform(900, 1200) if view == "AP" else 1800.0
    plane = anatomy.depth_mm + rng.uniform(10, 40)
    place = (np.arange(side) + 0.5) / side - 0.5
    down, across = np.meshgrid(
        place * field_mm + rng.uniform(-15, 15), place * field_mm + rng.uniform(-12, 12), indexing="ij"
    )
    if view == "lateral":
        source = np.array([plane + 60 - distance, rng.uniform(-20, 20), 0.0])
        pixels = np.stack([np.full_like(down, plane + 60), across, -down], -1)
    else:
        towards = 1.0 if view == "AP" else -1.0  # where the detector is
        source = np.array([0.0, towards * (plane - distance), rng.uniform(-20, 40)])
        pixels = np.stack([across, np.full_like(down, towards * plane), -down], -1)
    attenuation = np.maximum(_line_integrals(anatomy, source, pixels.reshape(-1, 3)), 0).reshape(side, side)
    quanta = rng.poisson(photons * np.exp(-attenuation)) + 0.5
    return np.log(photons / quanta).astype(np.float32)


def _line_integrals(anatomy: Anatomy, source: Floats, pixels: Floats) -> Floats:
    """Return the integral of the attenuation from a source to each pixel; chords of ellipsoids have a closed form."""
    rays = pixels - source
    lengths = np.linalg.norm(rays, axis=1)
    total = np.zeros(len(rays))
    for centre, shape, attenuation in zip(anatomy.centres, anatomy.shapes, anatomy.attenuation, strict=True):
        along, start = rays @ shape.T, shape @ (source - centre)
        a, b = np.einsum("ij,ij->i", along, along), along @ start
        discriminant = b * b - a * (start @ start - 1)
        total += attenuation * lengths * 2 * np.sqrt(np.maximum(discriminant, 0)) / a
    return total


class _Parts:
    """Ellipsoids as they are collected, scaled to the patient."""

    def __init__(self, size: Floats) -> None:
        self._size = size
        self._parts: list[tuple[Floats, Floats, float]] = []

    def add(self, centre: tuple[float, ...], axes: tuple[float, ...], attenuation: float, *, turn: float = 0.0) -> None:
        """Add an ellipsoid, turned clockwise as seen from the front [rad]."""
        cosine, sine = np.cos(turn), np.sin(turn)
        rotation = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
        shape = rotation / (np.array(axes)[:, None])
        self._parts.append((np.array(centre) * self._size, shape / self._size, attenuation))

    def chain(self, places: Floats, radius: float, attenuation: float) -> None:
        """Add balls along a line; their spacing makes the attenuation that of a rod."""
        pitch = float(np.linalg.norm(np.diff(places, axis=0), axis=1).mean())
        for place in places:
            self.add(tuple(place), (radius,) * 3, attenuation * 0.75 * pitch / radius)

    def anatomy(self, depth_mm: float) -> Anatomy:
        """Return what was collected."""
        centres, shapes, attenuation = zip(*self._parts, strict=True)
        return Anatomy(np.array(centres), np.array(shapes), np.array(attenuation), depth_mm)


def _add_ribs(parts: _Parts, slope: float) -> None:
    """Add ten pairs of ribs, which run down and forward from the spine."""
    turn = np.linspace(0.12, 2.5, _BEADS)  # from the spine past the side to the front
    for rib in range(_RIBS):
        share = rib / (_RIBS - 1)
        across, deep = 95 + 50 * np.sqrt(share), 65 + 28 * np.sqrt(share)
        level = 125 - 235 * share
        down = level - slope * deep * (1 - np.cos(turn)) * (0.6 + 0.6 * share)
        for side in (-1, 1):
            places = np.stack([side * across * np.sin(turn), deep * np.cos(turn), down], 1)
            parts.chain(places, 5.0, _BONE)


def _add_shoulders(parts: _Parts, rng: np.random.Generator, view: View) -> None:
    """Add clavicles and scapulae where the posture puts them."""
    if view == "lateral":
        rise, aside = 60.0, 120.0
    elif view == "AP":
        rise, aside = rng.uniform(10, 35), rng.uniform(92, 125)
    else:
        rise, aside = rng.uniform(-12, 18), rng.uniform(128, 158)
    for side in (-1, 1):
        share = np.linspace(0, 1, 18)
        bend = 8 * np.sin(np.pi * share)
        places = np.stack([side * (16 + 130 * share), -70 + 60 * share, 118 + rise * share + bend], 1)
        parts.chain(places, 6.0, _BONE)
        tilt = side * rng.uniform(0.0, 0.25)
        parts.add((side * aside, 86, 62), (32, 7, 68), 0.7 * _BONE, turn=tilt)
        parts.add((side * (aside - 28), 86, 62), (4, 7, 62), 0.7 * _BONE, turn=tilt)
