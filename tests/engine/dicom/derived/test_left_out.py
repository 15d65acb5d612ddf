"""What derived objects leave out, and rare headers, read back by Photopeak and, independently, by pydicom alone."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

import photopeak
from dicom_objects.physical import stored_step, values
from photopeak.engine.dicom.derived.values import unit_mapping
from photopeak.engine.frames import Units

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")


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
