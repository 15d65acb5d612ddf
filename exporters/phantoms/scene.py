"""Objects made of ellipsoids, projected with exact line integrals.

A scene holds sources (activity adds up where they overlap, and may be negative to carve a hole) and a body (the union of
its ellipsoids attenuates and carries a uniform background). Parallel rays meet an ellipsoid in one interval, so nothing is voxelised.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .camera import WATER_140KEV_PER_MM, Camera, detect

SLAB_MM = 14.0
_MIRROR = np.diag([-1.0, 1.0, -1.0])


@dataclass(frozen=True)
class Ellipsoids:
    """A set of k ellipsoids.

    Parameters
    ----------
    centre : ndarray, shape (k, 3)
        Centres x, y, z [mm].
    semi_axes : ndarray, shape (k, 3)
        Half axes [mm].
    rotation : ndarray, shape (k, 3, 3)
        Columns are the directions of the axes.
    activity : ndarray, shape (k,)
        Emission density [counts per mm^3].
    """

    centre: NDArray[np.float64]
    semi_axes: NDArray[np.float64]
    rotation: NDArray[np.float64]
    activity: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of ellipsoids."""
        return len(self.centre)

    def volume_mm3(self) -> NDArray[np.float64]:
        """Return the volume of each ellipsoid [mm^3]."""
        return np.asarray(4 / 3 * np.pi * self.semi_axes.prod(axis=1), np.float64)

    def turned(self, matrix: NDArray[np.float64]) -> "Ellipsoids":
        """Return the set rotated (or mirrored) about the origin by a 3x3 matrix."""
        return replace(self, centre=self.centre @ matrix.T, rotation=matrix @ self.rotation)


@dataclass(frozen=True)
class Scene:
    """Sources inside an attenuating body.

    Parameters
    ----------
    sources : Ellipsoids
        Emission; overlapping parts add up.
    body : Ellipsoids
        Attenuating outline; each ray is attenuated from where it enters the first ellipsoid to where it leaves the last.
    background : float
        Emission density of the body itself [counts per mm^3].
    attenuation_per_mm : float
        Linear attenuation coefficient of the body [1/mm].
    """

    sources: Ellipsoids
    body: Ellipsoids
    background: float = 0.0
    attenuation_per_mm: float = WATER_140KEV_PER_MM

    def posterior(self) -> "Scene":
        """Return the scene as a detector behind the patient sees it."""
        return self.turned(180.0)

    def turned(self, degrees: float) -> "Scene":
        """Return the scene turned about its long (y) axis."""
        angle = np.deg2rad(degrees)
        cos, sin = np.cos(angle), np.sin(angle)
        matrix = _MIRROR if degrees == 180.0 else np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        return replace(self, sources=self.sources.turned(matrix), body=self.body.turned(matrix))


def ellipsoid(
    centre: tuple[float, float, float],
    semi_axes: tuple[float, float, float],
    activity: float = 0.0,
    rotation: NDArray[np.float64] | None = None,
) -> Ellipsoids:
    """Make a set that holds one ellipsoid.

    Parameters
    ----------
    centre, semi_axes : tuple of float
        Position and half axes [mm].
    activity : float
        Emission density [counts per mm^3].
    rotation : ndarray, shape (3, 3), optional
        Columns are the directions of the axes.

    Returns
    -------
    Ellipsoids
        The set.

    Examples
    --------
    >>> len(ellipsoid((0, 0, 0), (1, 2, 3), 5.0))
    1
    """
    turn = np.eye(3) if rotation is None else rotation
    return Ellipsoids(np.array([centre], float), np.array([semi_axes], float), turn[None], np.array([float(activity)]))


def tube(points: NDArray[np.float64], radius: float | NDArray[np.float64], activity: float) -> Ellipsoids:
    """Make a tube along a polyline out of overlapping balls with the tube's volume.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Corners of the centre line [mm].
    radius : float or ndarray, shape (n,)
        Radius, or the radius at each corner [mm].
    activity : float
        Emission density inside the tube [counts per mm^3].

    Returns
    -------
    Ellipsoids
        Balls half a radius apart whose total emission is that of the tube.

    Examples
    --------
    >>> rod = tube(np.array([[0.0, 0, 0], [0, 400, 0]]), 10.0, 2.0)
    >>> emitted = (rod.volume_mm3() * rod.activity).sum()
    >>> bool(abs(emitted / (np.pi * 10**2 * 400 * 2) - 1) < 0.02)
    True
    """
    radii = np.broadcast_to(np.asarray(radius, float), (len(points),))
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    number = max(int(np.ceil(2 * length[-1] / radii.mean())), 1)
    step = length[-1] / number
    at = (np.arange(number) + 0.5) * step
    centre = np.stack([np.interp(at, length, points[:, axis]) for axis in range(3)], axis=1)
    r = np.interp(at, length, radii)
    density = activity * 0.75 * step / r
    return Ellipsoids(centre, np.repeat(r[:, None], 3, axis=1), np.broadcast_to(np.eye(3), (number, 3, 3)), density)


def join(*sets: Ellipsoids) -> Ellipsoids:
    """Return all ellipsoids of several sets as one set."""
    return Ellipsoids(
        np.concatenate([s.centre for s in sets]),
        np.concatenate([s.semi_axes for s in sets]),
        np.concatenate([s.rotation for s in sets]),
        np.concatenate([s.activity for s in sets]),
    )


def project(scene: Scene, camera: Camera) -> NDArray[np.float32]:
    """Return the noise-free planar image of a scene.

    Parameters
    ----------
    scene : Scene
        Sources and body; the image centre looks at x = y = 0 and the detector lies at negative z.
    camera : Camera
        Matrix, resolution and scatter.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Expected counts per pixel.

    Examples
    --------
    >>> ball = ellipsoid((0.0, 0.0, 0.0), (20.0, 20.0, 20.0), 1.0)
    >>> scene = Scene(ball, ball, attenuation_per_mm=0.0)
    >>> image = project(scene, Camera(scatter_fraction=0.0))
    >>> bool(abs(image.sum() / ball.volume_mm3()[0] - 1) < 1e-3)
    True
    """
    front, back = outline(scene.body, camera)
    nearest, farthest = _depth_range(scene)
    edges = np.arange(nearest, farthest + SLAB_MM, SLAB_MM)
    stack = _Stack(np.zeros((len(edges) - 1, *camera.shape), np.float32), edges, front, back)
    for index in range(len(scene.sources)):
        _deposit(stack, scene, index, camera)
    if scene.background:
        for k, (low, high) in enumerate(pairwise(edges)):
            start, stop = np.clip(front, low, high), np.clip(back, low, high)
            integral = attenuated_length(start, stop, front, back, scene.attenuation_per_mm)
            stack.planes[k] += scene.background * camera.pixel_mm**2 * np.where(stop > start, integral, 0)
    centres = (edges[:-1] + edges[1:]) / 2
    image = detect(stack.planes, centres - nearest + camera.gap_mm, camera)
    return np.maximum(image, 0)


@dataclass(frozen=True)
class _Stack:
    """Planes of attenuated activity between edges in depth, and the surfaces of the body."""

    planes: NDArray[np.float32]
    edges: NDArray[np.float64]
    front: NDArray[np.float64]
    back: NDArray[np.float64]

    def plane_at(self, depth: float) -> int:
        """Return the number of the plane that holds a depth."""
        return int(np.clip(np.searchsorted(self.edges, depth) - 1, 0, len(self.planes) - 1))


def _deposit(stack: _Stack, scene: Scene, index: int, camera: Camera) -> None:
    """Add one source to the planes it reaches."""
    source, mu = scene.sources, scene.attenuation_per_mm
    found = interval(source, index, camera)
    if found is None:
        return
    window, near, far, inside_field = found
    front, back = stack.front[window], stack.back[window]
    activity = source.activity[index] * camera.pixel_mm**2
    length = (far - near).sum() * camera.pixel_mm**2
    if inside_field and length > 0:  # rays sample it: make the total exact
        activity *= float(source.volume_mm3()[index] / length)
    if source.semi_axes[index].max() < SLAB_MM:
        k = stack.plane_at(float(source.centre[index, 2]))
        stack.planes[(k, *window)] += activity * attenuated_length(near, far, front, back, mu)
        return
    for k in range(stack.plane_at(float(near.min())), stack.plane_at(float(far.max())) + 1):
        start, stop = (np.clip(depth, stack.edges[k], stack.edges[k + 1]) for depth in (near, far))
        stack.planes[(k, *window)] += activity * attenuated_length(start, stop, front, back, mu)


def attenuated_length(
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    front: NDArray[np.float64],
    back: NDArray[np.float64],
    mu: float,
) -> NDArray[np.float64]:
    """Integrate exp(-mu * depth below the surface) from start to stop.

    Parameters
    ----------
    start, stop : ndarray, shape (rows, columns)
        Depths between which to integrate [mm].
    front, back : ndarray, same shape
        Surfaces of the body, see ``outline`` [mm].
    mu : float
        Linear attenuation coefficient [1/mm].

    Returns
    -------
    ndarray, same shape
        Effective length [mm].

    Examples
    --------
    >>> ends = [np.array([[depth]]) for depth in (0.0, 100.0, 0.0, 100.0)]
    >>> round(float(attenuated_length(*ends, 0.01)[0, 0]), 3)  # 100 (1 - 1/e)
    63.212
    """
    length = stop - start
    if mu == 0:
        return length
    depth = np.clip((start + stop) / 2, front, back) - front
    half = np.maximum(mu * length / 2, 1e-6)
    return np.asarray(length * np.exp(-mu * np.where(np.isfinite(depth), depth, 0.0)) * np.sinh(half) / half)


def interval(
    body: Ellipsoids, index: int, camera: Camera
) -> tuple[tuple[slice, slice], NDArray[np.float64], NDArray[np.float64], bool] | None:
    """Return the window of pixels an ellipsoid covers and where each ray enters and leaves it.

    Parameters
    ----------
    body : Ellipsoids
        A set of ellipsoids.
    index : int
        Which of them.
    camera : Camera
        Matrix; the image centre looks at x = y = 0.

    Returns
    -------
    tuple or None
        Window of rows and columns, depth where each ray enters and leaves [mm], and whether all of the ellipsoid lies in the
        field; None where none of it does.

    Examples
    --------
    >>> _, near, far, inside = interval(ellipsoid((0.0, 0.0, 0.0), (9.0, 9.0, 9.0)), 0, Camera(1.0, (33, 33)))
    >>> float((far - near).max()), inside
    (18.0, True)
    """
    turn, axes, centre = body.rotation[index], body.semi_axes[index], body.centre[index]
    reach = np.sqrt((turn**2) @ axes**2)
    (rows, columns), p = camera.shape, camera.pixel_mm
    x0, y0 = centre[0] / p + (columns - 1) / 2, centre[1] / p + (rows - 1) / 2
    left, right = int(np.floor(x0 - reach[0] / p)), int(np.ceil(x0 + reach[0] / p)) + 1
    top, bottom = int(np.floor(y0 - reach[1] / p)), int(np.ceil(y0 + reach[1] / p)) + 1
    inside_field = left >= 0 and top >= 0 and right <= columns and bottom <= rows
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, columns), min(bottom, rows)
    if left >= right or top >= bottom:
        return None
    dx = (np.arange(left, right) - x0)[None] * p
    dy = (np.arange(top, bottom) - y0)[:, None] * p
    q = (turn / axes**2) @ turn.T
    slope = q[0, 2] * dx + q[1, 2] * dy
    rest = q[0, 0] * dx**2 + 2 * q[0, 1] * dx * dy + q[1, 1] * dy**2 - 1
    root = np.sqrt(np.maximum(slope**2 - q[2, 2] * rest, 0))
    middle, half = centre[2] - slope / q[2, 2], root / q[2, 2]
    if inside_field and not half.any():  # smaller than a pixel: all of it falls on the nearest ray
        half[round(float(y0)) - top, round(float(x0)) - left] = axes[2]
    return (slice(top, bottom), slice(left, right)), middle - half, middle + half, inside_field


def outline(body: Ellipsoids, camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return front and back surface of the union of ellipsoids.

    Parameters
    ----------
    body : Ellipsoids
        The parts of the body.
    camera : Camera
        Matrix; the image centre looks at x = y = 0.

    Returns
    -------
    front, back : ndarray, shape (rows, columns)
        Depths [mm]; +inf and -inf where there is no body.

    Examples
    --------
    >>> front, back = outline(ellipsoid((0.0, 0.0, 5.0), (9.0, 9.0, 9.0)), Camera(1.0, (33, 33)))
    >>> float(front[16, 16]), float(back[16, 16]), float(front[0, 0])
    (-4.0, 14.0, inf)
    """
    front, back = np.full(camera.shape, np.inf), np.full(camera.shape, -np.inf)
    for index in range(len(body)):
        found = interval(body, index, camera)
        if found is None:
            continue
        window, near, far, _ = found
        hit = far > near
        front[window] = np.where(hit, np.minimum(front[window], near), front[window])
        back[window] = np.where(hit, np.maximum(back[window], far), back[window])
    return front, back


def _depth_range(scene: Scene) -> tuple[float, float]:
    """Return the nearest and farthest z of the scene."""
    everything = join(scene.sources, scene.body)
    reach = np.sqrt(np.einsum("kij,kj->ki", everything.rotation**2, everything.semi_axes**2))[:, 2]
    return float((everything.centre[:, 2] - reach).min()), float((everything.centre[:, 2] + reach).max())
