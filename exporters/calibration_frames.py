"""Simulated frames of known truth, from few counts to many: what quantisation is fitted on, and what fidelity is measured on."""

import numpy as np

from ..engine.bundle import Bundle, Golden, archive
from ..engine.errors import ModelError
from . import families
from .inference import Runner
from .recipes.catalogue import RECIPES, Recipe

__all__ = ["calibration_frames", "frames_to_keep"]

# Frames that steps are fitted on are not those that a bundle keeps.
_FITTED_SEED, _KEPT_SEED = 0, 1
_FITTED, _KEPT = 24, 8
_KEPT_SIDE = 64
_KEPT_BYTES = 300_000


def calibration_frames(bundle: Bundle) -> Golden:
    """Return frames to fit a quantisation on: as large as the golden ones, their count levels spread over those of training.

    Parameters
    ----------
    bundle : Bundle
        A model of images.

    Returns
    -------
    Golden
        Simulated frames, what the float32 graph makes of them, and the truth; the golden frames themselves where the model
        has a recipe of the user's own, whose studies cannot be simulated.

    Examples
    --------
    >>> from photopeak.engine.zoo import load_bundle
    >>> calibration_frames(load_bundle("scint-denoise")).input.shape  # doctest: +SKIP
    (24, 1, 128, 128)
    """
    recipe = _recipe(bundle)
    if recipe is None:
        return bundle.golden
    return _simulated(bundle, recipe, bundle.golden.output.shape[2], _FITTED, _FITTED_SEED)


def frames_to_keep(bundle: Bundle) -> Golden | None:
    """Return small frames to store with a bundle, or None where its studies cannot be simulated.

    Parameters
    ----------
    bundle : Bundle
        A model of images.
    """
    recipe = _recipe(bundle)
    if recipe is None:
        return None
    frames = _simulated(bundle, recipe, _KEPT_SIDE, _KEPT, _KEPT_SEED)
    while len(archive(frames)) > _KEPT_BYTES:
        # The ends of the range stay.
        rest = np.delete(np.arange(len(frames.input)), len(frames.input) // 2)
        frames = Golden(frames.input[rest], frames.output[rest], frames.truth[rest])
    return frames


def _simulated(bundle: Bundle, recipe: Recipe, side: int, number: int, seed: int) -> Golden:
    inputs, truth = families.find(recipe.family).calibration(recipe, side, number, seed)
    output = Runner(bundle.model)(inputs)
    if not np.isfinite(output).all():
        raise ModelError(f"{bundle.name} gives no numbers on simulated frames; train it again.")
    return Golden(inputs, output, truth)


def _recipe(bundle: Bundle) -> Recipe | None:
    """Return the recipe that a bundle was trained by, adapted or not; None for a network of the user's own."""
    name = bundle.manifest.training.recipe.partition(" ")[0]
    return next((recipe for recipe in RECIPES if recipe.name == name), None)
