"""Splits whose halves are uncorrelated, and a tiny network that learns from them."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from dataclasses import replace
from itertools import count

from photopeak.engine.errors import InputError, ModelError
from photopeak.exporters.architectures import build
from photopeak.exporters.recipes import adaptation
from photopeak.exporters.recipes.adaptation import Recorrupted, Settings, Thinned, adapt
from photopeak.exporters.recipes.noise import WINDOW, Noise

SHORT = Settings(steps=20, every=10, batch=4, patch=32, learning_rate=3e-3)


def gaussian_noise(sigma, scale=0.04, exponent=0.0):
    """Return the noise of a Gaussian filter."""
    lags = np.fft.fftfreq(WINDOW, 1 / WINDOW)
    return Noise(scale, exponent, np.exp(-(lags[:, None] ** 2 + lags**2) / (4 * sigma**2)), 0.0)


def noisy(shape, sigma, rng):
    """Return a level of 1 with noise of a standard deviation of 0.2."""
    noise = gaussian_filter(rng.standard_normal(shape), (0, sigma, sigma), mode="wrap")
    return (1 + 0.2 * noise / noise.std()).astype(np.float32)


def test_thinned_halves_are_independent_and_together_are_all_counts():
    rng = np.random.default_rng(0)
    images = list(rng.poisson(6.0, (4, 64, 64)).astype(np.float32))
    batch = Thinned(images).batch(200, 32, rng)
    inputs, targets = batch.counts[:, 0].astype(np.float64), batch.target[:, 0].astype(np.float64)
    assert np.all(inputs == np.rint(inputs))
    assert inputs.mean() == pytest.approx(targets.mean(), rel=0.01)  # on the same level
    a, b = inputs - inputs.mean((1, 2), keepdims=True), targets - targets.mean((1, 2), keepdims=True)
    assert abs((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean())) < 0.01
    # The rest is what was not kept: a target of q = f / (1 - f) times the rest is 0 or at least q.
    for kept, target in zip(inputs[:20], targets[:20], strict=True):
        ratio = target[target > 0].min()
        whole = kept + target / ratio
        np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)
        assert 0.99 < ratio < 9.1


@pytest.mark.parametrize("sigma", [0.7, 1.5])
def test_recorrupted_noises_are_uncorrelated_at_every_distance(sigma):
    rng = np.random.default_rng(1)
    images = list(noisy((40, 96, 96), sigma, rng))
    batch = Recorrupted(images, [gaussian_noise(sigma)] * 40).batch(200, 64, rng)
    peaks = [np.quantile(image, 0.995) for image in images]
    a, b = batch.counts[:, 0] * np.mean(peaks) - 1, batch.target[:, 0] * np.mean(peaks) - 1
    assert a.var() == pytest.approx(1.25 * 0.04, rel=0.1)
    assert b.var() == pytest.approx(5 * 0.04, rel=0.1)
    for lag in range(5):
        assert abs((a[:, :, lag:] * b[:, :, : 64 - lag]).mean()) < 0.06 * 0.04
    # Each patch comes with its noise added and subtracted: the pair's mean is the image itself.
    np.testing.assert_allclose(
        (batch.counts[::2] + batch.counts[1::2]) / 2, (batch.target[::2] + batch.target[1::2]) / 2, atol=1e-5
    )


def test_slices_are_judged_by_others_of_another_noise():
    rng = np.random.default_rng(5)
    images = list(noisy((30, 64, 64), 1.0, rng))
    beside = [None, *noisy((29, 64, 64), 1.0, rng)]
    batch = Recorrupted(images, [gaussian_noise(1.0)] * 30, beside).judged(200, 32, rng)
    a, b = (part[:, 0] - part[:, 0].mean((1, 2), keepdims=True) for part in (batch.counts, batch.target))
    assert abs((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean())) < 0.02
    with pytest.raises(InputError, match="no held-out slice has others far enough on both sides"):
        Recorrupted(images[:1], [gaussian_noise(1.0)], [None]).judged(2, 32, rng)


def test_patches_fit_small_images_and_the_network():
    rng = np.random.default_rng(2)
    batch = Thinned([rng.poisson(3.0, (44, 71)).astype(np.float32)]).batch(3, 64, rng)
    assert batch.counts.shape == batch.target.shape == (3, 1, 40, 40)


def small_net(recipe):
    torch.manual_seed(0)
    return build(recipe)


@pytest.fixture
def site(small):
    """A recipe, and views of counts of a smooth object: to learn from, to judge by, and with the truth."""
    rng = np.random.default_rng(3)
    truth = 4 + 3 * gaussian_filter(rng.standard_normal((6, 64, 64)), (0, 6, 6)) * 20
    images = list(rng.poisson(np.maximum(truth, 0.5)).astype(np.float32))
    return replace(small("scint-denoise"), blocks=(1, 1, 1, 1)), images, np.maximum(truth, 0.5)


def error(net, images, truth):
    with torch.no_grad():
        output = net(torch.from_numpy(np.stack(images)[:, None])).numpy()[:, 0]
    return float(((output - truth) ** 2).mean()), float(output.mean() / np.mean(images) - 1)


def test_noisy_counts_alone_lower_the_error(site, monkeypatch):
    monkeypatch.setattr(adaptation, "LARGEST_BIAS", 0.05)
    recipe, images, truth = site
    net = small_net(recipe)
    before, _ = error(net, images[4:], truth[4:])
    told = []
    found = adapt(net, recipe, Thinned(images[:4]), Thinned(images[4:]), SHORT, lambda *now: told.append(now))
    after, bias = error(found.net, images[4:], truth[4:])
    assert after < 0.98 * before
    assert found.after < found.before
    assert abs(found.bias) <= 0.05
    assert abs(bias) < 0.05
    assert told[0][0] == SHORT.every
    assert found.steps in {10, 20}


def test_weights_that_lose_the_mean_are_not_taken(site, monkeypatch):
    monkeypatch.setattr(adaptation, "LARGEST_BIAS", 1e-4)
    recipe, images, _ = site
    net = small_net(recipe)
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ModelError, match="no better on held-out images"):
        adapt(net, recipe, Thinned(images[:4]), Thinned(images[4:]), SHORT, lambda *now: None)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, weights[name])


def test_noisy_slices_alone_lower_the_error(small, monkeypatch):
    rng = np.random.default_rng(4)
    recipe = replace(small("pet-denoise"), blocks=(1, 1, 1, 1))
    images = list(noisy((6, 64, 64), 1.2, rng))
    noises = [gaussian_noise(1.2)] * 6
    monkeypatch.setattr(adaptation, "LARGEST_BIAS", 0.05)
    net = small_net(recipe)
    before, _ = error(net, images[4:], 1.0)
    beside = [image[::-1].copy() for image in images[4:]]  # another noise of the same object
    learned, judged = Recorrupted(images[:4], noises[:4]), Recorrupted(images[4:], noises[4:], beside)
    found = adapt(net, recipe, learned, judged, SHORT, lambda *now: None)
    assert error(found.net, images[4:], 1.0)[0] < 0.9 * before


def test_the_same_seed_gives_the_same_weights(site, monkeypatch):
    monkeypatch.setattr(adaptation, "LARGEST_BIAS", 0.05)
    recipe, images, _ = site
    nets = []
    for _ in range(2):
        learned, judged = Thinned(images[:4]), Thinned(images[4:])
        nets.append(adapt(small_net(recipe), recipe, learned, judged, replace(SHORT, steps=10), lambda *now: None).net)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_what_makes_nothing_better_is_refused(site):
    recipe, images, _ = site
    still = replace(SHORT, learning_rate=0.0)
    with pytest.raises(ModelError, match="no better on held-out images"):
        adapt(small_net(recipe), recipe, Thinned(images[:4]), Thinned(images[4:]), still, lambda *now: None)


def test_time_ends_an_adaptation(site, monkeypatch):
    clock = count(0.0)
    monkeypatch.setattr(adaptation, "monotonic", lambda: next(clock))
    monkeypatch.setattr(adaptation, "LARGEST_BIAS", 0.05)
    recipe, images, _ = site
    endless = replace(SHORT, steps=10**6, minutes=0.25, patience=10**6)  # a step takes a second of this clock
    found = adapt(small_net(recipe), recipe, Thinned(images[:4]), Thinned(images[4:]), endless, lambda *now: None)
    assert found.steps <= 16
    assert 15 <= found.seconds < 20
