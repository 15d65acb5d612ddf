import os
import stat
from pathlib import Path

import pytest

from photopeak.engine.files import atomic_write


def test_file_appears_whole_and_with_its_folder(tmp_path):
    with atomic_write(tmp_path / "new" / "file.bin") as file:
        file.write(b"half")
        assert not (tmp_path / "new" / "file.bin").exists()
        file.write(b" and half")
    assert (tmp_path / "new" / "file.bin").read_bytes() == b"half and half"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.bin"]


def test_failure_leaves_the_old_file_and_no_part(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match="bytes-like"), atomic_write(path) as file:
        file.writelines([b"new", "not bytes"])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_leaves_nothing(tmp_path, monkeypatch, call):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="No space left"), atomic_write(tmp_path / "file.bin") as file:
        file.write(b"new")
    assert list(tmp_path.iterdir()) == []


def test_long_name_fits(tmp_path):
    with atomic_write(tmp_path / ("n" * 250)) as file:
        file.write(b"x")
    assert (tmp_path / ("n" * 250)).exists()


def test_mode_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "file.bin") as file:
            file.write(b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file.bin").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_no_name_is_refused_as_a_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError) as caught, atomic_write(Path(name)):
        pytest.fail("the block must not begin")
    assert caught.value.filename == str(Path(name))


def test_errors_name_the_file_and_not_its_part(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "file.bin") as file:
        file.write(b"new")
    assert caught.value.filename == str(tmp_path / "file.bin")
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "file.bin"):
        (tmp_path / "other").open()
    assert caught.value.filename == str(tmp_path / "other")


def test_a_place_that_takes_no_file_is_named_and_not_the_part(tmp_path, monkeypatch):
    def refuse(self, *arguments, **options):
        raise OSError(30, "Read-only file system", self)

    for call in ("open", "unlink"):
        monkeypatch.setattr(f"pathlib.Path.{call}", refuse)
    with pytest.raises(OSError, match="Read-only") as caught, atomic_write(tmp_path / "file.bin"):
        pytest.fail("the block must not begin")
    assert caught.value.filename == str(tmp_path / "file.bin")
