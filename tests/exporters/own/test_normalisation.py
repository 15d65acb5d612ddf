import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from photopeak.exporters.own.normalisation import without_group_norm


@settings(max_examples=20)
@given(
    groups=st.integers(1, 4),
    width=st.integers(1, 4),
    affine=st.booleans(),
    level=st.sampled_from([0.0, 1.0, 100.0]),
    seed=st.integers(0, 99),
)
def test_groups_are_normalised_as_torch_does(groups, width, affine, level, seed):
    torch.manual_seed(seed)
    norm = nn.GroupNorm(groups, groups * width, affine=affine)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    image = level + torch.randn(2, groups * width, 7, 9)
    with torch.no_grad():
        assert torch.allclose(without_group_norm(norm)(image), norm(image), atol=2e-4)


def test_nested_ones_are_found_and_the_network_is_not_changed():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ModuleList([nn.Sequential(nn.GroupNorm(2, 4), nn.ReLU())])[0])
    made = without_group_norm(net)
    assert not any(isinstance(part, nn.GroupNorm) for part in made.modules())
    assert any(isinstance(part, nn.GroupNorm) for part in net.modules())
    image = torch.randn(2, 1, 9, 9)
    with torch.no_grad():
        assert torch.allclose(made(image), net(image), atol=1e-5)


def test_a_network_without_any_stays_the_same():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    assert without_group_norm(net) is net
