"""``photopeak bench`` from the installed package."""

import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from photopeak.benchmarks import cli
from photopeak.benchmarks.document import entry, new_document, read_document, write_document
from photopeak.benchmarks.report import read_report
from photopeak.engine.errors import DeviceError, InputError, PhotopeakError, UsageError

BENCHMARKS = '''
"""A small suite."""
import os

import numpy as np

def bench_sum(measure, counts, matrix, threads):
    assert os.environ["OMP_NUM_THREADS"] == str(threads) == "2"
    assert measure(np.sum, counts) == counts.sum()

def bench_mean(compare, frames):
    comparison = compare({"method": frames.pixels.mean, "function": lambda: np.mean(frames.pixels)}, baseline="function")
    assert set(comparison.times_ms) == {"method", "function"}

def bench_nothing(measure):
    assert measure(int) == 0
'''


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(cli.bench)
    return app


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A folder with a small suite of its own and the real fixtures."""
    folder = tmp_path / "suites"
    folder.mkdir()
    (folder / "bench_reading.py").write_text(BENCHMARKS)
    (folder / "conftest.py").write_text((cli.HERE / "conftest.py").read_text())
    monkeypatch.setattr(cli, "HERE", folder)
    return folder


@pytest.mark.parametrize("name", ["bench", "conformance"])
def test_commands_are_entry_points(name):
    (found,) = entry_points(group="photopeak.commands", name=name)
    assert found.load() is getattr(cli, name)


def test_help_has_an_example(app):
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "photopeak bench --suite session" in " ".join(result.output.replace("│", " ").split())


def test_help_says_what_brackets_would_hide(app):
    words = " ".join(CliRunner().invoke(app, ["--help"]).output.replace("│", " ").split())
    assert "Losses that plans may have, in dB." in words


@pytest.mark.parametrize(
    "given",
    [
        *({"model": "pet-denoise"}, {"peers": "torch"}, {"max_loss_db": "0.1"}),
        *({"scenario": "offline"}, {"frames": 3}, {"budget": 60.0}),
    ],
    ids=lambda given: next(iter(given)),
)
def test_options_that_the_suites_do_not_heed_are_refused(given, monkeypatch):
    monkeypatch.setattr(cli, "_measure", lambda *_: pytest.fail("it measured"))
    name = "--" + next(iter(given)).replace("_", "-")
    with pytest.raises(UsageError, match=f"{name} means nothing to iqa; .* plans, stack or start"):
        cli.bench(suite="iqa", **given)


def test_every_suite_is_there():
    assert [name for name in cli.SUITES if not cli._suite_file(name).exists()] == []


@pytest.mark.parametrize("arguments", [{"suite": "nonsense"}, {"matrix": "0"}, {"matrix": "12y"}])
def test_nonsense_is_a_usage_error(arguments):
    with pytest.raises(UsageError):
        cli.bench(**arguments)


def test_missing_pytest_benchmark_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"photopeak\[bench\]"):
        cli.bench()


@pytest.mark.usefixtures("suite")
def test_bench_shows_tables_and_writes_json_and_markdown(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--nonsense")
    environment = dict(os.environ)
    before = {path.name for path in tmp_path.iterdir()}
    cli.bench(suite="reading", matrix="32,64x16", threads=2, json_file=tmp_path / "out.json", quick=True)
    report = read_report(tmp_path / "out.json")
    assert [(m.stage, m.case, m.matrix) for m in report.measurements] == [
        ("reading", "sum", "32x32"),
        ("reading", "sum", "64x16"),
        ("reading", "mean", "32x32"),
        ("reading", "mean", "64x16"),
        ("reading", "nothing", ""),
    ]
    assert report.threads == 2
    assert all(0 < m.min_ms <= m.median_ms <= m.p99_ms and m.rounds >= 5 for m in report.measurements)
    comparison = report.measurements[2].comparison
    assert comparison is not None
    assert comparison["contestants"].keys() == {"method", "function"}
    assert report.versions["photopeak"]
    document = read_document(tmp_path / "out.json")
    assert [one["extra_info"].get("contestant") for one in document["benchmarks"]][2:4] == ["method", "function"]
    assert all(len(one["stats"]["data"]) >= 5 for one in document["benchmarks"])
    assert "| sum |" in (tmp_path / "out.md").read_text()
    assert "32x32" in capfd.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} - before == {"out.json", "out.md"}
    assert dict(os.environ) == environment


def test_plans_are_measured_reported_compared_and_resumed(tmp_path, capfd):
    options = {"suite": "plans", "model": "pet-sr-x2-srcnn", "matrix": "32", "peers": "onnxruntime", "quick": True}
    first, second, html = tmp_path / "first.json", tmp_path / "second.json", tmp_path / "second.html"
    cli.bench(**options, json_file=first)
    cli.bench(**options, json_file=first, resume=True)
    assert capfd.readouterr().out.count("pet-sr-x2-srcnn 32x32 [ms]") == 1
    slow = read_document(first)
    for one in slow["benchmarks"]:
        if not one["extra_info"]["peer"]:
            one["stats"]["data"] = [time / 100 for time in one["stats"]["data"]]
    write_document(slow, second)
    with pytest.raises(PhotopeakError, match="slower than in the earlier run"):
        cli.bench(**options, json_file=first, html=html, earlier=second)
    assert html.stat().st_size > 1_000_000
    assert "fastest other" in first.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        {"suite": "plans", "scenario": "nonsense"},
        {"suite": "plans", "max_loss_db": "much"},
        {"suite": "plans", "peers": "caffe"},
        {"suite": "plans", "resume": True},
        {"suite": "mtf", "resume": True, "json_file": Path("x.json")},
    ],
)
def test_nonsense_about_models_is_a_usage_error(arguments):
    with pytest.raises(UsageError):
        cli.bench(**arguments)


def test_missing_earlier_run_is_told_before_anything_is_measured(tmp_path):
    with pytest.raises(InputError, match=r"none\.json"):
        cli.bench(suite="plans", earlier=tmp_path / "none.json")


@pytest.mark.parametrize(("threads", "brand", "what"), [(2, None, "number of threads"), (1, "Another", "processor")])
def test_earlier_run_that_cannot_be_compared_is_told_before_anything_is_measured(
    tmp_path, monkeypatch, threads, brand, what
):
    monkeypatch.setattr(cli, "_measure", lambda *_: pytest.fail("it measured"))
    earlier = new_document()
    earlier["benchmarks"] = [entry("iqa", {"case": "a"}, [1.0], {"case": "a", "matrix": "64x64", "threads": 1})]
    if brand:
        earlier["machine_info"]["cpu"]["brand_raw"] = brand
    write_document(earlier, tmp_path / "earlier.json")
    with pytest.raises(UsageError, match=f"{what} differs"):
        cli.bench(suite="iqa", threads=threads, earlier=tmp_path / "earlier.json")


def test_failing_benchmark_is_an_error_and_writes_nothing(suite, tmp_path, capfd):
    (suite / "bench_reading.py").write_text("def bench_x(benchmark):\n    assert benchmark(int) == 1\n")
    with pytest.raises(PhotopeakError, match="pytest exit code 1"):
        cli.bench(suite="reading", json_file=tmp_path / "out.json", quick=True)
    assert "assert 0 == 1" in capfd.readouterr().out
    assert not (tmp_path / "out.json").exists()


def test_only_skipped_benchmarks_are_an_error_with_the_reason(suite, capfd):
    (suite / "bench_reading.py").write_text("import pytest\n\ndef bench_x(benchmark):\n    pytest.skip('no fun')\n")
    with pytest.raises(DeviceError, match="every benchmark was skipped"):
        cli.bench(suite="reading", quick=True)
    assert "no fun" in capfd.readouterr().out
