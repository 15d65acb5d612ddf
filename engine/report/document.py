"""What all reports share: one file, a policy that admits no connection, the packed images and the chart library."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.colors import diverging, sequential

from ..errors import InputError
from ..files import atomic_write
from . import charts, facts
from .shown import Planes

__all__ = ["COLOUR_MAPS", "DIVERGING", "write_document"]

ASSETS = Path(__file__).parent / "assets"
SHARED_SCRIPTS = ("decode.js", "charts.js", "page.js")
COLOUR_MAPS = {
    "inverse grey": ["#ffffff", "#000000"],
    "grey": ["#000000", "#ffffff"],
    "viridis": list(sequential.Viridis),
    "inferno": list(sequential.Inferno),
}
DIVERGING = list(reversed(diverging.RdBu))


def write_document(
    path: Path,
    template: str,
    scripts: Sequence[str],
    *,
    title: str,
    planes: Planes,
    results: Sequence[Mapping[str, Any]],
    assets: Path = ASSETS,
    **context: Any,
) -> Path:
    """Write one HTML file that needs no network and no other file.

    Parameters
    ----------
    path : Path
        File to write, or to replace when it is whole.
    template : str
        Name of the asset that describes the page.
    scripts : sequence of str
        Names of the assets that run behind the shared ones.
    title : str
        Heading of the page.
    planes : Planes
        Images that the page's script unpacks.
    results : sequence of mapping
        What the script needs of each section with a viewer, as plain data.
    assets : Path
        Folder with the template, where it is not one of ours.
    **context
        What else the template names.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    plotly, plotly_source = charts.compressed_library()
    script = "\n".join(_asset(name) for name in (*SHARED_SCRIPTS, *scripts))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = (
        _environment(assets)
        .get_template(template)
        .render(
            title=title,
            created=datetime.now(UTC),
            policy=_policy(f"'sha256-{digest}'", plotly_source),
            style=Markup(_asset("report.css")),
            script=Markup(script),
            settings=Markup(_json({"maps": COLOUR_MAPS, "diverging": DIVERGING, "results": results})),
            plotly=plotly,
            planes=planes.packed,
            colour_maps=list(COLOUR_MAPS),
            diverging=", ".join(DIVERGING),
            versions=facts.versions(),
            **context,
        )
    )
    try:
        with atomic_write(path) as file:
            file.write(html.encode(errors="backslashreplace"))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place.") from error
    return path


def _policy(*scripts: str) -> str:
    """Return a Content-Security-Policy that admits exactly these scripts and no connection at all."""
    # plotly.js styles its elements inline, and saves a chart as a picture by way of a blob.
    rules = (
        "default-src 'none'",
        f"script-src {' '.join(scripts)}",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
    )
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


def _json(value: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@lru_cache(maxsize=2)
def _environment(assets: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([assets, ASSETS]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": facts.number, "measured": facts.measured}
    return environment


@lru_cache(maxsize=16)
def _asset(name: str) -> str:
    return (ASSETS / name).read_text("utf-8")
