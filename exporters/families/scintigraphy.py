"""Planar scintigraphy: counts as a gamma camera has them."""

from pathlib import Path
from zlib import crc32

from ...engine.bundle import Bundle
from ..planar_bundling import calibration, describe, golden
from ..recipes.catalogue import Recipe
from ..recipes.dataset import Pool, build_pool, load_or_build_pool
from . import Folders, Tell

__all__ = ["calibration", "card", "describe", "golden", "pool", "shared_sources", "sources"]

SIMULATED = "simulated gamma-camera images, photopeak.exporters.phantoms (Apache-2.0)"
SHARED = (
    ("benauer_phantoms", "voxel phantoms of SPECT objects, github.com/BenAuer2021 (MIT)"),
    ("stir/thorax3d", "thorax phantom of STIR (Apache-2.0)"),
    ("brainweb_kul", "BrainWeb labels of 20 normal brains, subject 04 (BrainWeb terms; Aubert-Broche et al. 2006)"),
    ("nmqc", "gamma camera quality control, nmqc (Apache-2.0)"),
    ("linaqa/nm", "nuclear medicine quality control, linaqa (BSD-style)"),
)


def sources(data: Path | None) -> tuple[str, ...]:
    """Name what the studies are made from."""
    return (SIMULATED, *shared_sources(data))


def shared_sources(data: Path | None) -> tuple[str, ...]:
    """Name the shared collections that a folder really holds, each with its licence.

    Parameters
    ----------
    data : Path or None
        Folder with the shared collections.

    Returns
    -------
    tuple of str
        Empty where there is no folder.

    Examples
    --------
    >>> shared_sources(None)
    ()
    """
    return tuple(source for folder, source in SHARED if data and (data / folder).is_dir())


def pool(recipe: Recipe, data: Path | None, work: Path, tell: Tell) -> Pool:
    """Simulate the training studies, or read those of an earlier run; those made with other collections have another name."""
    present = "|".join(shared_sources(data))
    path = work / (f"pool-{crc32(present.encode()):08x}.npz" if present else "pool.npz")
    return load_or_build_pool(path, lambda: build_pool(data, advance=tell))


def card(bundle: Bundle, recipe: Recipe, folders: Folders, note: str, tell: Tell) -> str:
    """Measure the bundle on held-out cases and return its card."""
    from ..card import render
    from ..evaluation.study import measure

    return render(bundle, measure(recipe, bundle.model, folders.data, folders.work, tell), note)
