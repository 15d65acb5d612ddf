"""From a trained network to a bundle: graph, manifest with the training domain, golden tensors, card."""

from dataclasses import dataclass
from pathlib import Path

from ..engine.bundle import Bundle, Golden, Manifest, Output, Training, write_bundle
from . import families
from .inference import Runner
from .recipes.catalogue import Recipe
from .recipes.dataset import Source

VERSION = "0.1.0"


@dataclass(frozen=True)
class History:
    """How the weights came about.

    Parameters
    ----------
    date : str
        Day of training, ISO 8601.
    seconds : float
        Wall time of the training [s].
    steps : int
        Optimiser steps.
    data : tuple of str
        Sources, each with its licence.
    """

    date: str
    seconds: float
    steps: int
    data: tuple[str, ...]


def make_manifest(recipe: Recipe, pool: Source, history: History) -> Manifest:
    """Describe a model and measure the domain it was trained on.

    Parameters
    ----------
    recipe : Recipe
        What was trained.
    pool : Source
        The studies it was trained on, made by the recipe's family.
    history : History
        Time, steps and sources.

    Returns
    -------
    Manifest
        Without digests; ``write_bundle`` adds them.
    """
    what = families.find(recipe.family).describe(recipe, pool)
    return Manifest(
        name=recipe.name,
        version=VERSION,
        title=recipe.title,
        task=recipe.task,
        licence="Apache-2.0",
        modalities=(what.modality,),
        input=what.input,
        output=Output(name="image", scale=recipe.scale, conserve=what.conserve),
        training=Training(
            recipe=recipe.name,
            date=history.date,
            seconds=round(history.seconds, 3),
            steps=history.steps,
            matrices=what.matrices,
            counts_per_pixel=what.counts_per_pixel,
            coincidences=what.coincidences,
            data=history.data,
        ),
        domain=what.domain,
    )


def save(folder: Path, manifest: Manifest, recipe: Recipe, *, model: bytes, card: str) -> Bundle:
    """Write the bundle of a model; the golden output comes from ONNX Runtime in float32."""
    inputs, truth = families.find(recipe.family).golden(recipe)
    return write_bundle(folder, manifest, model=model, golden=Golden(inputs, Runner(model)(inputs), truth), card=card)
