"""PSNR and NRMSE against closed forms and scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio

from photopeak.kernels import nrmse, psnr
from photopeak.kernels.errors import UsageError


def pair(dtype=np.float64, shape=(37, 53), seed=0):
    generator = np.random.default_rng(seed)
    reference = generator.poisson(90, shape)
    return (reference + generator.integers(-20, 20, shape)).clip(0).astype(dtype), reference.astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "int16", "int32", "float32", "float64"])
def test_any_type_gives_what_scikit_image_gives(dtype):
    frame, reference = pair(dtype)
    assert float(psnr(frame, reference, data_range=200)) == pytest.approx(
        peak_signal_noise_ratio(reference, frame, data_range=200), abs=1e-11
    )
    assert float(nrmse(frame, reference)) == pytest.approx(normalized_root_mse(reference, frame), rel=1e-6)


@pytest.mark.parametrize(("name", "peer"), [("euclidean", "euclidean"), ("mean", "mean"), ("range", "min-max")])
def test_normalizations_are_those_of_scikit_image(name, peer):
    frame, reference = pair()
    found = nrmse(frame, reference, normalization=name)
    assert float(found) == pytest.approx(normalized_root_mse(reference, frame, normalization=peer), rel=1e-12)
    assert found.rule == name


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 1e4), st.floats(0.1, 1e6), st.integers(1, 70), st.integers(1, 70))
def test_constant_offset_has_a_closed_form(offset, data_range, rows, columns):
    reference = pair(shape=(rows, columns))[1]
    found = psnr(reference + offset, reference, data_range=data_range)
    assert float(found) == pytest.approx(20 * np.log10(data_range / offset), abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 1e6))
def test_nrmse_does_not_depend_on_the_unit(scale):
    frame, reference = pair()
    for normalization in ("euclidean", "mean", "range"):
        found = nrmse(frame * scale, reference * scale, normalization=normalization)
        assert float(found) == pytest.approx(float(nrmse(frame, reference, normalization=normalization)), rel=1e-9)


def test_mask_is_as_cropping():
    frame, reference = pair()
    mask = np.zeros(frame.shape)
    mask[4:21, 7:30] = 1
    for metric in (psnr, nrmse):
        inside = metric(frame[4:21, 7:30], reference[4:21, 7:30])
        assert float(metric(frame, reference, mask=mask)) == float(inside)
        assert metric(frame, reference, mask=mask).data_range == inside.data_range
    assert psnr(frame, reference, mask=mask * 0).reasons == ("mask-too-small",)


def test_equal_images_have_no_error():
    _, reference = pair()
    assert float(psnr(reference, reference)) == np.inf
    assert float(nrmse(reference, reference)) == 0


def test_maps_hold_what_is_summed():
    frame, reference = pair(np.uint16)
    errors = frame.astype(float) - reference
    found = psnr(frame, reference, maps=True)
    np.testing.assert_array_equal(found.maps[0], errors**2)
    found = nrmse(frame, reference, maps=True)
    assert np.sqrt(np.mean(found.maps[0] ** 2)) == pytest.approx(float(found), rel=1e-12)
    assert psnr(frame, reference).maps is None


def test_nothing_to_normalize_by_has_a_reason():
    frame, reference = pair()
    assert nrmse(frame, reference * 0).reasons == ("constant",)
    assert nrmse(frame, reference * 0 + 3, normalization="range").reasons == ("constant",)
    balanced = np.where(np.arange(20) % 2, 1.0, -1.0).reshape(4, 5)
    assert nrmse(balanced + 1, balanced, normalization="mean").reasons == ("singular",)
    assert psnr(frame, reference * 0).reasons == ("constant",)
    assert np.isnan(float(psnr(frame, reference * 0)))


def test_nonsense_is_refused():
    frame, reference = pair()
    with pytest.raises(UsageError, match="no normalization 'max'"):
        nrmse(frame, reference, normalization="max")
    with pytest.raises(UsageError, match="takes no data_range"):
        nrmse(frame, reference, data_range=255)
