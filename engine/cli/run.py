"""``photopeak run``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import (
    DeviceOption,
    JsonOption,
    LossOption,
    PrecisionOption,
    ProviderOption,
    ThreadsOption,
    answer,
    paused,
    plain,
    print_facts,
    print_table,
    progress,
    say,
)

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..pipeline import Failure, Processed
    from ..result import Result
    from ..session import Session

IqaOption = Annotated[bool, typer.Option("--iqa", help="Score every frame before and after: NIQE, BRISQUE, PIQE.")]
ReportOption = Annotated[
    bool, typer.Option("--report", help="Write OUT/report.html too; keeps all series in memory until the end.")
]
ThresholdOption = Annotated[
    float | None, typer.Option(help="Least probability of a finding; that of the model's operating point by default.")
]
PixelOption = Annotated[float | None, typer.Option(help="Edge of a pixel in mm, where the file does not say it.")]
PhaseOption = Annotated[
    str, typer.Option(help="early or late: what the only image is, where its header does not tell.")
]
RegionsOption = Annotated[
    Path | None, typer.Option(help="Label map (.npy, NIfTI, DICOM Segmentation), or chest: where the evidence lies.")
]
# What makes sense for one kind of model only.
_FOR_IMAGES = ("iqa", "max_loss_db")
_FOR_FINDINGS = ("threshold", "pixel_mm", "phase", "regions")
# Of a series with more frames, only medians are printed.
MOST_SCORES = 16


def run(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Name of a model, or the folder of a bundle.")],
    inputs: Annotated[
        list[Path], typer.Argument(help="DICOM files or folders, .npy, .nii, .nii.gz; EARLY LATE for two phases.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the output.")],
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    provider: ProviderOption = "auto",
    threads: ThreadsOption = 0,
    max_loss_db: LossOption = 0.05,
    iqa: IqaOption = False,
    report: ReportOption = False,
    threshold: ThresholdOption = None,
    pixel_mm: PixelOption = None,
    phase: PhaseOption = "",
    regions: RegionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Process images with a model and write derived images, or what it finds in them.

    Example: photopeak run scint-denoise bone.dcm -o processed --iqa --report

    Example: photopeak run parathyroid-detect early.dcm late.dcm -o found
    """
    from ..analysis.session import AnalysisSession
    from ..session import load
    from ..zoo import load_bundle

    bundle = load_bundle(model)
    _refuse_others(context, bundle)
    session = load(
        bundle, device=device, precision=precision, provider=provider, threads=threads, max_loss_db=max_loss_db
    )
    if isinstance(session, AnalysisSession):
        from ..analysis.pipeline import Options
        from .findings import run_analysis

        options = Options(threshold, pixel_mm, phase, regions)
        run_analysis(session, inputs, out, options, report=report, as_json=as_json)
        return
    _run_images(session, inputs, out, iqa=iqa, report=report, as_json=as_json, threads=threads)


def _refuse_others(context: typer.Context, bundle: "Bundle") -> None:
    """Refuse options that mean nothing to the model.

    Raises
    ------
    UsageError
        If there is one.
    """
    from ..errors import UsageError

    analysis = bundle.manifest.analysis is not None
    for name in _FOR_IMAGES if analysis else _FOR_FINDINGS:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            option = f"--{name.replace('_', '-')}"
            gives = "findings and no images" if analysis else "images and no findings"
            raise UsageError(f"{option} means nothing to {bundle.name}, which gives {gives}; leave it out.")


def _run_images(
    session: "Session", inputs: list[Path], out: Path, *, iqa: bool, report: bool, as_json: bool, threads: int
) -> None:
    """Process every series and tell of it."""
    from ..pipeline import Failure, raise_failures, stream

    results: list[Result] = []
    with answer(as_json) as found, progress(session.bundle.name, shown=not as_json) as bar:

        def tell(outcome: "Processed | Failure") -> "Failure | None":
            """Tell of a series at its end; but for a report, only a failure is kept, and the pixels go."""
            if iqa:
                outcome = scored(outcome, threads)
            if as_json:
                found.setdefault("outcomes", []).append(plain(summary(outcome)))
            else:
                with paused(bar):
                    print_outcome(outcome)
            if isinstance(outcome, Failure):
                return outcome
            if report:
                results.append(outcome.result)
            return None

        task = bar.task_ids[0]
        # A map, unlike a loop, holds no series while the next one is read.
        series = stream(inputs, out, session, lambda done, n: bar.update(task, completed=done, total=n))
        ended = list(map(tell, series))
        bar.stop()
        found["report"] = _report(results, out) if results else None
        if results and not as_json:
            say(f"Report: {found['report']}")
        raise_failures(ended)


def scored(outcome: "Processed | Failure", threads: int) -> "Processed | Failure":
    """Return a series with the scores of its frames before and after."""
    from ..pipeline import Failure
    from ..processors import available_processors
    from ..quality.before_after import changes_of

    if isinstance(outcome, Failure):
        return outcome
    result = outcome.result
    scores = changes_of(result, threads=threads or available_processors())
    return replace(outcome, result=replace(result, scores=scores))


def summary(outcome: "Processed | Failure") -> dict[str, Any]:
    """Return what JSON says of a series."""
    from ..pipeline import Failure

    if isinstance(outcome, Failure):
        return {"source": outcome.source, "error": str(outcome.error), "exit_code": outcome.error.exit_code}
    from ..quality.before_after import described_changes

    result = outcome.result
    return {
        "source": result.source.source,
        "frames": len(result.source),
        "matrix": str(result.source.matrix),
        "output_matrix": str(result.frames.matrix),
        "outputs": outcome.paths,
        "model": {
            "name": result.bundle.name,
            "version": result.bundle.manifest.version,
            "digest": result.bundle.digest,
        },
        "plan": result.plan,
        "conservation": {
            "kind": result.conservation.kind,
            "before": result.conservation.before,
            "after": result.conservation.after,
            "model_bias": result.conservation.model_bias,
            "bias": result.conservation.bias,
        },
        "domain": result.domain,
        "timings_ms": result.timings_ms,
        "warnings": result.warnings,
        "iqa": described_changes(result.scores) if result.scores else None,
    }


def print_outcome(outcome: "Processed | Failure") -> None:
    """Print what was done to a series and what to know about it, or why nothing could be done."""
    from ..pipeline import Failure

    if isinstance(outcome, Failure):
        print_facts(outcome.source, [("failed", str(outcome.error))])
        return
    result = outcome.result
    verdict = result.domain
    facts = {
        "frames": f"{len(result.source)} x {result.source.matrix}, written as {result.frames.matrix}",
        "time": ", ".join(f"{name} {ms:.1f}" for name, ms in result.timings_ms.items()) + " ms",
        "counts": _kept(outcome),
        "domain": "; ".join([verdict.verdict, *verdict.reasons]),
        "plan": result.plan.reason,
        "written": f"{outcome.paths[0]}" + (f" and {len(outcome.paths) - 1} more" if outcome.paths[1:] else ""),
    }
    rows = [*facts.items(), *(("warning", warning) for warning in result.warnings)]
    print_facts(f"{result.source.source}: {result.bundle.name} {result.bundle.manifest.version}", rows)
    if result.scores:
        _print_scores(result)


def _print_scores(result: "Result") -> None:
    """Print the scores before and after; of a long series, the medians."""
    from ..quality.before_after import score_rows

    title = "Image quality before and after, through the same window"
    print_table(
        title, ("metric", "frame", "before", "after", "", "window before"), score_rows(result.scores, MOST_SCORES)
    )


def _report(results: "list[Result]", out: Path) -> Path:
    from ..report import write_report

    return write_report(results, out / "report.html")


def _kept(outcome: "Processed") -> str:
    kept = outcome.result.conservation
    if kept.kind == "none":
        return "the model does not claim to keep them"
    bare, final = (float(abs(bias).max()) for bias in (kept.model_bias, kept.bias))
    return f"{kept.kind} kept within {final:.0e}; the bare model was off by {bare:.2%}"
