"""How well views are checked and calibrated: livers before a gamma camera, coils in an angiography stand."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...kernels import Geometry, Grid
from ...kernels.reconstruction.adjustments import PARAMETERS, adjusted
from ...kernels.reconstruction.alignment import calibrate_images
from ...kernels.reconstruction.calibration import calibrate_landmarks
from ...kernels.reconstruction.consistency import compare_views
from ..phantoms.camera import Camera
from ..phantoms.coils import biplane, random_coil, simulate_views
from ..phantoms.livers import Scan, body_views, liver_views, random_liver

__all__ = ["Error", "as_markdown", "coils_by_landmarks", "coils_checked", "livers"]

Image = NDArray[np.float32]

_LIVERS = Geometry.around(Grid((128, 128, 128), (4.0, 4.0, 4.0)), (0, 90))
_STAND = ((30.0, 20.0), (-60.0, 10.0))
_SHIFT, _GROWTH = slice(6, 8), slice(8, 9)


@dataclass(frozen=True)
class Error:
    """One row of the table.

    Parameters
    ----------
    what : str
        What was done to what.
    truth : float
        Root mean square of the error that was made.
    left : tuple of float
        Root mean square and largest absolute error after calibration.
    told : float
        Mean of the standard errors that calibration tells.
    residual : tuple of float
        Mean residual before and after, with its unit in `unit`.
    unit : str
        Of `residual`; the others are in mm, degrees or % as `what` says.
    """

    what: str
    truth: float
    left: tuple[float, float]
    told: float
    residual: tuple[float, float]
    unit: str


def livers(count: int = 20) -> Iterator[Error]:
    """Yield how well the table's motion between two views of a liver is found, from counts alone."""
    kinds = (("ideal", Scan(), 0.0), ("attenuation 0.15/cm, blur, 10 % background", Scan(Camera(), 0.15), 0.1))
    for name, scan, background in kinds:
        seen = [_liver(seed, scan, background) for seed in range(count)]
        for total in (50_000, 200_000, 1_000_000):
            rows = []
            for seed, (still, moved, motion) in enumerate(seen):
                random = np.random.default_rng([seed, total])
                scale = total / float(still.sum() + moved.sum())
                images = [random.poisson(scale * image) for image in (still, moved)]
                found = calibrate_images(images, _LIVERS, attenuated=scan.attenuation_per_cm > 0)
                rows.append((motion, found.changes[2].value, found.changes[2].error, found.before, found.after))
            yield _error(f"table along the patient [mm], liver, {name}, {total} counts", rows, "%")


def _liver(seed: int, scan: Scan, background: float) -> tuple[Image, Image, float]:
    """Return a liver from in front, and from the left after the table moved by so much [mm]."""
    liver = random_liver(seed)
    motion = float(np.random.default_rng([seed, 7]).uniform(-30, 30))
    values = np.zeros(len(PARAMETERS))
    values[2] = motion
    views = (_LIVERS.views[0], adjusted(_LIVERS.views[1], _LIVERS.grid.center_mm, values))
    first, second = liver_views(liver, views, scan)
    if background:
        outlines = body_views(liver.body_mm, views, scan)
        first, second = (image + background * outline for image, outline in zip((first, second), outlines, strict=True))
    return np.asarray(first), np.asarray(second), motion


def coils_by_landmarks(count: int = 20, landmarks: int = 12, noise_px: float = 0.5) -> Iterator[Error]:
    """Yield how well errors of an angiography stand are found from points of a coil, picked with some error."""
    geometry = biplane(_STAND, pixels=128)
    faults = (
        ("shift", "detector along its columns [mm]", _SHIFT, 2.0, 7),
        ("magnification", "magnification [%]", _GROWTH, 2.0, 8),
    )
    for fault, name, where, size, place in faults:
        rows = []
        for seed in range(count):
            random = np.random.default_rng([seed, place])
            values = np.zeros(len(PARAMETERS))
            values[where] = random.normal(0, size, where.stop - where.start)
            wrong = adjusted(geometry.views[1], geometry.grid.center_mm, values)
            points = random.choice(random_coil(seed).points_mm, landmarks, replace=False)
            seen = [
                view.project(points) + random.normal(0, noise_px, (landmarks, 2)) for view in (geometry.views[0], wrong)
            ]
            found = calibrate_landmarks(geometry, seen, adjust=[fault], error_px=noise_px)  # type: ignore[list-item]
            [change] = [one for one in found.changes if one.parameter.index == place]
            if change.determined:
                rows.append((float(values[place]), change.value, change.error, found.before, found.after))
        if rows:
            yield _error(f"{name}, coil, {landmarks} landmarks, determined in {len(rows)} of {count}", rows, "pixels")


def coils_checked(count: int = 20) -> dict[str, float]:
    """Return the share of pairs of views that are found inconsistent: right ones, and wrong ones of several kinds."""
    geometry = biplane(_STAND, pixels=128)
    mirrored = biplane(tuple((-primary, secondary) for primary, secondary in _STAND), pixels=128)
    moved = np.zeros(len(PARAMETERS))
    moved[2] = 1.0
    shifted = replace(geometry, views=(geometry.views[0], adjusted(geometry.views[1], geometry.grid.center_mm, moved)))
    found: dict[str, list[bool]] = {}
    for seed in range(count):
        one, two = (simulate_views(random_coil(number), geometry, seed=number) for number in (seed, seed + count))
        table = simulate_views(random_coil(seed), shifted, seed=seed)
        for name, images, assumed in (
            ("right pair", one, geometry),
            ("table moved by 1 mm", table, geometry),
            ("primary angles of the wrong sign", one, mirrored),
            ("views of two coils", (one[0], two[1]), geometry),
        ):
            agreement = compare_views(images[0], assumed.views[0], images[1], assumed.views[1])
            found.setdefault(name, []).append(bool(agreement and agreement.significant))
    return {name: float(np.mean(marks)) for name, marks in found.items()}


def _error(what: str, rows: list[tuple[float, float, float, float, float]], unit: str) -> Error:
    truth, value, told, before, after = np.array(rows).T
    left = value - truth
    return Error(
        what,
        float(np.sqrt(np.mean(truth**2))),
        (float(np.sqrt(np.mean(left**2))), float(np.abs(left).max())),
        float(np.mean(told)),
        (float(np.mean(before)), float(np.mean(after))),
        unit,
    )


def as_markdown(errors: list[Error], checks: dict[str, float]) -> str:
    """Return the tables."""
    lines = [
        "| what | made, rms | left, rms | left, most | standard error told | residual |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.what} | {one.truth:.2g} | {one.left[0]:.2g} | {one.left[1]:.2g} | {one.told:.2g} "
        f"| {one.residual[0]:.2g} to {one.residual[1]:.2g} {one.unit} |"
        for one in errors
    ]
    lines += ["", "| two views of coils | found inconsistent |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {share:.0%} |" for name, share in checks.items())])
