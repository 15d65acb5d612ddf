"""Small bundles whose output is known in closed form, so that engine tests need no trained weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from photopeak.engine.bundle import Bundle, Domain, Golden, Input, Manifest, Output, Scheme, Training, write_bundle
from photopeak.engine.domain import FEATURES
from photopeak.engine.frames import Units
from photopeak.engine.quantised_graph import find_layers

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """A graph and the same computation in NumPy."""

    nodes: tuple[onnx.NodeProto, ...]
    weights: dict[str, Array]
    truth: Callable[[Array], Array]
    scale: Literal[1, 2, 4] = 1
    multiple: int = 1


def _smooth(x: Array) -> Array:
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns = x.shape[2:]
    shifts = [padded[:, :, i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    return np.asarray(sum(shifts) / np.float32(9), np.float32)


def _quarters(x: Array) -> Array:
    return (np.repeat(np.repeat(x, 2, axis=2), 2, axis=3) / np.float32(4)).astype(np.float32)


def _pooled(x: Array) -> Array:
    n, channels, rows, columns = x.shape
    blocks = x.reshape(n, channels, rows // 2, 2, columns // 2, 2).mean(axis=(3, 5), dtype=np.float32)
    return np.repeat(np.repeat(blocks, 2, axis=2), 2, axis=3)


RECIPES = {
    "smooth": Recipe(
        (helper.make_node("Conv", ["counts", "kernel"], ["image"], pads=[1, 1, 1, 1]),),
        {"kernel": np.full((1, 1, 3, 3), 1 / 9, np.float32)},
        _smooth,
    ),
    "anscombe": Recipe(
        (
            helper.make_node("Add", ["counts", "three_eighths"], ["shifted"]),
            helper.make_node("Sqrt", ["shifted"], ["root"]),
            helper.make_node("Mul", ["root", "root"], ["square"]),
            helper.make_node("Sub", ["square", "three_eighths"], ["image"]),
        ),
        {"three_eighths": np.full((1,), 0.375, np.float32)},
        lambda x: x,
    ),
    "root": Recipe((helper.make_node("Sqrt", ["counts"], ["image"]),), {}, np.sqrt),
    "quarters": Recipe(
        (
            helper.make_node("Conv", ["counts", "spread"], ["four"]),
            helper.make_node("DepthToSpace", ["four"], ["image"], blocksize=2, mode="CRD"),
        ),
        {"spread": np.full((4, 1, 1, 1), 0.25, np.float32)},
        _quarters,
        scale=2,
    ),
    "pooled": Recipe(
        (
            helper.make_node("AveragePool", ["counts"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("ConvTranspose", ["small", "ones"], ["image"], strides=[2, 2]),
        ),
        {"ones": np.ones((1, 1, 2, 2), np.float32)},
        _pooled,
        multiple=2,
    ),
    # Channels enough for 8 bits: 'same' and 'image' can be quantised.
    "averaged": Recipe(
        (
            helper.make_node("Conv", ["counts", "spread"], ["many"]),
            helper.make_node("Conv", ["many", "eight"], ["same"]),
            helper.make_node("Conv", ["same", "joined"], ["image"], pads=[1, 1, 1, 1]),
        ),
        {
            "spread": np.ones((8, 1, 1, 1), np.float32),
            "eight": np.eye(8, dtype=np.float32)[:, :, None, None],
            "joined": np.full((1, 8, 3, 3), 1 / 72, np.float32),
        },
        _smooth,
    ),
    "brightened": Recipe(
        (helper.make_node("Mul", ["counts", "factor"], ["image"]),),
        {"factor": np.full((1,), 1.25, np.float32)},
        lambda x: x * np.float32(1.25),
    ),
    "pole": Recipe((helper.make_node("Reciprocal", ["counts"], ["image"]),), {}, lambda x: np.float32(1) / x),
}


@pytest.fixture(scope="session")
def recipes() -> dict[str, Recipe]:
    """Return the graphs with their closed forms."""
    return RECIPES


def make_graph(recipe: Recipe) -> onnx.ModelProto:
    """Return the ONNX model of a recipe."""
    graph = helper.make_graph(
        list(recipe.nodes),
        "test",
        [helper.make_tensor_value_info("counts", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, "rows", "columns"])],
        [onnx.numpy_helper.from_array(value, name) for name, value in recipe.weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(scope="session")
def graph_of() -> Callable[[str], onnx.ModelProto]:
    """Return a function from a recipe's name to its ONNX model."""
    return lambda name: make_graph(RECIPES[name])


@pytest.fixture(scope="session")
def schemes_of() -> Callable[[str], dict[str, Scheme] | None]:
    """Return a function from a recipe's name to schemes whose layers take up to 63.75 in steps of 1/4, if it has layers."""

    def schemes(name: str) -> dict[str, Scheme] | None:
        layers = find_layers(make_graph(RECIPES[name]))
        return {layer.name: Scheme(np.ones(8, np.float32), 0.25, 0, layer.bias) for layer in layers} or None

    return schemes


def make_manifest(recipe: Recipe) -> Manifest:
    """Return a manifest whose training domain is wide open."""
    return Manifest(
        name="test-model",
        version="1.0.0",
        title="A model for tests",
        task="super-resolution" if recipe.scale > 1 else "denoise",
        licence="Apache-2.0",
        modalities=("NM",),
        input=Input(name="counts", units=Units.COUNTS, multiple=recipe.multiple, overlap=8),
        output=Output(name="image", scale=recipe.scale, conserve="sum"),
        training=Training(
            recipe="none", date="2026-01-31", seconds=1.0, steps=1, matrices=("64",), counts_per_pixel=(1, 9), data=()
        ),
        domain=Domain(
            features=FEATURES,
            mean=(0.0,) * len(FEATURES),
            precision=tuple(tuple(1e-6 * (i == j) for i in range(len(FEATURES))) for j in range(len(FEATURES))),
            limits=(1.0, 2.0),
        ),
    )


@pytest.fixture
def bundle_factory(tmp_path: Path) -> Callable[..., Bundle]:
    """Return ``make(name, model=None, int8=None, **manifest changes) -> Bundle``, which writes a bundle of a recipe."""

    def make(
        name: str = "smooth",
        model: bytes | None = None,
        folder: str = "bundle",
        int8: dict[str, Scheme] | None = None,
        calibration: Golden | None = None,
        **changes: object,
    ) -> Bundle:
        recipe = RECIPES[name]
        counts = np.random.default_rng(7).poisson(20, (2, 1, 16, 24)).astype(np.float32)
        output = recipe.truth(counts)
        golden = Golden(counts, output, np.nan_to_num(output) + np.float32(0.5))
        manifest = make_manifest(recipe)
        manifest = Manifest.model_validate(manifest.model_dump() | changes)
        graph = make_graph(recipe).SerializeToString() if model is None else model
        return write_bundle(
            tmp_path / folder,
            manifest,
            model=graph,
            golden=golden,
            card="# test-model\n\nApache-2.0, for tests.\n",
            int8=int8,
            calibration=calibration,
        )

    return make


@pytest.fixture
def counts() -> Array:
    """Return three seeded Poisson frames, (3, 40, 56)."""
    return np.random.default_rng(11).poisson(12, (3, 40, 56)).astype(np.float32)
