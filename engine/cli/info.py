"""``photopeak info``."""

from typing import Annotated

import typer

from .console import JsonOption, print_json, say


def info(
    model: Annotated[str, typer.Argument(help="Name of a model, or the folder of a bundle.")],
    as_json: JsonOption = False,
) -> None:
    """Show a model's card: what it is for, how it was trained, how good it is.

    Example: photopeak info scint-denoise
    """
    from ..zoo import load_bundle

    bundle = load_bundle(model)
    if as_json:
        print_json(bundle.manifest.model_dump(mode="json") | {"digest": bundle.digest, "card": bundle.card})
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(bundle.card))
    say(f"Bundle: {bundle.folder}\nDigest: {bundle.digest}")
