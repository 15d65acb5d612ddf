"""The cache of compiled kernels: what it keeps, what makes it stale, and which folders it refuses."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from photopeak.kernels.entries import Entries

MODULE = """
from photopeak.kernels.compilation import compiled
from {helper} import OFFSET, twice

@compiled("(float64[:, ::1], int64)")
def total(image, factor):
    result = OFFSET
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            result += twice(image[row, column]) * factor
    return result
"""
HELPER = """
from photopeak.kernels.compilation import inlined
OFFSET = {offset}

@inlined
def twice(value):
    return {expression}
"""
CALL = """
import numpy as np
from pathlib import Path
from photopeak.kernels import compilation
from photopeak.kernels.compilation import cache_folder, warm_up
from sums import total
{first}
if {warm}:
    compilation._MODULES = ()  # the kernel at hand is enough
    print([(name, made) for name, _, made in warm_up() if name == "sums.total"])
print(total(np.ones((2, 3)), 1), sum(total.stats.cache_hits.values()), sum(total.stats.cache_misses.values()))
"""


def flipped(content):
    """Return the same but for one bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return ``run(expression, offset) -> output`` of a fresh process that calls a kernel made of two files."""
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "sums.py").write_text(MODULE.format(helper="parts"))

    def call(expression="2.0 * value", offset="0.0", warm=False, first="", options=("-W", "error")):
        (tmp_path / "parts.py").write_text(HELPER.format(expression=expression, offset=offset))
        done = subprocess.run(
            [sys.executable, *options, "-c", dedent(CALL).format(warm=warm, first=first)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), done.stderr

    return call


def test_second_process_takes_the_kernel_from_the_cache(run):
    assert run()[0] == "12.0 0 1"
    assert run()[0] == "12.0 1 0"


def test_kernel_from_the_cache_needs_no_part_of_the_compiler(run):
    loaded = "{'numba.np.arrayobj', 'numba.np.linalg', 'scipy.linalg'} & set(sys.modules)"
    told = f"import atexit, sys; atexit.register(lambda: print(sorted({loaded})))"
    assert run(first=told)[0].startswith("12.0 0 1\n['numba.np.arrayobj', 'numba.np.linalg'")
    assert run(first=told)[0] == "12.0 1 0\n[]"


def test_other_types_and_callers_compile_beside_a_kernel_from_the_cache(run):
    run()
    more = """
import numba
assert total(np.ones((1, 2)), 3) == 12.0
assert total(np.ones((1, 2), np.float32), 3) == 12.0
assert numba.njit(lambda image, factor: total(image, factor) + np.linalg.norm(image))(np.ones((1, 4)), 1) == 10.0
assert np.array_equal(numba.njit(lambda image: image[image > 1])(np.arange(4.0)), [2, 3])
"""
    assert run(first=more)[0] == "12.0 1 1"


def test_warm_up_makes_what_the_first_call_needs(run):
    first = run(warm=True)[0].splitlines()
    assert first == ["[('sums.total', True)]", "12.0 0 1"]
    assert run()[0] == "12.0 1 0"
    assert run(warm=True)[0].splitlines()[0] == "[('sums.total', False)]"


def test_change_in_a_called_function_makes_the_kernel_stale(run):
    run()
    assert run(expression="3.0 * value")[0] == "18.0 0 1"


def test_changed_constant_from_another_file_makes_the_kernel_stale(run):
    run()
    assert run(offset="5.0")[0] == "17.0 0 1"


def test_damaged_files_of_the_cache_are_made_again(run, tmp_path):
    run()
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:100])
    assert run()[0] == "12.0 0 1"
    assert run()[0] == "12.0 1 0"


@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[: len(content) // 2], lambda content: bytes(len(content)), flipped],
    ids=["empty", "cut", "zeros", "bit"],
)
def test_damaged_entry_is_none(tmp_path, damage):
    entries = Entries(tmp_path, "sums", "a" * 64)
    entries.save(("float64",), list(range(100)))
    assert entries.load(("float64",)) == list(range(100))
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert entries.load(("float64",)) is None


def test_first_call_may_come_from_many_threads_at_once(run):
    many = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import numpy as np
ready = Barrier(8)
def call(size):
    ready.wait()
    return total(np.ones((2, size)), 1)
with ThreadPoolExecutor(8) as pool:
    assert list(pool.map(call, range(8))) == [4.0 * size for size in range(8)]
"""
    assert run(first=many)[0] == "12.0 0 1"
    assert run(first=many)[0] == "12.0 1 0"


def test_cache_that_cannot_be_written_costs_time_and_a_warning_only(run, tmp_path):
    folder = tmp_path / "cache" / "kernels"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "sums").write_text("a file where the kernels of the module belong")
    output, warning = run(options=())
    assert output == "12.0 0 1"
    assert warning.count("RuntimeWarning") == 1
    assert "PHOTOPEAK_CACHE_DIR" in warning


def test_sources_replaced_after_import_do_not_pass_for_what_was_compiled(run):
    change = "file = Path('parts.py'); file.write_text(file.read_text().replace('2.0 * value', '7.0 * value'))"
    assert run(first=change)[0] == "12.0 0 1"
    assert run(expression="7.0 * value")[0] == "42.0 0 1"


def test_code_of_older_sources_leaves_the_folder(tmp_path):
    older, newer, neighbour = (
        Entries(tmp_path, *each) for each in (("f", "a" * 64), ("f", "b" * 64), ("ff", "a" * 64))
    )
    for entries in (older, neighbour, newer):
        entries.save(("float64",), entries is newer)
    assert older.load(("float64",)) is None
    assert newer.load(("float64",)) is True
    assert neighbour.load(("float64",)) is False
    newer.flush()
    assert newer.load(("float64",)) is None
    assert len(list(tmp_path.iterdir())) == 1


def test_entries_of_other_arguments_and_sources_are_not_mixed_up(tmp_path):
    one, other = (Entries(tmp_path, "sums", stamp * 32) for stamp in "ab")
    one.save(("float64",), 1)
    one.save(("uint8",), 2)
    assert (one.load(("float64",)), one.load(("uint8",)), one.load(("int16",))) == (1, 2, None)
    assert other.load(("float64",)) is None
    kept, wrong = sorted(tmp_path.iterdir())
    kept.write_bytes(wrong.read_bytes())
    assert {one.load(("float64",)), one.load(("uint8",))} <= {None, 1, 2}
    assert None in {one.load(("float64",)), one.load(("uint8",))}


def test_nothing_is_written_before_the_first_call(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path / "cache"))
    subprocess.run([sys.executable, "-c", "import photopeak.kernels.iqa.intensity"], check=True)
    assert not (tmp_path / "cache").exists()


def test_folder_that_others_can_write_to_is_not_used(run, tmp_path):
    folder = tmp_path / "cache" / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    output, warning = run(options=())
    assert output.startswith("12.0")
    assert "others may write to it" in warning
    assert "PHOTOPEAK_CACHE_DIR" in warning
    assert list(folder.iterdir()) == []


def test_cache_folder_is_for_its_owner_alone(run, tmp_path):
    run()
    assert (tmp_path / "cache" / "kernels").stat().st_mode & 0o777 == 0o700


def test_importing_kernels_loads_neither_numpy_nor_numba():
    code = "import sys, photopeak.kernels; print(sorted({'numpy', 'numba', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_module_with_kernels_is_warmed_up():
    from photopeak.kernels import compilation

    root = Path(compilation.__file__).parent
    users = {
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in root.rglob("*.py")
        if "@compiled(" in path.read_text() and path.stem != "compilation"
    }
    assert users == set(compilation._MODULES)
