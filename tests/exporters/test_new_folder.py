from pathlib import Path

import pytest

from photopeak.engine.errors import InputError
from photopeak.exporters.new_folder import new_folder, require_new


def test_a_folder_appears_whole(tmp_path):
    with new_folder(tmp_path / "deep" / "made") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "deep" / "made").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["made"]
    assert (tmp_path / "deep" / "made" / "a").read_text() == "1"


def test_nothing_is_left_of_what_failed(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "made") as folder:
        (folder / "a").write_text(str(1 // len(list(folder.iterdir()))))
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "made").mkdir()
    with new_folder(tmp_path / "made") as folder:
        (folder / "a").write_text("1")
    assert (tmp_path / "made" / "a").exists()


@pytest.mark.parametrize("kind", ["file", "full folder", "link"])
def test_what_is_there_is_never_touched(tmp_path, kind):
    place = tmp_path / "made"
    if kind == "file":
        place.write_text("mine")
    elif kind == "full folder":
        place.mkdir()
        (place / "mine").write_text("mine")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="made is there already; name another place"):
        require_new(place)
    with pytest.raises(InputError, match="is there already"), new_folder(place):
        pytest.fail("the block must not begin")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_place_below_a_file_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file/made: cannot be"), new_folder(tmp_path / "file" / "made"):
        pytest.fail("the block must not begin")


@pytest.mark.parametrize("name", ["", ".", "..", "deep/.."])
def test_what_is_no_name_is_refused(tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="is no name for a new folder"), new_folder(Path(name)):
        pytest.fail("the block must not begin")
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]
