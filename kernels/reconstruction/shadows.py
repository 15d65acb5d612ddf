"""What a wire's images tell before it is searched: noise, attenuation, where the sac is; and the model of its images."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..errors import InputError, UsageError
from .geometry import Geometry, Vector, View

__all__ = ["Crop", "Region", "Shadows", "find_region", "read_shadows"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_SHADOW = 0.3  # of one pass through the middle of the wire
_MARGIN = 3  # pixels
_CELLS = 500  # of the kernel's table
_PIXEL_SAMPLES = 24
_MODEL_ERROR = 0.05  # of the model's value: rays through a pixel differ, and their mean is taken before the logarithm


@dataclass(frozen=True)
class Region:
    """Where the wire may be.

    Parameters
    ----------
    center_mm : tuple of float
        Middle of the sac, x, y and z [mm].
    radius_mm : float
        Of a sphere that holds the whole wire [mm].

    Raises
    ------
    UsageError
        If the radius is not above 0.
    """

    center_mm: Vector
    radius_mm: float

    def __post_init__(self) -> None:
        if not 0 < self.radius_mm < np.inf or not np.isfinite(self.center_mm).all():
            raise UsageError(f"a region of radius {self.radius_mm} mm is empty; give a radius above 0.")


@dataclass(frozen=True)
class Crop:
    """The part of a view that shows the region."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


@dataclass(frozen=True, eq=False)
class Shadows:
    """Images of a wire, cut to the region, and the model that they are compared with.

    Parameters
    ----------
    model : CurveModel
        What the views would see of a curve.
    measured, variance : ndarray, shape (pixels,), float32
        Line integrals of all views, one after the other, and the variance of their noise [1].
    crops : tuple of Crop
        Where in each view these pixels are.
    matrices : tuple of ndarray, shape (3, 4), float64
        From (x, y, z, 1) [mm] to (row, column, 1) x depth in the crop.
    radius_mm : float
        Of the wire [mm].
    radius_px : float
        In the images [pixels].
    mass : float
        Sum of the images per area, the mean of all views: attenuation times volume of the wire [mm2].
    """

    model: _native.CurveModel
    measured: Image
    variance: Image
    crops: tuple[Crop, ...]
    matrices: tuple[Array, ...]
    radius_mm: float
    radius_px: float
    mass: float

    @property
    def attenuation_per_mm(self) -> float:
        """Of the wire [1/mm]; a search may correct the model's first value."""
        return self.model.attenuation

    @property
    def length_mm(self) -> float:
        """Of all the wire [mm]."""
        return self.mass / (self.attenuation_per_mm * pi * self.radius_mm**2)

    def residuals_under(self, points_mm: Array, image: Image) -> Array:
        """Return the mean squared residual, over its noise, of pixels that points' shadows cover, in the worst view.

        Parameters
        ----------
        points_mm : ndarray, shape (n, 3), float64
            Points of a centreline [mm].
        image : ndarray, shape (pixels,), float32
            What the views would see of all wires.

        Returns
        -------
        ndarray, shape (n,), float64
            Mean of squares [1].
        """
        worst = np.zeros(len(points_mm))
        start = 0
        squares = (self.measured - image) ** 2 / (self.variance + (_MODEL_ERROR * image) ** 2)
        homogeneous = np.concatenate([points_mm, np.ones((len(points_mm), 1))], axis=1)
        for crop, matrix in zip(self.crops, self.matrices, strict=True):
            count = crop.shape[0] * crop.shape[1]
            view = squares[start : start + count].reshape(crop.shape)
            start += count
            rows, columns, depth = matrix @ homogeneous.T
            total, pixels = np.zeros(len(points_mm)), np.zeros(len(points_mm))
            reach = int(np.ceil(self.radius_px))
            for r in range(-reach, reach + 1):
                for c in range(-reach, reach + 1):
                    row = np.rint(rows / depth).astype(int) + r
                    column = np.rint(columns / depth).astype(int) + c
                    inside = (row >= 0) & (row < crop.shape[0]) & (column >= 0) & (column < crop.shape[1])
                    total[inside] += view[row[inside], column[inside]]
                    pixels += inside
            worst = np.maximum(worst, total / np.maximum(pixels, 1))
        return worst

    def split(self, values: Image, views: Sequence[View]) -> tuple[Image, ...]:
        """Return values of all pixels as one image for each view, 0 outside the crops."""
        images, start = [], 0
        for crop, view in zip(self.crops, views, strict=True):
            image = np.zeros(view.shape, np.float32)
            count = crop.shape[0] * crop.shape[1]
            image[crop.rows, crop.columns] = values[start : start + count].reshape(crop.shape)
            images.append(image)
            start += count
        return tuple(images)


def find_region(images: Sequence[Image], geometry: Geometry, threshold: float, radius_mm: float) -> Region:
    """Return the sphere around what is brighter than a threshold in every view.

    Raises
    ------
    InputError
        If a view shows nothing that is as bright.
    """
    middles, extents = [], []
    for number, (image, view) in enumerate(zip(images, geometry.views, strict=True), start=1):
        rows, columns = np.nonzero(_clean(image > threshold))
        if not len(rows):
            raise InputError(f"view {number} shows no wire of radius {radius_mm} mm; check the radius and the image.")
        middle = np.array([(rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2])
        offset = (np.stack([rows, columns], axis=1) - middle) * view.spacing_mm
        middles.append(middle)
        extents.append(float(np.linalg.norm(offset, axis=1).max()))
    center = _nearest_point(middles, geometry.views)
    radius = max(e / view.magnification_at(center) for e, view in zip(extents, geometry.views, strict=True))
    return Region(center, radius)


def read_shadows(
    images: Sequence[Image],
    geometry: Geometry,
    radius_mm: float,
    *,
    region: Region | None,
    attenuation_per_mm: float | None,
    photons: float | None,
) -> tuple[Shadows, Region]:
    """Return what the search needs of the images; what is None is estimated from them.

    Raises
    ------
    UsageError
        If a view's pixels are not square, or too coarse for the wire.
    InputError
        If a view shows no wire.
    """
    for number, view in enumerate(geometry.views, start=1):
        if abs(view.spacing_mm[0] - view.spacing_mm[1]) > 0.01 * view.spacing_mm[0]:
            raise UsageError(f"pixels of view {number} are {view.spacing_mm} mm, not square; resample it.")
    attenuation = attenuation_per_mm or _single_pass(images) / (2 * radius_mm)
    found = region or find_region(images, geometry, _SHADOW * attenuation * 2 * radius_mm, radius_mm)
    crops = tuple(_crop(view, found, radius_mm) for view in geometry.views)
    cut = [image[crop.rows, crop.columns] for image, crop in zip(images, crops, strict=True)]
    noise = [
        _background_variance(image, crop) if photons is None else 1 / photons
        for image, crop in zip(images, crops, strict=True)
    ]
    lost = np.concatenate([_partial_volume(part).ravel() for part in cut])
    measured = (np.concatenate([part.ravel() for part in cut]) + lost).astype(np.float32)
    variance = np.concatenate([n * np.exp(np.clip(part, 0, 10)).ravel() for n, part in zip(noise, cut, strict=True)])
    variance += lost**2
    radius_px = _radius_px(geometry.views, found, radius_mm)
    kernel, slope, step = _kernel(radius_px)
    matrices = tuple(_matrix(view, crop) for view, crop in zip(geometry.views, crops, strict=True))
    model = _native.CurveModel(
        views=[(matrix, *crop.shape) for matrix, crop in zip(matrices, crops, strict=True)],
        measured=measured,
        variance=variance.astype(np.float32),
        kernel=kernel,
        slope=slope,
        kernel_step=step,
        attenuation=attenuation,
        center=found.center_mm,
        radius=found.radius_mm,
        samples=6,
    )
    mass = [
        float(part.sum(dtype=np.float64)) * (view.spacing_mm[0] / view.magnification_at(found.center_mm)) ** 2
        for part, view in zip(cut, geometry.views, strict=True)
    ]
    total = float(np.mean(mass))
    return Shadows(model, measured, variance.astype(np.float32), crops, matrices, radius_mm, radius_px, total), found


def _clean(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask without pixels that stand alone."""
    padded = np.pad(mask, 1)
    count = sum(
        padded[1 + r : padded.shape[0] - 1 + r, 1 + c : padded.shape[1] - 1 + c].astype(int)
        for r in (-1, 0, 1)
        for c in (-1, 0, 1)
    )
    return np.asarray(mask & (count > 3))


def _nearest_point(middles: Sequence[Array], views: Sequence[View]) -> Vector:
    """Return the point that is nearest to the rays through one pixel of each view."""
    normal, moment = np.zeros((3, 3)), np.zeros(3)
    for (row, column), view in zip(middles, views, strict=True):
        down = (row - (view.shape[0] - 1) / 2) * view.spacing_mm[0] * np.array(view.down)
        right = (column - (view.shape[1] - 1) / 2) * view.spacing_mm[1] * np.array(view.right)
        source = np.array(view.source_mm)
        ray = view.center_mm + down + right - source
        across = np.eye(3) - np.outer(ray, ray) / (ray @ ray)
        normal += across
        moment += across @ source
    x, y, z = np.linalg.solve(normal, moment)
    return float(x), float(y), float(z)


def _single_pass(images: Sequence[Image]) -> float:
    """Return the value of one pass through the middle of a wire: the low end of what ridges show."""
    ridges = []
    for image in images:
        inner = image[1:-1, 1:-1]
        floor = 0.15 * float(np.quantile(image, 0.999))
        across = ((inner >= image[:-2, 1:-1]) & (inner > image[2:, 1:-1])) | (
            (inner >= image[1:-1, :-2]) & (inner > image[1:-1, 2:])
        )
        steep = np.minimum.reduce(
            [
                image[1 + r : image.shape[0] - 1 + r, 1 + c : image.shape[1] - 1 + c]
                for r in (-1, 0, 1)
                for c in (-1, 0, 1)
            ]
        )
        ridges.append(inner[across & (inner > floor) & (steep < 0.8 * inner)])
    values = np.concatenate(ridges)
    if not len(values):
        raise InputError("the views show no wire: there is no ridge in them; check that they are line integrals.")
    return float(np.quantile(values, 0.15))


def _background_variance(image: Image, crop: Crop) -> float:
    """Return the variance where nothing is in the way, from pixels around the region or the darkest inside."""
    outside = np.ones(image.shape, bool)
    outside[crop.rows, crop.columns] = False
    values = image[outside]
    if len(values) < 100:
        values = np.sort(image.ravel())[: max(image.size // 5, 10)]
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) ** 2 + 1e-6


def _partial_volume(image: Image) -> Array:
    """Return by how much line integrals are too small as intensities, not they, were averaged over a pixel.

    To second order half the variance of line integrals within the pixel, here of a plane with the image's slope.
    """
    down, right = np.gradient(image.astype(np.float64))
    return np.asarray((down**2 + right**2) / 24)


def _radius_px(views: Sequence[View], region: Region, radius_mm: float) -> float:
    sizes = [radius_mm * view.magnification_at(region.center_mm) / view.spacing_mm[0] for view in views]
    if max(sizes) > 1.05 * min(sizes):
        raise UsageError("views enlarge the wire differently by more than 5 percent; resample them to one size.")
    size = float(np.mean(sizes))
    if size < 0.5:
        raise UsageError(f"a wire of radius {radius_mm} mm is {2 * size:.2f} pixels wide; give finer images.")
    return size


def _crop(view: View, region: Region, radius_mm: float) -> Crop:
    row, column = view.project(np.array(region.center_mm))
    if not np.isfinite([row, column]).all():
        raise UsageError(
            f"the region at {region.center_mm} mm lies outside a view, behind its focal spot; correct its middle."
        )
    before = float((np.array(view.source_mm) - region.center_mm) @ np.array(view.looking))
    if before <= region.radius_mm + radius_mm:
        raise UsageError(f"the region of radius {region.radius_mm} mm reaches behind a focal spot; give a smaller one.")
    reach = (region.radius_mm + radius_mm) * view.magnification_at(region.center_mm) / view.spacing_mm[0] + _MARGIN
    spans = [
        slice(max(0, int(middle - reach)), min(count, int(middle + reach) + 2))
        for middle, count in zip((row, column), view.shape, strict=True)
    ]
    if any(span.stop - span.start < 2 for span in spans):
        raise UsageError(f"the region at {region.center_mm} mm lies outside a view; correct its middle.")
    return Crop(*spans)


def _matrix(view: View, crop: Crop) -> Array:
    """Return the matrix from (x, y, z, 1) to (row, column, 1) x depth in the crop."""
    source, center = np.array(view.source_mm), np.array(view.center_mm)
    looking = np.array(view.looking)
    whole = float((source - center) @ looking)
    depth = np.append(-looking, source @ looking)
    lines = []
    for axis, spacing, count, first in zip(
        (view.down, view.right), view.spacing_mm, view.shape, (crop.rows.start, crop.columns.start), strict=True
    ):
        along = np.append(axis, -source @ np.array(axis)) * whole + (source - center) @ np.array(axis) * depth
        lines.append(along / spacing + ((count - 1) / 2 - first) * depth)
    return np.ascontiguousarray([*lines, depth])


def _kernel(radius_px: float) -> tuple[Image, Image, float]:
    """Return a disc averaged over pixels of any direction, over squared distance, its derivative and the step.

    The thickness of a tube is the integral of discs along it: a straight one's is 2 sqrt(r^2 - u^2) / sin(angle).
    """
    reach = radius_px + 0.75
    step = reach**2 / _CELLS
    distance = np.sqrt(np.arange(_CELLS + 2) * step)[:, None, None]
    part = (np.arange(_PIXEL_SAMPLES) + 0.5) / _PIXEL_SAMPLES - 0.5
    values = np.zeros(_CELLS + 2)
    turns = np.linspace(0, pi / 4, 8)
    for turn in turns:
        x = part[:, None] * np.cos(turn) - part * np.sin(turn)
        y = part[:, None] * np.sin(turn) + part * np.cos(turn)
        inside = np.clip((radius_px - np.hypot(distance + x, y)) * _PIXEL_SAMPLES + 0.5, 0, 1)
        values += inside.mean(axis=(1, 2)) / len(turns)
    return values.astype(np.float32), np.gradient(values, step).astype(np.float32), step
