"""SRCNN and SRGAN: shapes, parameters and what they compute where that is known."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.exporters.architectures import build
from photopeak.exporters.architectures.srresnet import Discriminator
from photopeak.exporters.recipes.catalogue import find


def test_srcnn_has_the_parameters_of_the_paper():
    weights = [p for p in build(find("pet-sr-x2-srcnn")).parameters() if p.ndim == 4]
    assert sum(p.numel() for p in weights) == 64 * 9 * 9 + 64 * 32 + 32 * 5 * 5


def test_srcnn_works_on_the_bicubic_image():
    net = build(find("pet-sr-x2-srcnn"))
    with torch.no_grad():
        for layer in (net.extract, net.map, net.head):
            layer.weight.zero_()
            layer.bias.zero_()
        net.extract.weight[0, 0, 4, 4] = net.map.weight[0, 0, 0, 0] = net.head.weight[0, 0, 2, 2] = 1
        ramp = torch.arange(12.0).expand(1, 1, 12, 12).contiguous()
        found = net(ramp)[0, 0, 12, 6:18]
    # The kernel of PyTorch bends ramps between pixels; by symmetry the mean of a pair does not move.
    torch.testing.assert_close((found[::2] + found[1::2]) / 2, torch.arange(3.0, 9.0))


@pytest.mark.parametrize("name", ["pet-sr-x2-srcnn", "pet-sr-x2-srgan"])
def test_the_matrix_doubles(name):
    assert build(find(name))(torch.zeros(2, 1, 12, 16)).shape == (2, 1, 24, 32)


def test_the_discriminator_can_learn_to_tell_edges_from_flat_images():
    torch.manual_seed(0)
    judge = Discriminator(8)
    optimiser = torch.optim.Adam(judge.parameters(), lr=1e-3)
    flat = torch.ones(4, 1, 32, 32)
    edged = flat.clone()
    edged[..., 16:] = 0
    for _ in range(60):
        loss = torch.nn.functional.softplus(judge(flat)).mean() + torch.nn.functional.softplus(-judge(edged)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert judge(edged).mean() > 0 > judge(flat).mean()
