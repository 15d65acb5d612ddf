"""``photopeak study cam``."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import require


def cam(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Names or folders of bundles; by default all that ship and give findings."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="How many images for each.")] = 100,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 2,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the table to this Markdown file.")
    ] = None,
) -> None:
    """Compare the evidence maps that graphs compute themselves with Grad-CAM by automatic differentiation.

    Example: photopeak study cam --output cam.md
    """
    require(("torch",))
    import torch

    from ...engine import zoo
    from ...engine.errors import UsageError
    from ...engine.manifest import ANALYSES
    from ...engine.providers import PROVIDERS, Target
    from ..evaluation.cam_study import as_markdown, measure_cam

    bundles = [zoo.load_bundle(name) for name in models or zoo.names()]
    chosen = [bundle for bundle in bundles if bundle.manifest.task in ANALYSES]
    if not chosen or (models and len(chosen) < len(models)):
        raise UsageError("only models of findings have evidence maps, name one or train it first.")
    torch.set_num_threads(threads)
    providers = [provider for provider in PROVIDERS if not provider.check(Target())]
    say = partial(typer.echo, err=True)
    rows = [row for bundle in chosen for row in measure_cam(bundle, providers, images=images, tell=say)]
    table = as_markdown(rows)
    if output:
        with atomic_write(output) as file:
            file.write(table.encode() + b"\n")
    typer.echo(table)
