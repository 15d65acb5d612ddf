"""What a slice says of its smoothness: independent of its level, and different for noise of different width."""

import math

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from scipy.ndimage import gaussian_filter

from photopeak.exporters.architectures.smoothness import Smoothness, gabor_filters


def wave(frequency, side=64):
    """Return a wave along rows, as a share of the Nyquist frequency, around 1/2."""
    return 0.5 + 0.4 * torch.cos(math.pi * frequency * torch.arange(side)).expand(1, 1, side, side)


def test_filters_give_nothing_for_a_constant_and_one_at_their_frequency():
    filters = gabor_filters()
    assert filters.sum((1, 2, 3)).abs().max() < 1e-5
    response = torch.fft.fft2(filters, s=(64, 64)).abs().amax((1, 2, 3))
    torch.testing.assert_close(response, torch.ones(20), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("band", "frequency"), [(1, 0.35), (2, 0.5), (3, 0.65), (4, 0.8)])
def test_a_wave_is_found_in_its_band(band, frequency):
    features = Smoothness()(wave(frequency))[0, :6, 4, 4]
    assert int(features.argmax()) == band


def test_brightness_hardly_matters():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 64, 64)
    bright, faint = Smoothness()(image), Smoothness()(0.5 * image)
    torch.testing.assert_close(bright, faint, rtol=0, atol=0.02)


def test_smoother_noise_has_less_in_every_higher_band():
    torch.manual_seed(1)
    noise = torch.randn(96, 96).numpy()
    rough, smooth = (
        Smoothness()(torch.from_numpy(1 + 0.2 * gaussian_filter(noise, width, mode="wrap"))[None, None].clamp_min(0))
        for width in (0.5, 1.0)
    )
    assert (smooth < rough)[0, 1:6].all()


def test_few_edges_and_much_noise_of_one_power_differ():
    """Magnitude over power tells edges, which are rare, from noise, which is everywhere."""
    torch.manual_seed(2)
    noise = 0.5 + 0.1 * torch.randn(1, 1, 64, 64).clamp(-3, 3)
    points = torch.full((1, 1, 64, 64), 0.5)
    points[0, 0, ::16, ::16] += 1.6
    noisy, pointed = (Smoothness()(image)[0, :, 4, 4] for image in (noise, points))
    assert ((noisy - pointed)[2:6] > (noisy - pointed)[12:16] + 0.2).all()


def test_features_are_those_of_the_neighbourhood():
    """A tile tells, away from its border, what the whole image tells."""
    torch.manual_seed(3)
    image = torch.rand(1, 1, 192, 160)
    whole, tile = Smoothness()(image), Smoothness()(image[..., 32:160, 16:144])
    torch.testing.assert_close(tile[..., 5:-5, 5:-5], whole[..., 9:15, 7:13], rtol=0, atol=1e-5)


def test_the_border_is_no_edge():
    assert Smoothness()(torch.full((1, 1, 32, 32), 0.7))[0, :10].max() < -5
