"""What the page and its viewer need of one result."""

from typing import Any

import numpy as np

from ..errors import InputError
from ..frames import Frames, Units
from ..quality.chosen import chosen_frames
from ..quality.metrics import METRICS, Found
from ..quality.table import spelled_window
from ..result import Result
from . import charts, facts
from .images import display_window, scale_between
from .shown import Planes, Shown, area_ratio, show

__all__ = ["aspect", "chosen_frames", "first_shown", "section", "shown_inverse"]

FEW_VIEWS = 4
X_RAYS = ("CT", "XA", "CR", "DX")


def section(result: Result, name: str, planes: Planes) -> dict[str, Any]:
    """Return what the template needs of one result.

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
    source, frames = result.source, result.frames
    scale = scale_between(source.pixels, frames.pixels)
    if not (np.isfinite(source.pixels).all() and np.isfinite(frames.pixels).all()):
        raise InputError(f"{source.source}: pixels that are not finite numbers cannot be shown; read it again.")
    chosen = chosen_frames(len(source), frames.matrix.pixels)
    shown = [show(result, index, planes) for index in chosen]
    start = int(np.argmin([abs(index - first_shown(source)) for index in chosen]))
    return {
        "name": name,
        "manifest": result.bundle.manifest,
        "kept": result.conservation.kind,
        "frames": len(source),
        "shown": shown,
        "start": start,
        "stack": len(shown) > FEW_VIEWS,
        "scale": scale,
        "ratio": area_ratio(result),
        "aspect": aspect(source),
        "map": "inverse grey" if shown_inverse(source) else "grey",
        "has_counts": source.units is Units.COUNTS,
        "unit": facts.unit_of(source.units),
        "per_area": facts.per_area(source, area_ratio(result)),
        "done": facts.done(result),
        "counts": _count_rows(result),
        "timings": _timings(result),
        "quality": _quality(result),
        "provenance": facts.provenance(result),
        "uids": [instance.sop_instance_uid for instance in source.instances],
        "data": _viewer_data(result, shown) | {"start": start},
    }


def aspect(source: Frames) -> float:
    """Return the width of the field of view over its height."""
    row_step, column_step = source.pixel_spacing_mm or (1.0, 1.0)
    return source.matrix.columns * column_step / (source.matrix.rows * row_step)


def shown_inverse(source: Frames) -> bool:
    """Return whether high values are dark, as is usual for emission images."""
    return source.modality not in X_RAYS


def first_shown(source: Frames) -> int:
    """Return the frame that is shown first: the middle of a stack, or the first of a few views."""
    return len(source) // 2 if len(source) > FEW_VIEWS else 0


def _viewer_data(result: Result, shown: list[Shown]) -> dict[str, Any]:
    """Return what the viewer's script needs of one result."""
    source, ratio = result.source, area_ratio(result)
    window = display_window(source.pixels, source.units)
    value = facts.per_area(source, ratio)
    return {
        "scale": scale_between(source.pixels, result.frames.pixels),
        "ratio": ratio,
        "rows": source.matrix.rows,
        "columns": source.matrix.columns,
        "spacing": list(source.pixel_spacing_mm or (1.0, 1.0)),
        "length": "mm" if source.pixel_spacing_mm else "px",
        "unit": value,
        "window": [window.lower, window.upper],
        "change": max(*(frame.change for frame in shown), 1e-6),
        "frames": [frame.data() for frame in shown],
        "figures": {
            "profile": charts.profile_figure(value),
            "values": charts.values_figure(value),
            "residual": charts.residual_figure(),
        },
    }


def _count_rows(result: Result) -> list[dict[str, str]]:
    """Return the table of what was kept, one line for each frame."""
    kept, ratio = result.conservation, area_ratio(result)
    before, after = result.source.pixels, result.frames.pixels
    if kept.kind == "sum":
        # What was kept is the sum without negative pixels.
        before = np.maximum(before, 0)
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
            "mean_before": facts.measured(float(before[i].mean(dtype=np.float64))),
            "mean_after": facts.measured(float(after[i].mean(dtype=np.float64)) * ratio),
            "distance": f"{result.domain.distances[i]:.2f}",
        }
        for i in range(len(result.source))
    ]


def _quality(result: Result) -> list[dict[str, str]]:
    """Return the scores before and after, one line for each frame and metric."""
    return [
        {
            "metric": METRICS[change.metric].title,
            "better": METRICS[change.metric].better,
            "label": facts.frame_label(result.source, change.frame),
            "before": _score(change.before),
            "after": _score(change.after),
            "verdict": change.verdict,
            "level": {"better": "good", "worse": "fair"}.get(change.verdict, ""),
            "window": spelled_window(change.window),
            "model": ", ".join(word for word in (change.before.model, change.before.rule) if word),
        }
        for change in result.scores
    ]


def _score(found: Found) -> str:
    return f"{found.value:.3f}" if np.isfinite(found.value) else found.reason


def _timings(result: Result) -> list[dict[str, Any]]:
    """Return the wall time of each stage and its share of the longest."""
    longest = max(result.timings_ms.values(), default=1.0) or 1.0
    return [
        {"stage": stage, "ms": facts.number(ms, 1 if ms >= 10 else 2), "share": round(100 * ms / longest, 1)}
        for stage, ms in result.timings_ms.items()
    ]
