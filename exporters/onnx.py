"""Export a PyTorch network to an ONNX graph that every provider runs."""

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
import torch

from ..engine.graph import OPERATORS

OPSET = 18
IR_VERSION = 10
SIDE = 64


class ForeignOperatorsError(ValueError):
    """A graph with operators that the engine does not run.

    Parameters
    ----------
    kinds : sequence of str
        Their names.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__(f"the graph uses {', '.join(kinds)}, which the engine does not run; express it in others")
        self.kinds = tuple(kinds)


def to_onnx(net: torch.nn.Module, multiple: int) -> bytes:
    """Export a network that maps counts to an image.

    Parameters
    ----------
    net : torch.nn.Module
        In evaluation mode; input (n, 1, h, w) float32, output (n, 1, s * h, s * w).
    multiple : int
        Sides that the network accepts are multiples of this.

    Returns
    -------
    bytes
        A checked ONNX model: opset 18, input ``counts``, output ``image``, dynamic n, h and w, weights inside,
        no metadata of the exporting machine.

    Raises
    ------
    ValueError
        If the graph needs operators outside the standard domain or keeps data outside the file.
    """
    model = _exported(net, multiple, channels=1, outputs=["image"], taken="counts")
    _name_axes(model.graph.input[0], ("n", "h", "w"))
    _name_axes(model.graph.output[0], ("n", "out_h", "out_w"))
    return _checked(model)


def to_onnx_heads(net: torch.nn.Module, channels: int, multiple: int, heads: Sequence[str]) -> bytes:
    """Export a network that gives several tensors, such as logits and their evidence map.

    Parameters
    ----------
    net : torch.nn.Module
        In evaluation mode; input (n, channels, h, w) float32, output a tuple of tensors in the order of `heads`, or a dict
        with these keys. Each tensor is float32 of rank 4.
    channels : int
        Channels of the input.
    multiple : int
        Sides that the network accepts are multiples of this, two of them at least.
    heads : sequence of str
        Names of the outputs.

    Returns
    -------
    bytes
        A checked ONNX model: opset 18, input ``image``, the outputs by name and in order, dynamic n, h and w, weights
        inside, no metadata of the exporting machine.

    Raises
    ------
    ForeignOperatorsError
        If the graph needs operators that the engine does not run.
    ValueError
        If the network gives other heads.
    """
    model = _exported(_InOrder(net, heads).eval(), multiple, channels=channels, outputs=list(heads), taken="image")
    foreign = sorted({node.op_type for node in model.graph.node} - OPERATORS)
    if foreign:
        raise ForeignOperatorsError(foreign)
    _name_axes(model.graph.input[0], ("n", "h", "w"))
    for value in model.graph.output:
        _name_axes(value, ("n", f"{value.name}_h", f"{value.name}_w"))
    return _checked(model)


class _InOrder(torch.nn.Module):
    """A network whose heads come as a tuple, in a fixed order."""

    def __init__(self, net: torch.nn.Module, heads: Sequence[str]) -> None:
        super().__init__()
        self.net = net
        self.heads = tuple(heads)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = in_order(self.net(image), self.heads)
        return tuple(found[name] for name in self.heads)


def in_order(found: Any, heads: Sequence[str]) -> dict[str, torch.Tensor]:
    """Return what a network gave as a dict from head to tensor.

    Parameters
    ----------
    found : dict, or sequence of tensors
        What the network returned; a sequence is in the order of `heads`.
    heads : sequence of str
        Names of the heads.

    Raises
    ------
    ValueError
        If there are other heads.
    """
    named = dict(found) if isinstance(found, dict) else dict(zip(heads, found, strict=True))
    if set(named) != set(heads):
        raise ValueError(f"the network gives the heads {sorted(named)} and not {sorted(heads)}, name these")
    return named


def _exported(net: torch.nn.Module, multiple: int, *, channels: int, outputs: list[str], taken: str) -> Any:
    """Run torch's exporter and return the cleaned model."""
    dim = torch.export.Dim
    shapes = (
        {
            0: dim("n", min=1, max=4096),
            2: multiple * dim("h", min=2, max=8192),
            3: multiple * dim("w", min=2, max=8192),
        },
    )
    side = -(-SIDE // multiple) * multiple
    example = torch.ones(2, channels, max(side, 2 * multiple), side + 2 * multiple)
    with _quiet():
        program = torch.onnx.export(
            net,
            (example,),
            opset_version=OPSET,
            input_names=[taken],
            output_names=outputs,
            dynamic_shapes=shapes,
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch.onnx returned no program, check the torch and onnxscript versions")
    return _clean(program.model_proto)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says about its own future, and about packages that no graph here needs, off standard error."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _checked(model: Any) -> bytes:
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _name_axes(value: Any, names: tuple[str, str, str]) -> None:
    """Name frames, rows and columns; a size that is 1 for every input stays."""
    dims = value.type.tensor_type.shape.dim
    for axis, name in zip((0, 2, 3), names, strict=True):
        if dims[axis].dim_value != 1:
            dims[axis].dim_param = name


def operators(model: bytes) -> Counter[str]:
    """Count the operators of a graph.

    Parameters
    ----------
    model : bytes
        A serialised ONNX model.

    Returns
    -------
    Counter
        Number of nodes by operator.
    """
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


def _clean(model: Any) -> Any:
    """Keep the graph and drop what only describes the export; refuse what other runtimes lack."""
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if foreign or model.functions:
        raise ValueError(
            f"the graph uses operators of the domains {sorted(foreign)}, express the network in standard ones"
        )
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ValueError("the graph keeps weights outside the file, export it with embedded weights")
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "photopeak", "", ""
    del model.metadata_props[:]
    for part in (
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
    ):
        part.doc_string = ""
        del part.metadata_props[:]
    del model.graph.value_info[:]
    kept = [entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model
