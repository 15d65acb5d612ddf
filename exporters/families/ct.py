"""CT slices in Hounsfield units."""

from pathlib import Path

from ...engine.bundle import Bundle
from ..ct_bundling import calibration, describe, golden
from ..recipes.catalogue import Recipe
from ..recipes.ct import CtPool, build_ct_pool, load_or_build_ct_pool
from . import Folders, Tell

__all__ = ["calibration", "card", "describe", "golden", "pool", "sources"]


def sources(data: Path | None) -> tuple[str, ...]:
    """Name what the studies are made from."""
    return ("simulated CT slices, photopeak.exporters.phantoms (Apache-2.0)",)


def pool(recipe: Recipe, data: Path | None, work: Path, tell: Tell) -> CtPool:
    """Simulate the training slices, or read those of an earlier run."""
    path = work / f"pool-{recipe.studies or recipe.name}.npz"
    return load_or_build_ct_pool(path, lambda: build_ct_pool(recipe, advance=tell))


def card(bundle: Bundle, recipe: Recipe, folders: Folders, note: str, tell: Tell) -> str:
    """Measure the bundle on held-out slices, phantoms and, where it is there, a real phantom, and return its card."""
    from ..ct_card import render_ct
    from ..evaluation.ct_study import measure_ct

    return render_ct(bundle, measure_ct(bundle.model, folders.data, tell), note)
