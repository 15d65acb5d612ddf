"""Planar bone scans of the ribs in milliseconds: whole bodies and views of the thorax, with masks of every lesion."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .bone_thorax import Patient, draw_patient
from .camera import FWHM_PER_SIGMA, Camera, count
from .rib_lesions import Label, Lesion, draw_lesions, draw_variants
from .scene import Ellipsoids, attenuated_length, interval, outline
from .splat import Surface, cover, splat

__all__ = ["Acquisition", "BoneView", "Kind", "View", "draw_acquisition", "draw_views"]

Floats = NDArray[np.float32]
Rng = np.random.Generator
Kind = Literal["whole-body", "spot"]
View = Literal["anterior", "posterior"]

_CELL_MM = 6.0  # on which the outline of the body is drawn
_SCATTER_MM = 9.0
_ROSE, _LEAST_CONTRAST = 5.0, 0.3


@dataclass(frozen=True)
class Acquisition:
    """How the thorax is imaged.

    Parameters
    ----------
    kind : {"whole-body", "spot"}
        The whole patient, or a square field about the thorax.
    view : {"anterior", "posterior"}
        Where the detector lies.
    columns : int
        Of the matrix; a whole body has four times as many rows.
    field_mm : float
        Width of the field [mm].
    counts_per_cm2 : float
        Median over the rib cage [counts].
    camera : Camera
        Resolution and scatter; matrix and pixel come from the fields above.
    aim_mm : tuple of float
        By how far the middle of the field misses that of the ribs (spot) or of the patient (whole body), x and y [mm].
    smoothing_mm : float
        Full width at half maximum of a filter that the workstation applied, 0 for none [mm].
    """

    kind: Kind
    view: View
    columns: int
    field_mm: float
    counts_per_cm2: float
    camera: Camera
    aim_mm: tuple[float, float] = (0.0, 0.0)
    smoothing_mm: float = 0.0

    @property
    def matrix_camera(self) -> Camera:
        """The camera with matrix and pixel."""
        rows = self.columns * (4 if self.kind == "whole-body" else 1)
        return replace(self.camera, shape=(rows, self.columns), pixel_mm=self.field_mm / self.columns)


@dataclass(frozen=True)
class BoneView:
    """A simulated view and the truth about it.

    Parameters
    ----------
    label : str
        What the ribs have.
    counts : ndarray, shape (rows, columns), float32
        The image.
    pixel_mm : float
        Side of a pixel [mm].
    lesions : tuple of Lesion
        With the uptake that they were imaged with.
    masks : ndarray, shape (2, rows, columns), bool
        Pixels inside the lesions, and within half the system's resolution of them.
    ribs : tuple of float
        Box of the rib cage: row, column, row, column of its edges [px].
    acquisition : Acquisition
        How it was imaged.
    """

    label: Label
    counts: Floats
    pixel_mm: float
    lesions: tuple[Lesion, ...]
    masks: NDArray[np.bool_]
    ribs: tuple[float, float, float, float]
    acquisition: Acquisition


def draw_acquisition(rng: Rng) -> Acquisition:
    """Return a random acquisition: matrices of 128 to 512 columns, low-energy collimators, a twentieth to thrice the usual counts.

    Examples
    --------
    >>> draw_acquisition(np.random.default_rng(0)).columns in (128, 256, 512)
    True
    """
    kind: Kind = "spot" if rng.random() < 0.3 else "whole-body"
    camera = Camera(
        intrinsic_fwhm_mm=float(rng.uniform(3.0, 4.5)),
        hole_mm=float(rng.uniform(1.2, 2.8)),
        divergence=float(rng.uniform(0.03, 0.065)),
        gap_mm=float(rng.uniform(5, 80)),
        scatter_fraction=float(rng.uniform(0.1, 0.45)),
        scatter_fwhm_mm=float(rng.uniform(60, 140)),
    )
    return Acquisition(
        kind,
        "anterior" if rng.random() < 0.5 else "posterior",
        int(rng.choice([128, 256, 512], p=[0.25, 0.6, 0.15])),
        float(rng.uniform(540, 620) if kind == "whole-body" else rng.uniform(390, 560)),
        float(np.exp(rng.uniform(np.log(60), np.log(2400)))),
        camera,
        (float(rng.normal(0, 12)), float(rng.normal(0, 25)) if kind == "spot" else 0.0),
        float(rng.uniform(4, 12)) if rng.random() < 0.12 else 0.0,
    )


def draw_views(acquisition: Acquisition, labels: tuple[Label, ...], rng: Rng) -> tuple[BoneView, ...]:
    """Return the same random patient once for each label: the ribs differ, all else is the same but for the counts.

    Parameters
    ----------
    acquisition : Acquisition
        How the patient is imaged.
    labels : tuple of str
        What the ribs have in each view.
    rng : numpy.random.Generator
        Draws patient, lesions and counts.

    Returns
    -------
    tuple of BoneView
        Every lesion is above the Rose criterion: at least 5 standard deviations of the counts that lie about it, and at
        least 30 % of them; fainter ones are made hotter.

    References
    ----------
    * Rose, A. (1973). Vision: human and electronic. Plenum.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> view, = draw_views(draw_acquisition(rng), ("metastasis",), rng)
    >>> bool(view.masks[0].any()), bool(view.masks[1].sum() > view.masks[0].sum())
    (True, True)
    """
    front = draw_patient(rng)
    patient = front if acquisition.view == "anterior" else front.posterior()
    scene = _Scene.of(patient, acquisition)
    normal = scene.normal(draw_variants(patient, rng), rng)
    rows0, columns0, rows1, columns1 = (round(edge) for edge in scene.box)
    inside = normal[max(rows0, 0) : rows1, max(columns0, 0) : columns1]
    level = acquisition.counts_per_cm2 * (scene.camera.pixel_mm / 10) ** 2 / float(np.median(inside))
    return tuple(_one(scene, normal, level, label, rng) for label in labels)


def _one(scene: "_Scene", normal: Floats, level: float, label: Label, rng: Rng) -> BoneView:
    """Return one state of the ribs."""
    lesions, expected = [], normal.copy()
    margin = scene.camera.fwhm_mm(scene.camera.gap_mm + 30.0) / 2
    masks = np.zeros((2, *scene.camera.shape), np.bool_)
    for drawn in draw_lesions(scene.patient, label, rng):
        image = scene.lesion(drawn.parts)
        near = cover(drawn.parts, scene.camera, margin, scene.centre)
        if not near.any():
            continue
        factor = _needed(float(image[near].sum()) * level, float(normal[near].sum()) * level)
        lesions.append(drawn.times(factor))
        expected += np.float32(factor) * image
        masks |= np.stack([cover(drawn.parts, scene.camera, 0.0, scene.centre), near])
    expected += scene.scatter(expected)
    counts = count(np.maximum(expected * np.float32(level), 0), rng)
    if scene.acquisition.smoothing_mm:
        sigma = scene.acquisition.smoothing_mm / FWHM_PER_SIGMA / scene.camera.pixel_mm
        counts = np.asarray(gaussian_filter(counts, sigma), np.float32)
    found = label if lesions or label == "normal" else "normal"
    return BoneView(found, counts, scene.camera.pixel_mm, tuple(lesions), masks, scene.box, scene.acquisition)


def _needed(signal: float, background: float) -> float:
    """Return by how much a lesion must be hotter to be seen."""
    least = max(_ROSE * background**0.5, _LEAST_CONTRAST * background)
    return max(1.0, least / max(signal, 1e-9))


@dataclass(frozen=True)
class _Scene:
    """A patient before a camera."""

    patient: Patient
    acquisition: Acquisition
    camera: Camera
    surface: Surface
    thickness: NDArray[np.float64]
    nearest_mm: float
    centre: tuple[float, float]
    box: tuple[float, float, float, float]

    @staticmethod
    def of(patient: Patient, acquisition: Acquisition) -> "_Scene":
        camera = acquisition.matrix_camera
        points = np.concatenate([rib.points for rib in patient.ribs])[:, :2]
        low, high = points.min(axis=0), points.max(axis=0)
        middle = (low + high) / 2 if acquisition.kind == "spot" else np.zeros(2)
        centre = float(middle[0] + acquisition.aim_mm[0]), float(middle[1] + acquisition.aim_mm[1])
        p, (rows, columns) = camera.pixel_mm, camera.shape
        (x0, y0), (x1, y1) = (low - centre) / p + [columns / 2, rows / 2], (high - centre) / p + [columns / 2, rows / 2]
        surface, thickness = _body(patient)
        nearest = float(surface.depth_mm.min())
        return _Scene(
            patient,
            acquisition,
            camera,
            surface,
            thickness,
            nearest,
            centre,
            (float(y0), float(x0), float(y1), float(x1)),
        )

    def normal(self, variants: Ellipsoids, rng: Rng) -> Floats:
        """Return what is expected of soft tissue, bones and variants, without scatter [any unit]."""
        blur = self.camera.fwhm_mm(self.camera.gap_mm + 60.0) / FWHM_PER_SIGMA / _CELL_MM
        soft = gaussian_filter(self.thickness * _texture(self.thickness.shape, rng), blur)
        down = _linear(self.camera.shape[0], self.camera.pixel_mm, self.centre[1], len(soft), _CELL_MM)
        across = _linear(self.camera.shape[1], self.camera.pixel_mm, self.centre[0], soft.shape[1], _CELL_MM)
        image = (down @ soft @ across.T) * self.camera.pixel_mm**2
        return np.asarray(image + self.lesion(self.patient.bones) + self.lesion(variants), np.float32)

    def lesion(self, parts: Ellipsoids) -> Floats:
        """Return what is expected of small parts, without scatter."""
        return splat(parts, self.camera, self.surface, nearest_mm=self.nearest_mm, centre_mm=self.centre)

    def scatter(self, image: Floats) -> Floats:
        """Return the scatter of an image, on a coarser grid."""
        k = max(1, round(_SCATTER_MM / self.camera.pixel_mm))
        rows, columns = (-(-side // k) for side in image.shape)
        padded = np.pad(image, ((0, rows * k - image.shape[0]), (0, columns * k - image.shape[1])), mode="edge")
        coarse = padded.reshape(rows, k, columns, k).mean(axis=(1, 3))
        sigma = self.camera.scatter_fwhm_mm / FWHM_PER_SIGMA / (k * self.camera.pixel_mm)
        wide = gaussian_filter(coarse, sigma, mode="nearest" if self.acquisition.kind == "spot" else "constant")
        down, across = (
            _linear(n, 1.0, (n - k * m) / 2, m, float(k)) for n, m in zip(image.shape, wide.shape, strict=True)
        )
        return np.asarray(self.camera.scatter_fraction * (down @ wide @ across.T), np.float32)


def _body(patient: Patient) -> tuple[Surface, NDArray[np.float64]]:
    """Return the front of the body and how much soft tissue each ray sees behind it [mm]."""
    grid = Camera(_CELL_MM, (360, 140))
    front, back = outline(patient.body, grid)
    inside = np.isfinite(front)
    start, stop = np.where(inside, front, 0.0), np.where(inside, back, 0.0)
    mu = patient.attenuation_per_mm
    thickness = attenuated_length(start, stop, start, stop, mu)
    for index in range(len(patient.lungs)):
        found = interval(patient.lungs, index, grid)
        if found is not None:
            window, near, far, _ = found
            air = attenuated_length(near, far, start[window], stop[window], mu)
            thickness[window] -= (1 - patient.lung_density) * air
    return Surface(front, _CELL_MM, mu), np.maximum(thickness, 0)


def _texture(shape: tuple[int, ...], rng: Rng) -> NDArray[np.float64]:
    """Draw how uneven soft tissue is."""
    total = np.zeros(shape)
    for sigma_mm, strength in ((12, 0.06), (30, 0.1), (80, 0.15)):
        field = gaussian_filter(rng.normal(size=shape), sigma_mm / _CELL_MM)
        total += rng.uniform(0, strength) * field / field.std()
    return np.exp(total)


@lru_cache(maxsize=64)
def _linear(size: int, step: float, centre: float, cells: int, cell: float) -> NDArray[np.float64]:
    """Return weights, shape (size, cells), that interpolate between the centres of coarser cells."""
    at = (centre + (np.arange(size) - (size - 1) / 2) * step) / cell + (cells - 1) / 2
    at = np.clip(at, 0, cells - 1)
    below = np.minimum(at.astype(int), max(cells - 2, 0))
    weights = np.zeros((size, cells))
    weights[np.arange(size), below] = 1 - (at - below)
    weights[np.arange(size), np.minimum(below + 1, cells - 1)] += at - below
    return weights
