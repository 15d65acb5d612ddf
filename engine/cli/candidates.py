"""Tables of measured candidates for people and for programs, which ``photopeak tune`` and ``photopeak plan`` share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .console import line_width, plain, print_facts, print_table

if TYPE_CHECKING:
    from ..matrix import MatrixSize
    from ..plan import Request
    from ..selection import Verdict
    from ..tuned import Measured, Table

__all__ = ["described", "disturbance", "numbers", "print_candidates", "sizes"]

# Share of the processors from which on other programs are worth a word.
_DISTURBING = 0.1
# In shorter lines the reasons would be columns of a few letters.
_ROOM_FOR_REASONS = 120


def sizes(text: str) -> "list[MatrixSize]":
    """Return the matrix sizes of a list such as ``64,128,1024x256``."""
    from ..matrix import MatrixSize

    return [MatrixSize.parse(word) for word in text.split(",")]


def numbers(text: str, option: str) -> list[int]:
    """Return the whole numbers of a list such as ``1,16``.

    Raises
    ------
    UsageError
        If it is none.
    """
    from ..errors import UsageError

    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text!r} is no list of whole numbers; write such as 1,16.") from None


def described(table: "Table", request: "Request") -> dict[str, Any]:
    """Return what JSON says of a table: every candidate, and what becomes of it with a request."""
    from ..selection import verdicts

    found = verdicts(table.candidates, request)
    chosen = next((verdict.measured.model_dump() for verdict in found if verdict.chosen), None)
    candidates = [verdict.measured.model_dump() | _outcome(verdict) for verdict in found]
    return {
        "matrix": str(table.cell.matrix),
        "frames": table.frames,
        "others": table.others,
        "chosen": chosen,
        "candidates": candidates,
    }


def disturbance(tables: "Sequence[Table]") -> str:
    """Return that other programs may have falsified a measurement, or an empty string."""
    disturbed = [table for table in tables if table.others > _DISTURBING]
    if not disturbed:
        return ""
    worst = max(disturbed, key=lambda table: table.others)
    return (
        f"other programs used {worst.others:.0%} of the processors while {worst.cell} was measured; "
        "tune again when nothing else runs."
    )


def _outcome(verdict: "Verdict") -> dict[str, Any]:
    outcome = plain(verdict)
    del outcome["measured"]
    return dict(outcome)


def print_candidates(title: str, found: "Sequence[Verdict]", *, findings: bool) -> None:
    """Print the candidates of a table: those with figures by their medians, then why the others have none.

    Parameters
    ----------
    title : str
        What stands above them.
    found : sequence of Verdict
        The candidates.
    findings : bool
        Whether the loss is that of a model of findings, a change of probability.
    """
    from ..selection import label

    columns = ("provider", "", "threads", "batch", "median", "p99", "model", "change" if findings else "loss dB", "")
    rows = [_row(verdict, findings) for verdict in found if verdict.measured.runs]
    if line_width() < _ROOM_FOR_REASONS:
        print_table(f"{title} (times in ms)", columns[:-1], [row[:-1] for row in rows])
        print_facts("Why", [(label(verdict.measured), verdict.reason) for verdict in found if verdict.measured.runs])
    else:
        print_table(f"{title} (times in ms)", columns, rows)
    print_facts("Not measured", _others([verdict.measured for verdict in found if not verdict.measured.runs]))


def _row(verdict: "Verdict", findings: bool) -> tuple[str, ...]:
    from ..plan import numbers

    one = verdict.measured
    threads = f"{one.threads}" + (f" in {one.streams} streams" if one.streams > 1 else "")
    batch = f"{one.batch}" + (f", tiles of {one.tile}" if one.tile else "")
    where = numbers(one.precision, one.throughout) + ("" if one.device == "cpu" else f" {one.device}")
    where += "" if one.layout == "nchw" else f" {one.layout}"
    loss = f"{one.probability_change:.4f}" if findings else f"{one.loss_db:.3f}"
    times = (f"{one.median_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.model_ms:.2f}")
    return (one.provider, where, threads, batch, *times, loss, verdict.reason)


def _others(candidates: "Sequence[Measured]") -> list[tuple[str, str]]:
    """Return each reason once, with the candidates that it holds for."""
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for one in candidates:
        names = reasons.setdefault((one.provider, one.device, one.problem), [])
        if one.precision not in names:
            names.append(one.precision)
    return [(f"{name} {', '.join(names)} on {device}", why) for (name, device, why), names in reasons.items()]
