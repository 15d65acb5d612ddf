"""``photopeak study coil``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import require


def coil(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for coil.md and coil.json.")],
    loops: Annotated[
        list[int] | None, typer.Option(help="Loops of the wire; may be repeated. By default 1 to 4.")
    ] = None,
    coils: Annotated[int, typer.Option(min=1, help="Random coils for each.")] = 10,
    first: Annotated[int, typer.Option(min=0, help="Seed of the first.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the search.")] = 1,
) -> None:
    """Find the wire of random coils from two cone-beam views with quantum noise.

    Example: photopeak study coil -o coil --loops 2 --loops 3 --threads 2
    """
    require(("scipy",))
    from ..evaluation.coil_study import as_markdown, measure_coils

    seeds = range(first, first + coils)
    scores = measure_coils(loops or (1, 2, 3, 4), seeds, threads=threads, say=partial(typer.echo, err=True))
    table = as_markdown(scores)
    for name, content in (("coil.md", table + "\n"), ("coil.json", json.dumps([asdict(score) for score in scores]))):
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(table)
