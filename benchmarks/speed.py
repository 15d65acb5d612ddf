"""The page on speed: reports of several runs as one document.

``python -m photopeak.benchmarks.speed ONE.json TWO.json > SPEED.md`` writes it.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..engine.matrix import MatrixSize
from .document import errors_told
from .report import Measurement, Report, read_report
from .tables import Table, markdown, table_of, text_of

__all__ = ["page", "per_pixel", "ratios"]

HEAD = """# Speed

Written by `make figures`. All contestants of a row take turns, call by call, in one process with the same number of threads;
times are wall times in ms, the median and in parentheses the 99th percentile of single calls; ratios are medians over rounds
with a 95 % interval. A call that is not timed goes before each timed one, unless it takes longer than 100 ms, so that everyone
finds the caches as its own calls leave them. What is left out of a time stands at the top of each suite in this folder."""


def page(reports: Sequence[Report]) -> str:
    """Return the document: how many times faster, the time per pixel, then everything measured, run by run."""
    parts = [HEAD]
    for report in reports:
        parts.append(f"## {_threads(report)}")
        for table in (*ratios(report), *per_pixel(report)):
            parts.append(text_of(table))
    for report in reports:
        parts += [f"## All figures, {_threads(report).lower()}", markdown(report).rstrip()]
    return "\n\n".join(parts) + "\n"


def ratios(report: Report) -> list[Table]:
    """Return for each stage how many times longer than ours the others take."""
    found = []
    for stage, measurements in _stages(report):
        cells = []
        for measurement in measurements:
            comparison = measurement.comparison or {"contestants": {}}
            for name, figures in comparison["contestants"].items():
                if name != comparison["baseline"]:
                    ratio, low, high = figures["ratio"]
                    cell = f"{ratio:.3g} [{low:.3g}, {high:.3g}]"
                    cells.append((f"{measurement.case}: {name}", measurement.matrix, cell))
        if cells:
            found.append(table_of(f"{stage}: times as long as photopeak", cells))
    return found


def per_pixel(report: Report) -> list[Table]:
    """Return for each stage our median time per pixel of one frame, so that its growth with the matrix can be seen."""
    found = []
    for stage, measurements in _stages(report):
        cells = [
            (m.case, m.matrix, f"{1e6 * m.median_ms / MatrixSize.parse(m.matrix).pixels:.3g}")
            for m in measurements
            if m.matrix and "batch" not in m.case
        ]
        if cells:
            found.append(table_of(f"{stage}: time per pixel [ns]", cells))
    return found


def _stages(report: Report) -> Iterable[tuple[str, list[Measurement]]]:
    for stage in dict.fromkeys(measurement.stage for measurement in report.measurements):
        yield stage, [measurement for measurement in report.measurements if measurement.stage == stage]


def _threads(report: Report) -> str:
    return "One thread" if report.threads == 1 else f"{report.threads} threads"


def _main() -> None:
    """Print the page on speed."""
    parser = argparse.ArgumentParser(prog="python -m photopeak.benchmarks.speed", description=_main.__doc__)
    parser.add_argument("reports", type=Path, nargs="+", metavar="FILE.json", help="written by photopeak bench --json")
    print(page([read_report(file) for file in parser.parse_args().reports]), end="")


if __name__ == "__main__":
    with errors_told():
        _main()
