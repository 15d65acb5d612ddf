"""Static organ studies: thyroid and parathyroid, liver and spleen, kidneys, lungs, and shapes without a name."""

import numpy as np
from numpy.typing import NDArray

from .scene import Ellipsoids, Scene, ellipsoid, join, tube


def thyroid(rng: np.random.Generator) -> Scene:
    """Return a neck with thyroid lobes, isthmus, nodules, salivary glands and sometimes a parathyroid adenoma.

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
    uptake = rng.lognormal(np.log(25), 0.7)
    parts = [ellipsoid((0, rng.normal(8, 4), -38), (14, rng.uniform(4, 8), 5), 0.7 * uptake)]
    for side in (-1, 1):
        length = rng.uniform(18, 32)
        axes = (rng.uniform(7, 13), length, rng.uniform(7, 12))
        centre = (side * rng.uniform(16, 22), rng.normal(0, 5), -30.0)
        parts.append(ellipsoid(centre, axes, uptake * rng.lognormal(0, 0.15), _tilt(side * rng.uniform(4, 18))))
        for _ in range(rng.integers(0, 3)):
            at = np.array(centre) + rng.uniform(-0.6, 0.6, 3) * np.array(axes)
            parts.append(_blob(at, rng, (3, 8), uptake * rng.choice([-0.7, rng.uniform(0.5, 4)])))
        if rng.random() < 0.5:
            at = np.array([side * rng.uniform(14, 24), rng.choice([-22, 25]) + rng.normal(0, 6), -20])
            parts.append(_blob(at, rng, (3, 8), uptake * rng.uniform(0.3, 2.5)))
        salivary = uptake * rng.uniform(0.1, 1.0)
        parts.append(ellipsoid((side * 28, -75 + rng.normal(0, 5), -25), (13, 17, 11), salivary))
        parts.append(ellipsoid((side * 52, -110 + rng.normal(0, 5), 0), (12, 22, 14), salivary))
    body = join(
        tube(np.array([[0, -120, 10], [0, 60, 10.0]]), rng.uniform(52, 68), 0),
        ellipsoid((0, 150, 20), (200, 95, 85)),
        ellipsoid((0, -150, 0), (75, 100, 95)),
    )
    return Scene(join(*parts), body, background=1.0)


def liver_spleen(rng: np.random.Generator) -> Scene:
    """Return an abdomen with liver, spleen and marrow, with hot and cold lesions.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws anatomy and uptake.

    Returns
    -------
    Scene
        Centred between liver and spleen; emission density of soft tissue is 1.

    Examples
    --------
    >>> liver_spleen(np.random.default_rng(0)).background
    1.0
    """
    uptake = rng.uniform(5, 25)
    liver, spleen = (rng.uniform(70, 100), rng.uniform(55, 85), rng.uniform(45, 65)), rng.uniform(25, 42)
    parts = [
        ellipsoid((-75, 10, -10), liver, uptake, _tilt(rng.uniform(10, 30))),
        ellipsoid((-10, -15, -40), (65, 35, 30), 0.6 * uptake, _tilt(rng.uniform(-15, 10))),
        ellipsoid((105, 0, 45), (spleen, 1.6 * spleen, 0.9 * spleen), uptake * rng.uniform(0.5, 1.8), _tilt(-20)),
        tube(np.array([[0, -150, 50], [0, 160, 50.0]]), 18.0, uptake * rng.uniform(0.02, 0.3)),
    ]
    for _ in range(rng.integers(0, 8)):
        at = np.array([-75, 10, -10]) + rng.uniform(-0.65, 0.65, 3) * np.array(liver)
        parts.append(_blob(at, rng, (5, 18), uptake * rng.choice([-0.85, rng.uniform(0.5, 5)])))
    return Scene(join(*parts), _abdomen(rng), background=1.0)


def kidneys(rng: np.random.Generator) -> Scene:
    """Return a renal study: cortex, pelvis, scars, ureters and bladder.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws anatomy and uptake.

    Returns
    -------
    Scene
        Seen from the front; turn it with ``posterior`` for the usual view. Soft tissue has density 1.

    Examples
    --------
    >>> len(kidneys(np.random.default_rng(3)).body)
    3
    """
    uptake = rng.lognormal(np.log(25), 0.6)
    parts = [ellipsoid((0, 190, -20), (38, 28, 32), uptake * rng.uniform(0, 2))]
    for side in (-1, 1):
        share, tilt = rng.uniform(0.1, 1), _tilt(-side * rng.uniform(5, 25))
        centre = (side * rng.uniform(58, 75), rng.normal(0, 15), 50.0)
        size = rng.uniform(0.75, 1.2)
        parts.append(ellipsoid(centre, (27 * size, 54 * size, 25 * size), share * uptake, tilt))
        inner = (centre[0] - side * 8, centre[1], centre[2])
        parts.append(ellipsoid(inner, (11 * size, 26 * size, 12), share * uptake * rng.uniform(-0.8, 2), tilt))
        for _ in range(rng.integers(0, 3)):
            at = np.array(centre) + rng.uniform(-1, 1, 3) * np.array([20, 42, 10])
            parts.append(_blob(at, rng, (5, 12), -0.7 * share * uptake))
        ureter = np.array([inner, (side * 45, 110, 30), (side * 25, 175, 0.0)])
        parts.append(tube(ureter, 3.0, share * uptake * rng.uniform(0, 1.5)))
    return Scene(join(*parts), _abdomen(rng), background=1.0)


def lungs(rng: np.random.Generator) -> Scene:
    """Return a perfusion study with segmental defects.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws anatomy and defects.

    Returns
    -------
    Scene
        Chest centred; attenuation is that of a chest with air (half of water).

    Examples
    --------
    >>> lungs(np.random.default_rng(0)).attenuation_per_mm < 0.01
    True
    """
    uptake = rng.uniform(8, 30)
    parts = []
    for side in (-1, 1):
        axes = np.array([rng.uniform(52, 68), rng.uniform(110, 145), rng.uniform(70, 90)])
        centre = np.array([side * rng.uniform(72, 85), 0, 5.0])
        parts.append(ellipsoid(tuple(centre), tuple(axes), uptake))
        parts.append(ellipsoid((side * 60, 125, 0), (62, 45, 75), -0.6 * uptake))
        for _ in range(rng.integers(0, 5)):
            at = centre + rng.uniform(-0.8, 0.8, 3) * axes
            parts.append(_blob(at, rng, (10, 35), -rng.uniform(0.3, 0.9) * uptake))
    parts.append(ellipsoid((25, 45, -40), (48, 55, 45), -0.55 * uptake, _tilt(-35)))
    body = join(ellipsoid((0, 0, 0), (185, 240, 118)), ellipsoid((0, -110, 5), (195, 75, 85)))
    return Scene(join(*parts), body, background=1.0, attenuation_per_mm=0.0075)


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


def _abdomen(rng: np.random.Generator) -> Ellipsoids:
    """Outline of an abdomen."""
    girth = rng.uniform(0.9, 1.25)
    return join(
        ellipsoid((0, 0, 0), (165 * girth, 260, 112 * girth)),
        ellipsoid((0, -120, 0), (160 * girth, 160, 110 * girth)),
        ellipsoid((0, 180, 0), (172 * girth, 150, 112 * girth)),
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
