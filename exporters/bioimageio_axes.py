"""Axes and tensors of a bioimage.io package."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.bundle import Bundle
from ..engine.frames import Units

__all__ = ["example_frame", "input_tensor", "output_tensor", "takes_whole_planes"]

Tensor = NDArray[np.float32]
_UNITS = {Units.BECQUEREL_PER_ML: "Bq/mL"}
_MEANING = {
    Units.COUNTS: "counts per pixel",
    Units.BECQUEREL_PER_ML: "activity concentration in Bq/ml",
    Units.SUV_BODY_WEIGHT: "standardised uptake value by body weight",
    Units.HOUNSFIELD: "Hounsfield units",
    Units.NONE: "pixel values without units",
}
_SMALLEST_PLANE = 32
_BOX = ("row_offset", "column_offset", "log_height", "log_width")
_HEADS = {
    "output": "The processed image",
    "logits": "Scores of the classes before temperature and softmax",
    "heat": "Scores of a lesion's centre in each cell before the sigmoid",
    "box": "Offset from the cell's centre in cells, and logarithm of the size in units of 4 pixels",
    "cam": "Where in the image the evidence lies",
    "embedding": "Features that tell whether the image is like those of training",
}


def takes_whole_planes(bundle: Bundle) -> bool:
    """Return whether a plane must not be cut into tiles: sums and percentiles of a part, or with a border, are others."""
    manifest = bundle.manifest
    return manifest.output is None or manifest.output.conserve != "none" or manifest.input.scaling != "none"


def example_frame(bundle: Bundle) -> Tensor:
    """Return the first golden frame, mirrored where it is smaller than the smallest input of the package."""
    golden = bundle.golden_heads if bundle.manifest.analysis else bundle.golden
    frame = golden.input[:1]
    if bundle.manifest.analysis:
        return frame
    least = _least(bundle)
    missing = [max(0, least - size) for size in frame.shape[2:]]
    return np.pad(frame, [(0, 0), (0, 0), (0, missing[0]), (0, missing[1])], mode="reflect")


def input_tensor(bundle: Bundle, path: Path, frame: Tensor) -> Any:
    """Return the description of the input.

    Parameters
    ----------
    bundle : Bundle
        The model. One that gives images takes any size in steps of its ``multiple``; one that gives findings takes its grid.
    path : Path
        File of the test tensor.
    frame : ndarray, shape (1, channels, rows, columns), float32
        The test tensor.
    """
    from bioimageio.spec.model import v0_5 as spec

    taken = bundle.manifest.input

    def size(axis: int) -> Any:
        if taken.grid and taken.grid.side:
            return taken.grid.side
        least = frame.shape[axis] if bundle.manifest.analysis else _least(bundle)
        return spec.ParameterizedSize(min=least, step=taken.multiple)

    return spec.InputTensorDescr(
        id=spec.TensorId("input"),
        description=f"Pixels are {_MEANING[taken.units]}.",
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=_identifiers(taken.channels or ("image",))),
            spec.SpaceInputAxis(id=spec.AxisId("y"), size=size(2)),
            spec.SpaceInputAxis(id=spec.AxisId("x"), size=size(3)),
        ],
        data=_data(taken.units),
        test_tensor=spec.FileDescr(source=path),
    )


def output_tensor(bundle: Bundle, name: str, path: Path, frame: Tensor, tensor: Tensor) -> Any:
    """Return the description of an output: an image, or a head of a model that gives findings.

    Parameters
    ----------
    bundle : Bundle
        The model.
    name : str
        ``output``, or the head's name.
    path : Path
        File of the test tensor.
    frame, tensor : ndarray, rank 4, float32
        Test tensors of the input and of this output; their sizes give the scale.
    """
    from bioimageio.spec.model import v0_5 as spec

    image = name == "output"
    return spec.OutputTensorDescr(
        id=spec.TensorId(name),
        description=f"{_HEADS[name]}{f', {_MEANING[bundle.manifest.input.units]}' if image else ''}.",
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=_channels(bundle, name, tensor.shape[1])),
            *(_space(bundle, axis, frame.shape[2 + k], tensor.shape[2 + k], image) for k, axis in enumerate("yx")),
        ],
        data=_data(bundle.manifest.input.units if image else Units.NONE),
        test_tensor=spec.FileDescr(source=path),
    )


def _space(bundle: Bundle, axis: str, taken: int, given: int, image: bool) -> Any:
    from bioimageio.spec.model import v0_5 as spec

    if given == 1:
        return spec.SpaceOutputAxis(id=spec.AxisId(axis), size=1)
    size = spec.SizeReference(tensor_id=spec.TensorId("input"), axis_id=spec.AxisId(axis))
    scale, halo = taken / given, bundle.manifest.input.overlap * given // taken
    # Where there is a halo, planes are given a border of it.
    if image and halo and not takes_whole_planes(bundle):
        return spec.SpaceOutputAxisWithHalo(id=spec.AxisId(axis), size=size, scale=scale, halo=halo)
    return spec.SpaceOutputAxis(id=spec.AxisId(axis), size=size, scale=scale)


def _least(bundle: Bundle) -> int:
    """Return the smallest input side: that of a tile whose context leaves something, or of a small plane [px]."""
    taken = bundle.manifest.input
    side = _SMALLEST_PLANE if takes_whole_planes(bundle) else 2 * taken.overlap + 1
    return -(-side // taken.multiple) * taken.multiple


def _channels(bundle: Bundle, name: str, number: int) -> Any:
    analysis = bundle.manifest.analysis
    if analysis and name in ("logits", "cam", "heat"):
        return _identifiers(analysis.labels)
    if name == "box":
        return list(_BOX)
    return ["image"] if name == "output" else [f"feature_{k}" for k in range(number)]


def _identifiers(names: tuple[str, ...]) -> Any:
    """Return names as identifiers, each once."""
    found: list[str] = []
    for k, name in enumerate(names):
        word = re.sub(r"\W", "_", name)
        word = word if word.isidentifier() else f"c_{word}"
        found.append(word if word not in found else f"{word}_{k}")
    return found


def _data(units: Units) -> Any:
    from bioimageio.spec.model import v0_5 as spec

    unit: Any = _UNITS.get(units, "arbitrary unit")
    return spec.IntervalOrRatioDataDescr(type="float32", unit=unit)
