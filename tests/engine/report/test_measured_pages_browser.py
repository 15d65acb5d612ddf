"""The pages of measurements as a reader meets them: in headless Chromium, from a file, without a network."""

import json

import pytest

from photopeak.engine.report.noise_page import write_nps_report
from photopeak.engine.report.quality_page import write_quality_report
from photopeak.engine.report.sharpness_page import write_mtf_report

By = pytest.importorskip("selenium.webdriver.common.by", reason="selenium is not installed").By


@pytest.fixture(params=["scores", "mtf", "noise"])
def page(request, open_page, measured_stack, disk_pair, flood_spectrum, tmp_path):
    path = tmp_path / "page.html"
    if request.param == "scores":
        write_quality_report([measured_stack], path)
    elif request.param == "mtf":
        write_mtf_report(disk_pair, path)
    else:
        write_nps_report(flood_spectrum, path)
    return open_page(path)


def test_page_is_silent_and_asks_for_nothing(page):
    assert page.get_log("browser") == []
    log = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in log if event["method"] == "Network.requestWillBeSent"]
    # A browser that has just started also tells of its own first page.
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "chrome"}


def test_charts_hold_data_and_pictures_are_loaded(page):
    charts = page.execute_script(
        "return [...document.querySelectorAll('.plot')].map((e) => e.querySelectorAll('.trace, .heatmaplayer image').length)"
    )
    assert charts
    assert all(count >= 1 for count in charts)
    widths = page.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert widths
    assert all(width > 1 for width in widths)


def test_theme_changes_page_and_charts(page):
    look = """
        const plot = document.querySelector('.plot');
        return [getComputedStyle(document.body).backgroundColor, plot.layout.xaxis.color];
    """
    first = page.execute_script(look)
    page.find_element(By.ID, "theme").click()
    second = page.execute_script(look)
    assert first[0] != second[0]
    assert first[1] != second[1]
    page.find_element(By.ID, "theme").click()
    assert page.execute_script(look) == first


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_page_never_scrolls_sideways(page, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_band_is_painted_lighter_than_its_curve(open_page, disk_pair, tmp_path):
    browser = open_page(write_mtf_report(disk_pair, tmp_path / "m.html"))
    script = "return document.querySelector('[data-part=mtf]').data.filter((t) => t.fill).map((t) => t.fillcolor)"
    assert [len(colour) for colour in browser.execute_script(script)] == [9, 9]


def test_chosen_frame_is_the_one_shown(open_page, measured_stack, tmp_path):
    browser = open_page(write_quality_report([measured_stack], tmp_path / "q.html"))
    shown = "return [...document.querySelectorAll('[data-frame]')].map((part) => !part.hidden)"
    assert browser.execute_script(shown) == [True, False, False]
    script = "const s = document.querySelector('[data-part=frame]'); s.value = '2'; s.dispatchEvent(new Event('input'))"
    browser.execute_script(script)
    assert browser.execute_script(shown) == [False, False, True]
    score = f"{measured_stack.frames[2].scores[0].found.value:.4f}"
    assert score in browser.find_element(By.CSS_SELECTOR, "[data-frame='2']").text


def test_region_lies_over_the_object(open_page, disk_pair, tmp_path):
    browser = open_page(write_mtf_report(disk_pair, tmp_path / "m.html"))
    box, picture = (
        browser.execute_script("return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector)
        for selector in (".layers rect", ".layers img")
    )
    (row0, row1), _ = disk_pair.curves[0].roi
    rows = disk_pair.image.frames.matrix.rows
    assert (box["top"] - picture["top"]) / picture["height"] == pytest.approx(row0 / rows, abs=0.02)
    assert (box["bottom"] - picture["top"]) / picture["height"] == pytest.approx(row1 / rows, abs=0.02)
