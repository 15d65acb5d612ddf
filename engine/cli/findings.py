"""``photopeak run`` for models that detect or classify."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import answer, plain, print_facts, print_table, say

if TYPE_CHECKING:
    from ..analysis.pipeline import Analysed, Options
    from ..analysis.result import AnalysisResult
    from ..analysis.session import AnalysisSession
    from ..pipeline import Failure

__all__ = ["print_analysed", "run_analysis"]


def run_analysis(
    session: "AnalysisSession",
    inputs: Sequence[Path],
    out: Path,
    options: "Options",
    *,
    report: bool = False,
    as_json: bool = False,
) -> None:
    """Find or classify in every image, and tell of it.

    Parameters
    ----------
    session : AnalysisSession
        The model.
    inputs : sequence of Path
        Files and folders.
    out : Path
        Folder for the output.
    options : Options
        What the user chose.
    report : bool
        Whether to write a page of all results, which stay in memory until the end.
    as_json : bool
        Whether to print JSON and nothing else.

    Raises
    ------
    PhotopeakError
        If the only image failed, or some did.
    """
    from ..analysis.pipeline import analyse
    from ..failures import Failure, raise_failures

    done: list[Analysed] = []
    with answer(as_json) as found:

        def tell(outcome: "Analysed | Failure") -> "Failure | None":
            """Tell of an image at its end; but for a report, only a failure is kept."""
            if as_json:
                found.setdefault("outcomes", []).append(plain(_summary(outcome)))
            else:
                print_analysed(outcome)
            if isinstance(outcome, Failure):
                return outcome
            if report:
                done.append(outcome)
            return None

        ended = list(map(tell, analyse(inputs, out, session, options)))
        found["report"] = _report(done, out) if done else None
        if done and not as_json:
            say(f"Report: {found['report']}")
        raise_failures(ended, "images")


def print_analysed(outcome: "Analysed | Failure") -> None:
    """Print what was found in an image and what to know about it, or why nothing could be done."""
    from ..failures import Failure

    if isinstance(outcome, Failure):
        print_facts(outcome.source, [("failed", str(outcome.error))])
        return
    result = outcome.result
    facts = [
        ("images", _images(result)),
        ("domain", "; ".join([result.domain.verdict, *result.domain.reasons])),
        ("time", ", ".join(f"{name} {ms:.1f}" for name, ms in result.timings_ms.items()) + " ms"),
        ("plan", result.plan.reason),
        ("written", f"{outcome.paths[0]} and {len(outcome.paths) - 1} more"),
        *(("warning", warning) for warning in result.warnings),
    ]
    print_facts(f"{result.reference.source}: {result.bundle.name} {result.bundle.manifest.version}", facts)
    if result.probabilities is None:
        _print_detections(result)
    else:
        _print_classes(result)
    for rows in outcome.regions:
        table = [(row.name, f"{row.energy:.1%}", f"{row.area:.1%}") for row in rows]
        print_table("Where the evidence lies", ("region", "evidence", "area"), table)


def _images(result: "AnalysisResult") -> str:
    names = result.channels or ("",)
    shown = [
        f"{name} {source.source} {source.matrix}".strip() if source else f"{name} absent"
        for name, source in zip(names, result.sources, strict=True)
    ]
    frames = f", {len(result)} frames" if len(result) > 1 else ""
    return ", ".join(shown) + frames


def _validity(result: "AnalysisResult", index: int) -> str:
    from ..analysis.result import NOT_VALID

    return "" if result.valid_frames[index] else NOT_VALID


def _print_detections(result: "AnalysisResult") -> None:
    """Print the lesions of each frame."""
    rows = []
    for index, lesions in enumerate(result.detections):
        for lesion in lesions:
            centre = "" if lesion.centre_mm is None else "{:.0f}, {:.0f}".format(*lesion.centre_mm)
            diameter = "" if lesion.diameter_mm is None else f"{lesion.diameter_mm:.1f}"
            box = ", ".join(f"{edge:.0f}" for edge in lesion.box)
            rows.append(
                (str(result.number(index)), f"{lesion.score:.3f}", box, centre, diameter, _validity(result, index))
            )
        if not lesions:
            rows.append((str(result.number(index)), "none", "", "", "", _validity(result, index)))
    title = f"Findings: {result.labels[0]}, from {result.threshold:.3g} on"
    print_table(title, ("frame", "score", "box px", "centre mm", "size mm", ""), rows)


def _print_classes(result: "AnalysisResult") -> None:
    """Print the probabilities of each frame."""
    rows = []
    for index, chances in enumerate([] if result.probabilities is None else result.probabilities.tolist()):
        finding = result.labels[result.found(index)[0]]
        view = result.reference.info[index].view
        shares = [f"{chance:.3f}" for chance in chances]
        rows.append((str(result.number(index)), view, finding, *shares, _validity(result, index)))
    title = f"Findings: {' or '.join(result.labels[1:])} from {result.threshold:.3g} on"
    print_table(title, ("frame", "view", "finding", *result.labels, ""), rows)


def _summary(outcome: "Analysed | Failure") -> dict[str, Any]:
    """Return what JSON says of an image."""
    from ..failures import Failure

    if isinstance(outcome, Failure):
        return {"source": outcome.source, "error": str(outcome.error), "exit_code": outcome.error.exit_code}
    from ..analysis.findings import described

    return described(outcome.result, outcome.regions) | {"outputs": outcome.paths}


def _report(done: "list[Analysed]", out: Path) -> Path:
    from ..report.findings_page import write_findings_report

    results, regions = [one.result for one in done], [one.regions for one in done]
    return write_findings_report(results, out / "report.html", regions=regions)
