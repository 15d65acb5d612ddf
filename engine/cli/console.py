"""What all commands share: consoles, JSON, tables and progress."""

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]
PrecisionOption = Annotated[str, typer.Option(help="auto, fp32, bf16, fp16 or int8.")]
ProviderOption = Annotated[
    str, typer.Option(help="auto, onnxruntime, onnxruntime-tensorrt, tensorrt, tensorrt-rtx, openvino or reference.")
]
ThreadsOption = Annotated[int, typer.Option(help="Threads of one run; 0 for all processors.")]
LossOption = Annotated[float, typer.Option(help="Largest loss of PSNR against fp32 that is admitted, in dB.")]


class Unfinished(Exception):
    """A command that did part of its work and then failed, from the error that it failed with.

    Parameters
    ----------
    found : dict
        What the command has to tell programs in spite of the error.
    """

    def __init__(self, found: dict[str, Any]) -> None:
        super().__init__(found)
        self.found = found


@contextmanager
def answer(as_json: bool) -> Iterator[dict[str, Any]]:
    """Give a block a dictionary to fill, and print it as JSON when the block ends.

    Standard output holds one object even when the block fails: what was found until then goes up with the error, which
    joins it there.
    """
    found: dict[str, Any] = {}
    try:
        yield found
    except BaseException as error:
        if as_json:
            raise Unfinished(found) from error
        raise
    if as_json:
        print_json(found)


def fail(sentence: str) -> None:
    """Print an error on standard error."""
    Console(stderr=True, soft_wrap=True).print(f"photopeak: {sentence}", style="red", markup=False, highlight=False)


def say(text: str) -> None:
    """Print a line for people, as it is."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def print_json(value: Any) -> None:
    """Print a value as JSON, for programs; NaN, which JSON lacks, becomes null."""
    sys.stdout.write(json.dumps(plain(value), indent=2) + "\n")


def plain(value: Any) -> Any:
    """Return a value made of what JSON has."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy's arrays and scalars; importing it would slow down every command
        return plain(value.tolist())
    if isinstance(value, Path | Enum):
        return str(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def line_width() -> int:
    """Return how many letters a line of standard output holds."""
    return Console().width


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table for people."""
    table = Table(title=_escaped(title), title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        # The last column gives way on narrow terminals; names and figures stay on one line.
        table.add_column(_escaped(column), overflow="fold", no_wrap=i + 1 < len(columns))
    for row in rows:
        table.add_row(*map(_escaped, row))
    Console().print(table)


def print_facts(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print a heading and named facts below it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, fact in rows:
        grid.add_row(f"  {name}", _escaped(fact))
    console = Console()
    console.print(title, style="bold", markup=False, highlight=False)
    console.print(grid, highlight=False)


@contextmanager
def progress(description: str, shown: bool = True) -> Iterator[Progress]:
    """Show a progress bar on standard error while the block runs; only on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal), transient=True) as bar:
        bar.add_task(description, total=None)
        yield bar


@contextmanager
def paused(bar: Progress) -> Iterator[None]:
    """Take a progress bar away while the block prints, since both may share a terminal."""
    bar.stop()
    try:
        yield
    finally:
        bar.start()


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
