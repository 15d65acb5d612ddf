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
    print_json,
    print_table,
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
    """Print a table of what was processed, the plan and the warnings."""
    rows = [
        (
            outcome.result.source.source,
            f"{outcome.result.bundle.name} {outcome.result.bundle.manifest.version}",
            f"{len(outcome.result.source)} x {outcome.result.source.matrix}",
            str(outcome.result.frames.matrix),
            f"{sum(outcome.result.timings_ms.values()):.0f} ms",
            _bias(outcome),
            outcome.result.domain.verdict,
            f"{outcome.paths[0]}" + (f" and {len(outcome.paths) - 1} more" if len(outcome.paths) > 1 else ""),
        )
        for outcome in done
    ]
    columns = ("source", "model", "frames", "output", "time", "bias", "domain", "written")
    print_table("Processed", columns, rows)
    for reason in dict.fromkeys(outcome.result.plan.reason for outcome in done):
        say(f"Plan: {reason}.")
    for warning in dict.fromkeys(f"{o.result.source.source}: {w}" for o in done for w in _warnings(o)):
        say(f"Warning: {warning}")


def _bias(outcome: "Processed") -> str:
    kept = outcome.result.conservation
    worst = float(abs(kept.bias).max())
    return "not kept" if kept.kind == "none" else f"{worst:.1e} of the {kept.kind}"


def _warnings(outcome: "Processed") -> tuple[str, ...]:
    verdict = outcome.result.domain
    if verdict.verdict == "inside":
        return outcome.result.warnings
    reasons = "; ".join(verdict.reasons)
    where = "at the border of" if verdict.verdict == "border" else "outside"
    return (*outcome.result.warnings, f"The image is {where} the training domain: {reasons}.")
