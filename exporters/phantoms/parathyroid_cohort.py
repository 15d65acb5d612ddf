"""Simulated cohort of double-phase 99mTc-MIBI scintigraphy of the parathyroid glands, with the truth about every abnormal gland.

A case is a patient (:mod:`.parathyroid_patient`), the times of both images, how the patient lay in each, and the field and counts of the
camera. It can be acquired any number of times, with other counts, matrices or collimators.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .bones import turn_z
from .camera import Camera, count
from .parathyroid_patient import Patient, draw_patient, retained
from .parathyroid_view import views
from .scene import Ellipsoids, join

__all__ = [
    "COLLIMATORS",
    "PHASES",
    "Acquisition",
    "Case",
    "Collimator",
    "Phase",
    "Pose",
    "Split",
    "case_of",
    "draw_case",
]

Phase = Literal["early", "late"]
Split = Literal["train", "tune", "held-out"]
PHASES: tuple[Phase, Phase] = ("early", "late")
Floats = NDArray[np.float32]
_CRYSTAL_MM = (387.0, 533.0)  # rows and columns of a large field of view
_MARGIN_MM = 24.0  # rendered beyond the field, so that its edge is no edge of the activity
Rng = np.random.Generator


@dataclass(frozen=True)
class Collimator:
    """A parallel-hole collimator.

    Parameters
    ----------
    hole_mm, divergence : float
        Resolution at distance d is ``hole_mm + divergence * d`` [mm].
    sensitivity : float
        Relative to low energy, high resolution [1].
    """

    hole_mm: float
    divergence: float
    sensitivity: float


COLLIMATORS = {
    "LEHR": Collimator(1.5, 0.050, 1.0),
    "LEUHR": Collimator(1.2, 0.0345, 0.5),
    "LEGP": Collimator(1.5, 0.068, 1.65),
}


@dataclass(frozen=True)
class Pose:
    """How the patient lies in an image: turned in the image plane, then shifted."""

    degrees: float
    shift_mm: tuple[float, float]

    def move(self, shape: Ellipsoids) -> Ellipsoids:
        """Return sources as the camera sees them."""
        turned = shape.turned(turn_z(self.degrees))
        return replace(turned, centre=turned.centre + np.array((*self.shift_mm, 0.0)))


@dataclass(frozen=True)
class Acquisition:
    """Images of one case, and the truth about them.

    Parameters
    ----------
    early, late : ndarray, shape (side, side), float32
        Counts; all zero for a phase that was not asked for.
    pixel_mm : float
        Side of a pixel [mm].
    boxes : dict of str to ndarray, shape (k, 4), float32
        For each phase that was asked for, row and column of the centre of each abnormal gland (the centre of the first pixel is 0)
        and height and width of its outline [px].
    lesion_mm : ndarray, shape (k,), float32
        Diameter of the ball of each gland's volume [mm].
    kind : tuple of str
        Where each gland lies, see ``parathyroid_patient.KINDS``.
    contrast : dict of str to ndarray, shape (k,), float32
        Expected counts over those without the gland, minus 1, where the gland adds most [1].
    detectability : dict of str to ndarray, shape (k,), float32
        Signal-to-noise ratio of an observer who knows everything but whether the gland is there [1].
    in_field : ndarray, shape (k,), bool
        Whether the centre lies in the field of every phase that was asked for.
    """

    early: Floats = field(repr=False)
    late: Floats = field(repr=False)
    pixel_mm: float
    boxes: dict[Phase, Floats]
    lesion_mm: Floats
    kind: tuple[str, ...]
    contrast: dict[Phase, Floats]
    detectability: dict[Phase, Floats]
    in_field: NDArray[np.bool_]

    @property
    def lesions(self) -> Floats:
        """Boxes in the late image, or in the early one where there is no late."""
        return self.boxes["late"] if "late" in self.boxes else self.boxes["early"]


@dataclass(frozen=True)
class _View:
    """Expectation of one phase: everything, and each gland alone."""

    image: Floats
    glands: tuple[Floats, ...]
    boxes: Floats


@dataclass(frozen=True)
class Case:
    """A patient and how both images are acquired.

    Parameters
    ----------
    patient : Patient
        Sources and their washout.
    minutes : dict of str to float
        Time after injection of each phase [min].
    poses : dict of str to Pose
        How the patient lies in each phase.
    camera : Camera
        Intrinsic resolution, distance and scatter.
    field_mm : float
        Side of the square field [mm].
    emission : float
        Detected counts per mm^3 of soft tissue in front, in the early image with LEHR [1/mm^3].
    collimator : str
        The one of this clinic, a key of ``COLLIMATORS``.
    """

    patient: Patient = field(repr=False)
    minutes: dict[Phase, float]
    poses: dict[Phase, Pose]
    camera: Camera
    field_mm: float
    emission: float
    collimator: str = "LEHR"
    _kept: dict[tuple[Phase, int, float, str], _View] = field(default_factory=dict, repr=False, compare=False)

    def acquire(
        self,
        rng: Rng,
        *,
        side: int = 256,
        pixel_mm: float | None = None,
        counts_scale: float = 1.0,
        collimator: str | None = None,
        phases: tuple[Phase, ...] = PHASES,
    ) -> Acquisition:
        """Draw the images of this case.

        Parameters
        ----------
        rng : numpy.random.Generator
            Draws the noise.
        side : int
            Rows and columns.
        pixel_mm : float, optional
            Side of a pixel [mm]; by default the case's field over `side`.
        counts_scale : float
            Relative to ten minutes of each image.
        collimator : str, optional
            A key of ``COLLIMATORS``; by default the case's own.
        phases : tuple of str
            Which images.

        Returns
        -------
        Acquisition
            Counts and truth. Expectations are kept, so that another draw of the noise is cheap.

        Raises
        ------
        KeyError
            If there is no such collimator.

        Examples
        --------
        >>> case = draw_case(np.random.default_rng(2))
        >>> pair = case.acquire(np.random.default_rng(0), side=64)
        >>> pair.late.shape, len(pair.lesions) == len(case.patient.glands)
        ((64, 64), True)
        """
        pixel = self.field_mm / side if pixel_mm is None else pixel_mm
        chosen = self.collimator if collimator is None else collimator
        scale = np.float32(counts_scale)
        views = {phase: self._view(phase, side, pixel, chosen) for phase in phases}
        images = {phase: count(views[phase].image * scale, rng) for phase in phases}
        empty = np.zeros((side, side), np.float32)
        boxes = {phase: view.boxes for phase, view in views.items()}
        centres = np.concatenate([box[None, :, :2] for box in boxes.values()])
        return Acquisition(
            images.get("early", empty),
            images.get("late", empty),
            pixel,
            boxes,
            np.array([gland.lesion_mm for gland in self.patient.glands], np.float32),
            tuple(gland.kind for gland in self.patient.glands),
            {phase: _contrast(view) for phase, view in views.items()},
            {phase: _detectability(view, counts_scale) for phase, view in views.items()},
            np.all((centres > -0.5) & (centres < side - 0.5), axis=(0, 2)).reshape(-1),
        )

    def expected(
        self, phase: Phase, *, side: int = 256, pixel_mm: float | None = None, collimator: str | None = None
    ) -> Floats:
        """Return the expected counts of one phase, shape (side, side), float32; the arguments are those of ``acquire``."""
        pixel = self.field_mm / side if pixel_mm is None else pixel_mm
        return self._view(phase, side, pixel, self.collimator if collimator is None else collimator).image

    def _view(self, phase: Phase, side: int, pixel: float, collimator: str) -> _View:
        key = (phase, side, pixel, collimator)
        if key not in self._kept:
            self._kept[key] = self._render(phase, side, pixel, COLLIMATORS[collimator])
        return self._kept[key]

    def _render(self, phase: Phase, side: int, pixel: float, collimator: Collimator) -> _View:
        """Project everything but the glands, and each gland alone."""
        margin = int(np.ceil(_MARGIN_MM / pixel))
        camera = replace(
            self.camera,
            pixel_mm=pixel,
            shape=(side + 2 * margin,) * 2,
            hole_mm=collimator.hole_mm,
            divergence=collimator.divergence,
        )
        waited = self.minutes[phase] - self.minutes["early"]
        move = self.poses[phase].move
        body = move(self.patient.body)
        tissue = retained(self.patient.tissue_half_life_min, waited)
        rest = move(join(*(part.after(waited) for part in self.patient.parts)))
        shapes = [move(gland.part.after(waited)) for gland in self.patient.glands]
        level = np.float32(self.emission * collimator.sensitivity)
        seen = _crystal(side, pixel) * level
        crop = slice(margin, margin + side)
        image, *glands = (view[crop, crop] * seen for view in views([rest, *shapes], body, tissue, camera))
        image = np.maximum(image, 0)
        boxes = np.array([_box(shape, side, pixel) for shape in shapes], np.float32).reshape(-1, 4)
        return _View(np.sum([image, *glands], axis=0, dtype=np.float32), tuple(glands), boxes)


def draw_case(rng: Rng) -> Case:
    """Draw a patient, the times of both images, how the patient lies, and the camera.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.

    Returns
    -------
    Case
        With 10 to 20 minutes and 90 to 180 minutes after injection, a field of 270 to 540 mm (zoom 2 to 1).

    References
    ----------
    * Taillefer et al., J. Nucl. Med. 33 (1992) 1801: double-phase study.
    * O'Doherty et al., J. Nucl. Med. 33 (1992) 313: uptake and washout in tissue.
    * Palestro, Tomas, Tronco, Semin. Nucl. Med. 35 (2005) 266: patterns, and what is taken for an adenoma.
    * Phitayakorn, McHenry, Am. J. Surg. 191 (2006) 418: ectopic glands.
    * Tomas et al., J. Nucl. Med. Technol. 36 (2008) 189: parallel-hole images; median weight of the lesions 840 mg.
    * Greenspan et al., J. Nucl. Med. Technol. 40 (2012) 111, and Petranovic Ovcaricek et al., Eur. J. Nucl. Med. Mol. Imaging 48
      (2021) 2801: guidelines.

    Examples
    --------
    >>> case = draw_case(np.random.default_rng(0))
    >>> 60 < case.minutes["late"] - case.minutes["early"] < 180
    True
    """
    patient = draw_patient(rng)
    zoom = float(rng.choice([1.0, 1.23, 1.45, 1.6, 1.78, 2.0]))
    middle = -(20 + 45 / zoom + rng.normal(0, 8))
    first = Pose(float(rng.normal(0, 2)), (float(rng.normal(0, 6)), float(middle)))
    late = Pose(
        first.degrees + float(rng.normal(0, 2)),
        (first.shift_mm[0] + float(rng.normal(0, 5)), first.shift_mm[1] + float(rng.normal(0, 7))),
    )
    camera = Camera(
        intrinsic_fwhm_mm=float(rng.uniform(3.2, 4.2)),
        gap_mm=float(rng.uniform(5, 45)),
        scatter_fraction=float(rng.uniform(0.15, 0.35)),
        scatter_fwhm_mm=float(rng.uniform(70, 120)),
    )
    return Case(
        patient,
        {"early": float(rng.uniform(10, 20)), "late": float(rng.uniform(90, 180))},
        {"early": first, "late": late},
        camera,
        540.0 / zoom,
        float(rng.lognormal(np.log(0.08), 0.35)),
        str(rng.choice(list(COLLIMATORS), p=[0.75, 0.15, 0.10])),
    )


def case_of(split: Split, index: int) -> Case:
    """Return one case of a split; the same arguments give the same case.

    Parameters
    ----------
    split : {"train", "tune", "held-out"}
        What the case may be used for; the splits share no seed.
    index : int
        Number of the case within its split.

    Returns
    -------
    Case
        See ``draw_case``.

    Examples
    --------
    >>> case_of("tune", 3).field_mm == case_of("tune", 3).field_mm
    True
    """
    return draw_case(np.random.default_rng([20461, ("train", "tune", "held-out").index(split), index]))


def _crystal(side: int, pixel: float) -> Floats:
    """Return 1 where the detector is, 0 beyond its edges, parts where a pixel straddles one."""
    edges = (np.arange(side + 1) - side / 2) * pixel
    rows, columns = (np.diff(np.clip(edges, -size / 2, size / 2)) / pixel for size in _CRYSTAL_MM)
    return np.asarray(rows[:, None] * columns[None], np.float32)


def _box(shape: Ellipsoids, side: int, pixel: float) -> tuple[float, float, float, float]:
    """Return row, column, height and width of an ellipsoid's outline [px]."""
    x, y, _ = shape.centre[0]
    across, down, _ = np.sqrt(shape.rotation[0] ** 2 @ shape.semi_axes[0] ** 2)
    middle = (side - 1) / 2
    return y / pixel + middle, x / pixel + middle, 2 * down / pixel, 2 * across / pixel


def _contrast(view: _View) -> Floats:
    """Return the peak of each gland over what is there without it."""
    found = []
    for gland in view.glands:
        peak = np.unravel_index(gland.argmax(), gland.shape)
        without = float(view.image[peak] - gland[peak])
        found.append(float(gland[peak]) / without if without > 0 else 0.0)
    return np.array(found, np.float32)


def _detectability(view: _View, scale: float) -> Floats:
    """Return the ideal observer's signal-to-noise ratio for a known signal on a known background, small contrasts."""
    safe = np.maximum(view.image, 1e-9)
    return np.array([np.sqrt(scale * (gland**2 / safe).sum(dtype=np.float64)) for gland in view.glands], np.float32)
