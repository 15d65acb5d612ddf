"""``photopeak study bone-classify``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import DataOption, WorkOption, require


def bone_classify(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for bone-classify.md and bone-classify.json.")],
    model: Annotated[str, typer.Argument(help="Name or folder of the bundle that is measured.")] = "bone-classify",
    data: DataOption = None,
    work: WorkOption = Path("photopeak-train"),
    patients: Annotated[
        int, typer.Option(min=40, help="Held-out patients, each with normal ribs, fractures and metastases.")
    ] = 150,
) -> None:
    """Measure how well fractures and metastases of ribs are told apart on held-out simulated patients, and where the evidence lies.

    Two plain rivals are measured on the same views; with --data the real whole-body scans are read too.

    Example: photopeak study bone-classify --data DIR -o bone
    """
    require(("torch", "scipy", "sklearn"))
    from ...engine.zoo import load_bundle
    from ..evaluation.bone_classify_report import as_markdown
    from ..evaluation.bone_classify_study import measure_bones
    from ..recipes.analysis.bone_images import pool
    from ..recipes.analysis.bone_training import BoneRecipe

    def tell(what: str) -> None:
        if what.endswith("0") or " of " not in what:
            typer.echo(what, err=True)

    tuning = pool("tune", BoneRecipe().tuning, work, tell)
    report = measure_bones(load_bundle(model), data, tuning, tell, patients)
    tables = as_markdown(report)
    for name, content in {"bone-classify.md": tables + "\n", "bone-classify.json": json.dumps(asdict(report))}.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(tables)
