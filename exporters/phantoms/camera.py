"""Gamma camera: depth-dependent response, attenuation, scatter and counting statistics.

Coordinates are millimetres: x along image columns, y along image rows (towards the feet), z away from the detector.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

FWHM_PER_SIGMA = float(2 * np.sqrt(2 * np.log(2)))
WATER_140KEV_PER_MM = 0.0154


@dataclass(frozen=True)
class Camera:
    """A planar gamma camera with a parallel-hole collimator.

    Parameters
    ----------
    pixel_mm : float
        Side of a square pixel [mm].
    shape : tuple of int
        Rows and columns of the matrix.
    intrinsic_fwhm_mm : float
        Intrinsic resolution of crystal and electronics [mm].
    hole_mm, divergence : float
        Collimator resolution at distance d is ``hole_mm + divergence * d`` [mm].
    gap_mm : float
        Air between the collimator face and the nearest point of the body [mm].
    scatter_fraction : float
        Scattered counts divided by unscattered counts inside the energy window [1].
    scatter_fwhm_mm : float
        Width of the scatter kernel [mm].
    """

    pixel_mm: float = 2.26
    shape: tuple[int, int] = (256, 256)
    intrinsic_fwhm_mm: float = 3.6
    hole_mm: float = 1.8
    divergence: float = 0.05
    gap_mm: float = 20.0
    scatter_fraction: float = 0.2
    scatter_fwhm_mm: float = 90.0

    def fwhm_mm(self, distance_mm: float) -> float:
        """Return the system resolution at a distance from the collimator face.

        Parameters
        ----------
        distance_mm : float
            Distance of the source from the collimator face [mm].

        Returns
        -------
        float
            Full width at half maximum of the point response [mm].

        References
        ----------
        * NEMA NU 1, system spatial resolution without scatter.

        Examples
        --------
        >>> round(Camera(intrinsic_fwhm_mm=3.0, hole_mm=2.0, divergence=0.02).fwhm_mm(100.0), 6)
        5.0
        """
        return float(np.hypot(self.intrinsic_fwhm_mm, self.hole_mm + self.divergence * distance_mm))


def detect(planes: NDArray[np.float32], distances_mm: NDArray[np.float64], camera: Camera) -> NDArray[np.float32]:
    """Blur every plane by the response at its distance, sum the planes and add scatter.

    Parameters
    ----------
    planes : ndarray, shape (k, rows, columns), float32
        Attenuated activity of k planes parallel to the detector [counts per pixel].
    distances_mm : ndarray, shape (k,)
        Distance of each plane from the collimator face [mm].
    camera : Camera
        Resolution, pixel size and scatter.

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Expected counts per pixel.

    Raises
    ------
    ValueError
        If the number of distances differs from the number of planes.

    Examples
    --------
    >>> point = np.zeros((1, 65, 65), np.float32)
    >>> point[0, 32, 32] = 100.0
    >>> image = detect(point, np.array([100.0]), Camera(scatter_fraction=0.0))
    >>> round(float(image.sum()), 3)
    100.0
    """
    if len(planes) != len(distances_mm):
        raise ValueError(f"{len(planes)} planes need as many distances, got {len(distances_mm)}")
    image = np.zeros(planes.shape[1:], np.float32)
    for plane, distance in zip(planes, distances_mm, strict=True):
        if plane.any():
            image += _blur(plane, camera.fwhm_mm(float(distance)) / camera.pixel_mm)
    if camera.scatter_fraction > 0:
        image += camera.scatter_fraction * _blur(image, camera.scatter_fwhm_mm / camera.pixel_mm)
    return image


def count(expected: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw one acquisition: independent Poisson counts with the given expectation.

    Parameters
    ----------
    expected : ndarray, float32
        Expected counts per pixel, not negative.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, same shape, float32
        Whole counts.

    Examples
    --------
    >>> count(np.zeros((2, 2), np.float32), np.random.default_rng(0)).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    return rng.poisson(expected).astype(np.float32)


def thin(
    counts: NDArray[np.float32], fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Split an acquisition into a shorter one and its independent complement.

    Parameters
    ----------
    counts : ndarray, float32
        Whole counts, Poisson distributed.
    fraction : float
        Share of the acquisition time to keep, between 0 and 1.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    kept, rest : ndarray, same shape, float32
        Independent Poisson counts of expectation ``fraction`` and ``1 - fraction`` times the original's.

    Raises
    ------
    ValueError
        If the fraction lies outside 0 to 1.

    References
    ----------
    * Kingman, Poisson Processes (1993), colouring theorem.

    Examples
    --------
    >>> kept, rest = thin(np.full((3, 3), 8.0, np.float32), 0.25, np.random.default_rng(0))
    >>> bool(np.all(kept + rest == 8))
    True
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"the fraction of counts to keep is {fraction}, give a value from 0 to 1")
    kept = rng.binomial(counts.astype(np.int64), fraction).astype(np.float32)
    return kept, counts - kept


def bin2(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add each 2x2 block of pixels, as a coarser matrix of the same camera would.

    Parameters
    ----------
    image : ndarray, shape (..., rows, columns)
        Counts per pixel; rows and columns are even.

    Returns
    -------
    ndarray, shape (..., rows / 2, columns / 2)
        Counts per coarse pixel.

    Raises
    ------
    ValueError
        If a side is odd.

    Examples
    --------
    >>> bin2(np.ones((4, 4), np.float32)).tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    *lead, rows, columns = image.shape
    if rows % 2 or columns % 2:
        raise ValueError(f"a {rows}x{columns} image cannot be binned 2x2, crop it to even sides")
    blocks = image.reshape(*lead, rows // 2, 2, columns // 2, 2)
    return np.asarray(blocks.sum(axis=(-3, -1)), image.dtype)


def _blur(image: NDArray[np.float32], fwhm_px: float) -> NDArray[np.float32]:
    """Gaussian blur that loses what falls outside the field of view."""
    return np.asarray(gaussian_filter(image, fwhm_px / FWHM_PER_SIGMA, mode="constant", truncate=3.5), np.float32)
