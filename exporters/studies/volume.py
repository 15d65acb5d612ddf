"""``photopeak study volume``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.errors import UsageError
from ...engine.files import atomic_write
from ..cli import require


def volume(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for volume.md and volume.json.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Of derenzo, jaszczak, 'bone lesions'; by default all.")
    ] = None,
    views: Annotated[list[int] | None, typer.Option(help="Numbers of views over half a turn.", min=2)] = None,
    counts: Annotated[list[float] | None, typer.Option(help="Counts in all views together.", min=1)] = None,
    seeds: Annotated[int, typer.Option(help="Acquisitions of each object.", min=1)] = 5,
    threads: Annotated[int, typer.Option(help="How many to use.", min=1)] = 1,
) -> None:
    """Reconstruct rods, spheres and bone lesions from few views, by total variation and by expectation maximisation.

    Example: photopeak study volume -o volume --views 2 --views 12
    """
    require(("scipy",))
    from ..evaluation.volume_study import OBJECTS, as_markdown, study

    unknown = set(names or ()) - OBJECTS.keys()
    if unknown:
        raise UsageError(f"{min(unknown)!r} is no object; use {', '.join(OBJECTS)}.")
    say = partial(typer.echo, err=True)
    found = list(study(names or list(OBJECTS), views or [2, 6, 12, 60], counts or [1e6], seeds, say, threads=threads))
    table = as_markdown(found)
    contents = {"volume.md": table + "\n", "volume.json": json.dumps([asdict(entry) for entry in found])}
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(table)
