"""How well wires are found from two views, over random coils."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ...kernels import Geometry, reconstruct_curve
from ..markdown import markdown
from ..phantoms.coils import Beam, Coil, biplane, random_coil, simulate_views
from .metrics import bootstrap

__all__ = ["CoilScore", "as_markdown", "compare", "measure_coils"]

Array = NDArray[np.float64]

TOLERANCE_MM = 0.25  # the wire's radius
CERTAIN = 0.8
_STEP_MM = 0.05


@dataclass(frozen=True)
class CoilScore:
    """One coil.

    Parameters
    ----------
    loops, seed : int
        Which coil.
    length_mm : float
        Of its wire [mm].
    chamfer_mm : float
        Mean distance to the nearest point of the other centreline, both ways averaged [mm].
    precision, recall, f1 : float
        Share of the found, and of the true centreline within 0.25 mm of the other, and their harmonic mean.
    misfit : float
        Mean squared residual over the noise.
    certain : float
        Share of the found centreline that is marked certain.
    certain_right : float
        Share of this that is within 0.25 mm; nan if nothing is marked.
    seconds : float
        Wall clock [s].
    """

    loops: int
    seed: int
    length_mm: float
    chamfer_mm: float
    precision: float
    recall: float
    f1: float
    misfit: float
    certain: float
    certain_right: float
    seconds: float


def measure_coils(
    loops: Sequence[int],
    seeds: Sequence[int],
    *,
    geometry: Geometry | None = None,
    beam: Beam | None = None,
    threads: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[CoilScore, ...]:
    """Reconstruct random coils of so many loops and return a score for each.

    Only the wire's radius is told; attenuation, noise and where the sac lies are read from the images.
    """
    geometry = geometry or biplane()
    scores = []
    for count in loops:
        for seed in seeds:
            coil = random_coil(seed, loops=count)
            images = simulate_views(coil, geometry, beam, seed=seed)
            begin = perf_counter()
            found = reconstruct_curve(images, geometry, radius_mm=coil.radius_mm, threads=threads)
            seconds = perf_counter() - begin
            curve = found.curves[0]
            misfit = float(np.mean([np.mean(residual**2) for residual in found.residuals]))
            score = CoilScore(
                count, seed, coil.length_mm, *compare(curve.points_mm, curve.certainty, coil, misfit), seconds
            )
            say(f"{count} loops, seed {seed}: Chamfer {score.chamfer_mm:.3f} mm, F1 {score.f1:.3f}, {seconds:.1f} s")
            scores.append(score)
    return tuple(scores)


def compare(
    points_mm: Array, certainty: NDArray[np.float32], coil: Coil, misfit: float
) -> tuple[float, float, float, float, float, float, float]:
    """Return Chamfer distance, precision, recall, F1, the misfit, the certain share, and how much of it is right."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_mm, axis=0), axis=1))])
    at = np.linspace(0, along[-1], max(round(along[-1] / _STEP_MM), 2))
    found = np.stack([np.interp(at, along, points_mm[:, axis]) for axis in range(3)], axis=1)
    marked = np.interp(at, along, certainty) >= CERTAIN
    there, back = KDTree(coil.points_mm).query(found)[0], KDTree(found).query(coil.points_mm)[0]
    right = there < TOLERANCE_MM
    precision, recall = float(right.mean()), float((back < TOLERANCE_MM).mean())
    return (
        float(there.mean() + back.mean()) / 2,
        precision,
        recall,
        2 * precision * recall / max(precision + recall, 1e-9),
        misfit,
        float(marked.mean()),
        float(right[marked].mean()) if marked.any() else float("nan"),
    )


def as_markdown(scores: Sequence[CoilScore]) -> str:
    """Return one row for each number of loops: medians, means with their interval, and the slowest."""
    rows = []
    for loops in sorted({score.loops for score in scores}):
        group = [score for score in scores if score.loops == loops]
        chamfer = np.array([score.chamfer_mm for score in group])
        f1 = bootstrap(np.array([score.f1 for score in group]))
        seconds = np.array([score.seconds for score in group])
        lengths = np.array([score.certain for score in group]) * [score.length_mm for score in group]
        right = np.array([np.nan_to_num(score.certain_right) for score in group])
        rows.append(
            (
                str(loops),
                str(len(group)),
                f"{np.mean([score.length_mm for score in group]):.0f}",
                f"{np.median(chamfer):.3f}, {chamfer.max():.3f}",
                f"{np.median([score.f1 for score in group]):.3f}",
                f"{f1.mean:.3f} ({f1.low:.3f} to {f1.high:.3f})",
                f"{lengths.sum() / sum(score.length_mm for score in group):.0%}",
                f"{(right * lengths).sum() / max(lengths.sum(), 1e-9):.1%}",
                f"{np.median(seconds):.1f}, {seconds.max():.1f}",
            )
        )
    header = (
        "loops",
        "coils",
        "wire [mm]",
        "Chamfer [mm], median, largest",
        "F1, median",
        "F1, mean",
        "marked certain",
        "of this right",
        "time [s], median, largest",
    )
    return markdown(header, rows)
