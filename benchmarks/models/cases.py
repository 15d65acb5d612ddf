"""What is measured: a model on a matrix, and the pixels that everybody gets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...engine.matrix import SCANNER_MATRICES, MatrixSize
from ...engine.planner import working_matrix
from ...engine.zoo import load_bundle
from .. import images

__all__ = ["Case", "cases_of", "tensor_of"]


@dataclass(frozen=True, slots=True)
class Case:
    """A model on a matrix.

    Parameters
    ----------
    model : str
        Name of a model that ships, or folder of a bundle.
    matrix : MatrixSize
        Of each frame; of models of findings that of their working grid.
    frames : int
        Frames of a call.
    findings : bool
        Whether the model detects or classifies.
    """

    model: str
    matrix: MatrixSize
    frames: int = 1
    findings: bool = False

    @property
    def label(self) -> str:
        """The matrix, and the number of frames where there is more than one.

        Examples
        --------
        >>> Case("pet-denoise", MatrixSize(128, 128), frames=200).label
        '128x128 x 200'
        """
        return f"{self.matrix} x {self.frames}" if self.frames > 1 else str(self.matrix)


def cases_of(models: Sequence[str], matrices: Sequence[MatrixSize] = SCANNER_MATRICES, frames: int = 1) -> list[Case]:
    """Return all models on all matrices; models of findings work on a grid of their own, which is their only case.

    Examples
    --------
    >>> [case.label for case in cases_of(["scint-denoise"], [MatrixSize(64, 64), MatrixSize(128, 128)])]
    ['64x64', '128x128']
    >>> [case.label for case in cases_of(["bone-classify", "parathyroid-detect"], [MatrixSize(64, 64), MatrixSize(512, 512)])]
    ['128x128', '256x256']
    """
    found = []
    for model in models:
        bundle = load_bundle(model)
        if bundle.manifest.analysis:
            found.append(Case(model, working_matrix(bundle, SCANNER_MATRICES[0]), findings=True))
        else:
            found += [Case(model, matrix, frames) for matrix in matrices]
    return found


def tensor_of(case: Case) -> NDArray[np.float32]:
    """Return Poisson counts as the graph takes them, the same on every call.

    Returns
    -------
    ndarray, shape (frames, channels, rows, columns), float32
        Counts per pixel [counts]; where the model takes values up to 1, as a share of the peak.
    """
    bundle = load_bundle(case.model)
    channels = len(bundle.manifest.input.channels or ("",))
    counts = images.counts(case.matrix, case.frames * channels).astype(np.float32)
    if bundle.manifest.input.scaling != "none":
        counts /= counts.max()
    return counts.reshape(case.frames, channels, *case.matrix)
