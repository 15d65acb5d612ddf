"""Run a graph on frames of any size with ONNX Runtime, for evaluation and golden tensors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.providers.onnxruntime_module import onnxruntime_module


class Runner:
    """Call an ONNX model that maps counts to an image.

    Parameters
    ----------
    model : bytes
        Serialised graph with one input and one output.
    multiple : int
        Sides are padded by reflection to multiples of this, and the output is cropped.
    threads : int
        Threads of one call.
    """

    def __init__(self, model: bytes, multiple: int = 8, threads: int = 2) -> None:
        self._session = _session(model, threads)
        self._multiple = multiple

    def __call__(self, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the image of each frame, shape (n, 1, s * h, s * w), of counts of shape (n, 1, h, w)."""
        rows, columns = counts.shape[-2:]
        extra = [-rows % self._multiple, -columns % self._multiple]
        padded = np.pad(counts, [(0, 0), (0, 0), (0, extra[0]), (0, extra[1])], mode="reflect")
        output = self._session.run(None, {self._session.get_inputs()[0].name: np.ascontiguousarray(padded)})[0]
        scale = output.shape[-1] // padded.shape[-1]
        return np.ascontiguousarray(output[..., : scale * rows, : scale * columns], np.float32)


class HeadRunner:
    """Call an ONNX model that gives several tensors by name.

    Parameters
    ----------
    model : bytes
        Serialised graph with one input.
    threads : int
        Threads of one call.
    """

    def __init__(self, model: bytes, threads: int = 2) -> None:
        self._session = _session(model, threads)
        self._taken = self._session.get_inputs()[0].name
        self.heads = tuple(value.name for value in self._session.get_outputs())

    def __call__(self, tensor: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return each head of an input of shape (n, channels, h, w), whose sides suit the graph."""
        outputs = self._session.run(None, {self._taken: np.ascontiguousarray(tensor)})
        return dict(zip(self.heads, outputs, strict=True))


def _session(model: bytes, threads: int) -> Any:
    onnxruntime = onnxruntime_module()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
