"""``photopeak study niqe``."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ...engine.files import atomic_write
from ..cli import DataOption, require


def niqe(
    data: DataOption = None,
    fit: Annotated[
        Path | None, typer.Option(help="Fit the model of scintigraphy anew and write it to this file.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the table to this Markdown file.")
    ] = None,
) -> None:
    """Compare how the NIQE models of scintigraphy and of photographs rank held-out scans.

    Example: photopeak study niqe --output niqe.md
    """
    require(("scipy",))
    from ..evaluation.niqe_ranking import MODELS, as_markdown, fit_nm, rank

    say = partial(typer.echo, err=True)
    chosen: dict[str, Any] = {model: model for model in MODELS}
    if fit:
        chosen["nm"] = fit_nm(data, say)
        chosen["nm"].save(fit)
    table = as_markdown(rank(chosen, say))
    if output:
        with atomic_write(output) as file:
            file.write(table.encode() + b"\n")
    typer.echo(table)
