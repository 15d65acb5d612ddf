"""What the page computes, against the engine's session on the CPU provider in float32."""

from functools import cache

import numpy as np
import pytest

import photopeak
from photopeak.benchmarks.browser import measure
from photopeak.engine.domain import features
from photopeak.engine.errors import UsageError
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.zoo import load_bundle

MODELS = ("scint-denoise", "scint-sr-x2", "pet-sr-x2", "ct-sr-x2")
# Relative to the peak: what two builds of one library may differ by in float32.
PARITY = 1e-5


@cache
def session(model):
    return photopeak.load(model, device="cpu", provider="onnxruntime", precision="fp32", threads=1)


def agrees(page, result, tolerance=PARITY, model=1e-5):
    """Compare all frames of the page with a session's result."""
    for frame, expected in enumerate(result.frames.pixels):
        found = page.result(frame)
        assert np.abs(found["pixels"] - expected).max() <= tolerance * np.abs(expected).max()
        assert found["before"] == pytest.approx(result.conservation.before[frame], rel=1e-9)
        assert found["model"] == pytest.approx(result.conservation.model[frame], rel=model)
        assert found["after"] == pytest.approx(result.conservation.after[frame], rel=1e-6)
        if found["verdict"]["verdict"] != "empty":
            assert found["verdict"]["distance"] == pytest.approx(result.domain.distances[frame], rel=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_golden_frames_are_what_the_engine_makes_of_them(open_page, tmp_path, model):
    golden = load_bundle(model).golden.input[:, 0]
    np.save(tmp_path / "golden.npy", golden)
    page = open_page(model)
    page.choose(tmp_path / "golden.npy")
    agrees(page, session(model).run(golden))


@pytest.mark.parametrize("model", MODELS)
def test_browser_was_checked_against_the_golden_output(open_page, model):
    page = open_page(model)
    info = page.ask("load('app.js').then(({ state }) => done(state.runner.info))")
    assert info["deviation"] <= 1e-5
    assert info["precision"] == "fp32"


@pytest.mark.parametrize(("kind", "model"), [("whole-body", "scint-denoise"), ("static", "scint-sr-x2")])
def test_scintigraphy_is_processed_as_the_engine_does(open_page, dicom_factory, kind, model):
    (path,) = dicom_factory(kind, matrix=(60, 44))  # no multiple of 8: padded by reflection
    page = open_page(model)
    page.choose(path)
    agrees(page, session(model).run(photopeak.read(path)))


@pytest.mark.parametrize(("kind", "model"), [("pet", "pet-sr-x2"), ("ct", "ct-sr-x2")])
def test_rescaled_slice_is_processed_as_the_engine_does(open_page, dicom_factory, kind, model):
    path = dicom_factory(kind, matrix=(50, 46))[0]
    page = open_page(model)
    page.choose(path)
    frames = photopeak.read(path)
    assert frames.instances[0].header.RescaleSlope != 1 or frames.instances[0].header.RescaleIntercept != 0
    agrees(page, session(model).run(frames))


def test_negative_counts_become_zero_and_the_page_says_so(page, tmp_path):
    counts = np.random.default_rng(3).poisson(20, (64, 64)).astype(np.float32) - 15
    np.save(tmp_path / "subtracted.npy", counts)
    page.choose(tmp_path / "subtracted.npy")
    agrees(page, session("scint-denoise").run(counts))
    assert "Negative counts" in page.part("warnings").text


def test_empty_frame_stays_empty(page, tmp_path):
    np.save(tmp_path / "empty.npy", np.zeros((64, 64), np.float32))
    page.choose(tmp_path / "empty.npy")
    assert not page.result()["pixels"].any()
    assert page.result()["verdict"]["verdict"] == "empty"


def test_counts_are_kept(page, tmp_path):
    counts = np.random.default_rng(5).poisson(9, (3, 56, 72)).astype(np.float32)
    np.save(tmp_path / "counts.npy", counts)
    page.choose(tmp_path / "counts.npy")
    for frame, source in enumerate(counts):
        assert page.result(frame)["pixels"].sum(dtype=np.float64) == pytest.approx(source.sum(), rel=1e-6)


def test_several_threads_change_nothing(open_page, tmp_path):
    counts = np.random.default_rng(6).poisson(30, (96, 96)).astype(np.float32)
    np.save(tmp_path / "counts.npy", counts)
    page = open_page("scint-denoise", isolated=True)
    assert page.run("return crossOriginIsolated")
    cores = page.run("return navigator.hardwareConcurrency")
    assert page.ask("load('app.js').then(({ state }) => done(state.runner.info.threads))") == min(cores, 8)
    page.choose(tmp_path / "counts.npy")
    agrees(page, session("scint-denoise").run(counts))
    assert page.console() == []


def test_int8_stays_near_float32_where_the_model_has_it(page, tmp_path):
    if load_bundle("scint-denoise").int8 is None:
        pytest.skip("scint-denoise has no graph of int8")
    golden = load_bundle("scint-denoise").golden.input[:1, 0]
    np.save(tmp_path / "golden.npy", golden)
    page.run(
        "const s = document.getElementById('precision-choice'); s.value = 'int8'; s.dispatchEvent(new Event('input'))"
    )
    page.wait("document.documentElement.dataset.ready || !document.getElementById('problem').hidden")
    assert "int8 loses" in page.part("agreement").text
    page.choose(tmp_path / "golden.npy")
    assert "int8" in page.part("run-facts").text
    exact = session("scint-denoise").run(golden)
    limit = page.ask("load('app.js').then(({ state }) => done(state.settings.graphs.int8.tolerance))")
    agrees(page, exact, tolerance=limit, model=1e-2)
    assert np.abs(page.result()["pixels"] - exact.frames.pixels[0]).max() > PARITY * exact.frames.pixels.max()
    assert page.console() == []


@pytest.mark.slow
def test_webgpu_agrees_with_the_engine_and_an_emulated_one_is_not_the_first_choice(webgpu_page, tmp_path):
    page = webgpu_page
    assert page.run("return document.documentElement.dataset.ready") == "wasm"
    assert "emulated" in page.part("backend").get_attribute("title")
    activity = np.random.default_rng(8).gamma(2, 900, (32, 40)).astype(np.float32)
    np.save(tmp_path / "activity.npy", activity)
    page.run(
        "const s = document.getElementById('backend-choice'); s.value = 'webgpu'; s.dispatchEvent(new Event('input'))"
    )
    page.wait("document.documentElement.dataset.ready === 'webgpu'")
    page.choose(tmp_path / "activity.npy")
    assert "WebGPU" in page.part("run-facts").text
    agrees(page, session("pet-sr-x2-srcnn").run(activity), tolerance=1e-4)


FRAMES = {
    "counts": ("scint-denoise", np.random.default_rng(1).poisson(7, (70, 90))),
    "interpolated": ("scint-denoise", np.random.default_rng(2).poisson(7, (40, 40)).repeat(2, 0).repeat(2, 1) / 4),
    "small": ("scint-denoise", np.random.default_rng(3).poisson(3, (18, 17))),
    "concentration": ("pet-sr-x2", np.random.default_rng(4).gamma(2, 900, (64, 64)) - 100),
    "hounsfield": ("ct-sr-x2", np.random.default_rng(5).normal(0, 30, (80, 64)).round() - 5),
}


@pytest.mark.parametrize("name", FRAMES)
def test_features_of_the_domain_are_those_of_the_engine(open_page, name):
    model, pixels = FRAMES[name]
    pixels = pixels.astype(np.float32)
    taken = load_bundle(model).manifest.input
    (expected,) = features(pixels[np.newaxis], scaling=taken.scaling, units=taken.units)
    page = open_page(model)
    found = page.ask(
        "load('domain.js').then(({ features }) => "
        "done(features(Float32Array.from(arguments[0]), { rows: arguments[1], columns: arguments[2] }, arguments[3])))",
        pixels.ravel().tolist(),
        *pixels.shape,
        {"units": taken.units, "scaling": taken.scaling},
    )
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def test_times_are_measured_beside_the_engine(browser, address_of, site_folder):
    address_of("pet-sr-x2-srcnn")
    (one,) = measure(site_folder / "pet-sr-x2-srcnn", [MatrixSize(16, 24)], rounds=2, isolated=False)[1]
    assert one.threads == 1
    assert len(one.page_ms) == len(one.native_ms) == 2
    assert min(one.page_ms + one.native_ms) > 0


def test_folder_without_a_page_cannot_be_measured(tmp_path):
    with pytest.raises(UsageError, match="holds no page"):
        measure(tmp_path, [MatrixSize(16, 16)], rounds=1, isolated=False)
