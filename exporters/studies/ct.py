"""``photopeak study ct``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import DataOption, require


def ct(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for ct.md, .json and .html.")],
    model: Annotated[str, typer.Argument(help="Name or folder of the bundle that is measured.")] = "ct-sr-x2",
    data: DataOption = None,
) -> None:
    """Measure transfer function, noise power and detail of CT before and after a model, and of the real phantom in DATA.

    Example: photopeak study ct -o ct --data DIR
    """
    require(("scipy", "skimage"))
    from ...engine.zoo import load_bundle
    from ..evaluation.ct_report import as_figure, as_markdown
    from ..evaluation.ct_study import measure_ct

    report = measure_ct(load_bundle(model).model, data, partial(typer.echo, err=True))
    tables = as_markdown(report)
    contents = {
        "ct.md": tables,
        "ct.json": json.dumps(asdict(report)),
        "ct.html": as_figure(report).to_html(include_plotlyjs=True),
    }
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(tables)
