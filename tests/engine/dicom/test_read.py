"""Every kind of object: values, units, geometry and frame descriptions, against what the factory put in."""

import math
import time

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from photopeak.engine.dicom.attributes import is_lossy
from photopeak.engine.errors import InputError
from photopeak.engine.frames import Units
from photopeak.engine.reading import read


def stored(paths):
    """Return the stored values as pydicom reads them, in the order of `paths`."""
    return np.concatenate([np.atleast_3d(pydicom.dcmread(p).pixel_array.T).T for p in paths])


@pytest.mark.parametrize("kind", ["static", "whole-body", "dynamic", "gated", "tomo", "recon-tomo"])
def test_nuclear_stored_values_are_counts_in_file_order(dicom_factory, kind):
    paths = dicom_factory(kind, matrix=(32, 16))
    frames = read(paths)
    assert (frames.units, frames.modality, frames.pixel_spacing_mm) == (Units.COUNTS, "NM", (4.8, 4.0))
    np.testing.assert_array_equal(frames.pixels, stored(paths))
    assert [i.number for i in frames.info] == list(range(1, len(frames) + 1))
    assert {(i.instance, i.slope, i.intercept, i.energy_window) for i in frames.info} <= {(0, 1, 0, 1), (0, 1, 0, 0)}
    assert "PixelData" not in frames.instances[0].header
    assert frames.instances[0].header.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


def test_whole_body_names_both_detectors(dicom_factory):
    anterior, posterior = read(dicom_factory("whole-body")).info
    assert (anterior.detector, anterior.view, anterior.position_mm) == (1, "anterior", (-128, -200, 900))
    assert (posterior.detector, posterior.view, posterior.position_mm) == (2, "posterior", (128, 200, 900))
    assert anterior.duration_s == posterior.duration_s == 600


@pytest.mark.parametrize("seconds", [("static", 600), ("dynamic", 10), ("gated", 0.1), ("tomo", 20)])
def test_duration_comes_from_where_the_kind_keeps_it(dicom_factory, seconds):
    kind, expected = seconds
    assert {i.duration_s for i in read(dicom_factory(kind)).info} == {expected}


def test_tomographic_projections_have_no_view_but_their_detector(dicom_factory):
    frames = read(dicom_factory("tomo"))
    assert [i.detector for i in frames.info] == [1] * 8 + [2] * 8
    assert {i.view for i in frames.info} == {""}


def test_reconstructed_slices_are_stacked_along_the_normal(dicom_factory):
    positions = np.array([i.position_mm for i in read(dicom_factory("recon-tomo")).info])
    np.testing.assert_allclose(np.diff(positions, axis=0), [[0, 0, 4.8]] * 7)


def test_view_falls_back_to_orientation_then_image_name(dicom_factory):
    oriented = dicom_factory("static", tags={"DetectorInformationSequence": detectors([-1, 0, 0, 0, 0, -1])})
    assert read(oriented).info[0].view == "posterior"
    named = dicom_factory("static", tags={"DetectorInformationSequence": detectors(None), "ImageID": "LAT LT"})
    assert read(named).info[0].view == "left lateral"


def detectors(cosines):
    item = Dataset()
    item.CollimatorType = "PARA"
    if cosines:
        item.ImageOrientationPatient = cosines
    return Sequence([item])


def test_vector_of_wrong_length_is_an_error(dicom_factory):
    paths = dicom_factory("dynamic", frames=6, tags={"DetectorVector": [1, 1, 1]})
    with pytest.raises(InputError, match=r"Detector Vector \(0054,0020\) has 3 values for 6 frames"):
        read(paths)


def test_one_vector_value_stands_for_all_frames(dicom_factory):
    frames = read(dicom_factory("dynamic", tags={"DetectorVector": 1, "PhaseVector": 1}))
    assert {(i.detector, i.duration_s) for i in frames.info} == {(1, 10)}


def test_vector_must_not_point_outside_its_sequence(dicom_factory):
    with pytest.raises(InputError, match="refers to number 3"):
        read(dicom_factory("whole-body", tags={"DetectorVector": [1, 3]}))


@pytest.mark.parametrize(
    ("keyword", "vector"),
    [("PhaseInformationSequence", "PhaseVector"), ("DetectorInformationSequence", "DetectorVector")],
)
def test_long_sequences_take_no_quadratic_time(dicom_factory, keyword, vector):
    n = 8000
    tags = {keyword: [Dataset() for _ in range(n)], vector: list(range(1, n + 1)), "NumberOfFrames": n}
    for other in {"EnergyWindowVector", "DetectorVector", "PhaseVector", "TimeSliceVector"} - {vector}:
        tags[other] = 1
    tags |= {"Rows": 1, "Columns": 1, "PixelData": bytes(2 * n)}
    path = dicom_factory("dynamic", tags=tags)[0]
    start = time.process_time()
    assert len(read(path)) == n
    assert time.process_time() - start < 2  # the square would take over three


def test_real_world_value_mapping_turns_counts_into_activity(dicom_factory):
    code, mapping = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "Bq/ml", "UCUM", "Bq/ml"
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 2.5, 10.0
    mapping.MeasurementUnitsCodeSequence = [code]
    paths = dicom_factory("recon-tomo", tags={"RealWorldValueMappingSequence": [mapping]})
    frames = read(paths)
    assert frames.units is Units.BECQUEREL_PER_ML
    np.testing.assert_allclose(frames.pixels, stored(paths) * 2.5 + 10, rtol=1e-6)


def test_the_mapping_in_known_units_is_taken(dicom_factory):
    mappings = []
    for slope, units in ((7.0, "{propcounts}"), (2.5, "Bq/ml")):
        code, mapping = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = units, "UCUM", units
        mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = slope, 0.0
        mapping.MeasurementUnitsCodeSequence = [code]
        mappings.append(mapping)
    paths = dicom_factory("recon-tomo", tags={"RealWorldValueMappingSequence": mappings})
    assert read(paths).units is Units.BECQUEREL_PER_ML
    np.testing.assert_allclose(read(paths).pixels, stored(paths) * 2.5, rtol=1e-6)


def test_pet_slices_are_rescaled_each_with_its_own_slope(dicom_factory):
    paths = dicom_factory("pet", matrix=(24, 32), frames=7)
    frames = read(paths[0].parent)
    slopes = 40 + 3.5 * np.arange(7)
    assert frames.units is Units.BECQUEREL_PER_ML
    assert [i.slope for i in frames.info] == slopes.tolist()
    assert [i.position_mm[2] for i in frames.info] == [-40 + 5 * i for i in range(7)]
    np.testing.assert_allclose(frames.pixels, stored(paths) * slopes[:, None, None], rtol=1e-6)
    assert [instance.path for instance in frames.instances] == paths
    assert {i.duration_s for i in frames.info} == {120}


@pytest.mark.parametrize(
    ("tags", "units"),
    [
        ({"Units": "CNTS"}, Units.COUNTS),
        ({"Units": "PROPCPS"}, Units.NONE),
        ({"Units": "GML"}, Units.SUV_BODY_WEIGHT),
        ({"Units": "GML", "SUVType": "LBM"}, Units.NONE),
        ({"Units": None}, Units.NONE),
        ({"RescaleSlope": None}, Units.NONE),
    ],
)
def test_pet_units(dicom_factory, tags, units):
    assert read(dicom_factory("pet", frames=1, tags=tags)).units is units


def test_enhanced_pet_reads_functional_groups(dicom_factory):
    paths = dicom_factory("enhanced-pet")
    frames = read(paths)
    slopes = 40 + 3.5 * np.arange(4)
    assert (frames.units, frames.pixel_spacing_mm) == (Units.BECQUEREL_PER_ML, (4.8, 4.0))
    np.testing.assert_allclose(frames.pixels, stored(paths) * slopes[:, None, None], rtol=1e-6)
    assert [i.position_mm for i in frames.info] == [(-120, -140, -40 + 5 * i) for i in range(4)]
    assert {i.duration_s for i in frames.info} == {120}


def test_enhanced_object_needs_one_item_for_each_frame(dicom_factory):
    paths = dicom_factory("enhanced-pet", tags={"PerFrameFunctionalGroupsSequence": [Dataset()]})
    with pytest.raises(InputError, match="has 1 items for 4 frames"):
        read(paths)


def test_ct_is_in_hounsfield_units(dicom_factory):
    paths = dicom_factory("ct")
    frames = read(paths)
    assert (frames.units, frames.modality) == (Units.HOUNSFIELD, "CT")
    np.testing.assert_array_equal(frames.pixels, stored(paths) - 1024.0)


@pytest.mark.parametrize(("kind", "view", "modality"), [("xa", "", "XA"), ("cr", "PA", "CR"), ("dx", "", "DX")])
def test_x_ray_values_stay_as_stored(dicom_factory, kind, view, modality):
    paths = dicom_factory(kind)
    frames = read(paths)
    assert (frames.units, frames.modality, frames.info[0].view) == (Units.NONE, modality, view)
    assert frames.pixel_spacing_mm == (4.8, 4.0)  # Imager Pixel Spacing
    np.testing.assert_array_equal(frames.pixels, stored(paths))


def test_monochrome1_is_never_inverted(dicom_factory):
    plain, inverse = (dicom_factory("static", tags={"PhotometricInterpretation": f"MONOCHROME{i}"}) for i in (2, 1))
    np.testing.assert_array_equal(read(plain).pixels, read(inverse).pixels)


def test_negative_slope_is_applied(dicom_factory):
    paths = dicom_factory("dx", tags={"RescaleSlope": -2, "RescaleIntercept": 5})
    frames = read(paths)
    np.testing.assert_array_equal(frames.pixels, stored(paths) * -2.0 + 5)
    assert (frames.info[0].slope, frames.info[0].intercept) == (-2, 5)


@pytest.mark.parametrize("slope", [0, math.nan])
def test_slope_that_erases_the_image_is_an_error(dicom_factory, slope):
    with pytest.raises(InputError, match=r"Rescale Slope \(0028,1053\)"):
        read(dicom_factory("ct", tags={"RescaleSlope": slope}))


def test_modality_lut_is_applied_and_noted(dicom_factory):
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4096, 0, 16], "US"
    values = (np.arange(4096) * 3 % 65536).astype("<u2")
    table.add_new("LUTData", "OW", values.tobytes())
    paths = dicom_factory("cr", tags={"ModalityLUTSequence": [table]})
    frames = read(paths)
    np.testing.assert_array_equal(frames.pixels, values[stored(paths)])
    assert "Modality LUT" in frames.notes[0]


def test_lossy_source_is_noted(dicom_factory):
    frames = read(dicom_factory("static", tags={"LossyImageCompression": "01"}))
    assert is_lossy(frames.instances[0])
    assert "lossy" in frames.notes[0]
    assert read(dicom_factory("static")).notes == ()


def test_secondary_capture_is_read_as_its_modality():
    frames = read(pydicom.data.get_testdata_file("JPEG2000.dcm", download=False))
    assert (frames.modality, frames.units, frames.matrix) == ("NM", Units.COUNTS, (1024, 256))
    assert frames.instances[0].sop_class_uid == pydicom.uid.SecondaryCaptureImageStorage
    assert frames.notes


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32]).flatmap(
        lambda dtype: arrays(dtype, st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)))
    ),
    slope=st.floats(1e-3, 1e3),
    intercept=st.floats(-1e4, 1e4),
    syntax=st.sampled_from([pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRLittleEndian]),
)
def test_any_stored_values_become_slope_times_value_plus_intercept(dicom_factory, values, slope, intercept, syntax):
    slope, intercept = float(f"{slope:.8g}"), float(f"{intercept:.8g}")
    path = dicom_factory("xa", frames=1, folder="any")[0]
    ds = pydicom.dcmread(path)
    bits = values.dtype.itemsize * 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(values.dtype.kind == "i")
    ds.NumberOfFrames, ds.Rows, ds.Columns = values.shape
    ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
    ds.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(path)
    expected = (values.astype(np.float64) * slope + intercept).astype(np.float32)
    np.testing.assert_allclose(read(path).pixels, expected, rtol=2e-7, atol=1e-6)


def test_enhanced_object_without_real_world_values_uses_pixel_value_transformation(dicom_factory):
    path = dicom_factory("enhanced-pet")[0]
    ds = pydicom.dcmread(path)
    for item in ds.PerFrameFunctionalGroupsSequence:
        del item.RealWorldValueMappingSequence
        item.PixelValueTransformationSequence[0].RescaleType = "HU"
        item.PixelValueTransformationSequence[0].RescaleIntercept = -1024
    ds.Modality = "CT"
    ds.save_as(path)
    frames = read(path)
    slopes = 40 + 3.5 * np.arange(4)
    assert frames.units is Units.HOUNSFIELD
    np.testing.assert_allclose(frames.pixels, stored([path]) * slopes[:, None, None] - 1024, rtol=1e-6)


def test_enhanced_frames_must_share_units_and_spacing(dicom_factory):
    path = dicom_factory("enhanced-pet")[0]
    ds = pydicom.dcmread(path)
    del ds.PerFrameFunctionalGroupsSequence[2].RealWorldValueMappingSequence
    ds.save_as(path)
    with pytest.raises(InputError, match="different units or pixel spacings"):
        read(path)
