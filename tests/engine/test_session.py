import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import photopeak
from photopeak.engine import plan as plans
from photopeak.engine.bundle import Output
from photopeak.engine.errors import DeviceError, InputError, ModelError, UsageError
from photopeak.engine.frames import Frames, Units
from photopeak.engine.providers import Target, find

PLAIN = {"device": "cpu", "precision": "fp32", "threads": 1}


def test_run_gives_the_closed_form_with_the_sum_kept(bundle_factory, recipes, counts):
    session = photopeak.load(bundle_factory("smooth"), **PLAIN)
    result = session.run(counts)
    raw = recipes["smooth"].truth(counts[:, None])[:, 0]
    expected = raw * (counts.sum(axis=(1, 2)) / raw.sum(axis=(1, 2)))[:, None, None]
    np.testing.assert_allclose(result.frames.pixels, expected, rtol=1e-5)
    np.testing.assert_allclose(result.conservation.before, counts.sum(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(
        result.conservation.model_bias, raw.sum(axis=(1, 2)) / counts.sum(axis=(1, 2)) - 1, atol=1e-6
    )
    assert abs(result.conservation.bias).max() < 1e-6


def test_mean_is_kept_when_the_manifest_says_so(bundle_factory, counts):
    output = Output(name="image", scale=2, conserve="mean")
    spec = {"name": "counts", "units": "BQML"}
    session = photopeak.load(bundle_factory("quarters", output=output.model_dump(), input=spec), **PLAIN)
    result = session.run(counts)
    np.testing.assert_allclose(result.frames.pixels.mean(axis=(1, 2)), counts.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(result.conservation.after, counts.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(result.conservation.model_bias, -0.75, rtol=1e-5)


def test_concentrations_below_zero_are_scaled_and_not_cut_off(bundle_factory, counts, recipes):
    output = {"name": "image", "conserve": "mean"}
    bundle = bundle_factory("brightened", output=output, input={"name": "counts", "units": "BQML"})
    activity = counts - np.float32(10)
    result = photopeak.load(bundle, **PLAIN).run(Frames(activity, Units.BECQUEREL_PER_ML, "NM"))
    np.testing.assert_allclose(result.frames.pixels, activity, atol=1e-4)
    np.testing.assert_allclose(result.conservation.model_bias, 0.25, rtol=1e-5)
    below = photopeak.load(bundle, **PLAIN).run(Frames(-counts, Units.BECQUEREL_PER_ML, "NM"))
    np.testing.assert_allclose(below.frames.pixels, np.float32(-1.25) * counts, rtol=1e-6)
    np.testing.assert_allclose(below.conservation.bias, 0.25, rtol=1e-5)


def test_bundle_of_another_digest_is_refused(bundle_factory):
    bundle = bundle_factory()
    assert photopeak.load(bundle, digest=bundle.digest.upper(), **PLAIN).bundle is bundle
    with pytest.raises(ModelError, match="has the digest"):
        photopeak.load(bundle, digest=64 * "0", **PLAIN)


@pytest.mark.parametrize("provider", ["openvino", "onnxruntime"])
def test_failed_binding_leaves_nothing_of_another_image(bundle_factory, provider):
    """A lane that failed at one shape must not show an earlier image of another shape."""
    session = photopeak.load(bundle_factory("pooled"), provider=provider, **PLAIN)
    rng = np.random.default_rng(0)
    first, second = (rng.poisson(9, (1, 1, 32, 32)).astype(np.float32) for _ in range(2))
    lane = session.runnable.lane()
    lane.run(first)
    with pytest.raises(Exception, match=r".+"):
        lane.run(np.ones((1, 7, 33, 33), np.float32))
    expected = photopeak.load(session.bundle, provider="reference", **PLAIN).runnable.lane().run(second)
    np.testing.assert_allclose(lane.run(second), expected, rtol=1e-5)


def test_nothing_is_kept_when_the_manifest_says_so(bundle_factory, counts):
    output = Output(name="image", scale=1, conserve="none")
    result = photopeak.load(bundle_factory("brightened", output=output.model_dump()), **PLAIN).run(counts)
    np.testing.assert_allclose(result.conservation.bias, 0.25, rtol=1e-5)


def test_super_resolution_halves_the_spacing(bundle_factory, counts):
    frames = Frames(counts, Units.COUNTS, "NM", (2.0, 4.0))
    result = photopeak.load(bundle_factory("quarters"), **PLAIN).run(frames)
    assert result.frames.pixels.shape == (3, 80, 112)
    assert result.frames.pixel_spacing_mm == (1.0, 2.0)
    np.testing.assert_allclose(result.frames.pixels[:, ::2, ::2], counts / 4, rtol=1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(1, 70), columns=st.integers(1, 70), n=st.integers(1, 3))
def test_every_size_goes_through_a_model_with_a_multiple(bundle_factory, rows, columns, n):
    session = photopeak.load(bundle_factory("pooled"), **PLAIN)
    pixels = np.random.default_rng(0).poisson(5, (n, rows, columns)).astype(np.float32)
    result = session.run(pixels)
    assert result.frames.pixels.shape == pixels.shape
    assert abs(result.conservation.bias).max() < 1e-5


def test_tiles_give_what_the_whole_gives(bundle_factory, recipes, monkeypatch):
    monkeypatch.setattr(plans, "_LARGEST_UNTILED_PIXELS", 64 * 64)
    monkeypatch.setattr(plans, "_TILE", 48)
    pixels = np.random.default_rng(5).poisson(30, (2, 150, 97)).astype(np.float32)
    for name in ("smooth", "quarters", "pooled"):
        result = photopeak.load(bundle_factory(name), **PLAIN).run(pixels)
        assert result.plan.tile == 48
        padded = np.pad(pixels, ((0, 0), (0, 0), (0, 1)), mode="reflect") if name == "pooled" else pixels
        raw = recipes[name].truth(padded[:, None])[:, 0, :, : recipes[name].scale * 97]
        expected = raw * (pixels.sum(axis=(1, 2)) / raw.sum(axis=(1, 2)))[:, None, None]
        np.testing.assert_allclose(result.frames.pixels, expected, rtol=2e-5)


def test_batches_give_what_single_frames_give(bundle_factory, counts, monkeypatch):
    bundle = bundle_factory("smooth")
    together = photopeak.load(bundle, **PLAIN).run(counts)
    assert together.plan.batch > len(counts)
    monkeypatch.setattr(plans, "_CPU_BATCH_PIXELS", 1)
    single = photopeak.load(bundle, **PLAIN).run(counts)
    assert single.plan.batch == 1
    np.testing.assert_array_equal(single.frames.pixels, together.frames.pixels)


def test_robust_scaling_makes_the_model_blind_to_intensity(bundle_factory, counts):
    """The graph below is not linear, so that only scaled input gives scaled output."""
    bundle = bundle_factory("anscombe")
    scaled = bundle_factory(
        "anscombe", folder="scaled", input=bundle.manifest.input.model_dump() | {"scaling": "robust"}
    )
    session = photopeak.load(scaled, **PLAIN)
    one, seven = session.run(counts), session.run(7 * counts)
    np.testing.assert_allclose(seven.frames.pixels, 7 * one.frames.pixels, rtol=1e-5)


def test_robust_scaling_is_one_for_all_tiles(bundle_factory, monkeypatch):
    """Tiles that were scaled each by its own peak would differ in a graph that is not linear."""
    bundle = bundle_factory("root", input={"name": "counts", "units": "CNTS", "scaling": "robust", "overlap": 8})
    pixels = np.random.default_rng(5).poisson(np.linspace(1, 90, 150 * 97).reshape(1, 150, 97)).astype(np.float32)
    whole = photopeak.load(bundle, **PLAIN).run(pixels)
    monkeypatch.setattr(plans, "_LARGEST_UNTILED_PIXELS", 64 * 64)
    monkeypatch.setattr(plans, "_TILE", 48)
    tiled = photopeak.load(bundle, **PLAIN).run(pixels)
    assert (whole.plan.tile, tiled.plan.tile) == (0, 48)
    np.testing.assert_allclose(tiled.frames.pixels, whole.frames.pixels, rtol=1e-5)


def test_library_that_fails_is_a_device_error_and_the_next_call_works(bundle_factory, counts):
    session = photopeak.load(bundle_factory("smooth"), **PLAIN)
    good = session.run(counts).frames.pixels
    workspace = next(iter(session._pools.values())).idle[0]

    class Broken:
        def run(self, tensor):
            raise RuntimeError("out of memory")

    workspace.lane = Broken()
    with pytest.raises(DeviceError, match=r"failed on cpu with \w+ at \(3, 1, 40, 56\) \(out of memory\)"):
        session.run(counts)
    np.testing.assert_array_equal(session.run(counts).frames.pixels, good)


def test_result_owns_its_memory(bundle_factory, counts):
    session = photopeak.load(bundle_factory("smooth"), **PLAIN)
    first = session.run(counts)
    before = first.frames.pixels.copy()
    session.run(counts[::-1].copy())
    np.testing.assert_array_equal(first.frames.pixels, before)


@pytest.mark.parametrize("provider", ["onnxruntime", "openvino"])
def test_threads_share_a_session(bundle_factory, provider):
    session = photopeak.load(bundle_factory("smooth"), provider=provider, **PLAIN)
    rng = np.random.default_rng(2)
    stacks = [rng.poisson(9, (2, 32 + 8 * (i % 3), 48)).astype(np.float32) for i in range(24)]
    alone = [session.run(stack).frames.pixels for stack in stacks]
    barrier = threading.Barrier(6)

    def work(part):
        barrier.wait()
        return [session.run(stacks[i]).frames.pixels for i in part]

    with ThreadPoolExecutor(6) as pool:
        parts = [range(k, 24, 6) for k in range(6)]
        for part, outputs in zip(parts, pool.map(work, parts), strict=True):
            for i, output in zip(part, outputs, strict=True):
                np.testing.assert_array_equal(output, alone[i])


def test_same_result_with_any_number_of_threads(bundle_factory, counts):
    bundle = bundle_factory("smooth")
    one, two = (photopeak.load(bundle, device="cpu", precision="fp32", threads=n).run(counts) for n in (1, 2))
    np.testing.assert_array_equal(one.frames.pixels, two.frames.pixels)


def test_progress_counts_the_frames(bundle_factory, counts, monkeypatch):
    monkeypatch.setattr(plans, "_CPU_BATCH_PIXELS", 1)
    seen = []
    photopeak.load(bundle_factory(), **PLAIN).run(counts, lambda done, n: seen.append((done, n)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_timings_name_every_stage(bundle_factory, counts):
    timings = photopeak.load(bundle_factory(), **PLAIN).run(counts).timings_ms
    assert set(timings) == {"check", "stage", "infer", "finish"}
    assert min(timings.values()) >= 0


def test_negative_counts_are_taken_as_zero_and_said(bundle_factory, counts):
    counts[0, 0, 0] = -30
    result = photopeak.load(bundle_factory(), **PLAIN).run(counts)
    assert any("Negative counts (down to -30)" in warning for warning in result.warnings)
    assert result.conservation.before[0] == np.maximum(counts[0], 0).sum()
    assert result.frames.pixels.min() >= 0


def test_notes_of_the_reader_become_warnings(bundle_factory, counts):
    frames = Frames(counts, Units.COUNTS, "NM", notes=("Compressed with loss.",))
    assert "Compressed with loss." in photopeak.load(bundle_factory(), **PLAIN).run(frames).warnings


def test_other_modality_is_a_warning(bundle_factory, counts):
    result = photopeak.load(bundle_factory(), **PLAIN).run(Frames(counts, Units.COUNTS, "PT"))
    assert any("The image is PT" in warning for warning in result.warnings)


def test_other_units_are_an_error(bundle_factory, counts):
    frames = Frames(counts, Units.BECQUEREL_PER_ML, "PT", source="slice.dcm")
    with pytest.raises(InputError, match=r"slice\.dcm: PT values in units BQML, test-model takes CNTS"):
        photopeak.load(bundle_factory(), **PLAIN).run(frames)


@pytest.mark.parametrize(("modality", "accepted"), [("OT", True), ("NM", True), ("PT", False), ("CT", False)])
def test_values_without_units_are_taken_at_their_word_where_they_can_be_counts(
    bundle_factory, counts, modality, accepted
):
    session = photopeak.load(bundle_factory(), **PLAIN)
    frames = Frames(counts, Units.NONE, modality)
    if accepted:
        assert any("does not say its units" in warning for warning in session.run(frames).warnings)
        return
    with pytest.raises(InputError, match=f"{modality} values in units NONE"):
        session.run(frames)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_an_error(bundle_factory, counts, value):
    counts[1, 3, 4] = value
    with pytest.raises(InputError, match="frame 2 holds NaN or infinite"):
        photopeak.load(bundle_factory(), **PLAIN).run(counts)


@pytest.mark.parametrize("array", [np.zeros((2, 2, 2, 2)), np.zeros(5), np.zeros((0, 4, 4)), np.zeros((4, 4), complex)])
def test_arrays_of_another_form_are_an_error(bundle_factory, array):
    with pytest.raises(InputError):
        photopeak.load(bundle_factory(), **PLAIN).run(array)


def test_model_that_gives_infinite_values_is_an_error(bundle_factory, counts):
    session = photopeak.load(bundle_factory("pole"), provider="onnxruntime", **PLAIN)
    counts[1, 2, 3] = 0
    with pytest.raises(ModelError, match="gave NaN, infinite"):
        session.run(counts)


def test_empty_frame_stays_empty(bundle_factory):
    result = photopeak.load(bundle_factory(), **PLAIN).run(np.zeros((1, 32, 32)))
    assert not result.frames.pixels.any()
    assert result.conservation.bias[0] == 0


def test_unknown_model_names_those_there_are():
    with pytest.raises(ModelError, match=r"no model 'scint-dream'; use .*scint-denoise"):
        photopeak.load("scint-dream")


@pytest.mark.parametrize(
    "options", [{"device": "tpu"}, {"precision": "fp8"}, {"provider": "magic"}, {"threads": -1}, {"max_loss_db": -1}]
)
def test_senseless_option_is_a_usage_error(bundle_factory, options):
    with pytest.raises(UsageError, match=str(next(iter(options.values())))):
        photopeak.load(bundle_factory(), **options)


def test_cuda_without_a_gpu_is_an_error_with_reasons(bundle_factory):
    if not find("onnxruntime").check(Target("cuda")):
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match=r"cuda: .*'photopeak doctor' shows what can"):
        photopeak.load(bundle_factory(), device="cuda")
