"""SSIM against scikit-image, MS-SSIM against the definition in plain NumPy, and properties of both."""

import csv
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity

from photopeak.kernels import ms_ssim, psnr, ssim

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def noisy(reference, deviation=10.0, seed=0):
    generator = np.random.default_rng(seed)
    return np.clip(np.rint(reference + generator.normal(0, deviation, reference.shape)), 0, 255).astype(np.uint8)


def peer(frame, reference, data_range, full=False):
    return structural_similarity(
        reference.astype(float), frame.astype(float), data_range=data_range, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=full,
    )  # fmt: skip


def plain_terms(x, y, data_range):
    """Return similarity, and contrast times structure, at the pixels whose window lies in the image."""
    steps = np.arange(-5, 6)
    window = np.exp(-(steps**2) / 4.5)
    window /= window.sum()

    def smooth(plane):
        return correlate1d(correlate1d(plane, window, axis=0), window, axis=1)[5:-5, 5:-5]

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mx, my = smooth(x), smooth(y)
    structure = (2 * (smooth(x * y) - mx * my) + c2) / (smooth(x * x) - mx**2 + smooth(y * y) - my**2 + c2)
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1) * structure, structure


def plain_ms_ssim(x, y, data_range=255):
    x, y = x.astype(float), y.astype(float)
    value = 1.0
    for scale, exponent in enumerate(EXPONENTS):
        both, structure = plain_terms(x, y, data_range)
        value *= max((both if scale == 4 else structure).mean(), 0) ** exponent
        x, y = (np.pad(plane, [(0, size % 2) for size in plane.shape], mode="edge") for plane in (x, y))
        x, y = ((p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in (x, y))
    return value


def test_reference_scores_are_met(reference_iqa: Path):
    pairs = np.load(reference_iqa / "fr_pairs.npz")
    with (reference_iqa / "fr_scores.csv").open() as file:
        for row in csv.DictReader(file):
            frame, reference = (pairs[f"{row['pair']}_{which}"] for which in ("dist", "ref"))
            assert float(ssim(frame, reference)) == pytest.approx(float(row["numpy_ref.ssim"]), abs=1e-9)
            assert float(ms_ssim(frame, reference)) == pytest.approx(float(row["numpy_ref.msssim"]), abs=1e-9)
            assert float(psnr(frame, reference)) == pytest.approx(float(row["numpy_ref.psnr"]), abs=1e-8)


@pytest.mark.parametrize("name", ["camera", "coins", "page", "moon", "microaneurysms"])
def test_ssim_is_that_of_scikit_image(name):
    reference = getattr(skimage.data, name)()
    frame = noisy(reference)
    value, similarity = peer(frame, reference, 255, full=True)
    found = ssim(frame, reference, maps=True)
    assert float(found) == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(found.maps[0], similarity, atol=1e-11, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(11, 40), st.integers(11, 130), st.sampled_from(["uint8", "uint16", "float32"]), st.integers(0, 99))
def test_ssim_of_any_shape_and_type_is_that_of_scikit_image(rows, columns, dtype, seed):
    generator = np.random.default_rng(seed)
    reference = generator.poisson(50, (rows, columns)).astype(dtype)
    frame = (reference + generator.integers(0, 9, reference.shape)).astype(dtype)
    found = ssim(frame, reference, maps=True)
    data_range = 255 if dtype == "uint8" else float(np.ptp(reference))
    value, similarity = peer(frame, reference, data_range, full=True)
    assert float(found) == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(found.maps[0], similarity, atol=1e-11, rtol=0)
    assert float(ssim(reference, frame, data_range=data_range)) == float(found)
    assert float(ssim(frame, frame)) == 1


@pytest.mark.parametrize("shape", [(161, 161), (170, 333), (256, 192), (175, 1024)])
def test_ms_ssim_is_that_of_the_plain_definition(shape):
    reference = skimage.data.camera().repeat(2, axis=1)[: shape[0], : shape[1]]
    frame = noisy(reference, 25)
    found = ms_ssim(frame, reference, maps=True)
    assert float(found) == pytest.approx(plain_ms_ssim(frame, reference), abs=1e-12)
    assert float(ms_ssim(reference, frame)) == float(found)
    sides = [-(-shape[0] // 2**scale) for scale in range(5)]
    assert [each.shape[0] for each in found.maps[0]] == sides
    means = [each[5:-5, 5:-5].mean() for each in found.maps[0]]
    assert np.prod(np.power(means, EXPONENTS)) == pytest.approx(float(found), abs=1e-12)


def test_equal_images_are_alike_to_the_last_bit():
    for image in (skimage.data.camera(), np.zeros((200, 200), np.uint8), skimage.data.coins() * 1e6):
        kept = {} if np.ptp(image) else {"data_range": 1}
        assert float(ssim(image, image, **kept)) == 1
        assert float(ms_ssim(image, image, **kept)) == 1


def test_ms_ssim_of_an_image_and_its_negative_is_zero():
    image = noisy(np.full((180, 180), 128), 60)
    assert float(ms_ssim(255 - image, image)) == 0
    assert -1 < float(ssim(255 - image, image)) < 0


def test_mask_is_the_mean_of_the_map_inside_of_it():
    reference = skimage.data.camera()[:200, :230]
    frame = noisy(reference)
    mask = np.zeros(reference.shape, bool)
    mask[2:150, 40:200] = True
    similarity = ssim(frame, reference, maps=True).maps[0]
    inside = mask.copy()
    inside[:5] = False
    assert float(ssim(frame, reference, mask=mask)) == pytest.approx(similarity[inside].mean(), abs=1e-12)
    everything = ms_ssim(frame, reference, mask=np.ones_like(mask))
    assert float(everything) == pytest.approx(float(ms_ssim(frame, reference)), abs=1e-14)
    coarse = ms_ssim(frame, reference, mask=mask, maps=True)
    assert float(coarse) != float(everything)
    value = 1.0
    for scale, (each, exponent) in enumerate(zip(coarse.maps[0], EXPONENTS, strict=True)):
        size = 2**scale
        rows, columns = (-(-side // size) * size for side in mask.shape)
        whole = np.pad(mask, ((0, rows - 200), (0, columns - 230)), mode="edge")
        whole = whole.reshape(rows // size, size, columns // size, size).all(axis=(1, 3))
        value *= each[5:-5, 5:-5][whole[5:-5, 5:-5]].mean() ** exponent
    assert float(coarse) == pytest.approx(value, abs=1e-12)


def test_what_cannot_be_compared_has_a_reason():
    image = noisy(np.full((200, 200), 100))
    assert ssim(image[:10], image[:10]).reasons == ("too-small",)
    assert ms_ssim(image[:160], image[:160]).reasons == ("too-small",)
    assert np.isnan(float(ms_ssim(image[:160], image[:160])))
    flat = np.full((200, 200), 3.0)
    assert ssim(flat, flat).reasons == ms_ssim(flat, flat).reasons == ("constant",)
    edge = np.zeros((200, 200), bool)
    edge[:5] = True
    assert ssim(image, image, mask=edge).reasons == ("mask-too-small",)
    edge[:20] = True
    assert ms_ssim(image, image, mask=edge).reasons == ("mask-too-small",)
    assert float(ssim(image, image, mask=edge)) == 1
