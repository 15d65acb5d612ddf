"""What was found as plain data, for JSON files and programs."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .regions import RegionShare
from .result import NOT_VALID, AnalysisResult, Box, Detection

__all__ = ["described", "findings_json"]

Regions = Sequence[Sequence[RegionShare]]


def findings_json(result: AnalysisResult, regions: Regions = ()) -> bytes:
    """Return :func:`described` as JSON."""
    return (json.dumps(described(result, regions), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(
        errors="backslashreplace"  # as JSON escapes what is no text
    )


def described(result: AnalysisResult, regions: Regions = ()) -> dict[str, Any]:
    """Return what was found as numbers, texts, lists and dictionaries.

    Parameters
    ----------
    result : AnalysisResult
        What was found.
    regions : sequence of sequence of RegionShare, optional
        For each frame how the evidence for the class that was found is divided.

    Returns
    -------
    dict
        Boxes are [row, column, row, column], upper left and lower right edge, in pixels of the image that ``reference`` names and
        in mm from its upper left edge. Findings outside the training domain carry ``"note": "not valid for this image"``.
    """
    manifest = result.bundle.manifest
    names = result.channels or ("image",)
    return {
        "model": {
            "name": manifest.name,
            "version": manifest.version,
            "digest": result.bundle.digest,
            "task": manifest.task,
        },
        "sources": {
            name: None if source is None else source.source for name, source in zip(names, result.sources, strict=True)
        },
        "reference": names[result.reference_channel],
        "matrix": str(result.reference.matrix),
        "pixel_spacing_mm": _plain(result.reference.pixel_spacing_mm),
        "labels": list(result.labels),
        "threshold": result.threshold,
        "valid": result.valid,
        "frames": [_frame(result, index, regions[index] if regions else ()) for index in range(len(result))],
        "plan": asdict(result.plan),
        "timings_ms": dict(result.timings_ms),
        "warnings": list(result.warnings),
    }


def _frame(result: AnalysisResult, index: int, regions: Sequence[RegionShare]) -> dict[str, Any]:
    verdict = result.domains[index]
    said: dict[str, Any] = {
        "frame": result.number(index),
        "view": result.reference.info[index].view,
        "valid": result.valid_frames[index],
        "note": "" if result.valid_frames[index] else NOT_VALID,
        "domain": {
            "verdict": verdict.verdict,
            "distance": _number(float(verdict.distances.max())),
            "limits": list(verdict.limits),
            "reasons": list(verdict.reasons),
        },
    }
    if result.probabilities is None:
        said["detections"] = [_detection(result, index, lesion) for lesion in result.detections[index]]
    else:
        label, probability = result.found(index)
        said["finding"] = result.labels[label]
        said["probability"] = probability
        said["score"] = result.score(index)
        said["probabilities"] = dict(zip(result.labels, result.probabilities[index].tolist(), strict=True))
    if regions:
        said["regions"] = [
            {"label": row.label, "name": row.name, "energy": _number(row.energy), "area": row.area} for row in regions
        ]
    return said


def _detection(result: AnalysisResult, index: int, lesion: Detection) -> dict[str, Any]:
    others = [
        channel
        for channel, source in enumerate(result.sources)
        if source is not None and channel != result.reference_channel
    ]
    said = {
        "label": lesion.label,
        "score": lesion.score,
        "box_px": _rounded(lesion.box),
        "box_mm": lesion.box_mm and _rounded(lesion.box_mm),
        "centre_px": [round(value, 3) for value in lesion.centre],
        "centre_mm": _plain(lesion.centre_mm and tuple(round(value, 3) for value in lesion.centre_mm)),
        "diameter_mm": lesion.diameter_mm and round(lesion.diameter_mm, 3),
    }
    if others:
        said["box_px_of"] = {
            result.channels[channel]: _rounded(result.box_on(lesion, channel, index)) for channel in others
        }
    return said


def _rounded(box: Box) -> list[float]:
    return [round(edge, 3) for edge in box]


def _plain(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else list(values)


def _number(value: float) -> float | None:
    """Return a number that JSON has."""
    return value if math.isfinite(value) else None
