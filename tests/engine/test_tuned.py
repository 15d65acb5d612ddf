import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import measured_plans
from measured_plans import measured, table
from photopeak.engine import machine as machines
from photopeak.engine import tuned
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.tuned import Cell, Measured, cells, key_of, read, store

DIGEST = "ab" * 32
CELL = Cell(MatrixSize(64, 64), 1)


@pytest.fixture
def stored(plans_folder):
    """Return the path of a table that was kept."""
    return store(table(DIGEST, measured()))


def found():
    return read(key_of(DIGEST), CELL)


def test_table_comes_back_as_it_was(stored):
    one, two = measured(precision="bf16", loss_db=0.012345678901, tile=256), measured(problem="no driver", runs=0)
    written = table(DIGEST, one, two, matrix=(1024, 256), frames=16)
    store(written)
    cell = Cell(MatrixSize(1024, 256), 16)
    assert cells(key_of(DIGEST)) == (CELL, cell)
    assert read(key_of(DIGEST), cell) == written
    assert found() == table(DIGEST, measured())


def test_table_of_one_number_of_threads_lies_beside_the_other(stored):
    own = table(DIGEST, measured(threads=3), threads=3)
    assert store(own).name == "64x64-1-t3.json"
    assert cells(key_of(DIGEST)) == (CELL, Cell(*CELL[:2], 3))
    assert read(key_of(DIGEST), Cell(*CELL[:2], 3)) == own
    assert found() == table(DIGEST, measured())


def test_later_table_replaces_the_earlier(stored):
    store(table(DIGEST, measured(median_ms=7.0)))
    assert found().candidates[0].median_ms == 7.0
    assert [path.name for path in stored.parent.iterdir()] == ["64x64-1.json"]


def other_machine(monkeypatch, name, value):
    here = machines.machine()
    monkeypatch.setattr(tuned, "machine", lambda: here.model_copy(update={name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("processor", "another CPU"),
        ("processors", 64),
        ("extensions", ("avx2",)),
        ("gpus", ("NVIDIA H200",)),
        ("driver", "580.1"),
        ("visible", "1"),
        ("system", "Windows AMD64"),
    ],
)
def test_table_of_another_machine_is_not_found(stored, monkeypatch, name, value):
    assert found() is not None
    other_machine(monkeypatch, name, value)
    assert cells(key_of(DIGEST)) == ()
    assert found() is None


@pytest.mark.parametrize("name", ["photopeak", "sources", "python", "onnxruntime", "openvino"])
def test_table_of_another_version_is_not_found(stored, monkeypatch, name):
    here = machines.versions()
    assert name in here
    monkeypatch.setattr(tuned, "versions", lambda: here | {name: "0.0.1"})
    assert found() is None


def test_table_of_another_model_or_format_is_not_found(stored, monkeypatch):
    assert read(key_of("cd" * 32), CELL) is None
    monkeypatch.setattr(tuned, "FORMAT", tuned.FORMAT + 1)
    assert found() is None


def test_table_in_the_folder_of_another_key_is_not_used(stored, monkeypatch):
    """A folder that was renamed, or a digest that met another: the file says itself what it is for."""
    other_machine(monkeypatch, "processors", 64)
    stored.parent.rename(tuned._folder(key_of(DIGEST)))
    assert cells(key_of(DIGEST)) == (CELL,)
    assert found() is None


def test_table_under_the_name_of_another_cell_is_not_used(stored):
    stored.rename(stored.with_name("128x128-1.json"))
    assert cells(key_of(DIGEST)) == (Cell(MatrixSize(128, 128), 1),)
    assert read(key_of(DIGEST), Cell(MatrixSize(128, 128), 1)) is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000))
def test_truncated_table_is_not_used(stored, length):
    whole = store(table(DIGEST, measured())).read_bytes()
    stored.write_bytes(whole[: length % len(whole)])
    assert found() is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_changed_byte_gives_a_sound_table_or_none(stored, place, byte):
    content = bytearray(store(table(DIGEST, measured())).read_bytes())
    content[place % len(content)] = byte
    stored.write_bytes(content)
    changed = found()
    assert changed is None or (changed.key, changed.cell) == (key_of(DIGEST), CELL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads", "2"),
        ("threads", 0),
        ("threads", 1e3),
        ("threads", True),
        ("batch", 1 << 40),
        ("tile", -1),
        ("tile", 7),
        ("tile", 1 << 16),
        ("median_ms", -1.0),
        ("median_ms", "1"),
        ("loss_db", None),
        ("provider", "../../etc"),
        ("device", "cuda:1; rm"),
        ("precision", "fp64"),
        ("problem", "a\u001b[31m"),
        ("unknown", 1),
    ],
)
def test_hostile_value_makes_a_table_unusable(stored, name, value):
    content = json.loads(stored.read_text())
    content["candidates"][0][name] = value
    stored.write_text(json.dumps(content))
    assert found() is None


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "[" * 100_000, "NaN", '{"key": 1}', "\0" * 64])
def test_other_content_is_no_table(stored, text):
    stored.write_text(text)
    assert found() is None


def test_numbers_that_json_has_not_are_refused(stored):
    whole = stored.read_text()
    for word in ("NaN", "Infinity", "1e999"):
        changed = re.sub(r'"median_ms": *2\.0', f'"median_ms":{word}', whole)
        assert changed != whole
        stored.write_text(changed)
        assert found() is None
    with pytest.raises(ValidationError):
        measured(median_ms=float("nan"))


def test_large_file_is_not_read(stored):
    stored.write_bytes(stored.read_bytes() + b" " * (tuned.LARGEST_TABLE + 1))
    assert found() is None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and pipes")
def test_links_pipes_and_files_of_anybody_are_not_read(stored, tmp_path):
    stored.chmod(0o666)
    assert found() is None
    stored.chmod(0o644)
    assert found() is not None
    elsewhere = stored.rename(tmp_path / "table.json")
    stored.symlink_to(elsewhere)
    assert found() is None
    stored.unlink()
    os.mkfifo(stored)
    assert found() is None


def test_strange_names_in_the_folder_are_passed_over(stored):
    for name in ("0x64-1.json", "64x64-1.json.bak", "64x64.json", "x-1.json", "64x64-1e3.json", "9999999x1-1.json"):
        (stored.parent / name).write_text("{}")
    assert cells(key_of(DIGEST)) == (CELL,)


def test_folder_that_is_none_is_an_empty_cache(plans_folder, monkeypatch):
    file = plans_folder / "file"
    file.write_text("")
    monkeypatch.setattr(tuned, "cache_folder", lambda: file)
    assert cells(key_of(DIGEST)) == ()
    assert found() is None
    with pytest.raises(OSError, match=r".+"):
        store(table(DIGEST, measured()))


def test_oldest_tables_make_room(plans_folder, monkeypatch):
    paths = [store(table(DIGEST, measured(), matrix=(size, size))) for size in (8, 16, 32)]
    for age, path in enumerate(reversed(paths)):
        os.utime(path, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(tuned, "LARGEST_CACHE", 2 * paths[0].stat().st_size + 64)
    newest = store(table("cd" * 32, measured()))
    assert newest.exists()
    assert [path.exists() for path in paths] == [False, False, True]


WRITER = """
import sys
from pathlib import Path
from measured_plans import measured, table
from photopeak.engine import tuned
tuned.cache_folder = lambda: Path(sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 40):
    tuned.store(table(sys.argv[3], measured(median_ms=1 + float(number))))
"""


def test_processes_that_write_at_once_leave_a_whole_table(plans_folder):
    support = str(Path(measured_plans.__file__).parent)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(plans_folder), start, DIGEST], env=os.environ | {"PYTHONPATH": support}
        )
        for start in ("0", "1000")
    ]
    seen = []
    while any(one.poll() is None for one in both):
        seen.append(found() is not None)
    assert [one.returncode for one in both] == [0, 0]
    assert found().candidates[0].median_ms in (40.0, 1040.0)
    # From the first one on there was a table at any time.
    assert seen == sorted(seen)
    assert list(plans_folder.rglob("*.part")) == []


def test_every_field_is_stored():
    assert set(json.loads(measured().model_dump_json())) == set(Measured.model_fields)


def test_cache_lies_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path))
    assert tuned.cache_folder() == tmp_path / "plans"
    monkeypatch.delenv("PHOTOPEAK_CACHE_DIR")
    assert tuned.cache_folder().parts[-2:] == ("photopeak", "plans")


def test_calls_take_some_time():
    with pytest.raises(ValidationError, match="30 calls took no time"):
        measured(median_ms=0.0)
    assert measured(runs=0, median_ms=0.0).runs == 0
