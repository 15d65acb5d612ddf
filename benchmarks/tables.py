"""Tables of a benchmark report: rows are cases, columns are matrix sizes.

``python -m photopeak.benchmarks.tables FILE.json`` prints them as Markdown.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .report import Measurement, Report, read_report

__all__ = ["Table", "markdown", "tables"]


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows and columns.

    Parameters
    ----------
    title : str
        What the cells are.
    columns : tuple of str
        Headings; the first is that of the row names.
    rows : tuple of tuple of str
        Cells.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: Report) -> list[Table]:
    """Return for each stage its times, then its comparisons if it has some."""
    found = []
    for stage in dict.fromkeys(measurement.stage for measurement in report.measurements):
        measurements = [m for m in report.measurements if m.stage == stage]
        found.append(_table(f"{stage}: median (p99) [ms]", measurements, _times))
        if compared := [m for m in measurements if m.comparison]:
            found.append(_table(f"{stage}: against the baseline, taking turns", compared, _against_baseline))
    return found


def markdown(report: Report) -> str:
    """Return a report as Markdown: the machine, then the tables."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    parts = [f"{report.cpu}, {report.cores} logical cores, {threads}; {versions}."]
    for table in tables(report):
        lines = [table.columns, ("---",) + ("---:",) * (len(table.columns) - 1), *table.rows]
        parts += [f"**{table.title}**", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    return "\n\n".join(parts) + "\n"


def _table(title: str, measurements: Iterable[Measurement], cell: Callable[[Measurement], str]) -> Table:
    """Return one table; cases that have no matrix share a column."""
    cells = {(m.case, m.matrix): cell(m) for m in measurements}
    cases = dict.fromkeys(case for case, _ in cells)
    matrices = dict.fromkeys(matrix for _, matrix in cells)
    rows = tuple((case, *(cells.get((case, matrix), "") for matrix in matrices)) for case in cases)
    return Table(title, ("case", *(matrix or "any" for matrix in matrices)), rows)


def _times(measurement: Measurement) -> str:
    """Return ``median (p99)``."""
    return f"{_number(measurement.median_ms)} ({_number(measurement.p99_ms)})"


def _against_baseline(measurement: Measurement) -> str:
    """Return ``ours +0.05 ms, x1.02 [1.01, 1.03]`` for each contestant but the baseline."""
    comparison = measurement.comparison or {}
    return "; ".join(
        f"{name} {figures['difference_ms'][0]:+.3f} ms, "
        f"x{figures['ratio'][0]:.3g} [{figures['ratio'][1]:.3g}, {figures['ratio'][2]:.3g}]"
        for name, figures in comparison["contestants"].items()
        if name != comparison["baseline"]
    )


def _number(milliseconds: float) -> str:
    """Return three significant digits without an exponent."""
    digits = 0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2 if milliseconds >= 1 else 3
    return f"{milliseconds:.{digits}f}"


def _main() -> None:
    """Print a report as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m photopeak.benchmarks.tables", description=_main.__doc__)
    parser.add_argument("report", type=Path, metavar="FILE.json", help="written by photopeak bench --json")
    print(markdown(read_report(parser.parse_args().report)), end="")


if __name__ == "__main__":
    _main()
