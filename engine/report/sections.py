"""What the page and its viewer need of one result."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..frames import Frames, Units
from ..result import Result
from . import charts, facts
from .images import Packed, Window, display_step, display_window, pack, rebin, scale_between
from .statistics import Residual, histogram, residual, residual_histogram

__all__ = ["Planes", "area_ratio", "chosen_frames", "first_shown", "section", "shown_inverse"]

MOST_FRAMES = 24
# Pixels of one result that go into the viewer; about a byte each in the file.
MOST_PIXELS = 4 << 20
FEW_VIEWS = 4
X_RAYS = ("CT", "XA", "CR", "DX")


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame of one result, as the page needs it."""

    label: str
    before: str
    after: str
    window: Window
    change: float
    row: int
    column: int
    values: list[dict[str, list[float]]]
    residual: dict[str, list[float]] | None
    summary: Residual | None
    reading: str


class Planes:
    """Packed images by content, so that an input that several models share is stored once."""

    def __init__(self) -> None:
        self.packed: dict[str, Packed] = {}

    def add(self, image: NDArray[np.float32], step: float) -> str:
        """Return the identifier of an image."""
        key = "p" + hashlib.sha256(image.tobytes() + repr((image.shape, step)).encode()).hexdigest()[:16]
        if key not in self.packed:
            self.packed[key] = pack(image, step)
        return key


def section(result: Result, name: str, planes: Planes) -> dict[str, Any]:
    """Return what the template and the viewer need of one result.

    Parameters
    ----------
    result : Result
        Its frames must lie on a whole multiple of the input matrix.
    name : str
        Identifier of the section in the page.
    planes : Planes
        Where its images are added.

    Raises
    ------
    InputError
        If pixels are not finite, or the matrices do not fit.
    """
    scale = scale_between(result.source.pixels, result.frames.pixels)
    if not (np.isfinite(result.source.pixels).all() and np.isfinite(result.frames.pixels).all()):
        raise InputError(f"{result.source.source}: pixels that are not finite numbers cannot be shown; read it again.")
    ratio = area_ratio(result)
    chosen = chosen_frames(len(result.source), result.frames.matrix.pixels)
    shown = [_shown(result, index, scale, ratio, planes) for index in chosen]
    unit = facts.unit_of(result.source.units)
    per_area = f"{unit} per input pixel" if ratio > 1 else f"{unit} per pixel" if unit == "counts" else unit
    rows, columns = result.source.matrix
    spacing = result.source.pixel_spacing_mm or (1.0, 1.0)
    data = {
        "scale": scale,
        "ratio": ratio,
        "rows": rows,
        "columns": columns,
        "spacing": list(spacing),
        "length": "mm" if result.source.pixel_spacing_mm else "px",
        "unit": unit,
        "sums": ratio > 1 or result.source.units is Units.COUNTS,
        "counts": result.source.units is Units.COUNTS,
        "map": "inverse grey" if shown_inverse(result.source) else "grey",
        "start": int(np.argmin(np.abs(np.asarray(chosen) - first_shown(result.source)))),
        "frames": [_frame_data(frame) for frame in shown],
        "figures": {
            "profile": charts.profile_figure(per_area),
            "values": charts.values_figure(per_area),
            "residual": charts.residual_figure(),
        },
    }
    return {
        "name": name,
        "result": result,
        "data": data,
        "shown": shown,
        "aspect": columns * spacing[1] / (rows * spacing[0]),
        "done": facts.done(result),
        "per_area": per_area,
        "left_out": len(result.source) - len(chosen),
        "counts": _count_rows(result, ratio),
        "provenance": facts.provenance(result),
        "uids": [instance.sop_instance_uid for instance in result.source.instances],
        "timings": _timings(result),
        "denoise": result.bundle.manifest.task == "denoise",
    }


def area_ratio(result: Result) -> float:
    """Return how many times the value of a pixel shrinks because its area does; 1 for concentrations."""
    scale = scale_between(result.source.pixels, result.frames.pixels)
    return float(scale**2) if result.conservation.kind == "sum" else 1.0


def shown_inverse(source: Frames) -> bool:
    """Return whether high values are dark, as is usual for emission images."""
    return source.modality not in X_RAYS


def first_shown(source: Frames) -> int:
    """Return the frame that is shown first: the middle of a stack, or the first of a few views."""
    return len(source) // 2 if len(source) > FEW_VIEWS else 0


def chosen_frames(frames: int, pixels: int) -> list[int]:
    """Return the frames to show: all, or evenly spaced ones that keep the file small."""
    most = max(1, min(MOST_FRAMES, MOST_PIXELS // pixels))
    if frames <= most:
        return list(range(frames))
    if most == 1:
        return [frames // 2]
    return [round(i * (frames - 1) / (most - 1)) for i in range(most)]


def _shown(result: Result, index: int, scale: int, ratio: float, planes: Planes) -> Shown:
    """Return one frame: its images, its window and its statistics."""
    before, after = result.source.pixels[index], result.frames.pixels[index]
    units, counts = result.source.units, result.source.units is Units.COUNTS
    matched = rebin(after, scale, keep_sum=ratio > 1)
    window = display_window(before, units)
    lower, upper = min(0.0, float(before.min())), float(max(before.max(), after.max() * ratio)) or 1.0
    found = residual(before.astype(np.float64), matched) if counts else None
    row, column = np.unravel_index(int(np.argmax(matched)), matched.shape)
    return Shown(
        label=facts.frame_label(result.source, index),
        before=planes.add(before, display_step(before, units)),
        after=planes.add(after, display_step(after, units, ratio)),
        window=window,
        change=float(max(np.percentile(np.abs(matched - before), 99.5), 1e-6)),
        row=int(row),
        column=int(column),
        values=[
            _spectrum(image, lower, upper) for image in (before.astype(np.float64), after.astype(np.float64) * ratio)
        ],
        residual=_residual_series(found),
        summary=found,
        reading=facts.reading(found, denoise=result.bundle.manifest.task == "denoise") if found else "",
    )


def _spectrum(values: NDArray[np.float64], lower: float, upper: float) -> dict[str, list[float]]:
    spread = histogram(values, lower, upper)
    filled = spread.fraction > 0
    return charts.series(spread.centres[filled], spread.fraction[filled])


def _residual_series(found: Residual | None) -> dict[str, list[float]] | None:
    if found is None:
        return None
    spread = residual_histogram(found)
    return charts.series(spread.centres, spread.fraction)


def _frame_data(frame: Shown) -> dict[str, Any]:
    """Return what the viewer's script needs of a frame."""
    return {
        "before": frame.before,
        "after": frame.after,
        "lower": frame.window.lower,
        "upper": frame.window.upper,
        "change": frame.change,
        "row": frame.row,
        "column": frame.column,
        "values": frame.values,
        "residual": frame.residual,
    }


def _count_rows(result: Result, ratio: float) -> list[dict[str, Any]]:
    """Return the table of what was kept, one line for each frame."""
    kept, before, after = result.conservation, result.source.pixels, result.frames.pixels
    return [
        {
            "label": facts.frame_label(result.source, i),
            "before": facts.measured(float(kept.before[i])),
            "model": facts.measured(float(kept.model[i])),
            "model_bias": facts.percent(float(kept.model_bias[i])),
            "after": facts.measured(float(kept.after[i])),
            "bias": facts.percent(float(kept.bias[i])),
            "max_before": facts.measured(float(before[i].max())),
            "max_after": facts.measured(float(after[i].max()) * ratio),
            "mean_before": facts.measured(float(before[i].mean())),
            "mean_after": facts.measured(float(after[i].mean()) * ratio),
            "distance": f"{result.domain.distances[i]:.2f}",
        }
        for i in range(len(result.source))
    ]


def _timings(result: Result) -> list[dict[str, Any]]:
    """Return the wall time of each stage and its share of the longest."""
    longest = max(result.timings_ms.values(), default=1.0) or 1.0
    return [
        {"stage": stage, "ms": facts.number(ms, 1 if ms >= 10 else 2), "share": round(100 * ms / longest, 1)}
        for stage, ms in result.timings_ms.items()
    ]
