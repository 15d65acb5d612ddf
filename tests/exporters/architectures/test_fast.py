"""The fast network: what is exported computes what was trained, with plain convolutions alone."""

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")

from photopeak.exporters.architectures import build, deployed
from photopeak.exporters.architectures.fast import BranchedConv, LinearDoubling
from photopeak.exporters.onnx import operators, to_onnx
from photopeak.exporters.recipes.catalogue import find

RECIPE = find("pet-sr-x2-fast")


@pytest.fixture
def net():
    torch.manual_seed(3)
    made = build(RECIPE)
    torch.nn.init.normal_(made.head.weight, std=0.05)
    return made.eval()


def test_one_kernel_does_what_the_branches_do_one_by_one():
    torch.manual_seed(0)
    conv, x = BranchedConv(16), torch.randn(2, 16, 9, 7)
    apart = x + conv.square(x) + conv.point(x) + conv.after(conv.wide(x))
    torch.testing.assert_close(conv(x), apart, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(conv.fused()(x), apart, rtol=1e-5, atol=1e-5)


def test_every_branch_learns():
    conv = BranchedConv(16)
    conv(torch.randn(1, 16, 6, 6)).square().sum().backward()
    assert all(part.grad is not None and part.grad.abs().max() > 0 for part in conv.parameters())


def test_the_deployed_network_computes_the_same(net):
    x = 3 * torch.rand(2, 1, 32, 24)
    plain = deployed(net)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), net(x), rtol=1e-5, atol=1e-5)
    assert sum(p.numel() for p in plain.parameters()) < 0.5 * sum(p.numel() for p in net.parameters())


def test_before_training_it_is_bicubic_interpolation():
    made = build(RECIPE).eval()
    torch.nn.init.zeros_(made.head.weight)
    torch.nn.init.zeros_(made.head.bias)
    image = np.random.default_rng(1).random((20, 24), np.float32)
    expected = np.asarray(Image.fromarray(image).resize((48, 40), Image.Resampling.BICUBIC))
    with torch.no_grad():
        found = made(torch.from_numpy(image)[None, None])[0, 0].numpy()
    inside = np.s_[6:-6, 6:-6]  # beyond the border the network sees air
    np.testing.assert_allclose(found[inside], np.maximum(expected, 0)[inside], atol=1e-5)


def test_the_linear_filter_learns_and_stays_one_convolution():
    linear, x = LinearDoubling(), torch.randn(1, 1, 9, 9)
    linear(x).square().sum().backward()
    assert linear.learned.grad.abs().max() > 0
    torch.nn.init.normal_(linear.learned)
    torch.testing.assert_close(linear.fused()(x), linear(x), rtol=1e-5, atol=1e-5)


def test_the_graph_has_only_operators_that_every_provider_has(net):
    used = operators(to_onnx(deployed(net), RECIPE.multiple))
    assert set(used) <= {"Conv", "Relu", "DepthToSpace", "Add", "Mul", "Sqrt", "Sub"}
    assert used["Conv"] == 5 + sum(RECIPE.blocks)


def test_widths_are_multiples_of_16():
    assert all(width % 16 == 0 for width in RECIPE.channels)
