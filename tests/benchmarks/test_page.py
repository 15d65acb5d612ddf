"""The report in headless Chromium: silent, offline, with charts that hold data."""

import json
import shutil

import numpy as np
import pytest

from photopeak.benchmarks.document import entry, new_document
from photopeak.benchmarks.page import write_page
from photopeak.benchmarks.regression import compare_documents

By = pytest.importorskip("selenium.webdriver.common.by", reason="selenium is not installed").By
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1400,1000"),
)
KINDS = {"Photopeak 0.05 dB": "photopeak", "ONNX Runtime fp32": "onnxruntime", "OpenVINO bf16": "openvino"}


def run_of(seed):
    """Plans and starts of one model on three matrices, with random times."""
    generator, document = np.random.default_rng(seed), new_document()
    for pixels, matrix in ((64, "64x64"), (256, "256x256"), (512, "1024x256")):
        for name, kind in KINDS.items():
            ours = kind == "photopeak"
            extra = {
                "case": f"m: {name}, model",
                "model": "m",
                "matrix": matrix,
                "frames": 1,
                "findings": False,
                "contestant": f"{name}, model",
                "contestant_name": name,
                "call": "model",
                "kind": kind,
                "peer": not ours,
                "precision": "" if ours else name.rpartition(" ")[2],
                "max_loss_db": 0.05 if ours else 0.0,
                "loss_db": 0.03 if ours else 0.0,
                "turns": [3] * 8,
                "launches": [4, 4],
                "threads": 2,
                "versions": {"python": "3.11"},
            }
            if ours:
                extra["plan"] = {"provider": "openvino", "precision": "bf16", "threads": 2}
            params = {"model": "m", "matrix": matrix, "contestant": name, "call": "model"}
            times = 1e-7 * pixels**2 * generator.lognormal(0, 0.05, 24)
            document["benchmarks"].append(entry("plans", params, times, extra))
            start = {key: value for key, value in extra.items() if key not in ("turns", "launches")} | {
                "stages_s": dict.fromkeys(("interpreter", "import", "load", "first run"), 0.1),
                "imported_bytes": 50 << 20,
                "peak_bytes": 120 << 20,
                "contestant": name,
            }
            document["benchmarks"].append(entry("start", params, generator.lognormal(0, 0.05, 5), start))
    return document


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page in a browser that notes every request."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.ui import WebDriverWait

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium or chromedriver is not installed")
    folder = tmp_path_factory.mktemp("page")
    document = run_of(1)
    write_page(document, folder / "bench.html", compare_documents(run_of(2), document))
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as running:
        running.get((folder / "bench.html").as_uri())
        WebDriverWait(running, 30).until(
            lambda shown: shown.execute_script("return document.documentElement.dataset.ready") == "yes"
        )
        yield running


def test_page_is_silent_and_asks_for_nothing(page):
    assert page.get_log("browser") == []
    log = [json.loads(line["message"])["message"] for line in page.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in log if event["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "chrome"}


def test_charts_hold_data(page):
    counts = page.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('.plot')].map("
        "(e) => [e.dataset.part, e.querySelectorAll('.trace, .bars .point').length]))"
    )
    assert set(counts) == {"changes", "latency", "pareto", "start", "memory"}
    assert all(count >= 1 for count in counts.values())


def test_latency_is_drawn_on_logarithmic_axes_and_bodies_stand_apart(page):
    traces = page.execute_script(
        "return document.querySelector('[data-part=latency]')._fullData.map((t) => [t.name, t.mode, t.x.length])"
    )
    axes = page.execute_script(
        "const l = document.querySelector('[data-part=latency]')._fullLayout; return [l.xaxis.type, l.yaxis.type]"
    )
    assert axes == ["log", "log"]
    assert sorted(map(tuple, traces)) == sorted(
        (name, mode, n) for name in KINDS for mode, n in (("lines+markers", 2), ("markers", 1))
    )


def test_tables_say_what_was_met(page):
    text = page.find_element(By.TAG_NAME, "main").text
    assert "Bars" in text
    assert "never more than 3 % slower" in text
    assert "Against the fastest other runtime, admitted loss 0.05 dB" in text
    chips = [chip.text for chip in page.find_elements(By.CSS_SELECTOR, "header .chip")]
    assert any(chip.endswith("bars met") for chip in chips)
    assert any("slower than before" in chip for chip in chips)


@pytest.mark.parametrize(("joules", "words"), [(0.5, "RAPL, of the whole processor"), (None, "not measured")])
def test_energy_is_what_the_run_measured_and_not_what_this_machine_could(tmp_path, joules, words):
    document = run_of(0)
    document["benchmarks"][0]["extra_info"]["joules"] = joules
    text = write_page(document, tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"<dt>Energy</dt><dd>{words}</dd>" in text
