"""Kinds of images: where their training studies come from, what their bundles say, and how their models are measured.

A family is a module of this package with the functions of :class:`Family`.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ...engine.bundle import Bundle
from ..description import Description
from ..recipes.catalogue import Recipe
from ..recipes.dataset import Source

Tell = Callable[[str], None]
"""Called with the name of what is being worked on."""


class Family(Protocol):
    """What :func:`find` returns."""

    def sources(self, data: Path | None) -> tuple[str, ...]:
        """Name what the studies are made from, each with its licence."""

    def pool(self, recipe: Recipe, data: Path | None, work: Path, tell: Tell) -> Source:
        """Simulate the training studies, or read those of an earlier run from the folder `work`."""

    def describe(self, recipe: Recipe, pool: Any) -> Description:
        """Describe what a model takes and was trained on; `pool` is what the function above gave."""

    def golden(self, recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return held-out images as the graph takes them and their truth, both (n, 1, rows, columns)."""

    def calibration(
        self, recipe: Recipe, side: int, number: int, seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return `number` held-out images from few counts to many with their truth, whose side is `side` [px]."""

    def card(self, bundle: Bundle, recipe: Recipe, folders: "Folders", note: str, tell: Tell) -> str:
        """Measure the bundle on held-out cases and return its card."""


class Folders(Protocol):
    """Where a measurement finds and keeps things."""

    @property
    def data(self) -> Path | None:
        """Folder with the shared collections."""

    @property
    def work(self) -> Path:
        """Folder for caches."""


def find(name: Literal["scintigraphy", "pet", "ct"]) -> Family:
    """Return the family of a recipe.

    Examples
    --------
    >>> find("pet").sources(None)
    ('simulated PET slices, photopeak.exporters.phantoms (Apache-2.0)',)
    """
    return cast(Family, import_module(f"{__name__}.{name}"))
