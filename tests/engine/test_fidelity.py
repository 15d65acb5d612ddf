import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.engine import zoo
from photopeak.engine.bundle import Golden
from photopeak.engine.errors import ModelError
from photopeak.engine.fidelity import deviation, fidelity_loss_db, images_run, measure_fidelity
from photopeak.engine.graph import check_graph
from photopeak.engine.providers import Target, find

F32 = np.float32


class Shifted:
    """Stands for a prepared graph whose output is off by a known amount."""

    def __init__(self, shift=0.0, factor=1.0):
        self.shift, self.factor = F32(shift), F32(factor)

    def lane(self):
        return self

    def run(self, tensor):
        return tensor * self.factor + self.shift


def frames(*levels, side=16):
    rng = np.random.default_rng(5)
    return np.stack([rng.poisson(level, (1, side, side)) for level in levels]).astype(F32)


@pytest.fixture
def bundle(bundle_factory):
    """Return a bundle whose graph gives back its input, with calibration frames that are off by 4 from the truth."""
    images = frames(20, 20, 20)
    return bundle_factory("anscombe", calibration=Golden(images, images, images + F32(4)))


@pytest.mark.parametrize(
    ("shift", "golden", "calibration"), [(0, 0, 0), (-0.5, 2, 1.125), (-1, 3, 1.25), (0.4, 0.2, 0.9)]
)
def test_loss_is_the_ratio_of_errors_frame_by_frame(bundle, shift, golden, calibration):
    """The truth lies 0.5 above the golden output and 4 above the calibration frames: |e - shift| / e is the ratio."""
    found = measure_fidelity(bundle, Shifted(shift), similarity=False)
    assert found.by_frame == pytest.approx(20 * np.log10([golden or 1] * 2 + [calibration or 1] * 3), abs=1e-3)
    assert found.loss_db == pytest.approx(max(0, *found.by_frame), abs=1e-3)
    assert np.isnan(found.ssim)


def test_loss_is_the_mean_of_the_worst_level(bundle_factory):
    """Two noisy frames make a level, of which one loses and one gains; a clean frame is another level."""
    images = frames(20, 20, 20)
    errors = np.array([3, 3.5, 0.1], F32)[:, None, None, None]
    signs = np.array([-1, 1, 1], F32)[:, None, None, None]
    bundle = bundle_factory("anscombe", calibration=Golden(images, images, images + signs * errors))
    found = measure_fidelity(bundle, Shifted(0.05), similarity=False)
    expected = 20 * np.log10([3.05 / 3, 3.45 / 3.5, 0.05 / 0.1])
    assert found.by_frame[2:] == pytest.approx(expected, abs=1e-3)
    assert len(found.by_level) == 3
    noisy = min(found.by_level)
    assert noisy[1] == pytest.approx(expected[:2].mean(), abs=1e-3)
    assert found.loss_db == pytest.approx(max(0, noisy[1]), abs=1e-3)


def test_error_and_bias_are_relative(bundle):
    found = measure_fidelity(bundle, Shifted(factor=1.01), similarity=False)
    assert found.max_error == pytest.approx(0.01, rel=1e-3)
    assert found.count_bias == pytest.approx(0.01, rel=1e-3)
    assert measure_fidelity(bundle, Shifted(factor=0.99), similarity=False).count_bias == pytest.approx(0.01, rel=1e-3)


def test_similarity_is_that_of_the_kernel(bundle):
    from skimage.metrics import structural_similarity

    assert measure_fidelity(bundle, Shifted()).ssim == 1
    found = measure_fidelity(bundle, Shifted(factor=0.8)).ssim
    peers = [
        structural_similarity(
            known[0] * F32(0.8),
            known[0],
            data_range=float(np.ptp(known)),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for known in (*bundle.golden.output, *bundle.calibration.output)
    ]
    assert found == pytest.approx(min(peers), abs=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_lost(bundle, value):
    with np.errstate(invalid="ignore"):
        found = measure_fidelity(bundle, Shifted(value), similarity=False)
    assert (found.loss_db, found.max_error) == (np.inf, np.inf)


def test_float32_loses_nothing(bundle):
    runnable = find("onnxruntime").prepare(check_graph(bundle), Target())
    found = measure_fidelity(bundle, runnable, similarity=False)
    assert found.loss_db < 1e-4
    assert found.max_error < 1e-6


@settings(max_examples=25, deadline=None)
@given(shift=st.floats(-3, 3), error=st.floats(0.05, 20))
def test_loss_of_golden_frames_is_a_closed_form(shift, error):
    class Bundle:
        golden = Golden(frames(9, 9), frames(9, 9), frames(9, 9) + F32(error))

    output = Bundle.golden.output + F32(shift)
    expected = max(0.0, 20 * np.log10(max(abs(error - shift), 1e-10) / error))
    assert fidelity_loss_db(Bundle, output) == pytest.approx(expected, abs=2e-2)
    assert deviation(Bundle, output) == pytest.approx(abs(F32(shift)) / output.max(), abs=1e-1 * abs(shift) + 1e-6)


def test_images_run_one_by_one(bundle):
    images = frames(3, 9)
    np.testing.assert_array_equal(images_run(Shifted(1), images), images + 1)


def test_model_of_findings_has_no_decibels(tmp_path):
    from analysis_models import write_finder

    with pytest.raises(ModelError, match="gives findings"):
        measure_fidelity(write_finder(tmp_path / "bundle", "detection"), Shifted())


@pytest.mark.parametrize(("precision", "admitted"), [("bf16", 0.05), ("int8", 0.1)])
@pytest.mark.parametrize("model", zoo.names("images"))
def test_models_that_ship_lose_little(model, precision, admitted):
    provider, target = find("openvino"), Target("cpu", precision, 2)
    bundle = zoo.load_bundle(model)
    if reason := provider.check(target):
        pytest.skip(reason)
    if precision == "int8" and bundle.int8 is None:
        pytest.skip(f"{model} has no graph of int8")
    runnable = provider.prepare(check_graph(bundle, provider.graph(target)), target)
    found = measure_fidelity(bundle, runnable, similarity=False)
    assert found.loss_db <= admitted
    assert found.count_bias < 0.01
