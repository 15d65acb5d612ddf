"""The simulator against what was asked of it: transfer function, noise power, values and sizes."""

import numpy as np
import pytest

from photopeak.exporters.phantoms.ct import KERNELS, SHARP, SOFT, Kernel, Plane, Point, spectrum, white
from photopeak.exporters.phantoms.ct_drawing import Canvas
from photopeak.exporters.phantoms.ct_objects import OBJECTS
from photopeak.kernels import edge_mtf, noise_power_spectrum, point_mtf

FIELD_MM = 128.0
PIXEL_MM = 0.5
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)


def wire(x=0.0, y=0.0):
    return spectrum(Plane("wire", np.zeros((512, 512), np.float32), FIELD_MM, (Point(x, y, 500.0),)))


@each_kernel
def test_the_transfer_function_of_an_edge_is_that_of_the_kernel(kernel):
    canvas = Canvas(1024, FIELD_MM)
    canvas.box(0, 0, 40, 40, 60.0, 5.0)
    image = spectrum(canvas.finished("edge")).image(kernel, 256)
    found = edge_mtf(image, rois=((100, 156), (24, 72)), pixel_spacing_mm=PIXEL_MM)
    wanted = kernel.mtf(found.frequencies_per_mm)
    np.testing.assert_allclose(found.modulation, wanted, atol=0.015)


@each_kernel
def test_the_transfer_function_of_a_wire_is_that_of_the_kernel(kernel):
    found = point_mtf(wire(0.1, 0.17).image(kernel, 256), rois=((104, 152), (104, 152)), pixel_spacing_mm=PIXEL_MM)
    np.testing.assert_allclose(found.modulation, kernel.mtf(found.frequencies_per_mm), atol=0.02)


def test_the_wire_of_a_gaussian_kernel_is_as_wide_as_the_gaussian():
    sigma_mm = np.sqrt(np.log(2) / 2) / (np.pi * SOFT.f50_per_mm)
    image = wire().image(SOFT, 512)
    found = point_mtf(image, rois=((206, 306), (206, 306)), pixel_spacing_mm=FIELD_MM / 512)
    np.testing.assert_allclose(found.details["fwhm_mm"], np.sqrt(8 * np.log(2)) * sigma_mm, rtol=0.01)


@each_kernel
def test_a_wire_adds_its_weight_where_it_is(kernel):
    image = wire(3.25, -1.75).image(kernel, 256).astype(np.float64)
    assert image.sum() * PIXEL_MM**2 == pytest.approx(500, abs=1)
    at = np.unravel_index(image.argmax(), image.shape)
    assert at == (124, 134)  # the middle of the matrix lies between pixels 127 and 128


@each_kernel
def test_the_noise_power_is_that_of_the_kernel(kernel):
    rng = np.random.default_rng(0)
    noise = np.stack([white(1024, FIELD_MM, rng).noise(kernel, 256, 20.0) for _ in range(6)])
    assert noise.std() == pytest.approx(20, rel=0.02)
    found = noise_power_spectrum(noise, pixel_spacing_mm=PIXEL_MM, detrend="constant", window="hann")
    wanted = kernel.nps(found.frequencies_per_mm, 20.0)
    np.testing.assert_allclose(found.power_mm2[2:], wanted[2:], atol=0.06 * wanted.max())


def test_noise_power_integrates_to_the_variance():
    f, step = np.linspace(0, 6, 60001, retstep=True)
    for kernel in (*KERNELS, Kernel("odd", 0.5, 1.7)):
        assert (2 * np.pi * f * kernel.nps(f, 7.0)).sum() * step == pytest.approx(49, rel=1e-3)


def test_a_wider_kernel_is_higher_everywhere():
    f = np.linspace(0.01, 2, 200)
    assert (SHARP.wider(1.4).mtf(f) > SHARP.mtf(f)).all()


def test_uniform_tissue_keeps_its_value():
    canvas = Canvas(512, 256.0)
    canvas.ellipse(0, 0, 100, 80, 57.0)
    image = spectrum(canvas.finished("disc")).image(SOFT, 128)
    assert image[64, 64] == pytest.approx(57, abs=0.02)
    assert image[2, 2] == pytest.approx(-1000, abs=0.02)


def test_areas_hold_on_every_matrix():
    canvas = Canvas(512, 256.0)
    canvas.ellipse(3, -4, 60, 40, 0.0, 30)
    seen = spectrum(canvas.finished("disc"))
    for side in (256, 512):
        area = (seen.image(SOFT, side).astype(np.float64) + 1000).sum() / 1000 * (256 / side) ** 2
        assert area == pytest.approx(np.pi * 60 * 40, rel=0.002)


def test_a_matrix_that_does_not_divide_the_drawing_is_refused():
    with pytest.raises(ValueError, match="no whole multiples"):
        wire().image(SOFT, 200)


@pytest.mark.parametrize("name", list(OBJECTS))
def test_objects_repeat_differ_and_stay_in_air(name):
    first, again, other = (OBJECTS[name](np.random.default_rng(seed), 512) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.hu, again.hu)
    assert not np.array_equal(first.hu, other.hu)
    assert first.hu.min() >= -1000
    for edge in (first.hu[0], first.hu[-1]):
        assert np.mean(edge == -1000) > 0.8
