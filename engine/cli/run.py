"""``photopeak run``."""

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
    print_facts,
    print_json,
    progress,
    say,
)

if TYPE_CHECKING:
    from ..pipeline import Failure, Processed


def run(
    model: Annotated[str, typer.Argument(help="Name of a model, or the folder of a bundle.")],
    inputs: Annotated[list[Path], typer.Argument(help="DICOM files or folders, .npy, .nii, .nii.gz.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the output.")],
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    provider: ProviderOption = "auto",
    threads: ThreadsOption = 0,
    max_loss_db: LossOption = 0.05,
    report: Annotated[bool, typer.Option("--report", help="Write OUT/report.html too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Process images with a model and write derived images.

    Example: photopeak run scint-denoise bone.dcm -o processed --report
    """
    from ..pipeline import Failure, Processed, raise_failures, stream
    from ..session import load

    session = load(
        model, device=device, precision=precision, provider=provider, threads=threads, max_loss_db=max_loss_db
    )
    outcomes: list[Processed | Failure] = []
    with progress(f"{session.bundle.name}", shown=not as_json) as bar:
        task = bar.task_ids[0]
        outcomes += stream(inputs, out, session, lambda done, n: bar.update(task, completed=done, total=n))
    done = [outcome for outcome in outcomes if isinstance(outcome, Processed)]
    page = _report(done, out) if report and done else None
    if as_json:
        print_json({"outcomes": [summary(outcome) for outcome in outcomes], "report": page})
    else:
        _print(done, page)
    raise_failures(outcomes)


def summary(outcome: "Processed | Failure") -> dict[str, Any]:
    """Return what JSON says of a series."""
    from ..pipeline import Failure

    if isinstance(outcome, Failure):
        return {"source": outcome.source, "error": str(outcome.error), "exit_code": outcome.error.exit_code}
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
    }


def _report(done: "list[Processed]", out: Path) -> Path:
    from ..report import write_report

    return write_report([outcome.result for outcome in done], out / "report.html")


def _print(done: "list[Processed]", page: Path | None) -> None:
    print_outcomes(done)
    if page:
        say(f"Report: {page}")


def print_outcomes(done: "list[Processed]") -> None:
    """Print what was done to each series, and what to know about it."""
    for outcome in done:
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


def _kept(outcome: "Processed") -> str:
    kept = outcome.result.conservation
    if kept.kind == "none":
        return "the model does not claim to keep them"
    bare, final = (float(abs(bias).max()) for bias in (kept.model_bias, kept.bias))
    return f"{kept.kind} kept within {final:.0e}; the bare model was off by {bare:.2%}"
