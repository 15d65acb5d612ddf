"""PET slices: concentrations that were reconstructed."""

from pathlib import Path

from ...engine.bundle import Bundle
from ..recipes.catalogue import Recipe
from ..recipes.slices import SlicePool, build_slice_pool, load_or_build_slice_pool
from ..slice_bundling import calibration, describe, golden
from . import Folders, Tell

__all__ = ["calibration", "card", "describe", "golden", "pool", "sources"]


def sources(data: Path | None) -> tuple[str, ...]:
    """Name what the studies are made from."""
    return ("simulated PET slices, photopeak.exporters.phantoms (Apache-2.0)",)


def pool(recipe: Recipe, data: Path | None, work: Path, tell: Tell) -> SlicePool:
    """Simulate the training slices, or read those of an earlier run; recipes of one scale and one range share them."""
    path = work / f"pool-{recipe.studies or recipe.name}.npz"
    return load_or_build_slice_pool(path, lambda: build_slice_pool(recipe, advance=tell))


def card(bundle: Bundle, recipe: Recipe, folders: Folders, note: str, tell: Tell) -> str:
    """Measure the bundle on held-out slices and return its card."""
    from ..evaluation.slice_study import measure_slices
    from ..slice_card import render_slices

    return render_slices(bundle, measure_slices(recipe, bundle.model, folders.data, folders.work, tell), note)
