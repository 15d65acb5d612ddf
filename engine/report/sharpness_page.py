"""The page of transfer functions: where they were measured, the curves with their bands, before and after."""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ..quality.images import Image
from ..quality.sharpness import Curve, spelled
from . import facts
from .curves import Line, curve_figure, spread_figure
from .document import write_document
from .shown import Planes
from .subjects import boxes, facts_of, name_of, shot

__all__ = ["Subject", "write_mtf_report"]

COLOURS = ["c1", "c2", "c3", "c4", "c5", "c6"]
METHODS = {
    "edge": ("slanted edge", "ISO 12233"),
    "disk": ("edge of a disk", "AAPM Report 233"),
    "line": ("line source", "NEMA NU 1"),
    "point": ("point source", "NEMA NU 2"),
}
SPREADS = (("edge_spread", "Edge spread function"), ("line_spread", "Line spread function"))


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What was measured.

    Parameters
    ----------
    image : Image
        The image, or the one before.
    frame : int
        Number of the frame, from 1.
    curves : tuple of Curve
        One for each region.
    other : Image or None
        The image after.
    after : tuple of Curve
        The same regions there.
    """

    image: Image
    frame: int
    curves: tuple[Curve, ...]
    other: Image | None = None
    after: tuple[Curve, ...] = ()


def write_mtf_report(subject: Subject, path: Path, title: str = "Modulation transfer function") -> Path:
    """Write one HTML file that shows transfer functions and where they were measured.

    The file needs no network and no other file, and holds no name or number of a patient.

    Parameters
    ----------
    subject : Subject
        What was measured.
    path : Path
        File to write, or to replace when it is whole.
    title : str
        Heading of the page.

    Returns
    -------
    Path
        `path`.
    """
    curves = (*subject.curves, *subject.after)
    warnings = [sentence for curve in curves for sentence in _warnings(curve, subject)]
    figures = _figures(subject)
    return write_document(
        path,
        "sharpness.html.j2",
        ("measured.js",),
        title=title,
        planes=Planes(),
        results=[{"start": 0, "labels": [], "figures": figures}],
        method=METHODS[subject.curves[0].mtf.method],
        regions=len(subject.curves),
        name=name_of(subject.image),
        frame=facts.frame_label(subject.image.frames, subject.frame - 1) if len(subject.image) > 1 else "",
        facts=facts_of(subject.image),
        chips=[_chip(len(warnings))],
        warnings=list(dict.fromkeys(warnings)),
        shots=_shots(subject),
        columns=list(curves[0].widths),
        unit=curves[0].unit,
        rows=_rows(subject),
        spreads=[(name, words) for name, words in SPREADS if name in figures],
        finer=subject.after[0].scale if subject.after else 1,
    )


def _chip(warnings: int) -> facts.Chip:
    words = f"{warnings} warning{'s' * (warnings > 1)}" if warnings else "No warnings"
    return facts.Chip("fair" if warnings else "good", words)


def _warnings(curve: Curve, subject: Subject) -> list[str]:
    lead = "" if len(subject.curves) + len(subject.after) == 1 else f"{_named(curve, subject)}: "
    return [lead + facts.capitalised(warning.sentence) for warning in curve.mtf.warnings]


def _named(curve: Curve, subject: Subject) -> str:
    """Return how a curve is called: by its region where there are several, by before and after where both are."""
    group = subject.after if curve in subject.after else subject.curves
    words = [f"region {group.index(curve) + 1}"] if len(group) > 1 else []
    words += ["after" if curve in subject.after else "before"] if subject.after else []
    text = ", ".join(words) or "MTF"
    return text[0].upper() + text[1:]


def _lines(subject: Subject) -> list[tuple[Line, Curve]]:
    """Return the curves in the colours of the page: by region, or by before and after where there is one region."""
    single = len(subject.curves) == 1
    found = []
    for group, colour in ((subject.curves, "before"), (subject.after, "after")):
        for i, curve in enumerate(group):
            shade = colour if single and subject.after else COLOURS[i % len(COLOURS)]
            mtf = curve.mtf
            per = curve.per_frequency
            name = _named(curve, subject)
            dash = "dot" if subject.after and not single and colour == "before" else "solid"
            line = Line(name, shade, mtf.frequencies * per, mtf.modulation, mtf.lower, mtf.upper, dash)
            found.append((line, curve))
    return found


def _figures(subject: Subject) -> dict[str, Any]:
    lines = _lines(subject)
    unit = lines[0][1].unit
    ends = {curve.per_frequency * 0.5 for _, curve in lines}
    last = max(ends)
    figures = {
        "mtf": curve_figure(
            [line for line, _ in lines],
            f"spatial frequency / ({unit}{' before' * (unit == 'cycles/pixel' and last > 0.5)})",
            "modulation",
            levels=(0.1, 0.5),
            ends=[(end, "Nyquist" if end == last else "Nyquist before") for end in sorted(ends)],
        )
    }
    for name, _ in SPREADS:
        parts = [_spread(line, curve, name) for line, curve in lines]
        found = [part for part in parts if part]
        if found:
            known = lines[0][1].mtf.pixel_spacing_mm is not None
            figures[name] = spread_figure(
                found,
                f"distance / {'mm' if known else 'px'}",
                "relative to the peak" if name == "line_spread" else "value",
            )
    return figures


def _spread(line: Line, curve: Curve, name: str) -> Line | None:
    """Return a spread function of a curve, if its method gives one."""
    details = curve.mtf.details
    distances = details.get("distances_px")
    if distances is None or len(distances) != len(details.get(name, ())):
        return None
    step = curve.mtf.pixel_spacing_mm or 1 / curve.scale
    values = details[name]
    if name == "line_spread":
        # Of a bright and a dark object alike.
        values = values / values[abs(values).argmax()]
    return Line(line.name, line.colour, distances * step, values, None, None, line.dash)


def _shots(subject: Subject) -> list[dict[str, Any]]:
    single = len(subject.curves) == 1
    shots = []
    for label, image, curves, colour in (
        ("Before" if subject.after else "", subject.image, subject.curves, "before"),
        ("After", subject.other, subject.after, "after"),
    ):
        if image is not None:
            colours = [colour] if single and subject.after else COLOURS
            found = shot(image, subject.frame - 1)
            whole = ((0, found["rows"]), (0, found["columns"]))
            rois = [curve.roi for curve in curves if curve.roi != whole]
            shots.append(found | {"name": label, "boxes": boxes(rois, colours)})
    return shots


def _rows(subject: Subject) -> list[dict[str, Any]]:
    rows = []
    for line, curve in _lines(subject):
        mtf, spacing = curve.mtf, curve.mtf.pixel_spacing_mm
        rows.append(
            {
                "name": line.name,
                "colour": line.colour,
                "region": spelled(curve.roi),
                "levels": [_level(level, spacing, curve.scale) for level in (mtf.mtf50, mtf.mtf10)],
                "widths": list(curve.widths.values()),
                "details": curve.spelled_scalars,
                "spacing": "unknown" if spacing is None else f"{spacing:.4g} mm",
            }
        )
    return rows


def _level(frequency: float, spacing: float | None, scale: int) -> dict[str, str]:
    """Return a frequency in the unit of the page, and in cycles of the image's own pixels."""
    if not isfinite(frequency):
        return {"main": "beyond", "pixel": ""}
    main = frequency * scale if spacing is None else frequency / spacing
    return {"main": f"{main:.4f}", "pixel": "" if spacing is None else f"{frequency:.4f}"}
