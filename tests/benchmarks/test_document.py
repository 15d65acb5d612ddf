"""Documents in the form of pytest-benchmark, read by pytest-benchmark itself."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from photopeak.benchmarks.document import entry, expanded, merged, new_document, read_document, write_document
from photopeak.engine.errors import InputError


@pytest.fixture
def document():
    document = new_document()
    for name, factor in (("ours", 1), ("theirs", 2)):
        params = {"model": "m", "matrix": "64x64", "contestant": name}
        document["benchmarks"].append(entry("plans", params, factor * np.array([1e-3, 2e-3, 3e-3]), {"case": name}))
    return document


def test_pytest_benchmark_compares_our_documents(document, tmp_path):
    for name in ("first", "second"):
        write_document(document, tmp_path / f"{name}.json")
    program = shutil.which("pytest-benchmark", path=Path(sys.executable).parent)
    assert program
    command = [program, "compare", str(tmp_path / "first.json"), str(tmp_path / "second.json"), "--columns=min,median"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "bench_plans[m-64x64-ours]" in done.stdout
    assert "bench_plans[m-64x64-theirs]" in done.stdout


def test_statistics_are_those_of_the_times():
    stats = entry("plans", {}, [4.0, 1.0, 2.5], {})["stats"]
    assert (stats["min"], stats["max"], stats["median"], stats["rounds"]) == (1.0, 4.0, 2.5, 3)
    assert stats["mean"] == pytest.approx(2.5)
    assert stats["stddev"] == pytest.approx(1.5)
    assert stats["data"] == [4.0, 1.0, 2.5]


def test_nothing_measured_is_no_entry():
    with pytest.raises(ValueError, match="measure at least one call"):
        entry("plans", {"model": "m"}, [], {})


def test_contestants_that_took_turns_become_entries_of_their_own():
    extra = {"case": "sum", "matrix": "64x64", "comparison": {"baseline": "b", "times_ms": {"a": [1, 2], "b": [2, 4]}}}
    one = {"group": "iqa", "fullname": "x", "extra_info": extra, "stats": {"data": [0.1]}}
    found = expanded({"benchmarks": [one]})["benchmarks"]
    assert [(e["extra_info"]["contestant"], e["extra_info"]["peer"], e["stats"]["data"]) for e in found] == [
        ("a", False, [0.001, 0.002]),
        ("b", True, [0.002, 0.004]),
    ]
    assert "comparison" not in found[0]["extra_info"]


def test_documents_are_joined_and_survive_their_file(document, tmp_path):
    joined = merged(document, [document])
    assert len(joined["benchmarks"]) == 4
    write_document(joined, tmp_path / "joined.json")
    assert read_document(tmp_path / "joined.json") == json.loads(json.dumps(joined))


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"benchmarks": [{}]}', '{"benchmarks": 5}', "\ud800"])
def test_other_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content, errors="surrogatepass")
    with pytest.raises(InputError, match=r"other\.json: not a benchmark report"):
        read_document(path)


@pytest.mark.parametrize("module", ["plans", "page", "regression", "speed", "tables"])
def test_modules_tell_of_a_missing_report_in_a_sentence_and_by_their_exit_code(tmp_path, module):
    names = {"page": ("none.json", "out.html"), "regression": ("none.json", "none.json")}.get(module, ("none.json",))
    command = [sys.executable, "-m", f"photopeak.benchmarks.{module}", *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == InputError.exit_code
    assert done.stderr.startswith("photopeak: none.json: not a benchmark report")
    assert done.stderr.count("\n") == 1
