"""Files and folders: what is read, what is skipped, what is refused."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from shutil import copy

import numpy as np
import pydicom
import pytest

import photopeak
from photopeak.engine.errors import InputError
from photopeak.engine.reading import read, read_all, scan


@pytest.fixture
def study(dicom_factory, tmp_path):
    """A folder with a PET and a CT series, a bone scan, a report, a text file and an array."""
    folder = tmp_path / "study"
    for kind in ("pet", "ct", "whole-body"):
        (folder / kind).mkdir(parents=True)
        for path in dicom_factory(kind):
            copy(path, folder / kind / path.stem)  # no extension
    copy(pydicom.data.get_testdata_file("reportsi.dcm", download=False), folder / "report.dcm")
    copy(pydicom.data.get_testdata_file("DICOMDIR", download=False), folder / "DICOMDIR")
    copy(pydicom.data.get_testdata_file("SC_rgb_rle.dcm", download=False), folder / "screen.dcm")
    (folder / "notes.txt").write_text("nothing to see")
    (folder / "empty").touch()
    np.save(folder / "flood.npy", np.ones((8, 8)))
    return folder


def test_public_names():
    assert (photopeak.read, photopeak.read_all) == (read, read_all)


def test_folder_holds_series_and_says_what_it_skipped(study):
    found = scan(study)
    assert {(series.modality, series.frames) for series in found.series} == {("NM", 2), ("CT", 4), ("PT", 5), ("OT", 1)}
    reasons = {path.name: reason for path, reason in found.skipped}
    assert reasons.keys() == {"report.dcm", "DICOMDIR", "screen.dcm", "notes.txt", "empty"}
    assert reasons["notes.txt"] == "is not a DICOM file."
    assert "Basic Text SR" in reasons["report.dcm"]
    assert "colour image (RGB)" in reasons["screen.dcm"]
    assert found.damaged == ()


def test_read_all_reads_every_series(study):
    frames = read_all(study, suv=True)
    assert {(f.modality, str(f.units)) for f in frames} == {
        ("NM", "CNTS"),
        ("CT", "HU"),
        ("PT", "SUVbw"),
        ("OT", "NONE"),
    }


def test_read_wants_exactly_one_series(study):
    with pytest.raises(
        InputError, match=r"4 series found \(.*'Synthetic' 64x64, \d frame.*name one of them, or use read_all"
    ):
        read(study)
    assert read(study / "pet").modality == "PT"
    assert read([*(study / "ct").iterdir()]).modality == "CT"


@pytest.mark.parametrize("name", ["report.dcm", "DICOMDIR", "screen.dcm", "notes.txt", "empty"])
def test_named_file_is_never_skipped(study, name):
    with pytest.raises(InputError, match=name):
        read_all([study / "pet", study / name])


def test_damaged_image_in_a_folder_is_never_dropped(study):
    path = next((study / "pet").iterdir())
    path.write_bytes(path.read_bytes()[:-100])
    assert "the file is cut off" in str(scan(study).damaged[0])
    with pytest.raises(InputError, match="the file is cut off"):
        read_all(study)


def test_same_object_twice(study):
    path = next((study / "whole-body").iterdir())
    copy(path, study / "again.dcm")
    assert any("same object as" in reason for _, reason in scan(study).skipped)
    assert len(read_all(study)) == 4
    assert len(read_all([path, path])) == 1
    ds = pydicom.dcmread(path)
    ds.PixelData = bytes(len(ds.PixelData))
    ds.save_as(study / "again.dcm")
    with pytest.raises(InputError, match=r"SOP Instance UID of .* but other content"):
        read_all([path, study / "again.dcm"])
    assert scan(study).damaged


def test_bare_data_set_without_preamble_is_dicom(dicom_factory, tmp_path):
    expected = read(dicom_factory("static"))
    for implicit, little in ((True, True), (False, True), (False, False)):
        ds = pydicom.dcmread(dicom_factory("static")[0])
        if not little:
            ds.PixelData = ds.pixel_array.astype(">u2").tobytes()
        del ds.file_meta
        ds.preamble = None
        path = tmp_path / f"bare{implicit}{little}"
        pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=little)
        assert path.read_bytes()[128:132] != b"DICM"
        frames = read(path)
        np.testing.assert_array_equal(frames.pixels, expected.pixels)
        assert frames.instances[0].header.file_meta.TransferSyntaxUID.is_transfer_syntax


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: p / "none.dcm", "No such file"),
        (lambda p: p / "\0", "null"),
        (lambda p: p / ("x" * 300), "too long"),
        (lambda p: p, "holds no image"),
    ],
)
def test_paths_that_hold_nothing(tmp_path, make, reason):
    with pytest.raises(InputError, match=reason):
        read(make(tmp_path))


def test_no_path_at_all():
    with pytest.raises(InputError, match="No path given"):
        read_all([])


def test_a_subfolder_that_cannot_be_entered_does_not_stop_the_others(study, monkeypatch):
    stat = Path.stat

    def refused(path, **options):
        if path.parent.name == "ct":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refused)
    found = scan(study)
    assert {series.modality for series in found.series} == {"PT", "NM", "OT"}
    assert len(found.damaged) == len([*(study / "ct").iterdir()])
    assert all("cannot be read (Permission denied)" in str(error) for error in found.damaged)


def test_links(study, tmp_path):
    (study / "loop").symlink_to(study, target_is_directory=True)
    (study / "broken.dcm").symlink_to(tmp_path / "none")
    (study / "self.dcm").symlink_to(study / "self.dcm")
    found = scan(study)
    reasons = {path.name: reason for path, reason in found.skipped}
    assert "symbolic link to a folder" in reasons["loop"]
    assert reasons["broken.dcm"] == reasons["self.dcm"] == "is a broken link or no regular file."
    assert len(found.series) == 4
    with pytest.raises(InputError, match=r"self\.dcm"):
        read(study / "self.dcm")
    (tmp_path / "link.dcm").symlink_to(next((study / "whole-body").iterdir()))
    assert read(tmp_path / "link.dcm").modality == "NM"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_unreadable_file_is_an_error(study):
    path = next((study / "pet").iterdir())
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_all(study)


HARNESS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from pathlib import Path
from time import perf_counter
from photopeak.engine.errors import InputError
from photopeak.engine.reading import read
for path in sorted(p for p in Path(sys.argv[1]).rglob("*") if p.is_file()):
    start = perf_counter()
    try:
        read(path)
        outcome = "read"
    except InputError as error:
        outcome = "refused"
        assert "\\n" not in str(error) and len(str(error)) < 700, str(error)
    assert perf_counter() - start < 5, f"{path} took too long"
    print(outcome)
"""


def outcomes(folder):
    """Read each file below a folder in a process with little memory; return what became of them."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HARNESS, str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


@pytest.mark.parametrize(
    ("folder", "fewest"),
    [("fodicom_odd", 7), ("nmqc", 7), ("linaqa", 12), ("xa", 3), ("misc_nm_pt", 5), ("nema_wg04", 18)],
)
def test_real_files_are_read_or_refused(shared_data, folder, fewest):
    assert outcomes(shared_data / folder).count("read") >= fewest


def test_malformed_files_are_read_or_refused(shared_data, tmp_path):
    with tarfile.open(shared_data / "fuzz" / "pwnlabmx_fuzz_corpus_v3.tar.xz") as archive:
        # extractall has its filter against odd names since Python 3.11.4 only.
        for number, member in enumerate(archive):
            if member.isfile():
                (tmp_path / f"{number:03}-{Path(member.name).name}").write_bytes(archive.extractfile(member).read())
    found = outcomes(tmp_path)
    assert len(found) > 590
    assert {"read", "refused"} == set(found)


def test_bundled_files_of_pydicom_are_read_or_refused():
    found = outcomes(Path(pydicom.data.get_testdata_file("CT_small.dcm", download=False)).parent)
    assert found.count("read") >= 15


def test_overlong_descriptions_raise_no_warning(dicom_factory):
    path = dicom_factory("static", tags={"SeriesDescription": "d" * 60})[0]
    content = path.read_bytes()
    path.write_bytes(content.replace(b"<\0" + b"d" * 60, b"F\0" + b"d" * 70))
    assert scan(path).series[0].description == "d" * 70
    assert read(path).modality == "NM"
