"""``photopeak study adaptation``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import DataOption, require


def adaptation(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for adaptation.md and adaptation.json.")],
    data: DataOption = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps; by default those of the recipe.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 2,
) -> None:
    """Adapt the denoisers that ship to noisy images alone, of simulated sites and of the real phantom in DATA, and measure.

    Example: photopeak study adaptation -o adaptation --data DIR
    """
    require(("torch", "scipy", "skimage"))
    import torch

    from ..evaluation.adaptation_study import as_markdown, study_adaptation
    from ..recipes.adaptation import Settings

    torch.set_num_threads(threads)
    report = study_adaptation(data, Settings(steps=steps or Settings.steps), partial(typer.echo, err=True))
    tables = as_markdown(report)
    for name, content in {"adaptation.md": tables, "adaptation.json": json.dumps(asdict(report))}.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(tables)
