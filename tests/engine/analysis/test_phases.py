import numpy as np
import pytest
from pydicom.dataset import Dataset

from photopeak.engine.analysis.candidates import told_by_words
from photopeak.engine.analysis.phases import Pair, find_pairs
from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.failures import Failure

STUDY = "1.2.3.4"


@pytest.fixture
def phase(dicom_factory):
    """Return ``make(time, description="", kind="static", **choices) -> path`` of an image of one study."""
    made = []

    def make(time, description="", kind="static", tags=None, **choices):
        drug = Dataset()
        drug.Radiopharmaceutical = "Tc-99m sestamibi"
        elements = {
            "StudyInstanceUID": STUDY,
            "SeriesDescription": description,
            "AcquisitionTime": time,
            "RadiopharmaceuticalInformationSequence": [drug],
            **(tags or {}),
        }
        made.append(time)
        (path,) = dicom_factory(
            kind, tags=elements, seed=len(made), folder=choices.pop("folder", f"{len(made)}"), **choices
        )
        return path

    return make


def names(pair):
    assert isinstance(pair, Pair)
    return tuple(one and one.path.name for one in (pair.early, pair.late))


@pytest.mark.parametrize(
    ("words", "phase"),
    [
        ("EARLY", "early"),
        ("MIBI 15 min", "early"),
        ("MIBI_20MIN_ANT", "early"),
        ("immediate", "early"),
        ("Parathyroid delayed", "late"),
        ("wash-out", "late"),
        ("2h", "late"),
        ("1.5 hr", "late"),
        ("0.5 h", "early"),
        ("120 min", "late"),
        ("late 15 min", "late"),
        ("early and late", ""),
        ("50 min", ""),
        ("Parathyroid ANT", ""),
        ("plate", ""),
        ("", ""),
    ],
)
def test_words_tell_phases(words, phase):
    assert told_by_words(words) == phase


def test_files_are_taken_in_the_order_of_the_command_line(phase):
    first, second = phase("100000"), phase("120000")
    (found,) = find_pairs([first, second])
    assert names(found) == (first.name, second.name)
    assert found.notes == ()
    assert list(found.images) == ["early", "late"]


def test_headers_that_contradict_the_order_are_told_of(phase):
    first, second = phase("100000"), phase("120000")
    with pytest.raises(InputError, match="early phase was taken after the late one; give them the other way round"):
        find_pairs([second, first])


def test_descriptions_that_contradict_the_order_are_told_of(phase):
    first, second = phase("100000", "late"), phase("120000", "early")
    with pytest.raises(InputError, match="described as late and early"):
        find_pairs([first, second])


def test_a_folder_is_sorted_by_time(phase):
    late, early = phase("121500", folder="a/x"), phase("100500", folder="a/y")
    (found,) = find_pairs([late.parents[1]])
    assert names(found) == (early.name, late.name)


def test_a_folder_is_sorted_by_words_where_times_are_missing(phase):
    none = {"AcquisitionDate": None, "ContentDate": None, "SeriesDate": None}
    late = phase("", "Delayed", tags=none, folder="a/x")
    early = phase("", "Early", tags=none, folder="a/y")
    (found,) = find_pairs([late.parents[1]])
    assert names(found) == (early.name, late.name)


def test_studies_and_patients_are_never_mixed(phase):
    one = [phase(time, folder=f"a/{time}") for time in ("100000", "120000")]
    other = {"PatientID": "OTHER", "PatientName": "Other", "StudyInstanceUID": "1.2.3.5"}
    two = [phase(time, folder=f"a/2{time}", tags=other) for time in ("090000", "110000")]
    found = find_pairs([one[0].parents[1]])
    assert {names(pair) for pair in found} == {tuple(path.name for path in pair) for pair in (one, two)}
    with pytest.raises(InputError, match="different patients; phases of two patients are never mixed"):
        find_pairs([one[0], two[1]])


@pytest.mark.parametrize("tags", [{"PatientID": "OTHER"}, {"PatientName": "Other"}, {"PatientBirthDate": "19700101"}])
def test_anything_that_tells_patients_apart_counts(phase, tags):
    with pytest.raises(InputError, match="are of different"):
        find_pairs([phase("100000"), phase("120000", tags=tags)])


def test_anonymous_images_need_one_study(phase):
    nobody = {"PatientID": None, "PatientName": None, "PatientBirthDate": None}
    first = phase("100000", tags=nobody)
    (found,) = find_pairs([first, phase("120000", tags=nobody)])
    assert found.early
    with pytest.raises(InputError, match="two studies and do not both name their patient"):
        find_pairs([first, phase("120000", tags=nobody | {"StudyInstanceUID": "1.2.3.9"})])


def test_a_study_of_its_own_for_each_phase_is_remarked(phase):
    (found,) = find_pairs([phase("100000"), phase("120000", tags={"StudyInstanceUID": "1.2.3.9"})])
    assert found.notes == ("The phases are of different studies of one patient.",)


def test_images_of_one_time_are_no_phases(phase):
    with pytest.raises(InputError, match="taken at the same time"):
        find_pairs([phase("100000"), phase("100000")])


def test_one_image_is_not_both_phases(phase):
    path = phase("100000")
    with pytest.raises(UsageError, match="given for both phases"):
        find_pairs([path, path])


def test_other_tracers_are_no_phases(phase):
    drug = Dataset()
    drug.Radiopharmaceutical = "Tc-99m pertechnetate"
    thyroid = phase("100000", tags={"RadiopharmaceuticalInformationSequence": [drug]})
    with pytest.raises(InputError, match="different tracers"):
        find_pairs([thyroid, phase("120000")])


def test_other_fields_of_view_are_no_phases(phase):
    with pytest.raises(InputError, match=r"fields of .* cannot be compared"):
        find_pairs([phase("100000"), phase("120000", spacing_mm=(1.5, 1.5))])


def test_other_matrices_of_one_field_are_phases(phase):
    (found,) = find_pairs([phase("100000"), phase("120000", matrix=(128, 128), spacing_mm=(2.4, 2.0))])
    assert found.late.frames.matrix == (128, 128)


def test_views_from_behind_are_refused(phase):
    behind = Dataset()
    behind.CodeValue, behind.CodingSchemeDesignator, behind.CodeMeaning = "255551008", "SCT", "posterior"
    head = Dataset()
    head.ViewCodeSequence = [behind]
    with pytest.raises(InputError, match="shows the view posterior, the model needs anterior"):
        find_pairs([phase("100000"), phase("120000", tags={"DetectorInformationSequence": [head]})])


def test_of_two_heads_the_anterior_frame_is_taken(phase):
    (found,) = find_pairs([phase("100000", kind="whole-body"), phase("120000", kind="whole-body")])
    assert [len(one.frames) for one in (found.early, found.late)] == [1, 1]
    assert found.early.frames.info[0].view == "anterior"
    assert any("frames of other views (posterior) were left out" in note for note in found.early.frames.notes)


def test_three_images_are_not_clear(phase):
    paths = [phase(time, folder=f"a/{time}") for time in ("100000", "110000", "120000")]
    (found,) = find_pairs([paths[0].parents[1]])
    assert isinstance(found, Failure)
    assert "3 images may be the phases" in str(found.error)
    assert "EARLY LATE" in str(found.error)


def test_other_images_of_a_folder_are_left_out(phase):
    early, late = phase("100000", folder="a/x"), phase("120000", folder="a/y")
    phase("103000", kind="tomo", folder="a/z")
    (found,) = find_pairs([early.parents[1]])
    assert names(found) == (early.name, late.name)


def test_a_projection_that_is_named_is_refused(phase):
    with pytest.raises(InputError, match="images of kind TOMO; give planar images"):
        find_pairs([phase("100000", kind="tomo"), phase("120000")])


@pytest.mark.parametrize(("description", "expected"), [("MIBI 15 min", 0), ("MIBI late", 1)])
def test_one_phase_alone_is_told_by_its_words(phase, description, expected):
    (found,) = find_pairs([phase("100000", description)])
    assert [one is not None for one in (found.early, found.late)] == [expected == 0, expected == 1]


@pytest.mark.parametrize(("start", "expected"), [("094500", "early"), ("080000", "late")])
def test_one_phase_alone_is_told_by_the_time_since_injection(phase, start, expected):
    drug = Dataset()
    drug.RadiopharmaceuticalStartTime = start
    (found,) = find_pairs([phase("100000", tags={"RadiopharmaceuticalInformationSequence": [drug]})])
    assert found.images[expected] is not None


def test_one_phase_that_tells_nothing_is_asked_for(phase):
    path = phase("100000", "MIBI")
    (found,) = find_pairs([path])
    assert "add --phase early or --phase late" in str(found.error)
    (told,) = find_pairs([path], phase="late")
    assert (told.early, told.late.path) == (None, path)


def test_what_a_header_tells_is_not_overruled(phase):
    (found,) = find_pairs([phase("100000", "early")], phase="late")
    assert "is the early phase, as its header tells" in str(found.error)


def test_a_phase_that_is_none_is_refused(phase):
    with pytest.raises(UsageError, match="'middle' is no phase"):
        find_pairs([phase("100000")], phase="middle")


def dynamic(delays_min):
    """Return the elements of a dynamic study of one frame for each phase."""
    phases = []
    for delay in delays_min:
        one = Dataset()
        one.PhaseDelay, one.ActualFrameDuration, one.PauseBetweenFrames, one.NumberOfFramesInPhase = (
            delay * 60_000,
            600_000,
            0,
            1,
        )
        phases.append(one)
    return {
        "PhaseInformationSequence": phases,
        "PhaseVector": [*range(1, len(phases) + 1)],
        "NumberOfPhases": len(phases),
    }


def test_one_file_may_hold_both_phases(phase):
    path = phase("100000", kind="dynamic", frames=2, tags=dynamic([0, 95]))
    (found,) = find_pairs([path])
    assert [one.frames.info[0].number for one in (found.early, found.late)] == [1, 2]
    assert (found.late.when - found.early.when).total_seconds() == 60 * 105
    assert str(found) == f"{path.name}@1 and {path.name}@2"


def test_frames_that_tell_nothing_are_taken_in_order(phase):
    path = phase("100000", frames=2)
    (found,) = find_pairs([path])
    assert [one.frames.info[0].number for one in (found.early, found.late)] == [1, 2]
    assert any("does not say its phases" in note for note in found.notes)


def test_frames_can_be_named(phase):
    path = phase("100000", frames=3)
    (found,) = find_pairs([f"{path}@1,3"])
    assert [one.frames.info[0].number for one in (found.early, found.late)] == [1, 3]
    with pytest.raises(UsageError, match="has no frame 9"):
        find_pairs([f"{path}@9"])


@pytest.mark.parametrize("description", ["", "early and late"])
def test_frames_of_one_object_that_has_one_time_can_be_named_apart(phase, description):
    path = phase("100000", description, frames=2)
    for inputs in ([path], [f"{path}@1", f"{path}@2"]):
        (found,) = find_pairs(inputs)
        assert str(found) == f"{path.name}@1 and {path.name}@2"
        assert [found.images[name].info[0].number for name in ("early", "late")] == [1, 2]


def test_two_images_of_one_phase_are_no_pair(phase):
    """Two fields of a late acquisition, say of neck and chest, would pass for early and late."""
    path = phase("120000", "MIBI delayed", frames=2)
    for inputs in ([f"{path}@1", f"{path}@2"], [phase("120000", "late"), phase("130000", "late")]):
        with pytest.raises(InputError, match="are both the late phase, as their headers tell"):
            find_pairs(inputs)


def test_phases_too_close_in_time_are_remarked(phase):
    (found,) = find_pairs([phase("100000"), phase("100500")])
    assert found.notes == ("The phases are 5 min apart; 90 to 180 min are usual.",)


def save(folder, name, seed=0):
    np.save(folder / name, np.random.default_rng(seed).poisson(9, (32, 32)))
    return folder / name


def test_arrays_are_taken_in_order_or_by_name(tmp_path):
    late, early = save(tmp_path, "neck_late.npy"), save(tmp_path, "neck_early.npy", 1)
    (found,) = find_pairs([tmp_path], pixel_mm=2.4)
    assert names(found) == (early.name, late.name)
    assert found.early.frames.pixel_spacing_mm == (2.4, 2.4)
    (named,) = find_pairs([early, late])
    assert "the order of the files was taken" in named.notes[0]


def test_arrays_without_a_hint_are_not_clear(tmp_path):
    save(tmp_path, "a.npy"), save(tmp_path, "b.npy", 1)
    (found,) = find_pairs([tmp_path])
    assert "nothing tells which is early and which late" in str(found.error)


def test_an_image_with_a_patient_does_not_go_with_one_without(phase, tmp_path):
    with pytest.raises(InputError, match="only one of them names its patient"):
        find_pairs([phase("100000"), save(tmp_path, "late.npy")])


@pytest.mark.parametrize("pixel_mm", [0.0, -1.0, float("nan")])
def test_lengths_that_are_none_are_refused(tmp_path, pixel_mm):
    with pytest.raises(UsageError, match=r"--pixel-mm .* is no length"):
        find_pairs([save(tmp_path, "early.npy")], pixel_mm=pixel_mm)


def test_a_spacing_that_overrules_the_header_is_remarked(phase):
    (found,) = find_pairs([phase("100000", "early")], pixel_mm=2.0)
    assert found.early.frames.pixel_spacing_mm == (2.0, 2.0)
    assert any("the header says 4.8 x 4 mm" in note for note in found.early.frames.notes)


def test_a_phase_is_for_one_image_alone(phase):
    with pytest.raises(UsageError, match="--phase late is for one image alone"):
        find_pairs([phase("100000"), phase("120000")], phase="late")
