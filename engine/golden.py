"""Tensors that pin what a model computes."""

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .manifest import CELL, Manifest

__all__ = [
    "Golden",
    "GoldenHeads",
    "head_shapes",
    "problem_of_golden",
    "problem_of_head",
    "problem_of_heads",
    "read_arrays",
]

Tensor = NDArray[np.float32]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Tensors that pin what a model of images computes.

    Parameters
    ----------
    input : ndarray, shape (n, 1, rows, columns), float32
        Frames of the training domain, held out from training.
    output : ndarray, shape (n, 1, scale * rows, scale * columns), float32
        What the graph gives for them in float32.
    truth : ndarray, same shape as `output`, float32
        What it should ideally give; the loss of a lower precision is measured against it.
    """

    input: Tensor
    output: Tensor
    truth: Tensor

    def arrays(self) -> dict[str, Tensor]:
        """Return the tensors by the names that they are stored under."""
        return {"input": self.input, "output": self.output, "truth": self.truth}


@dataclass(frozen=True, slots=True, eq=False)
class GoldenHeads:
    """Tensors that pin what a model of findings computes.

    Parameters
    ----------
    input : ndarray, shape (n, channels, rows, columns), float32
        Images on the working grid as the graph takes them, held out from training.
    heads : mapping of str to ndarray, float32
        What each head of the graph gives for them in float32; shapes as in :class:`~photopeak.engine.manifest.Analysis`.
    """

    input: Tensor
    heads: Mapping[str, Tensor]

    def arrays(self) -> dict[str, Tensor]:
        """Return the tensors by the names that they are stored under."""
        return {"input": self.input, **self.heads}


def head_shapes(manifest: Manifest, tensor: Shape) -> dict[str, Shape]:
    """Return the shape of each head for an input of shape (n, channels, rows, columns).

    Parameters
    ----------
    manifest : Manifest
        Of a model that gives findings.
    tensor : tuple of int
        Shape of the graph's input; rows and columns are multiples of the manifest's ``multiple``.

    Returns
    -------
    dict of str to tuple of int
        The last two sizes of ``cam`` are the model's own and given as 0.
    """
    analysis = manifest.analysis
    if analysis is None:
        return {}
    n, _, rows, columns = tensor
    k, d = len(analysis.labels), len(analysis.embedding.mean)
    cells = rows // CELL, columns // CELL
    shapes = {
        "logits": (n, k, 1, 1),
        "heat": (n, 1, *cells),
        "box": (n, 4, *cells),
        "cam": (n, k, 0, 0),
        "embedding": (n, d, 1, 1),
    }
    return {name: shapes[name] for name in manifest.heads}


def problem_of_head(name: str, wanted: Shape, found: Shape, tensor: Shape) -> str:
    """Return what is wrong with the shape of a head, or an empty string.

    The map of ``cam`` must cover the input evenly: its sizes are the input's over one whole number.
    """
    if name != "cam":
        return "" if found == wanted else f"the head {name!r} is {found} and not {wanted}"
    if len(found) != 4 or found[:2] != wanted[:2] or 0 in found:
        return f"the head 'cam' is {found} and not {(*wanted[:2], 'h', 'w')}"
    step = tensor[2] // found[2]
    if (found[2] * step, found[3] * step) != tensor[2:]:
        return f"the head 'cam' is {found[2]}x{found[3]}, no whole fraction of {tensor[2]}x{tensor[3]}"
    return ""


def problem_of_golden(golden: Golden, scale: int) -> str:
    """Return why tensors do not fit each other or the scale, or an empty string."""
    n, channels, rows, columns = golden.input.shape if golden.input.ndim == 4 else (0, 0, 0, 0)
    wanted = (n, 1, scale * rows, scale * columns)
    arrays = (golden.input, golden.output, golden.truth)
    fits = golden.input.size > 0 and channels == 1 and golden.output.shape == wanted == golden.truth.shape
    if fits and all(array.dtype == np.float32 for array in arrays):
        return "" if all(np.isfinite(array).all() for array in arrays) else "values are not finite"
    return f"shapes {[array.shape for array in arrays]} are not (n, 1, rows, columns) float32 at scale {scale}"


def problem_of_heads(golden: GoldenHeads, manifest: Manifest) -> str:
    """Return why tensors are not what the manifest says, or an empty string."""
    shape, taken = golden.input.shape, manifest.input
    side = taken.grid.side if taken.grid else None
    if len(shape) != 4 or 0 in shape or shape[1] != taken.depth or any(size % taken.multiple for size in shape[2:]):
        return f"the input is {shape} and not (n, {taken.depth}, rows, columns) in multiples of {taken.multiple}"
    if side and shape[2:] != (side, side):
        return f"the input is {shape[2]}x{shape[3]} and not {side}x{side}"
    for name, wanted in head_shapes(manifest, shape).items():
        if problem := problem_of_head(name, wanted, golden.heads[name].shape, shape):
            return problem
    if not all(np.isfinite(array).all() for array in golden.arrays().values()):
        return "values are not finite"
    return ""


def read_arrays(content: bytes, names: Sequence[str], largest: int) -> dict[str, Tensor]:
    """Read float32 arrays; sizes are compared with the archive's before memory is taken.

    Parameters
    ----------
    content : bytes
        An .npz archive.
    names : sequence of str
        What it must hold, and nothing else.
    largest : int
        Most bytes of all arrays together.

    Raises
    ------
    ValueError
        If it is not exactly that.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        if sorted(members) != sorted(names) or len(archive.infolist()) != len(members):
            raise ValueError(f"it holds {sorted(members)}")
        if sum(member.file_size for member in members.values()) > largest:
            raise ValueError(f"it is larger than {largest} bytes")
        arrays = {}
        for name, member in members.items():
            with archive.open(member) as file:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype != np.float32 or math.prod(shape) * dtype.itemsize > member.file_size:
                raise ValueError(f"{name} is {dtype} of shape {shape}")
            with archive.open(member) as file:
                arrays[name] = np.ascontiguousarray(np.lib.format.read_array(file, allow_pickle=False))
    return arrays
