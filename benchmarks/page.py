"""The report for the browser: bars, latency against matrix, fidelity against latency, start and memory, conditions; offline."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..engine.report.document import write_document as write_html
from ..engine.report.shown import Planes
from . import figures
from .document import Document, errors_told, read_document
from .plans import SLOWER_BY, Row, bars, quiet_text, rows_of
from .regression import Verdict, change_table, compare_documents
from .summary import summary_tables
from .tables import number

__all__ = ["write_page"]

ASSETS = Path(__file__).parent / "assets"
PREFERRED = "256x256"
Entry = Mapping[str, Any]
Section = dict[str, Any]


def write_page(document: Document, path: Path, verdict: Verdict | None = None) -> Path:
    """Write one HTML file that needs no network and no other file.

    Parameters
    ----------
    document : dict
        Of :mod:`.document`.
    path : Path
        File to write.
    verdict : Verdict, optional
        Comparison with an earlier run.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    entries = document["benchmarks"]
    rows = [row for row in rows_of(entries) if row.frames == 1]
    sections = [*_changes(verdict), *_models(entries), *_starts(entries)]
    told = bars(rows)
    tables = [*([change_table(verdict)] if verdict else []), *summary_tables(document)]
    return write_html(
        path,
        "benchmark.html.j2",
        ("measured.js",),
        title="Benchmark",
        planes=Planes(),
        results=[{"start": 0, "figures": section["figures"]} for section in sections],
        assets=ASSETS,
        lead=_lead(entries),
        chips=_chips(told, verdict),
        conditions=_conditions(document),
        bars=told,
        grids=[_grid(rows, loss) for loss in dict.fromkeys(row.loss_db for row in rows)],
        sections=sections,
        tables=tables,
    )


def _lead(entries: Sequence[Entry]) -> str:
    models = {one["extra_info"].get("model") for one in entries} - {None}
    matrices = {one["extra_info"]["matrix"] for one in entries} - {""}
    return f"{len(entries)} figures, {len(models)} models, {len(matrices)} matrix sizes."


def _chips(told: Sequence[Any], verdict: Verdict | None) -> list[dict[str, str]]:
    chips = []
    if told:
        met = sum(bar.met for bar in told)
        chips.append({"level": "good" if met == len(told) else "fair", "text": f"{met} of {len(told)} bars met"})
    if verdict:
        slower = sum(change.slower for change in verdict.changes)
        text = f"{slower} of {len(verdict.changes)} figures slower than before"
        chips.append({"level": "poor" if slower else "good", "text": text})
    return chips


def _conditions(document: Document) -> list[tuple[str, str]]:
    """Return what the run was made on."""
    machine, extra = document["machine_info"], document["benchmarks"][0]["extra_info"]
    versions = extra["versions"]
    cpu = machine["cpu"]
    flags = [
        name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if name in cpu.get("flags", [])
    ]
    metered = any(one["extra_info"].get("joules") is not None for one in document["benchmarks"])
    return [
        ("Processor", f"{cpu.get('brand_raw', 'unknown')}, {cpu.get('count', 0)} logical cores"),
        ("Instructions", ", ".join(flags) or "not told"),
        ("Threads", str(extra["threads"])),
        ("System", f"{machine.get('system', '')} {machine.get('release', '')}".strip()),
        ("Measured", document["datetime"][:16].replace("T", " ") + " UTC"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("Other programs", quiet_text(document["benchmarks"]) or "not watched"),
        ("Energy", "RAPL, of the whole processor" if metered else "not measured"),
    ]


def _grid(rows: Sequence[Row], loss_db: float) -> dict[str, Any]:
    """Return ratios to the fastest other runtime, models down and matrices across."""
    chosen = [row for row in rows if row.loss_db == loss_db]
    cells = {(row.model, row.matrix): _cell(row) for row in chosen}
    matrices = list(dict.fromkeys(row.matrix for row in chosen))
    models = dict.fromkeys(row.model for row in chosen)
    return {
        "title": f"Against the fastest other runtime, admitted loss {loss_db:g} dB",
        "matrices": matrices,
        "rows": [{"model": model, "cells": [cells.get((model, matrix)) for matrix in matrices]} for model in models],
    }


def _cell(row: Row) -> dict[str, str]:
    ratio = row.against_peer
    loss = "" if row.peer_loss_db is None else f" ({row.peer_loss_db:.3f} dB)"
    tip = f"{row.plan}: {number(row.ours_ms)} ms; {row.peer}{loss}: {number(row.peer_ms)} ms; [{ratio.low:.2f}, {ratio.high:.2f}]"
    faithful = row.against_faithful
    if faithful:
        tip += f"; against the fastest that keeps the loss {faithful.value:.2f}"
    kept = faithful is not None and faithful.value <= SLOWER_BY
    level = "good" if ratio.value <= SLOWER_BY else "fair" if kept else "poor"
    return {"text": f"{ratio.value:.2f}", "level": level, "tip": tip}


def _changes(verdict: Verdict | None) -> list[Section]:
    """Return the section on the comparison with an earlier run."""
    if verdict is None:
        return []
    note = (
        f"Relative to peers that took turns, whose own drift, x{verdict.drift:.3f}, is taken out. Unchanged code differs by "
        f"{100 * verdict.between_runs:.1f} % between runs. {' '.join(verdict.notes)}"
    )
    chart = {"title": "Later / earlier, 95 % interval", "name": "changes", "note": note}
    figure = {"changes": figures.change_figure(verdict.changes)}
    return [{"title": "Compared with the earlier run", "about": "", "charts": [chart], "figures": figure}]


def _models(entries: Sequence[Entry]) -> list[Section]:
    """Return a section for each model with plans."""
    plans = [one for one in entries if one["group"] == "plans" and one["extra_info"]["call"] == "model"]
    found = []
    for model in dict.fromkeys(one["extra_info"]["model"] for one in plans):
        own = [one for one in plans if one["extra_info"]["model"] == model]
        matrices = list(dict.fromkeys(one["extra_info"]["matrix"] for one in own))
        charts = [{"title": "Latency against matrix", "name": "latency", "note": ""}]
        drawn = {"latency": figures.latency_figure(own)}
        matrix = PREFERRED if PREFERRED in matrices else matrices[len(matrices) // 2]
        points = [one for one in own if one["extra_info"]["matrix"] == matrix]
        if any(one["extra_info"].get("loss_db") is not None for one in points) and not own[0]["extra_info"]["findings"]:
            note = "The dotted line is the front: nothing measured is both more faithful and faster."
            charts.append({"title": f"Fidelity against latency, {matrix}", "name": "pareto", "note": note})
            drawn["pareto"] = figures.pareto_figure(points)
        found.append({"title": model, "about": "graph alone", "charts": charts, "figures": drawn})
    return found


def _starts(entries: Sequence[Entry]) -> list[Section]:
    """Return a section on fresh processes for each model and matrix."""
    starts = [one for one in entries if one["group"] == "start"]
    found = []
    for case in dict.fromkeys((one["extra_info"]["model"], one["extra_info"]["matrix"]) for one in starts):
        own = [one for one in starts if (one["extra_info"]["model"], one["extra_info"]["matrix"]) == case]
        charts = [{"title": "From nothing to the first result", "name": "start", "note": ""}]
        drawn = {"start": figures.start_figure(own)}
        if all(one["extra_info"]["peak_bytes"] for one in own):
            charts.append({"title": "Peak memory", "name": "memory", "note": ""})
            drawn["memory"] = figures.memory_figure(own)
        found.append({"title": f"{case[0]}, {case[1]}", "about": "a fresh process", "charts": charts, "figures": drawn})
    return found


def _main() -> None:
    """Write the report of a run for the browser."""
    parser = argparse.ArgumentParser(prog="python -m photopeak.benchmarks.page", description=_main.__doc__)
    parser.add_argument("report", type=Path, metavar="FILE.json", help="written by photopeak bench --json")
    parser.add_argument("page", type=Path, metavar="FILE.html", help="to write")
    parser.add_argument("--compare", type=Path, metavar="EARLIER.json", help="an earlier run")
    given = parser.parse_args()
    document = read_document(given.report)
    write_page(
        document, given.page, compare_documents(read_document(given.compare), document) if given.compare else None
    )


if __name__ == "__main__":
    with errors_told():
        _main()
