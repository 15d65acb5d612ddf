"""The page of image-quality scores: all numbers, charts over frames, and maps of what the metrics saw."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from ..failures import Failure
from ..quality.chosen import chosen_frames
from ..quality.images import Image
from ..quality.measure import FrameScores, Measured, Score
from ..quality.metrics import METRICS
from ..quality.table import spelled_score, spelled_window
from . import facts
from .curves import score_figure
from .document import COLOUR_MAPS, write_document
from .images import Window
from .rasters import labels_picture, map_picture
from .sections import FEW_VIEWS
from .shown import Planes
from .subjects import facts_of, name_of, shot

__all__ = ["write_quality_report"]

MOST_ROWS = 1000
# What PIQE finds in a block, with colour and opacity.
BLOCKS = (
    ("not active", (0, 0, 0, 0)),
    ("active, nothing found", (70, 150, 225, 90)),
    ("distorted", (235, 140, 20, 150)),
    ("noisy", (150, 70, 190, 150)),
    ("distorted and noisy", (210, 35, 45, 165)),
)
REASONS = {
    "too-small": "too small for this metric",
    "constant": "constant: nothing to measure",
    "not-finite": "holds values that are not finite",
    "mask-too-small": "the mask leaves too little",
    "no-active-block": "no block has enough contrast",
    "singular": "too little variety to compare with the model",
}


def write_quality_report(
    images: Sequence[Measured],
    path: Path,
    *,
    failures: Sequence[Failure] = (),
    reference: Image | None = None,
    title: str = "Image quality",
) -> Path:
    """Write one HTML file with the scores of images.

    The file needs no network and no other file, and holds no name or number of a patient.

    Parameters
    ----------
    images : sequence of Measured
        Scores; those with pixels are shown, with maps where they were asked for.
    path : Path
        File to write, or to replace when it is whole.
    failures : sequence of Failure
        What could not be measured; only their number is told, since names of files may be those of patients.
    reference : Image, optional
        What the images were compared with.
    title : str
        Heading of the page.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    UsageError
        If nothing was measured.
    """
    if not images:
        raise UsageError(f"{path}: there is nothing to report; give at least one image.")
    sections = [_section(measured, f"m{i + 1}") for i, measured in enumerate(images) if measured.image]
    lines = _lines(images)
    overall = _overall(lines)
    return write_document(
        path,
        "quality.html.j2",
        ("measured.js",),
        title=title,
        planes=Planes(),
        results=[{"start": 0, "labels": [], "figures": overall}] * bool(overall) + [s["data"] for s in sections],
        images=len(images),
        frames=len(lines),
        metrics=_metrics(images),
        chips=_chips(lines, failures),
        lines=lines[:MOST_ROWS],
        hidden=max(0, len(lines) - MOST_ROWS),
        overall=list(overall),
        sections=sections,
        reference=name_of(reference) if reference else "",
        blocks=[{"name": name, "colour": _css(colour)} for name, colour in BLOCKS[1:]],
        anchors=", ".join(COLOUR_MAPS["viridis"]),
    )


def _metrics(images: Sequence[Measured]) -> list[dict[str, str]]:
    """Return what is measured, as columns."""
    scores = images[0].frames[0].scores
    return [
        {
            "name": score.metric,
            "title": METRICS[score.metric].title,
            "arrow": {"lower": "\u2193", "higher": "\u2191"}[METRICS[score.metric].better],
            "better": METRICS[score.metric].better,
            "model": score.found.model,
            "rule": score.found.rule,
        }
        for score in scores
    ]


def _lines(images: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return one line of the table for each frame."""
    lines = []
    for i, measured in enumerate(images):
        name = _name(measured, i)
        for index, frame in enumerate(measured.frames):
            several = len(measured.frames) > 1
            label = f"{name}, frame {index + 1}" if several else name
            window = next((score.window for score in frame.scores if score.window), None)
            lines.append(
                {
                    "image": i,
                    "name": name,
                    "frame": str(index + 1) if several else "",
                    "label": label,
                    "link": f"m{i + 1}" if measured.image else "",
                    "window": spelled_window(window),
                    "scores": [_cell(score) for score in frame.scores],
                }
            )
    return lines


def _name(measured: Measured, i: int) -> str:
    if measured.image:
        return name_of(measured.image)
    # The path of a DICOM file may be a patient's name.
    plain = Path(measured.source).name
    return plain if measured.modality == "OT" else f"{measured.modality} series {i + 1}, {measured.matrix}"


def _cell(score: Score) -> dict[str, Any]:
    value = score.found.value
    missing = math.isnan(value)
    return {
        "metric": score.metric,
        "value": None if missing or math.isinf(value) else value,
        "text": score.found.reason if missing else spelled_score(score),
        "why": REASONS.get(score.found.reason, score.found.reason) if missing else "",
    }


def _overall(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a figure of each metric over all frames of all images."""
    if len(lines) < 2:
        return {}
    names = [cell["metric"] for cell in lines[0]["scores"]]
    return {
        name: score_figure(
            [(line["image"], line["label"], line["scores"][k]["value"]) for line in lines], METRICS[name].title
        )
        for k, name in enumerate(names)
    }


def _chips(lines: Sequence[dict[str, Any]], failures: Sequence[Failure]) -> list[facts.Chip]:
    missing = sum(any(cell["why"] for cell in line["scores"]) for line in lines)
    words = f"{missing} of {len(lines)} frames lack a score" if missing else "Every frame has every score"
    chips = [facts.Chip("fair" if missing else "good", words)]
    if failures:
        chips.append(facts.Chip("poor", f"{len(failures)} file{'s' * (len(failures) > 1)} could not be measured"))
    return chips


def _section(measured: Measured, name: str) -> dict[str, Any]:
    """Return what the template needs of an image whose pixels are at hand."""
    image = measured.image
    assert image is not None
    chosen = chosen_frames(len(image), image.frames.matrix.pixels)
    shown = [_shown(image, index, measured.frames[index]) for index in chosen]
    return {
        "id": name,
        "name": name_of(image),
        "facts": facts_of(image),
        "frames": len(image),
        "shown": shown,
        "stack": len(shown) > FEW_VIEWS,
        "portrait": shown[0]["picture"]["aspect"] < 0.6,
        "data": {
            "start": len(shown) // 2 if len(shown) > FEW_VIEWS else 0,
            "labels": [frame["picture"]["label"] for frame in shown],
            "figures": {},
        },
    }


def _shown(image: Image, index: int, frame: FrameScores) -> dict[str, Any]:
    """Return one frame: its picture through the window of the metrics, its maps and its scores."""
    window = next((score.window for score in frame.scores if score.window and not math.isnan(score.window.low)), None)
    seen = Window(window.low, window.high) if window else None
    found = {score.metric: score.found.details for score in frame.scores}
    clipped = next((score.clipped for score in frame.scores if score.window), math.nan)
    return {
        "picture": shot(image, index, seen, inverse=None if window is None else window.name == "counts"),
        "window": spelled_window(window),
        "clipped": "" if math.isnan(clipped) or clipped == 0 else f"{100 * clipped:.2g} %",
        "blocks": _blocks(found["piqe"]) if "activity_map" in found.get("piqe", {}) else None,
        "similarity": _similarity(found["ssim"]) if "map" in found.get("ssim", {}) else None,
        "scores": [_row(score) for score in frame.scores],
    }


def _blocks(details: Any) -> dict[str, Any]:
    """Return what PIQE found, as a picture to lay over the image and as fractions of the blocks."""
    active, distorted, noisy = (
        np.asarray(details[f"{name}_map"], bool) for name in ("activity", "distortion", "noise")
    )
    labels = np.where(active, 1 + distorted + 2 * noisy, 0).astype(np.uint8)
    fractions = np.bincount(labels.ravel(), minlength=len(BLOCKS)) / labels.size
    return {
        "uri": labels_picture(labels, [colour for _, colour in BLOCKS]),
        "fractions": [
            {"name": name, "colour": _css(colour), "percent": f"{100 * fraction:.1f} %"}
            for (name, colour), fraction in zip(BLOCKS[1:], fractions[1:], strict=True)
        ],
        "any": bool(labels.any()),
        "active": f"{100 * (1 - fractions[0]):.1f} %",
    }


def _similarity(details: Any) -> dict[str, Any]:
    """Return the map of SSIM, from 0 (or the least value above) to 1."""
    values = np.asarray(details["map"], np.float64)
    lower = max(0.0, math.floor(10 * float(np.nanmin(values))) / 10)
    lower = min(lower, 0.9)
    return {"uri": map_picture(values, lower, 1.0, COLOUR_MAPS["viridis"]), "lower": f"{lower:.1f}", "upper": "1"}


def _row(score: Score) -> dict[str, str]:
    metric, found = METRICS[score.metric], score.found
    notes = [found.model and f"model {found.model}", found.rule]
    if not math.isnan(found.data_range):
        notes.append(f"range {found.data_range:.4g}")
    if "activity_fraction" in found.details:
        notes.append(f"{100 * float(found.details['activity_fraction']):.1f} % of the blocks active")
    return {
        "title": metric.title,
        "better": metric.better,
        "text": _cell(score)["text"],
        "why": _cell(score)["why"],
        "notes": ", ".join(note for note in notes if note),
    }


def _css(colour: tuple[int, int, int, int]) -> str:
    red, green, blue, opacity = colour
    return f"rgba({red}, {green}, {blue}, {opacity / 255:.2f})"
