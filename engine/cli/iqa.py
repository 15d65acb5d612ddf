"""``photopeak iqa``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import JsonOption, ThreadsOption, answer, fail, plain, print_facts, print_table, progress, say

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..failures import Failure
    from ..quality.measure import Against, Measured
    from ..quality.metrics import Settings

MOST_ROWS = 60
# What a report shows of the images themselves, with maps; its tables hold all.
MOST_SHOWN, MOST_PIXELS = 24, 32 << 20


def iqa(
    files: Annotated[list[Path], typer.Argument(help="DICOM, .npy, NIfTI, PNG, JPEG or TIFF files, or folders.")],
    metrics: Annotated[
        str | None,
        typer.Option(help="With commas: niqe, brisque, piqe, ma, pi, psnr, ssim, ms-ssim, nrmse."),
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="Image to compare with: one frame, or as many.")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model as niqe=NAME or brisque=FILE; both are live otherwise.")
    ] = None,
    ma_model: Annotated[Path | None, typer.Option(help="The published model.mat of Ma et al., for ma and pi.")] = None,
    window: Annotated[
        str, typer.Option(help="Values seen as black to white: auto, identity, counts, full-range or LOW:HIGH.")
    ] = "auto",
    data_range: Annotated[
        float | None, typer.Option(help="Largest possible difference of two pixels, for psnr, ssim and ms-ssim.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Image that is not 0 where pixels count.")] = None,
    threads: ThreadsOption = 0,
    csv: Annotated[Path | None, typer.Option(help="Write the scores to a CSV file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with maps and charts.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score images, with or without a reference.

    Scores that need no reference (niqe, brisque, piqe: lower is better)
    are defined for grey values 0 to 255. The window says how counts become
    grey values; it stands beside each score. A frame without a score has
    the reason instead. The CSV has a row for each file, frame and metric.

    Example: photopeak iqa before.dcm after.dcm --report quality.html

    Example: photopeak iqa scans --window 0:120 --csv scores.csv

    Example: photopeak iqa out.npy --reference truth.npy --metrics psnr,ssim
    """
    from ..processors import available_processors
    from ..quality.images import read_image
    from ..quality.measure import Against
    from ..quality.metrics import Settings, chosen_metrics, chosen_models
    from ..quality.windows import parse_window

    names = chosen_metrics(metrics, reference=reference is not None)
    settings = Settings(
        names, parse_window(window), chosen_models(model or [], names), ma_model, data_range, maps=report is not None
    )
    against = Against(read_image(reference) if reference else None, read_image(mask) if mask else None)
    with answer(as_json) as found, progress("Scoring", shown=not as_json) as bar:
        found |= {"images": [], "failed": [], "csv": csv, "report": report}
        outcomes = []
        for outcome in _outcomes(bar, files, settings, against, threads or available_processors()):
            kind, described = _json(outcome)
            found[kind].append(described)
            outcomes.append(outcome)
        bar.stop()
        _finish(outcomes, against, csv, report, as_json)


def _outcomes(
    bar: "Progress", files: list[Path], settings: "Settings", against: "Against", threads: int
) -> "Iterator[Measured | Failure]":
    """Yield what is found in each image, or why nothing is; only what a report shows keeps its pixels."""
    from ..failures import Failure
    from ..quality.images import find
    from ..quality.measure import stream

    found = find(files)
    task = bar.task_ids[0]
    bar.update(task, total=sum(source.frames for source in found.sources))
    yield from found.failures
    shown = pixels = 0
    for outcome in stream(found.sources, settings, against, threads=threads, advance=lambda: bar.advance(task)):
        if isinstance(outcome, Failure):
            yield outcome
            continue
        size = outcome.image.pixels.size if outcome.image else 0
        keep = settings.maps and shown < MOST_SHOWN and pixels + size <= MOST_PIXELS
        shown, pixels = shown + keep, pixels + size * keep
        yield outcome if keep else outcome.without_pixels()


def _json(outcome: "Measured | Failure") -> tuple[str, Any]:
    """Return in which list JSON has an outcome, and what it says of it."""
    from ..failures import Failure
    from ..quality.table import described

    if isinstance(outcome, Failure):
        error = outcome.error
        return "failed", {"file": outcome.source, "error": str(error), "exit_code": error.exit_code}
    return "images", plain(described(outcome))


def _finish(
    outcomes: "Sequence[Measured | Failure]", against: "Against", csv: Path | None, report: Path | None, as_json: bool
) -> None:
    """Print and write what was found, and then raise what failed."""
    from ..failures import raise_failures
    from ..quality.table import write_csv

    images, failures = _parted(outcomes)
    if images and not as_json:
        _print(images)
    for failure in failures if len(outcomes) > 1 else ():
        fail(str(failure.error))
    if csv:
        write_csv(csv, images, failures)
    if report and images:
        from ..report.quality_page import write_quality_report

        write_quality_report(images, report, failures=failures, reference=against.reference)
    for name, path in (("Scores", csv), ("Report", report if images else None)):
        if path and not as_json:
            say(f"{name}: {path}")
    raise_failures(outcomes, "images")


def _parted(outcomes: "Sequence[Measured | Failure]") -> "tuple[list[Measured], list[Failure]]":
    from ..failures import Failure

    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    return [outcome for outcome in outcomes if not isinstance(outcome, Failure)], failures


def _print(images: "Sequence[Measured]") -> None:
    """Print the scores: of each frame, or of each image where there are too many frames."""
    from ..quality.metrics import METRICS
    from ..quality.table import ARROWS, cells, short_names, summary

    names = short_names(frame.file for image in images for frame in image.frames)
    if sum(len(image.frames) for image in images) > MOST_ROWS:
        for image in images:
            frames = f", {len(image.frames)} frames: medians" if len(image.frames) > 1 else ""
            print_facts(names[image.source] + frames, summary(image))
    else:
        metrics = [METRICS[score.metric] for score in images[0].frames[0].scores]
        heading = ("frame", *(metric.title + ARROWS[metric.better] for metric in metrics), "window", "file")
        rows = [row for image in images for row in cells(image)]
        print_table("Image quality", heading, [[*row[:-1], names[row[-1]]] for row in rows])
    say("\u2193 lower is better, \u2191 higher is better.")
