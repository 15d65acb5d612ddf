"""``photopeak validate``."""

from pathlib import Path
from typing import Annotated

import typer

from .console import JsonOption, answer, print_table

_MARKS = {True: "ok", False: "FAILED", None: "not here"}


def validate(
    bundle: Annotated[str, typer.Argument(help="Folder of a bundle, or the name of a model that ships.")],
    as_json: JsonOption = False,
) -> None:
    """Check everything about a bundle: digests, graph, golden output on every provider, counts, card.

    Example: photopeak validate my-models/scint-denoise
    """
    from ..errors import ModelError
    from ..validation import validate as checks_of
    from ..zoo import locate

    folder: Path = locate(bundle)
    with answer(as_json) as found:
        checks = list(checks_of(folder))
        failed = [check for check in checks if check.passed is False]
        found |= {"bundle": folder, "valid": not failed, "checks": checks}
        if not as_json:
            rows = [(check.name, _MARKS[check.passed], check.detail) for check in checks]
            print_table(f"Checks of {folder.name}", ("check", "", "detail"), rows)
        if failed:
            raise ModelError(f"{folder}: {len(failed)} of {len(checks)} checks failed, first '{failed[0].name}'.")
