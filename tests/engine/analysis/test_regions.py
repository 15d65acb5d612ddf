import json

import nibabel
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.engine.analysis.regions import LabelMap, read_labels, shares
from photopeak.engine.errors import InputError


@given(seed=st.integers(0, 99))
def test_energies_and_areas_are_shares_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    cam, labels = rng.gamma(1, size=(12, 9)).astype(np.float32), rng.integers(0, 5, (12, 9))
    rows = shares(cam, LabelMap(labels, {}))
    assert sum(row.energy for row in rows) == pytest.approx(1)
    assert sum(row.area for row in rows) == pytest.approx(1)
    for row in rows:
        assert row.energy == pytest.approx(cam[labels == row.label].sum() / cam.sum(), rel=1e-5)


def test_no_evidence_has_no_place():
    rows = shares(np.zeros((4, 4)), LabelMap(np.eye(4, dtype=int), {1: "diagonal"}))
    assert [row.name for row in rows] == ["elsewhere", "diagonal"]
    assert all(np.isnan(row.energy) for row in rows)


def test_another_matrix_is_refused():
    with pytest.raises(InputError, match=r"map\.npy: labels 8x8, the image is 4x4"):
        shares(np.zeros((4, 4)), LabelMap(np.zeros((8, 8), int), {}, "map.npy"))


def test_arrays_have_their_names_beside_them(tmp_path):
    labels = np.arange(12).reshape(3, 4) % 3
    np.save(tmp_path / "map.npy", labels.astype(np.uint8))
    (tmp_path / "map.json").write_text(json.dumps({"1": "heart", "2": "lung"}))
    found = read_labels(tmp_path / "map.npy")
    np.testing.assert_array_equal(found.labels, labels)
    assert found.names == {1: "heart", 2: "lung"}


def test_nifti_label_maps_lie_as_images_do(tmp_path):
    labels = np.arange(12).reshape(3, 4) % 3
    nibabel.save(nibabel.Nifti1Image(labels.T[..., None].astype(np.int16), np.eye(4)), tmp_path / "map.nii.gz")
    (tmp_path / "map.json").write_text('{"1": "heart"}')
    found = read_labels(tmp_path / "map.nii.gz")
    np.testing.assert_array_equal(found.labels, labels)
    assert found.names == {1: "heart"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full((4, 4), 0.5), "is no label map"),
        (np.full((4, 4), np.nan), "is no label map"),
        (np.zeros((2, 4, 4)), "is no label map"),
        (np.full((4, 4), -1), "labels reach from -1"),
        (np.full((4, 4), 256), "to 256"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, values, said):
    np.save(tmp_path / "map.npy", values)
    with pytest.raises(InputError, match=said):
        read_labels(tmp_path / "map.npy")


@pytest.mark.parametrize("names", ["[1, 2]", '{"heart": 1}', "{"])
def test_names_that_are_none_are_refused(tmp_path, names):
    np.save(tmp_path / "map.npy", np.zeros((4, 4), np.uint8))
    (tmp_path / "map.json").write_text(names)
    with pytest.raises(InputError, match=r"map\.json: holds no names of regions"):
        read_labels(tmp_path / "map.npy")


def test_an_image_is_no_segmentation(dicom_factory):
    with pytest.raises(InputError, match="no binary DICOM Segmentation"):
        read_labels(dicom_factory("cr")[0])


@pytest.fixture
def segmentation(dicom_factory, tmp_path):
    """Return a function that writes a Segmentation of a radiograph by highdicom."""
    import highdicom
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    def write(masks, names):
        source = pydicom.dcmread(dicom_factory("ct", frames=1, matrix=masks[0].shape)[0])
        method = highdicom.AlgorithmIdentificationSequence("test", codes.DCM.ArtificialIntelligence, "1")
        described = [
            SegmentDescription(k, name, codes.SCT.Tissue, codes.SCT.Heart, "AUTOMATIC", method)
            for k, name in enumerate(names, start=1)
        ]
        pixels = np.stack(masks, axis=-1)[np.newaxis].astype(np.uint8)
        arguments = dict.fromkeys(
            ("manufacturer", "manufacturer_model_name", "software_versions", "device_serial_number"), "t"
        )
        found = Segmentation(
            [source],
            pixels,
            "BINARY",
            described,
            pydicom.uid.generate_uid(),
            1,
            pydicom.uid.generate_uid(),
            1,
            **arguments,
        )
        found.save_as(tmp_path / "regions.dcm")
        return tmp_path / "regions.dcm"

    return write


def test_segmentations_name_their_regions(segmentation):
    masks = np.zeros((2, 32, 48), bool)
    masks[0, 3:9, 5:20], masks[1, 20:30, 30:40] = True, True
    found = read_labels(segmentation(masks, ["heart", "lung"]))
    np.testing.assert_array_equal(found.labels, masks[0] + 2 * masks[1])
    assert found.names == {1: "heart", 2: "lung"}


def test_a_deflated_segmentation_is_refused_before_it_is_inflated(segmentation):
    """A megabyte of it may become gigabytes, and pydicom knows no bound."""
    path = segmentation(np.ones((1, 32, 48), bool), ["heart"])
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    with pytest.raises(InputError, match=r"regions\.dcm: is deflated"):
        read_labels(path)


@pytest.mark.parametrize(
    ("names", "said"),
    [('{"1": ' + "[" * 200_000 + "]" * 200_000 + "}", "holds no names"), (" " * (2 << 20), "over the limit")],
)
def test_names_that_cost_too_much_are_refused(tmp_path, names, said):
    np.save(tmp_path / "map.npy", np.ones((4, 4), np.uint8))
    (tmp_path / "map.json").write_text(names)
    with pytest.raises(InputError, match=said):
        read_labels(tmp_path / "map.npy")


def test_a_region_without_a_word_is_called_by_its_number(tmp_path):
    np.save(tmp_path / "map.npy", np.ones((4, 4), np.uint8))
    (tmp_path / "map.json").write_text('{"1": " "}')
    (row,) = shares(np.ones((4, 4)), read_labels(tmp_path / "map.npy"))
    assert row.name == "region 1"


def test_segments_that_overlap_are_refused(segmentation):
    masks = np.zeros((2, 32, 48), bool)
    masks[:, 3:9, 5:20] = True
    with pytest.raises(InputError, match="overlap"):
        read_labels(segmentation(masks, ["heart", "lung"]))
