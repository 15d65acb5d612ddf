"""A planar view of many small sources in a large body, fast: what is smooth is drawn on a coarse grid, each source in its own window.

The physics is that of :mod:`.scene`, with two simplifications: a source is blurred by the response at one depth, and the surface of the
body is interpolated between the points of the coarse grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter

from .camera import FWHM_PER_SIGMA, WATER_140KEV_PER_MM, Camera
from .scene import Ellipsoids, Scene, attenuated_length, interval, outline, project

SLAB_MM = 16.0
COARSE_MM = 6.0
_DEEP_MM = 1e3
_RAYS = 4  # along each side of a pixel, for small sources
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Surface:
    """Front of the body at each pixel, far behind everything where there is none, and its nearest point [mm]."""

    front: NDArray[np.float64]
    nearest: float


def views(groups: Sequence[Ellipsoids], body: Ellipsoids, background: float, camera: Camera) -> list[Floats]:
    """Return the expected image of each group of sources in a body; the first includes the body's own background.

    Parameters
    ----------
    groups : sequence of Ellipsoids
        Sources; activities may be negative to carve a hole.
    body : Ellipsoids
        Outline that attenuates.
    background : float
        Emission density of the body [counts per mm^3].
    camera : Camera
        Matrix, resolution and scatter; the image centre looks at x = y = 0.

    Returns
    -------
    list of ndarray, shape (rows, columns), float32
        Expected counts per pixel of each group alone, scatter included.

    Examples
    --------
    >>> from photopeak.exporters.phantoms.scene import ellipsoid
    >>> ball, chest = (ellipsoid((0.0, 0.0, 0.0), axes, 1.0) for axes in ((5.0, 5.0, 5.0), (80.0, 80.0, 50.0)))
    >>> first, second = views([ball, ball], chest, 0.0, Camera(pixel_mm=3.0, shape=(128, 128)))
    >>> bool(np.allclose(first, second, atol=1e-5))
    True
    """
    coarse = _coarser(camera)
    step = camera.pixel_mm / COARSE_MM
    front = _resampled(np.minimum(outline(body, coarse)[0], _DEEP_MM), camera.shape, step, order=1)
    surface = _Surface(front, _nearest(body))
    images = [_primary(group, surface, camera) for group in groups]
    soft = project(Scene(_emptied(body), body, background), coarse)
    images[0] += (step**2 * _resampled(soft, camera.shape, step, order=3)).astype(np.float32)
    return [image + _scattered(image, camera) for image in images]


def _coarser(camera: Camera) -> Camera:
    """Return a camera of large pixels that sees a little more and does not scatter."""
    rows, columns = (int(np.ceil(n * camera.pixel_mm / COARSE_MM)) + 4 for n in camera.shape)
    return replace(camera, pixel_mm=COARSE_MM, shape=(rows, columns), scatter_fraction=0.0)


def _resampled(
    image: NDArray[Any], shape: tuple[int, int], step: float, order: int, start: tuple[float, float] | None = None
) -> NDArray[np.float64]:
    """Interpolate an image by splines at points `step` apart, about its centre or from `start` on."""
    rows, columns = (
        _weights(m, n, step, (m - 1) / 2 - (n - 1) / 2 * step if start is None else start[axis], order)
        for axis, (m, n) in enumerate(zip(image.shape, shape, strict=True))
    )
    return np.asarray(rows @ image @ columns.T, np.float64)


@lru_cache(maxsize=256)
def _weights(m: int, n: int, step: float, start: float, order: int) -> NDArray[np.float64]:
    """Return what each of m samples adds at each of n points; beyond the ends the last sample is repeated."""
    at = np.clip(start + step * np.arange(n), 0, m - 1)
    return np.asarray(make_interp_spline(np.arange(m), np.eye(m), k=order)(at), np.float64)


def _emptied(body: Ellipsoids) -> Ellipsoids:
    """Return the first ellipsoid without activity."""
    return Ellipsoids(body.centre[:1], body.semi_axes[:1], body.rotation[:1], np.zeros(1))


def _nearest(body: Ellipsoids) -> float:
    """Return the smallest z of the body."""
    reach = np.sqrt(np.einsum("kij,kj->ki", body.rotation**2, body.semi_axes**2))[:, 2]
    return float((body.centre[:, 2] - reach).min())


def _primary(sources: Ellipsoids, surface: _Surface, camera: Camera) -> Floats:
    """Return the image of sources without scatter: gathered in planes, each blurred where it holds something."""
    planes: dict[int, Floats] = {}
    windows: dict[int, list[tuple[slice, slice]]] = {}
    for index in range(len(sources)):
        found = _seen(sources, index, surface, camera)
        if found is None:
            continue
        window, counts = found
        k = int((sources.centre[index, 2] - surface.nearest) // SLAB_MM)
        planes.setdefault(k, np.zeros(camera.shape, np.float32))[window] += counts
        windows.setdefault(k, []).append(window)
    image = np.zeros(camera.shape, np.float32)
    for k, plane in planes.items():
        sigma = camera.fwhm_mm((k + 0.5) * SLAB_MM + camera.gap_mm) / camera.pixel_mm / FWHM_PER_SIGMA
        crop = _around(windows[k], int(np.ceil(3.5 * sigma)) + 1, camera.shape)
        image[crop] += gaussian_filter(plane[crop], sigma, mode="constant", truncate=3.5)
    return image


def _seen(
    sources: Ellipsoids, index: int, surface: _Surface, camera: Camera
) -> tuple[tuple[slice, slice], NDArray[np.float64]] | None:
    """Return the window of one source and its attenuated activity there; small ones are sampled by several rays a pixel."""
    rays = _RAYS if sources.semi_axes[index].max() < 3 * camera.pixel_mm else 1
    rows, columns = camera.shape
    fine = replace(camera, pixel_mm=camera.pixel_mm / rays, shape=(rows * rays, columns * rays))
    found = interval(sources, index, fine)
    if found is None:
        return None
    window, near, far, inside = found
    activity = sources.activity[index] * fine.pixel_mm**2
    length = float((far - near).sum()) * fine.pixel_mm**2
    if inside and length > 0:  # rays sample it: make the total exact
        activity *= float(4 / 3 * np.pi * sources.semi_axes[index].prod()) / length
    if rays == 1:
        front = surface.front[window]
        return window, activity * attenuated_length(near, far, front, np.full_like(front, np.inf), WATER_140KEV_PER_MM)
    wide = (
        slice(window[0].start // rays, -(-window[0].stop // rays)),
        slice(window[1].start // rays, -(-window[1].stop // rays)),
    )
    front = surface.front[wide].repeat(rays, axis=0).repeat(rays, axis=1)
    near, far = (_padded(depth, window, wide, rays) for depth in (near, far))
    counts = activity * attenuated_length(near, far, front, np.full_like(front, np.inf), WATER_140KEV_PER_MM)
    blocks = counts.reshape(counts.shape[0] // rays, rays, counts.shape[1] // rays, rays)
    return wide, blocks.sum(axis=(1, 3))


def _padded(
    depth: NDArray[np.float64], window: tuple[slice, slice], wide: tuple[slice, slice], rays: int
) -> NDArray[np.float64]:
    """Return depths on all rays of whole pixels."""
    pads = [
        (own.start - rays * all_.start, rays * all_.stop - own.stop) for own, all_ in zip(window, wide, strict=True)
    ]
    return np.pad(depth, pads)


def _around(windows: list[tuple[slice, slice]], margin: int, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the window that holds all windows and a margin."""
    rows, columns = (
        slice(max(min(w[axis].start for w in windows) - margin, 0), min(max(w[axis].stop for w in windows) + margin, n))
        for axis, n in enumerate(shape)
    )
    return rows, columns


def _scattered(image: Floats, camera: Camera) -> Floats:
    """Return the scatter of an image: so wide that blocks of pixels are enough."""
    factor = max(int(0.1 * camera.scatter_fwhm_mm / camera.pixel_mm), 1)
    rows, columns = (int(np.ceil(n / factor)) for n in image.shape)
    padded = np.zeros((rows * factor, columns * factor), np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    blocks = padded.reshape(rows, factor, columns, factor).sum(axis=(1, 3))
    sigma = camera.scatter_fwhm_mm / camera.pixel_mm / factor / FWHM_PER_SIGMA
    blurred = gaussian_filter(blocks, sigma, mode="constant", truncate=3.5) * np.float32(
        camera.scatter_fraction / factor**2
    )
    first = 0.5 / factor - 0.5
    return _resampled(blurred, camera.shape, 1 / factor, 1, (first, first)).astype(np.float32)
