"""Centrelines of wires as JSON and as polylines of VTK, and voxels that they fill."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.reconstruction.geometry import Grid
from ...kernels.reconstruction.solution import Curve, CurveSolution
from ..errors import InputError, UsageError

__all__ = ["CURVE_SUFFIXES", "curve_file", "filled", "read_curves"]

CURVE_SUFFIXES = (".json", ".vtk")
_FORMAT = "photopeak centrelines 1"
_MOST_BYTES = 1 << 28


def curve_file(curves: Sequence[Curve], path: Path, *, interrupted: bool) -> bytes:
    """Return centrelines in mm, LPS, as JSON or as a legacy VTK file of polylines with certainty and radius.

    Parameters
    ----------
    curves : sequence of Curve
        The wires.
    path : Path
        Its suffix names the format.
    interrupted : bool
        Whether the search ended early, which the file says.

    Raises
    ------
    UsageError
        If the suffix is neither.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _json(curves, interrupted)
    if suffix == ".vtk":
        return _vtk(curves, interrupted)
    raise UsageError(f"{path}: a centreline is written as {' or '.join(CURVE_SUFFIXES)}; change the suffix.")


def read_curves(path: Path) -> CurveSolution:
    """Return the wires of a JSON file, for a solver to start from.

    Raises
    ------
    InputError
        If it is not a file that :func:`curve_file` wrote.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: over {_MOST_BYTES >> 20} MiB are no centrelines; give another file.")
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise InputError(f"{path}: this is no file of centrelines; give what --curve wrote.")
        curves = tuple(_curve(entry) for entry in found["curves"])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: the centrelines in it are damaged; write the file again.") from error
    return CurveSolution(curves=curves, history=(), interrupted=False, projections=(), residuals=())


def filled(curves: Sequence[Curve], grid: Grid) -> NDArray[np.float32]:
    """Return which share of each voxel wires fill, as if the surface were flat within a voxel.

    Parameters
    ----------
    curves : sequence of Curve
        The wires.
    grid : Grid
        Voxels.

    Returns
    -------
    ndarray, shape (slices, rows, columns), float32
        0 to 1.
    """
    share = np.zeros(grid.shape, np.float32)
    spacing, first = np.array(grid.spacing_mm[::-1]), np.array(grid.first_mm)
    width = float(np.prod(spacing)) ** (1 / 3)
    for curve in curves:
        reach = curve.radius_mm + width
        for start, end in zip(curve.points_mm[:-1], curve.points_mm[1:], strict=True):
            low = np.maximum(np.ceil((np.minimum(start, end) - reach - first) / spacing), 0).astype(int)
            high = np.minimum(np.floor((np.maximum(start, end) + reach - first) / spacing) + 1, grid.shape[::-1])
            box = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
            if any(part.start >= part.stop for part in box):
                continue
            places = [axis[part] for axis, part in zip(grid.axes(), box, strict=True)]
            z, y, x = np.meshgrid(*places, indexing="ij")
            distance = _to_segment(np.stack([x, y, z], axis=-1), start, end)
            np.maximum(share[box], np.clip((curve.radius_mm - distance) / width + 0.5, 0, 1), out=share[box])
    return share


def _to_segment(points: NDArray[Any], start: NDArray[Any], end: NDArray[Any]) -> NDArray[Any]:
    """Return the distance of points to a straight piece [mm]."""
    along = end - start
    share = np.clip((points - start) @ along / max(float(along @ along), 1e-30), 0, 1)
    return np.asarray(np.linalg.norm(points - start - share[..., None] * along, axis=-1))


def _json(curves: Sequence[Curve], interrupted: bool) -> bytes:
    described = [
        {
            "radius_mm": curve.radius_mm,
            "length_mm": round(curve.length_mm, 4),
            "points_mm": np.round(curve.points_mm, 5).tolist(),
            "certainty": [round(float(value), 4) for value in curve.certainty],
        }
        for curve in curves
    ]
    found = {
        "format": _FORMAT,
        "unit": "mm",
        "axes": "LPS",
        "interrupted": interrupted,
        "curves": described,
    }
    return (json.dumps(found, indent=1, allow_nan=False) + "\n").encode()


def _curve(entry: dict[str, Any]) -> Curve:
    points = np.array(entry["points_mm"], np.float64).reshape(-1, 3)
    certainty, radius = np.array(entry["certainty"], np.float32), float(entry["radius_mm"])
    sound = np.isfinite(points).all() and np.isfinite(certainty).all() and 0 < radius < np.inf
    if len(points) < 2 or certainty.shape != (len(points),) or not sound:
        raise ValueError(entry.keys())
    return Curve(points, radius, certainty)


def _vtk(curves: Sequence[Curve], interrupted: bool) -> bytes:
    points = np.concatenate([curve.points_mm for curve in curves]) if curves else np.zeros((0, 3))
    starts = np.cumsum([0, *(len(curve.points_mm) for curve in curves)])
    title = f"Photopeak centrelines, mm, LPS{', interrupted' * interrupted}"
    lines = ["# vtk DataFile Version 3.0", title, "ASCII", "DATASET POLYDATA", f"POINTS {len(points)} double"]
    lines += [" ".join(f"{value:.5f}" for value in point) for point in points]
    lines += [f"LINES {len(curves)} {len(curves) + len(points)}"]
    lines += [
        " ".join(map(str, [len(curve.points_mm), *range(start, start + len(curve.points_mm))]))
        for start, curve in zip(starts, curves, strict=False)
    ]
    lines += [f"POINT_DATA {len(points)}", "SCALARS certainty float 1", "LOOKUP_TABLE default"]
    lines += [f"{value:.4f}" for curve in curves for value in curve.certainty]
    lines += [f"CELL_DATA {len(curves)}", "SCALARS radius_mm double 1", "LOOKUP_TABLE default"]
    lines += [f"{curve.radius_mm:.6g}" for curve in curves]
    return ("\n".join(lines) + "\n").encode()
