"""The recipes: everything that decides what a training produces."""

from dataclasses import dataclass
from typing import Literal

from ...engine.errors import UsageError
from .analysis import catalogue as analyses


@dataclass(frozen=True)
class Recipe:
    """How one model is built and trained.

    Parameters
    ----------
    name : str
        Name of the bundle.
    title : str
        What it does, in a few words.
    task : {"denoise", "super-resolution"}
        What the model does.
    scale : int
        Output pixels per input pixel along a side.
    multiple : int
        Input sides must be multiples of this.
    channels, blocks : tuple of int
        Width and depth of the network; what each number means, its architecture says.
    counts : tuple of float
        Lowest and highest count level of training: relative to a clinical acquisition, or for PET the true coincidences of
        a slice. For CT lowest and highest noise [HU].
    parent : str or None
        Recipe whose levels a training may start from.
    patch : int
        Side of a training patch in output pixels.
    batch : int
        Patches per step.
    steps : int
        Optimiser steps.
    learning_rate : float
        Peak of the cosine schedule.
    family : {"scintigraphy", "pet", "ct"}
        Planar counts, slices of concentrations that were reconstructed, or slices in Hounsfield units.
    gain : float
        See ``CountNet``; the loss uses it too.
    bicubic : bool
        See ``CountNet``.
    architecture : {"count-net", "fast", "srcnn", "srresnet", "hounsfield-net"}
        Which network, see ``architectures.build``.
    loss : {"variance", "logarithm", "absolute", "contrast", "decibels"}
        See ``losses``.
    studies : str
        Recipe whose training studies this one shares; empty for its own.
    adversarial_steps : int
        Steps against a discriminator afterwards, see ``adversarial.refine``; they have no checkpoint.
    """

    name: str
    title: str
    task: Literal["denoise", "super-resolution"]
    scale: Literal[1, 2]
    multiple: int
    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    counts: tuple[float, float]
    parent: str | None = None
    patch: int = 96
    batch: int = 16
    steps: int = 30_000
    learning_rate: float = 1e-3
    family: Literal["scintigraphy", "pet", "ct"] = "scintigraphy"
    gain: float = 1.0
    bicubic: bool = False
    architecture: Literal["count-net", "fast", "srcnn", "srresnet", "hounsfield-net"] = "count-net"
    loss: Literal["variance", "logarithm", "absolute", "contrast", "decibels"] = "variance"
    studies: str = ""
    adversarial_steps: int = 0


RECIPES = (
    Recipe(
        name="scint-denoise",
        title="Count-aware denoising of planar scintigraphy",
        task="denoise",
        scale=1,
        multiple=8,
        channels=(32, 64, 96),
        blocks=(1, 1, 1, 3),
        counts=(1 / 24, 2.0),
        parent="scint-sr-x2",
        batch=8,
    ),
    Recipe(
        name="scint-sr-x2",
        title="Doubling the matrix of planar scintigraphy",
        task="super-resolution",
        scale=2,
        multiple=4,
        channels=(32, 64, 96),
        blocks=(0, 1, 1, 3),
        counts=(1 / 24, 6.0),
    ),
    Recipe(
        name="pet-denoise",
        title="Denoising of PET slices",
        task="denoise",
        scale=1,
        multiple=8,
        channels=(32, 64, 96),
        blocks=(1, 1, 1, 3),
        counts=(3e4, 6e6),
        batch=8,
        family="pet",
        gain=60.0,
        loss="logarithm",
    ),
    Recipe(
        name="pet-sr-x2",
        title="Doubling the matrix of PET slices",
        task="super-resolution",
        scale=2,
        multiple=4,
        channels=(32, 64, 96),
        blocks=(1, 2, 1, 3),
        counts=(1e5, 2e7),
        batch=8,
        family="pet",
        gain=60.0,
        bicubic=True,
        loss="decibels",
    ),
    Recipe(
        name="pet-sr-x2-fast",
        title="Doubling the matrix of PET slices with little computing",
        task="super-resolution",
        scale=2,
        multiple=8,
        channels=(32, 64, 12),
        blocks=(2, 6, 2),
        counts=(1e5, 2e7),
        patch=128,
        batch=6,
        learning_rate=1.5e-3,
        family="pet",
        gain=60.0,
        architecture="fast",
        loss="decibels",
        studies="pet-sr-x2",
    ),
    Recipe(
        name="pet-sr-x2-srcnn",
        title="SRCNN for PET slices, for comparison",
        task="super-resolution",
        scale=2,
        multiple=4,
        channels=(64, 32),
        blocks=(),
        counts=(1e5, 2e7),
        patch=64,
        batch=8,
        family="pet",
        gain=60.0,
        architecture="srcnn",
        loss="decibels",
        studies="pet-sr-x2",
    ),
    Recipe(
        name="pet-sr-x2-srgan",
        title="SRGAN for PET slices, for comparison",
        task="super-resolution",
        scale=2,
        multiple=4,
        channels=(32,),
        blocks=(4,),
        counts=(1e5, 2e7),
        patch=48,
        batch=8,
        family="pet",
        gain=60.0,
        architecture="srresnet",
        loss="decibels",
        studies="pet-sr-x2",
        adversarial_steps=1500,
    ),
    Recipe(
        name="ct-sr-x2",
        title="Doubling the matrix of CT slices",
        task="super-resolution",
        scale=2,
        multiple=4,
        channels=(32,),
        blocks=(5,),
        counts=(2.0, 80.0),
        learning_rate=2e-3,
        family="ct",
        gain=1e-3,
        architecture="hounsfield-net",
        loss="contrast",
    ),
)


def find(name: str) -> Recipe:
    """Return the recipe of a name.

    Parameters
    ----------
    name : str
        Name of the bundle that the recipe makes.

    Returns
    -------
    Recipe
        The recipe.

    Raises
    ------
    UsageError
        If there is no such recipe.

    Examples
    --------
    >>> find("scint-sr-x2").scale
    2
    """
    for recipe in RECIPES:
        if recipe.name == name:
            return recipe
    names = [recipe.name for recipe in (*RECIPES, *analyses.RECIPES)]
    raise UsageError(f"there is no recipe '{name}', choose {' or '.join(names)}.")
