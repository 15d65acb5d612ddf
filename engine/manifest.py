"""What the engine must know about a model; ``manifest.toml`` of its bundle."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from .domain_statistics import Domain, EmbeddingDomain, Strict
from .errors import ModelError, UsageError
from .frames import Units
from .matrix import MatrixSize

__all__ = [
    "ANALYSES",
    "HEADS",
    "Analysis",
    "Domain",
    "EmbeddingDomain",
    "Grid",
    "Input",
    "Manifest",
    "Output",
    "Training",
]

# Outputs of the graph for each task that gives findings and no image.
HEADS = {"detection": ("heat", "box", "cam", "embedding"), "classification": ("logits", "cam", "embedding")}
ANALYSES = tuple(HEADS)
# Detections are given for cells of so many pixels.
CELL = 4

# Totals of counts and means of concentrations are physics; a sum of Hounsfield units is nothing.
_CONSERVABLE = {
    Units.COUNTS: ("sum", "none"),
    Units.BECQUEREL_PER_ML: ("mean", "none"),
    Units.SUV_BODY_WEIGHT: ("mean", "none"),
    Units.HOUNSFIELD: ("none",),
    Units.NONE: ("none",),
}

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# Titles end up on terminals and in web pages.
Line = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
Channel = Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Share = Annotated[float, Field(ge=0, le=1)]
OperatingPoint = tuple[Share, Share, Annotated[float, Field(ge=0)]]


class Grid(Strict):
    """The pixels that a model of findings sees, whatever the matrix of the image.

    Parameters
    ----------
    kind : {"pitch", "fit", "thorax"}
        ``pitch``: the whole field at a fixed pixel size, counts conserved, padded with zeros to the input's ``multiple``;
        ``fit``: the longest side at a fixed number of pixels, padded to a square; ``thorax``: a square about the ribs of a
        bone scan, at a fixed pixel size.
    pitch_mm : float, optional
        Edge of a pixel [mm]; of ``pitch`` and ``thorax``.
    side : int, optional
        Rows and columns [px]; of ``fit`` and ``thorax``.
    """

    kind: Literal["pitch", "fit", "thorax"]
    pitch_mm: Annotated[float, Field(ge=0.05, le=50)] | None = None
    side: Annotated[int, Field(ge=16, le=1024)] | None = None

    @model_validator(mode="after")
    def _has_its_sizes(self) -> "Grid":
        for name, value, kinds in (("pitch_mm", self.pitch_mm, "pitch thorax"), ("side", self.side, "fit thorax")):
            if (value is not None) != (self.kind in kinds.split()):
                wanted = "needs" if value is None else "has no"
                raise ValueError(f"a grid of the kind {self.kind!r} {wanted} {name}")
        return self


class Input(Strict):
    """What the graph wants: float32 of shape (n, channels, rows, columns), one channel where none is named.

    Parameters
    ----------
    name : str
        Name of the graph's input.
    units : Units
        Physical meaning of its values.
    scaling : {"none", "robust"}
        ``none``: values go in as they are; ``robust``: each frame is divided by its 99.5th percentile first and
        an image that comes out is multiplied by it afterwards.
    multiple : int
        Rows and columns must be multiples of this; for images the engine pads by reflection and crops.
    overlap : int
        Pixels of context that a tile needs on each side [px].
    channels : tuple of str
        Names of the channels of a model of findings; empty stands for one image.
    optional : bool
        Whether channels may be absent, that is all zero, as long as one is there.
    grid : Grid, optional
        What the image is brought to; of models of findings alone.
    """

    name: str
    units: Units
    scaling: Literal["none", "robust"] = "none"
    multiple: Annotated[int, Field(ge=1, le=64)] = 1
    overlap: Annotated[int, Field(ge=0, le=128)] = 32
    channels: Annotated[tuple[Channel, ...], Field(max_length=8)] = ()
    optional: bool = False
    grid: Grid | None = None

    @model_validator(mode="after")
    def _agrees_with_its_channels(self) -> "Input":
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("each channel needs a name of its own")
        if self.optional and len(self.channels) < 2:
            raise ValueError("channels can be optional only where there are several")
        if self.grid and self.grid.side and self.grid.side % self.multiple:
            raise ValueError(f"a side of {self.grid.side} px is no multiple of {self.multiple}")
        return self

    @property
    def depth(self) -> int:
        """Number of channels that the graph takes."""
        return max(1, len(self.channels))


class Output(Strict):
    """What the graph gives: (n, 1, scale * rows, scale * columns) float32.

    Parameters
    ----------
    name : str
        Name of the graph's output.
    scale : int
        Magnification of rows and columns.
    conserve : {"sum", "mean", "none"}
        What the engine keeps exactly for each frame: total counts, mean concentration, or nothing.
    """

    name: str
    scale: Literal[1, 2, 4] = 1
    conserve: Literal["sum", "mean", "none"]


class Training(Strict):
    """How the weights came about.

    Parameters
    ----------
    recipe : str
        Name that ``photopeak train`` knows; ``own`` of networks that were trained elsewhere.
    date : str
        Day of training, ISO 8601; of networks that were trained elsewhere that of the export, where nothing else is known.
    seconds : float
        Wall time of the training [s]; 0 where it is not known.
    steps : int
        Optimiser steps; 0 where they are not known.
    matrices : tuple of str
        Matrix sizes of the training images.
    counts_per_pixel : tuple of float, optional
        Lowest and highest mean counts per pixel that were trained; for models of counts.
    coincidences : tuple of float, optional
        Lowest and highest number of true coincidences in a slice that were trained; for models of PET.
    data : tuple of str
        Sources, each with its licence.
    """

    recipe: str
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    seconds: Annotated[float, Field(ge=0)]
    steps: Annotated[int, Field(ge=0)]
    matrices: tuple[str, ...]
    counts_per_pixel: tuple[float, float] | None = None
    coincidences: tuple[float, float] | None = None
    data: tuple[str, ...]

    @field_validator("matrices")
    @classmethod
    def _are_matrices(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(MatrixSize.parse(text)) for text in value)
        except UsageError as error:
            raise ValueError(str(error)) from error


class Analysis(Strict):
    """How the heads of a graph that gives findings are read.

    The heads are float32 tensors of rank 4. Of a classification: ``logits`` (n, k, 1, 1), ``cam`` (n, k, h, w) and
    ``embedding`` (n, d, 1, 1); of a detection: ``heat`` (n, 1, rows / 4, columns / 4), ``box`` (n, 4, rows / 4, columns / 4),
    ``cam`` (n, 1, h, w) and ``embedding``.

    Parameters
    ----------
    labels : tuple of str
        Names of the k classes, or the one name of what is detected.
    threshold : float
        Probability from which on a finding counts. Of a classification: that any label but the first one, the usual case, is
        right; the most probable of the others is then found, else the first.
    temperature : float
        Logits are divided by it before they become probabilities.
    operating_points : tuple of (float, float, float)
        Threshold, sensitivity, and false positives per image (detection) or 1 - specificity (classification).
    embedding : EmbeddingDomain
        Where the embeddings of training lie.

    References
    ----------
    * Guo, C. et al. (2017). On calibration of modern neural networks. ICML. (The temperature.)
    * Selvaraju, R. et al. (2017). Grad-CAM: visual explanations from deep networks. ICCV. (The head ``cam``.)
    """

    labels: Annotated[tuple[Line, ...], Field(min_length=1, max_length=64)]
    threshold: Annotated[float, Field(gt=0, lt=1)]
    temperature: Annotated[float, Field(ge=0.01, le=100)]
    operating_points: Annotated[tuple[OperatingPoint, ...], Field(max_length=256)] = ()
    embedding: EmbeddingDomain

    @model_validator(mode="after")
    def _names_each_class_once(self) -> "Analysis":
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("each label may be there once")
        return self


class Manifest(Strict):
    """Everything the engine must know about a model; ``manifest.toml`` in the bundle.

    Parameters
    ----------
    format : int
        Version of the bundle format.
    name, version, title : str
        Identity; `title` is for people.
    task : {"super-resolution", "denoise", "detection", "classification"}
        What the model does; the last two give findings, the others images.
    licence : str
        SPDX identifier of the weights' licence.
    modalities : tuple of str
        DICOM modalities that the model is for.
    input, training, domain
        See the classes of these names.
    output : Output, optional
        Of a model that gives images.
    analysis : Analysis, optional
        Of a model that gives findings.
    files : dict of str to str
        SHA-256 of each other file of the bundle.
    """

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    title: Line
    task: Literal["super-resolution", "denoise", "detection", "classification"]
    licence: Line
    modalities: Annotated[tuple[Line, ...], Field(min_length=1)]
    input: Input
    output: Output | None = None
    analysis: Analysis | None = None
    training: Training
    domain: Domain
    files: dict[str, Sha256] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _gives_images_or_findings(self) -> "Manifest":
        wanted, other = ("analysis", "output") if self.task in ANALYSES else ("output", "analysis")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"a model for {self.task} needs the table {wanted} and has no {other}")
        problem = _problem_of_analysis(self) if self.analysis else _problem_of_image(self.input, self.image_output)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def image_output(self) -> Output:
        """The output of a model that gives images.

        Raises
        ------
        ModelError
            If it gives findings.
        """
        if self.output is None:
            raise ModelError(f"{self.name} gives findings ({self.task}) and no image; run it with photopeak.load.")
        return self.output

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return HEADS[self.task] if self.analysis else (self.image_output.name,)


def _problem_of_image(taken: Input, output: Output) -> str:
    if taken.channels or taken.optional or taken.grid:
        return "channels and grid of the input are for models of findings"
    if output.conserve not in _CONSERVABLE[taken.units]:
        known = " or ".join(_CONSERVABLE[taken.units])
        return f"of {taken.units} values the output can conserve {known}, not {output.conserve}"
    return ""


def _problem_of_analysis(manifest: Manifest) -> str:
    taken, analysis = manifest.input, manifest.analysis
    if taken.grid is None:
        return f"a model for {manifest.task} needs the table input.grid"
    if analysis and (manifest.task == "detection") != (len(analysis.labels) == 1):
        return f"{len(analysis.labels)} labels do not suit {manifest.task}: one is detected, two or more are told apart"
    if manifest.task == "detection" and taken.multiple % CELL:
        return f"the input of a detection must be in multiples of {CELL} px, not {taken.multiple}"
    return ""
