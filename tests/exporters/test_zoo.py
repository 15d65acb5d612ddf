"""The figures that the shipped models promise, on a few held-out cases (the cards hold the whole measurement)."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from photopeak.engine import zoo
from photopeak.exporters.inference import Runner
from photopeak.exporters.phantoms import ct_quality
from photopeak.exporters.phantoms.camera import bin2, count
from photopeak.exporters.phantoms.ct import SHARP, SOFT, spectrum, white
from photopeak.exporters.phantoms.library import simulate
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.recipes.slices import draw, pair
from photopeak.kernels import edge_mtf

CASES = (("whole-body-bone", 50), ("thyroid", 50), ("kidneys", 50), ("shapes", 50))


def acquired(level):
    for name, index in CASES:
        image = simulate(name, index, "held-out").image
        truth = (image[300:556] if image.shape[0] > 512 else image) * np.float32(level)
        yield truth, count(truth, np.random.default_rng(index))


def error(image, truth):
    return np.mean((image - truth) ** 2)


@pytest.mark.parametrize("level", [1 / 8, 1.0])
def test_the_denoiser_keeps_counts_and_removes_noise(level):
    run = Runner(zoo.load_bundle("scint-denoise").model)
    for truth, counts in acquired(level):
        image = run(counts[None, None])[0, 0]
        assert image.sum() == pytest.approx(counts.sum(), rel=0.01)
        assert error(image, truth) < 0.15 * error(counts, truth)


@pytest.mark.parametrize("level", [1 / 8, 1.0])
def test_the_larger_matrix_is_better_than_interpolation(level):
    run = Runner(zoo.load_bundle("scint-sr-x2").model)
    for truth, counts in acquired(level):
        binned = bin2(counts)
        image = run(binned[None, None])[0, 0]
        bilinear = _bilinear(binned)
        assert image.sum() == pytest.approx(counts.sum(), rel=0.01)
        assert 10 * np.log10(error(bilinear, truth) / error(image, truth)) > 1.5


def _bilinear(counts):
    from PIL import Image

    rows, columns = counts.shape
    return np.asarray(Image.fromarray(counts).resize((2 * columns, 2 * rows), Image.Resampling.BILINEAR)) / 4


def slices_of_pet(name, level):
    recipe = find(name)
    for kind, index in (("torso", 301), ("nema-iq", 300), ("shapes", 300)):
        case = draw(index, "held-out", recipe.scale, kind)
        case = replace(case, how=replace(case.how, method="osem"))
        made = pair(case, np.array([level * 2e6]), recipe.scale, np.random.default_rng(index))
        yield made.target[0], made.noisy[0]


@pytest.mark.parametrize("level", [1 / 8, 1 / 2])
def test_the_pet_denoiser_beats_the_best_gaussian_filter(level):
    run, gains = Runner(zoo.load_bundle("pet-denoise").model), []
    for truth, noisy in slices_of_pet("pet-denoise", level):
        image = run(noisy[None, None])[0, 0]
        assert image.mean() == pytest.approx(noisy.mean(), rel=0.01)
        best = min(error(gaussian_filter(noisy, width), truth) for width in (0.5, 0.8, 1.2, 1.7, 2.5, 4.0))
        gains.append(10 * np.log10(best / error(image, truth)))
    assert min(gains) > 0
    assert np.mean(gains) > 1


@pytest.mark.parametrize("name", ["pet-sr-x2", "pet-sr-x2-fast"])
@pytest.mark.parametrize("level", [1 / 4, 1.0, 4.0])
def test_the_larger_pet_matrix_is_better_than_interpolation(level, name):
    run, gains = Runner(zoo.load_bundle(name).model), []
    for truth, noisy in slices_of_pet(name, level):
        image = run(noisy[None, None])[0, 0]
        assert image.mean() == pytest.approx(noisy.mean(), rel=0.02)
        gains.append(10 * np.log10(error(4 * _bilinear(noisy), truth) / error(image, truth)))
    assert min(gains) > 0
    assert np.mean(gains) > 1.5


@pytest.mark.parametrize("kernel", [SOFT, SHARP], ids=lambda kernel: kernel.name)
def test_ct_becomes_sharper_at_every_frequency_and_keeps_its_values(kernel):
    run, rng, field = Runner(zoo.load_bundle("ct-sr-x2").model), np.random.default_rng(50), ct_quality.FIELD_MM
    seen = spectrum(ct_quality.edge(40.0, 400.0, 512))
    scans = [seen.image(kernel, 256) + white(512, field, rng).noise(kernel, 256, 10.0) for _ in range(3)]
    before, after = np.mean(scans, axis=0), np.mean([run(scan[None, None])[0, 0] for scan in scans], axis=0)
    curves = [
        edge_mtf(image, rois=ct_quality.EDGE.pixels(len(image), field), pixel_spacing_mm=field / len(image))
        for image in (before, after)
    ]
    per_pixel = np.arange(1, 11) * 0.03
    modulation = [curves[0].at(per_pixel), curves[1].at(per_pixel / 2)]
    assert np.subtract(*modulation[::-1]).min() > -0.005
    assert modulation[1][-1] > modulation[0][-1] + 0.1
    assert after.mean() == pytest.approx(before.mean(), abs=0.5)
