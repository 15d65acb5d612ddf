"""Class activation maps as Parametric Maps, read back by highdicom."""

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

import photopeak
from dicom_findings import classified, complaints
from photopeak.engine.analysis.dicom_header import origin_of
from photopeak.engine.analysis.dicom_map import activation_map, has_place
from photopeak.engine.dicom.write import encode


@pytest.fixture(params=["ct", "pet"])
def result(request, dicom_factory):
    return classified(photopeak.read(dicom_factory(request.param, matrix=(48, 64), frames=5)))


@pytest.fixture
def path(result, tmp_path):
    path = tmp_path / "map.dcm"
    path.write_bytes(encode(activation_map(result, origin_of(result))))
    return path


def test_dciodvfy_accepts_the_map(path):
    assert complaints(path) == []


def test_values_are_those_of_the_activation_frame_by_frame(path, result):
    """Each frame of the map names its source and its class; its values are the activation there, to the bit."""
    found = pydicom.dcmread(path)
    pixels = highdicom.imread(path).get_frames(apply_real_world_transform=False)
    sources = [instance.sop_instance_uid for instance in result.reference.instances]
    assert len(pixels) == len(result) * len(result.labels)
    seen = set()
    for values, group in zip(pixels, found.PerFrameFunctionalGroupsSequence, strict=True):
        (image,) = group.DerivationImageSequence[0].SourceImageSequence
        instance = sources.index(image.ReferencedSOPInstanceUID)
        index = [info.instance for info in result.reference.info].index(instance)
        mapping = group.RealWorldValueMappingSequence[0]
        k = result.labels.index(mapping.LUTLabel)
        np.testing.assert_array_equal(values, result.cam[index, k])
        position = group.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(
            position, result.reference.instances[instance].header.ImagePositionPatient, atol=1e-3
        )
        seen.add((index, k))
    assert len(seen) == len(pixels)


def test_values_are_said_to_be_activation_without_a_unit(path):
    mapping = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    (quantity,) = mapping.QuantityDefinitionSequence
    assert quantity.ConceptCodeSequence[0].CodeValue == codes.DCM.GradientWeightedClassActivation.value
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)


def test_a_map_lies_in_the_frame_of_reference_of_its_source(path, result):
    found, source = pydicom.dcmread(path), result.reference.instances[0].header
    assert found.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert found.StudyInstanceUID == source.StudyInstanceUID
    assert found.SeriesInstanceUID != source.SeriesInstanceUID
    assert (found.ContentLabel, found.ContentQualification) == ("CAM", "RESEARCH")


def test_a_map_without_any_activation_is_valid(result, tmp_path):
    from dataclasses import replace

    nothing = replace(result, cam=np.zeros_like(result.cam))
    path = tmp_path / "empty.dcm"
    path.write_bytes(encode(activation_map(nothing, origin_of(nothing))))
    assert complaints(path) == []


@pytest.mark.parametrize("kind", ["static", "whole-body", "cr", "dx", "xa"])
def test_projections_have_no_place(dicom_factory, kind):
    assert not has_place(origin_of(classified(photopeak.read(dicom_factory(kind)))))
