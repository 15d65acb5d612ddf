import os
import subprocess
import sys
from pathlib import Path

import pytest

from photopeak.kernels.user_cache import cache_folder, problem_of_folder, read_plain

posix = pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")


def test_cache_lies_where_the_user_says_or_the_system(monkeypatch, tmp_path):
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path))
    assert cache_folder("plans") == tmp_path / "plans"
    for unset in ("", None):
        monkeypatch.delenv("PHOTOPEAK_CACHE_DIR") if unset is None else monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", unset)
        assert cache_folder("plans").parts[-2:] == ("photopeak", "plans")


def test_everything_that_is_kept_lies_in_one_cache(monkeypatch, tmp_path):
    """A process of its own: the suite keeps some folders elsewhere."""
    code = """
from photopeak.engine import tuned
from photopeak.engine.providers import onnxruntime_tensorrt, openvino_models
from photopeak.engine.providers.tensorrt import store
from photopeak.exporters.web import npm
from photopeak.kernels import compilation
print(*(one.cache_folder() for one in (tuned, onnxruntime_tensorrt, openvino_models, store, npm, compilation)), sep="\\n")
"""
    variables = os.environ | {"PHOTOPEAK_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables)
    folders = [Path(line) for line in done.stdout.splitlines()]
    assert len(set(folders)) == 6
    assert {folder.parent for folder in folders} == {tmp_path}


def test_only_one_file_knows_where_the_cache_is():
    folders = [Path(__file__).parents[2] / name for name in ("kernels", "engine", "exporters", "benchmarks")]
    knowing = [path for folder in folders for path in folder.rglob("*.py") if "platformdirs" in path.read_text("utf-8")]
    assert [path.name for path in knowing] == ["user_cache.py"]


def test_new_folder_is_for_its_owner_alone(tmp_path):
    assert problem_of_folder(tmp_path / "new" / "folder") == ""
    if os.name == "posix":
        assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_folder_that_others_may_write_to_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    assert problem_of_folder(tmp_path) == "others may write to it"


@posix
def test_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert problem_of_folder(tmp_path) == "others may write to it"
    (tmp_path / "file").write_bytes(b"a")
    if tmp_path.stat().st_uid != 0:
        with pytest.raises(OSError, match="somebody else may have written"):
            read_plain(tmp_path / "file", 1)


def test_folder_that_cannot_be_made_or_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    assert problem_of_folder(tmp_path / "file" / "folder") == "Not a directory"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert problem_of_folder(tmp_path) == "it is read-only"


def test_file_is_read_whole_up_to_the_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_plain(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="at most 4 bytes"):
        read_plain(tmp_path / "file", 4)
    with pytest.raises(OSError, match=r".+"):
        read_plain(tmp_path, 5)
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "none", 5)


@posix
def test_links_pipes_and_files_of_anybody_are_not_read(tmp_path):
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=r".+"):
            read_plain(tmp_path / name, 5)
    (tmp_path / "file").chmod(0o666)
    with pytest.raises(OSError, match="somebody else may have written"):
        read_plain(tmp_path / "file", 5)
    assert read_plain(tmp_path / "file", 5, owned=False) == b"1"
