"""``photopeak study bone-scan``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...engine.errors import UsageError
from ...engine.files import atomic_write
from ..cli import DataOption, require

_SHIPPED = "scint-sr-x2"


def bone_scan(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for bone-scan.md and bone-scan.json.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(help=f"Names or folders of bundles that double the matrix of planar scans; else {_SHIPPED}."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Double the matrix of a real whole-body bone scan, and judge it by binning and by counts that were left out.

    Example: photopeak study bone-scan -o bone-scan --data DIR
    """
    require(("scipy", "skimage", "bm3d"))
    from ...engine import zoo
    from ..evaluation.bone_scan import as_markdown, enlarge_scan, read_scan

    scan = read_scan(data)
    bundles = {name: zoo.load_bundle(name) for name in models or [_SHIPPED]}
    for name, bundle in bundles.items():
        if bundle.manifest.modalities != ("NM",) or bundle.manifest.image_output.scale != 2:
            raise UsageError(f"{name} does not double the matrix of planar scans, leave it out.")
    graphs = {bundle.manifest.name: bundle.model for bundle in bundles.values()}
    found = enlarge_scan(scan, graphs, partial(typer.echo, err=True))
    table = as_markdown(found)
    contents = {"bone-scan.md": table + "\n", "bone-scan.json": json.dumps([asdict(entry) for entry in found])}
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content.encode())
    typer.echo(table)
