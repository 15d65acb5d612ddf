"""``photopeak study domain``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import DataOption, require


def domain(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for domain.md, domain.json and domain.html.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Names or folders of bundles; by default all of scintigraphy and PET that ship."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Tell inputs apart that a model was not trained on: other counts, blur, matrices, intensities, anatomies, photographs.

    Example: photopeak study domain scint-denoise -o domain --data DIR
    """
    require(("scipy", "skimage"))
    from ...engine import zoo
    from ..evaluation.domain_report import as_figure, as_markdown
    from ..evaluation.domain_study import has_inputs, study

    say = partial(typer.echo, err=True)
    bundles = [zoo.load_bundle(name) for name in models or zoo.names("images")]
    reports = [study(bundle, data, say) for bundle in bundles if models or has_inputs(bundle)]
    table = as_markdown(reports)
    contents = {
        "domain.md": table + "\n",
        "domain.json": json.dumps([asdict(report) for report in reports]),
        "domain.html": as_figure(reports).to_html(include_plotlyjs=True),
    }
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(table)
