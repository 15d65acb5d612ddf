import json
import os

import numpy as np
import pytest

from photopeak.engine.errors import ModelError
from photopeak.engine.providers.tensorrt import store
from photopeak.engine.providers.tensorrt.key import Profile

FRAME = (1, 1, 128, 128)


@pytest.fixture
def kept(cache, key, built):
    """Return the record of an engine in the user's cache."""
    store.unusable.cache_clear()
    store.keep(built(key))
    return cache / f"{key.digest[:32]}.json"


@pytest.fixture
def foreign(tmp_path, key, built):
    """Return a folder with an engine that somebody else built, and the engine's digest."""
    record = store.write_engine(tmp_path / "foreign", "engine", built(key))
    return tmp_path / "foreign", record.sha256


def test_engine_is_found_again(kept, need, built, key):
    record, data = store.find(need, FRAME)
    assert data == b"an engine"
    assert record.key == key
    assert record.seconds == 0.25


def test_folder_is_the_users_own(kept):
    assert kept.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("shape", [(9, 1, 128, 128), (1, 1, 64, 64)])
def test_engine_of_another_matrix_is_not_found(kept, need, shape):
    assert store.find(need, shape) is None
    assert kept.exists()


@pytest.mark.parametrize(
    "other",
    [{"capability": "SM120"}, {"version": "1.8"}, {"bundle": "d" * 64}, {"graph": "d" * 64}, {"precision": "fp16"}],
)
def test_engine_for_something_else_is_not_found(kept, need, other):
    assert store.find(need.model_copy(update=other), FRAME) is None


def test_tampered_engine_is_deleted(kept, need):
    kept.with_suffix(".engine").write_bytes(b"an eNgine")
    assert store.find(need, FRAME) is None
    assert not kept.exists()
    assert not kept.with_suffix(".engine").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": 1}', b"\xff\xfe", b"{" * 100_000])
def test_damaged_record_is_deleted(kept, need, content):
    kept.write_bytes(content)
    assert store.find(need, FRAME) is None
    assert not kept.with_suffix(".engine").exists()


def test_record_that_says_more_than_its_name_is_deleted(kept, need, key):
    """An engine of 64 x 64 whose record was edited to serve 128 x 128."""
    record = json.loads(kept.read_text())
    record["key"]["profiles"][0]["most"] = 64
    kept.write_text(json.dumps(record))
    assert store.find(need, (32, 1, 128, 128)) is None
    assert not kept.exists()


@pytest.mark.parametrize("suffix", [".engine", ".json"])
def test_no_change_of_a_byte_gives_another_engine_or_serves_another_need(cache, need, key, built, suffix):
    store.unusable.cache_clear()
    rng = np.random.default_rng(0)
    data = rng.bytes(400)
    for _ in range(150):
        store.keep(built(key, data))
        path = (cache / key.digest[:32]).with_suffix(suffix)
        content = bytearray(path.read_bytes())
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        found = store.find(need, FRAME)
        if found:
            assert found[1] == data
            assert found[0].key == key
        assert store.find(need, (1, 1, 64, 64)) is None


def test_engine_behind_a_link_is_not_read(kept, need, tmp_path):
    outside = tmp_path / "outside"
    engine = kept.with_suffix(".engine")
    engine.rename(outside)
    engine.symlink_to(outside)
    assert store.find(need, FRAME) is None
    assert outside.exists()


def test_pipe_is_not_waited_for(kept, need):
    kept.with_suffix(".engine").unlink()
    os.mkfifo(kept.with_suffix(".engine"))
    assert store.find(need, FRAME) is None


def test_missing_engine_is_no_engine(kept, need):
    kept.with_suffix(".engine").unlink()
    assert store.find(need, FRAME) is None


def test_single_frames_get_the_narrowest_engine_and_stacks_the_widest(cache, need, built):
    store.unusable.cache_clear()
    for most in (8, 1, 64):
        store.keep(built(need.key(Profile(rows=128, columns=128, most=most)), b"%d" % most))
    assert store.find(need, FRAME)[1] == b"1"
    assert store.find(need, (2, 1, 128, 128))[1] == b"64"


def test_oldest_engines_make_room(cache, need, built, monkeypatch):
    store.unusable.cache_clear()
    monkeypatch.setattr(store, "LARGEST_CACHE", 250)
    for side in (8, 16, 24, 32):
        store.keep(built(need.key(Profile(rows=side, columns=side)), bytes(100)))
        newest = cache / f"{need.key(Profile(rows=side, columns=side)).digest[:32]}.engine"
        os.utime(newest, ns=(side, side))
    assert len(list(cache.glob("*.engine"))) == len(list(cache.glob("*.json"))) == 2
    assert store.find(need, (1, 1, 32, 32))
    assert not store.find(need, (1, 1, 8, 8))


def test_adopted_engine_is_found(foreign, cache, need):
    folder, digest = foreign
    store.unusable.cache_clear()
    (record,) = store.adopt(folder, {"engine.engine": digest.upper()})
    assert record.sha256 == digest
    assert store.find(need, FRAME)[1] == b"an engine"


@pytest.mark.parametrize("name", ["../engine.engine", "/etc/passwd", "a/engine.engine", "engine.json", "..", ""])
def test_names_that_lead_elsewhere_are_refused(foreign, cache, name):
    with pytest.raises(ModelError, match="no name of an engine"):
        store.adopt(foreign[0], {name: foreign[1]})
    assert not cache.exists()


def test_engine_of_nobody_trusted_is_refused(foreign, cache):
    with pytest.raises(ModelError, match="another digest than the one that you trust"):
        store.adopt(foreign[0], {"engine.engine": "0" * 64})
    assert not cache.exists()


def test_engine_changed_on_its_way_is_refused(foreign, cache):
    folder, digest = foreign
    (folder / "engine.engine").write_bytes(b"an eNgine")
    with pytest.raises(ModelError, match="was changed or damaged"):
        store.adopt(folder, {"engine.engine": digest})
    assert not cache.exists()


def test_nothing_is_taken_when_one_is_refused(foreign, cache):
    folder, digest = foreign
    with pytest.raises(ModelError, match="no record of an engine"):
        store.adopt(folder, {"engine.engine": digest, "missing.engine": digest})
    assert not cache.exists()


def test_where_no_folder_can_be_reached_no_engine_is_found(need, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "cache_folder", lambda: tmp_path / ("n" * 300))
    with pytest.warns(RuntimeWarning, match="cannot be kept"):
        assert store.find(need, FRAME) is None


def test_interrupted_write_leaves_the_old_engine(kept, need, built, key, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        store.keep(built(key, b"another engine"))
    assert store.find(need, FRAME)[1] == b"an engine"
    assert not list(kept.parent.glob("*.part"))
