"""Structured reports of findings before dciodvfy, highdicom and DCMTK, and against what went into them."""

import re
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.sr import CodedConcept
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.codedict import codes

import photopeak
from dicom_findings import OUTSIDE, classified, complaints, detected, tool
from photopeak.engine.analysis import dicom_codes
from photopeak.engine.analysis.dicom_codes import CONCEPTS, PRIVATE_SCHEME, private_code
from photopeak.engine.analysis.dicom_header import origin_of
from photopeak.engine.analysis.dicom_report import findings_report
from photopeak.engine.analysis.regions import RegionShare
from photopeak.engine.dicom.write import encode
from photopeak.engine.errors import InputError


@pytest.fixture
def found(dicom_factory):
    return detected(dicom_factory)


@pytest.fixture
def save(tmp_path):
    """Return ``save(result, regions=()) -> path`` of the report of a result."""

    def run(result, regions=()):
        path = tmp_path / "report.dcm"
        path.write_bytes(encode(findings_report(result, origin_of(result), regions)))
        return path

    return run


def lesions(path):
    return highdicom.sr.srread(path).content.get_planar_roi_measurement_groups()


def frames_of(path):
    return highdicom.sr.srread(path).content.get_image_measurement_groups()


def numbers(group):
    return {one.name.meaning: one.value for one in group.get_measurements()}


def statements(group):
    return {one.name.meaning: one.value.meaning for one in group.get_qualitative_evaluations()}


def walk(item):
    yield item
    for child in item.get("ContentSequence", ()):
        yield from walk(child)


@pytest.mark.parametrize("kind", ["static", "whole-body", "cr", "dx", "xa", "ct"])
def test_dciodvfy_accepts_the_report_on_every_kind_of_image(dicom_factory, save, kind):
    result = classified(photopeak.read(dicom_factory(kind, matrix=(48, 64))))
    table = [(RegionShare(1, "left lung", 0.3, 0.2), RegionShare(0, "elsewhere", 0.7, 0.8))] * len(result)
    assert complaints(save(result, table)) == []


def test_dciodvfy_accepts_the_report_of_a_detector(found, save):
    assert complaints(save(found)) == []


def test_lesions_are_where_and_what_they_were(found, save):
    groups = lesions(save(found))
    assert len(groups) == 2
    late = found.sources[1].instances[0]
    for group, lesion in zip(groups, found.detections[0], strict=True):
        row0, column0, row1, column1 = lesion.box
        outline = [(column0, row0), (column1, row0), (column1, row1), (column0, row1), (column0, row0)]
        assert group.roi.graphic_type.value == "POLYLINE"
        np.testing.assert_allclose(group.roi.value, outline)
        (image,) = [one for one in walk(group[0]) if one.ValueType == "IMAGE"]
        assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == late.sop_instance_uid
        values = numbers(group)
        assert values["Probability"] == pytest.approx(lesion.score)
        assert values["Diameter"] == pytest.approx(lesion.diameter_mm)
        assert values["Distance of the centre from the upper edge"] == pytest.approx(lesion.centre_mm[0])
        assert values["Distance of the centre from the left edge"] == pytest.approx(lesion.centre_mm[1])
        assert group.finding_type.meaning == "Adenoma"
        assert statements(group)["Validity"] != CONCEPTS["not valid"][2]
    assert len({group.tracking_uid for group in groups}) == 2


def test_the_model_is_identified_to_the_bit(found, save):
    for group in [*lesions(save(found)), *frames_of(save(found))]:
        told = {item.name.meaning: item for item in group[0].ContentSequence if item.ValueType == "TEXT"}
        assert told["Algorithm Name"].value == "finder"
        assert told["Algorithm Version"].value == "1.0.0"
        parameters = [item.value for item in group[0].ContentSequence if item.name == codes.DCM.AlgorithmParameters]
        assert f"SHA-256 of the model: {'ab' * 32}" in parameters
        assert "threshold: 0.5" in parameters


def test_both_phases_are_in_the_library_and_in_the_evidence(found, save):
    path = save(found)
    report = pydicom.dcmread(path)
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    referred = [
        (s.SeriesInstanceUID, o.ReferencedSOPInstanceUID)
        for s in study.ReferencedSeriesSequence
        for o in s.ReferencedSOPSequence
    ]
    headers = [source.instances[0].header for source in found.sources]
    assert sorted(referred) == sorted((ds.SeriesInstanceUID, ds.SOPInstanceUID) for ds in headers)
    (library,) = [i for i in report.ContentSequence if i.ConceptNameCodeSequence[0].CodeMeaning == "Image Library"]
    phases = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID: [
            c.TextValue for c in item.ContentSequence if "TextValue" in c
        ]
        for item in walk(library)
        if item.ValueType == "IMAGE"
    }
    assert phases == {headers[0].SOPInstanceUID: ["early"], headers[1].SOPInstanceUID: ["late"]}


def test_a_report_claims_no_more_than_it_may(found, save):
    report = pydicom.dcmread(save(found))
    assert (report.VerificationFlag, report.CompletionFlag, report.PreliminaryFlag) == (
        "UNVERIFIED",
        "COMPLETE",
        "PRELIMINARY",
    )
    assert "VerifyingObserverSequence" not in report
    assert report.Manufacturer == "Photopeak"
    assert list(report.ReferencedPerformedProcedureStepSequence) == []
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_a_report_belongs_to_the_patient_and_study_in_a_series_of_its_own(found, save):
    report, source = pydicom.dcmread(save(found)), found.sources[1].instances[0].header
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "AccessionNumber", "StudyDate"):
        assert report[keyword].value == source[keyword].value
    assert report.SeriesInstanceUID not in [one.instances[0].header.SeriesInstanceUID for one in found.sources]


def test_outside_the_domain_every_group_says_so_first(found, save):
    path = save(replace(found, domains=(OUTSIDE,)))
    groups = [*lesions(path), *frames_of(path)]
    assert len(groups) == 3
    for group in groups:
        first = group[0].ContentSequence[0]
        assert first.value.startswith("NOT VALID FOR THIS IMAGE: ")
        assert statements(group)["Validity"] == "not valid for this image"
        assert statements(group)["Training domain"] == "outside the training domain"
    report = pydicom.dcmread(path)
    assert "NOT VALID" in report.SeriesDescription
    assert any("unusually low" in item.get("TextValue", "") for item in walk(report))


def test_only_the_frame_that_lies_outside_is_called_so(dicom_factory, save):
    result = classified(photopeak.read(dicom_factory("whole-body", matrix=(64, 32))))
    path = save(replace(result, domains=(result.domains[0], OUTSIDE)))
    said = [statements(group)["Validity"] for group in frames_of(path)]
    assert said == [CONCEPTS["valid"][2], "not valid for this image"]


def test_no_findings_are_told_in_words(found, save):
    path = save(replace(found, detections=((),)))
    assert lesions(path) == []
    (group,) = frames_of(path)
    assert group.finding_type.meaning == "No finding at or above the threshold"
    assert numbers(group)["Number of lesions"] == 0
    assert complaints(path) == []


def test_probabilities_of_all_classes_are_told_for_each_frame(dicom_factory, save):
    result = classified(photopeak.read(dicom_factory("whole-body", matrix=(64, 32))), name="bone-classify")
    groups = frames_of(save(result))
    assert len(groups) == 2
    for index, group in enumerate(groups):
        values = numbers(group)
        for label, probability in zip(result.labels, result.probabilities[index], strict=True):
            assert values[f"Probability of {label}"] == pytest.approx(probability, rel=1e-5)
        assert values["Probability"] == pytest.approx(result.probabilities[index].max(), rel=1e-5)
        assert group.finding_sites[0].value == codes.SCT.Rib
        (image,) = group.source_images
        assert image.referenced_frame_numbers == [index + 1]


def test_a_projection_is_a_property_of_the_image_and_no_finding(dicom_factory, save):
    result = replace(classified(photopeak.read(dicom_factory("cr")), ("AP", "PA"), "cxr-view"), threshold=0.5)
    (group,) = frames_of(save(result))
    said = ("antero-posterior", "postero-anterior")[result.found(0)[0]]
    assert statements(group)["Image View"] == said
    assert group.finding_type is None


@pytest.mark.parametrize(
    ("probabilities", "threshold", "finding"),
    [
        ((0.3, 0.1, 0.6), 0.69, "Bony metastasis"),
        ((0.3, 0.1, 0.6), 0.71, "Normal"),
        ((0.4, 0.25, 0.35), 0.5, "Bony metastasis"),  # neither alone reaches the threshold, both together do
        ((0.45, 0.25, 0.3), 0.6, "Normal"),
    ],
)
def test_the_report_finds_what_the_result_finds(dicom_factory, save, probabilities, threshold, finding):
    result = classified(photopeak.read(dicom_factory("static")))
    result = replace(result, probabilities=np.array([probabilities]), threshold=threshold)
    (group,) = frames_of(save(result))
    assert group.finding_type.meaning == finding
    assert numbers(group)["Probability"] == pytest.approx(result.found()[1])
    assert numbers(group)["Probability of metastasis"] == pytest.approx(probabilities[2])


def test_the_table_of_regions_is_told_in_percent_without_what_is_unknown(dicom_factory, save):
    result = classified(photopeak.read(dicom_factory("cr")))
    table = (RegionShare(1, "left lung", 0.25, 0.2), RegionShare(2, "heart", float("nan"), 0.1))
    (group,) = frames_of(save(result, [table]))
    assert numbers(group)["Share of activation in left lung"] == pytest.approx(25)
    assert not any("heart" in name for name in numbers(group))


def test_regions_lie_in_the_patient_where_the_image_does(dicom_factory, found, save):
    frames = photopeak.read(dicom_factory("ct", matrix=(64, 48)))
    n = len(frames)
    lesion = replace(found.detections[0][0], box=(10.0, 20.0, 14.0, 30.0))
    result = replace(classified(frames), probabilities=None, detections=(*((),) * (n - 1), (lesion,)), channels=())
    (group,) = lesions(save(result))
    header = frames.instances[frames.info[n - 1].instance].header
    assert group.roi.frame_of_reference_uid == header.FrameOfReferenceUID
    there = highdicom.spatial.ImageToReferenceTransformer(
        header.ImagePositionPatient, header.ImageOrientationPatient, header.PixelSpacing
    )
    outline = np.array([(20.0, 10.0), (30.0, 10.0), (30.0, 14.0), (20.0, 14.0), (20.0, 10.0)])
    np.testing.assert_allclose(group.roi.value, there(outline), atol=1e-4)


def test_an_outline_ends_where_the_image_does(found, save):
    lesion = replace(found.detections[0][0], box=(-3.0, -2.0, 140.0, 5.5))
    (group,) = lesions(save(replace(found, detections=((lesion,),))))
    np.testing.assert_allclose(group.roi.value, [(0, 0), (5.5, 0), (5.5, 128), (0, 128), (0, 0)])


def test_frames_of_one_object_have_no_plane_in_common(dicom_factory, found, save):
    """A position in the header of many frames would be that of the first, at most."""
    place = {
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 0, -1],
        "FrameOfReferenceUID": "1.2.5",
    }
    frames = photopeak.read(dicom_factory("whole-body", matrix=(64, 32), tags=place))
    result = replace(classified(frames), probabilities=None, detections=(found.detections[0][:1],) * 2)
    for number, group in enumerate(lesions(save(result)), start=1):
        assert group.roi.graphic_type.value == "POLYLINE"
        (image,) = [one for one in walk(group[0]) if one.ValueType == "IMAGE"]
        assert image.ReferencedSOPSequence[0].ReferencedFrameNumber == number


def test_warnings_are_comments(found, save):
    report = pydicom.dcmread(save(replace(found, warnings=("Only the late phase is there.",))))
    comments = [
        item.TextValue
        for item in walk(report)
        if item.get("ConceptNameCodeSequence", [{}])[0].get("CodeValue") == "121106"
    ]
    assert comments == ["Only the late phase is there."]


def test_one_phase_alone_is_one_image(found, save):
    path = save(replace(found, sources=(None, found.sources[1])))
    assert len(highdicom.sr.srread(path).get_evidence()) == 1
    assert complaints(path) == []


def test_phases_of_two_studies_are_evidence_of_both(dicom_factory, save):
    path = save(detected(dicom_factory, early={"StudyInstanceUID": "1.2.4"}))
    report = pydicom.dcmread(path)
    assert report.StudyInstanceUID == "1.2.3"
    assert [study.StudyInstanceUID for study in report.PertinentOtherEvidenceSequence] == ["1.2.4"]
    assert complaints(path) == []


def test_phases_of_two_patients_are_refused(dicom_factory):
    with pytest.raises(InputError, match="different patients"):
        origin_of(detected(dicom_factory, early={"PatientID": "A"}, late={"PatientID": "B"}))


def test_headers_may_lack_what_may_be_empty(dicom_factory, save):
    lacking = (
        "PatientName PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber ReferringPhysicianName"
    )
    nothing = dict.fromkeys(lacking.split())
    path = save(detected(dicom_factory, early=nothing, late=nothing))
    assert [line for line in complaints(path) if "would be needed to build DICOMDIR" not in line] == []
    assert not pydicom.dcmread(path).PatientName


def test_uids_with_leading_zeros_are_kept_as_they_are(found, save):
    header = found.sources[1].instances[0].header
    with pytest.warns(UserWarning, match="Invalid value"):
        header.SOPInstanceUID = "1.2.03.4"
    with pytest.warns(UserWarning, match="Invalid value"):
        path = save(found)
    with pytest.warns(UserWarning, match="Invalid value"):
        referred = {str(entry[2]) for entry in highdicom.sr.srread(path).get_evidence()}
    assert "1.2.03.4" in referred


def test_dcmtk_reads_every_item(found, save):
    path = save(replace(found, domains=(OUTSIDE,)))
    dump = tool("dsrdump", "--print-all-codes", "--print-long-values", path)
    assert dump.returncode == 0, dump.stderr
    assert dump.stdout.count("NOT VALID FOR THIS IMAGE: ") == 3
    assert 'NUM:(122157,DCM,"Probability")="0.91"' in dump.stdout
    assert "(POLYLINE,60/48,70/48,70/56,60/56,60/48)" in dump.stdout


def test_readers_show_names_beside_values(found, save):
    """Of containers of prose they show values alone, so that nobody knows what a number is."""
    page = tool("dsr2html", save(found))
    assert page.returncode == 0, page.stderr
    shown = " ".join(re.sub("<[^>]+>", " ", page.stdout).split())
    assert "Probability: 0.91" in shown


def test_codes_of_our_own_are_declared_and_fit(found, save):
    report = pydicom.dcmread(save(found))
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == PRIVATE_SCHEME
    own = [
        c
        for item in walk(report)
        for c in item.get("ConceptNameCodeSequence", ())
        if c.CodingSchemeDesignator == PRIVATE_SCHEME
    ]
    assert own
    assert all(len(c.CodeValue) <= 16 and len(c.CodeMeaning) <= 64 for c in own)


def test_standard_codes_are_those_of_the_standard():
    """Every code of another scheme is in pydicom's tables of PS3.16, or what highdicom calls a time point (TID 1502)."""
    (phase,) = highdicom.sr.TimePointContext(time_point="late")
    tables = (dicom_codes._LABELS, dicom_codes._VIEWS, dicom_codes._SITES, dicom_codes.PROCEDURES, CONCEPTS)
    known = {scheme: {value for named in table.values() for value in named} for scheme, table in concepts.items()}
    known["UMLS"].add(phase.name.value)
    for code in (code for table in tables for code in table.values()):
        if code[1] not in (PRIVATE_SCHEME, "UCUM"):
            assert code[0] in known[code[1]], code


def test_codes_of_long_names_do_not_collide():
    names = [f"Share of activation in the lung {i}" for i in range(500)]
    values = {private_code(name)[0] for name in names}
    assert len(values) == 500
    assert max(map(len, values)) <= 16
    assert CodedConcept(*private_code(names[0])).meaning == names[0]
