"""Tables of a benchmark report: rows are cases, columns are matrix sizes.

``python -m photopeak.benchmarks.tables FILE.json`` prints them as Markdown.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path

from .document import errors_told
from .report import Measurement, Report, read_report

__all__ = ["Table", "markdown", "number", "show", "table_of", "tables", "text_of"]


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
        found.append(table_of(f"{stage}: median (p99) [ms]", ((m.case, m.matrix, _times(m)) for m in measurements)))
        if compared := [row for m in measurements for row in _against_baseline(m)]:
            found.append(table_of(f"{stage}: difference and ratio [95 % interval], taking turns", compared))
    return found


def markdown(report: Report, shown: Sequence[Table] = ()) -> str:
    """Return a report as Markdown: the machine, then the tables, those of the report if none are given."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    parts = [f"{report.cpu}, {report.cores} logical cores, {threads}; {versions}."]
    return "\n\n".join([*parts, *(text_of(table) for table in shown or tables(report))]) + "\n"


def text_of(table: Table) -> str:
    """Return a table as Markdown, its title above it.

    Examples
    --------
    >>> print(text_of(Table("Ages", ("name", "years"), (("Ada", "36"),))))
    **Ages**
    <BLANKLINE>
    | name | years |
    | --- | ---: |
    | Ada | 36 |
    """
    lines = [table.columns, ("---",) + ("---:",) * (len(table.columns) - 1), *table.rows]
    return f"**{table.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def show(shown: Iterable[Table]) -> None:
    """Print tables on the terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    console = Console()
    for table in shown:
        drawn = RichTable(title=escape(table.title), title_justify="left")
        for index, column in enumerate(table.columns):
            drawn.add_column(escape(column), justify="right" if index else "left")
        for row in table.rows:
            drawn.add_row(*map(escape, row))
        console.print(drawn)


def table_of(title: str, entries: Iterable[tuple[str, str, str]]) -> Table:
    """Return a table of (row, matrix, cell); what has no matrix shares a column."""
    cells = {(row, matrix or "any"): cell for row, matrix, cell in entries}
    names = dict.fromkeys(row for row, _ in cells)
    matrices = dict.fromkeys(matrix for _, matrix in cells)
    rows = tuple((name, *(cells.get((name, matrix), "") for matrix in matrices)) for name in names)
    return Table(title, ("case", *matrices), rows)


def _times(measurement: Measurement) -> str:
    """Return ``median (p99)``."""
    return f"{number(measurement.median_ms)} ({number(measurement.p99_ms)})"


def _against_baseline(measurement: Measurement) -> Iterator[tuple[str, str, str]]:
    """Yield for each contestant but the baseline ``case: ours / theirs``, the matrix, ``+0.0500 ms, x1.02 [1.01, 1.03]``."""
    comparison = measurement.comparison or {"contestants": {}}
    for name, figures in comparison["contestants"].items():
        if name != comparison["baseline"]:
            ratio, low, high = figures["ratio"]
            difference = figures["difference_ms"][0]
            cell = f"{'-' if difference < 0 else '+'}{number(abs(difference))} ms, x{ratio:.3g} [{low:.3g}, {high:.3g}]"
            yield f"{measurement.case}: {name} / {comparison['baseline']}", measurement.matrix, cell


def number(milliseconds: float) -> str:
    """Return three significant digits without an exponent, but nothing below a nanosecond."""
    digits = min(6, 2 - floor(log10(milliseconds))) if 0 < milliseconds < 100 else 0
    return f"{milliseconds:.{digits}f}"


def _main() -> None:
    """Print a report as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m photopeak.benchmarks.tables", description=_main.__doc__)
    parser.add_argument("report", type=Path, metavar="FILE.json", help="written by photopeak bench --json")
    print(markdown(read_report(parser.parse_args().report)), end="")


if __name__ == "__main__":
    with errors_told():
        _main()
