"""Values of derived objects, read back by Photopeak and, independently, by pydicom alone."""

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom.dataset import Dataset

import photopeak
from dicom_objects import KINDS, NUCLEAR
from dicom_objects.physical import stored_step, values
from photopeak.engine.dicom.derived.magnify import decimals
from photopeak.engine.dicom.derived.values import Scale, ladder_slope, peak_slopes, remap, round_to_stored, unit_mapping
from photopeak.engine.frames import Units

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_read_back_within_one_stored_step(derive, kind, scale):
    result, written = derive(kind, scale)
    expected = result.frames.pixels
    found = np.concatenate([values(ds) for ds in written])
    step = max(stored_step(ds) for ds in written)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < step * 1.001
    again = photopeak.read([ds.filename for ds in written])
    assert again.units == result.frames.units
    assert again.pixel_spacing_mm == pytest.approx(result.frames.pixel_spacing_mm)
    np.testing.assert_allclose(again.pixels, found, rtol=1e-6)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("kind", [*NUCLEAR, "pet", "enhanced-pet"])
def test_each_frame_keeps_its_counts_or_mean_to_half_a_stored_step(derive, kind, scale):
    result, written = derive(kind, scale)
    found = np.concatenate([values(ds) for ds in written]).sum(axis=(1, 2))
    expected = result.frames.pixels.sum(axis=(1, 2), dtype=np.float64)
    step = max(stored_step(ds) for ds in written)
    assert np.abs(found - expected).max() < 0.51 * step + 1e-9 * expected.max()


def test_whole_numbers_are_stored_as_they_are(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("whole-body"))
    paths = photopeak.write(make_result(frames, frames=frames), tmp_path / "out")
    ds = pydicom.dcmread(paths[0])
    np.testing.assert_array_equal(ds.pixel_array, frames.pixels)
    assert "RealWorldValueMappingSequence" not in ds
    assert "Stored values are counts." in ds.DerivationDescription


def test_nuclear_medicine_says_how_to_get_counts(derive):
    _, (ds,) = derive("static", 2)
    mapping = ds.RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "{counts}"
    assert f"Counts = stored value x {mapping.RealWorldValueSlope:g}" in ds.DerivationDescription
    assert "RescaleSlope" not in ds
    assert (mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped) == (0, 65535)


def test_values_without_units_are_not_called_counts(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("static", tags={"RescaleSlope": 2, "RescaleIntercept": 0}))
    assert frames.units is Units.NONE
    for result in (make_result(frames), make_result(frames, frames=frames)):
        ds = pydicom.dcmread(photopeak.write(result, tmp_path / "out")[0])
        assert "counts =" not in ds.DerivationDescription.lower()
        assert "values are counts" not in ds.DerivationDescription


def test_negative_values_are_stored_signed(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("recon-tomo"))
    shifted = frames.with_pixels(frames.pixels - np.float32(2.5))
    ds = pydicom.dcmread(photopeak.write(make_result(frames, frames=shifted), tmp_path / "out")[0])
    assert ds.PixelRepresentation == 1
    assert np.abs(values(ds) - shifted.pixels).max() < stored_step(ds)


def test_a_second_pass_over_derived_counts_keeps_them(derive, make_result, tmp_path):
    first, (ds,) = derive("whole-body", 1)
    frames = photopeak.read(ds.filename)
    second = photopeak.write(make_result(frames, 2), tmp_path / "second")
    final = pydicom.dcmread(second[0])
    assert len(final.RealWorldValueMappingSequence) == 1
    assert values(final).sum() == pytest.approx(first.source.pixels.sum(dtype=np.float64), rel=1e-6)
    assert len(final.DerivationCodeSequence) == 2
    assert len(final.ContributingEquipmentSequence) == 2
    assert "Before that: AI denoising" in final.DerivationDescription


@pytest.mark.parametrize("kind", [*NUCLEAR, "pet"])
def test_window_shows_the_body(derive, kind):
    _, written = derive(kind, 2)
    for ds in written:
        low, high = (
            float(ds.WindowCenter) - float(ds.WindowWidth) / 2,
            float(ds.WindowCenter) + float(ds.WindowWidth) / 2,
        )
        shown = values(ds) if kind == "pet" else ds.pixel_array
        assert low <= np.quantile(shown, 0.05)
        assert np.quantile(shown, 0.9) < high < 20.0 * float(shown.max())


def test_a_window_in_counts_is_carried_over(derive):
    _, (ds,) = derive("static", 2, tags={"WindowCenter": 40, "WindowWidth": 80})
    slope = ds.RealWorldValueMappingSequence[0].RealWorldValueSlope
    assert float(ds.WindowWidth) * slope * 4 == pytest.approx(80)
    assert float(ds.WindowCenter) * slope * 4 == pytest.approx(40)


def test_monochrome1_is_kept_and_not_inverted(derive):
    result, (ds,) = derive("cr", 1)
    assert ds.PhotometricInterpretation == "MONOCHROME1"
    assert np.corrcoef(ds.pixel_array.ravel(), result.source.pixels.ravel())[0, 1] > 0.5


def test_values_beyond_the_bits_of_the_source_are_clipped_and_reported(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("xa"))
    bright = frames.with_pixels(frames.pixels * np.float32(3))
    ds = pydicom.dcmread(photopeak.write(make_result(frames, frames=bright), tmp_path / "out")[0])
    assert ds.pixel_array.max() == 4095
    assert "beyond the 12 bits of the source" in ds.DerivationDescription


def test_ct_keeps_its_hounsfield_scale(derive):
    _, written = derive("ct", 2)
    for ds in written:
        assert (ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType) == (1, -1024, "HU")
        assert "PixelPaddingValue" not in ds


@given(
    pixels=arrays.arrays(
        np.float32,
        (2, 9, 7),
        elements=st.floats(0, 1e5, width=32, allow_subnormal=False).map(np.float32),
        fill=st.nothing(),
    )
)
def test_stored_counts_keep_the_sum_of_any_frame(pixels):
    slope = ladder_slope(pixels, 65535)
    stored = round_to_stored(pixels, Scale(np.full(2, slope), np.zeros(2)), signed=False)
    back = stored.values * slope
    assert stored.clipped == 0
    assert np.abs(back - pixels).max() <= slope * (1 + 1e-6) + 1e-7 * pixels.max()
    difference = np.abs(back.sum(axis=(1, 2)) - pixels.sum(axis=(1, 2), dtype=np.float64))
    assert difference.max() <= 0.5 * slope * (1 + 1e-6)


@given(peak=st.floats(0, 1e9, width=32), highest=st.sampled_from([32767, 65535]))
def test_the_slope_ladder_is_the_finest_that_fits(peak, highest):
    pixels = np.array([[[0.0, peak]]], np.float32)
    slope = ladder_slope(pixels, highest)
    digits = f"{slope:e}"
    assert digits[0] in "125"
    assert digits[1:8] == ".000000"
    assert pixels.max() <= highest * slope * (1 + 1e-7)
    whole = pixels.max() == np.rint(pixels.max()) and pixels.max() <= highest
    if not whole and slope > 0.001:
        assert pixels.max() > (highest - 1) * slope / 2.5 * (1 - 1e-7)


@given(peaks=st.lists(st.floats(0, 2.0**40, width=32, allow_subnormal=False), min_size=1, max_size=5))
def test_peak_slopes_map_the_largest_value_to_the_top_and_fit_a_decimal_string(peaks):
    pixels = np.array(peaks, np.float32)[:, None, None] * np.array([[0.5, -1.0]], np.float32)
    for slope, peak in zip(peak_slopes(pixels), np.abs(pixels).max(axis=(1, 2)), strict=True):
        assert len(str(decimals([slope])[0])) <= 16
        assert float(str(decimals([slope])[0])) == slope
        if peak > 0:
            assert 32766 < peak / slope <= 32767


@given(
    old=st.tuples(st.floats(0.01, 100), st.floats(-100, 100)),
    new=st.tuples(st.floats(0.01, 100), st.floats(-100, 100)),
    mapping=st.tuples(st.floats(0.01, 100), st.floats(-100, 100)),
    stored=st.integers(0, 30000),
)
def test_real_world_values_survive_a_new_rescale(old, new, mapping, stored):
    holder = Dataset()
    entry = unit_mapping(Units.BECQUEREL_PER_ML, mapping[0], signed=False)
    entry.RealWorldValueIntercept = mapping[1]
    holder.RealWorldValueMappingSequence = [entry]
    remap(holder, old, new, signed=False)
    changed = holder.RealWorldValueMappingSequence[0]
    new_stored = (stored * old[0] + old[1] - new[1]) / new[0]
    found = new_stored * changed.RealWorldValueSlope + changed.RealWorldValueIntercept
    assert found == pytest.approx(stored * mapping[0] + mapping[1], rel=1e-6, abs=1e-4)
