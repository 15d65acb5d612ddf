"""Putting the report together and writing it."""

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from plotly.colors import diverging, sequential

from ..errors import UsageError
from ..files import atomic_write
from ..result import Result
from . import charts, facts
from .images import Window, display_window, picture
from .sections import aspect, first_shown, section, shown_inverse
from .shown import Planes, area_ratio

__all__ = ["write_report"]

SCRIPTS = ("decode.js", "charts.js", "viewer.js", "main.js")
LEAST_PICTURE_ROWS, MOST_PICTURE_ROWS = 320, 640
COLOUR_MAPS = {
    "inverse grey": ["#ffffff", "#000000"],
    "grey": ["#000000", "#ffffff"],
    "viridis": list(sequential.Viridis),
    "inferno": list(sequential.Inferno),
}
DIVERGING = list(reversed(diverging.RdBu))


def write_report(results: Sequence[Result], path: Path, title: str = "Before and after") -> Path:
    """Write one HTML file that shows what models did to images.

    The file needs no network and no other file. It holds no name or number of a patient; what it takes from the header are
    modality, geometry, series description, scanner and UIDs.

    Parameters
    ----------
    results : sequence of Result
        What `Session.run` returned, in the order of the report. Results of the same input share its pixels.
    path : Path
        File to write, or to replace when it is whole.
    title : str
        Heading of the page.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    UsageError
        If there are no results.
    InputError
        If an output matrix is not a whole multiple of the input matrix.

    Examples
    --------
    >>> import numpy as np, photopeak
    >>> result = photopeak.load("scint-denoise").run(np.full((64, 64), 20, np.float32))
    >>> write_report([result], getfixture("tmp_path") / "report.html").name
    'report.html'
    """
    if not results:
        raise UsageError(f"{path}: there is nothing to report; give at least one result.")
    html = _render(results, title)
    with atomic_write(path) as file:
        file.write(html.encode())
    return path


def _render(results: Sequence[Result], title: str) -> str:
    planes = Planes()
    sections = [section(result, f"r{i + 1}", planes) for i, result in enumerate(results)]
    plotly, plotly_source = charts.compressed_library()
    script = "\n".join(_asset(name) for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    settings = {
        "maps": COLOUR_MAPS,
        "diverging": DIVERGING,
        "results": [part["data"] for part in sections],
    }
    html: str = _template().render(
        title=title,
        created=datetime.now(UTC),
        policy=_policy(f"'sha256-{digest}'", plotly_source),
        style=Markup(_asset("report.css")),
        script=Markup(script),
        settings=Markup(_json(settings)),
        plotly=plotly,
        planes=planes.packed,
        chips=facts.chips(results),
        inputs=_inputs(results),
        sections=sections,
        colour_maps=list(COLOUR_MAPS),
        diverging=", ".join(DIVERGING),
        versions=facts.versions(),
        warnings=facts.plain_warnings(results),
    )
    return html


def _inputs(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return each input with the results that came from it, and small pictures of one of its frames."""
    groups: dict[bytes, list[tuple[str, Result]]] = {}
    for i, result in enumerate(results):
        key = hashlib.sha256(result.source.pixels.tobytes()).digest()
        groups.setdefault(key, []).append((f"r{i + 1}", result))
    return [_input(group) for group in groups.values()]


def _input(group: Sequence[tuple[str, Result]]) -> dict[str, Any]:
    source = group[0][1].source
    index = first_shown(source)
    window = display_window(source.pixels, source.units)
    return {
        "described": facts.described(source),
        "facts": facts.facts_of_input(source),
        "done": [(facts.done(result), result.bundle.manifest.name) for _, result in group],
        "rows": [facts.summary(result) | {"name": name} for name, result in group],
        "pictures": _pictures([result for _, result in group], index, window),
        "unit": facts.per_area(source, max(area_ratio(result) for _, result in group)),
        "window": window,
        "frame": facts.frame_label(source, index) if len(source) > 1 else "",
    }


def _pictures(group: Sequence[Result], index: int, window: Window) -> list[dict[str, str]]:
    """Return one frame of the input and what became of it, in the same window per area."""
    source = group[0].source
    pictures = [("Input", source.pixels[index], window)]
    for result in group:
        label = facts.done(result)
        after = window.per_output_pixel(area_ratio(result))
        pictures.append((label[0].upper() + label[1:], result.frames.pixels[index], after))
    # Small matrices are enlarged by a whole factor, so that their pixels stay square and sharp.
    rows = source.matrix.rows
    height = min(MOST_PICTURE_ROWS, rows * math.ceil(LEAST_PICTURE_ROWS / rows))
    size = (height, max(1, round(height * aspect(source))))
    inverse = shown_inverse(source)
    return [{"label": label, "uri": picture(image, w, size, inverse=inverse)} for label, image, w in pictures]


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


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": facts.number, "measured": facts.measured}
    return environment.from_string(_asset("report.html.j2"))


@lru_cache(maxsize=8)
def _asset(name: str) -> str:
    return (Path(__file__).parent / "assets" / name).read_text("utf-8")
