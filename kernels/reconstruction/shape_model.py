"""What views tell of a body of uniform activity: the box that holds it, coarse and fine, and the likelihood."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .camera import GammaCamera
from .geometry import Geometry, Grid, View
from .projection import Projector
from .transmission import optical_paths, resample

__all__ = ["Box", "Levels", "ShapeData", "ShapeModel", "box_of", "shadow_of"]

Image = NDArray[np.float32]
Slices = tuple[slice, slice, slice]

_MARGIN_MM = 16.0  # around the body's shadow, for what the collimator spreads
_EDGE = 0.06  # of a smoothed view's peak, where a body's shadow ends
_SMOOTH = 5  # [pixels]
_BRIGHT = 4.0  # standard deviations of a smoothed background
_COARSE_MM = 8.0  # voxels on which optical paths are found


@dataclass(frozen=True)
class Box:
    """A part of a grid.

    Parameters
    ----------
    slices : tuple of slice
        Along z, y and x of the grid.
    grid : Grid
        The part, as a grid of its own.
    """

    slices: Slices
    grid: Grid

    @classmethod
    def cut(cls, grid: Grid, slices: Slices) -> "Box":
        """Return a part of a grid."""
        first = np.array([axis[part.start] for axis, part in zip(grid.axes(), slices, strict=True)])
        shape = tuple(part.stop - part.start for part in slices)
        z, y, x = first + (np.array(shape) - 1) / 2 * grid.spacing_mm
        return cls(slices, Grid((shape[0], shape[1], shape[2]), grid.spacing_mm, (x, y, z)))

    def coarse(self, factor: int) -> Grid:
        """Return voxels that are `factor` times as large and cover the box."""
        if factor == 1:
            return self.grid
        shape = [-(-count // factor) for count in self.grid.shape]
        spacing = [factor * size for size in self.grid.spacing_mm]
        first = np.array(self.grid.first_mm) + (factor - 1) / 2 * np.array(self.grid.spacing_mm[::-1])
        x, y, z = first + (np.array(shape[::-1]) - 1) / 2 * spacing[::-1]
        return Grid((shape[0], shape[1], shape[2]), (spacing[0], spacing[1], spacing[2]), (x, y, z))


def shadow_of(image: Image, background: Image) -> NDArray[np.bool_]:
    """Return the pixels of a view that show more than background [counts]."""
    bright = _smoothed(image - background)
    noise = np.sqrt(np.maximum(_smoothed(background), 0)) / _SMOOTH
    return np.asarray(bright > np.maximum(_EDGE * bright.max(), _BRIGHT * noise))


def box_of(shadows: Sequence[NDArray[np.bool_]], geometry: Geometry) -> Box:
    """Return the part of the volume that a body can fill: what every view sees in its shadow.

    Parameters
    ----------
    shadows : sequence of ndarray, shape (rows, columns), bool
        Pixels of each view that show the body.
    geometry : Geometry
        The volume and the views.

    Raises
    ------
    UsageError
        If no voxel lies where a view looks.
    InputError
        If no voxel lies in the shadow of a view, or none in those of all.
    """
    grid = geometry.grid
    # A body thinner than the coarse steps slips between them.
    for factor in dict.fromkeys((max(1, round(_COARSE_MM / min(grid.spacing_mm))), 1)):
        inside = _in_all(shadows, geometry, factor)
        if inside.any():
            return _around(inside, grid, factor)
    for number, (shadow, view) in enumerate(zip(shadows, geometry.views, strict=True), start=1):
        alone = Geometry(grid, (view,))
        if not _in_all([np.ones_like(shadow)], alone, 1).any():
            raise UsageError(f"view {number} misses the volume; correct the geometry.")
        if not _in_all([shadow], alone, 1).any():
            raise InputError(
                f"view {number} shows nothing where the volume is; correct the geometry, or give a larger volume."
            )
    raise InputError("no voxel lies in the shadows of all views; correct their geometry, or give views of one body.")


def _in_all(shadows: Sequence[NDArray[np.bool_]], geometry: Geometry, factor: int) -> NDArray[np.bool_]:
    """Return which of every so many voxels lie in the shadows of all views."""
    z, y, x = (axis[min(factor // 2, (len(axis) - 1) // 2) :: factor] for axis in geometry.grid.axes())
    points = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1)
    inside = np.ones(points.shape[:3], bool)
    for shadow, view in zip(shadows, geometry.views, strict=True):
        place = np.rint(view.project(points)).astype(int)
        seen = np.asarray(((place >= 0) & (place < view.shape)).all(axis=-1))
        place = np.where(seen[..., None], place, 0)
        inside &= seen & shadow[place[..., 0], place[..., 1]]
    return inside


def _around(inside: NDArray[np.bool_], grid: Grid, factor: int) -> Box:
    """Return the box round these voxels, with a margin."""
    slices = []
    for axis, count in enumerate(grid.shape):
        filled = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        pad = factor + 1
        slices.append(slice(max(int(filled[0]) * factor - pad, 0), min((int(filled[-1]) + 1) * factor + pad, count)))
    return Box.cut(grid, (slices[0], slices[1], slices[2]))


@dataclass(frozen=True)
class Levels:
    """Views of a box, from fine to coarse.

    Parameters
    ----------
    geometry : Geometry
        The whole volume and the views.
    box : Box
        The part that is solved.
    camera : GammaCamera or None
        Attenuation and blur.
    """

    geometry: Geometry
    box: Box
    camera: GammaCamera | None

    def paths(self) -> tuple[tuple[Grid, Image], ...]:
        """Return optical paths from coarse voxels of the box to each view; none without attenuation."""
        attenuation = self.camera.attenuation_per_mm(self.geometry.grid.shape) if self.camera else None
        if attenuation is None:
            return ()
        coarse = self.box.coarse(max(1, round(_COARSE_MM / min(self.geometry.grid.spacing_mm))))
        around = Grid(
            (coarse.shape[0] + 2, coarse.shape[1] + 2, coarse.shape[2] + 2), coarse.spacing_mm, coarse.center_mm
        )
        grid = self.geometry.grid
        return tuple((around, optical_paths(attenuation, grid, view, around)) for view in self.geometry.views)


@dataclass(frozen=True, eq=False)
class ShapeData:
    """Measured counts of the box on pixels of one level, and how they come about.

    Parameters
    ----------
    counts, veil : tuple of ndarray, shape (rows, columns), float32
        Measured counts, and what background of 1/mm would add; zeros without background.
    area : tuple of float
        Pixels of the detector in a pixel of this level.
    """

    counts: tuple[Image, ...]
    veil: tuple[Image, ...]
    area: tuple[float, ...]


class ShapeModel:
    """Counts that occupied voxels of one level would give for an activity of 1/mm.

    Parameters
    ----------
    levels : Levels
        The box and its views.
    images, veil : sequence of ndarray, shape (rows, columns), float32
        Measured counts and the counts of a background of 1/mm, of the whole views.
    factor : int
        How much coarser than the grid.
    paths : tuple
        From `levels.paths()`.
    threads : int
        For projectors.
    device : str
        For projectors.

    """

    def __init__(
        self,
        levels: Levels,
        images: Sequence[Image],
        veil: Sequence[Image],
        factor: int,
        *,
        paths: tuple[tuple[Grid, Image], ...],
        threads: int,
        device: str,
    ) -> None:
        self.grid = levels.box.coarse(factor)
        cuts = [_Cut.of(view, self.grid, factor) for view in levels.geometry.views]
        self.data = ShapeData(
            tuple(cut.binned(image) for cut, image in zip(cuts, images, strict=True)),
            tuple(cut.binned(image) for cut, image in zip(cuts, veil, strict=True)),
            tuple(float(cut.bins[0] * cut.bins[1]) for cut in cuts),
        )
        camera = levels.camera and replace(levels.camera, mu_per_cm=0.0, body=None, attenuation_map=None)
        groups = [[cut.view] for cut in cuts] if paths else [[cut.view for cut in cuts]]
        self._projectors = [
            Projector(Geometry(self.grid, tuple(group)), camera=camera, threads=threads, device=device)
            for group in groups
        ]
        self._paths: list[Image | None] = [_at_voxels(path, grid, self.grid) for grid, path in paths] or [None]

    @property
    def attenuates(self) -> bool:
        """Whether photons are absorbed."""
        return self._paths[0] is not None

    def forward(self, occupancy: Image, attenuation: float = 1.0) -> tuple[Image, ...]:
        """Return what views show of occupied voxels, with attenuation times a factor."""
        images: list[Image] = []
        for projector, path in zip(self._projectors, self._paths, strict=True):
            images += projector.forward(occupancy if path is None else occupancy * _passing(path, attenuation))
        return tuple(image * np.float32(area) for image, area in zip(images, self.data.area, strict=True))

    def adjoint(self, images: Sequence[Image], attenuation: float = 1.0) -> tuple[Image, Image]:
        """Return the transpose of :meth:`forward`, and that of its derivative with respect to the factor."""
        weighted = [image * np.float32(area) for image, area in zip(images, self.data.area, strict=True)]
        total, change = np.zeros((2, *self.grid.shape), np.float32)
        for projector, path in zip(self._projectors, self._paths, strict=True):
            count = len(projector.geometry.views)
            part = projector.adjoint(weighted[:count])
            weighted = weighted[count:]
            if path is not None:
                part *= _passing(path, attenuation)
                change -= part * path
            total += part
        return total, change


@dataclass(frozen=True)
class _Cut:
    """A part of a view with pixels put together."""

    view: View
    rows: slice
    columns: slice
    bins: tuple[int, int]

    @classmethod
    def of(cls, view: View, grid: Grid, factor: int) -> "_Cut":
        """Return the part of a view that shows a grid of voxels `factor` times as large as its pixels should be."""
        half = np.multiply(grid.shape, grid.spacing_mm)[::-1] / 2
        signs = np.stack(np.meshgrid(*[(-1, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        corners = view.project(np.array(grid.center_mm) + signs * half)
        spans, bins = [], []
        for axis in (0, 1):
            margin = _MARGIN_MM / view.spacing_mm[axis]
            low = max(int(np.floor(corners[:, axis].min() - margin)), 0)
            high = min(int(np.ceil(corners[:, axis].max() + margin)) + 1, view.shape[axis])
            size = min(max(1, round(min(grid.spacing_mm) / view.spacing_mm[axis])), factor, max(high - low, 1))
            spans.append(slice(low, low + (high - low) // size * size))
            bins.append(size)
        middle = [
            (span.start + span.stop - view.shape[axis]) / 2 * view.spacing_mm[axis] for axis, span in enumerate(spans)
        ]
        x, y, z = view.center_mm + middle[0] * np.array(view.down) + middle[1] * np.array(view.right)
        shape = tuple((span.stop - span.start) // size for span, size in zip(spans, bins, strict=True))
        spacing = (view.spacing_mm[0] * bins[0], view.spacing_mm[1] * bins[1])
        part = replace(view, shape=(shape[0], shape[1]), spacing_mm=spacing, center_mm=(x, y, z))
        return cls(part, spans[0], spans[1], (bins[0], bins[1]))

    def binned(self, image: Image) -> Image:
        """Return sums of the image's pixels."""
        rows, columns = self.view.shape
        blocks = image[self.rows, self.columns].reshape(rows, self.bins[0], columns, self.bins[1])
        return np.asarray(blocks.sum(axis=(1, 3)), np.float32)


def _at_voxels(path: Image, grid: Grid, wanted: Grid) -> Image:
    """Return optical paths at finer voxels."""
    z, y, x = np.meshgrid(*wanted.axes(), indexing="ij")
    return resample(path, grid, np.stack([x, y, z], axis=-1).astype(np.float32))


def _passing(path: Image, attenuation: float) -> Image:
    """Return the share of photons that reach the detector."""
    return np.asarray(np.exp(-np.float32(attenuation) * path))


def _smoothed(image: Image) -> Image:
    """Return means over squares of pixels."""
    kernel = np.full(_SMOOTH, 1 / _SMOOTH)
    for axis in (0, 1):
        if image.shape[axis] >= _SMOOTH:
            image = np.apply_along_axis(np.convolve, axis, image, kernel, mode="same").astype(np.float32)
    return image
