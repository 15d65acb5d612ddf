import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from photopeak.exporters.phantoms.camera import Camera, bin2, count, detect, thin


def width_mm(image, pixel_mm):
    """Return the FWHM of a Gaussian image from its second moment along the columns."""
    x = (np.arange(image.shape[1]) - (image.shape[1] - 1) / 2) * pixel_mm
    profile = image.sum(axis=0, dtype=np.float64)
    mean = (profile * x).sum() / profile.sum()
    return np.sqrt((profile * (x - mean) ** 2).sum() / profile.sum() * 8 * np.log(2))


def point(side=129):
    image = np.zeros((1, side, side), np.float32)
    image[0, side // 2, side // 2] = 1e4
    return image


@pytest.mark.parametrize("distance", [0.0, 50.0, 100.0, 200.0])
def test_width_of_a_point_grows_with_distance_as_the_formula_says(distance):
    camera = Camera(pixel_mm=1.0, scatter_fraction=0.0, intrinsic_fwhm_mm=3.5, hole_mm=1.5, divergence=0.045)
    image = detect(point(), np.array([distance]), camera)
    expected = np.sqrt(3.5**2 + (1.5 + 0.045 * distance) ** 2)
    assert camera.fwhm_mm(distance) == pytest.approx(expected)
    assert width_mm(image, 1.0) == pytest.approx(expected, rel=0.01)


def test_scatter_adds_its_fraction_of_counts():
    camera = Camera(scatter_fraction=0.3, scatter_fwhm_mm=40.0)
    image = detect(point(257), np.array([100.0]), camera)
    assert image.sum() == pytest.approx(1.3e4, rel=1e-3)


def test_planes_add_up():
    camera = Camera(scatter_fraction=0.0)
    both = detect(np.concatenate([point(), 2 * point()]), np.array([10.0, 150.0]), camera)
    alone = detect(point(), np.array([10.0]), camera) + 2 * detect(point(), np.array([150.0]), camera)
    np.testing.assert_allclose(both, alone, rtol=1e-5, atol=1e-4)


def test_planes_without_distances_are_refused():
    with pytest.raises(ValueError, match="1 planes need as many distances, got 2"):
        detect(point(), np.array([1.0, 2.0]), Camera())


@pytest.mark.parametrize("level", [0.1, 1.0, 20.0])
def test_counts_have_poisson_mean_and_variance(level):
    counts = count(np.full((500, 500), level, np.float32), np.random.default_rng(3))
    assert counts.mean() == pytest.approx(level, rel=0.02)
    assert counts.var() == pytest.approx(level, rel=0.03)
    assert np.array_equal(counts, np.round(counts))


def test_the_parts_of_a_thinned_acquisition_are_independent():
    counts = count(np.full((600, 600), 12.0, np.float32), np.random.default_rng(4))
    kept, rest = thin(counts, 0.25, np.random.default_rng(5))
    assert np.array_equal(kept + rest, counts)
    assert kept.mean() == pytest.approx(3.0, rel=0.01)
    assert kept.var() == pytest.approx(3.0, rel=0.02)
    assert abs(np.corrcoef(kept.ravel(), rest.ravel())[0, 1]) < 0.01


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_impossible_fractions_are_refused(fraction):
    with pytest.raises(ValueError, match="fraction of counts"):
        thin(np.ones((2, 2), np.float32), fraction, np.random.default_rng(0))


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 99))
def test_binning_keeps_every_count(rows, columns, seed):
    image = np.random.default_rng(seed).poisson(5, (2 * rows, 2 * columns)).astype(np.float32)
    binned = bin2(image)
    assert binned.shape == (rows, columns)
    assert binned.sum() == image.sum()
    assert binned[0, 0] == image[:2, :2].sum()


def test_odd_images_are_not_binned():
    with pytest.raises(ValueError, match="3x4"):
        bin2(np.ones((3, 4), np.float32))


def test_blur_agrees_with_scipy():
    camera = Camera(pixel_mm=2.0, scatter_fraction=0.0)
    image = np.random.default_rng(0).random((1, 64, 64)).astype(np.float32)
    sigma = camera.fwhm_mm(80.0) / 2.0 / 2.3548
    expected = gaussian_filter(image[0], sigma, mode="constant", truncate=6)
    np.testing.assert_allclose(detect(image, np.array([80.0]), camera), expected, atol=5e-3)
