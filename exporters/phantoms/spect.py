"""SPECT: a gamma camera that turns around an object, and reconstruction of what it saw.

Volumes have the axes slice (towards the head), row (towards the back) and column (towards the patient's left) with cubic voxels.
Each view turns the volume so that planes are parallel to the detector, attenuates every voxel by what lies before it and blurs
every plane by the collimator's response at its distance. Planes are blurred by diffusion: from the farthest to the nearest, the
sum of all planes behind is blurred by just the difference between neighbours. Every step is symmetric or a sparse matrix, so
that back-projection is the exact adjoint.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array

from .camera import FWHM_PER_SIGMA, Camera

Floats = NDArray[np.float32]
# Linear interpolation at a position uniform within a pixel spreads a point by this variance; it is taken off the camera's.
_INTERPOLATION_PX2 = 1 / 6


@dataclass(frozen=True)
class Orbit:
    """How the camera goes round.

    Parameters
    ----------
    angles : int
        Views over a full turn, a multiple of four; the first is anterior, then the camera moves to the patient's left.
    radius_mm : float
        Distance of the collimator face from the axis [mm].
    """

    angles: int = 60
    radius_mm: float = 200.0

    def __post_init__(self) -> None:
        if self.angles < 4 or self.angles % 4:
            raise ValueError(f"{self.angles} angles, give a multiple of four")


@dataclass(frozen=True)
class Tomograph:
    """A turning camera: its Camera's matrix is (slices, bins) with as many bins as rows and columns of a slice.

    Parameters
    ----------
    camera : Camera
        Resolution, scatter, pixel and matrix; the gap is not used.
    orbit : Orbit
        Radius and views.
    """

    camera: Camera = field(default_factory=lambda: Camera(pixel_mm=6.6, shape=(32, 64)))
    orbit: Orbit = field(default_factory=Orbit)

    @property
    def volume_shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of a volume."""
        slices, side = self.camera.shape
        return slices, side, side

    def finer(self, factor: int = 2) -> "Tomograph":
        """Return the same camera on pixels smaller by `factor`."""
        slices, side = self.camera.shape
        matrix = (slices * factor, side * factor)
        return replace(self, camera=replace(self.camera, shape=matrix, pixel_mm=self.camera.pixel_mm / factor))


def project(
    activity: Floats, attenuation: Floats | None, scanner: Tomograph, views: Iterable[int] | None = None
) -> Floats:
    """Return the expected unscattered counts of each view.

    Parameters
    ----------
    activity : ndarray, shape (slices, side, side), float32
        Counts that each voxel gives in the whole acquisition where nothing attenuates.
    attenuation : ndarray, same shape, float32, optional
        Linear attenuation coefficient [1/mm].
    scanner : Tomograph
        Geometry and resolution.
    views : iterable of int, optional
        Which views; all by default.

    Returns
    -------
    ndarray, shape (views, slices, side), float32
        Counts per pixel, slices as in the volume.

    Raises
    ------
    ValueError
        If the volume does not fit the camera's matrix.

    References
    ----------
    * Zeng et al., Three-dimensional iterative reconstruction algorithms with attenuation and geometric point response
      correction, IEEE TNS 38 (1991); the diffusion is that of Bai et al., Phys Med Biol 43 (1998).

    Examples
    --------
    >>> block = np.zeros((32, 64, 64), np.float32)
    >>> block[10:22, 20:40, 24:44] = 1.0
    >>> bool(abs(project(block, None, Tomograph()).sum() / block.sum() - 1) < 2e-3)
    True
    """
    _check(activity, scanner)
    rows = _by_plane(activity)
    mu = None if attenuation is None else _by_plane(attenuation)
    out = [_view(rows, mu, scanner, view) for view in _views(scanner, views)]
    return np.stack(out)


def backproject(
    rays: Floats, attenuation: Floats | None, scanner: Tomograph, views: Iterable[int] | None = None
) -> Floats:
    """Return the adjoint of :func:`project`.

    Parameters
    ----------
    rays : ndarray, shape (views, slices, side), float32
        One value per pixel of each view.
    attenuation : ndarray, shape (slices, side, side), float32, optional
        Linear attenuation coefficient [1/mm].
    scanner : Tomograph
        Geometry and resolution.
    views : iterable of int, optional
        Which views they are.

    Returns
    -------
    ndarray, shape (slices, side, side), float32
        The volume.
    """
    slices, side = scanner.camera.shape
    mu = None if attenuation is None else _by_plane(attenuation)
    total = np.zeros((side, side, slices), np.float32)
    for ray, view in zip(rays, _views(scanner, views), strict=True):
        planes = _spread(np.ascontiguousarray(ray.T), scanner)
        if mu is not None:
            planes *= _survival(_turned(mu, view, scanner.orbit.angles), scanner.camera.pixel_mm)
        total += _turned_back(planes, view, scanner.orbit.angles)
    return np.ascontiguousarray(total.transpose(2, 0, 1)) / np.float32(scanner.orbit.angles)


@dataclass(frozen=True)
class Projections:
    """What a SPECT acquisition gives.

    Parameters
    ----------
    counts : ndarray, shape (angles, slices, bins), float32
        Poisson counts, or their expectation.
    background : ndarray, same shape
        Expected scattered counts.
    """

    counts: Floats
    background: Floats


def measure(activity: Floats, attenuation: Floats, scanner: Tomograph, total: float) -> Projections:
    """Return the expected projections of an object that is finer than the camera's matrix.

    Parameters
    ----------
    activity, attenuation : ndarray, shape (f * slices, f * side, f * side), float32
        Activity in any unit and attenuation [1/mm] on voxels smaller than the camera's by a whole factor f, so that object and
        reconstruction do not share a grid.
    scanner : Tomograph
        Geometry and physics.
    total : float
        Expected unscattered counts of all views.

    Returns
    -------
    Projections
        Expectations; :func:`~.camera.count` of their counts gives an acquisition.
    """
    slices, side = scanner.camera.shape
    factor = activity.shape[1] // side
    fine = scanner.finer(factor)
    rays = project(activity, attenuation, fine).reshape(-1, slices, factor, side, factor).sum(axis=(2, 4))
    rays *= np.float32(total / max(float(rays.sum(dtype=np.float64)), 1e-9))
    camera = scanner.camera
    width = camera.scatter_fwhm_mm / camera.pixel_mm / FWHM_PER_SIGMA
    scattered = gaussian_filter(rays, (0, width, width), mode="constant", truncate=3.5)
    # What spreads beyond the detector came from as many counts beyond it: the fraction holds for the image.
    scattered *= np.float32(camera.scatter_fraction * total / max(float(scattered.sum(dtype=np.float64)), 1e-9))
    return Projections(rays + scattered, scattered)


@dataclass(frozen=True)
class Settings:
    """How projections become a volume.

    Parameters
    ----------
    method : {"osem", "fbp"}
        Ordered subsets with expectation maximisation, or filtered back-projection.
    iterations, subsets : int
        Passes over all views, and groups of views (OSEM); the subsets divide the angles.
    correct_attenuation : bool
        In the model of OSEM, or after FBP by Chang's first-order factor.
    model_resolution : bool
        Whether OSEM knows the collimator's response.
    filter_fwhm_mm : float
        Gaussian filter at the end; 0 is none [mm].
    """

    method: str = "osem"
    iterations: int = 4
    subsets: int = 6
    correct_attenuation: bool = True
    model_resolution: bool = True
    filter_fwhm_mm: float = 8.0


def reconstruct(
    data: Projections,
    attenuation: Floats,
    scanner: Tomograph,
    how: Settings,
    advance: Callable[[], None] = lambda: None,
) -> Floats:
    """Return the volume that projections show.

    Parameters
    ----------
    data : Projections
        Counts and expected scatter.
    attenuation : ndarray, shape (slices, side, side), float32
        Linear attenuation coefficient [1/mm].
    scanner : Tomograph
        Geometry and resolution.
    how : Settings
        Method and its settings.
    advance : callable
        Told after each iteration.

    Returns
    -------
    ndarray, shape (slices, side, side), float32
        Counts that each voxel would give in the acquisition without attenuation; FBP may give negative values.

    Raises
    ------
    ValueError
        If there is no such method, or the subsets do not divide the angles.

    References
    ----------
    * Hudson and Larkin, Accelerated image reconstruction using ordered subsets, IEEE TMI 13 (1994).
    * Chang, A method for attenuation correction in radionuclide computed tomography, IEEE TNS 25 (1978).
    """
    if how.method not in ("osem", "fbp"):
        raise ValueError(f"there is no reconstruction '{how.method}', give osem or fbp")
    if how.method == "osem" and scanner.orbit.angles % how.subsets:
        raise ValueError(f"{how.subsets} subsets do not divide {scanner.orbit.angles} angles")
    mu = attenuation if how.correct_attenuation else None
    volume = _fbp(data, mu, scanner) if how.method == "fbp" else _osem(data, mu, scanner, how, advance)
    width = how.filter_fwhm_mm / scanner.camera.pixel_mm / FWHM_PER_SIGMA
    return np.asarray(gaussian_filter(volume, width, mode="constant", truncate=3.5), np.float32) if width else volume


def coarser(volume: Floats, factor: int = 2) -> Floats:
    """Return the mean of each cube of `factor` voxels a side."""
    a, b, c = (n // factor for n in volume.shape)
    return np.asarray(volume.reshape(a, factor, b, factor, c, factor).mean(axis=(1, 3, 5)), np.float32)


def sharp(scanner: Tomograph) -> Tomograph:
    """Return a camera without blur, as reconstruction assumes that does not model it."""
    return replace(scanner, camera=replace(scanner.camera, intrinsic_fwhm_mm=0.0, hole_mm=0.0, divergence=0.0))


def _osem(
    data: Projections, mu: Floats | None, scanner: Tomograph, how: Settings, advance: Callable[[], None]
) -> Floats:
    """Maximise the likelihood over ordered subsets of views."""
    model = scanner if how.model_resolution else sharp(scanner)
    groups = [range(start, scanner.orbit.angles, how.subsets) for start in range(how.subsets)]
    ones = np.ones((len(groups[0]), *scanner.camera.shape), np.float32)
    sensitivity = [backproject(ones, mu, model, group) for group in groups]
    seen = np.broadcast_to(_circle(scanner.camera.shape[1]), scanner.volume_shape)
    volume = np.where(seen, np.float32(max(float(data.counts.sum()) / seen.sum(), 1e-9)), np.float32(0))
    for _ in range(how.iterations):
        for group, sensitive in zip(groups, sensitivity, strict=True):
            expected = project(volume, mu, model, group) + data.background[group]
            ratio = np.divide(data.counts[group], expected, out=np.zeros_like(expected), where=expected > 1e-9)
            update = backproject(ratio, mu, model, group)
            volume *= np.divide(update, sensitive, out=np.zeros_like(update), where=sensitive > 1e-3 * sensitive.max())
        advance()
    return volume


def _fbp(data: Projections, mu: Floats | None, scanner: Tomograph) -> Floats:
    """Filter with the band-limited ramp, project back, and divide by the mean survival over all views."""
    side = scanner.camera.shape[1]
    at = np.fft.fftfreq(2 * side, 1 / (2 * side))
    ramp = np.where(at % 2 == 1, -1 / (np.pi * np.where(at == 0, 1, at)) ** 2, 0.0)
    ramp[0] = 0.25
    unscattered = (data.counts - data.background) * np.float32(scanner.orbit.angles)
    filtered = np.fft.irfft(np.fft.rfft(unscattered, 2 * side) * np.fft.rfft(ramp).real)[..., :side]
    blind = sharp(scanner)
    volume = backproject(filtered.astype(np.float32), None, blind) * np.float32(np.pi) * _circle(side)
    if mu is None:
        return volume
    survival = backproject(np.ones(filtered.shape, np.float32), mu, blind)
    return np.asarray(np.divide(volume, survival, out=np.zeros_like(volume), where=survival > 1e-6), np.float32)


def _view(rows: Floats, mu: Floats | None, scanner: Tomograph, view: int) -> Floats:
    """Return one view, shape (slices, bins)."""
    planes = _turned(rows, view, scanner.orbit.angles)
    if mu is not None:
        planes *= _survival(_turned(mu, view, scanner.orbit.angles), scanner.camera.pixel_mm)
    step, first = _variances(scanner)
    seen = planes[-1]
    for plane, variance in zip(planes[-2::-1], step[::-1], strict=True):
        seen = _diffuse(seen, variance) + plane
    return np.ascontiguousarray(_diffuse(seen, first).T) / np.float32(scanner.orbit.angles)


def _spread(ray: Floats, scanner: Tomograph) -> Floats:
    """Return the adjoint of summing the blurred planes of a view: shape (depth, bins, slices)."""
    step, first = _variances(scanner)
    planes = [_diffuse(ray, first)]
    for variance in step:
        planes.append(_diffuse(planes[-1], variance))
    return np.stack(planes)


@lru_cache(maxsize=16)
def _variances(scanner: Tomograph) -> tuple[tuple[float, ...], float]:
    """Return the growth of the response's variance from plane to plane, and that of the nearest [px^2]."""
    side, camera = scanner.camera.shape[1], scanner.camera
    away = scanner.orbit.radius_mm + (np.arange(side) - (side - 1) / 2) * camera.pixel_mm
    fwhm = np.array([camera.fwhm_mm(max(float(distance), 0.0)) for distance in away])
    variance = np.maximum((fwhm / FWHM_PER_SIGMA / camera.pixel_mm) ** 2 - _INTERPOLATION_PX2, 0)
    return tuple(np.diff(variance).tolist()), float(variance[0])


def _diffuse(image: Floats, variance: float) -> Floats:
    """Blur both axes by a kernel of exactly this variance [px^2]; nothing comes back from outside."""
    if variance <= 0:
        return image
    passes = int(np.ceil(variance / 0.4))
    side = np.float32(variance / passes / 2)
    for _ in range(passes):
        for axis in (0, 1):
            image = _three_taps(image, side, axis)
    return image


def _three_taps(image: Floats, side: np.float32, axis: int) -> Floats:
    """Return the image with a share `side` of every pixel moved to each of its two neighbours."""
    low, high = (slice(None),) * axis + (slice(None, -1),), (slice(None),) * axis + (slice(1, None),)
    moved = side * image
    out = image - 2 * moved
    out[high] += moved[low]
    out[low] += moved[high]
    return out


def _survival(mu: Floats, pixel_mm: float) -> Floats:
    """Return the share of photons from each voxel's middle that reach the detector; depth is the first axis."""
    path = np.cumsum(mu, axis=0)
    path -= mu / 2
    path *= np.float32(-pixel_mm)
    return np.exp(path, out=path)


def _by_plane(volume: Floats) -> Floats:
    """Return a volume with the slices last, so that turning is one sparse product."""
    return np.ascontiguousarray(volume.transpose(1, 2, 0))


def _turned(rows: Floats, view: int, angles: int) -> Floats:
    """Return planes parallel to the detector of a view, the nearest first: shape (depth, bins, slices)."""
    side, quarter = len(rows), angles // 4
    turned = np.rot90(rows, view // quarter)
    flat = _rotation(side, angles, view % quarter) @ turned.reshape(side * side, -1)
    return np.asarray(flat.reshape(rows.shape), np.float32)


def _turned_back(planes: Floats, view: int, angles: int) -> Floats:
    """Return the adjoint of :func:`_turned`."""
    side, quarter = len(planes), angles // 4
    flat = _rotation(side, angles, view % quarter).T @ planes.reshape(side * side, -1)
    return np.rot90(np.asarray(flat.reshape(planes.shape), np.float32), -(view // quarter))


@lru_cache(maxsize=64)
def _rotation(side: int, angles: int, view: int) -> "csr_array":
    """Weights of four neighbours of each pixel of a turned slice; quarter turns are done without."""
    turn, middle = 2 * np.pi * view / angles, (side - 1) / 2
    depth, across = np.meshgrid(*(np.arange(side) - middle,) * 2, indexing="ij")
    x = across * np.cos(turn) - depth * np.sin(turn) + middle
    y = across * np.sin(turn) + depth * np.cos(turn) + middle
    column, row = np.floor(x).astype(np.int64).ravel(), np.floor(y).astype(np.int64).ravel()
    right, below = x.ravel() - column, y.ravel() - row
    columns = np.stack([column, column + 1, column, column + 1], axis=1)
    rows = np.stack([row, row, row + 1, row + 1], axis=1)
    weights = np.stack([(1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below], axis=1)
    inside = (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side) & (weights > 0)
    ends = np.concatenate([[0], np.cumsum(inside.sum(axis=1))]).astype(np.int32)
    pixels = (rows * side + columns)[inside].astype(np.int32)
    return csr_array((weights[inside].astype(np.float32), pixels, ends), shape=(side * side, side * side))


@lru_cache(maxsize=8)
def _circle(side: int) -> NDArray[np.bool_]:
    """Pixels that every view sees."""
    at = np.arange(side) - (side - 1) / 2
    return np.asarray(np.hypot(at[:, None], at) <= side / 2)


def _views(scanner: Tomograph, views: Iterable[int] | None) -> Iterable[int]:
    return range(scanner.orbit.angles) if views is None else views


def _check(volume: Floats, scanner: Tomograph) -> None:
    """Refuse a volume of another matrix."""
    if volume.shape != scanner.volume_shape:
        raise ValueError(f"the volume is {volume.shape}, the camera's matrix needs {scanner.volume_shape}")
