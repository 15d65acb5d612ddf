"""The recipes of models that give findings: what their bundles are, and the modules that train them.

The module of a recipe has two functions: ``train(job, tell)``, which returns :class:`Trained`, and ``card(bundle, job, tell)``,
which measures a bundle and returns its card.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ....engine.bundle import Bundle
from ....engine.frames import Units
from ....engine.manifest import Grid, Input

if TYPE_CHECKING:
    from torch import nn

__all__ = ["RECIPES", "AnalysisJob", "AnalysisRecipe", "Tell", "Trained", "Trainer", "find"]

Floats = NDArray[np.float32]
Tell = Callable[[str], None]
"""Called with the name of what is being worked on."""


@dataclass(frozen=True)
class AnalysisRecipe:
    """What one model of findings is.

    Parameters
    ----------
    name, title : str
        Of the bundle.
    task : {"detection", "classification"}
        What the model does.
    labels : tuple of str
        Classes, or the one thing that is detected.
    modalities : tuple of str
        Of DICOM.
    input : Input
        Working grid and channels, see the manifest.
    module : str
        Name of the module in this package that trains and measures it.
    """

    name: str
    title: str
    task: Literal["detection", "classification"]
    labels: tuple[str, ...]
    modalities: tuple[str, ...]
    input: Input
    module: str

    @property
    def trainer(self) -> "Trainer":
        """The module that trains and measures it."""
        return cast(Trainer, import_module(f"{__package__}.{self.module}"))


@dataclass(frozen=True)
class AnalysisJob:
    """One production of a model of findings.

    Parameters
    ----------
    recipe : AnalysisRecipe
        What to make.
    output : Path
        Folder of the bundle.
    data : Path or None
        Folder with the shared collections.
    work : Path
        Folder for pools, checkpoints and caches.
    steps : int or None
        Optimiser steps; by default those of the trainer.
    minutes : float or None
        Wall time of the training.
    seed : int
        Seed of weights and batches.
    threads : int
        Threads of torch.
    note : str
        What else the card shall say about the training.
    """

    recipe: AnalysisRecipe
    output: Path
    data: Path | None
    work: Path
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    threads: int = 2
    note: str = ""


@dataclass(frozen=True, eq=False)
class Trained:
    """Everything of a training that its bundle holds.

    Parameters
    ----------
    net : nn.Module
        With ``features`` and ``head``, see :func:`photopeak.exporters.cam.with_cam`.
    steps : int
        Optimiser steps.
    seconds : float
        Wall time of the training [s].
    data : tuple of str
        Sources, each with its licence.
    temperature, threshold : float
        See :class:`~photopeak.engine.manifest.Analysis`.
    operating_points : tuple of (float, float, float)
        The same.
    training, held_out : sequence of ndarray, shape (n, channels, rows, columns), float32
        Images on the working grid before any scaling, some thousand that the network was trained on and others of their
        kind: they decide what counts as outside of the domain. Arrays may differ in size.
    golden : ndarray, shape (n, channels, rows, columns), float32
        A few held-out images, likewise.
    matrices : tuple of str
        Matrix sizes of the source images, such as ``256x256``.
    counts_per_pixel : tuple of float, optional
        Lowest and highest mean counts per pixel, for models of counts.
    others : sequence of ndarray
        Images of other kinds, if the network was trained to tell them apart: see :func:`.outliers.discriminating`.
    """

    net: "nn.Module"
    steps: int
    seconds: float
    data: tuple[str, ...]
    temperature: float
    threshold: float
    operating_points: tuple[tuple[float, float, float], ...]
    training: Sequence[Floats]
    held_out: Sequence[Floats]
    golden: Floats
    matrices: tuple[str, ...]
    counts_per_pixel: tuple[float, float] | None = None
    others: Sequence[Floats] = ()


class Trainer(Protocol):
    """What the module of a recipe offers."""

    def train(self, job: AnalysisJob, tell: Tell) -> Trained:
        """Make the training images, train, calibrate and choose the operating point."""

    def card(self, bundle: Bundle, job: AnalysisJob, tell: Tell) -> str:
        """Measure the bundle on held-out cases and return its card, Markdown."""


RECIPES = (
    AnalysisRecipe(
        name="parathyroid-detect",
        title="Detection of parathyroid glands in double-phase MIBI images",
        task="detection",
        labels=("parathyroid lesion",),
        modalities=("NM",),
        input=Input(
            name="image",
            units=Units.COUNTS,
            multiple=8,
            channels=("early", "late"),
            optional=True,
            grid=Grid(kind="pitch", pitch_mm=2.4),
        ),
        module="parathyroid",
    ),
    AnalysisRecipe(
        name="bone-classify",
        title="Fractures and metastases of the ribs in bone scans",
        task="classification",
        labels=("normal", "trauma", "metastasis"),
        modalities=("NM",),
        input=Input(name="image", units=Units.COUNTS, multiple=8, grid=Grid(kind="thorax", pitch_mm=3.5, side=128)),
        module="bone",
    ),
    AnalysisRecipe(
        name="cxr-view",
        title="AP or PA projection of chest radiographs",
        task="classification",
        labels=("AP", "PA"),
        modalities=("DX", "CR"),
        input=Input(name="image", units=Units.NONE, scaling="robust", multiple=16, grid=Grid(kind="fit", side=64)),
        module="radiograph",
    ),
)


def find(name: str) -> AnalysisRecipe | None:
    """Return the recipe of a name, or nothing.

    Examples
    --------
    >>> find("cxr-view").labels
    ('AP', 'PA')
    >>> find("scint-denoise")
    """
    return next((recipe for recipe in RECIPES if recipe.name == name), None)
