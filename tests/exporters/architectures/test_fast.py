"""The fast network: what is exported computes what was trained, with plain convolutions alone."""

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")

from photopeak.engine.graph import OPERATORS
from photopeak.exporters.architectures import build, deployed
from photopeak.exporters.architectures.fast import BranchedConv, FilterBank, LinearDoubling
from photopeak.exporters.onnx import operators, to_onnx
from photopeak.exporters.recipes.catalogue import find

RECIPE = find("pet-sr-x2-fast")


@pytest.fixture
def net():
    torch.manual_seed(3)
    made = build(RECIPE)
    for part in (made.head, made.shares, made.local, made.to_fine, made.to_coarse):
        torch.nn.init.normal_(part.weight, std=0.05)
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
    assert sum(p.numel() for p in plain.parameters()) < 0.55 * sum(p.numel() for p in net.parameters())


def test_before_training_it_is_bicubic_interpolation():
    made = build(RECIPE).eval()
    torch.nn.init.zeros_(made.head.weight)
    torch.nn.init.zeros_(made.head.bias)
    image = np.random.default_rng(1).random((24, 32), np.float32)
    expected = np.asarray(Image.fromarray(image).resize((64, 48), Image.Resampling.BICUBIC))
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
    assert set(used) <= OPERATORS
    assert used["Conv"] == 17 + sum(RECIPE.blocks)


def test_widths_are_multiples_of_16():
    assert all(width % 16 == 0 for width in (*RECIPE.channels[:2], 4 * RECIPE.channels[2]))


def test_a_bank_is_a_sum_of_interpolations_by_pixel():
    torch.manual_seed(4)
    bank, image, shares = FilterBank(3), torch.randn(2, 1, 9, 8), torch.randn(2, 3, 9, 8)
    apart = bank.filters(image).reshape(2, 3, 4, 9, 8)
    torch.testing.assert_close(bank(image, shares), (apart * shares[:, :, None]).sum(1), rtol=1e-5, atol=1e-5)


def test_what_the_spectrum_says_reaches_every_share(net):
    net(torch.rand(1, 1, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


def test_a_slice_without_activity_stays_empty(net):
    with torch.no_grad():
        found = deployed(net)(torch.zeros(1, 1, 16, 16))
    assert torch.isfinite(found).all()
