"""The study against methods of which the answer is known."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from photopeak.exporters.evaluation import ct_real, ct_study
from photopeak.exporters.evaluation.ct_real import INPUT
from photopeak.exporters.evaluation.ct_report import as_figure, as_markdown, half_of, least_gain
from photopeak.exporters.evaluation.ct_study import CtReport, overshoot
from photopeak.exporters.evaluation.study import OURS
from photopeak.exporters.phantoms.ct import SOFT
from photopeak.exporters.recipes.ct import WIDER
from photopeak.kernels import edge_mtf


def resized(image, how=Image.Resampling.BICUBIC):
    return np.asarray(Image.fromarray(image).resize((2 * len(image), 2 * len(image)), how), np.float32)


def sharpened(image):
    """Do what the aim asks for: the ratio of the two transfer functions, in the Fourier domain."""
    side, per_mm = len(image), len(image) / ct_study.FIELD_MM
    f = np.hypot(np.fft.fftfreq(2 * side)[:, None], np.fft.fftfreq(2 * side)[None]) * 2 * per_mm
    gain = SOFT.wider(WIDER).mtf(f) / np.maximum(SOFT.mtf(f), 1e-3)
    pixel = np.fft.fftfreq(2 * side) * np.pi
    repeated = np.fft.fft2(np.kron(image, np.ones((2, 2))))
    aperture = np.cos(pixel)[:, None] * np.cos(pixel)[None]
    within = (np.abs(np.fft.fftfreq(2 * side)) < 0.25)[:, None] & (np.abs(np.fft.fftfreq(2 * side)) < 0.25)[None]
    return np.real(np.fft.ifft2(repeated * within * gain / np.maximum(aperture, 0.1))).astype(np.float32)


METHODS = {OURS: sharpened, "bicubic": resized, "Lanczos": lambda image: resized(image, Image.Resampling.LANCZOS)}


@pytest.fixture
def quick(monkeypatch):
    for name, value in {
        "SCANS": 2,
        "NOISE_HU": 0.5,
        "KERNELS": (SOFT,),
        "NOISIER_HU": (),
        "STEPS_HU": ((40.0, 1000.0),),
        "BARS_PER_MM": (0.3,),
        "OBJECTS": {"head": None},
        "CASES_PER_OBJECT": 1,
        "NOISES_HU": (5.0,),
    }.items():
        monkeypatch.setattr(ct_study, name, value)


def told(name):
    assert name


def test_transfer_functions_before_are_those_of_the_kernel_and_after_those_of_the_method(quick):
    edge, wire = ct_study._sharpness(METHODS, told)
    f = np.array(edge.per_mm)
    half = f < 0.6
    np.testing.assert_allclose(np.array(edge.modulation[INPUT])[half], SOFT.mtf(f[half]), atol=0.02)
    np.testing.assert_allclose(np.array(edge.modulation[OURS])[half], SOFT.wider(WIDER).mtf(f[half]), atol=0.03)
    np.testing.assert_allclose(edge.aim, SOFT.wider(WIDER).mtf(f))
    assert half_of(edge.per_mm, edge.modulation[INPUT]) == pytest.approx(0.35, abs=0.01)
    assert least_gain(edge.per_mm, edge.modulation)[0] > -0.01
    assert set(edge.overshoot) == {INPUT, *METHODS}
    assert not wire.overshoot
    near = np.array(wire.per_mm) < 0.6
    np.testing.assert_allclose(np.array(wire.modulation[INPUT])[near], SOFT.mtf(f[near]), atol=0.03)


def test_transfer_functions_are_measured_with_more_noise_too(quick, monkeypatch):
    monkeypatch.setattr(ct_study, "NOISIER_HU", (30.0,))
    assert [(kernel.name, noise) for kernel, noise in ct_study.scans_of_edges()] == [("soft", 0.5), ("standard", 30.0)]


def test_noise_of_the_input_is_that_of_the_kernel(quick, monkeypatch):
    monkeypatch.setattr(ct_study, "NOISE_HU", 20.0)
    monkeypatch.setattr(ct_study, "SCANS", 8)
    (noise,) = ct_study._noise(METHODS, told)
    assert noise.deviation_hu[INPUT] == pytest.approx(20, rel=0.1)
    f = np.array(noise.per_mm[INPUT])
    wanted = SOFT.nps(f, 20.0)
    np.testing.assert_allclose(np.array(noise.power[INPUT])[3:], wanted[3:], atol=0.15 * wanted.max())


def test_bars_and_discs_have_the_modulation_of_the_kernel(quick):
    (bars,) = ct_study._bars(METHODS, told)
    assert bars.modulation[INPUT] == pytest.approx(float(SOFT.mtf(np.array(0.3))), abs=0.03)
    assert bars.modulation[OURS] == pytest.approx(float(SOFT.wider(WIDER).mtf(np.array(0.3))), abs=0.04)
    discs = list(ct_study._discs(METHODS, told))
    large = [disc for disc in discs if disc.diameter_mm == 8 and disc.step_hu == 40]
    assert large[0].recovery[INPUT] == pytest.approx(1, abs=0.03)


def test_overshoot_of_a_step_is_found():
    y, x = np.mgrid[:64, :64]
    place = x - 31.5 + (y - 32) * np.tan(np.radians(5))
    step = np.clip(place + 0.5, 0, 1)
    ringing = step + 0.08 * np.exp(-((place - 4) ** 2) / 4) - 0.03 * np.exp(-((place + 4) ** 2) / 4)
    assert overshoot(edge_mtf(step)) == pytest.approx(0, abs=0.01)
    assert overshoot(edge_mtf(ringing)) == pytest.approx(0.08, abs=0.01)


def test_scores_are_against_the_aim(quick):
    scores = {
        score.method: score
        for score in ct_study._scores(
            {OURS: resized, "nearest": lambda i: np.kron(i, np.ones((2, 2), np.float32))}, told
        )
    }
    assert scores[OURS].psnr > scores["nearest"].psnr
    assert abs(scores["nearest"].bias) < 1e-3


def test_the_whole_report_becomes_tables_and_a_figure(quick):
    report = CtReport(
        tuple(ct_study._scores(METHODS, told)),
        tuple(ct_study._sharpness(METHODS, told)),
        tuple(ct_study._noise(METHODS, told)),
        tuple(ct_study._bars(METHODS, told)),
        tuple(ct_study._discs(METHODS, told)),
        (),
        (),
        {"128x128": 1.0},
    )
    tables = as_markdown(report)
    assert "Transfer function of simulated edges" in tables
    assert "real phantom" not in tables
    assert json.loads(json.dumps(asdict(report)))["bars"][0]["kernel"] == "soft"
    assert len(as_figure(report).data) > 8


def test_without_the_real_phantom_nothing_of_it_is_measured(tmp_path):
    assert ct_real.real_inserts(METHODS, None, told) == ()
    assert ct_real.real_noise(METHODS, tmp_path, told) == ()


def test_the_real_phantom_has_its_known_insert(shared_data):
    found = {(i.file, i.name): i for i in ct_real.real_inserts({OURS: resized, "bicubic": resized}, shared_data, told)}
    assert found["004.dcm", "air, upper"].contrast_hu == pytest.approx(-1100, abs=15)
    assert half_of(found["000.dcm", "outline"].per_mm, found["000.dcm", "outline"].modulation[INPUT]) == pytest.approx(
        0.5, abs=0.03
    )
