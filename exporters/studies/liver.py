"""``photopeak study liver``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import require


def liver(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for liver.md and liver.json.")],
    anatomies: Annotated[int, typer.Option(min=1, help="How many random livers.")] = 20,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the solver.")] = 2,
) -> None:
    """Reconstruct random livers from two views of a gamma camera, and compare the shapes with the truth.

    Example: photopeak study liver -o liver
    """
    require(("scipy",))
    from ..evaluation.liver_study import as_markdown, study_livers

    rows = study_livers(partial(typer.echo, err=True), anatomies=anatomies, threads=threads)
    table = as_markdown(rows)
    contents = {"liver.md": table + "\n", "liver.json": json.dumps([asdict(row) for row in rows])}
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(table)
