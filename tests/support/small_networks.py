"""A network small enough to quantise in a test, and its bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

from photopeak.engine import zoo
from photopeak.engine.bundle import Bundle, Golden, write_bundle

CHANNELS = 8


def residual_network(skip: bool = True, seed: int = 4) -> ModelProto:
    """Return three convolutions of 3 x 3 whose sum is added to the counts, or replaces them."""
    rng = np.random.default_rng(seed)
    shapes = {"first": (CHANNELS, 1), "second": (CHANNELS, CHANNELS), "third": (1, CHANNELS)}
    weights = {f"{name}.kernel": rng.normal(0, 0.1, (*shape, 3, 3)) for name, shape in shapes.items()}
    weights["second.bias"] = rng.normal(0, 0.5, CHANNELS)
    padded: dict[str, Any] = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
    nodes = [
        helper.make_node("Conv", ["counts", "first.kernel"], ["first"], **padded),
        helper.make_node("Relu", ["first"], ["bright"]),
        helper.make_node("Conv", ["bright", "second.kernel", "second.bias"], ["second"], **padded),
        helper.make_node("Relu", ["second"], ["brighter"]),
        helper.make_node("Conv", ["brighter", "third.kernel"], ["third"], **padded),
        helper.make_node("Add", ["third", "counts"], ["image"])
        if skip
        else helper.make_node("Identity", ["third"], ["image"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("counts", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, "h", "w"])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def small_bundle(folder: Path, model: ModelProto, error: float = 0.3, recipe: str = "own") -> Bundle:
    """Write a bundle whose truth is off from the golden output by normal noise of `error` times the output's deviation."""
    rng = np.random.default_rng(6)
    images = np.concatenate([rng.poisson(level, (1, 1, 32, 32)) for level in (60, 90, 120)]).astype(np.float32)
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    output = session.run(None, {"counts": images})[0]
    truth = output + rng.normal(0, 1, output.shape).astype(np.float32) * np.float32(error) * output.std(
        axis=(1, 2, 3), keepdims=True
    )
    manifest = zoo.load_bundle("scint-denoise").manifest
    training = manifest.training.model_copy(update={"recipe": recipe})
    manifest = manifest.model_copy(update={"training": training, "files": {}})
    golden = Golden(images, output, truth)
    return write_bundle(folder, manifest, model=data, golden=golden, card="# scint-denoise\n\nApache-2.0.\n")
