"""What an engine is made of, as its builder reports it, and what must not be in it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import Field

from ...domain_statistics import Strict
from ...precisions import Precision

__all__ = ["Layer", "is_convolution", "layers_of_inspector", "layers_of_report", "problem_of_layers", "summary"]

Words = Annotated[str, Field(max_length=4096)]
# Names of types in the builder's report and in the inspector's.
_TYPES: dict[Precision, frozenset[str]] = {
    "fp32": frozenset(["Float", "FP32"]),
    "fp16": frozenset(["Half", "FP16"]),
    "bf16": frozenset(["BFloat16", "BF16"]),
}
_CONVOLUTIONS = frozenset(
    [
        "correlation",
        "deconv",
        "gemm",
        "CaskConvolution",
        "CaskDeconvolution",
        "CaskGemm",
        "Convolution",
        "Deconvolution",
    ]
)
_LINE = re.compile(
    r"Name: (?P<name>.*?), LayerType: (?P<kind>[^,]*), Inputs: \[(?P<inputs>.*?)\], Constants: \[.*\], "
    r"Outputs: \[(?P<outputs>.*)\], TacticName: "
)
_DATATYPE = re.compile(r"Datatype: (\w+)")
_FORMAT = re.compile(r"\b(FP32|FP16|BF16|INT8|INT32|INT64|BOOL|UINT8|FP8)\b", re.IGNORECASE)


class Layer(Strict):
    """One layer of an engine.

    Parameters
    ----------
    name, kind : str
        As the library calls them.
    inputs, outputs : tuple of str
        Types of the tensors that it reads and writes, weights left out.
    """

    name: Words
    kind: Words
    inputs: Annotated[tuple[Words, ...], Field(max_length=64)]
    outputs: Annotated[tuple[Words, ...], Field(max_length=64)]


def layers_of_report(messages: Iterable[str]) -> tuple[Layer, ...]:
    """Return the layers that a builder reports in its log, in order of profiles; none if it reports none.

    Parameters
    ----------
    messages : iterable of str
        What was logged; layers follow a line ``Layers:``.

    Examples
    --------
    >>> line = "Name: c, LayerType: correlation, Inputs: [ { Datatype: Half }], Constants: [], Outputs: [], TacticName: t"
    >>> layers_of_report(["Layers:" + chr(10) + line])[0].inputs
    ('Half',)
    """
    lines = (line for message in messages if message.startswith("Layers:") for line in message.splitlines())
    return tuple(
        Layer(
            name=found["name"],
            kind=found["kind"],
            inputs=tuple(_DATATYPE.findall(found["inputs"])),
            outputs=tuple(_DATATYPE.findall(found["outputs"])),
        )
        for found in filter(None, map(_LINE.match, lines))
    )


def layers_of_inspector(information: str) -> tuple[Layer, ...]:
    """Return the layers that an engine's inspector reports as JSON; none if it reports none."""
    layers = json.loads(information).get("Layers", [])
    return tuple(
        Layer(
            name=layer["Name"],
            kind=layer.get("LayerType", ""),
            inputs=_inspected(layer.get("Inputs", [])),
            outputs=_inspected(layer.get("Outputs", [])),
        )
        for layer in layers
        if isinstance(layer, dict)
    )


def is_convolution(layer: Layer) -> bool:
    """Return whether a layer multiplies and adds, which is where a type costs or saves time."""
    return layer.kind in _CONVOLUTIONS


def problem_of_layers(layers: Sequence[Layer], precision: Precision, plain: int = 0) -> str:
    """Return what an engine has that it must not have, or an empty string.

    Parameters
    ----------
    layers : sequence of Layer
        What the builder reports.
    precision : str
        Type that was asked for; no convolution may have fallen back to another one. No layer may come from a plug-in either,
        which would be code of somebody else.
    plain : int
        How many convolutions the graph itself keeps in float32, over all profiles.
    """
    if not layers:
        return "its builder reports no layers"
    if foreign := [layer.name for layer in layers if "plugin" in layer.kind.lower()]:
        return f"the layer {foreign[0]!r} is a plug-in"
    others = [layer for layer in layers if is_convolution(layer) and not _TYPES[precision].issuperset(layer.inputs)]
    if other := [layer for layer in others if not _TYPES["fp32"].issuperset(layer.inputs)] or others[plain:]:
        return (
            f"the layer {other[0].name!r} computes in {' and '.join(sorted(set(other[0].inputs)))}, not in {precision}"
        )
    return ""


def summary(layers: Iterable[Layer]) -> dict[str, int]:
    """Return how many layers there are of each kind, the most frequent first."""
    return dict(Counter(layer.kind for layer in layers).most_common())


def _inspected(tensors: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """Return the types of tensors, which older versions name inside the words of a format."""
    found = (tensor.get("Datatype") or tensor.get("Format/Datatype", "") for tensor in tensors)
    return tuple(match[1].upper() if (match := _FORMAT.search(words)) else words for words in found)
