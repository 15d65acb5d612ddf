"""PyTorch running our graphs: eager, or compiled, in the memory format and precision that are documented to be fastest.

The ONNX graph is turned into a module of plain PyTorch operators once, as a user's own module would be, so that nothing of
the conversion is in the time of a call. Images and weights are channels-last, calls run in inference mode, bf16 by autocast.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TorchPeer", "missing_compiler"]

Tensor = NDArray[np.float32]
Outputs = dict[str, Tensor]


def missing_compiler() -> str:
    """Return why ``torch.compile`` cannot work here; empty if it can."""
    found = any(shutil.which(name) for name in ("c++", "g++", "clang++"))
    return "" if found else "torch.compile needs a C++ compiler and none is on the path"


class TorchPeer:
    """PyTorch on the CPU.

    Parameters
    ----------
    model : Path
        The graph.
    threads : int
        Threads of one run.
    precision : {"fp32", "bf16"}
        bf16 is autocast.
    compiled : bool
        Whether ``torch.compile`` comes first.
    """

    def __init__(self, model: Path, threads: int, precision: str, *, compiled: bool = False) -> None:
        import torch

        from ...exporters.torch_graph import TorchGraph

        torch.set_num_threads(threads)
        if compiled and (reason := missing_compiler()):
            raise RuntimeError(reason)
        self._graph = TorchGraph(model.read_bytes())
        self._autocast, self._compiled = precision == "bf16", compiled
        self._modules: dict[tuple[int, ...], Any] = {}

    def prepare(self, tensor: Tensor, batch: int) -> Callable[[], Outputs]:
        """Return a function that runs `tensor` in batches."""
        import torch

        parts = [
            torch.from_numpy(np.ascontiguousarray(tensor[first : first + batch])).to(memory_format=torch.channels_last)
            for first in range(0, len(tensor), batch)
        ]
        module = self._module(parts[0])

        def run() -> Outputs:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._autocast):
                found = [module(part) for part in parts]
                whole = found[0] if len(found) == 1 else [torch.cat(heads) for heads in zip(*found, strict=True)]
                return {name: head.float().numpy() for name, head in zip(self._graph.outputs, whole, strict=True)}

        return run

    def _module(self, example: Any) -> Any:
        """Return the graph as straight code of PyTorch's operators, which autocast and the compiler see as a user's, once for a shape."""
        import torch
        from torch.fx.experimental.proxy_tensor import make_fx

        if (shape := tuple(example.shape)) in self._modules:
            return self._modules[shape]

        def forward(image: Any) -> tuple[Any, ...]:
            values = self._graph(image)
            return tuple(values[name] for name in self._graph.outputs)

        with torch.no_grad():
            module = make_fx(forward, pre_dispatch=True)(example)
        for name, weight in list(vars(module).items()):
            if isinstance(weight, torch.Tensor) and weight.ndim == 4:
                setattr(module, name, weight.contiguous(memory_format=torch.channels_last))
        for name, weight in list(module.named_buffers()):
            if weight.ndim == 4:
                setattr(module, name, weight.contiguous(memory_format=torch.channels_last))
        self._modules[shape] = torch.compile(module) if self._compiled else module
        return self._modules[shape]
