import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.exporters.architectures.analysis.detector import STRIDE, Detector, seen

EARLY, LATE = 0, 1


@pytest.fixture(scope="module")
def net():
    """A small network that does something in every layer."""
    torch.manual_seed(0)
    net = Detector((8, 12), (1, 2))
    for name, value in net.named_parameters():
        if name.endswith("gain"):
            torch.nn.init.uniform_(value, 0.5, 1.0)
        if name.endswith("bias"):
            torch.nn.init.normal_(value, std=0.1)
    return net.eval()


@pytest.fixture
def pair():
    """Early and late counts of a warm blob, far from the border."""
    y, x = np.mgrid[:128, :160]
    blob = np.exp(-((y - 66) ** 2 + (x - 78) ** 2) / (2 * 5.0**2))
    rng = np.random.default_rng(0)
    counts = [rng.poisson(level * blob) * (blob > 1e-3) for level in (80, 40)]
    return torch.from_numpy(np.stack(counts)[None].astype(np.float32))


@torch.no_grad()
@pytest.mark.parametrize(("n", "h", "w"), [(1, 32, 32), (3, 40, 64), (2, 4, 8)])
def test_heads_have_a_cell_for_every_four_pixels(net, n, h, w):
    heat, box = net(torch.ones(n, 2, h, w))
    assert heat.shape == (n, 1, h // STRIDE, w // STRIDE)
    assert box.shape == (n, 4, h // STRIDE, w // STRIDE)
    assert torch.isfinite(heat).all()
    assert torch.isfinite(box).all()


@torch.no_grad()
@pytest.mark.parametrize(("down", "right"), [(4, 0), (0, -4), (-8, 12)])
def test_what_moves_by_cells_is_found_moved_by_cells(net, pair, down, right):
    heat, box = net(pair)
    moved_heat, moved_box = net(torch.roll(pair, (down, right), (2, 3)))
    shift, inner = (down // STRIDE, right // STRIDE), (..., slice(12, -12), slice(12, -12))
    torch.testing.assert_close(moved_heat[inner], torch.roll(heat, shift, (2, 3))[inner], atol=1e-4, rtol=0)
    torch.testing.assert_close(moved_box[inner], torch.roll(box, shift, (2, 3))[inner], atol=1e-4, rtol=0)


@torch.no_grad()
def test_an_empty_margin_changes_nothing(net, pair):
    heat, _ = net(pair)
    wider, _ = net(torch.nn.functional.pad(pair, (16, 16, 16, 16)))
    torch.testing.assert_close(wider[..., 14:-14, 14:-14], heat[..., 10:-10, 10:-10], atol=1e-4, rtol=0)


def test_the_noise_of_differences_is_one(pair):
    rng = np.random.default_rng(1)
    flood = np.stack([rng.poisson(60, (256, 256)), rng.poisson(30, (256, 256))])[None].astype(np.float32)
    maps, facts = seen(torch.from_numpy(flood))
    of_a_pixel, of_nine = maps[0, 6] * 4, maps[0, 7] * 4
    assert float(of_a_pixel.std()) == pytest.approx(1.0, abs=0.03)
    assert float(of_nine[1:-1, 1:-1].std()) == pytest.approx(1.0, abs=0.05)
    assert float(of_nine.mean()) == pytest.approx(0.0, abs=0.3)
    assert facts[0, :2].flatten().tolist() == [1.0, 1.0]
    assert float(facts[0, 4].exp()) == pytest.approx(0.5, abs=0.01)


def test_relative_maps_do_not_depend_on_the_acquisition_time(pair):
    once, twice = seen(pair)[0], seen(3 * pair)[0]
    torch.testing.assert_close(once[:, 4:6], twice[:, 4:6], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(once[:, :2], twice[:, :2], atol=0.1)


@pytest.mark.parametrize("absent", [EARLY, LATE])
def test_an_absent_phase_is_seen_as_absent_and_compared_with_nothing(pair, absent):
    alone = pair.clone()
    alone[:, absent] = 0
    maps, facts = seen(alone)
    assert float(facts[0, absent]) == 0
    assert float(facts[0, 1 - absent]) == 1
    assert not maps[:, 6:].any()
    for channels in ((0, 1), (2, 3), (4, 5)):
        assert not maps[:, channels[absent]].any()
        assert maps[:, channels[1 - absent]].any()


@torch.no_grad()
def test_nothing_and_negative_counts_give_numbers(net):
    for image in (torch.zeros(1, 2, 32, 32), torch.full((1, 2, 32, 32), -3.0), torch.full((1, 2, 32, 32), 1e6)):
        assert all(torch.isfinite(head).all() for head in net(image))
    torch.testing.assert_close(net(torch.full((1, 2, 32, 32), -3.0))[0], net(torch.zeros(1, 2, 32, 32))[0])


def test_every_weight_learns(net, pair):
    heat, box = net(pair)
    (heat.square().mean() + box.square().mean()).backward()
    without = [name for name, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    net.zero_grad()
    assert without == []


@torch.no_grad()
def test_the_deployed_network_computes_the_same_with_plain_convolutions(net, pair):
    plain = net.deployed()
    assert {type(part) for part in plain.modules() if isinstance(part, torch.nn.Conv2d)} == {torch.nn.Conv2d}
    for found, wanted in zip(plain(pair), net(pair), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_an_untrained_network_sees_few_lesions():
    heat, _ = Detector()(torch.ones(1, 2, 64, 64))
    assert float(torch.sigmoid(heat).max()) < 0.05
