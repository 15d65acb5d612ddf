"""What a bundle is made of, and which examples serve for what."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ...engine.bundle import Golden, GoldenHeads
from ...engine.errors import ModelError
from ...engine.graph import OPERATORS
from ...engine.manifest import Manifest, Training
from ..parity import TOLERANCE, Difference
from .about import About, Examples

__all__ = [
    "Figure",
    "Numbers",
    "Parts",
    "fields",
    "foreign_operators",
    "level_split",
    "not_exported",
    "require_operators",
    "require_parity",
    "spread",
]

Numbers = NDArray[np.intp]
_HELD_OUT = 4  # every fourth example
_TITLES = {
    "denoise": "a network that takes noise away",
    "super-resolution": "a network for super-resolution",
    "detection": "a detector",
    "classification": "a classifier",
}


@dataclass(frozen=True)
class Figure:
    """A figure of the card.

    Parameters
    ----------
    name, value : str
        For people.
    """

    name: str
    value: str


@dataclass(frozen=True, eq=False)
class Parts:
    """Everything of a bundle but its card.

    Parameters
    ----------
    manifest : Manifest
        Without digests.
    model : bytes
        Serialised graph.
    golden : Golden or GoldenHeads
        Some of the held-out examples.
    calibration : Golden or None
        More of them, of networks that give images.
    parity : tuple of Difference
        Of graph and network.
    figures : tuple of Figure
        What was measured on the held-out examples.
    """

    manifest: Manifest
    model: bytes
    golden: Golden | GoldenHeads
    calibration: Golden | None
    parity: tuple[Difference, ...]
    figures: tuple[Figure, ...]


def level_split(images: NDArray[np.float32]) -> tuple[Numbers, Numbers]:
    """Return the numbers of examples that describe the training, and of those that are held out, from dark to bright.

    Every fourth one in the order of the means is held out, so that both parts span the same levels.

    Examples
    --------
    >>> level_split(np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1))
    (array([0, 2, 3, 4, 6, 7]), array([1, 5]))
    """
    order = np.argsort(images.mean(axis=(1, 2, 3), dtype=np.float64), kind="stable")
    held = np.arange(len(order)) % _HELD_OUT == 1
    return order[~held], order[held]


def spread(numbers: Numbers, most: int) -> Numbers:
    """Return at most so many of some numbers, evenly from the first to the last."""
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(int))]


def not_exported(error: Exception) -> str:
    """Return in one sentence why torch could not export a network."""
    words = " ".join(str(error).split())[:300]
    return (
        f"torch cannot export the network for any rows and columns ({words}); sizes must not be fixed, and what runs must not "
        "depend on values."
    )


def foreign_operators(kinds: Sequence[str]) -> str:
    """Return in one sentence that the engine does not run some operators."""
    advice = "express the network in convolutions, pooling, resizing and arithmetic whose sizes do not depend on values"
    if "Shape" in kinds:
        advice = "resize by a factor and not to a size that is read from a tensor, and reshape nothing by such sizes"
    return f"the exported graph has operators that the engine does not run: {', '.join(kinds)}; {advice}."


def require_operators(model: bytes) -> None:
    """Refuse a graph with operators that the engine does not run.

    Raises
    ------
    ModelError
        If there are any; the message names them.
    """
    if foreign := sorted({node.op_type for node in onnx.load_model_from_string(model).graph.node} - OPERATORS):
        raise ModelError(foreign_operators(foreign))


def require_parity(differences: tuple[Difference, ...]) -> None:
    """Refuse a graph that does not compute what its network computes.

    Raises
    ------
    ModelError
        If it differs by more than a ten-thousandth of the largest output.
    """
    for one in differences:
        if not one.relative <= TOLERANCE:
            what = f"the head {one.head!r} of the exported graph" if one.head else "the exported graph"
            raise ModelError(
                f"{what} differs from its network by {one.relative:.2g} of the largest value for {one.shape} in {one.engine}, "
                f"{TOLERANCE:g} is admitted; look for what depends on the size or the values of the example."
            )


def fields(about: About, examples: Examples, name: str, task: str) -> dict[str, Any]:
    """Return the fields of the manifest that are the same for every task."""
    means = examples.images.mean(axis=(1, 2, 3), dtype=np.float64)
    counted = (float(means.min().round(4)), float(means.max().round(2))) if examples.units == "CNTS" else None
    return {
        "name": name,
        "version": about.version,
        "title": about.title or f"{name}: {_TITLES[task]}",
        "task": task,
        "licence": about.licence,
        "modalities": examples.modalities,
        "training": Training(
            recipe="own",
            date=about.date or datetime.datetime.now(datetime.UTC).date().isoformat(),
            seconds=about.seconds,
            steps=about.steps,
            matrices=(examples.matrix,),
            counts_per_pixel=counted,
            data=about.data or ("not stated",),
        ),
    }
