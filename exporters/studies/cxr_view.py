"""``photopeak study cxr-view``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import WorkOption, require


def cxr_view(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for cxr-view.md, .json and .html.")],
    data: Annotated[Path, typer.Option(help="Folder with labelled chest radiographs, or with them in its folder cxr.")],
    model: Annotated[str, typer.Argument(help="Name or folder of the bundle that is measured.")] = "cxr-view",
    work: WorkOption = Path("photopeak-train"),
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 2,
) -> None:
    """Measure how well AP and PA are told apart across and within sources, where the evidence lies, and what is refused.

    Networks of the cross-validation are those that a training left in WORK, or are trained anew; sources are left out in any
    case, which trains twice more.

    Example: photopeak study cxr-view --data DIR -o cxr
    """
    require(("torch", "scipy", "skimage", "sklearn"))
    import torch

    from ...engine.zoo import load_bundle
    from ..evaluation.cxr_refusals import refusals
    from ..evaluation.cxr_report import as_figure, as_markdown
    from ..evaluation.cxr_study import measure_cxr
    from ..recipes.analysis.radiograph import CHECKPOINT
    from ..recipes.analysis.radiograph_images import make_pool, read_radiographs
    from ..recipes.analysis.radiograph_training import RadiographRecipe, load_or_cross_validate

    torch.set_num_threads(threads)
    tell, recipe = partial(typer.echo, err=True), RadiographRecipe()
    radiographs = read_radiographs(data)
    pool = make_pool(radiographs, recipe.side)
    found = load_or_cross_validate(work / CHECKPOINT, pool, recipe, seed, tell)
    report = measure_cxr(pool, recipe, seed, tell, found, refused=refusals(load_bundle(model), radiographs))
    tables = as_markdown(report)
    contents = {
        "cxr-view.md": tables + "\n",
        "cxr-view.json": json.dumps(asdict(report)),
        "cxr-view.html": as_figure(report).to_html(include_plotlyjs=True),
    }
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(tables)
