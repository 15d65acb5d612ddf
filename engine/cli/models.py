"""``photopeak models``."""

from typing import TYPE_CHECKING

from .console import JsonOption, print_json, print_table

if TYPE_CHECKING:
    from ..manifest import Manifest


def models(as_json: JsonOption = False) -> None:
    """List the models that ship.

    Example: photopeak models
    """
    from ..zoo import load_bundle, names

    bundles = [load_bundle(name) for name in names()]
    if as_json:
        print_json([bundle.manifest.model_dump(mode="json") | {"digest": bundle.digest} for bundle in bundles])
        return
    rows = [
        (
            bundle.name,
            bundle.manifest.version,
            _given(bundle.manifest),
            ", ".join(bundle.manifest.modalities),
            f"{len(bundle.model) / 1e6:.1f} MB",
            bundle.manifest.title,
        )
        for bundle in bundles
    ]
    print_table("Models", ("name", "version", "gives", "for", "size", "what"), rows)


def _given(manifest: "Manifest") -> str:
    """Return what a model makes of an image, in two words."""
    if manifest.analysis is None:
        return f"image x{manifest.image_output.scale}"
    return "lesions" if manifest.task == "detection" else f"{len(manifest.analysis.labels)} classes"
