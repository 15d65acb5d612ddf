"""The classifier of chest projections: what its normalisation removes, and that its maps are Grad-CAM."""

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor

from photopeak.exporters.architectures.analysis.radiograph import (
    OrientedGradients,
    RadiographEnsemble,
    RadiographNet,
    inside,
    standardised,
)
from photopeak.exporters.architectures.analysis.radiograph import _positions as positions
from photopeak.exporters.cam import with_cam


@pytest.fixture
def images() -> Tensor:
    """Return three images with structure, one of them padded."""
    generator = torch.Generator().manual_seed(0)
    made = torch.nn.functional.interpolate(torch.rand(3, 1, 16, 16, generator=generator), size=64, mode="bicubic")
    made = made.clamp_min(0.05)
    made[0, :, :8] = made[0, :, -8:] = 0
    return made


def nets(number: int) -> list[RadiographNet]:
    """Return networks with random weights and statistics."""
    torch.manual_seed(1)
    made = [RadiographNet((8, 12, 8)) for _ in range(number)]
    for net in made:
        net.train()
        net(torch.rand(8, 1, 64, 64))
        net.eval()
    return made


def test_padding_is_no_part_of_the_image(images: Tensor) -> None:
    mask = inside(images)
    assert mask[0, 0, :8].max() == 0
    assert mask[0, 0, 8:-8].min() == 1
    assert mask[1:].min() == 1


@pytest.mark.parametrize("gain", [1e-3, 1.0, 4095.0])
def test_gain_changes_nothing(images: Tensor, gain: float) -> None:
    net = nets(1)[0]
    assert torch.allclose(net(images * gain), net(images), atol=2e-4)


def test_standardised_images_do_not_know_their_offset(images: Tensor) -> None:
    image, mask = images[1:], torch.ones(2, 1, 64, 64)
    plain, shifted = standardised(image, mask), standardised(image + 1.0, mask)
    assert float((plain - shifted).abs().max()) < 0.03 * float(plain.abs().max())


def test_an_edge_lands_in_the_cell_of_its_direction() -> None:
    image = torch.ones(1, 1, 64, 64)
    image[..., 32:] = 2.0  # brighter to the right: the gradient points along columns
    cells = OrientedGradients()(image)[0, :, 16, 15:17].sum(1)
    assert int(cells.argmax()) == 0
    assert float(cells[4]) < 0.2 * float(cells[0])  # what is left of the slow way back to the mean
    assert float(cells[2]) == pytest.approx(0, abs=1e-5)
    assert float(cells[1]) == pytest.approx(float(cells[7]), rel=1e-4)
    assert float(cells[1]) == pytest.approx(float(cells[0]) / 2**0.5, rel=1e-3)


def test_positions_are_ramps() -> None:
    found = positions(torch.zeros(2, 3, 32, 32))
    place = (torch.arange(32) + 0.5) / 16 - 1
    assert torch.allclose(found[1, 0], place[:, None].expand(32, 32), atol=1e-6)
    assert torch.allclose(found[1, 1], place.abs()[None].expand(32, 32), atol=1e-6)


def test_ensemble_is_the_mean_of_its_networks(images: Tensor) -> None:
    members = nets(3)
    mean = torch.stack([net(images) for net in members]).mean(0)
    assert torch.allclose(RadiographEnsemble(members)(images), mean, atol=1e-5)


def test_map_of_the_ensemble_is_grad_cam_of_the_mean_logit(images: Tensor) -> None:
    net = RadiographEnsemble(nets(2))
    logits, cam, embedding = with_cam(net)(images)
    features = net.features(images).detach().requires_grad_()
    for label in range(2):
        (gradient,) = torch.autograd.grad(net.head(features)[:, label].sum(), features)
        expected = torch.relu((gradient.mean((2, 3), keepdim=True) * features).sum(1))
        error = ((cam[:, label] - expected).abs().max() / expected.abs().max()).detach()
        assert error.item() < 1e-4
    assert logits.shape == (3, 2, 1, 1)
    assert torch.allclose(embedding, features.mean((2, 3), keepdim=True), atol=1e-6)
