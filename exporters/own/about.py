"""What only its maker knows about a network, and the examples that stand for what it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...engine.errors import InputError
from ...engine.frames import Frames, Units
from ...engine.manifest import Grid

__all__ = ["CONSERVED", "About", "Examples", "Task", "examples_of", "stack_of"]

Floats = NDArray[np.float32]
Task = Literal["denoise", "super-resolution", "detection", "classification"]
_MODALITY: Mapping[Units, str] = {
    Units.COUNTS: "NM",
    Units.BECQUEREL_PER_ML: "PT",
    Units.SUV_BODY_WEIGHT: "PT",
    Units.HOUNSFIELD: "CT",
    Units.NONE: "OT",
}
CONSERVED: Mapping[Units, Literal["sum", "mean", "none"]] = {
    Units.COUNTS: "sum",
    Units.BECQUEREL_PER_ML: "mean",
    Units.SUV_BODY_WEIGHT: "mean",
    Units.HOUNSFIELD: "none",
    Units.NONE: "none",
}


@dataclass(frozen=True)
class About:
    """What the maker of a network tells about it; what is left out is measured, or the card says that it is not known.

    Parameters
    ----------
    name : str
        Of the bundle: small letters, digits and single hyphens; empty: that of the folder.
    title : str
        For people.
    version : str
        Three numbers with points.
    licence : str
        SPDX identifier of the weights' licence.
    modalities : tuple of str
        DICOM modalities; empty: that of the examples.
    units : Units, optional
        What pixel values mean. By default those of the examples; of bare arrays counts where all are whole and none
        negative, else none.
    scaling : {"none", "robust"}
        ``robust`` where the network wants each frame divided by its 99.5th percentile; examples and truth are given unscaled.
    conserve : {"sum", "mean", "none"}, optional
        What the engine keeps of each frame. By default the sum of counts, the mean of concentrations and SUV.
    multiple : int
        What rows and columns must be multiples of; 0: found by trial.
    overlap : int, optional
        Pixels of context that a tile needs on each side; by default as far as gradients reach [px].
    labels, channels : tuple of str
        Of networks that give findings: names of the classes, and of the channels where there are several.
    grid : Grid, optional
        Of networks that give findings: what images are brought to; by default the side of the examples.
    threshold : float
        Of networks that give findings: probability from which on a finding counts.
    temperature : float, optional
        Logits are divided by it; by default fitted to the labels of the examples, or 1 without labels.
    data : tuple of str
        What the network was trained on, each with its licence.
    date : str
        Day of training, ISO 8601; empty: not known.
    steps : int
        Optimiser steps; 0: not known.
    seconds : float
        Wall time of the training [s]; 0: not known.
    notes : str
        What else the card shall say, Markdown.
    """

    name: str = ""
    title: str = ""
    version: str = "0.1.0"
    licence: str = "NOASSERTION"
    modalities: tuple[str, ...] = ()
    units: Units | None = None
    scaling: Literal["none", "robust"] = "none"
    conserve: Literal["sum", "mean", "none"] | None = None
    multiple: int = 0
    overlap: int | None = None
    labels: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    grid: Grid | None = None
    threshold: float = 0.5
    temperature: float | None = None
    data: tuple[str, ...] = ()
    date: str = ""
    steps: int = 0
    seconds: float = 0.0
    notes: str = ""


@dataclass(frozen=True, eq=False)
class Examples:
    """Images of the kind that a network was trained on, before any scaling.

    Parameters
    ----------
    images : ndarray, shape (n, channels, rows, columns), float32
        Values in `units`.
    units : Units
        What they mean.
    modalities : tuple of str
        DICOM modalities.
    """

    images: Floats
    units: Units
    modalities: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def matrix(self) -> str:
        """Rows and columns, such as ``128x128``."""
        return "x".join(map(str, self.images.shape[2:]))


def examples_of(example: Any, about: About, least: int) -> Examples:
    """Return examples, whatever they were given as.

    Parameters
    ----------
    example : Frames, array or tensor
        Shape (n, rows, columns) or (n, channels, rows, columns).
    about : About
        Whose units and modalities go before those of the examples.
    least : int
        Fewest examples that are of use.

    Raises
    ------
    InputError
        If it is something else, or there are too few.
    """
    if isinstance(example, Frames):
        found = example.pixels[:, np.newaxis]
        units, modality = about.units or example.units, example.modality
    else:
        found = stack_of(example, "examples")
        units = about.units or (Units.COUNTS if _are_counts(found) else Units.NONE)
        modality = _MODALITY[units]
    if len(found) < least:
        raise InputError(
            f"{len(found)} examples are too few: golden tensors and training domain come from them; give {least} or more, "
            "such as a stack of what the network was trained on."
        )
    return Examples(np.ascontiguousarray(found), units, about.modalities or (modality,))


def stack_of(given: Any, what: str) -> Floats:
    """Return an array of shape (n, channels, rows, columns), float32, of frames, an array or a tensor.

    Raises
    ------
    InputError
        If it has another rank, is not of real numbers, or holds NaN or infinite values.
    """
    if isinstance(given, Frames):
        given = given.pixels
    array = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    if array.dtype.kind not in "biuf" or array.ndim not in (3, 4) or 0 in array.shape:
        raise InputError(
            f"{what} are {array.dtype} of shape {array.shape}; give real numbers of shape (n, rows, columns) or "
            "(n, channels, rows, columns)."
        )
    stack = array[:, np.newaxis] if array.ndim == 3 else array
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as that
        found = np.ascontiguousarray(stack, np.float32)
    if not np.isfinite(found).all():
        raise InputError(f"{what} hold NaN or infinite values; mend them first.")
    return found


def _are_counts(images: Floats) -> bool:
    return bool((images >= 0).all() and (images == np.rint(images)).all())
