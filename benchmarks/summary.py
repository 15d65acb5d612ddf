"""What a document has to say, as tables: plans and their bars, scenarios, starts, and everything else as it was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .document import Document
from .plans import plan_tables, rows_of
from .report import Report
from .tables import Table, number, table_of, tables

__all__ = ["summary_tables"]

OF_MODELS = ("plans", "single-stream", "offline", "start")
Entry = Mapping[str, Any]


def summary_tables(document: Document) -> list[Table]:
    """Return all tables of a document."""
    entries = document["benchmarks"]
    others = [one for one in entries if one["group"] not in OF_MODELS]
    found = tables(Report.from_document(dict(document) | {"benchmarks": others})) if others else []
    if rows := rows_of(entries):
        found += plan_tables(rows)
    by_group = {group: [one for one in entries if one["group"] == group] for group in OF_MODELS}
    if of := by_group["plans"]:
        found.append(table_of("plans: p50 / p90 / p99 of single calls [ms]", map(_percentiles, of)))
        found.append(table_of("plans: throughput [frames/s]", map(_throughput, of)))
        if any(one["extra_info"].get("joules") is not None for one in of):
            found.append(table_of("plans: energy of a call, whole machine [J]", map(_energy, of)))
    if of := by_group["single-stream"]:
        title = "SingleStream: 90th percentile, and what it does not exceed with 99 % confidence [ms] (queries)"
        found.append(table_of(title, map(_stream, of)))
    if of := by_group["offline"]:
        found.append(table_of("Offline: throughput [samples/s]", map(_offline, of)))
    if of := by_group["start"]:
        found += [_starts(of)]
    return found


def _percentiles(one: Entry) -> tuple[str, str, str]:
    values = np.percentile(1e3 * np.asarray(one["stats"]["data"]), [50, 90, 99])
    return _case(one), one["extra_info"]["matrix"], " / ".join(map(number, values))


def _throughput(one: Entry) -> tuple[str, str, str]:
    frames = one["extra_info"]["frames"] / one["stats"]["median"]
    return _case(one), one["extra_info"]["matrix"], f"{frames:.3g}"


def _energy(one: Entry) -> tuple[str, str, str]:
    joules = one["extra_info"].get("joules")
    return _case(one), one["extra_info"]["matrix"], "" if joules is None else f"{joules:.3g}"


def _stream(one: Entry) -> tuple[str, str, str]:
    bound = one["extra_info"].get("p90")
    if bound is None:
        cell = f"too few queries ({len(one['stats']['data'])})"
    else:
        cell = f"{number(1e3 * bound['estimate'])}, {number(1e3 * bound['bound'])} ({bound['queries']})"
    return _case(one), one["extra_info"]["matrix"], cell


def _offline(one: Entry) -> tuple[str, str, str]:
    return _case(one), one["extra_info"]["matrix"], f"{one['extra_info']['samples_per_second']:.3g}"


def _starts(entries: Sequence[Entry]) -> Table:
    stages = list(entries[0]["extra_info"]["stages_s"])
    columns = ("model", "matrix", "contestant", *(f"{stage} [s]" for stage in stages), "in all [s]")
    columns += ("peak memory [MiB]", "beyond the import [MiB]")
    rows = []
    for one in entries:
        extra = one["extra_info"]
        peak, imported = (extra[name] / 2**20 for name in ("peak_bytes", "imported_bytes"))
        memory = (f"{peak:.0f}", f"{peak - imported:.0f}") if peak else ("", "")
        seconds = (f"{extra['stages_s'][stage]:.3f}" for stage in stages)
        rows.append(
            (extra["model"], extra["matrix"], extra["contestant"], *seconds, f"{one['stats']['median']:.3f}", *memory)
        )
    return Table("Start of a fresh process, medians over launches", columns, tuple(rows))


def _case(one: Entry) -> str:
    return str(one["extra_info"]["case"])
