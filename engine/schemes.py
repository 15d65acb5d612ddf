"""How the layers of a model are quantised: all that a bundle stores of its graph of int8.

The graph itself is derived from the one of float32, see :mod:`~photopeak.engine.quantised_graph`.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .golden import read_arrays

__all__ = ["Scheme", "read_schemes", "schemes_archive"]

Floats = NDArray[np.float32]
_PARTS = ("factors", "step", "zero", "bias")
_MOST_LAYERS = 4096
_LARGEST = 16 << 20
# Beyond these, reciprocals and products leave the range of float32.
_STEPS = (1e-20, 1e20)
_FACTORS = (1e-6, 1e6)
_LARGEST_ZERO = 255


@dataclass(frozen=True, eq=False)
class Scheme:
    """How one layer is quantised.

    Parameters
    ----------
    factors : ndarray, shape (inputs,), float32
        What each channel is multiplied by first, so that all use the range; the weights are divided by it. Ones where
        channels stay as they are.
    step : float
        Value of one step of the activations, which are stored as uint8.
    zero : int
        Which of the 256 steps stands for 0.
    bias : ndarray, shape (outputs,), float32
        Bias of the layer, corrected for the mean error of the others.
    """

    factors: Floats
    step: float
    zero: int
    bias: Floats


def schemes_archive(schemes: Mapping[str, Scheme]) -> bytes:
    """Return schemes as the file that a bundle holds: four float32 arrays for each layer, ``LAYER.factors`` and so on.

    Parameters
    ----------
    schemes : mapping of str to Scheme
        By the names of the layers.
    """
    arrays: dict[str, Floats] = {}
    for name, scheme in sorted(schemes.items()):
        values = (scheme.factors, np.full(1, scheme.step), np.full(1, scheme.zero), scheme.bias)
        arrays |= {f"{name}.{part}": np.asarray(value, np.float32) for part, value in zip(_PARTS, values, strict=True)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read_schemes(content: bytes) -> dict[str, Scheme]:
    """Read what :func:`schemes_archive` returned; sizes are compared with the archive's before memory is taken.

    Parameters
    ----------
    content : bytes
        An .npz archive.

    Returns
    -------
    dict of str to Scheme
        By the names of the layers. Whether a graph has such layers, and of these shapes, is not known here.

    Raises
    ------
    ValueError
        If it is not exactly that, or a number cannot be what it stands for.

    Examples
    --------
    >>> one = Scheme(np.ones(8, np.float32), 0.25, 0, np.zeros(4, np.float32))
    >>> read_schemes(schemes_archive({"conv": one}))["conv"].step
    0.25
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [member.removesuffix(".npy") for member in archive.namelist()]
    names = sorted({member.rpartition(".")[0] for member in members})
    if not 0 < len(names) <= _MOST_LAYERS:
        raise ValueError(f"it holds {len(names)} layers and not 1 to {_MOST_LAYERS}")
    wanted = [f"{name}.{part}" for name in names for part in _PARTS]
    if amiss := sorted(set(members) ^ set(wanted)):
        raise ValueError(f"{amiss[0][:60]!r} is {'missing' if amiss[0] in wanted else 'no part of a scheme'}")
    arrays = read_arrays(content, wanted, _LARGEST)
    return {name: _scheme(name, *(arrays[f"{name}.{part}"] for part in _PARTS)) for name in names}


def _scheme(name: str, factors: Floats, step: Floats, zero: Floats, bias: Floats) -> Scheme:
    """Return a scheme of arrays whose numbers make sense."""
    for value, part, form in (
        (step, "step", (1,)),
        (zero, "zero", (1,)),
        (factors, "factors", None),
        (bias, "bias", None),
    ):
        if value.ndim != 1 or value.shape != (form or value.shape):
            raise ValueError(f"{part} of {name[:60]!r} has the shape {value.shape}")
    for value, part, (least, most) in ((step, "step", _STEPS), (factors, "factors", _FACTORS)):
        if not np.all((value >= least) & (value <= most)):
            raise ValueError(f"{part} of {name[:60]!r} is not within {least:g} to {most:g}")
    if not (0 <= zero[0] <= _LARGEST_ZERO and zero[0] == np.rint(zero[0])):
        raise ValueError(f"zero of {name[:60]!r} is {zero[0]:g} and not a whole number from 0 to {_LARGEST_ZERO}")
    if not np.isfinite(bias).all():
        raise ValueError(f"bias of {name[:60]!r} is not finite")
    return Scheme(factors, float(step[0]), int(zero[0]), bias)
