"""The page of findings: images with boxes and maps of evidence, probabilities, and how reliable they were on known cases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..analysis.regions import RegionShare
from ..analysis.result import NOT_VALID, AnalysisResult, Detection
from ..errors import UsageError
from ..frames import Frames
from ..manifest import Analysis
from . import facts
from .charts import finish
from .document import COLOUR_MAPS, write_document
from .images import Window, display_window
from .rasters import evidence_picture, grey_picture
from .sections import aspect, shown_inverse
from .shown import Planes

__all__ = ["write_findings_report"]

# Of the colours that the style sheet has for regions; findings beyond repeat them.
COLOURS = ("c2", "c1", "c3", "c4", "c5", "c6")
_EVIDENCE = 55  # opacity of the map of evidence at first [%]
_EVIDENCE_BESIDE_BOXES = 25
_PORTRAIT = 0.6


def write_findings_report(
    results: Sequence[AnalysisResult],
    path: Path,
    title: str = "Findings",
    *,
    regions: Sequence[Sequence[Sequence[RegionShare]]] = (),
) -> Path:
    """Write one HTML file that shows what analysis models found.

    The file needs no network and no other file. It holds no name or number of a patient.

    Parameters
    ----------
    results : sequence of AnalysisResult
        What ``AnalysisSession.run`` returned, in the order of the page.
    path : Path
        File to write, or to replace when it is whole.
    title : str
        Heading of the page.
    regions : sequence of sequence of sequence of RegionShare
        For each result and each of its frames, how the evidence is divided among regions; none for a result or for all
        where nothing was asked.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    UsageError
        If there are no results.
    """
    if not results:
        raise UsageError(f"{path}: there is nothing to report; give at least one result.")
    sections = [
        _section(result, index, f"f{i + 1}-{index + 1}", rows[index] if rows else ())
        for i, (result, rows) in enumerate(zip(results, regions or [()] * len(results), strict=True))
        for index in range(len(result))
    ]
    return write_document(
        path,
        "findings.html.j2",
        ("findings.js",),
        title=title,
        planes=Planes(),
        results=[{"start": 0, "figures": part["figures"]} for part in sections],
        lead=_lead(results),
        chips=[*_chips(results), *_warned(results)],
        warnings=_warnings(results),
        sections=sections,
        anchors=", ".join(COLOUR_MAPS["inferno"]),
    )


def _lead(results: Sequence[AnalysisResult]) -> str:
    """Return one sentence on all results."""
    said = []
    for result in results:
        name, count = result.bundle.manifest.title, len(result)
        frames = f" of {count} frames" if count > 1 else ""
        if result.probabilities is None:
            found = sum(map(len, result.detections))
            said.append(f"{name}: {found or 'no'} finding{'s' * (found != 1)}{frames}.")
        else:
            likely = [result.found(index) for index in range(count)]
            said.append(f"{name}: " + ", ".join(f"{result.labels[k]} {100 * p:.0f} %" for k, p in likely) + ".")
    return " ".join(said)


def _chips(results: Sequence[AnalysisResult]) -> list[facts.Chip]:
    chips = [facts.domain_chip([verdict for result in results for verdict in result.domains])]
    if not all(result.valid for result in results):
        chips.insert(0, facts.Chip("poor", facts.capitalised(NOT_VALID)))
    return chips


def _warned(results: Sequence[AnalysisResult]) -> list[facts.Chip]:
    count = len(_warnings(results))
    words = f"{count} warning{'s' * (count > 1)}" if count else "No warnings"
    return [facts.Chip("fair" if count else "good", words)]


def _warnings(results: Sequence[AnalysisResult]) -> list[str]:
    """Return each warning and each reason of a verdict once, without names of files of patients."""
    said = []
    for result in results:
        reasons = [reason for verdict in result.domains for reason in verdict.reasons]
        for sentence in (*result.warnings, *reasons):
            for source in filter(None, result.sources):
                sentence = facts.anonymous(sentence, source)
            said.append(facts.capitalised(sentence))
    return list(dict.fromkeys(said))


def _section(result: AnalysisResult, index: int, name: str, regions: Sequence[RegionShare]) -> dict[str, Any]:
    """Return what the template needs of one frame of a result."""
    analysis = _analysis(result)
    frames, detects = result.reference, result.probabilities is None
    shots = _shots(result, index)
    verdict = result.domains[index]
    points = bool(analysis.operating_points)
    return {
        "id": name,
        "name": facts.capitalised(facts.described(frames)),
        "label": result.frame_name(index) if len(frames) > 1 else "",
        "invalid": "" if result.valid_frames[index] else _far(verdict.distances, verdict.limits),
        "portrait": shots[0]["aspect"] < _PORTRAIT,
        "shots": shots,
        "maps": _maps(result, index),
        "opacity": _EVIDENCE_BESIDE_BOXES if detects else _EVIDENCE,
        "detects": detects,
        "boxes": bool(detects and result.detections[index]),
        "findings": _findings(result.detections[index]) if detects else [],
        "classes": [] if detects else _classes(result, index),
        "regions": [
            {"name": row.name, "energy": f"{100 * row.energy:.0f} %", "area": f"{100 * row.area:.0f} %"}
            for row in regions
            if np.isfinite(row.energy)
        ],
        "threshold": f"{result.threshold:.2f}",
        "points": points,
        "point": _point(analysis, result.threshold, detects) + _absent(result) if points else "",
        "facts": facts.facts_of_input(frames),
        "provenance": _provenance(result),
        "figures": {"points": _points_figure(analysis, result.threshold, detects)} if points else {},
    }


def _analysis(result: AnalysisResult) -> Analysis:
    analysis = result.bundle.manifest.analysis
    assert analysis is not None  # the manifest of every analysis model has it
    return analysis


def _far(distances: Any, limits: tuple[float, float]) -> str:
    """Return how far outside of the training domain a frame lies."""
    return (
        f"It lies {float(np.max(distances)) / limits[1]:.1f} times as far from what the model was trained on as the limit "
        "allows; what is shown below must not be relied on."
    )


def _shots(result: AnalysisResult, index: int) -> list[dict[str, Any]]:
    """Return the pictures of one frame, one for each channel that is there, with the boxes of its findings."""
    names = result.channels or ("",) * len(result.sources)
    return [
        _shot(source, index, names[channel])
        | {"boxes": _boxes(result, index, channel), "evidence": _evidence(result, index, channel)}
        for channel, source in enumerate(result.sources)
        if source is not None
    ]


def _shot(source: Frames, index: int, name: str) -> dict[str, Any]:
    window: Window = display_window(source.pixels[index], source.units)
    return {
        "name": name,
        "uri": grey_picture(source.pixels[index], window, inverse=shown_inverse(source)),
        "aspect": aspect(source),
        "rows": source.matrix.rows,
        "columns": source.matrix.columns,
    }


def _boxes(result: AnalysisResult, index: int, channel: int) -> list[dict[str, Any]]:
    """Return the findings as rectangles on the image of a channel."""
    if result.probabilities is not None:
        return []
    boxes = []
    for number, finding in enumerate(result.detections[index]):
        row0, column0, row1, column1 = result.box_on(finding, channel, index)
        boxes.append(
            {
                "x": column0,
                "y": row0,
                "width": column1 - column0,
                "height": row1 - row0,
                "name": str(number + 1),
                "colour": COLOURS[number % len(COLOURS)],
            }
        )
    return boxes


def _maps(result: AnalysisResult, index: int) -> list[dict[str, Any]]:
    """Return for each label whether its evidence is seen first, which is that of the class that was found."""
    chosen = 0 if result.probabilities is None else result.found(index)[0]
    return [{"name": label, "chosen": k == chosen} for k, label in enumerate(result.labels)]


def _evidence(result: AnalysisResult, index: int, channel: int) -> list[str]:
    """Return the map of evidence for each label, on the image of a channel."""
    return [evidence_picture(cam, COLOUR_MAPS["inferno"]) for cam in result.cam_on(channel, index)]


def _findings(found: Sequence[Detection]) -> list[dict[str, str]]:
    rows = []
    for number, one in enumerate(found):
        row0, column0, row1, column1 = one.box
        row, column = one.centre
        rows.append(
            {
                "number": str(number + 1),
                "colour": COLOURS[number % len(COLOURS)],
                "label": one.label,
                "score": f"{one.score:.2f}",
                "centre": f"{row:.1f}, {column:.1f} px",
                "centre_mm": f"{one.centre_mm[0]:.0f}, {one.centre_mm[1]:.0f} mm" if one.centre_mm else "",
                "size": f"{row1 - row0:.1f} \u00d7 {column1 - column0:.1f} px",
                "diameter": f"{one.diameter_mm:.0f} mm" if one.diameter_mm is not None else "\u2013",
            }
        )
    return rows


def _classes(result: AnalysisResult, index: int) -> list[dict[str, str]]:
    assert result.probabilities is not None
    return [
        {"label": label, "probability": f"{100 * p:.1f} %", "percent": f"{100 * p:.1f}"}
        for label, p in zip(result.labels, result.probabilities[index].tolist(), strict=True)
    ]


def _nearest(analysis: Analysis, threshold: float) -> tuple[float, float, float]:
    """Return the operating point whose threshold is nearest to that of the result."""
    return min(analysis.operating_points, key=lambda point: abs(point[0] - threshold))


def _point(analysis: Analysis, threshold: float, detects: bool) -> str:
    measured, sensitivity, alarms = _nearest(analysis, threshold)
    cost = f"{alarms:.2f} false positives per image" if detects else f"{100 * alarms:.0f} % false alarms"
    here, there = f"{threshold:.2f}", f"{measured:.2f}"
    known = "" if here == there else f", the nearest to the {here} in use that was measured"
    return f"At a threshold of {there}{known}: {100 * sensitivity:.0f} % sensitivity at {cost}."


def _absent(result: AnalysisResult) -> str:
    """Return a sentence where the rates are those of all phases and only some were given."""
    absent = [name for name, source in zip(result.channels, result.sources, strict=False) if source is None]
    every = "both" if len(result.channels) == 2 else "all"
    return f" With {every} phases: here the {' and '.join(absent)} one is absent." if absent else ""


def _points_figure(analysis: Analysis, threshold: float, detects: bool) -> dict[str, Any]:
    """Return sensitivity against its cost over all thresholds, with the one in use."""
    points = sorted(analysis.operating_points, key=lambda point: point[2])
    used = _nearest(analysis, threshold)
    figure = go.Figure(
        [
            go.Scatter(
                x=[point[2] for point in points],
                y=[point[1] for point in points],
                customdata=[f"threshold {point[0]:.2f}" for point in points],
                hovertemplate="%{y:.3f} at %{x:.2f}<br>%{customdata}<extra></extra>",
                meta="after",
                mode="lines",
                line={"width": 2, "shape": "linear"},
                showlegend=False,
            ),
            go.Scatter(
                x=[used[2]],
                y=[used[1]],
                name=f"threshold of {used[0]:.2f}",
                meta="c2",
                mode="markers",
                marker={"size": 10},
            ),
        ]
    )
    figure.update_yaxes(range=[0, 1.02])
    figure.update_xaxes(rangemode="tozero")
    plain = finish(figure, "false positives per image" if detects else "1 \u2212 specificity", "sensitivity")
    plain["layout"]["hovermode"] = "closest"
    return plain


def _provenance(result: AnalysisResult) -> list[tuple[str, str]]:
    times = ", ".join(f"{stage} {facts.number(ms, 1)}" for stage, ms in result.timings_ms.items())
    return [*facts.provenance(result), ("Time", f"{times} ms")]
