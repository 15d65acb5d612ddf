"""A PET or SPECT slice: projections with attenuation, scatter and randoms, Poisson noise, and reconstruction.

Noise in a reconstructed slice is correlated and depends on the object, on the iterations and on the filter. It is therefore
never drawn in the image: counts are drawn in the projections, and the reconstruction turns them into what a scanner shows.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.sparse import csr_array

from .camera import FWHM_PER_SIGMA

Floats = NDArray[np.float32]
_TINY = 1e-9


@dataclass(frozen=True)
class Scanner:
    """A ring of detectors, seen as parallel rays in one plane.

    Parameters
    ----------
    field_mm : float
        Side of the square field of view; rays cover its inscribed circle [mm].
    angles : int
        Directions over half a turn; a multiple of four.
    fwhm_mm : float
        Resolution of the detectors across a ray [mm].
    scatter_fraction, randoms_fraction : float
        Scattered, and random, coincidences divided by all true ones [1].
    scatter_fwhm_mm : float
        Width of the scatter distribution along a projection [mm].
    """

    field_mm: float = 256.0
    angles: int = 120
    fwhm_mm: float = 5.0
    scatter_fraction: float = 0.3
    randoms_fraction: float = 0.2
    scatter_fwhm_mm: float = 120.0


@dataclass(frozen=True)
class Reconstruction:
    """How projections become an image.

    Parameters
    ----------
    method : {"osem", "fbp"}
        Ordered subsets with expectation maximisation, or filtered back-projection.
    side : int
        Rows and columns of the image.
    iterations, subsets : int
        Passes over all the data, and parts of it per pass (OSEM); the subsets divide a quarter of the angles.
    psf_fwhm_mm : float
        Resolution modelled inside OSEM; 0 models none [mm].
    filter_fwhm_mm : float
        Gaussian filter of the image at the end; 0 is none [mm].
    """

    method: str = "osem"
    side: int = 128
    iterations: int = 4
    subsets: int = 10
    psf_fwhm_mm: float = 0.0
    filter_fwhm_mm: float = 4.0


@dataclass(frozen=True)
class Sinogram:
    """Measured coincidences and what a reconstruction knows about them.

    Parameters
    ----------
    counts : ndarray, shape (angles, bins), float32
        Prompt coincidences: Poisson counts, or their expectation.
    gain : ndarray, shape (angles, bins), float32
        Counts per unit of activity integrated along the ray: attenuation times sensitivity.
    background : ndarray, shape (angles, bins), float32
        Expected scattered and random coincidences.
    """

    counts: Floats
    gain: Floats
    background: Floats


def measure(activity: Floats, attenuation: Floats, scanner: Scanner, total: float) -> Sinogram:
    """Return the expected projections of a slice.

    Parameters
    ----------
    activity : ndarray, shape (side, side), float32
        Activity concentration, any unit; the side is even, and should be at least twice that of the images to reconstruct,
        so that object and image do not share a grid.
    attenuation : ndarray, shape (side, side), float32
        Linear attenuation coefficient [1/mm].
    scanner : Scanner
        Geometry and physics.
    total : float
        Expected true coincidences of the whole sinogram [counts].

    Returns
    -------
    Sinogram
        Expectations; :func:`acquire` draws counts.

    Examples
    --------
    >>> disk = np.hypot(*np.mgrid[-31.5:32, -31.5:32]) < 20
    >>> seen = measure(disk.astype(np.float32), 0.01 * disk.astype(np.float32), Scanner(angles=40), 1e5)
    >>> bool(abs((seen.counts - seen.background).sum() / 1e5 - 1) < 1e-4)
    True
    """
    side = len(activity)
    pixel = scanner.field_mm / side
    rays = ordered(project(_blur(activity, scanner.fwhm_mm / pixel), scanner.angles)) * pixel
    survive = np.exp(-ordered(project(attenuation, scanner.angles)) * pixel)
    trues = rays * survive
    scale = total / max(float(trues.sum()), _TINY)
    scattered = gaussian_filter1d(trues, scanner.scatter_fwhm_mm / pixel / FWHM_PER_SIGMA, axis=1, mode="constant")
    scattered *= scanner.scatter_fraction * trues.sum() / max(float(scattered.sum()), _TINY)
    randoms = np.full_like(trues, scanner.randoms_fraction * trues.mean())
    background = scale * (scattered + randoms)
    return Sinogram(scale * trues + background, scale * survive, background)


def acquire(expected: Sinogram, fraction: float, rng: np.random.Generator) -> Sinogram:
    """Draw the counts of an acquisition of `fraction` times the expected duration."""
    counts = rng.poisson(expected.counts * fraction).astype(np.float32)
    return Sinogram(counts, np.float32(fraction) * expected.gain, np.float32(fraction) * expected.background)


def reconstruct(data: Sinogram, scanner: Scanner, how: Reconstruction) -> Floats:
    """Return the image of a slice, in the units of the activity.

    Parameters
    ----------
    data : Sinogram
        Counts with gain and background, at any number of bins that is a multiple of the image's side.
    scanner : Scanner
        Geometry.
    how : Reconstruction
        Method and its settings.

    Returns
    -------
    ndarray, shape (side, side), float32
        Activity concentration; FBP may give negative values.

    Raises
    ------
    ValueError
        If bins and side, or angles and subsets, do not fit each other.

    References
    ----------
    * Hudson and Larkin, Accelerated image reconstruction using ordered subsets, IEEE TMI 13 (1994).
    """
    angles, bins = data.counts.shape
    if bins % how.side or (angles // 4) % how.subsets:
        raise ValueError(
            f"{bins} bins and {angles} angles do not fit {how.side} pixels and {how.subsets} subsets, "
            "give a side that divides the bins, and subsets that divide a quarter of the angles"
        )
    pixel = scanner.field_mm / how.side
    counts, gain, background = (
        part.reshape(angles, how.side, -1).sum(axis=2) for part in (data.counts, data.gain, data.background)
    )
    grouped = Sinogram(counts, gain * np.float32(pixel), background)
    if how.method not in ("osem", "fbp"):
        raise ValueError(f"there is no reconstruction '{how.method}', give osem or fbp")
    image = _fbp(grouped) if how.method == "fbp" else _osem(grouped, how, pixel)
    return _blur(image, how.filter_fwhm_mm / pixel)


def project(image: Floats, angles: int, part: slice = slice(None)) -> Floats:
    """Return line integrals through a square image, in units of its pixel.

    Parameters
    ----------
    image : ndarray, shape (side, side), float32
        Values; those outside of the inscribed circle are not seen from everywhere.
    angles : int
        Directions over half a turn, a multiple of four; direction k looks across ``(k + 1/2) * pi / angles``.
    part : slice
        Which directions of the first eighth of a turn; each brings the three that mirror it.

    Returns
    -------
    ndarray, shape (n, 4, side), float32
        Line integrals, one bin per pixel across; :func:`ordered` sorts them by angle.

    References
    ----------
    * Joseph, An improved algorithm for reprojecting rays through pixel images, IEEE TMI 1 (1982).
    """
    side = len(image)
    turned = np.stack([image, image.T, image[:, ::-1], image[:, ::-1].T]).reshape(4, -1)
    rays = _matrix(side, angles, part.start, part.step) @ turned.T
    return np.ascontiguousarray(rays.reshape(-1, side, 4).transpose(0, 2, 1))


def backproject(rays: Floats, angles: int, part: slice = slice(None)) -> Floats:
    """Return the adjoint of :func:`project`: each pixel sums the rays through it.

    Parameters
    ----------
    rays : ndarray, shape (n, 4, side), float32
        One value per ray.
    angles : int
        Directions over half a turn.
    part : slice
        Which directions they are.

    Returns
    -------
    ndarray, shape (side, side), float32
        The image.
    """
    side = rays.shape[2]
    stack = _matrix(side, angles, part.start, part.step).T @ rays.transpose(0, 2, 1).reshape(-1, 4)
    same, transposed, mirrored, both = stack.T.reshape(4, side, side)
    return np.asarray(same + transposed.T + mirrored[:, ::-1] + both.T[:, ::-1], np.float32)


def ordered(rays: Floats) -> Floats:
    """Return projections of all directions by angle, shape (angles, side)."""
    first, transposed, mirrored, both = rays.transpose(1, 0, 2)
    return np.concatenate([first, transposed[::-1], both, mirrored[::-1]])


def grouped_by_mirror(sinogram: Floats) -> Floats:
    """Return the inverse of :func:`ordered`, shape (angles / 4, 4, side)."""
    first, transposed, both, mirrored = sinogram.reshape(4, -1, sinogram.shape[1])
    return np.stack([first, transposed[::-1], mirrored[::-1], both], axis=1)


def _osem(data: Sinogram, how: Reconstruction, pixel: float) -> Floats:
    """Maximise the likelihood over ordered subsets, with the resolution modelled where asked for."""
    angles = len(data.counts)
    counts, gain, background = (grouped_by_mirror(part) for part in (data.counts, data.gain, data.background))
    parts = [slice(k, None, how.subsets) for k in range(how.subsets)]
    width = how.psf_fwhm_mm / pixel
    sensitivity = [_blur(backproject(gain[part], angles, part), width) for part in parts]
    image = _circle(how.side).astype(np.float32)
    for _ in range(how.iterations):
        for part, sensitive in zip(parts, sensitivity, strict=True):
            expected = gain[part] * project(_blur(image, width), angles, part) + background[part]
            ratio = counts[part] / np.maximum(expected, _TINY)
            update = _blur(backproject(gain[part] * ratio, angles, part), width)
            image *= np.divide(update, sensitive, out=np.zeros_like(image), where=sensitive > _TINY * sensitive.max())
    return image


def _fbp(data: Sinogram) -> Floats:
    """Filter with the band-limited ramp and project back."""
    angles, side = data.counts.shape
    rays = (data.counts - data.background) / np.maximum(data.gain, _TINY)
    at = np.fft.fftfreq(2 * side, 1 / (2 * side))
    ramp = np.where(at % 2 == 1, -1 / (np.pi * np.where(at == 0, 1, at)) ** 2, 0.0)
    ramp[0] = 0.25
    filtered = np.fft.irfft(np.fft.rfft(rays, 2 * side) * np.fft.rfft(ramp).real)[:, :side]
    image = backproject(grouped_by_mirror(filtered.astype(np.float32)), angles)
    return image * np.float32(np.pi / angles) * _circle(side)


@lru_cache(maxsize=160)  # the parts of a handful of geometries
def _matrix(side: int, angles: int, start: int | None, step: int | None) -> "csr_array":
    """Weights of the rays of an eighth of a turn: between two pixels of each row that a ray crosses."""
    angle = ((np.arange(angles // 4) + 0.5) * np.pi / angles)[start::step, None, None]
    at = np.arange(side) - (side - 1) / 2
    crossing = (at[:, None] - at * np.sin(angle)) / np.cos(angle) + (side - 1) / 2
    left = np.floor(crossing).astype(np.int32)
    right_weight = (crossing - left) / np.cos(angle)
    weights = np.stack([1 / np.cos(angle) - right_weight, right_weight], axis=-1)
    columns = np.stack([left, left + 1], axis=-1)
    inside = (columns >= 0) & (columns < side)
    pixels = np.arange(side, dtype=np.int32)[:, None] * side + columns
    ends = np.concatenate([[0], np.cumsum(inside.sum(axis=(2, 3)).ravel())])
    return csr_array((weights[inside].astype(np.float32), pixels[inside], ends), shape=(len(ends) - 1, side * side))


@lru_cache(maxsize=8)
def _circle(side: int) -> NDArray[np.bool_]:
    """Pixels that every direction sees."""
    at = np.arange(side) - (side - 1) / 2
    return np.asarray(np.hypot(at[:, None], at) <= side / 2)


def _blur(image: Floats, fwhm_px: float) -> Floats:
    """Gaussian blur; its adjoint is itself."""
    if fwhm_px <= 0:
        return image
    return np.asarray(gaussian_filter(image, fwhm_px / FWHM_PER_SIGMA, mode="constant", truncate=3.5), np.float32)
