"""Volumes, segmentations and surfaces as DICOM, before dciodvfy, pydicom, highdicom and our own reader."""

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

import photopeak
from photopeak.engine.dicom.write import encode
from photopeak.engine.errors import InputError
from photopeak.engine.reconstruction.dicom_angiography import angiographic_volume
from photopeak.engine.reconstruction.dicom_header import origin_of
from photopeak.engine.reconstruction.dicom_mesh import encapsulated_stl
from photopeak.engine.reconstruction.dicom_segmentation import segmentation
from photopeak.engine.reconstruction.dicom_volume import nuclear_volume
from photopeak.engine.reconstruction.meshes import isosurface, tube
from photopeak.kernels.reconstruction.geometry import Grid

UNIT = ("{counts}/mm", "UCUM", "counts/millimeter")


@pytest.fixture
def views(dicom_factory):
    """Return the paths of two planar views of one study and their headers."""
    (first,) = dicom_factory("static", tags={"BodyPartExamined": "LIVER"})
    (second,) = dicom_factory("static", seed=1, tags={"StudyInstanceUID": pydicom.dcmread(first).StudyInstanceUID})
    return (first, second), tuple(pydicom.dcmread(path, stop_before_pixels=True) for path in (first, second))


@pytest.fixture
def origin(views):
    return origin_of(*views, (1, 1), method="shape", summary="A shape from 2 views.", findings=("Interrupted.",))


@pytest.fixture
def angiography(ball, dicom_factory):
    """Return a volume of two frames of angiography."""
    paths = [path for seed in (0, 1) for path in dicom_factory("xa", seed=seed, tags={"StudyInstanceUID": "1.2.3"})]
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    origin = origin_of(paths, headers, (2, 1), method="volume", summary="A volume from 2 views.", findings=())
    return angiographic_volume(ball.occupancy / 50, ball.grid, origin)


@pytest.fixture
def wire(helix, dicom_factory):
    """Return the surface of a wire from two frames of one object."""
    (path,) = dicom_factory("xa")
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    origin = origin_of((path, path), (ds, ds), (1, 3), method="curve", summary="Wires from 2 views.", findings=())
    return encapsulated_stl(tube(helix[0]), origin, "Wires from 2 views")


@pytest.fixture
def objects(ball, origin, angiography, wire):
    mesh = isosurface(ball.distance_mm, ball.grid, 0.0, inside="below", volume_ml=ball.volume_ml)
    return {
        "volume": nuclear_volume(ball.activity * ball.occupancy, ball.grid, origin, UNIT),
        "angiography": angiography,
        "wire": wire,
        "segmentation": segmentation(ball.occupancy, ball.grid, origin, "Shape"),
        "surface": encapsulated_stl(mesh, origin, "Shape from 2 views"),
    }


@pytest.fixture
def written(objects, tmp_path):
    paths = {name: tmp_path / f"{name}.dcm" for name in objects}
    for name, path in paths.items():
        path.write_bytes(encode(objects[name]))
    return paths


@pytest.mark.parametrize("name", ["volume", "angiography", "segmentation", "surface", "wire"])
def test_dciodvfy_finds_no_error_and_one_known_warning(written, name):
    if not (program := shutil.which("dciodvfy")):
        pytest.skip("dciodvfy is not installed: Debian's package dicom3tools")
    done = subprocess.run([program, "-new", written[name]], capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith(("Error", "Warning"))]
    # It knows no Device UID in Contributing Equipment.
    assert [line for line in lines if "DeviceUID(0018,1002)" not in line] == []


def test_our_reader_finds_values_and_places(written, ball):
    frames = photopeak.read(written["volume"])
    expected = ball.activity * ball.occupancy
    np.testing.assert_allclose(frames.pixels, expected, atol=0.51 * 2 / 32767)
    assert frames.pixel_spacing_mm == ball.grid.spacing_mm[1:]
    x, y, z = ball.grid.first_mm
    assert frames.info[0].position_mm == pytest.approx((x, y, z))
    assert frames.info[3].position_mm == pytest.approx((x, y, z + 3 * ball.grid.spacing_mm[0]))


def test_our_reader_finds_angiographic_values_and_places(written, ball):
    frames = photopeak.read(written["angiography"])
    np.testing.assert_allclose(frames.pixels, ball.occupancy / 50, atol=0.51 * 0.02 / 32767)
    assert frames.pixel_spacing_mm == ball.grid.spacing_mm[1:]
    x, y, z = ball.grid.first_mm
    assert frames.info[3].position_mm == pytest.approx((x, y, z + 3 * ball.grid.spacing_mm[0]))


def test_angiography_names_the_frames_of_its_sources(angiography):
    (step,) = angiography.SharedFunctionalGroupsSequence[0].DerivationImageSequence
    assert [reference.ReferencedFrameNumber for reference in step.SourceImageSequence] == [2, 1]
    (study,) = angiography.ReferencedImageEvidenceSequence
    assert study.StudyInstanceUID == "1.2.3"
    assert len(study.ReferencedSeriesSequence) == 2


def test_highdicom_finds_the_voxels_of_the_segment_in_place(written, ball):
    import highdicom

    found = highdicom.seg.segread(written["segmentation"]).get_volume(combine_segments=True)
    assert int(found.array.sum()) == int((ball.occupancy >= 0.5).sum())
    middle = found.affine @ [*np.argwhere(found.array).mean(axis=0), 1]
    np.testing.assert_allclose(middle[:3], (3.0, 7.0, -5.0), atol=0.1)


def test_segment_is_named_by_the_body_part(objects):
    (segment,) = objects["segmentation"].SegmentSequence
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Liver"


def test_segmentation_needs_nothing_that_headers_may_lack(views, ball):
    """Attributes that may be empty are often left out, after removing names above all."""
    paths, headers = views
    lacking = "PatientName PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber"
    for ds in headers:
        for keyword in lacking.split():
            ds.pop(keyword, None)
    origin = origin_of(paths, headers, (1, 1), method="shape", summary="A shape.", findings=())
    found = segmentation(ball.occupancy, ball.grid, origin, "Shape")
    assert not found.PatientName
    assert encode(found)


def test_surface_is_the_stl_in_mm(objects):
    ds = objects["surface"]
    assert ds.MIMETypeOfEncapsulatedDocument == "model/stl"
    assert ds.MeasurementUnitsCodeSequence[0].CodeValue == "mm"
    (triangles,) = struct.unpack_from("<I", ds.EncapsulatedDocument, 80)
    assert ds.EncapsulatedDocumentLength == 84 + 50 * triangles


@pytest.mark.parametrize("name", ["volume", "segmentation", "surface"])
def test_object_belongs_to_the_study_and_to_no_old_series(objects, views, name):
    ds, (source, other) = objects[name], views[1]
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber"):
        assert ds[keyword].value == source[keyword].value
    uids = {one[keyword].value for one in (source, other) for keyword in ("SeriesInstanceUID", "SOPInstanceUID")}
    assert not uids & {ds.SeriesInstanceUID, ds.SOPInstanceUID}
    assert "3-D shape from 2 views" in ds.SeriesDescription
    assert ds.ContributingEquipmentSequence[-1].ManufacturerModelName == "reconstruct shape"


def test_objects_share_coordinates_that_are_not_those_of_the_views(objects, views):
    found = {objects[name].FrameOfReferenceUID for name in ("volume", "segmentation", "surface")}
    assert len(found) == 1
    assert not found & {ds.get("FrameOfReferenceUID") for ds in views[1]}


def test_all_views_are_named_as_sources(objects, views):
    expected = {ds.SOPInstanceUID for ds in views[1]}
    volume, shape = objects["volume"], objects["segmentation"]
    derivation = shape.SharedFunctionalGroupsSequence[0].DerivationImageSequence[0]
    for sequence in (volume.SourceImageSequence, derivation.SourceImageSequence):
        assert {reference.ReferencedSOPInstanceUID for reference in sequence} == expected
        assert {reference.SpatialLocationsPreserved for reference in sequence} == {"NO"}
    series = shape.ReferencedSeriesSequence
    assert {one.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID for one in series} == expected


def test_interruption_and_unit_stand_in_the_object(objects):
    ds = objects["volume"]
    assert "Interrupted." in ds.DerivationDescription
    assert "Value [{counts}/mm] = stored value x" in ds.DerivationDescription
    mapping = ds.RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "{counts}/mm"
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"]


def test_headers_of_the_views_are_not_touched(views, ball):
    before = [str(ds) for ds in views[1]]
    origin = origin_of(*views, (1, 1), method="volume", summary="A volume.", findings=())
    nuclear_volume(ball.occupancy, ball.grid, origin, UNIT)
    segmentation(ball.occupancy, ball.grid, origin, "Shape")
    assert [str(ds) for ds in views[1]] == before


def test_frames_of_one_object_are_named_by_number(dicom_factory):
    (path,) = dicom_factory("whole-body")
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    origin = origin_of((path, path), (ds, ds), (2, 1), method="shape", summary="A shape.", findings=())
    volume = nuclear_volume(np.ones((3, 4, 5), np.float32), Grid((3, 4, 5), (1.0, 1.0, 1.0)), origin, UNIT)
    (reference,) = volume.SourceImageSequence
    assert list(reference.ReferencedFrameNumber) == [1, 2]


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 1, 1)])
def test_empty_and_tiny_volumes_are_valid(origin, tmp_path, shape):
    path = tmp_path / "tiny.dcm"
    path.write_bytes(encode(nuclear_volume(np.zeros(shape, np.float32), Grid(shape, (1.0, 2.0, 3.0)), origin, UNIT)))
    assert photopeak.read(path).pixels.shape == shape


@pytest.mark.parametrize(("keyword", "words"), [("PatientID", "patients"), ("StudyInstanceUID", "studies")])
def test_views_of_two_patients_or_studies_are_refused(views, keyword, words):
    (_, path), (first, second) = views
    setattr(second, keyword, "1.2.3")
    with pytest.raises(InputError, match=words):
        origin_of((path, path), (first, second), (1, 1), method="shape", summary="", findings=())


def test_views_that_are_not_dicom_are_refused():
    with pytest.raises(InputError, match="not DICOM"):
        origin_of((Path("a.npy"),), (), (), method="shape", summary="", findings=())
