"""``photopeak study denoise``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.errors import UsageError
from ...engine.files import atomic_write
from ..cli import DataOption, WorkOption, require


def denoise(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for denoise.md, .json and .html.")],
    model: Annotated[str, typer.Argument(help="Name or folder of the bundle that is measured.")] = "pet-denoise",
    data: DataOption = None,
    work: WorkOption = Path("photopeak-train"),
) -> None:
    """Compare a denoiser of PET slices with tuned filters: error, contrast against variability, uptake, a real phantom.

    Example: photopeak study denoise -o denoise --data DIR
    """
    require(("scipy", "skimage", "bm3d"))
    from ...engine.zoo import load_bundle
    from ..evaluation.denoise_report import as_figure, as_markdown
    from ..evaluation.denoise_study import study

    bundle = load_bundle(model)
    if bundle.manifest.task != "denoise" or bundle.manifest.modalities != ("PT",):
        raise UsageError(f"{model} does not denoise PET slices, name a bundle that does.")
    work.mkdir(parents=True, exist_ok=True)
    report = study(bundle, data, work, partial(typer.echo, err=True))
    tables = as_markdown(report)
    contents = {
        "denoise.md": tables + "\n",
        "denoise.json": json.dumps(asdict(report)),
        "denoise.html": as_figure(report).to_html(include_plotlyjs=True),
    }
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(tables)
