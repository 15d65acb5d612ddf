"""Planar acquisitions: counts, resolution, transfer function, noise."""

from dataclasses import replace

import numpy as np
import pytest

from photopeak.engine.errors import UsageError
from photopeak.exporters.phantoms.camera import Camera, detect
from photopeak.exporters.phantoms.catalogue import PHANTOMS, find
from photopeak.exporters.phantoms.planar import PROTOCOLS
from photopeak.exporters.phantoms.simulation import Request
from photopeak.kernels import noise_power_spectrum

QUIET = lambda text: None
STATIC = [protocol.name for protocol in PROTOCOLS if protocol.kind == "STATIC"]


def acquired(name, **asked):
    return find(name).acquire(Request(**asked), QUIET)


def test_names_are_unique_and_described():
    names = [phantom.name for phantom in PHANTOMS]
    assert len(names) == len({*names}) >= 25
    assert all(phantom.title and phantom.usual for phantom in PHANTOMS)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("level", [1 / 16, 4.0])
def test_a_study_has_the_counts_asked_for_on_a_small_matrix(protocol, level):
    matrix = (256, 64) if protocol.kind == "WHOLE BODY" else (64, 64)
    found = acquired(protocol.name, matrix=matrix, counts=level, seed=1)
    assert found.pixels.shape == (len(protocol.views), *matrix)
    expected = protocol.counts * level
    assert abs(found.pixels[0].sum(dtype=float) - expected) < 5 * np.sqrt(expected)
    assert np.array_equal(found.pixels, np.rint(found.pixels))
    assert found.pixel_mm == pytest.approx(protocol.field_mm / matrix[1])


@pytest.mark.parametrize("name", STATIC)
def test_the_same_seed_is_the_same_study_and_another_is_not(name):
    one, again, other = (acquired(name, matrix=(64, 64), seed=seed).pixels for seed in (3, 3, 4))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_other_counts_show_the_same_patient():
    short, long = (acquired("thyroid", matrix=(64, 64), counts=c, seed=2, noise_free=True).pixels for c in (0.25, 2.0))
    np.testing.assert_allclose(8 * short, long, rtol=1e-5)


def test_matrices_show_the_same_patient():
    fine, coarse = (acquired("lungs", matrix=(n, n), seed=2, noise_free=True).pixels[0] for n in (128, 64))
    binned = fine.reshape(64, 2, 64, 2).sum(axis=(1, 3))
    assert np.corrcoef(binned.ravel(), coarse.ravel())[0, 1] > 0.999


def test_the_noise_of_a_flood_is_poisson_and_white():
    counts = acquired("flood", matrix=(256, 256), counts=1.0).pixels[0][32:-32, 32:-32]
    ideal = acquired("flood", matrix=(256, 256), counts=1.0, noise_free=True).pixels[0][32:-32, 32:-32]
    assert (counts - ideal).var() / ideal.mean() == pytest.approx(1, abs=0.03)
    spectrum = noise_power_spectrum(counts - ideal + ideal.mean(), roi_size=64)
    inside = (spectrum.frequencies > 0.05) & (spectrum.frequencies < 0.5)
    level = spectrum.power[inside]
    assert level.std() / level.mean() < 0.1
    low, high = level[: len(level) // 3].mean(), level[-(len(level) // 3) :].mean()
    assert low / high == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("distance_mm", [50.0, 150.0])
def test_the_transfer_function_is_that_of_the_response(distance_mm):
    camera = Camera(pixel_mm=1.0, shape=(8, 256), scatter_fraction=0.0)
    line = np.zeros((1, 8, 256), np.float32)
    line[..., 128] = 1
    spread = detect(line, np.array([distance_mm]), camera)[4]
    found = np.abs(np.fft.rfft(spread / spread.sum()))
    f = np.fft.rfftfreq(256)
    expected = np.exp(-((np.pi * camera.fwhm_mm(distance_mm) * f) ** 2) / (4 * np.log(2)))
    np.testing.assert_allclose(found, expected, atol=3e-3)


def test_the_posterior_view_shows_what_lies_behind():
    kidneys = acquired("kidneys", matrix=(128, 128), seed=0, noise_free=True)
    posterior, anterior = kidneys.pixels
    assert kidneys.views == ("posterior", "anterior")
    assert posterior.max() > 1.5 * anterior[:110].max()


@pytest.mark.parametrize(
    ("name", "matrix", "message"),
    [
        ("thyroid", (100, 100), "no matrix 100x100, give one of 64, 128, 256, 512, 1024"),
        ("thyroid", (128, 64), "no matrix 128x64"),
        ("bone-wholebody", (256, 256), "a whole body has no matrix 256x256, give one of 256x64"),
        ("spect-brain", (256, 256), "no matrix 256x256, give one of 64, 128"),
        ("pet-nema", (64, 64), "no matrix 64x64, give one of 128"),
        ("ct-head-soft", (100, 100), "no matrix 100x100"),
    ],
)
def test_impossible_matrices_are_refused_before_anything_is_drawn(name, matrix, message):
    phantom = find(name)
    with pytest.raises(UsageError, match=message):
        replace(phantom).acquire(Request(matrix), QUIET)


def test_unknown_names_are_refused_with_all_names():
    with pytest.raises(
        UsageError, match=r"there is no phantom 'knee', choose bone-wholebody, thyroid.*spect-heart.*ct-"
    ):
        find("knee")
