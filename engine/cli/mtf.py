"""``photopeak mtf``."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import JsonOption, ThreadsOption, answer, plain, print_table, say

if TYPE_CHECKING:
    from ..quality.sharpness import Curve

SpacingOption = Annotated[float | None, typer.Option(help="Pixel spacing in mm, in place of the header's.")]


def mtf(
    file: Annotated[Path, typer.Argument(help="DICOM file or folder, .npy, NIfTI, PNG, JPEG or TIFF.")],
    method: Annotated[str, typer.Option(help="What the region shows: edge, disk, line or point.")],
    roi: Annotated[
        list[str] | None, typer.Option(help="Region R0:R1,C0:C1, last row and column excluded; may be repeated.")
    ] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Look for regions.")] = False,
    spacing: SpacingOption = None,
    frame: Annotated[int, typer.Option(help="Number of the frame, from 1.")] = 1,
    compare: Annotated[
        Path | None, typer.Option(help="The same image after processing; its matrix may be finer.")
    ] = None,
    threads: ThreadsOption = 1,
    csv: Annotated[Path | None, typer.Option(help="Write the curves to a CSV file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with the curves.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how sharp an image is: its modulation transfer function.

    A region shows a slanted edge, a disk, a line source or a point source;
    without one, the whole frame is measured. The band is that of 95 %
    confidence. Frequencies are in cycles/mm where the pixel spacing is known.

    Example: photopeak mtf edge.dcm --method edge --roi 40:100,60:120

    Example: photopeak mtf phantom.dcm --method disk --auto --report mtf.html

    Example: photopeak mtf line.dcm --method line --compare denoised.dcm
    """
    from ..processors import available_processors
    from ..quality.curve_table import described_curve, write_curves
    from ..quality.images import read_image
    from ..quality.sharpness import measure_mtf, measure_pair, parse_roi, spacing_for

    rois = [parse_roi(text) for text in roi or ()]
    workers = threads or available_processors()
    with answer(as_json) as found:
        image = read_image(file)
        spacing_mm = spacing_for(image, spacing)
        options: dict[str, Any] = {"frame": frame, "spacing_mm": spacing_mm, "threads": workers}
        curves = measure_mtf(image, method, rois=rois, auto=auto, **options)
        other = read_image(compare) if compare else None
        after = measure_pair(image, other, curves, **options) if other else ()
        found |= {"file": file, "compared": compare, "frame": frame, "csv": csv, "report": report}
        found["curves"] = [plain(described_curve(curve)) for curve in curves]
        found["curves_after"] = [plain(described_curve(curve)) for curve in after]
        if csv:
            write_curves(csv, {"before" if after else "": curves, "after": after})
        if report:
            from ..report.sharpness_page import Subject, write_mtf_report

            write_mtf_report(Subject(image, frame, curves, other, after), report)
        if not as_json:
            _print(curves, after)
            for name, path in (("Curves", csv), ("Report", report)):
                if path:
                    say(f"{name}: {path}")


def _print(curves: "Sequence[Curve]", after: "Sequence[Curve]") -> None:
    """Print what the curves come to, and what is wrong with them."""
    from ..quality.sharpness import spelled

    pairs = zip(curves, after, strict=bool(after))
    named = [pair for one, two in pairs for pair in (("before", one), ("after", two))] or [("", c) for c in curves]
    rows = [_row(name, curve) for name, curve in named]
    title = f"Modulation transfer function{'s' * (len(rows) > 1)} [{curves[0].unit}]"
    print_table(title, ("region", "", "MTF50", "MTF10", *curves[0].widths), rows)
    for _, curve in named:
        say(f"{spelled(curve.roi)}: {curve.spelled_scalars}.")
        for warning in curve.mtf.warnings:
            say(f"  Warning: {warning.sentence}")


def _row(name: str, curve: "Curve") -> list[str]:
    from ..quality.sharpness import spelled

    levels = (curve.mtf.mtf50, curve.mtf.mtf10)
    figures = [f"{level * curve.per_frequency:.4f}" if isfinite(level) else "beyond" for level in levels]
    return [spelled(curve.roi), name, *figures, *curve.widths.values()]
