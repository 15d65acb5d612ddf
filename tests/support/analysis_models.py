"""A classifier and a detector of a few nodes whose heads are known in closed form, and bundles of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from photopeak.engine.bundle import (
    Analysis,
    Bundle,
    Domain,
    EmbeddingDomain,
    GoldenHeads,
    Grid,
    Input,
    Manifest,
    Training,
    write_bundle,
)
from photopeak.engine.domain import FEATURES
from photopeak.engine.frames import Units

Array = NDArray[np.float32]
MULTIPLE = 8
CLASSES = np.array([[0.3, -0.1, 0.0], [-0.2, 0.2, 0.1]], np.float32)
FILTERS = np.array([0.5, 1.0, -1.0], np.float32)
BOX = np.array([0.25, -0.5, 0.5, 1.0], np.float32)
LEVEL = np.float32(20)


@dataclass(frozen=True)
class Model:
    """Nodes, weights, and the same computation in NumPy."""

    nodes: tuple[onnx.NodeProto, ...]
    weights: dict[str, NDArray[Any]]
    truth: Callable[[Array], dict[str, Array]]
    channels: tuple[str, ...]
    grid: Grid
    labels: tuple[str, ...]
    embedding: int


def _blocks(image: Array) -> Array:
    """Return the mean of each block of 4 x 4 pixels and all channels, (n, 1, rows / 4, columns / 4)."""
    n, channels, rows, columns = image.shape
    blocks = image.reshape(n, channels, rows // 4, 4, columns // 4, 4).mean(axis=(1, 3, 5), dtype=np.float64)
    means: Array = blocks.astype(np.float32)[:, None]
    return means


def _classified(image: Array) -> dict[str, Array]:
    features = np.maximum(_blocks(image) * FILTERS[:, None, None], 0)
    embedding = features.mean(axis=(2, 3), keepdims=True)
    logits = np.einsum("kc,ncyx->nkyx", CLASSES, embedding)
    cam = np.maximum(np.einsum("kc,ncyx->nkyx", CLASSES, features), 0)
    return {"logits": logits, "cam": cam, "embedding": embedding}


def _detected(image: Array) -> dict[str, Array]:
    """Return heads whose map is the gradient of the logarithm of the summed exponentials of the heat."""
    mean = _blocks(image)
    heat = mean - LEVEL
    raised = np.exp(heat - heat.max(axis=(2, 3), keepdims=True))
    share = raised / raised.sum(axis=(2, 3), keepdims=True)
    box = np.broadcast_to(BOX[:, None, None], (len(image), 4, *heat.shape[2:]))
    return {
        "heat": heat,
        "box": np.ascontiguousarray(box),
        "cam": np.maximum(share * np.sign(heat) * mean, 0),
        "embedding": mean.max(axis=(2, 3), keepdims=True),
    }


def _node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def _mean_of(channels: int, filters: Array) -> Array:
    each = filters[:, None, None, None] / np.float32(16 * channels)
    return np.ascontiguousarray(np.broadcast_to(each, (len(filters), channels, 4, 4)))


MODELS = {
    "classification": Model(
        (
            _node("Conv", "image filters", "raw", strides=[4, 4]),
            _node("Relu", "raw", "features"),
            _node("GlobalAveragePool", "features", "embedding"),
            _node("Conv", "embedding classes", "logits"),
            _node("Conv", "features classes", "evidence"),
            _node("Relu", "evidence", "cam"),
        ),
        {"filters": _mean_of(1, FILTERS), "classes": CLASSES[:, :, None, None]},
        _classified,
        (),
        Grid(kind="fit", side=32),
        ("AP", "PA"),
        3,
    ),
    "detection": Model(
        (
            _node("Conv", "image filters", "mean", strides=[4, 4]),
            _node("Sub", "mean level", "heat"),
            _node("Conv", "heat nothing sizes", "box"),
            _node("ReduceMax", "heat axes", "peak", keepdims=1),
            _node("Sub", "heat peak", "below"),
            _node("Exp", "below", "raised"),
            _node("ReduceSum", "raised axes", "total", keepdims=1),
            _node("Div", "raised total", "share"),
            _node("Sign", "heat", "sign"),
            _node("Mul", "share sign", "signed"),
            _node("Mul", "signed mean", "evidence"),
            _node("Relu", "evidence", "cam"),
            _node("GlobalMaxPool", "mean", "embedding"),
        ),
        {
            "filters": _mean_of(2, np.ones(1, np.float32)),
            "level": np.full((1, 1, 1, 1), LEVEL),
            "nothing": np.zeros((4, 1, 1, 1), np.float32),
            "sizes": BOX,
            "axes": np.array([2, 3]),
        },
        _detected,
        ("early", "late"),
        Grid(kind="pitch", pitch_mm=2.5),
        ("adenoma",),
        1,
    ),
}


def make_model(task: str, outputs: tuple[str, ...] = ()) -> onnx.ModelProto:
    """Return the ONNX model for a task, with the outputs named or those that it must have."""
    model = MODELS[task]
    heads = outputs or tuple(model.truth(np.ones((1, max(1, len(model.channels)), 8, 8), np.float32)))
    taken: list[str | int | None] = ["n", max(1, len(model.channels)), "h", "w"]
    graph = helper.make_graph(
        list(model.nodes),
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, taken)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None, None, None]) for name in heads],
        [onnx.numpy_helper.from_array(value, name) for name, value in model.weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def make_manifest(task: str) -> Manifest:
    """Return a manifest whose training domains are wide open."""
    model, k = MODELS[task], len(FEATURES)
    return Manifest(
        name="test-finder",
        version="1.0.0",
        title="A finder for tests",
        task=task,  # type: ignore[arg-type]
        licence="Apache-2.0",
        modalities=("NM",),
        input=Input(
            name="image",
            units=Units.COUNTS,
            multiple=MULTIPLE,
            channels=model.channels,
            optional=bool(model.channels),
            grid=model.grid,
        ),
        analysis=Analysis(
            labels=model.labels,
            threshold=0.5,
            temperature=1.5,
            operating_points=((0.5, 0.9, 0.3),),
            embedding=EmbeddingDomain(
                mean=(0.0,) * model.embedding, precision=_diagonal(model.embedding), limits=(1.0, 2.0)
            ),
        ),
        training=Training(recipe="none", date="2026-01-31", seconds=1.0, steps=1, matrices=("64",), data=()),
        domain=Domain(features=FEATURES, mean=(0.0,) * k, precision=_diagonal(k), limits=(1.0, 2.0)),
    )


def make_images(task: str, n: int = 2, rows: int = 32, columns: int = 32, seed: int = 7) -> Array:
    """Return Poisson noise with one bright spot in each frame, in all channels."""
    channels = max(1, len(MODELS[task].channels))
    images = np.random.default_rng(seed).poisson(12, (n, channels, rows, columns)).astype(np.float32)
    images[:, :, 8:12, 12:16] += 12
    return images


def write_finder(folder: Path, task: str, model: onnx.ModelProto | bytes | None = None, **changes: Any) -> Bundle:
    """Write a bundle; `changes` replace tables of the manifest, or tensors of the ``golden`` ones by their names."""
    images = make_images(task)
    golden = {"input": images, **MODELS[task].truth(images), **changes.pop("golden", {})}
    graph = make_model(task) if model is None else model
    manifest = Manifest.model_validate(make_manifest(task).model_dump() | changes)
    return write_bundle(
        folder,
        manifest,
        model=graph if isinstance(graph, bytes) else graph.SerializeToString(),
        golden=GoldenHeads(golden.pop("input"), golden),
        card="# test-finder\n\nApache-2.0, for tests.\n",
    )


def _diagonal(k: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(1e-6 * (i == j) for i in range(k)) for j in range(k))
