import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from photopeak.engine.errors import ModelError
from photopeak.exporters.own.probe import LARGEST_CONTEXT, context_px, frozen, multiple_of, require_apart, run


def convolution(side, dilation=1):
    net = nn.Conv2d(1, 1, side, padding=dilation * (side // 2), dilation=dilation, bias=False)
    nn.init.constant_(net.weight, 1.0)
    return net


def of_same_size(given, shape):
    return tuple(given.shape) == shape


class Halving(nn.Module):
    """Takes multiples of 2 to the power of its depth, and doubles at the end if asked to."""

    def __init__(self, depth):
        super().__init__()
        self.depth = depth

    def forward(self, image):
        found = image
        for _ in range(self.depth):
            found = nn.functional.max_pool2d(found, 2)
        for _ in range(self.depth):
            found = found.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return image + found


@pytest.mark.parametrize("depth", range(5))
def test_the_multiple_is_that_of_the_halvings(depth):
    assert multiple_of(Halving(depth), 1, of_same_size) == 2**depth


def test_a_network_that_takes_no_size_is_refused_with_its_last_words():
    class Never(nn.Module):
        def forward(self, image):
            raise RuntimeError("only square dreams")

    with pytest.raises(ModelError, match=r"takes no sides in multiples of up to 64: .*only square dreams"):
        multiple_of(Never(), 1, of_same_size)
    with pytest.raises(ModelError, match=r"it gave \(1, 1, 1, 1\)"):
        multiple_of(nn.AdaptiveAvgPool2d(1), 1, of_same_size)


@settings(max_examples=15)
@given(sides=st.lists(st.sampled_from([1, 3, 5, 7]), min_size=1, max_size=3), dilation=st.integers(1, 3))
def test_the_context_is_the_sum_of_half_widths(sides, dilation):
    net = nn.Sequential(*(convolution(side, dilation) for side in sides))
    reach = sum(dilation * (side // 2) for side in sides)
    assert context_px(net, np.ones((1, 1, 65, 65), np.float32)) == reach


def test_the_context_of_a_network_that_enlarges_is_in_pixels_of_the_input():
    net = nn.Sequential(convolution(5), nn.Upsample(scale_factor=2, mode="nearest"))
    assert context_px(net, np.ones((1, 1, 33, 33), np.float32)) == 2


def test_the_context_has_an_end():
    class Mean(nn.Module):
        def forward(self, image):
            return image + image.mean(dim=(2, 3), keepdim=True)

    assert context_px(Mean(), np.ones((1, 1, 320, 320), np.float32)) == LARGEST_CONTEXT


def test_a_batch_that_mixes_is_refused():
    images = np.random.default_rng(0).random((2, 1, 8, 8)).astype(np.float32)
    require_apart(convolution(3), images)
    with pytest.raises(ModelError, match=r"changes by .* with the frames beside it"):
        require_apart(nn.BatchNorm2d(1).train(), images)


def test_values_that_are_not_finite_are_refused():
    images = np.zeros((2, 1, 8, 8), np.float32)

    class Logarithm(nn.Module):
        def forward(self, image):
            return torch.log(image)

    with pytest.raises(ModelError, match="NaN or infinite"):
        require_apart(Logarithm(), images)


def test_the_users_network_is_not_changed():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Dropout()).double().train()
    copy = frozen(net)
    assert (net.training, copy.training) == (True, False)
    assert {weight.dtype for weight in net.parameters()} == {torch.float64}
    assert {weight.dtype for weight in copy.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in net.parameters())


def test_what_a_network_raises_becomes_one_sentence():
    with pytest.raises(ModelError, match=r"fails on images of shape \(1, 2, 8, 8\) \(RuntimeError: "):
        run(convolution(3), np.zeros((1, 2, 8, 8), np.float32))
