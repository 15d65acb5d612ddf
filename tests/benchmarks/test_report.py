"""From pytest-benchmark's document to our report and tables."""

import subprocess
import sys

import pytest

from photopeak.benchmarks.document import expanded, write_document
from photopeak.benchmarks.report import Report, read_report
from photopeak.benchmarks.settings import limits
from photopeak.benchmarks.speed import page, per_pixel, ratios
from photopeak.benchmarks.tables import markdown, tables
from photopeak.engine.errors import InputError

TIMES_MS = {"session": [1.02, 2.04, 3.06], "bare": [1.0, 2.0, 3.0]}


def benchmark(group, case, matrix, data, **extra):
    extra |= {"case": case, "matrix": matrix, "threads": 2, "versions": {"python": "3.11.7"}}
    return {"group": group, "fullname": f"{group} {case} {matrix}", "extra_info": extra, "stats": {"data": data}}


@pytest.fixture
def document():
    return expanded(
        {
            "datetime": "2026-01-02T03:04:05",
            "machine_info": {"cpu": {"brand_raw": "A Fine CPU", "count": 4}},
            "benchmarks": [
                benchmark(
                    "session", "run model", "64x64", [9.0], comparison={"baseline": "bare", "times_ms": TIMES_MS}
                ),
                benchmark("session", "run model", "1024x256", [0.1, 0.2, 0.3]),
                benchmark("pipeline", "file to file", "64x64", [0.05]),
                benchmark("pipeline", "start", "", [0.02]),
            ],
        }
    )


@pytest.fixture
def report(document):
    return Report.from_document(document)


@pytest.fixture
def file(document, tmp_path):
    write_document(document, tmp_path / "report.json")
    return tmp_path / "report.json"


def test_report_has_the_statistics_of_single_calls_in_milliseconds(report):
    second = report.measurements[1]
    assert (second.rounds, second.min_ms, second.median_ms) == (3, pytest.approx(100), pytest.approx(200))
    assert second.p99_ms == pytest.approx(298)
    assert (report.cpu, report.cores, report.threads) == ("A Fine CPU", 4, 2)


def test_times_of_a_comparison_are_those_of_its_first_contestant(report):
    first = report.measurements[0]
    assert (first.rounds, first.min_ms, first.median_ms) == (3, pytest.approx(1.02), pytest.approx(2.04))
    assert first.p99_ms == pytest.approx(2.04 + 0.98 * 1.02)
    assert list(first.comparison["contestants"]) == ["session", "bare"]
    assert first.comparison["contestants"]["session"]["ratio"] == pytest.approx([1.02] * 3)


def test_report_survives_its_file(report, file):
    assert read_report(file) == report


def test_page_on_speed_has_ratios_and_times_per_pixel(report, file):
    command = [sys.executable, "-m", "photopeak.benchmarks.speed", *[str(file)] * 2]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text == page([report, report])
    assert text.startswith("# Speed\n")
    (ratio,), (session, pipeline) = ratios(report), per_pixel(report)
    assert ratio.rows == (("run model: session", "1.02 [1.02, 1.02]"),)
    assert session.rows == (("run model", "498", "763"),)
    assert pipeline.rows == (("file to file", "1.22e+04"),)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"measurements": [{"stage": 1}]}', '{"measurements": 5}'])
def test_other_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"other\.json: not a benchmark report"):
        read_report(path)


def test_tables_have_a_column_for_each_matrix(report):
    session, compared, pipeline = tables(report)
    assert session.columns == ("case", "64x64", "1024x256")
    assert session.rows == (("run model", "2.04 (3.04)", "200 (298)"),)
    assert compared.columns == ("case", "64x64")
    assert compared.rows == (("run model: session / bare", "+0.0400 ms, x1.02 [1.02, 1.02]"),)
    assert pipeline.columns == ("case", "64x64", "any")
    assert pipeline.rows == (("file to file", "50.0 (50.0)", ""), ("start", "", "20.0 (20.0)"))


def test_markdown_names_the_machine_and_every_row_is_complete(report):
    text = markdown(report)
    assert text.startswith("A Fine CPU, 4 logical cores, 2 threads; python 3.11.7.\n")
    assert "| run model | 2.04 (3.04) | 200 (298) |" in text
    blocks = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    assert all(len({line.count("|") for line in block}) == 1 for block in blocks)


def test_module_prints_markdown(report, file):
    command = [sys.executable, "-m", "photopeak.benchmarks.tables", str(file)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == markdown(report)


@pytest.mark.parametrize(("seconds", "rounds"), [(1e-9, 2000), (0.01, 60), (0.1, 15), (1, 10), (100, 3)])
def test_proper_measurements_fill_their_time_within_bounds(seconds, rounds):
    assert limits(quick=False).rounds(seconds) == rounds


def test_quick_measurements_are_bounded():
    assert limits(quick=True).rounds(1) == 5
    assert limits(quick=True).rounds(10) == 3
