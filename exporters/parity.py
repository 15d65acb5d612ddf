"""Comparison of an exported graph with the network it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from ..engine.errors import ModelError
from .inference import Runner

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Difference:
    """How far an engine is from PyTorch.

    Parameters
    ----------
    engine : str
        ``onnxruntime`` or ``reference``.
    shape : tuple of int
        Shape of the input.
    absolute : float
        Largest difference [counts].
    relative : float
        Largest difference over the largest output.
    """

    engine: str
    shape: tuple[int, ...]
    absolute: float
    relative: float


def compare(net: torch.nn.Module, model: bytes, inputs: Sequence[NDArray[np.float32]]) -> list[Difference]:
    """Run the same inputs through PyTorch, ONNX Runtime and the reference evaluator of ONNX.

    Parameters
    ----------
    net : torch.nn.Module
        The trained network, in evaluation mode.
    model : bytes
        Its exported graph.
    inputs : sequence of ndarray, shape (n, 1, h, w), float32
        Counts; sides are multiples of what the network wants.

    Returns
    -------
    list of Difference
        Two per input.
    """
    runner, evaluator = Runner(model), ReferenceEvaluator(onnx.load_from_string(model))
    found = []
    for counts in inputs:
        with torch.no_grad():
            expected = net(torch.from_numpy(counts)).numpy()
        reference: Any = evaluator.run(None, {"counts": counts})
        for engine, output in (("onnxruntime", runner(counts)), ("reference", reference[0])):
            absolute = float(np.abs(output - expected).max())
            found.append(Difference(engine, counts.shape, absolute, absolute / float(np.abs(expected).max())))
    return found


def check(net: torch.nn.Module, model: bytes, multiple: int) -> None:
    """Refuse a graph that does not compute what its network computes.

    Parameters
    ----------
    net : torch.nn.Module
        The trained network, in evaluation mode.
    model : bytes
        Its exported graph.
    multiple : int
        What the sides of the input must be multiples of.

    Raises
    ------
    ModelError
        If an engine differs by more than ``TOLERANCE`` of the largest output, or the output is not finite.
    """
    rng = np.random.default_rng(0)
    inputs = [rng.poisson(level, (2, 1, 4 * multiple, 6 * multiple)).astype(np.float32) for level in (0.2, 5.0, 200.0)]
    for difference in compare(net, model, inputs):
        if not difference.relative <= TOLERANCE:
            raise ModelError(
                f"the exported graph differs from its network by {difference.relative:.2g} of the largest output in "
                f"{difference.engine}, train again or check the versions of torch and onnxscript."
            )
