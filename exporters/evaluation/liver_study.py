"""How near reconstructed shapes come to random livers, seen from two sides under several conditions."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from ...kernels.reconstruction.camera import GammaCamera
from ...kernels.reconstruction.checks import InconsistentViewsWarning
from ...kernels.reconstruction.geometry import Geometry, Grid
from ...kernels.reconstruction.shape import reconstruct_shape
from ..phantoms.camera import Camera
from ..phantoms.livers import Liver, Scan, body_views, liver_views, random_liver, voxelise

__all__ = ["CONDITIONS", "Condition", "Row", "Score", "as_markdown", "score_shape", "study_livers"]

Image = NDArray[np.float32]

FIRST_SEED = 1000  # anatomies below it served to choose the solver's settings
_GRID = Grid((128, 128, 128), (4.0, 4.0, 4.0))
_BODY_MM = (170.0, 115.0)
_ATTENUATION = 0.15  # [1/cm]
_DRAWS = 2000


@dataclass(frozen=True)
class Condition:
    """How livers are seen, and what the solver is told.

    Parameters
    ----------
    name : str
        For the table.
    counts : float
        Of all views together.
    camera : bool
        Whether a camera attenuates and blurs.
    angles : tuple of float
        Where the camera stands [degrees], see :meth:`View.gamma_camera`.
    background : float
        Activity of the rest of the body over that of the liver, both per volume.
    believed : float
        Attenuation that the solver is told over the true one.
    shift_pixels : tuple of int
        By how many rows and columns the second view is displaced.
    """

    name: str
    counts: float
    camera: bool = True
    angles: tuple[float, ...] = (0.0, 90.0)
    background: float = 0.0
    believed: float = 1.0
    shift_pixels: tuple[int, int] = (0, 0)


CONDITIONS = (
    Condition("ideal parallel rays", 1e6, camera=False),
    Condition("attenuation and blur", 50e3),
    Condition("attenuation and blur", 200e3),
    Condition("attenuation and blur", 1e6),
    Condition("background of 10 %, fitted", 1e6, background=0.1),
    Condition("attenuation believed 20 % too low", 1e6, believed=0.8),
    Condition("attenuation believed 20 % too high", 1e6, believed=1.2),
    Condition("lateral view 4 mm too low", 1e6, shift_pixels=(1, 0)),
    Condition("lateral view 4 mm aside", 1e6, shift_pixels=(0, 1)),
    Condition("right lateral in place of left", 1e6, angles=(0.0, 270.0)),
)


@dataclass(frozen=True)
class Score:
    """How near a shape is to the truth.

    Parameters
    ----------
    dice : float
        Overlap of voxels at least half inside.
    hd95_mm, surface_mm : float
        95th percentile and mean of distances between the voxels' surfaces, both ways [mm].
    volume_percent : float
        Error of the volume.
    seconds : float
        That the solver took.
    """

    dice: float
    hd95_mm: float
    surface_mm: float
    volume_percent: float
    seconds: float


@dataclass(frozen=True)
class Row:
    """A condition and the score of each anatomy."""

    condition: Condition
    scores: tuple[Score, ...]

    def mean(self, field: str) -> tuple[float, float, float]:
        """Return the mean over anatomies of a score, and the ends of its 95 % bootstrap interval."""
        values = np.array([getattr(score, field) for score in self.scores])
        draws = np.random.default_rng(0).choice(values, (_DRAWS, len(values))).mean(axis=1)
        low, high = np.percentile(draws, (2.5, 97.5))
        return float(values.mean()), float(low), float(high)


def study_livers(
    tell: Callable[[str], None],
    *,
    anatomies: int = 20,
    conditions: Sequence[Condition] = CONDITIONS,
    threads: int = 2,
) -> list[Row]:
    """Reconstruct random livers from two views and return scores.

    Parameters
    ----------
    tell : callable
        Told of each anatomy.
    anatomies : int
        How many.
    conditions : sequence of Condition
        How they are seen.
    threads : int
        Of the solver.
    """
    scores: list[list[Score]] = [[] for _ in conditions]
    body = {condition.angles: _body(condition.angles) for condition in conditions if condition.background}
    for seed in range(FIRST_SEED, FIRST_SEED + anatomies):
        liver = random_liver(seed)
        truth = voxelise(liver, _GRID)
        seen: dict[tuple[bool, tuple[float, ...]], NDArray[np.float64]] = {}
        for place, condition in enumerate(conditions):
            key = condition.camera, condition.angles
            if key not in seen:
                seen[key] = _expected(liver, *key)
            expected = seen[key]
            if condition.background:
                expected = (1 - condition.background) * expected + condition.background * body[condition.angles]
            scores[place].append(_solve(condition, expected, truth, np.random.default_rng([seed, place]), threads))
        tell(f"liver {seed}: Dice " + ", ".join(f"{found[-1].dice:.3f}" for found in scores))
    return [Row(condition, tuple(found)) for condition, found in zip(conditions, scores, strict=True)]


def score_shape(occupancy: Image, truth: Image, spacing_mm: Sequence[float], seconds: float = 0.0) -> Score:
    """Return how near a shape is to the truth, both shares of voxels.

    Examples
    --------
    >>> ball = np.zeros((9, 9, 9), np.float32)
    >>> ball[3:6, 3:6, 3:6] = 1
    >>> score_shape(ball, ball, (2.0, 2.0, 2.0))
    Score(dice=1.0, hd95_mm=0.0, surface_mm=0.0, volume_percent=0.0, seconds=0.0)
    """
    found, true = occupancy >= 0.5, truth >= 0.5
    dice = 2 * (found & true).sum() / (found.sum() + true.sum())
    edges = [part & ~binary_erosion(part) for part in (found, true)]
    away = [distance_transform_edt(~edge, sampling=spacing_mm) for edge in edges]
    distances = np.concatenate([away[1][edges[0]], away[0][edges[1]]])
    volume = 100 * (float(occupancy.sum(dtype=np.float64)) / float(truth.sum(dtype=np.float64)) - 1)
    return Score(float(dice), float(np.percentile(distances, 95)), float(distances.mean()), volume, seconds)


def as_markdown(rows: Sequence[Row]) -> str:
    """Return a table of means over anatomies with 95 % bootstrap intervals."""
    lines = [
        "| condition | counts | Dice | HD95 [mm] | mean surface distance [mm] | volume error [%] | its size [%] | s |",
        "|---|--:|---|---|---|---|--:|--:|",
    ]
    for row in rows:
        cells = [
            "{:.3f} [{:.3f}, {:.3f}]".format(*row.mean("dice")),
            "{:.1f} [{:.1f}, {:.1f}]".format(*row.mean("hd95_mm")),
            "{:.2f} [{:.2f}, {:.2f}]".format(*row.mean("surface_mm")),
            "{:+.1f} [{:+.1f}, {:+.1f}]".format(*row.mean("volume_percent")),
            f"{np.mean([abs(score.volume_percent) for score in row.scores]):.1f}",
            f"{row.mean('seconds')[0]:.2f}",
        ]
        lines.append(f"| {row.condition.name} | {row.condition.counts / 1e3:g}k | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _geometry(angles: tuple[float, ...]) -> Geometry:
    return Geometry.around(_GRID, angles)


def _scan(camera: bool) -> Scan:
    return Scan(Camera(), _ATTENUATION) if camera else Scan()


def _expected(liver: Liver, camera: bool, angles: tuple[float, ...]) -> NDArray[np.float64]:
    return np.stack(liver_views(liver, _geometry(angles).views, _scan(camera))).astype(np.float64)


def _body(angles: tuple[float, ...]) -> NDArray[np.float64]:
    return np.stack(body_views(_BODY_MM, _geometry(angles).views, _scan(True))).astype(np.float64)


def _solve(
    condition: Condition, expected: NDArray[np.float64], truth: Image, rng: np.random.Generator, threads: int
) -> Score:
    """Return the score of one reconstruction from noisy views."""
    views = expected.copy()
    views[1] = np.roll(views[1], condition.shift_pixels, axis=(0, 1))
    counts = rng.poisson(views * (condition.counts / views.sum())).astype(np.float32)
    camera = _camera(condition) if condition.camera else None
    with warnings.catch_warnings():
        # Attenuation moves counts between slices, which the check of consistency may remark on.
        warnings.simplefilter("ignore", InconsistentViewsWarning)
        began = time.perf_counter()
        solution = reconstruct_shape(
            counts,
            _geometry(condition.angles),
            camera=camera,
            background=condition.background > 0,
            threads=threads,
        )
    return score_shape(solution.occupancy, truth, _GRID.spacing_mm, time.perf_counter() - began)


def _camera(condition: Condition) -> GammaCamera:
    """Return what the solver believes of the camera."""
    known = Camera()
    _, y, x = _GRID.axes()
    outline = (x / _BODY_MM[0]) ** 2 + (y[:, None] / _BODY_MM[1]) ** 2 < 1
    camera = GammaCamera(
        _ATTENUATION,
        np.broadcast_to(outline, _GRID.shape),
        intrinsic_mm=known.intrinsic_fwhm_mm,
        face_mm=known.hole_mm,
        slope=known.divergence,
    )
    return replace(camera, mu_per_cm=condition.believed * _ATTENUATION)
