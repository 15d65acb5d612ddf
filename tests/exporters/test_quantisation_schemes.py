import numpy as np
import onnx
import pytest

from photopeak.engine.quantised_graph import find_layers, whole_weights
from photopeak.exporters.quantisation_schemes import activations, fit
from small_networks import residual_network

F32 = np.float32


@pytest.fixture
def images():
    return np.random.default_rng(2).poisson(20, (3, 1, 16, 24)).astype(F32)


def test_activations_are_what_the_layer_takes(images):
    model = residual_network()
    first = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}["first.kernel"]
    found = activations(model, find_layers(model)[0], images)
    centre = sum(
        np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))[:, :, i : i + 16, j : j + 24]
        * first[:, 0, i, j][:, None, None]
        for i in range(3)
        for j in range(3)
    )
    np.testing.assert_allclose(found, np.maximum(centre, 0), rtol=1e-4, atol=1e-3)


def uneven(seed=0):
    """Return what a layer takes where one channel is a thousand times as strong as another that matters as much."""
    rng = np.random.default_rng(seed)
    strengths = np.geomspace(1, 1000, 8).astype(F32)
    taken = np.abs(rng.normal(0, 1, (2, 8, 20, 20))).astype(F32) * strengths[None, :, None, None]
    layer = find_layers(residual_network())[0]
    weights = (rng.normal(0, 1, (8, 8, 3, 3)) / strengths[None, :, None, None]).astype(F32)
    return type(layer)(layer.name, layer.taken, weights, layer.bias, (1, 1), (1, 1), (1, 1, 1, 1)), taken


def test_factors_even_out_channels():
    layer, taken = uneven()
    found = fit(layer, taken)
    assert found.scheme.factors[0] > 30 * found.scheme.factors[-1]
    # 255 steps for all: a uniform error of a 255th of the peak over sqrt(12), which hits the weak channel as the strong one.
    assert found.error < 1e-3
    assert found.multiplications == 2 * 20 * 20 * 8 * 8 * 9


@pytest.mark.parametrize(("least", "most", "zero"), [(0, 10, 0), (2, 10, 0), (-1, 4, 51), (-3, 3, 128), (-5, -1, 255)])
def test_steps_reach_from_the_least_value_to_the_greatest(least, most, zero):
    """0 is always one of the steps: it is what stands around the image."""
    layer, _ = uneven()
    taken = np.random.default_rng(1).uniform(least, most, (1, 8, 20, 20)).astype(F32)
    taken[0, :, 0, 0], taken[0, :, 0, 1] = least, most
    layer = type(layer)(layer.name, layer.taken, np.ones((8, 8, 3, 3), F32), layer.bias, (1, 1), (1, 1), (1, 1, 1, 1))
    scheme = fit(layer, taken).scheme
    factor = scheme.factors[0]
    assert scheme.zero == pytest.approx(zero, abs=1)
    assert scheme.step * 255 == pytest.approx(factor * (max(most, 0) - min(least, 0)), rel=1e-3)


def test_mean_error_is_corrected_in_the_bias():
    """Rounding is not even: without the correction the output would be off on the whole."""
    layer, taken = uneven(3)
    scheme = fit(layer, taken).scheme
    evened = taken * scheme.factors[None, :, None, None]
    whole = np.clip(np.rint(evened / scheme.step), -scheme.zero, 255 - scheme.zero) * scheme.step
    weights = layer.weights / scheme.factors[None, :, None, None]
    stepped, scale = whole_weights(weights)
    error = convolved(taken, layer.weights) - convolved(whole, stepped * scale[:, None, None, None])
    np.testing.assert_allclose(scheme.bias - layer.bias, error.mean(axis=(0, 2, 3)), atol=1e-3 * np.abs(error).max())


def convolved(images, weights):
    """Return a convolution of 3 x 3 with zeros around, spelt out."""
    padded = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns = images.shape[2:]
    return sum(
        np.einsum("nchw,oc->nohw", padded[:, :, i : i + rows, j : j + columns], weights[:, :, i, j])
        for i in range(3)
        for j in range(3)
    )


def test_layer_that_takes_nothing_stays_in_float():
    layer, taken = uneven()
    assert fit(layer, np.zeros_like(taken)) is None
