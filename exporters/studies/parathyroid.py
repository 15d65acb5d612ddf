"""``photopeak study parathyroid``."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ...engine.files import atomic_write
from ..cli import require


def parathyroid(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for parathyroid.md, .json, .html and .png.")],
    model: Annotated[str, typer.Argument(help="Name or folder of the bundle that is measured.")] = "parathyroid-detect",
    cases: Annotated[int, typer.Option(min=10, help="Held-out cases.")] = 400,
    tuning: Annotated[int, typer.Option(min=10, help="Cases to tune the classical observers on.")] = 120,
) -> None:
    """Find parathyroid glands in held-out simulated cases, beside a threshold and matched templates.

    Example: photopeak study parathyroid -o parathyroid
    """
    require(("scipy",))
    from ...engine.analysis.session import AnalysisSession
    from ...engine.errors import UsageError
    from ...engine.session import load
    from ..evaluation.parathyroid_pictures import gallery
    from ..evaluation.parathyroid_report import as_figure, as_markdown
    from ..evaluation.parathyroid_study import study

    session = load(model, device="cpu", precision="fp32", threads=1)
    if not isinstance(session, AnalysisSession):
        raise UsageError(f"{model} gives images and no findings, name a model that detects.")
    report = study(session, cases=cases, tuning=tuning, tell=partial(typer.echo, err=True))
    tables = as_markdown(report)
    contents = {
        "parathyroid.md": f"{tables}\n".encode(),
        "parathyroid.json": json.dumps(asdict(report), default=_listed).encode(),
        "parathyroid.html": as_figure(report).to_html(include_plotlyjs=True).encode(),
        "parathyroid.png": gallery(session),
    }
    for name, content in contents.items():
        with atomic_write(output / name) as file:
            file.write(content)
    typer.echo(tables)


def _listed(value: Any) -> Any:
    """Return what JSON can hold of an array; the first threshold of a curve is infinite."""
    import numpy as np

    return [float(one) if np.isfinite(one) else None for one in np.ravel(value)]
