"""A real scan of the NEMA image quality phantom, reconstructed twice: spheres and background found in the image itself."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from scipy import ndimage

from ..phantoms.plane import Disc
from ..phantoms.slices import NEMA_SPHERES_MM
from .slices import SMALL, disc_mean

Pixels = NDArray[np.float32]
FOLDER = "pynemaiqpet"
RECONSTRUCTIONS = ("recon_1", "recon_2")
OFFSETS_MM = (-20.0, -10.0, 0.0, 10.0, 20.0)
BACKGROUNDS = 12


@dataclass(frozen=True)
class NemaScan:
    """The planes of a scan that its measurement needs.

    Parameters
    ----------
    planes : ndarray, shape (5, side, side), float32
        Planes 20 and 10 mm below, through, and 10 and 20 mm above the spheres, in the units of the file.
    spheres : tuple of Disc
        The six spheres in the middle plane, from the smallest.
    backgrounds : tuple of Disc
        Circles of no size where the background has most room.
    field_mm : float
        Side of a plane [mm].
    """

    planes: Pixels
    spheres: tuple[Disc, ...]
    backgrounds: tuple[Disc, ...]
    field_mm: float


def load_scans(data: Path | None) -> dict[str, NemaScan]:
    """Return both reconstructions by name; empty where the shared collection is not there.

    The regions come from the mean of both, so that they are the same for either.
    """
    if data is None or not (data / FOLDER / RECONSTRUCTIONS[1]).is_dir():
        return {}
    volumes = [_read(data / FOLDER / name) for name in RECONSTRUCTIONS]
    pixel, thickness = volumes[0][1], volumes[0][2]
    both = np.mean([volume[0] for volume in volumes], axis=0)
    middle = int(np.argmax(np.quantile(both, 0.995, axis=(1, 2))))
    spheres, backgrounds = find_regions(both[middle], pixel)
    at = [middle + round(offset / thickness) for offset in OFFSETS_MM]
    field_mm = pixel * both.shape[1]
    return {
        name: NemaScan(np.ascontiguousarray(volume[0][at]), spheres, backgrounds, field_mm)
        for name, volume in zip(RECONSTRUCTIONS, volumes, strict=True)
    }


def find_regions(plane: Pixels, pixel_mm: float) -> tuple[tuple[Disc, ...], tuple[Disc, ...]]:
    """Return the six spheres, by size, and twelve places in the background as far from everything as possible.

    Parameters
    ----------
    plane : ndarray, shape (side, side), float32
        The plane through the spheres, which are hot.
    pixel_mm : float
        Side of a pixel [mm].

    Raises
    ------
    ValueError
        If there are not six hot regions.
    """
    smooth = ndimage.gaussian_filter(plane, 1.0)
    level = float(np.median(smooth[smooth > 0.2 * np.quantile(smooth, 0.9)]))
    labels, number = ndimage.label(smooth > 2 * level)
    areas = ndimage.sum_labels(np.ones_like(smooth), labels, np.arange(1, number + 1))
    if number < len(NEMA_SPHERES_MM):
        raise ValueError(f"{number} hot regions are fewer than the six spheres of the phantom, give its middle plane")
    largest = np.argsort(areas)[-len(NEMA_SPHERES_MM) :] + 1
    centres = np.array(ndimage.center_of_mass(smooth, labels, largest))
    spheres = tuple(_disc(at, diameter, plane, pixel_mm) for at, diameter in zip(centres, NEMA_SPHERES_MM, strict=True))
    body = ndimage.binary_opening(smooth > 0.5 * level, iterations=2)
    free = body & ~ndimage.binary_dilation(labels > 0, iterations=3)
    return spheres, tuple(_disc(at, 0.0, plane, pixel_mm) for at in _places(free, 20.0 / pixel_mm))


def recoveries(image: Pixels, scan: NemaScan) -> NDArray[np.float64]:
    """Return the contrast of the spheres in a middle plane: their mean over that of the background, minus 1."""
    found = []
    for sphere in scan.spheres:
        circles = [Disc(b.x_mm, b.y_mm, sphere.diameter_mm, 1.0) for b in scan.backgrounds]
        around = np.mean([disc_mean(image, circle, scan.field_mm) for circle in circles])
        found.append(disc_mean(image, sphere, scan.field_mm) / around - 1)
    return np.array(found)


def variability(planes: Pixels, scan: NemaScan) -> float:
    """Return the deviation of background circles over all planes, over their mean; mean for the sizes of the small spheres."""
    found = []
    for sphere in scan.spheres[:SMALL]:
        circles = [Disc(b.x_mm, b.y_mm, sphere.diameter_mm, 1.0) for b in scan.backgrounds]
        means = np.array([disc_mean(plane, circle, scan.field_mm) for plane in planes for circle in circles])
        found.append(means.std(ddof=1) / means.mean())
    return float(np.mean(found))


def _disc(at: NDArray[np.float64], diameter_mm: float, plane: Pixels, pixel_mm: float) -> Disc:
    y, x = (np.asarray(at) - (len(plane) - 1) / 2) * pixel_mm
    return Disc(float(x), float(y), diameter_mm, 1.0)


def _places(free: NDArray[np.bool_], apart_px: float) -> NDArray[np.float64]:
    """Return the places with most room, at least so far apart."""
    room = ndimage.distance_transform_edt(free)
    chosen: list[NDArray[np.int64]] = []
    for _ in range(BACKGROUNDS):
        at = np.array(np.unravel_index(np.argmax(room), room.shape))
        chosen.append(at)
        rows, columns = np.indices(room.shape)
        room[np.hypot(rows - at[0], columns - at[1]) < apart_px] = 0
    return np.array(chosen, np.float64)


def _read(folder: Path) -> tuple[Pixels, float, float]:
    """Return the planes of a series in order of position, and pixel and distance of planes [mm]."""
    files = sorted((pydicom.dcmread(path) for path in folder.glob("*.dcm")), key=lambda d: d.ImagePositionPatient[2])
    planes = [d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in files]
    apart = float(files[1].ImagePositionPatient[2]) - float(files[0].ImagePositionPatient[2])
    return np.asarray(planes, np.float32), float(files[0].PixelSpacing[0]), apart
