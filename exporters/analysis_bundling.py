"""From a trained detector or classifier to its bundle: evidence in the graph, parity, domains, golden tensors."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..engine.bundle import Bundle, GoldenHeads, write_bundle
from ..engine.manifest import HEADS, Analysis, Manifest, Training
from . import parity
from .architectures import deployed
from .bundling import VERSION
from .cam import with_cam
from .inference import HeadRunner
from .onnx import to_onnx_heads
from .recipes.analysis.catalogue import AnalysisRecipe, Trained
from .recipes.analysis.common import fit_embedding_domain, fit_pixel_domain, network_input
from .recipes.analysis.outliers import discriminating

__all__ = ["bundle_analysis", "embeddings", "export_analysis"]

Floats = NDArray[np.float32]
_BATCH = 32


def export_analysis(net: nn.Module, recipe: AnalysisRecipe, golden: Floats) -> bytes:
    """Return the graph of a network with its evidence map and embedding, once it is known to compute the same.

    Parameters
    ----------
    net : nn.Module
        With ``features`` and ``head``, see :func:`.cam.with_cam`.
    recipe : AnalysisRecipe
        What it is.
    golden : ndarray, shape (n, channels, rows, columns), float32
        What the graph takes; network and graph are compared on it.

    Raises
    ------
    ModelError
        If the gradient of the head is not known, or the graph computes something else.
    """
    whole = with_cam(deployed(net).eval())
    model = to_onnx_heads(whole, recipe.input.depth, recipe.input.multiple, HEADS[recipe.task])
    parity.check_heads(whole, model, [golden])
    return model


def bundle_analysis(folder: Path, recipe: AnalysisRecipe, trained: Trained, *, date: str, card: str) -> Bundle:
    """Write the bundle of a model of findings.

    Parameters
    ----------
    folder : Path
        Where.
    recipe : AnalysisRecipe
        What it is.
    trained : Trained
        Network, calibration and images that set the domains.
    date : str
        Day of training, ISO 8601.
    card : str
        Model card, Markdown.

    Returns
    -------
    Bundle
        What was written, read back.

    Raises
    ------
    ModelError
        See :func:`export_analysis`.
    """
    golden = network_input(trained.golden, recipe.input.scaling)
    model = export_analysis(trained.net, recipe, golden)
    seen, unseen = (embeddings(model, part, recipe) for part in (trained.training, trained.held_out))
    embedding = fit_embedding_domain(seen, unseen)
    if trained.others:
        embedding = discriminating(embedding, unseen, embeddings(model, trained.others, recipe))
    manifest = Manifest(
        name=recipe.name,
        version=VERSION,
        title=recipe.title,
        task=recipe.task,
        licence="Apache-2.0",
        modalities=recipe.modalities,
        input=recipe.input,
        analysis=Analysis(
            labels=recipe.labels,
            threshold=trained.threshold,
            temperature=trained.temperature,
            operating_points=trained.operating_points,
            embedding=embedding,
        ),
        training=Training(
            recipe=recipe.name,
            date=date,
            seconds=round(trained.seconds, 3),
            steps=trained.steps,
            matrices=trained.matrices,
            counts_per_pixel=trained.counts_per_pixel,
            data=trained.data,
        ),
        domain=fit_pixel_domain(trained.training, trained.held_out, recipe.input),
    )
    heads = HeadRunner(model)(golden)
    return write_bundle(folder, manifest, model=model, golden=GoldenHeads(golden, heads), card=card)


def embeddings(model: bytes, images: Sequence[Floats], recipe: AnalysisRecipe) -> Floats:
    """Return what the graph's head ``embedding`` gives for images on the working grid, shape (n, d).

    Parameters
    ----------
    model : bytes
        Serialised graph.
    images : sequence of ndarray, shape (n, channels, rows, columns), float32
        Before any scaling; arrays may differ in size.
    recipe : AnalysisRecipe
        Whose input says how they are scaled.
    """
    run = HeadRunner(model)
    found = [run(network_input(part, recipe.input.scaling))["embedding"] for part in _batches(images)]
    return np.concatenate(found)[:, :, 0, 0]


def _batches(images: Sequence[Floats]) -> Iterable[Floats]:
    for part in images:
        for first in range(0, len(part), _BATCH):
            yield np.ascontiguousarray(part[first : first + _BATCH], np.float32)
