import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.exporters.architectures.hounsfield_net import HounsfieldNet


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return HounsfieldNet(16, 2).eval()


@torch.no_grad()
def test_untrained_it_repeats_pixels(net):
    image = 1000 * torch.rand(1, 1, 16, 12) - 900
    repeated = image.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert (net(image) - repeated).abs().mean() < 100


@torch.no_grad()
@pytest.mark.parametrize("hu", [-1000.0, -100.0, 0.0, 2500.0])
def test_linear_path_leaves_uniform_values_alone(hu):
    net = HounsfieldNet(8, 1)
    for name, value in net.named_parameters():
        value.copy_(torch.randn_like(value) if name.startswith("linear") else torch.zeros_like(value))
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
