"""``photopeak study acquisition-time``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import require


def acquisition_time(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for acquisition-time.md, .json and .html.")],
    model: Annotated[str, typer.Argument(help="Name or folder of the bundle that processes.")] = "pet-denoise",
) -> None:
    """Score PET slices of several acquisition times and matrices before and after a model.

    Example: photopeak study acquisition-time -o times
    """
    require(("scipy", "skimage"))
    from ...engine.session import load_for_images
    from ..evaluation.acquisition_time import study
    from ..evaluation.acquisition_time_report import as_figure, as_markdown

    report = study(load_for_images(model, device="cpu", precision="fp32"), partial(typer.echo, err=True))
    table = as_markdown(report)
    contents = {
        "acquisition-time.md": table + "\n",
        "acquisition-time.json": json.dumps(asdict(report)),
        "acquisition-time.html": as_figure(report).to_html(include_plotlyjs=True),
    }
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(table)
