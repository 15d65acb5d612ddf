import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.exporters.architectures.hounsfield_net import HounsfieldNet
from photopeak.exporters.interpolation import doubled


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return HounsfieldNet(16, 2).eval()


@torch.no_grad()
def test_it_adds_to_an_interpolation():
    net = HounsfieldNet(8, 1)
    for value in net.head.parameters():
        value.zero_()
    image = torch.from_numpy(gaussian_filter(np.random.default_rng(0).normal(0, 500, (48, 40)), 0.8).astype(np.float32))
    found = net(image[None, None])[0, 0].numpy()
    inner = (slice(20, -20), slice(20, -20))
    wanted = doubled(image.numpy())
    assert np.abs(found - wanted)[inner].max() < 0.01 * wanted.std()
    assert np.abs(found - wanted).max() < wanted.std()  # at the border


@torch.no_grad()
@pytest.mark.parametrize("hu", [-1000.0, -100.0, 0.0, 2500.0])
def test_the_interpolation_leaves_uniform_values_alone(hu):
    net = HounsfieldNet(8, 1)
    for value in net.head.parameters():
        value.zero_()
    image = torch.full((1, 1, 9, 11), hu)
    torch.testing.assert_close(net(image), torch.full((1, 1, 18, 22), hu), atol=0.01, rtol=0)


@torch.no_grad()
def test_what_lies_outside_of_the_field_counts_as_the_lowest_value(net):
    image = torch.zeros(1, 1, 16, 16)
    image[..., :8] = -3024
    clipped = image.clamp(min=-1024)
    torch.testing.assert_close(net(image), net(clipped))
    assert float(net(image)[..., :10].mean()) == pytest.approx(-1024, abs=100)


@torch.no_grad()
def test_it_sees_no_farther_than_its_bundle_says(net):
    from photopeak.exporters.architectures import build
    from photopeak.exporters.ct_bundling import REACH_PX
    from photopeak.exporters.recipes.catalogue import find

    whole = build(find("ct-sr-x2")).eval()
    image = 100 * torch.randn(1, 1, 64, 64)
    moved = image.clone()
    moved[..., 32 + REACH_PX :] += 500
    torch.testing.assert_close(whole(image)[..., : 2 * 32], whole(moved)[..., : 2 * 32], atol=1e-3, rtol=0)
