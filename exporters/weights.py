"""Trained weights out of a bundle and into one: its graph holds them under the names that they have in PyTorch."""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from ..engine.bundle import Bundle
from ..engine.errors import ModelError


def load_weights(net: nn.Module, bundle: Bundle) -> None:
    """Give a network the weights of a bundle.

    Parameters
    ----------
    net : nn.Module
        Network of the recipe that made the bundle.
    bundle : Bundle
        Exported by :func:`~.onnx.to_onnx`, from a network that trains as it runs.

    Raises
    ------
    ModelError
        If a weight is missing or has another shape.

    Examples
    --------
    >>> from photopeak.engine.zoo import load_bundle
    >>> from photopeak.exporters.architectures import build
    >>> from photopeak.exporters.recipes.catalogue import find
    >>> net = build(find("scint-denoise"))
    >>> load_weights(net, load_bundle("scint-denoise"))
    """
    held = {tensor.name: tensor for tensor in onnx.load_from_string(bundle.model).graph.initializer}
    state = {}
    for name, value in net.state_dict().items():
        tensor = held.get(name)
        if tensor is None or tuple(tensor.dims) != tuple(value.shape):
            raise ModelError(
                f"{bundle.folder} does not hold the weight {name} of {tuple(value.shape)}, name another bundle."
            )
        state[name] = torch.from_numpy(np.array(numpy_helper.to_array(tensor), np.float32))
    net.load_state_dict(state)


def with_weights(model: bytes, net: nn.Module) -> bytes:
    """Return a graph with the weights of a network in place of its own.

    Parameters
    ----------
    model : bytes
        Serialised ONNX graph that holds every weight of the network by its name.
    net : nn.Module
        The same network, trained further.

    Returns
    -------
    bytes
        The same graph but for these weights.
    """
    graph = onnx.load_from_string(model)
    state = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    for tensor in graph.graph.initializer:
        if tensor.name in state:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(state[tensor.name]), tensor.name))
    return bytes(graph.SerializeToString())
