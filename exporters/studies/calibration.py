"""``photopeak study calibration``."""

from pathlib import Path
from typing import Annotated

import typer

from ...engine.files import atomic_write
from ..cli import require


def calibration(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for calibration.md.")],
    count: Annotated[int, typer.Option(help="How many anatomies and coils.")] = 20,
) -> None:
    """Find known errors of the geometry again: a table that moved, a detector beside its place, an angle, a magnification.

    Example: photopeak study calibration -o calibration
    """
    require(("scipy",))
    from ..evaluation.calibration_study import as_markdown, coils_by_landmarks, coils_checked, livers

    table = as_markdown([*livers(count), *coils_by_landmarks(count)], coils_checked(count))
    with atomic_write(output / "calibration.md") as file:
        file.write(f"{table}\n".encode())
    typer.echo(table)
