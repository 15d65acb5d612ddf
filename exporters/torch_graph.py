"""An exported graph back in PyTorch, where it can be differentiated: the judge of gradients that a graph computes itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor
from torch.nn import functional

from ..engine.errors import ModelError

__all__ = ["TorchGraph"]

Inputs = list[Tensor | None]


class TorchGraph:
    """Run an ONNX graph of 2-dimensional layers, operator by operator.

    Parameters
    ----------
    model : bytes
        Serialised graph with one input.
    dtype : torch.dtype
        Of weights and values.

    Raises
    ------
    ModelError
        If an operator is not known here.
    """

    def __init__(self, model: bytes, dtype: torch.dtype = torch.float32) -> None:
        graph = onnx.load_model_from_string(model).graph
        self._dtype = dtype
        self._weights = {tensor.name: self._tensor(tensor) for tensor in graph.initializer}
        self._nodes = list(graph.node)
        self._input = graph.input[0].name
        self.outputs = tuple(value.name for value in graph.output)
        if unknown := sorted({node.op_type for node in self._nodes} - set(_OPERATORS) - {"Constant"}):
            raise ModelError(f"PyTorch is not taught {', '.join(unknown)} of the graph; add it to torch_graph.py.")

    def __call__(self, image: Tensor, given: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return every value of the graph by name.

        Parameters
        ----------
        image : Tensor, shape (n, channels, rows, columns)
            What the graph takes.
        given : dict of str to Tensor, optional
            Values that are taken instead of what the graph computes, to differentiate after them.
        """
        values: dict[str, Tensor] = {**self._weights, self._input: image.to(self._dtype), **(given or {})}
        for node in self._nodes:
            if node.output[0] in values:
                continue
            attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            if node.op_type == "Constant":
                values[node.output[0]] = self._constant(attributes)
            else:
                inputs: Inputs = [values[name] if name else None for name in node.input]
                values[node.output[0]] = _OPERATORS[node.op_type](inputs, attributes)
        return values

    def source_of(self, name: str) -> str:
        """Return what the operator that makes a value takes first.

        Raises
        ------
        ModelError
            If no operator makes it.
        """
        for node in self._nodes:
            if name in node.output:
                return self.source_of(node.input[0]) if node.op_type == "Identity" else str(node.input[0])
        raise ModelError(f"no operator of the graph makes {name!r}; export it again.")

    def _tensor(self, tensor: Any) -> Tensor:
        values = torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
        return values.to(self._dtype) if values.is_floating_point() else values

    def _constant(self, attributes: dict[str, Any]) -> Tensor:
        (value,) = attributes.values()
        return self._tensor(value) if isinstance(value, onnx.TensorProto) else torch.as_tensor(value)


def _padded(image: Tensor, attributes: dict[str, Any], value: float = 0.0) -> Tensor:
    """Pad as a convolution or pooling says; before and after may differ."""
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ModelError("the graph leaves padding to the runtime; export it with pads.")
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    return functional.pad(image, (left, right, top, bottom), value=value) if top or left or bottom or right else image


def _convolution(inputs: Inputs, attributes: dict[str, Any]) -> Tensor:
    image, weight, *bias = inputs
    assert image is not None
    assert weight is not None
    return functional.conv2d(
        _padded(image, attributes),
        weight,
        bias[0] if bias else None,
        attributes.get("strides", (1, 1)),
        0,
        attributes.get("dilations", (1, 1)),
        attributes.get("group", 1),
    )


def _transposed(inputs: Inputs, attributes: dict[str, Any]) -> Tensor:
    image, weight, *bias = inputs
    assert image is not None
    assert weight is not None
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    found = functional.conv_transpose2d(
        image,
        weight,
        bias[0] if bias else None,
        attributes.get("strides", (1, 1)),
        0,
        attributes.get("output_padding", (0, 0)),
        attributes.get("group", 1),
        attributes.get("dilations", (1, 1)),
    )
    return found[:, :, top : found.shape[2] - bottom, left : found.shape[3] - right]


def _average(inputs: Inputs, attributes: dict[str, Any]) -> Tensor:
    image = inputs[0]
    assert image is not None
    kernel, strides = attributes["kernel_shape"], attributes.get("strides", (1, 1))
    sums = functional.avg_pool2d(_padded(image, attributes), kernel, strides)
    if attributes.get("count_include_pad", 0) or not any(attributes.get("pads", ())):
        return sums
    return sums / functional.avg_pool2d(_padded(torch.ones_like(image), attributes), kernel, strides)


def _maximum(inputs: Inputs, attributes: dict[str, Any]) -> Tensor:
    image = inputs[0]
    assert image is not None
    return functional.max_pool2d(
        _padded(image, attributes, -torch.inf), attributes["kernel_shape"], attributes.get("strides", (1, 1))
    )


def _pad(inputs: Inputs, attributes: dict[str, Any]) -> Tensor:
    image, pads, *value = inputs
    assert image is not None
    assert pads is not None
    before, after = pads[: image.ndim].tolist(), pads[image.ndim :].tolist()
    mode = attributes.get("mode", b"constant").decode()
    if len(value) > 1 or mode not in ("constant", "reflect", "edge") or any(before[:2]) or any(after[:2]):
        raise ModelError(f"PyTorch is not taught to pad {before}, {after} by {mode!r}; add it to torch_graph.py.")
    sizes = (before[3], after[3], before[2], after[2])
    if mode == "constant":
        return functional.pad(image, sizes, value=float(value[0]) if value and value[0] is not None else 0.0)
    return functional.pad(image, sizes, mode="replicate" if mode == "edge" else mode)


def _clip(inputs: Inputs, attributes: dict[str, Any]) -> Tensor:
    low, high = (*inputs[1:], None, None)[:2]
    return torch.clamp(_first(inputs), low, high)


def _depth_to_space(inputs: Inputs, attributes: dict[str, Any]) -> Tensor:
    if attributes.get("mode", b"DCR") != b"CRD":
        raise ModelError("PyTorch is not taught to move depth to space column by row; add it to torch_graph.py.")
    return functional.pixel_shuffle(_first(inputs), attributes["blocksize"])


def _resize(inputs: Inputs, attributes: dict[str, Any]) -> Tensor:
    """Enlarge by whole factors, with the conventions that PyTorch has too."""
    image, _, scales, *sizes = inputs
    asked = tuple(attributes.get(name) for name in ("mode", "coordinate_transformation_mode"))
    mode = _RESIZED.get((asked[0] or b"nearest", asked[1] or b"half_pixel"))
    factors = [] if scales is None else scales.tolist()
    plain = mode != "nearest" or attributes.get("nearest_mode") == b"floor"
    cubic = mode != "bicubic" or attributes.get("cubic_coeff_a", -0.75) == -0.75
    whole = len(factors) == 4 and factors[:2] == [1, 1] and all(factor % 1 == 0 for factor in factors)
    if image is None or sizes or not (mode and plain and cubic and whole) or attributes.get("antialias", 0):
        raise ModelError(f"PyTorch is not taught to resize as {asked} by {factors}; add it to torch_graph.py.")
    corners = None if mode == "nearest" else False
    return functional.interpolate(image, scale_factor=factors[2:], mode=mode, align_corners=corners)


def _reduce(
    operation: Callable[[Tensor, tuple[int, ...], bool], Tensor],
) -> "Callable[[Inputs, dict[str, Any]], Tensor]":
    def reduce(inputs: Inputs, attributes: dict[str, Any]) -> Tensor:
        image, axes = _first(inputs), inputs[1] if len(inputs) > 1 else None
        chosen = tuple(axes.tolist()) if axes is not None else tuple(attributes.get("axes", range(image.ndim)))
        return operation(image, chosen, bool(attributes.get("keepdims", 1)))

    return reduce


def _each(operation: Callable[[Tensor], Tensor]) -> "Callable[[Inputs, dict[str, Any]], Tensor]":
    return lambda inputs, attributes: operation(_first(inputs))


def _pair(operation: Callable[[Any, Any], Tensor]) -> "Callable[[Inputs, dict[str, Any]], Tensor]":
    return lambda inputs, attributes: operation(inputs[0], inputs[1])


def _first(inputs: Inputs) -> Tensor:
    assert inputs[0] is not None
    return inputs[0]


_RESIZED = {
    (b"nearest", b"asymmetric"): "nearest",
    (b"linear", b"half_pixel"): "bilinear",
    (b"cubic", b"half_pixel"): "bicubic",
}
_OPERATORS: dict[str, Callable[[Inputs, dict[str, Any]], Tensor]] = {
    "Abs": _each(torch.abs),
    "Add": _pair(torch.add),
    "AveragePool": _average,
    "Clip": _clip,
    "Concat": lambda inputs, attributes: torch.cat([one for one in inputs if one is not None], attributes["axis"]),
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "DepthToSpace": _depth_to_space,
    "Div": _pair(torch.div),
    "Exp": _each(torch.exp),
    "GlobalAveragePool": _each(lambda image: image.mean((2, 3), keepdim=True)),
    "GlobalMaxPool": _each(lambda image: image.amax((2, 3), keepdim=True)),
    "Identity": _each(lambda image: image),
    "Log": _each(torch.log),
    "Max": _pair(torch.maximum),
    "MaxPool": _maximum,
    "Min": _pair(torch.minimum),
    "Mul": _pair(torch.mul),
    "Neg": _each(torch.neg),
    "Pad": _pad,
    "Pow": _pair(torch.pow),
    "Reciprocal": _each(torch.reciprocal),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _each(torch.relu),
    "Resize": _resize,
    "Sigmoid": _each(torch.sigmoid),
    "Sign": _each(torch.sign),
    "Softplus": _each(functional.softplus),
    "Sqrt": _each(torch.sqrt),
    "Sub": _pair(torch.sub),
    "Tanh": _each(torch.tanh),
}
