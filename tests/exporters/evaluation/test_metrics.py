import numpy as np
import pytest

pytest.importorskip("skimage", reason="measuring needs scikit-image: pip install 'photopeak[train]'")

from skimage.metrics import peak_signal_noise_ratio

from photopeak.exporters.evaluation.metrics import Interval, bootstrap, peak, psnr, ssim


def test_psnr_is_that_of_scikit_image_for_the_same_peak():
    rng = np.random.default_rng(0)
    truth = rng.gamma(2, 5, (64, 64)).astype(np.float32)
    image = truth + rng.normal(0, 1, truth.shape).astype(np.float32)
    expected = peak_signal_noise_ratio(truth.astype(float), image.astype(float), data_range=peak(truth))
    assert psnr(image, truth) == pytest.approx(expected)


def test_ssim_falls_with_noise():
    rng = np.random.default_rng(1)
    truth = rng.gamma(2, 5, (64, 64))
    values = [ssim(truth + rng.normal(0, noise, truth.shape), truth) for noise in (0.0, 1.0, 5.0)]
    assert values[0] == pytest.approx(1)
    assert values[0] > values[1] > values[2]


def test_the_bootstrap_interval_is_that_of_the_mean():
    values = np.random.default_rng(2).normal(3, 2, 400)
    found = bootstrap(values)
    assert isinstance(found, Interval)
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * 2 / np.sqrt(400), rel=0.15)
