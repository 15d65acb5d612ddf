"""Coils: wires packed in a sac, and what two cone-beam views see of them.

The wire is a tube of constant radius that neither leaves the sac nor passes through itself. Its images are drawn ray by ray
from the chords through closely spaced spheres, several rays for each pixel, whose intensities are averaged before the
logarithm: nothing here is shared with the solver that is judged by them.
"""

from dataclasses import dataclass
from math import pi

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...kernels import Geometry, Grid, View

__all__ = ["Beam", "Coil", "biplane", "draw_thickness", "random_coil", "simulate_views"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Coil:
    """A wire in a sac.

    Parameters
    ----------
    points_mm : ndarray, shape (n, 3), float64
        The centreline, x, y and z, about 0.05 mm apart [mm].
    radius_mm : float
        Of the wire [mm].
    sac_mm : tuple of float
        Semi-axes of the sac around the origin along x, y and z [mm].
    """

    points_mm: Array
    radius_mm: float
    sac_mm: tuple[float, float, float]

    @property
    def length_mm(self) -> float:
        """Length of the centreline [mm]."""
        return float(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum())


@dataclass(frozen=True)
class Beam:
    """X-rays and their detector.

    Parameters
    ----------
    attenuation_per_mm : float
        Of the wire [1/mm].
    photons : float
        Mean number that a pixel counts where nothing is in the way.
    subsamples : int
        Rays along each side of a pixel.
    """

    attenuation_per_mm: float = 1.0
    photons: float = 5000.0
    subsamples: int = 4

    def __post_init__(self) -> None:
        if not (self.attenuation_per_mm > 0 and self.photons > 0 and self.subsamples >= 1):
            raise ValueError(f"{self} is no beam: attenuation and photons must be above 0, subsamples 1 or more")


def biplane(
    angles: tuple[tuple[float, float], ...] = ((0.0, 0.0), (90.0, 0.0)),
    *,
    pixels: int = 64,
    pixel_mm: float = 0.2,
    source_detector_mm: float = 1100.0,
    source_isocenter_mm: float = 750.0,
) -> Geometry:
    """Return the geometry of an angiography stand that looks at the origin.

    Examples
    --------
    >>> round(biplane().views[1].magnification, 3)
    1.467
    """
    views = tuple(
        View.c_arm(
            (pixels, pixels),
            (pixel_mm, pixel_mm),
            primary,
            secondary,
            source_detector_mm=source_detector_mm,
            source_isocenter_mm=source_isocenter_mm,
        )
        for primary, secondary in angles
    )
    return Geometry(Grid((64, 64, 64), (0.125, 0.125, 0.125)), views)


def random_coil(
    seed: int,
    *,
    loops: int = 2,
    radius_mm: float = 0.25,
    sac_mm: tuple[float, float, float] = (3.0, 3.0, 3.0),
) -> Coil:
    """Return a wire wound in random loops, relaxed until it neither crosses itself nor the wall.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    loops : int, default 2
        Turns, about 15 mm of wire each in a sac of 6 mm.
    radius_mm : float, default 0.25
        Of the wire [mm].
    sac_mm : tuple of float, default (3, 3, 3)
        Semi-axes of the sac [mm].

    Raises
    ------
    ValueError
        If no loop is asked for, or the wire does not fit.

    Examples
    --------
    >>> 25 < random_coil(0, loops=2).length_mm < 35
    True
    """
    if loops < 1:
        raise ValueError(f"{loops} loops are no coil; ask for 1 or more")
    if not 0 < radius_mm < min(sac_mm) / 3:
        raise ValueError(f"a wire of radius {radius_mm} mm does not fit in a sac of {sac_mm} mm")
    rng = np.random.default_rng(seed)
    for _ in range(20):
        points = _relaxed(_winding(rng, loops, sac_mm, radius_mm), radius_mm, sac_mm)
        if _narrowest(points, radius_mm) >= 1.9 * radius_mm:
            return Coil(_resampled(points, 0.05), radius_mm, sac_mm)
    raise ValueError(f"{loops} loops of a wire of radius {radius_mm} mm do not fit in a sac of {sac_mm} mm")


def draw_thickness(coil: Coil, view: View, subsamples: int = 4) -> Array:
    """Return the path through the wire along every ray.

    Returns
    -------
    ndarray, shape (rows x subsamples, columns x subsamples), float64
        Thickness [mm].
    """
    if view.source_mm is None:
        raise ValueError("the coil is drawn for cone beams only; give a view with a focal spot")
    fine = View(
        (view.shape[0] * subsamples, view.shape[1] * subsamples),
        (view.spacing_mm[0] / subsamples, view.spacing_mm[1] / subsamples),
        view.center_mm,
        view.right,
        view.down,
        view.source_mm,
    )
    source = np.array(view.source_mm)
    reach = coil.radius_mm * view.magnification * 1.1 / min(fine.spacing_mm) + 1
    return np.asarray(
        _chords(coil.points_mm, fine.project(coil.points_mm), source, fine.pixels_mm(), coil.radius_mm, reach)
    )


def simulate_views(coil: Coil, geometry: Geometry, beam: Beam | None = None, *, seed: int = 0) -> tuple[Image, ...]:
    """Return noisy line integrals of a coil, as a detector that counts photons sees them.

    Parameters
    ----------
    coil : Coil
        What is seen.
    geometry : Geometry
        Cone-beam views.
    beam : Beam, optional
        X-rays and detector; 5000 photons by default.
    seed : int
        Of the noise.

    Returns
    -------
    tuple of ndarray, shape (rows, columns), float32
        -log(counts / photons), one for each view [1].
    """
    beam = beam or Beam()
    rng = np.random.default_rng((seed, 5))
    images = []
    for view in geometry.views:
        through = np.exp(-beam.attenuation_per_mm * draw_thickness(coil, view, beam.subsamples))
        n = beam.subsamples
        mean = through.reshape(view.shape[0], n, view.shape[1], n).mean(axis=(1, 3))
        counts = rng.poisson(beam.photons * mean)
        images.append((-np.log(np.maximum(counts, 0.5) / beam.photons)).astype(np.float32))
    return tuple(images)


def _winding(rng: np.random.Generator, loops: int, sac: tuple[float, float, float], radius: float) -> Array:
    """Return loops whose plane turns slowly, inside the sac."""
    knots = loops + 2
    axes = rng.normal(size=(knots, 3))
    for i in range(1, knots):  # the next plane differs, but not so much that the wire must turn sharply
        axes[i] = axes[i] * 0.8 + axes[i - 1] / np.linalg.norm(axes[i - 1])
    count = 120 * loops
    t = np.linspace(0, loops, count)
    normals = np.stack([np.interp(t, np.arange(knots), axes[:, k]) for k in range(3)], axis=1)
    normals = _smoothed(normals, 40)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    e1 = np.empty_like(normals)
    e1[0] = np.cross(normals[0], rng.normal(size=3))
    for i in range(count):  # parallel transport, so that the phase is the only turning
        base = e1[max(i - 1, 0)]
        e1[i] = base - (base @ normals[i]) * normals[i]
        e1[i] /= np.linalg.norm(e1[i])
    e2 = np.cross(normals, e1)
    phase = 2 * pi * t + rng.uniform(0, 2 * pi)
    size = 0.88 + 0.12 * np.sin(2 * pi * t * rng.uniform(0.2, 0.6) + rng.uniform(0, 2 * pi))
    offset = _smoothed(rng.normal(size=(count, 3)), 60) * 1.5
    circle = np.cos(phase)[:, None] * e1 + np.sin(phase)[:, None] * e2
    return (circle * size[:, None] + offset) * (np.array(sac) - radius) * 0.97


def _smoothed(values: Array, width: int) -> Array:
    weights = np.hanning(2 * width + 1)
    padded = np.pad(values, ((width, width), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, k], weights / weights.sum(), "valid") for k in range(values.shape[1])], 1)


def _relaxed(points: Array, radius: float, sac: tuple[float, float, float]) -> Array:
    """Push neighbouring turns apart and the wire inside, and keep it smooth."""
    points = _resampled(points, 0.2)
    near = int(4 * radius / 0.2) + 2
    apart = np.abs(np.subtract.outer(np.arange(len(points)), np.arange(len(points)))) > near
    room = np.array(sac) - radius
    for _ in range(400):
        between = points[:, None] - points[None]
        distance = np.linalg.norm(between, axis=-1) + 1e-9
        lack = np.where(apart, np.maximum(2.1 * radius - distance, 0), 0) / distance
        push = 0.35 * np.einsum("ij,ijk->ik", lack, between)
        push = _smoothed(push, 2)
        outside = np.linalg.norm(points / room, axis=1, keepdims=True)
        push += points * np.minimum(1 / outside - 1, 0) * 0.5
        bend = np.zeros_like(points)
        bend[2:-2] = -(points[4:] - 4 * points[3:-1] + 6 * points[2:-2] - 4 * points[1:-3] + points[:-4])
        points = points + push + 0.06 * bend
    return points


def _narrowest(points: Array, radius: float) -> float:
    """Return the least distance between turns [mm]."""
    points = _resampled(points, 0.1)
    index = np.arange(len(points))
    apart = np.abs(index[:, None] - index) > 4 * radius / 0.1
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return float(distance[apart].min()) if apart.any() else np.inf


def _resampled(points: Array, step: float) -> Array:
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, along[-1], max(round(along[-1] / step) + 1, 2))
    return np.stack([np.interp(at, along, points[:, k]) for k in range(3)], axis=1)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _chords(points, seen, source, pixels, radius, reach):  # type: ignore[no-untyped-def]
    """Return the length of each ray inside the union of spheres along a polyline."""
    rows, columns = pixels.shape[:2]
    out = np.zeros((rows, columns))
    # A ray meets few pieces; those that come near it in the image are listed by pixel.
    for row in range(rows):
        for column in range(columns):
            starts = np.empty(256)
            ends = np.empty(256)
            count = 0
            direction = pixels[row, column] - source
            direction /= np.sqrt((direction**2).sum())
            for k in range(len(points)):
                if abs(seen[k, 0] - row) > reach or abs(seen[k, 1] - column) > reach or count >= 254:
                    continue
                a = points[k] - source
                along = (a * direction).sum()
                gap = radius**2 - ((a * a).sum() - along**2)
                if gap > 0:
                    starts[count] = along - np.sqrt(gap)
                    ends[count] = along + np.sqrt(gap)
                    count += 1
            if count == 0:
                continue
            order = np.argsort(starts[:count])
            low, high = starts[order[0]], ends[order[0]]
            for i in order[1:]:
                if starts[i] > high:
                    out[row, column] += high - low
                    low, high = starts[i], ends[i]
                else:
                    high = max(high, ends[i])
            out[row, column] += high - low
    return out
