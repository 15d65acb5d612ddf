"""The classifier of ribs: what it sees, and that its evidence is Grad-CAM."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from torch import Tensor

from photopeak.exporters.architectures import deployed
from photopeak.exporters.architectures.analysis.classifier import BoneNet, seen
from photopeak.exporters.cam import with_cam


@pytest.fixture
def counts() -> Tensor:
    return torch.poisson(torch.full((3, 1, 64, 64), 30.0), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def net() -> BoneNet:
    torch.manual_seed(2)
    net = BoneNet((8, 8, 8), 8)
    net.train()(torch.rand(8, 1, 64, 64) * 50)  # statistics of the normalisation
    return net.eval()


def test_level_of_the_counts_is_taken_out(counts: Tensor) -> None:
    maps, brighter = seen(counts)[:, :3], seen(5 * counts)[:, :3]
    assert torch.allclose(maps, brighter, atol=2e-3)


def test_a_hot_spot_rises_in_every_map(counts: Tensor) -> None:
    hot = counts.clone()
    hot[:, :, 30:33, 30:33] *= 4
    assert (seen(hot)[:, :, 31, 31] > seen(counts)[:, :, 31, 31]).all()


def test_noise_is_told_from_uptake(counts: Tensor) -> None:
    faint, bright = counts / 30, counts * 30
    for image in (faint, bright):
        image[:, :, 30:33, 30:33] *= 1.5
    assert (seen(bright)[:, 3, 31, 31] > 3 * seen(faint)[:, 3, 31, 31].abs()).all()


@pytest.mark.parametrize("value", [0.0, 1e-3, 1e6])
def test_flat_and_empty_images_are_finite(net: BoneNet, value: float) -> None:
    assert torch.isfinite(net(torch.full((1, 1, 64, 64), value))).all()


def test_features_are_not_negative_and_lie_at_half_the_matrix(net: BoneNet, counts: Tensor) -> None:
    features = net.features(counts)
    assert features.shape == (3, 8, 32, 32)
    assert (features >= 0).all()


def test_the_map_is_grad_cam(net: BoneNet, counts: Tensor) -> None:
    logits, cam, embedding = with_cam(deployed(net).eval())(counts)
    features = net.features(counts).detach().requires_grad_()
    for label in range(3):
        (gradient,) = torch.autograd.grad(net.head(features)[:, label].sum(), features)
        wanted = torch.relu((gradient.mean((2, 3), keepdim=True) * features).sum(1)).detach()
        assert torch.allclose(cam[:, label].detach(), wanted, rtol=1e-4, atol=1e-6 * float(wanted.abs().max()))
    assert torch.allclose(logits, net(counts), atol=1e-5)
    assert torch.allclose(embedding, features.mean((2, 3), keepdim=True), rtol=1e-4, atol=1e-5)
