"""The page of findings as a reader meets it: in headless Chromium, from a file, without a network."""

import json

import pytest

import known_findings
from photopeak.engine.report.findings_page import write_findings_report

By = pytest.importorskip("selenium.webdriver.common.by", reason="selenium is not installed").By


@pytest.fixture
def page(open_page, tmp_path):
    path = tmp_path / "page.html"
    write_findings_report([known_findings.detected(), known_findings.classified()], path)
    return open_page(path)


def opacities(page, section):
    return page.execute_script(
        f"return [...document.querySelectorAll('section:nth-of-type({section}) [data-map]')]"
        ".map((e) => e.hidden ? 0 : Number(getComputedStyle(e).opacity))"
    )


def move(page, part, value):
    page.execute_script(
        f"""
        const e = document.querySelectorAll('[data-part="{part}"]')[0];
        e.value = {value};
        e.dispatchEvent(new Event("input"));
        """
    )


def test_page_is_silent_and_asks_for_nothing(page):
    assert page.get_log("browser") == []
    log = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in log if event["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "chrome"}


def test_map_of_evidence_is_as_strong_as_the_reader_wants(page):
    assert opacities(page, 1) == [0.25, 0.25]  # one for each phase
    move(page, "opacity", 80)
    assert opacities(page, 1) == [0.8, 0.8]


def test_map_follows_the_class(page):
    assert opacities(page, 2) == [0.55, 0, 0]
    move(page, "map", '"1"')
    assert opacities(page, 2) == [0, 0.55, 0]


def test_boxes_go_and_come_back(page):
    marks = page.find_elements(By.CSS_SELECTOR, "section:first-of-type [data-box]")
    assert len(marks) == 6  # in each phase the rectangles, and two numbers
    page.find_element(By.CSS_SELECTOR, '[data-part="boxes"]').click()
    assert not any(mark.is_displayed() for mark in marks)
    page.find_element(By.CSS_SELECTOR, '[data-part="boxes"]').click()
    assert all(mark.is_displayed() for mark in marks)


def test_operating_points_are_drawn(page):
    traces = page.execute_script(
        "return [...document.querySelectorAll('.plot')].map((e) => e.querySelectorAll('.trace').length)"
    )
    assert traces == [2, 2, 2]


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_page_never_scrolls_sideways(page, width):
    page.set_window_size(width, 900)
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    page.set_window_size(1400, 1000)
