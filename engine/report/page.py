"""Putting the report together and writing it."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..result import Result
from . import facts
from .document import write_document
from .images import Window, display_window, picture
from .sections import aspect, first_shown, section, shown_inverse
from .shown import Planes, area_ratio

__all__ = ["write_report"]

SCRIPTS = ("viewer.js", "before-after.js")
LEAST_PICTURE_ROWS, MOST_PICTURE_ROWS, MOST_PICTURE_COLUMNS = 320, 640, 4096


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
    planes = Planes()
    sections = [section(result, f"r{i + 1}", planes) for i, result in enumerate(results)]
    return write_document(
        path,
        "report.html.j2",
        SCRIPTS,
        title=title,
        planes=planes,
        results=[part["data"] for part in sections],
        chips=facts.chips(results),
        inputs=_inputs(results),
        sections=sections,
        warnings=facts.plain_warnings(results),
    )


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
    # A spacing that is far off must not make a picture of gigabytes.
    width = min(height * aspect(source), MOST_PICTURE_COLUMNS)
    size = (max(1, round(min(height, width / aspect(source)))), max(1, round(width)))
    inverse = shown_inverse(source)
    return [{"label": label, "uri": picture(image, w, size, inverse=inverse)} for label, image, w in pictures]
