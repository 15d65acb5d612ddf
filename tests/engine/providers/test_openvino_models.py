import json
import os
import subprocess
import sys

import numpy as np
import pytest

from photopeak.engine import machine as machines
from photopeak.engine.graph import check_graph
from photopeak.engine.providers import Target, find
from photopeak.engine.providers import openvino as module
from photopeak.engine.providers import openvino_models as models

SHAPE = (1, 1, 16, 24)
PLAIN = Target()
COUNTS = np.random.default_rng(0).poisson(9, SHAPE).astype(np.float32)
posix = pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder of a user who has compiled nothing yet."""
    monkeypatch.setattr(models, "cache_folder", lambda: tmp_path / "openvino")
    return tmp_path / "openvino"


@pytest.fixture
def imported(monkeypatch):
    """Return a list that tells of each compiled model whether it was taken in."""
    told, real = [], models.import_kept

    def noted(*arguments):
        found = real(*arguments)
        told.append(found is not None)
        return found

    monkeypatch.setattr(module, "import_kept", noted)
    return told


@pytest.fixture
def run(bundle_factory, folder, imported):
    """Return ``run(target, name)``: what a graph gives in a new session, compiled or taken in."""

    def run(target=PLAIN, name="smooth", counts=COUNTS):
        return find("openvino").prepare(check_graph(bundle_factory(name)), target).lane().run(counts).copy()

    return run


@pytest.fixture
def kept(run, folder, imported):
    """Return the file of a model that was compiled and kept."""
    run()
    imported.clear()
    (file,) = folder.iterdir()
    return file


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["smooth", "pooled", "quarters", "anscombe"])
def test_model_that_is_taken_in_gives_the_same_bits(run, imported, name, precision):
    target = Target("cpu", precision, 2)
    if reason := find("openvino").check(target):
        pytest.skip(reason)
    np.testing.assert_array_equal(run(target, name), run(target, name))
    assert imported == [False, True]


@pytest.mark.parametrize("target", [Target(), Target("cpu", "fp32", 2), Target("cpu", "fp32", 2, streams=2)])
def test_model_that_is_taken_in_keeps_to_its_target(bundle_factory, folder, target):
    names = (
        "PERFORMANCE_HINT",
        "NUM_STREAMS",
        "INFERENCE_NUM_THREADS",
        "ENABLE_CPU_PINNING",
        "INFERENCE_PRECISION_HINT",
    )
    graph = check_graph(bundle_factory())
    made, taken = (find("openvino").prepare(graph, target).compiled(SHAPE) for _ in range(2))
    assert [str(made.get_property(name)) for name in names] == [str(taken.get_property(name)) for name in names]


def test_everything_that_decides_on_a_model_makes_another_one(run, imported, folder):
    run()
    run(Target(threads=2))
    run(Target(threads=2, streams=2))
    run(name="brightened")
    run(counts=COUNTS[..., :8].copy())
    run(counts=np.concatenate([COUNTS, COUNTS]))
    assert imported == [False] * 6
    assert len(list(folder.iterdir())) == 6


@pytest.mark.parametrize(
    ("name", "value"),
    [("processor", "another CPU"), ("processors", 64), ("extensions", ("avx2",)), ("system", "Linux aarch64")],
)
def test_model_of_another_processor_is_not_taken(run, kept, imported, monkeypatch, name, value):
    here = machines.machine()
    monkeypatch.setattr(machines, "machine", lambda: here.model_copy(update={name: value}))
    run()
    assert imported == [False]


def test_model_of_another_build_or_format_is_not_taken(run, kept, imported, monkeypatch):
    monkeypatch.setattr("openvino.get_version", lambda: "2026.4.1-0-another")
    run()
    monkeypatch.setattr(models, "FORMAT", models.FORMAT + 1)
    run()
    assert imported == [False, False]


def test_facts_name_all_that_is_known(bundle_factory, folder):
    facts = json.loads(models.facts_of(module._core(), "ab" * 32, SHAPE, {"NUM_STREAMS": "1"}))
    assert facts["graph"] == "ab" * 32
    assert facts["shape"] == list(SHAPE)
    assert facts["options"] == {"NUM_STREAMS": "1"}
    assert set(facts) >= {"openvino", "processor", "capabilities", "device", "system", "format"}


def damaged(content, kind):
    rng = np.random.default_rng(7)
    return {
        "empty": b"",
        "cut off": content[: len(content) // 2],
        "longer": content + b"\0",
        "noise": rng.bytes(len(content)),
        "no digest": content[32:],
        "a byte of the digest": bytes([content[0] ^ 1]) + content[1:],
        "a byte of the model": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    }[kind]


@pytest.mark.parametrize(
    "kind", ["empty", "cut off", "longer", "noise", "no digest", "a byte of the digest", "a byte of the model"]
)
def test_damaged_file_is_never_taken_and_made_good(run, kept, imported, recipes, kind):
    whole = kept.read_bytes()
    kept.write_bytes(damaged(whole, kind))
    np.testing.assert_allclose(run(), recipes["smooth"].truth(COUNTS), rtol=1e-5)
    run()
    assert imported == [False, True]


def test_no_changed_byte_reaches_openvino(kept, run):
    class Core:
        def import_model(self, *_):
            raise AssertionError("taken in")

    facts = models.facts_of(module._core(), "ab" * 32, SHAPE, {})
    content, rng = kept.read_bytes(), np.random.default_rng(1)
    for place in rng.integers(len(content), size=100):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        models._file(facts).write_bytes(changed)
        assert models.import_kept(Core(), facts, {}) is None


def test_model_under_the_name_of_another_is_not_taken(run, kept, folder, imported, recipes):
    """A file that was renamed, or a name that two share, must not answer for another graph."""
    run(name="brightened")
    (other,) = set(folder.iterdir()) - {kept}
    content = kept.read_bytes()
    other.write_bytes(content)
    imported.clear()
    np.testing.assert_allclose(run(name="brightened"), recipes["brightened"].truth(COUNTS), rtol=1e-5)
    assert imported == [False]


def test_model_that_openvino_refuses_is_compiled_again(run, kept, imported, recipes):
    facts = models.facts_of(module._core(), "ab" * 32, SHAPE, {})
    models._file(facts).write_bytes(models._digest(facts, b"no model") + b"no model")
    assert models.import_kept(module._core(), facts, {}) is None
    assert not models._file(facts).exists()


@posix
def test_links_pipes_and_folders_of_anybody_are_not_read(run, kept, folder, imported, tmp_path):
    elsewhere = kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(elsewhere)
    run()
    kept.unlink()
    os.mkfifo(kept)
    run()
    assert imported == [False, False]
    folder.chmod(0o777)
    run()
    assert imported == [False, False, False]


@posix
def test_folder_is_for_its_owner_alone(kept):
    assert kept.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trouble", ["file in its place", "no way to it", "full disk"])
def test_where_nothing_can_be_kept_models_are_compiled(bundle_factory, folder, imported, recipes, monkeypatch, trouble):
    graph = check_graph(bundle_factory("smooth"))

    def full(*_):
        raise OSError(28, "No space left on device")

    if trouble == "full disk":
        monkeypatch.setattr(os, "fsync", full)
    elif trouble == "no way to it":
        monkeypatch.setattr(models, "cache_folder", lambda: folder.parent / ("n" * 300))
    else:
        folder.write_bytes(b"")
    for _ in range(2):
        output = find("openvino").prepare(graph, Target()).lane().run(COUNTS)
        np.testing.assert_allclose(output, recipes["smooth"].truth(COUNTS), rtol=1e-5)
    assert imported == [False, False]
    assert not folder.is_dir() or list(folder.iterdir()) == []


def test_model_that_openvino_cannot_write_is_not_kept(folder):
    class Compiled:
        def export_model(self, stream):
            stream.write(b"half of it")
            raise RuntimeError("no such operator")

    models.keep(Compiled(), "facts")
    assert list(folder.iterdir()) == []


def test_least_recently_used_models_make_room(run, folder, imported, monkeypatch):
    for age, threads in enumerate((1, 2, 3)):
        before = set(folder.glob("*"))
        run(Target(threads=threads))
        (new,) = set(folder.iterdir()) - before
        os.utime(new, (1e9 + age, 1e9 + age))
    run(Target(threads=1))  # used again: now the newest
    monkeypatch.setattr(models, "LARGEST_CACHE", 3 * new.stat().st_size + 64)
    run(Target(threads=4))
    imported.clear()
    run(Target(threads=1))
    run(Target(threads=3))
    run(Target(threads=2))
    assert imported == [True, True, False]


def test_model_that_is_too_large_is_not_kept(run, folder, imported, monkeypatch):
    monkeypatch.setattr(models, "LARGEST_MODEL", 100)
    run()
    assert list(folder.iterdir()) == []


LOADER = """
import sys
import photopeak
session = photopeak.load("pet-sr-x2-srcnn", device="cpu", provider="openvino", precision="fp32", threads=1)
import numpy as np
print(session.run(np.full((16, 16), 4, np.float32)).frames.pixels.sum())
"""


def test_processes_that_start_at_once_give_the_same(tmp_path):
    variables = os.environ | {"PHOTOPEAK_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", LOADER]
    several = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    given = {one.communicate()[0] for one in several}
    again = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout
    assert given == {again}
    assert [one.returncode for one in several] == [0, 0, 0]
    files = list((tmp_path / "openvino").iterdir())
    assert files
    assert {file.suffix for file in files} == {".model"}
