"""Derived objects against what went in, read back by Photopeak and, independently, by pydicom alone."""

import hashlib
import shutil

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom.config import IGNORE
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

import photopeak
from photopeak.engine.dicom.derived import header as header_module
from photopeak.engine.dicom.derived import magnify as magnify_module
from photopeak.engine.dicom.derived.magnify import decimals, magnify
from photopeak.engine.dicom.derived.values import Scale, ladder_slope, peak_slopes, remap, round_to_stored, unit_mapping
from photopeak.engine.errors import InputError
from photopeak.engine.frames import Units

KINDS = [
    "static",
    "whole-body",
    "dynamic",
    "gated",
    "tomo",
    "recon-tomo",
    "pet",
    "enhanced-pet",
    "ct",
    "xa",
    "cr",
    "dx",
]
NUCLEAR = KINDS[:6]
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")


@pytest.fixture
def derive(dicom_factory, make_result, tmp_path):
    """Return ``derive(kind, scale, ...) -> (result, list of derived data sets)``."""

    def run(kind, scale=1, *, suv=False, out="out", changes=None, **choices):
        frames = photopeak.read(dicom_factory(kind, **{"matrix": (48, 32), **choices}), suv=suv)
        result = make_result(frames, scale, **(changes or {}))
        return result, [pydicom.dcmread(path) for path in photopeak.write(result, tmp_path / out)]

    return run


def scaling(ds: Dataset) -> np.ndarray:
    """Return slope and intercept of each frame, shape (n, 2), with pydicom and NumPy only."""
    if "PerFrameFunctionalGroupsSequence" in ds:
        steps = [group.PixelValueTransformationSequence[0] for group in ds.PerFrameFunctionalGroupsSequence]
    elif "RealWorldValueMappingSequence" in ds:
        mapping = ds.RealWorldValueMappingSequence[0]
        return np.array([[mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept]] * int(ds.NumberOfFrames))
    else:
        steps = [ds] * int(ds.get("NumberOfFrames") or 1)
    return np.array([[float(step.get("RescaleSlope", 1)), float(step.get("RescaleIntercept", 0))] for step in steps])


def values(ds: Dataset) -> np.ndarray:
    """Return physical values, shape (n, rows, columns)."""
    slope, intercept = scaling(ds).T[:, :, None, None]
    return ds.pixel_array.reshape(-1, ds.Rows, ds.Columns) * slope + intercept


def stored_step(ds: Dataset) -> float:
    """Return the largest physical difference of neighbouring stored values."""
    return float(scaling(ds)[:, 0].max())


# ---- pixels ----


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


# ---- PET ----


def test_pet_slices_use_their_own_range_and_keep_what_suv_needs(derive):
    result, written = derive("pet", 2)
    slopes = [float(ds.RescaleSlope) for ds in written]
    assert len(set(slopes)) == len(slopes)
    for ds, source in zip(written, result.source.instances, strict=True):
        assert ds.pixel_array.max() == 32767
        assert float(ds.RescaleIntercept) == 0
        for keyword in [
            "Units",
            "DecayCorrection",
            "DecayFactor",
            "CorrectedImage",
            "PatientWeight",
            "SeriesDate",
            "SeriesTime",
            "AcquisitionDate",
            "AcquisitionTime",
            "FrameReferenceTime",
            "ActualFrameDuration",
            "RadiopharmaceuticalInformationSequence",
            "ImageIndex",
            "FrameOfReferenceUID",
            "SliceThickness",
            "NumberOfSlices",
            "SeriesType",
        ]:
            assert ds[keyword].value == source.header[keyword].value, keyword


def test_suv_frames_are_written_as_activity_so_that_suv_comes_out_the_same(derive):
    result, written = derive("pet", 1, suv=True)
    assert result.frames.units == Units.SUV_BODY_WEIGHT
    assert all(ds.Units == "BQML" for ds in written)
    again = photopeak.read([ds.filename for ds in written], suv=True)
    assert np.abs(again.pixels - result.frames.pixels).max() < 2e-4 * result.frames.pixels.max()


def test_pet_series_is_one_new_series_in_the_same_order(derive):
    result, written = derive("pet", 2, frames=12)
    assert len({ds.SeriesInstanceUID for ds in written}) == 1
    assert len({ds.SOPInstanceUID for ds in written}) == 12
    heights = [ds.ImagePositionPatient[2] for ds in written]
    assert heights == [source.header.ImagePositionPatient[2] for source in result.source.instances]
    references = [ds.SourceImageSequence[0].ReferencedSOPInstanceUID for ds in written]
    assert references == [source.sop_instance_uid for source in result.source.instances]


def test_empty_slices_have_slope_one(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("pet"))
    paths = photopeak.write(
        make_result(frames, frames=frames.with_pixels(np.zeros_like(frames.pixels))), tmp_path / "out"
    )
    assert all(pydicom.dcmread(path).RescaleSlope == 1 for path in paths)


def test_enhanced_pet_describes_every_frame(derive):
    result, (ds,) = derive("enhanced-pet", 2)
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
    assert ds.ContentQualification == "RESEARCH"
    assert ds.PresentationLUTShape == "IDENTITY"
    shared = ds.SharedFunctionalGroupsSequence[0]
    assert list(shared.PETFrameTypeSequence[0].FrameType) == list(ds.ImageType)
    for number, group in enumerate(ds.PerFrameFunctionalGroupsSequence, start=1):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == result.source.instances[0].sop_instance_uid
        assert source.ReferencedFrameNumber == number
        slope = group.PixelValueTransformationSequence[0].RescaleSlope
        assert float(slope) == pytest.approx(group.RealWorldValueMappingSequence[0].RealWorldValueSlope)
    evidence = ds.SourceImageEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert evidence.ReferencedSOPInstanceUID == result.source.instances[0].sop_instance_uid


# ---- geometry ----


def corners(position, orientation, spacing, rows, columns):
    """Return the two outer corners of an image plane [mm]."""
    along_row, along_column = np.reshape(np.array(orientation, float), (2, 3))
    origin, (between_rows, between_columns) = np.array(position, float), map(float, spacing)
    return np.array(
        [
            origin + along_row * between_columns * c + along_column * between_rows * r
            for r, c in ((-0.5, -0.5), (rows - 0.5, columns - 0.5))
        ]
    )


@given(
    position=st.lists(st.floats(-500, 500), min_size=3, max_size=3),
    angles=st.tuples(st.floats(0, 6.28), st.floats(0, 6.28)),
    spacing=st.tuples(st.floats(0.2, 10), st.floats(0.2, 10)),
    scale=st.sampled_from([1, 2, 4]),
)
def test_magnified_images_cover_the_same_area(position, angles, spacing, scale):
    a, b = angles
    along_row = np.array([np.cos(a), np.sin(a), 0])
    along_column = np.cos(b) * np.array([-np.sin(a), np.cos(a), 0]) + np.sin(b) * np.array([0, 0, 1])
    ds = Dataset()
    ds.ImagePositionPatient, ds.PixelSpacing = decimals(position), decimals(spacing)
    ds.ImageOrientationPatient = decimals([*along_row, *along_column])
    before = corners(ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing, 64, 32)
    magnify(ds, scale)
    after = corners(ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing, 64 * scale, 32 * scale)
    np.testing.assert_allclose(after, before, atol=1e-6)


@pytest.mark.parametrize("kind", ["pet", "ct", "enhanced-pet", "recon-tomo", "whole-body"])
def test_edges_align_after_super_resolution(derive, kind):
    result, written = derive(kind, 2)
    pairs = zip((i.header for i in result.source.instances), written, strict=True)
    for before, after in pairs:
        for (p0, o0, s0), (p1, o1, s1) in zip(planes(before), planes(after), strict=True):
            expected = corners(p0, o0, s0, before.Rows, before.Columns)
            np.testing.assert_allclose(corners(p1, o1, s1, after.Rows, after.Columns), expected, atol=1e-6)
            np.testing.assert_allclose(np.array(s1, float) * 2, np.array(s0, float))


def planes(ds):
    if "SharedFunctionalGroupsSequence" in ds:
        shared = ds.SharedFunctionalGroupsSequence[0]
        for group in ds.PerFrameFunctionalGroupsSequence:
            yield (
                group.PlanePositionSequence[0].ImagePositionPatient,
                shared.PlaneOrientationSequence[0].ImageOrientationPatient,
                shared.PixelMeasuresSequence[0].PixelSpacing,
            )
    for holder in [ds] if "ImagePositionPatient" in ds else ds.get("DetectorInformationSequence") or []:
        yield holder.ImagePositionPatient, holder.ImageOrientationPatient, ds.PixelSpacing


def test_xray_spacing_at_the_detector_is_halved_and_edges_in_pixels_are_left_out(derive):
    tags = {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 3}
    _, (ds,) = derive("xa", 2, tags=tags)
    assert [float(value) for value in ds.ImagerPixelSpacing] == [2.4, 2.0]
    assert "ShutterShape" not in ds
    assert "ShutterLeftVerticalEdge" not in ds
    _, (same,) = derive("xa", 1, tags=tags, out="same", seed=1)
    assert same.ShutterLeftVerticalEdge == 3


def test_shutters_and_collimators_of_frames_are_left_out_when_magnified():
    ds, shared, group, shutter, calibration = (Dataset() for _ in range(5))
    shutter.ShutterShape, shutter.ShutterLeftVerticalEdge = "RECTANGULAR", 3
    shutter.CollimatorShape, shutter.CollimatorLeftVerticalEdge = "RECTANGULAR", 3
    calibration.ObjectPixelSpacingInCenterOfBeam = [0.3, 0.2]
    shared.FrameDisplayShutterSequence, group.CollimatorShapeSequence = [shutter], [shutter]
    group.ProjectionPixelCalibrationSequence = [calibration]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], [group]
    magnify(ds, 2)
    assert "FrameDisplayShutterSequence" not in shared
    assert "CollimatorShapeSequence" not in group
    assert calibration.ObjectPixelSpacingInCenterOfBeam == [0.15, 0.1]


def test_every_listed_keyword_is_in_the_dictionary():
    listed = header_module._NO_LONGER_TRUE + magnify_module._IN_PIXELS
    assert [keyword for keyword in listed.split() if pydicom.datadict.tag_for_keyword(keyword) is None] == []


# ---- provenance ----


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_identity_and_provenance(derive, kind, scale):
    result, written = derive(kind, scale)
    code = "113087" if scale == 1 else "113085"
    for ds, source in zip(written, result.source.instances, strict=True):
        header = source.header
        for keyword in (
            "StudyInstanceUID",
            "PatientID",
            "PatientName",
            "AccessionNumber",
            "StudyDate",
            "SpecificCharacterSet",
        ):
            assert ds[keyword].value == header[keyword].value
        assert ds.get("FrameOfReferenceUID") == header.get("FrameOfReferenceUID")
        assert ds.SOPInstanceUID != header.SOPInstanceUID
        assert ds.SeriesInstanceUID != header.SeriesInstanceUID
        assert ds.SOPInstanceUID.startswith("2.25.")
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.SOPClassUID == header.SOPClassUID
        assert ds.ImageType[:2] == ["DERIVED", "PRIMARY"]
        assert ds.ImageType[2:3] == header.ImageType[2:3]
        assert ds.DerivationCodeSequence[-1].CodeValue == code
        (reference,) = ds.SourceImageSequence
        assert reference.ReferencedSOPClassUID == header.SOPClassUID
        assert reference.ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert reference.SpatialLocationsPreserved == ("YES" if scale == 1 else "NO")
        equipment = ds.ContributingEquipmentSequence[-1]
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert "ab" * 32 in equipment.ContributionDescription
        assert ("scint-denoise" if scale == 1 else "scint-sr-x2") in ds.SeriesDescription
        assert "AI" in ds.SeriesDescription
        assert ds.SeriesNumber != header.SeriesNumber
        assert "SmallestImagePixelValue" not in ds
        assert ds.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


def test_multiframe_sources_list_their_frames(derive):
    _, (ds,) = derive("whole-body", 1)
    assert list(ds.SourceImageSequence[0].ReferencedFrameNumber) == [1, 2]
    _, (single,) = derive("static", 1, out="single")
    assert "ReferencedFrameNumber" not in single.SourceImageSequence[0]


def test_sources_are_not_touched(dicom_factory, make_result, tmp_path):
    paths = dicom_factory("pet")
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    frames = photopeak.read(paths)
    headers = [str(instance.header) for instance in frames.instances]
    pixels = frames.pixels.copy()
    photopeak.write(make_result(frames, 2), paths[0].parent)
    assert [hashlib.sha256(path.read_bytes()).digest() for path in paths] == digests
    assert [str(instance.header) for instance in frames.instances] == headers
    np.testing.assert_array_equal(frames.pixels, pixels)


def test_device_uid_names_the_model_to_the_bit(derive):
    found = {}
    for label, changes in {"a": {}, "same": {}, "b": {"digest": "cd" * 32}}.items():
        _, (ds,) = derive("static", 1, out=label, changes=changes, folder=label)
        found[label] = ds.ContributingEquipmentSequence[0].DeviceUID
    assert found["a"] == found["same"] != found["b"]


def test_processing_twice_gives_other_uids(derive):
    _, (first,) = derive("static", 1, out="first")
    _, (second,) = derive("static", 1, out="second")
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID


def test_models_get_series_numbers_of_their_own(derive):
    _, (denoised,) = derive("static", 1, out="first")
    _, (magnified,) = derive("static", 2, out="second")
    assert denoised.SeriesNumber != magnified.SeriesNumber


def test_long_texts_stay_within_their_representations(derive):
    name = "a-model-with-a-name-as-long-as-allowed-40"[:40]
    changes = {"name": name, "warnings": ("Something is odd. " * 200,)}
    _, (ds,) = derive(
        "static", 1, changes=changes, tags={"SeriesDescription": "é" * 64, "DerivationDescription": "x" * 1000}
    )
    assert len(ds.SeriesDescription) <= 64
    assert f"AI denoise {name} 1.0.0" in ds.SeriesDescription
    assert len(ds.DerivationDescription) <= 1024
    assert len(ds.ImageComments) <= 10240
    assert "Something is odd." in ds.ImageComments


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_overlong_names_and_dates_of_nothing_are_mended(dicom_factory, make_result, tmp_path):
    path = dicom_factory("static", tags={"PatientBirthDate": "00010101"})[0]
    ds = pydicom.dcmread(path)
    long = {"ImageID": "JASZCZAK_PHAN_DH[ATTC]", "ProtocolName": "p" * 70, "AccessionNumber": "A" * 20}
    for keyword, value in long.items():
        ds.add(DataElement(keyword, dictionary_VR(keyword), value, validation_mode=IGNORE))
    ds.save_as(path)
    written = pydicom.dcmread(photopeak.write(make_result(photopeak.read(path)), tmp_path / "out")[0])
    assert (written.ImageID, written.ProtocolName) == ("JASZCZAK_PHAN_DH", "p" * 64)
    assert not written.PatientBirthDate
    assert written.AccessionNumber == "A" * 20  # what identifies is never changed


def test_domain_verdict_and_warnings_reach_the_reader(derive):
    from photopeak.engine.result import DomainVerdict

    verdict = DomainVerdict(
        "outside", np.full(1, 9.0), (3.0, 5.0), ("mean counts per pixel 0.01 are below the training range",)
    )
    changes = {"judge": lambda: verdict, "warnings": ("The source went through lossy compression.",)}
    _, (ds,) = derive("static", 1, changes=changes)
    for text in (ds.DerivationDescription, ds.ImageComments):
        assert "OUTSIDE the training domain" in text
        assert "mean counts per pixel 0.01" in text
        assert "lossy compression" in text
    assert "total counts of each frame are preserved" in ds.DerivationDescription


def test_lossy_sources_stay_marked(derive):
    tags = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": 12,
        "LossyImageCompressionMethod": "ISO_15444_1",
    }
    _, (ds,) = derive("static", 2, tags=tags)
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 12)
    assert ds.LossyImageCompressionMethod == "ISO_15444_1"


def test_non_latin_names_survive(derive):
    tags = {
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientName": "Yamada^Tarou=山田^太郎",
        "SeriesDescription": "骨シンチ",
    }
    _, (ds,) = derive("whole-body", 1, tags=tags)
    assert ds.PatientName == "Yamada^Tarou=山田^太郎"
    assert ds.SeriesDescription.startswith("骨シンチ [AI denoise")


# ---- what is left out ----


def test_what_no_longer_holds_is_left_out(derive):
    icon = Dataset()
    icon.Rows = 1
    tags = {
        "HistogramSequence": [icon],
        "SmallestImagePixelValue": 0,
        "LargestImagePixelValue": 99,
        "IconImageSequence": [icon],
        "PixelPaddingValue": 0,
    }
    _, (ds,) = derive("static", 2, tags=tags)
    assert not set(tags) & {element.keyword for element in ds}


def test_private_elements_and_overlays_are_left_out_but_philips_factors_stay(dicom_factory, make_result, tmp_path):
    paths = dicom_factory("pet", frames=1)
    source = pydicom.dcmread(paths[0])
    source.private_block(0x0009, "GEMS_GENIE_1", create=True).add_new(0x40, "LO", "REAL^NAME")
    source.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", "0.0005")
    source.RadiopharmaceuticalInformationSequence[0].private_block(0x0011, "ACME", create=True).add_new(
        1, "LO", "REAL^NAME"
    )
    source.add_new(0x60003000, "OW", b"\0\0")
    source.save_as(paths[0])
    path = photopeak.write(make_result(photopeak.read(paths)), tmp_path / "out")[0]
    ds = pydicom.dcmread(path)
    assert b"REAL^NAME" not in path.read_bytes()
    assert 0x60003000 not in ds
    assert float(ds.private_block(0x7053, "Philips PET Private Group")[0x00].value) == 0.0005


def test_an_element_that_cannot_be_decoded_is_left_out_and_named(dicom_factory, make_result, tmp_path):
    (path,) = dicom_factory("static", tags={"AcquisitionDuration": 1.0})
    content = path.read_bytes()
    place = content.index(b"FD\x08\x00")
    path.write_bytes(content[:place] + b"FD\x06\x00" + content[place + 4 : place + 10] + content[place + 12 :])
    ds = pydicom.dcmread(photopeak.write(make_result(photopeak.read(path)), tmp_path / "out")[0])
    assert "AcquisitionDuration" not in ds
    assert "AcquisitionDuration (0018,9073)" in ds.DerivationDescription


def test_a_description_of_unknown_representation_does_not_stop_the_writer(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("static"))
    frames.instances[0].header["SeriesDescription"].VR = "UN"
    ds = pydicom.dcmread(photopeak.write(make_result(frames), tmp_path / "out")[0])
    assert ds.SeriesDescription == "[AI denoise scint-denoise 1.0.0]"
    assert "SeriesDescription (0008,103E)" in ds.DerivationDescription


# ---- nuclear medicine ----

POINTERS = {
    "static": ["54,10", "54,20"],
    "whole-body": ["54,10", "54,20"],
    "dynamic": ["54,10", "54,20", "54,30", "54,100"],
    "gated": ["54,10", "54,20", "54,60", "54,70"],
    "tomo": ["54,10", "54,20", "54,50", "54,90"],
    "recon-tomo": ["54,80"],
}


@pytest.mark.parametrize("kind", NUCLEAR)
def test_nuclear_medicine_keeps_frames_vectors_and_counts(derive, kind):
    result, written = derive(kind, 2)
    (ds,), source = written, result.source.instances[0].header
    pointer = (
        ds.FrameIncrementPointer
        if isinstance(ds.FrameIncrementPointer, list | pydicom.multival.MultiValue)
        else [ds.FrameIncrementPointer]
    )
    assert [f"{Tag(tag).group:x},{Tag(tag).element:x}" for tag in pointer] == POINTERS[kind]
    assert ds.NumberOfFrames == source.NumberOfFrames
    assert list(ds.ImageType)[2:] == list(source.ImageType)[2:]
    for keyword in (
        "CountsAccumulated",
        "ActualFrameDuration",
        "EnergyWindowInformationSequence",
        "DetectorVector",
        "RotationInformationSequence",
    ):
        assert ds.get(keyword) == source.get(keyword)


def test_patient_position_gives_way_to_the_same_in_codes(derive):
    tags = {
        "PatientOrientationCodeSequence": None,
        "PatientGantryRelationshipCodeSequence": None,
        "PatientPosition": "FFP",
    }
    _, (ds,) = derive("static", 1, tags=tags)
    assert "PatientPosition" not in ds
    assert ds.PatientGantryRelationshipCodeSequence[0].CodeMeaning == "feet-first"
    orientation = ds.PatientOrientationCodeSequence[0]
    assert orientation.PatientOrientationModifierCodeSequence[0].CodeMeaning == "prone"


@pytest.mark.parametrize(("part", "laterality"), [("CHEST", None), ("WHOLE BODY", None), ("KNEE", ""), (None, "")])
def test_an_unknown_side_is_there_only_where_there_are_sides(derive, part, laterality):
    _, (ds,) = derive("static", 1, tags={"BodyPartExamined": part})
    assert ds.get("Laterality") == laterality
    if part == "WHOLE BODY":
        assert ds.BodyPartExamined == "WHOLEBODY"


def test_a_known_side_is_kept(derive):
    _, (ds,) = derive("static", 1, tags={"BodyPartExamined": "KNEE", "Laterality": "L"})
    assert ds.Laterality == "L"


def test_the_real_bone_scan_becomes_nuclear_medicine(shared_data, make_result, tmp_path):
    frames = photopeak.read(shared_data / "nema_wg04" / "NM1_UNC.dcm")
    (path,) = photopeak.write(make_result(frames, 2), tmp_path)
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == pydicom.uid.NuclearMedicineImageStorage
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "WHOLE BODY", "EMISSION"]
    assert "ConversionType" not in ds
    assert "Secondary Capture" in ds.DerivationDescription
    assert list(ds.EnergyWindowInformationSequence) == list(ds.RadiopharmaceuticalInformationSequence) == []
    assert ds.CountsAccumulated == 3596452
    assert values(ds).sum() == pytest.approx(frames.pixels.sum(dtype=np.float64), rel=1e-7)
    assert b"BERRA" not in path.read_bytes()
    assert path.name == "NM1_UNC_scint-sr-x2.dcm"


def test_a_lossy_secondary_capture_stays_marked_lossy(make_result, tmp_path):
    path = get_testdata_file("JPEG2000.dcm")
    assert isinstance(path, str)
    ds = pydicom.dcmread(photopeak.write(make_result(photopeak.read(path)), tmp_path)[0])
    assert ds.SOPClassUID == pydicom.uid.NuclearMedicineImageStorage
    assert (ds.LossyImageCompression, float(ds.LossyImageCompressionRatio)) == ("01", 2097)
    assert [code.CodeValue for code in ds.DerivationCodeSequence] == ["113040", "113087"]
    assert "2097:1" in ds.DerivationDescription


# ---- bad input ----


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"])
def test_hostile_uids_are_refused(dicom_factory, make_result, tmp_path, keyword):
    frames = photopeak.read(dicom_factory("static"))
    header = frames.instances[0].header
    header[keyword]._value = "../../etc/passwd"
    with pytest.raises(InputError, match=f"{keyword} is '../../etc/passwd', which is not a UID"):
        photopeak.write(make_result(frames), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_object_without_a_study_is_refused(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("static", tags={"StudyInstanceUID": None}))
    with pytest.raises(InputError, match=r"image\.dcm: StudyInstanceUID is missing"):
        photopeak.write(make_result(frames), tmp_path / "out")


def test_names_of_files_are_made_harmless(dicom_factory, make_result, tmp_path):
    (path,) = dicom_factory("static")
    odd = path.with_name("..\\.. name; $(rm) ü.DCM")
    shutil.move(path, odd)
    (written,) = photopeak.write(make_result(photopeak.read(odd)), tmp_path / "out")
    assert written.parent == tmp_path / "out"
    assert written.name == "name_rm_scint-denoise.dcm"


def test_an_object_is_written_whole_or_not_at_all(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("whole-body"))
    half = photopeak.Frames(
        frames.pixels[:1], frames.units, frames.modality, frames.pixel_spacing_mm, frames.info[:1], frames.instances
    )
    with pytest.raises(InputError, match="1 of 2 frames were processed"):
        photopeak.write(make_result(half), tmp_path / "out")


def test_a_failing_slice_leaves_no_series_behind(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("pet"))
    frames.instances[-1].header["SOPInstanceUID"]._value = "x"
    with pytest.raises(InputError, match="not a UID"):
        photopeak.write(make_result(frames), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_pixels_beyond_16_bits_are_refused(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("ct", frames=1))
    frames.instances[0].header.BitsStored = 32
    with pytest.raises(InputError, match="32 bits cannot be written"):
        photopeak.write(make_result(frames), tmp_path / "out")


def test_frame_order_of_the_source_is_restored(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("dynamic"))
    order = [3, 0, 5, 1, 4, 2]
    shuffled = photopeak.Frames(
        np.ascontiguousarray(frames.pixels[order]),
        frames.units,
        frames.modality,
        frames.pixel_spacing_mm,
        tuple(frames.info[i] for i in order),
        frames.instances,
    )
    ds = pydicom.dcmread(photopeak.write(make_result(shuffled, frames=shuffled), tmp_path / "out")[0])
    np.testing.assert_array_equal(ds.pixel_array, frames.pixels)


def test_philips_factors_go_when_the_counts_of_a_pixel_are_split(dicom_factory, make_result, tmp_path):
    paths = dicom_factory("pet", frames=1, tags={"Units": "CNTS"})
    source = pydicom.dcmread(paths[0])
    source.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", "0.0005")
    source.RealWorldValueMappingSequence = [unit_mapping(Units.SUV_BODY_WEIGHT, 0.0005, signed=False)]
    source.save_as(paths[0])
    frames = photopeak.read(paths)
    kept = {}
    for scale, conserve in ((1, "sum"), (2, "sum"), (2, "mean")):
        (path,) = photopeak.write(make_result(frames, scale, conserve), tmp_path / "out")
        ds = pydicom.dcmread(path)
        kept[scale, conserve] = 0x70530010 in ds
        assert ("RealWorldValueMappingSequence" in ds) == kept[scale, conserve]
    assert kept == {(1, "sum"): True, (2, "sum"): False, (2, "mean"): True}


# ---- rare headers ----


def test_a_jpeg_source_without_the_flag_is_marked_lossy(dicom_factory, make_result, tmp_path):
    frames = photopeak.read(dicom_factory("static", tags={"LossyImageCompression": None}))
    frames.instances[0].header.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    ds = pydicom.dcmread(photopeak.write(make_result(frames), tmp_path / "out")[0])
    assert ds.LossyImageCompression == "01"


def test_values_after_a_lookup_table_are_written_without_it(derive):
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 16])
    table.add_new("LUTData", "US", [60000 - 10 * i for i in range(4096)])
    table.ModalityLUTType = "US"
    result, (ds,) = derive("cr", 1, tags={"ModalityLUTSequence": [table]})
    assert "ModalityLUTSequence" not in ds
    assert (ds.RescaleSlope, ds.RescaleIntercept, ds.BitsStored) == (1, 0, 16)
    assert result.frames.pixels.max() > 20000
    assert np.abs(ds.pixel_array - result.frames.pixels[0]).max() <= 0.51


def test_a_falling_rescale_is_kept(derive):
    result, (ds,) = derive("dx", 1, tags={"RescaleSlope": -2, "RescaleIntercept": 40000})
    assert (ds.RescaleSlope, ds.RescaleIntercept) == (-2, 40000)
    assert np.abs(values(ds) - result.frames.pixels).max() <= 1.01


@pytest.mark.parametrize(("scale", "kept"), [(1, ["{counts}", "Bq/ml"]), (2, ["{counts}"])])
def test_a_mapping_to_concentration_holds_or_goes(derive, scale, kept):
    counts = unit_mapping(Units.COUNTS, 0.5, signed=False)
    activity = unit_mapping(Units.BECQUEREL_PER_ML, 12.0, signed=False)
    result, (ds,) = derive("recon-tomo", scale, tags={"RealWorldValueMappingSequence": [counts, activity]})
    mappings = ds.RealWorldValueMappingSequence
    assert [mapping.MeasurementUnitsCodeSequence[0].CodeValue for mapping in mappings] == kept
    assert np.abs(values(ds) - result.frames.pixels).max() < stored_step(ds)
    if scale == 1:
        assert mappings[1].RealWorldValueSlope / mappings[0].RealWorldValueSlope == pytest.approx(24)


def test_a_mapping_by_table_goes(derive):
    table = unit_mapping(Units.COUNTS, 1.0, signed=False)
    del table.RealWorldValueSlope, table.RealWorldValueIntercept
    table.RealWorldValueLUTData = [1.0, 2.0]
    _, (ds,) = derive("static", 1, tags={"RealWorldValueMappingSequence": [table]})
    assert all("RealWorldValueLUTData" not in mapping for mapping in ds.RealWorldValueMappingSequence)


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"]
)
def test_every_encoding_of_a_source_gives_the_same_object(dicom_factory, make_result, tmp_path, syntax):
    plain = photopeak.read(dicom_factory("whole-body", folder="plain"))
    coded = photopeak.read(dicom_factory("whole-body", folder="coded", transfer_syntax=syntax))
    one, other = (
        pydicom.dcmread(photopeak.write(make_result(frames, 2), tmp_path / "out")[0]) for frames in (plain, coded)
    )
    np.testing.assert_array_equal(one.pixel_array, other.pixel_array)
    new = {
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "InstanceCreationDate",
        "InstanceCreationTime",
        "ContributingEquipmentSequence",
    }
    own = {"StudyInstanceUID", "FrameOfReferenceUID", "SourceImageSequence"}
    for element in one:
        if element.keyword not in new | own:
            assert other[element.tag] == element


def test_a_source_that_only_knows_its_vectors_gets_its_kind(derive):
    tags = {"ImageType": ["ORIGINAL", "PRIMARY"], "FrameIncrementPointer": None, "NumberOfPhases": None}
    _, (ds,) = derive("dynamic", 1, tags=tags)
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "DYNAMIC", "EMISSION"]
    assert len(ds.FrameIncrementPointer) == 4
    assert ds.NumberOfPhases == 1
