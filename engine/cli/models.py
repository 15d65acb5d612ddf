"""``photopeak models``."""

from .console import JsonOption, print_json, print_table


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
            f"x{bundle.manifest.image_output.scale}",
            ", ".join(bundle.manifest.modalities),
            f"{len(bundle.model) / 1e6:.1f} MB",
            bundle.manifest.title,
        )
        for bundle in bundles
    ]
    print_table("Models", ("name", "version", "scale", "for", "size", "what"), rows)
