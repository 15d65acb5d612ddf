"""All DICOM objects of findings, or none."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

import known_findings
import photopeak
from dicom_findings import OUTSIDE, classified, complaints, detected
from photopeak.engine import writing
from photopeak.engine.analysis.dicom_files import why_no_dicom, write_findings
from photopeak.engine.analysis.overlay import OverlayStyle, overlay
from photopeak.engine.analysis.regions import RegionShare
from photopeak.engine.errors import InputError


@pytest.fixture
def found(dicom_factory):
    return detected(dicom_factory)


def classes(paths):
    return [pydicom.dcmread(path).SOPClassUID.name.removesuffix(" Storage") for path in paths]


def test_a_detector_gives_a_report_boxes_on_both_phases_and_the_evidence(found, tmp_path):
    paths = write_findings(found, tmp_path / "out")
    assert [path.name for path in paths] == [
        f"image_finder_{name}.dcm" for name in ("report", "overlay_1", "overlay_2", "cam")
    ]
    assert classes(paths) == ["Comprehensive 3D SR", *["Secondary Capture Image"] * 3]
    assert [line for path in paths for line in complaints(path)] == []


def test_a_classifier_gives_the_evidence_for_each_class_the_most_probable_first(dicom_factory, tmp_path):
    result = classified(photopeak.read(dicom_factory("whole-body", matrix=(128, 64))))
    _, *pictures = write_findings(result, tmp_path)
    assert [path.name for path in pictures] == [f"image_finder_cam_{n}.dcm" for n in range(1, 7)]
    said = [pydicom.dcmread(path).DerivationDescription for path in pictures]
    for index in (0, 1):
        order = np.argsort(-result.probabilities[index])
        for rank, k in enumerate(order):
            assert f"evidence for {result.labels[k]}: probability" in said[3 * index + rank]


def test_images_with_a_place_in_the_patient_give_a_map_too(dicom_factory, tmp_path):
    result = classified(photopeak.read(dicom_factory("ct", matrix=(48, 64), frames=2)))
    *_, last = write_findings(result, tmp_path)
    assert last.name.endswith("_finder_map.dcm")
    assert classes([last]) == ["Parametric Map"]


def test_objects_have_uids_of_their_own_and_one_series_for_each_kind(found, tmp_path):
    objects = [pydicom.dcmread(path) for path in (*write_findings(found, tmp_path), *write_findings(found, tmp_path))]
    assert len({ds.SOPInstanceUID for ds in objects}) == 8
    assert len({ds.SeriesInstanceUID for ds in objects}) == 6
    assert {ds.StudyInstanceUID for ds in objects} == {"1.2.3"}
    assert objects[1].SeriesInstanceUID == objects[2].SeriesInstanceUID != objects[3].SeriesInstanceUID
    assert [ds.InstanceNumber for ds in objects[1:4]] == [1, 2, 1]
    assert len({ds.SeriesNumber for ds in objects[:4]}) == 3


def test_what_is_there_is_never_overwritten_and_sources_are_left_alone(found, tmp_path):
    sources = [source.instances[0].path for source in found.sources]
    before = [hashlib.sha256(path.read_bytes()).digest() for path in sources]
    first = write_findings(found, tmp_path / "out")
    contents = [path.read_bytes() for path in first]
    second = write_findings(found, tmp_path / "out")
    assert not {*first} & {*second}
    assert [path.read_bytes() for path in first] == contents
    assert [hashlib.sha256(path.read_bytes()).digest() for path in sources] == before


def test_without_a_header_there_are_no_objects_and_a_sentence_says_why(tmp_path):
    result = known_findings.detected()
    assert write_findings(result, tmp_path / "out") == ()
    assert not (tmp_path / "out").exists()
    said = why_no_dicom(result)
    assert (
        said
        == "neck.npy and neck.npy have no DICOM headers: no DICOM objects are written, since nothing says whose findings these are."
    )


def test_one_phase_without_a_header_is_enough_to_write_none(found, tmp_path):
    mixed = replace(found, sources=(known_findings.detected().sources[0], found.sources[1]))
    assert write_findings(mixed, tmp_path / "out") == ()
    assert why_no_dicom(mixed).startswith("neck.npy has no DICOM header:")
    assert why_no_dicom(found) is None


def test_outside_the_domain_every_object_says_so(found, tmp_path):
    paths = write_findings(replace(found, domains=(OUTSIDE,)), tmp_path)
    for path in paths:
        assert "NOT VALID" in pydicom.dcmread(path).SeriesDescription
        assert complaints(path) == []


def test_notice_is_burned_into_pictures_of_what_is_not_valid(found, tmp_path):
    plain, told = (
        pydicom.dcmread(write_findings(one, tmp_path)[1]).pixel_array
        for one in (found, replace(found, domains=(OUTSIDE,)))
    )
    red = (told[..., 0] > 150) & (told[..., 1:] < 60).all(axis=-1)
    assert red[:20].mean() > 0.5
    assert not ((plain[..., 0] > 150) & (plain[..., 1:] < 60).all(axis=-1)).any()


def test_no_findings_give_objects_too(found, tmp_path):
    paths = write_findings(replace(found, detections=((),)), tmp_path)
    assert len(paths) == 4
    assert "adenoma: none at or above 0.5" in pydicom.dcmread(paths[1]).DerivationDescription


def test_the_table_of_regions_goes_into_the_report(dicom_factory, tmp_path):
    result = classified(photopeak.read(dicom_factory("cr")))
    report, *_ = write_findings(result, tmp_path, [(RegionShare(1, "left lung", 0.25, 0.2),)])
    assert b"Share of activation in left lung" in report.read_bytes()


def test_nothing_is_left_when_a_file_cannot_be_written(found, tmp_path, monkeypatch):
    write = writing._write_new

    def full(folder, stem, suffix, save):
        if "overlay_2" in stem:
            raise OSError(28, "No space left on device")
        return write(folder, stem, suffix, save)

    monkeypatch.setattr(writing, "_write_new", full)
    with pytest.raises(InputError, match="No space left"):
        write_findings(found, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused(found, tmp_path):
    target = tmp_path / "taken"
    target.write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_findings(found, target)


def test_phases_of_two_patients_leave_nothing_behind(dicom_factory, tmp_path):
    found = detected(dicom_factory, early={"PatientID": "A"}, late={"PatientID": "B"})
    with pytest.raises(InputError, match="different patients"):
        write_findings(found, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_header_without_a_uid_is_named(found, tmp_path):
    instance = found.sources[1].instances[0]
    del instance.header.SeriesInstanceUID
    with pytest.raises(InputError, match=f"{instance.path.name}.*SeriesInstanceUID is missing"):
        write_findings(found, tmp_path / "out")


def test_names_of_files_hold_nothing_that_a_header_chose(dicom_factory, found, tmp_path):
    strange = replace(found.sources[1], source="../../a b\n;c.dcm")
    paths = write_findings(replace(found, sources=(found.sources[0], strange)), tmp_path / "out")
    assert {path.parent for path in paths} == {tmp_path / "out"}
    assert all(Path(path.name).name == path.name and " " not in path.name for path in paths)


def test_texts_of_all_alphabets_are_kept(dicom_factory, tmp_path):
    """The source's character set need not hold what a report says, nor the other way round."""
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    tags = {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": name}
    result = replace(detected(dicom_factory, early=tags, late=tags), warnings=("Größe: 5 µm.",))
    paths = write_findings(result, tmp_path)
    for path in paths:
        assert str(pydicom.dcmread(path).PatientName) == name
        assert complaints(path) == []
    assert "Größe: 5 µm.".encode() in paths[0].read_bytes()
    assert "Größe" in pydicom.dcmread(paths[1]).ImageComments


def test_boxes_are_drawn_on_the_phase_that_the_picture_names(found, tmp_path):
    late, early = (pydicom.dcmread(path) for path in write_findings(found, tmp_path)[1:3])
    for ds, channel in ((late, 1), (early, 0)):
        picture = overlay(found, channel=channel, style=OverlayStyle(evidence=False))
        np.testing.assert_array_equal(ds.pixel_array[: len(picture)], picture)
        source = found.sources[channel].instances[0].sop_instance_uid
        assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == source
