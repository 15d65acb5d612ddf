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
from .inference import HeadRunner, Runner
from .onnx import in_order

TOLERANCE = 1e-4
_TINY = float(np.finfo(np.float32).tiny)


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
        Largest difference [counts, or units of the head].
    relative : float
        Largest difference over the largest output.
    head : str
        Which output, where there are several.
    """

    engine: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    head: str = ""


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
    runner, evaluator = Runner(model, multiple=1), ReferenceEvaluator(onnx.load_from_string(model))
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


def compare_heads(net: torch.nn.Module, model: bytes, inputs: Sequence[NDArray[np.float32]]) -> list[Difference]:
    """Run the same inputs through PyTorch, ONNX Runtime and the reference evaluator of ONNX, head by head.

    Parameters
    ----------
    net : torch.nn.Module
        The trained network, in evaluation mode; gives a dict of heads, or a tuple in the order of the graph's outputs.
    model : bytes
        Its exported graph.
    inputs : sequence of ndarray, shape (n, channels, h, w), float32
        Images; sides are multiples of what the network wants.

    Returns
    -------
    list of Difference
        For each input two for each head.
    """
    runner, evaluator = HeadRunner(model), ReferenceEvaluator(onnx.load_from_string(model))
    found = []
    for image in inputs:
        with torch.no_grad():
            expected = in_order(net(torch.from_numpy(image)), runner.heads)
        reference: Any = evaluator.run(list(runner.heads), {"image": image})
        given = {"onnxruntime": runner(image), "reference": dict(zip(runner.heads, reference, strict=True))}
        for engine, outputs in given.items():
            found += [_difference(engine, head, outputs[head], expected[head].numpy()) for head in runner.heads]
    return found


def check_heads(net: torch.nn.Module, model: bytes, inputs: Sequence[NDArray[np.float32]]) -> None:
    """Refuse a graph whose heads are not what its network computes.

    Parameters
    ----------
    net, model, inputs
        As in :func:`compare_heads`.

    Raises
    ------
    ModelError
        If a head differs by more than ``TOLERANCE`` of its largest value, or is not finite.
    """
    for difference in compare_heads(net, model, inputs):
        if not difference.relative <= TOLERANCE:
            raise ModelError(
                f"the head {difference.head!r} of the exported graph differs from its network by {difference.relative:.2g} "
                f"of its largest value in {difference.engine}, train again or check the versions of torch and onnxscript."
            )


def _difference(engine: str, head: str, output: NDArray[np.float32], expected: NDArray[np.float32]) -> Difference:
    """Compare one head; where all of it is zero, so must be what is compared."""
    if output.shape != expected.shape:
        raise ModelError(f"the head {head!r} is {output.shape} in {engine} and {expected.shape} in its network.")
    absolute, peak = float(np.abs(output - expected).max()), float(np.abs(expected).max())
    return Difference(engine, output.shape, absolute, absolute / (peak or _TINY), head)
