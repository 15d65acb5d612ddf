"""``photopeak study sr``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.errors import UsageError
from ...engine.files import atomic_write
from ..cli import DataOption, WorkOption, require

_RECIPE = "pet-sr-x2"


def sr(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for sr.md, .json and .html.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names or folders of bundles that double the matrix of PET slices; by default all that ship."
        ),
    ] = None,
    data: DataOption = None,
    ma_model: Annotated[
        Path | None, typer.Option(help="Model of Ma et al. for the perceptual index, which does not ship.")
    ] = None,
    fit: Annotated[
        Path | None, typer.Option(help="Learn the dictionary of ScSR anew, write it to this file and stop.")
    ] = None,
    work: WorkOption = Path("photopeak-train"),
) -> None:
    """Double the matrix of held-out PET slices by interpolation, sparse coding and networks, and compare with the truth.

    Example: photopeak study sr pet-sr-x2 pet-sr-x2-fast -o sr --data DIR
    """
    require(("scipy", "skimage", "bm3d", "torch") if not fit else ("scipy", "sklearn"))
    from ...engine import zoo
    from ..recipes.catalogue import find

    say = partial(typer.echo, err=True)
    recipe = find(_RECIPE)
    if fit:
        from ..recipes.scsr import learn
        from ..recipes.slices import build_slice_pool, load_or_build_slice_pool

        work.mkdir(parents=True, exist_ok=True)
        pool = load_or_build_slice_pool(work / f"pool-{_RECIPE}.npz", lambda: build_slice_pool(recipe, advance=say))
        learn(pool.pairs).save(fit)
        typer.echo(f"wrote {fit}.")
        return
    from ..evaluation.perception import references, train_judges
    from ..evaluation.sr_comparison import compare
    from ..evaluation.sr_report import as_figure, as_markdown

    bundles = {name: zoo.load_bundle(name) for name in models or _shipped()}
    for name, bundle in bundles.items():
        if bundle.manifest.modalities != ("PT",) or bundle.manifest.image_output.scale != 2:
            raise UsageError(f"{name} does not double the matrix of PET slices, leave it out.")
    graphs = {bundle.manifest.name: bundle.model for bundle in bundles.values()}
    judges = train_judges(references(recipe, tell=say), recipe)
    found = compare(recipe, graphs, judges, data=data, ma_model=ma_model, tell=say)
    table = as_markdown(found)
    contents = {
        "sr.md": table + "\n",
        "sr.json": json.dumps(asdict(found)),
        "sr.html": as_figure(found).to_html(include_plotlyjs=True),
    }
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(table)


def _shipped() -> list[str]:
    """Return the models that ship and double the matrix of PET slices."""
    from ...engine import zoo

    return [name for name in zoo.names() if name.startswith(_RECIPE)]
