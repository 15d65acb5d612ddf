"""Steps and channel factors of quantised layers, each fitted on what the layer really takes."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper
from torch.nn import functional

from ..engine.providers.onnxruntime_module import onnxruntime_module
from ..engine.quantised_graph import Layer, whole_weights
from ..engine.schemes import Scheme

__all__ = ["Fit", "activations", "fit"]

Floats = NDArray[np.float32]
# How far channels are evened out: 0 leaves them, 1 gives all the same range and leaves the unevenness to the weights.
_EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Share of the extreme values that the range reaches to; what lies beyond is clipped.
_COARSE = (0.5, 1.0)
_FINE = (0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9)
_STEPS = 255
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Fit:
    """The scheme of one layer, and what it costs by itself.

    Parameters
    ----------
    scheme : Scheme
        The scheme.
    error : float
        Mean squared error of the layer's output, relative to the mean square of the output [1].
    multiplications : int
        Of one run over all frames.
    """

    scheme: Scheme
    error: float
    multiplications: int


def activations(model: ModelProto, layer: Layer, frames: Floats) -> Floats:
    """Return what a layer takes when the graph runs on frames.

    Parameters
    ----------
    model : ModelProto
        A graph of float32.
    layer : Layer
        One of its layers.
    frames : ndarray, shape (n, channels, rows, columns), float32
        What the graph takes.

    Returns
    -------
    ndarray, shape (n, inputs, rows, columns), float32
        One array of all frames.
    """
    if layer.taken == model.graph.input[0].name:
        return frames
    probe = ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.append(helper.make_tensor_value_info(layer.taken, TensorProto.FLOAT, None))
    onnxruntime = onnxruntime_module()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = probe.graph.input[0].name
    found = [session.run(None, {name: frame[np.newaxis]})[0] for frame in frames]
    return np.ascontiguousarray(np.concatenate(found), np.float32)


def fit(layer: Layer, taken: Floats) -> Fit | None:
    """Return the scheme that changes a layer's output least, or None where the layer takes nothing but zeros.

    Parameters
    ----------
    layer : Layer
        The layer.
    taken : ndarray, shape (n, inputs, rows, columns), float32
        What it takes, see :func:`activations`.

    References
    ----------
    * Nagel, M. et al. (2019). Data-free quantization through weight equalization and bias correction. ICCV.
    * Xiao, G. et al. (2023). SmoothQuant: accurate and efficient post-training quantization for large language models.
      ICML. (A factor for each channel, between activations and weights.)
    """
    given = torch.from_numpy(taken)
    if not bool(given.any()):
        return None
    exact = _convolved(layer, given, torch.from_numpy(layer.weights))
    tried = [(*_tried(layer, given, exact, exponent, share), exponent) for exponent in _EXPONENTS for share in _COARSE]
    _, _, exponent = min(tried, key=lambda found: found[0])
    closer = [(*_tried(layer, given, exact, exponent, share), exponent) for share in _FINE]
    loss, scheme, _ = min((*tried, *closer), key=lambda found: found[0])
    power = float(exact.square().mean())
    return Fit(scheme, loss / max(power, _TINY), exact.numel() * layer.weights[0].size)


def _tried(
    layer: Layer, given: torch.Tensor, exact: torch.Tensor, exponent: float, share: float
) -> tuple[float, Scheme]:
    """Return the mean squared error of one scheme and the scheme, its bias corrected."""
    factors = _factors(layer, given, exponent)
    evened = given * torch.from_numpy(factors)[None, :, None, None]
    least, most = share * min(float(evened.min()), 0.0), share * max(float(evened.max()), 0.0)
    step = (most - least) / _STEPS
    zero = round(-least / step)
    error = exact - _convolved(layer, _rounded(evened, step, zero), _stepped(layer.weights, factors))
    shift = error.mean(dim=(0, 2, 3), keepdim=True)
    return float((error - shift).square().mean()), Scheme(factors, step, zero, layer.bias + shift.numpy().ravel())


def _factors(layer: Layer, given: torch.Tensor, exponent: float) -> Floats:
    """Return what each channel is multiplied by: 1 for the widest, more for the others."""
    if exponent == 0:
        return np.ones(given.shape[1], np.float32)
    reach = given.abs().amax(dim=(0, 2, 3)).clamp_min(_TINY).numpy()
    weight = np.maximum(np.abs(layer.weights).max(axis=(0, 2, 3)), _TINY)
    factors = weight ** (1 - exponent) / reach**exponent
    # A channel that is nearly empty must not be blown up, nor may its weights vanish.
    factors = np.clip(factors / np.median(factors), 1e-3, 1e3)
    return np.asarray(factors, np.float32)


def _stepped(weights: Floats, factors: Floats) -> torch.Tensor:
    """Return weights as 8 bits hold them."""
    whole, scale = whole_weights(weights / factors[None, :, None, None])
    return torch.from_numpy(whole.astype(np.float32) * scale[:, None, None, None])


def _rounded(given: torch.Tensor, step: float, zero: int) -> torch.Tensor:
    return torch.clamp(torch.round(given / step), -zero, _STEPS - zero) * step


def _convolved(layer: Layer, given: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the convolution without its bias."""
    top, left, bottom, right = layer.pads
    padded = functional.pad(given, (left, right, top, bottom))
    return functional.conv2d(padded, weights, None, layer.strides, 0, layer.dilations)
