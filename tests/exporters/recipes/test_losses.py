"""What the losses weigh how much."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.exporters.recipes.losses import LOSSES, by_contrast, by_variance, decibels, logarithmic


@pytest.fixture
def images():
    torch.manual_seed(0)
    counts = torch.rand(2, 1, 16, 16) * 20 + 5
    return counts + torch.randn(2, 1, 16, 16), counts, counts


@pytest.mark.parametrize("name", LOSSES)
def test_the_truth_costs_nothing(name, images):
    _, target, counts = images
    assert float(LOSSES[name](target, target, counts)) == 0


@pytest.mark.parametrize("scale", [1, 2])
def test_poisson_noise_costs_one(scale):
    torch.manual_seed(1)
    expected = torch.full((1, 1, 64 * scale, 64 * scale), 30.0)
    counts = torch.nn.functional.avg_pool2d(expected, scale) * scale**2
    assert float(by_variance(torch.poisson(expected), expected, counts)) == pytest.approx(1, rel=0.05)


def test_the_logarithm_gives_each_image_the_same_say(images):
    """Ten times smaller errors of one image make a hundred times less variance, but as much of a gradient, relatively."""
    output, target, counts = images
    gradients = []
    for loss in (by_variance, logarithmic):
        factor = torch.tensor([[[[1.0]]], [[[0.1]]]], requires_grad=True)
        loss(target + 20 * factor * (output - target), target, counts).backward()
        gradients.append((factor * factor.grad).flatten().detach())
    assert float(gradients[0][0] / gradients[0][1]) == pytest.approx(100, rel=0.5)
    assert float(gradients[1][0] / gradients[1][1]) == pytest.approx(1, abs=0.2)


def test_decibels_fall_with_the_psnr(images):
    """A tenth of the error is 20 dB more, that is ln(100) less."""
    output, target, counts = images
    large, small = (float(decibels(target + factor * (output - target), target, counts)) for factor in (10.0, 1.0))
    assert large - small == pytest.approx(np.log(100), rel=0.1)


def test_a_faint_edge_costs_as_much_as_a_strong_one():
    edge = (torch.arange(32) >= 16).float().expand(1, 1, 32, 32)
    blurred = torch.nn.functional.avg_pool2d(edge, 3, 1, 1, count_include_pad=False)
    faint, strong = (float(by_contrast(step * blurred, step * edge, step * edge)) for step in (0.2, 2.0))
    assert faint == pytest.approx(strong, rel=0.1)


def test_the_mean_costs_least_however_skewed_the_targets_are():
    counts = torch.zeros(1, 1, 8, 8)
    targets = [torch.full_like(counts, value) for value in (0.0, 0.0, 0.0, 0.04)]
    cost = {guess: sum(float(by_contrast(counts + guess, t, counts)) for t in targets) for guess in (0.0, 0.01, 0.02)}
    assert min(cost, key=cost.__getitem__) == 0.01
