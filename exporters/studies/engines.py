"""``photopeak study engines``."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from ...engine.files import atomic_write


def engines(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for TENSORRT.md.")],
    matrix: Annotated[str, typer.Option(help="Sizes of frames, separated by commas.")] = "128,256,512",
) -> None:
    """Build engines of TensorRT-RTX of every model that ships, and say how large they are and what they are made of.

    Example: photopeak study engines -o exporters
    """
    from ...engine.matrix import MatrixSize
    from ...engine.zoo import load_bundle, names
    from ..evaluation.engine_study import as_markdown, measure

    matrices = [MatrixSize.parse(text) for text in matrix.split(",")]
    with TemporaryDirectory() as folder:
        found = measure(map(load_bundle, names()), matrices, Path(folder), typer.echo)
    with atomic_write(output / "TENSORRT.md") as file:
        file.write(as_markdown(found).encode())
    typer.echo(f"wrote {output / 'TENSORRT.md'}")
